#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What surrounds the networks: decoding beside libjpeg-turbo alone, all else beside a Python pipeline, and its part of the whole.

usage: photo.py [--data ../shared] [--build build] [--threads 2] [--rounds 5] [--photos Stallone.jpg,lumia.jpg]
Rounds alternate between the programs; medians over them.
"""
import argparse
import os
import statistics
import subprocess
import sys

from pipeline import rows

AROUND = ('resize', 'nms', 'crop')  # neither decoding nor a network


def measure(options, photos):
    """For each round and photo: stages of the Python pipeline, ours, and milliseconds of libjpeg-turbo alone."""
    models = [os.path.join(options.data, 'models', name) for name in ('scrfd_2.5g_bnkps.onnx', 'mobilefacenet.onnx')]
    arguments = [*models, *photos, '--threads', str(options.threads), '--repeat', str(options.repeat)]
    reference = [sys.executable, os.path.join(options.data, 'tools', 'reference.py'), 'time', *arguments]
    ours = [os.path.join(options.build, 'bench', 'bench_pipeline'), *arguments]
    decoder = os.path.join(options.build, 'bench', 'bench_decode')
    for _ in range(options.rounds):
        alone = {os.path.basename(p): float(subprocess.check_output([decoder, p, str(2 * options.repeat)])) for p in photos}
        yield rows(reference), rows(ours), alone


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', default=os.environ.get('VULTUS_TEST_DATA', '../shared'))
    parser.add_argument('--build', default='build')
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--repeat', type=int, default=10)
    parser.add_argument('--photos', default='Stallone.jpg,lumia.jpg')
    options = parser.parse_args()
    photos = [os.path.join(options.data, 'images', p) for p in options.photos.split(',')]
    rounds = list(measure(options, photos))
    print('| photo | faces | resize ms | boxes, NMS ms | crops ms | around the networks, Python ms | ours ms | ratio | part of our total '
          '| decode ms | libjpeg-turbo alone ms |')
    print('| --- ' * 11 + '|')
    for photo in map(os.path.basename, photos):
        median = lambda f: statistics.median(f(*r) for r in rounds)
        stages = [median(lambda peer, own, alone: own[photo][s]) for s in AROUND]
        peer = median(lambda peer, own, alone: sum(peer[photo][s] for s in AROUND))
        own = median(lambda peer, own, alone: sum(own[photo][s] for s in AROUND))
        part = median(lambda peer, own, alone: sum(own[photo][s] for s in AROUND) / own[photo]['total'])
        decode, alone = median(lambda peer, own, alone: own[photo]['decode']), median(lambda peer, own, alone: alone[photo])
        print(f'| {photo} | {rounds[0][1][photo]["faces"]} | ' + ' | '.join(f'{s:.2f}' for s in stages) +
              f' | {peer:.2f} | {own:.2f} | {peer / own:.1f} | {100 * part:.2f}% | {decode:.2f} | {alone:.2f} |')


if __name__ == '__main__':
    main()
