#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every network's time by whose code runs it: own kernels, oneDNN, plain reference; a Markdown table.

usage: providers.py [--data ../shared] [--build build] [--threads 2] [--only NAME,...]

From `vultus bench --layers`, where a batch goes through one step after the other; steps in brackets. GFLOP/s and part of the peak are
those of the usual run.
"""
import argparse
import json
import os
import subprocess

from networks import ROWS, model_path

PROVIDERS = ['own', 'oneDNN', 'reference']


def layers(options, model, batch):
    command = [os.path.join(options.build, 'tools/vultus'), 'bench', model, '--layers', '--json', '--batch', str(batch),
               '--threads', str(options.threads)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)['results'][0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', default=os.environ.get('VULTUS_TEST_DATA', '../shared'))
    parser.add_argument('--build', default='build')
    parser.add_argument('--cache', default='build/networks')
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--only', default='')
    options = parser.parse_args()
    os.makedirs(options.cache, exist_ok=True)
    print('| network, batch | ' + ' | '.join(f'{name} ms' for name in PROVIDERS) + ' | all ms | GFLOP/s | of peak |')
    print('| --- ' * (len(PROVIDERS) + 4) + '|')
    for name, batch, _ in ROWS:
        if options.only and name not in options.only.split(','):
            continue
        result = layers(options, model_path(options.data, options.cache, name), batch)
        found = {p['provider']: f'{p["ms"]:.2f} ({p["steps"]})' for p in result['providers']}
        total = sum(p['ms'] for p in result['providers'])
        cells = [found.get(provider, '-') for provider in PROVIDERS]
        print(f'| {name}, {batch} | ' + ' | '.join(cells) + f' | {total:.2f} | {result["gflops"]:.1f} | {100 * result["of_peak"]:.0f}% |',
              flush=True)


if __name__ == '__main__':
    main()
