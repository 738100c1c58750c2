#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Keeps a server busy with everything at once, and watches whether it grows: pictures of many sizes, crops, comparisons, what
is no picture, broken requests, and clients that leave early or dawdle.

usage: soak.py [--minutes 30] [--build build] [--picture examples/group.jpg] [--plot FILE.svg] [serve's options...]

Needs opencv, for pictures of other sizes. Prints one JSON object; fails where the server does not answer as before in the
end. The slope is that of a line fitted to the resident memory after the first quarter, at most five minutes.
"""
import argparse
import contextlib
import http.client
import json
import pathlib
import random
import re
import socket
import subprocess
import sys
import threading
import time

import cv2

ROOT = pathlib.Path(__file__).resolve().parent.parent
CLIENTS = 6
COMPARISONS = 24  # of two pictures each: as many pictures as the server works on at once
SIZES = (96, 320, 640, 1280, 2200)
JSON = {'Content-Type': 'application/json', 'Accept': '*/*'}


class Soak:
    """Clients of a server on a port of this machine, until `stop` is set; `counts` says what they did."""

    def __init__(self, port, picture, seed=1):
        self.port, self.stop = port, threading.Event()
        self.counts, self.lock = {}, threading.Lock()
        self.surprises = []
        pixels = cv2.imread(str(picture))
        self.pictures = [self.encoded(pixels, size) for size in SIZES]
        self.acts = [(self.send_picture, 12), (self.draw, 2), (self.compare, 2), (self.send_crop, 2), (self.send_garbage, 2), (self.break_json, 2),
                     (self.ask_for_nothing, 1), (self.leave_in_body, 2), (self.leave_before_answer, 2), (self.dawdle, 1), (self.look, 1)]
        self.threads = [threading.Thread(target=self.client, args=(random.Random(seed + number),)) for number in range(CLIENTS)]

    @staticmethod
    def encoded(pixels, width):
        height = max(round(pixels.shape[0] * width / pixels.shape[1]), 1)
        return cv2.imencode('.jpg', cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA))[1].tobytes()

    # ------------------------------------------------------------ clients

    def client(self, dice):
        acts, weights = zip(*self.acts)
        while not self.stop.is_set():
            act = dice.choices(acts, weights)[0]
            try:
                outcome = act(dice)
            except (OSError, http.client.HTTPException) as error:
                outcome = type(error).__name__
            with self.lock:
                key = f'{act.__name__}: {outcome}'
                self.counts[key] = self.counts.get(key, 0) + 1

    def ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=120)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def expect(self, wanted, status):
        """A full server may refuse at any time; anything else is a surprise."""
        if status not in (*wanted, 503):
            with self.lock:
                self.surprises.append(f'status {status} where {wanted} was due')
        return status

    def send_picture(self, dice):
        query = dice.choice(('', '?return_face_data=1&return_landmarks=1', '?extract_embedding=0', '?threshold=0.3&limit_faces=3'))
        return self.expect((200,), self.ask('POST', '/v1/extract' + query, dice.choice(self.pictures), {'Content-Type': 'image/jpeg'})[0])

    def form(self, **files):
        parts = [b'--edge\r\nContent-Disposition: form-data; name="%s"; filename="x"\r\n\r\n%s\r\n' % (name.encode(), data) for name, data in files.items()]
        return b''.join(parts) + b'--edge--\r\n', {'Content-Type': 'multipart/form-data; boundary=edge'}

    def draw(self, dice):
        return self.expect((200,), self.ask('POST', '/multipart/draw_detections', *self.form(file=dice.choice(self.pictures)))[0])

    def compare(self, dice):
        a, b = dice.choice(self.pictures), dice.choice(self.pictures)
        return self.expect((200, 422), self.ask('POST', '/v1/match', *self.form(a=a, b=b))[0])

    def send_crop(self, dice):
        body = {'images': {'data': ['AAAA'] * dice.randint(1, 8)}, 'embed_only': True}
        return self.expect((200,), self.ask('POST', '/extract', json.dumps(body), JSON)[0])

    def send_garbage(self, dice):
        garbage = dice.randbytes(dice.choice((0, 10, 50000))) if dice.random() < 0.5 else self.pictures[2][:dice.randint(20, 5000)]
        return self.expect((200,), self.ask('POST', '/v1/extract', garbage, {'Content-Type': 'image/jpeg'})[0])

    def break_json(self, dice):
        return self.expect((400, 413, 422), self.ask('POST', '/extract', dice.choice(('{', '[]', '{"images": 3}', '[' * 5000)), JSON)[0])

    def ask_for_nothing(self, dice):
        return self.expect((404, 405), self.ask(dice.choice(('GET', 'DELETE')), dice.choice(('/nothing', '/extract', '/' + 'x' * 3000)))[0])

    def look(self, dice):
        return self.expect((200,), self.ask('GET', dice.choice(('/metrics', '/info', '/v1/ready', '/openapi.json', '/health')))[0])

    # ------------------------------------------------------------ those that leave

    def begin(self, length):
        link = socket.create_connection(('127.0.0.1', self.port), timeout=30)
        link.sendall(f'POST /v1/extract HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: {length}\r\n\r\n'.encode())
        return link

    def leave_in_body(self, dice):
        picture = dice.choice(self.pictures)
        with self.begin(len(picture)) as link:
            link.sendall(picture[:dice.randrange(len(picture))])
        return 'left'

    def leave_before_answer(self, dice):
        picture = dice.choice(self.pictures)
        with self.begin(len(picture)) as link:
            link.sendall(picture)
            time.sleep(dice.random() * 0.02)
        return 'left'

    def dawdle(self, dice):
        picture = self.pictures[0]
        with self.begin(len(picture)) as link:
            for at in range(0, len(picture), max(len(picture) // 8, 1)):
                link.sendall(picture[at:at + max(len(picture) // 8, 1)])
                self.stop.wait(0.1)
            return link.recv(12).decode(errors='replace')[9:12]


# ---------------------------------------------------------------- watching

def resident_mib(pid):
    return int(re.search(r'VmRSS:\s+(\d+)', pathlib.Path(f'/proc/{pid}/status').read_text()).group(1)) / 1024


def slope(samples):
    """MiB an hour, of the line with the least squares through [(seconds, MiB)]."""
    n = len(samples)
    mean_t, mean_m = sum(t for t, _ in samples) / n, sum(m for _, m in samples) / n
    spread = sum((t - mean_t) ** 2 for t, _ in samples)
    return 3600 * sum((t - mean_t) * (m - mean_m) for t, m in samples) / spread if spread else 0.0


def fill(soak):
    """As many of the largest pictures at once as the server works on, so that its memory has been as large as it will be."""
    form = soak.form(a=soak.pictures[-1], b=soak.pictures[-1])
    burst = [threading.Thread(target=soak.ask, args=('POST', '/v1/match', *form)) for _ in range(COMPARISONS)]
    for thread in burst:
        thread.start()
    for thread in burst:
        thread.join()


def run(port, pid, picture, minutes):
    """What the clients did and how the memory went, with the samples [(seconds, MiB)]."""
    soak = Soak(port, picture)
    first = soak.ask('POST', '/v1/extract', soak.pictures[2], {'Content-Type': 'image/jpeg'})
    fill(soak)
    start = time.monotonic()
    for thread in soak.threads:
        thread.start()
    samples = []
    while time.monotonic() - start < 60 * minutes:
        time.sleep(1)
        samples.append((time.monotonic() - start, resident_mib(pid)))
    soak.stop.set()
    for thread in soak.threads:
        thread.join()
    last = soak.ask('POST', '/v1/extract', soak.pictures[2], {'Content-Type': 'image/jpeg'})
    warm = min(60 * minutes / 4, 300)
    settled = [sample for sample in samples if sample[0] >= warm]
    tenth = max(len(settled) // 10, 1)
    growth = sum(m for _, m in settled[-tenth:]) / tenth - sum(m for _, m in settled[:tenth]) / tenth
    faces = [json.loads(body)['data'][0]['faces'] for _, body in (first, last)]
    return {'minutes': minutes, 'requests': sum(soak.counts.values()), 'counts': dict(sorted(soak.counts.items())), 'surprises': soak.surprises[:20],
            'answers_as_before': (first[0], last[0]) == (200, 200) and faces[0] == faces[1], 'warm_up_seconds': warm,
            'resident_mib': {'first': samples[0][1], 'last': samples[-1][1], 'most': max(m for _, m in samples)},
            'growth_mib': growth, 'slope_mib_per_hour': slope(settled)}, samples


def plot(samples, summary, path):
    """The memory over time as an SVG file."""
    width, height, left, bottom, top = 720, 300, 56, 36, 28
    end, most = samples[-1][0], 1.1 * max(m for _, m in samples)

    def x(t):
        return left + (width - left - 12) * t / end

    def y(m):
        return height - bottom - (height - bottom - top) * m / most

    line = ' '.join(f'{x(t):.1f},{y(m):.1f}' for t, m in samples)
    marks = ''.join(f'<line x1="{left}" x2="{width - 12}" y1="{y(v):.1f}" y2="{y(v):.1f}" stroke="#ccd"/><text x="{left - 8}" y="{y(v) + 4:.1f}" '
                    f'text-anchor="end">{v:.0f}</text>' for v in (most * part / 4 for part in range(5)))
    times = ''.join(f'<text x="{x(end * part / 4):.1f}" y="{height - 12}" text-anchor="middle">{end * part / 240:.1f} min</text>' for part in range(5))
    warm = x(summary['warm_up_seconds'])
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12" fill="#445">'
        f'<rect width="{width}" height="{height}" fill="#fff"/><text x="{left}" y="18">Resident memory, MiB; {summary["requests"]} requests; after the warm-up '
        f'{summary["slope_mib_per_hour"]:.1f} MiB an hour</text>{marks}{times}<line x1="{warm:.1f}" x2="{warm:.1f}" y1="{top}" y2="{height - bottom}" stroke="#a96" '
        f'stroke-dasharray="4 4"/><polyline points="{line}" fill="none" stroke="#0b6b64" stroke-width="1.5"/></svg>\n')


@contextlib.contextmanager
def serving(build, arguments):
    """(port, process) of a server."""
    process = subprocess.Popen([build / 'tools/vultus', 'serve', '--port', '0', '--access-log', 'off', '--images-root', ROOT / 'examples', *arguments],
                               stderr=subprocess.PIPE, text=True)
    try:
        port = next(int(found.group(1)) for line in process.stderr if (found := re.search(r'serving https?://[^:]+:(\d+)', line)))
        threading.Thread(target=process.stderr.read, daemon=True).start()
        yield port, process
    finally:
        process.terminate()
        process.wait(120)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--minutes', type=float, default=30)
    parser.add_argument('--build', type=pathlib.Path, default=ROOT / 'build')
    parser.add_argument('--picture', type=pathlib.Path, default=ROOT / 'examples/group.jpg')
    parser.add_argument('--plot', type=pathlib.Path)
    options, arguments = parser.parse_known_args()
    with serving(options.build, arguments) as (port, process):
        summary, samples = run(port, process.pid, options.picture, options.minutes)
    if options.plot:
        plot(samples, summary, options.plot)
    print(json.dumps(summary, indent=1))
    if process.returncode != 0 or not summary['answers_as_before'] or summary['surprises']:
        sys.exit('soak: the server ended badly, or its answers changed')


if __name__ == '__main__':
    main()
