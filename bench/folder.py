#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`vultus extract` on a folder of photos of one to five faces with the starter pack: how busy the processors are, what a photo
costs beside the sum of its stages, and memory.

usage: folder.py [--build build] [--photos 2000] [--jobs 2] [--links N]
With --links, N links to small photos are searched by the detector alone, and memory is sampled meanwhile: does it grow with their number?
"""
import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import tempfile
import time

import cv2

ROOT = pathlib.Path(__file__).resolve().parent.parent


def faces_of_group(vultus, group):
    out = subprocess.run([vultus, 'extract', '--no-embeddings', '--json', group], check=True, capture_output=True, text=True).stdout
    return [face['bbox'] for face in json.loads(out)[0]['faces']]


def make_photos(vultus, folder, count, longest):
    """Windows of a group photo that hold one to five of its faces, scaled and mirrored."""
    group = ROOT / 'examples/group.jpg'
    picture, boxes, chance = cv2.imread(str(group)), faces_of_group(vultus, group), random.Random(7)
    made = 0
    while made < count:
        width, height = chance.randint(200, 700), chance.randint(200, 600)
        x, y = chance.randint(0, picture.shape[1] - width), chance.randint(0, picture.shape[0] - height)
        inside = [b for b in boxes if b[0] >= x and b[1] >= y and b[2] <= x + width and b[3] <= y + height]
        if not 1 <= len(inside) <= 5:
            continue
        scale = chance.uniform(*longest) / max(width, height)
        window = cv2.resize(picture[y:y + height, x:x + width], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(folder / f'{made:06}.jpg'), window[:, ::-1] if made % 2 else window, [cv2.IMWRITE_JPEG_QUALITY, 90])
        made += 1


def runnable_seconds(pid):
    """Of all threads: what they ran, and what they waited for a processor that others had."""
    total = [0, 0]
    for task in pathlib.Path(f'/proc/{pid}/task').iterdir():
        ran, waited = map(int, (task / 'schedstat').read_text().split()[:2])
        total = [total[0] + ran * 1e-9, total[1] + waited * 1e-9]
    return total


def run(command):
    """Seconds; seconds of processors; seconds of threads that could not run because others did; resident KiB over time, and at most."""
    start = time.monotonic()
    process, samples, waited = subprocess.Popen(command, stderr=subprocess.DEVNULL), [], 0
    status = pathlib.Path(f'/proc/{process.pid}/statm')
    while True:
        pid, code, used = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        try:
            fields = status.read_text().split()
            waited = max(waited, runnable_seconds(process.pid)[1])
        except OSError:  # a thread, or the process, has just ended
            continue
        samples.append((time.monotonic() - start, int(fields[1]) * 4 if len(fields) > 1 else 0))
        time.sleep(0.1)
    assert code == 0, f'{command} failed'
    return time.monotonic() - start, used.ru_utime + used.ru_stime, waited, samples, used.ru_maxrss


def folder_run(options, vultus, folder):
    make_photos(vultus, folder, options.photos, (640, 1600))
    out = folder / 'faces.ndjson'
    command = [vultus, 'extract', folder, '--recursive', '--times', '--jobs', str(options.jobs), '--out', out]
    subprocess.run([vultus, 'extract', '--json', folder / '000000.jpg'], check=True, capture_output=True)  # plans are built once
    seconds, used, waited, _, most = run(command)
    times = [record['times'] for record in map(json.loads, out.open())]
    mean = {stage: statistics.mean(t[stage] for t in times) for stage in times[0]}
    needed = mean['read'] + mean['detect'] + mean['embed']
    print(f'{options.photos} photos in {seconds:.1f} s with {options.jobs} jobs: {options.photos / seconds:.1f} photos/s')
    print('mean ms of a photo: ' + ', '.join(f'{stage} {ms:.2f}' for stage, ms in mean.items()))
    runnable = used + waited  # on a quiet machine nobody waits
    print(f'processors busy: {100 * used / seconds / options.jobs:.1f}%, and {100 * waited / seconds / options.jobs:.1f}% taken by others')
    print(f'a photo runs for {1e3 * used / options.photos:.2f} ms; with the wait for processors, of the sum of its stages: '
          f'{100 * runnable / options.photos * 1e3 / mean["total"]:.1f}%')
    print(f'photos/s of what decoding and networks alone allow: {100 * options.photos / seconds * needed / 1e3 / options.jobs:.1f}%')
    print(f'memory at most: {most / 1024:.0f} MiB')


def links_run(options, vultus, folder):
    few, many = folder / 'few', folder / 'many'
    few.mkdir(), many.mkdir()
    make_photos(vultus, few, 20, (120, 200))
    small = sorted(few.iterdir())
    for i in range(options.links):
        os.link(small[i % len(small)], many / f'{i:07}.jpg')
    command = [vultus, 'extract', many, '--recursive', '--no-embeddings', '--input-size', '160x160', '--jobs', str(options.jobs),
               '--out', folder / 'faces.ndjson']
    seconds, _, _, samples, most = run(command)
    steady = [(t, kib) for t, kib in samples if t > 0.2 * seconds]
    slope, _ = statistics.linear_regression(*zip(*steady))
    print(f'{options.links} photos in {seconds:.1f} s, memory at most {most / 1024:.0f} MiB; after a fifth of them it grows by '
          f'{slope * seconds / options.links * 100000:.0f} KiB for 100,000 photos')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--build', default='build')
    parser.add_argument('--photos', type=int, default=2000)
    parser.add_argument('--jobs', type=int, default=2)
    parser.add_argument('--links', type=int, default=0)
    options = parser.parse_args()
    vultus = os.path.join(options.build, 'tools', 'vultus')
    with tempfile.TemporaryDirectory() as folder:
        (links_run if options.links else folder_run)(options, vultus, pathlib.Path(folder))


if __name__ == '__main__':
    main()
