#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The most memory that is resident while a network serves, beside 1.2 times its plan's file and 64 MiB; a Markdown table.

usage: memory.py [--data ../shared] [--build build] [--threads 2] [--network iresnet100]

`vultus bench` of a ready plan, and sessions of one plan in one process, each with a runtime of its own.
"""
import argparse
import json
import os
import subprocess

from networks import model_path

MIB = 1 << 20


def bench_peak(command):
    """VmHWM of a child in bytes, by wait4 as /usr/bin/time has it."""
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(f'{command} failed')
    return usage.ru_maxrss * 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', default=os.environ.get('VULTUS_TEST_DATA', '../shared'))
    parser.add_argument('--build', default='build')
    parser.add_argument('--cache', default='build/networks')
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--network', default='iresnet100')
    options = parser.parse_args()
    os.makedirs(options.cache, exist_ok=True)
    model = model_path(options.data, options.cache, options.network)
    vultus, threads = os.path.join(options.build, 'tools/vultus'), str(options.threads)
    built = json.loads(subprocess.run([vultus, 'build', model, '--threads', threads, '--json'], check=True, capture_output=True).stdout)
    plan, limit = built['path'], 1.2 * built['bytes'] + 64 * MIB
    print(f'{options.network}: plan {built["bytes"] / MIB:.0f} MiB, wanted at most {limit / MIB:.0f} MiB\n')
    print('| serving | resident at most, MiB | part of what is wanted |\n| --- | --- | --- |')
    rows = [(f'`vultus bench`, batch {b}', bench_peak([vultus, 'bench', plan, '--batch', str(b), '--seconds', '0.1', '--threads', threads]))
            for b in (1, 8, 32)]
    for sessions in (2, 4):
        program = [os.path.join(options.build, 'bench/bench_memory'), plan, str(sessions), '1', threads]
        rows.append((f'{sessions} sessions, batch 1', int(subprocess.run(program, check=True, capture_output=True).stdout) * 1024))
    for name, peak in rows:
        print(f'| {name} | {peak / MIB:.0f} | {100 * peak / limit:.0f}% |')


if __name__ == '__main__':
    main()
