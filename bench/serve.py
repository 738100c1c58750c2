#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`vultus serve` beside the same job behind FastAPI and uvicorn (bench/peers), on the same cores, in alternating rounds.

usage: serve.py [--quick] [--data ../shared] [--build build] [--cores 0,1] [--precision fp32] [--only scrfd]

Both answer the same bytes: POST /extract with one picture as base64. The client (bench_http) runs on other cores where
there are any, else beside the servers. The peer gets as many workers as answer most requests a second with 8
connections. Packages of the peer are installed into BUILD/peer-venv.
"""
import argparse
import base64
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
CONNECTIONS = (1, 8, 64)
START_SECONDS = 600
TICK = os.sysconf('SC_CLK_TCK')


# ---------------------------------------------------------------- processes

def family(pid):
    """A process and all below it."""
    found, queue = [], [pid]
    while queue:
        one = queue.pop()
        found.append(one)
        with contextlib.suppress(OSError):
            for task in os.listdir(f'/proc/{one}/task'):
                queue += map(int, pathlib.Path(f'/proc/{one}/task/{task}/children').read_text().split())
    return found


def cpu_seconds(pid):
    total = 0
    for one in family(pid):
        with contextlib.suppress(OSError):
            fields = pathlib.Path(f'/proc/{one}/stat').read_text().rsplit(')', 1)[1].split()
            total += int(fields[11]) + int(fields[12])
    return total / TICK


def resident_mib(pid):
    total = 0
    for one in family(pid):
        with contextlib.suppress(OSError):
            total += int(re.search(r'VmRSS:\s+(\d+)', pathlib.Path(f'/proc/{one}/status').read_text()).group(1))
    return total / 1024


def free_port():
    import socket
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def get(port, path):
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=60)
    try:
        connection.request('GET', path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


class Server:
    """A started server that answers; `ready_seconds` is how long that took."""

    def __init__(self, options, command, port, environment=None):
        self.port, start = port, time.perf_counter()
        self.process = subprocess.Popen(['taskset', '-c', options.cores, *map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                        text=True, env={**os.environ, **(environment or {})})
        while True:
            with contextlib.suppress(OSError):
                if get(port, '/v1/ready')[0] == 200:
                    break
            if self.process.poll() is not None:
                sys.exit(f'serve: {command[0]} ended: {self.process.stderr.read()}')
            if time.perf_counter() - start > START_SECONDS:
                sys.exit(f'serve: {command[0]} does not answer')
            time.sleep(0.005)
        self.ready_seconds = time.perf_counter() - start

    def close(self):
        self.process.terminate()
        self.process.wait(60)
        self.process.stderr.close()


@contextlib.contextmanager
def vultus(options, detector, *more):
    port = free_port()
    server = Server(options, [options.build / 'tools/vultus', 'serve', '--port', port, '--det', model(options, detector), '--rec',
                              model(options, 'mobilefacenet'), '--threads', options.n_cores, '--precision', options.precision,
                              '--access-log', 'off', '--images-root', options.data / 'images', *more], port)
    try:
        yield server
    finally:
        server.close()


@contextlib.contextmanager
def peer(options, detector, workers):
    port = free_port()
    environment = {'PEER_REFERENCE': str(options.data / 'tools/reference.py'), 'PEER_THREADS': str(max(options.n_cores // workers, 1)),
                   'PEER_DETECTOR': model(options, detector), 'PEER_RECOGNISER': model(options, 'mobilefacenet')}
    server = Server(options, [options.python, '-m', 'uvicorn', '--app-dir', HERE / 'peers', 'fastapi_peer:app', '--workers', workers,
                              '--port', port, '--no-access-log', '--log-level', 'error'], port, environment)
    try:
        time.sleep(1.0 if workers > 1 else 0)  # one worker answers before its siblings have their sessions
        yield server
    finally:
        server.close()


def model(options, name):
    return str(options.data / 'models' / f'{name}.onnx')


# ---------------------------------------------------------------- load

def load(options, server, connections, files, rate=0.0, seconds=None, evenly=False):
    """What bench_http measured, with the server's processor time for each answered request."""
    before = cpu_seconds(server.process.pid)
    done = subprocess.run(['taskset', '-c', options.client_cores, str(options.build / 'bench/bench_http'), str(server.port), str(connections),
                           str(seconds or options.seconds), ('=' if evenly else '') + str(rate), *files], check=True, capture_output=True, text=True)
    result = json.loads(done.stdout)
    spent = cpu_seconds(server.process.pid) - before
    return {**result, 'cpu_ms': 1e3 * spent / max(result['answered'], 1)}


def write_request(folder, name, body):
    text = json.dumps(body).encode()
    head = f'POST /extract HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n'
    path = folder / f'{name}.http'
    path.write_bytes(head.encode() + text)
    return str(path)


def picture_request(folder, path):
    return write_request(folder, path.stem, {'images': {'data': [base64.b64encode(path.read_bytes()).decode()]}})


def ask(server, request):
    text = pathlib.Path(request).read_bytes().split(b'\r\n\r\n', 1)[1]
    connection = http.client.HTTPConnection('127.0.0.1', server.port, timeout=300)
    connection.request('POST', '/extract', text, {'content-type': 'application/json', 'accept': '*/*'})
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer


def make_requests(options, folder):
    """{single: files, lumia: files, crop: files}; single-face pictures are those in which both detectors find one."""
    pictures = [path for path in sorted((options.data / 'images').iterdir()) if path.suffix in ('.jpg', '.png')]
    requests = {path: picture_request(folder, path) for path in pictures}
    single = set(pictures)
    crop = None
    for detector in ('det_500m', 'scrfd_2.5g_bnkps'):
        with vultus(options, detector) as server:
            single = {path for path in single if len(ask(server, requests[path])['data'][0]['faces']) == 1}
            if not crop:
                text = json.loads(pathlib.Path(requests[min(single)]).read_bytes().split(b'\r\n\r\n', 1)[1])
                body = write_request(folder, 'cropping', {**text, 'return_face_data': True})
                crop = ask(server, body)['data'][0]['faces'][0]['facedata']
    return {'single': [requests[path] for path in sorted(single)], 'lumia': [requests[options.data / 'images/lumia.jpg']],
            'crop': [write_request(folder, 'crop', {'images': {'data': [crop]}, 'embed_only': True})]}


# ---------------------------------------------------------------- the tables

def best_workers(options, detector, files):
    rates = {}
    for workers in sorted({1, max(options.n_cores // 2, 1), options.n_cores, options.n_cores + 1}):
        with peer(options, detector, workers) as server:
            rates[workers] = load(options, server, 8, files)['per_second']
    print('Peer, requests/s with 8 connections by workers: ' + ', '.join(f'{w}: {r:.1f}' for w, r in rates.items()) + '\n', flush=True)
    return max(rates, key=rates.get)


def ratio(a, b):
    return f'{a / b:.2f}' if b > 0 else '-'


def medians(rounds):
    return {key: statistics.median(result[key] for result in rounds) for key in ('per_second', 'p50', 'p99', 'cpu_ms')}


def compare(options, name, detector, files, workers, wanted):
    with vultus(options, detector) as ours, peer(options, detector, workers) as theirs:
        for connections in CONNECTIONS:
            batches = recogniser_batches(ours)
            rounds = [(load(options, ours, connections, files), load(options, theirs, connections, files)) for _ in range(options.rounds)]
            batch = median_batch(batches, recogniser_batches(ours))
            failed = [sum(result['failed'] + result['refused'] for result in side) for side in zip(*rounds)]
            mine, other = medians([r[0] for r in rounds]), medians([r[1] for r in rounds])
            print(f'| {name} | {connections} | {mine["per_second"]:.1f} / {other["per_second"]:.1f} | {ratio(mine["per_second"], other["per_second"])} | {wanted} '
                  f'| {mine["p50"]:.1f} / {other["p50"]:.1f} | {mine["p99"]:.1f} / {other["p99"]:.1f} | {mine["cpu_ms"]:.2f} / {other["cpu_ms"]:.2f} '
                  f'| {batch} | {failed[0]} / {failed[1]} |', flush=True)


def recogniser_batches(server):
    found = re.findall(r'vultus_batch_size_bucket\{network="recogniser",le="([^"]+)"\} (\d+)', get(server.port, '/metrics')[1])
    return {bound: int(count) for bound, count in found}


def median_batch(before, after):
    """The bucket in which the median run of the recogniser lies."""
    grown, low = {bound: after[bound] - before.get(bound, 0) for bound in after}, 0
    for bound, count in grown.items():
        if 2 * count >= grown['+Inf'] > 0:
            return f'{low + 1}-{bound}' if bound.isdigit() and int(bound) > low + 1 else bound if bound != '+Inf' else f'over {low}'
        low = int(bound) if bound.isdigit() else low
    return '-'


def under_load(options, files):
    print('\n| det_500m + mobilefacenet, vultus | figure | wanted |\n| --- | --- | --- |')
    with vultus(options, 'det_500m') as server:
        peak = max(load(options, server, 64, files)['per_second'] for _ in range(options.rounds))
        if not peak:
            sys.exit('serve: not one request was answered in that time; is the machine busy?')
        even, random = (load(options, server, 64, files, rate=0.8 * peak, seconds=3 * options.seconds, evenly=evenly) for evenly in (True, False))
        flood = load(options, server, 512, files, rate=2 * peak, seconds=2 * options.seconds)
    print(f'| requests/s at most | {peak:.1f} | |')
    for name, steady, wanted in (('evenly', even, '3'), ('at random moments (M/D/1, one server with equal services, gives about 5)', random, '')):
        print(f'| at 80% of that, {name}: p99 / median, ms | {steady["p99"]:.1f} / {steady["p50"]:.1f} = {ratio(steady["p99"], steady["p50"])} | {wanted} |')
    print(f'| at 200%: good answers, of the most | {ratio(100 * flood["per_second"], peak)}% ({flood["refused"]} refused, {flood["failed"]} failed) | 95% |', flush=True)
    starts = []
    for _ in range(options.rounds + 2):
        with vultus(options, 'det_500m') as server:
            starts.append((server.ready_seconds, resident_mib(server.process.pid)))
    print(f'| start to ready, s | {statistics.median(s for s, _ in starts):.3f} | 0.5 |')
    print(f'| resident when idle, MiB | {statistics.median(m for _, m in starts):.1f} | 60 |', flush=True)


def peer_python(options):
    """The Python of the peer's own environment, made where it is missing."""
    folder = options.build.resolve() / 'peer-venv'
    if not (folder / 'installed').exists():
        print('serve: installing the packages of the peer', file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, '-m', 'venv', folder], check=True)
        subprocess.run([folder / 'bin/pip', 'install', '-q', '--disable-pip-version-check', '-r', HERE / 'peers/requirements.txt'], check=True)
        (folder / 'installed').touch()
    return folder / 'bin/python'


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', type=pathlib.Path, default=os.environ.get('VULTUS_TEST_DATA', '../shared'))
    parser.add_argument('--build', type=pathlib.Path, default='build')
    parser.add_argument('--cores', default=','.join(map(str, sorted(os.sched_getaffinity(0))[:2])), help='of the servers')
    parser.add_argument('--precision', default='fp32')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--seconds', type=float, default=5)
    parser.add_argument('--workers', type=int, default=0, help='of the peer; 0: the best of a few')
    parser.add_argument('--only', default='', help='rows whose name holds this; load: the last table alone')
    parser.add_argument('--quick', action='store_true', help='one round of three seconds')
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 3
    options.data = options.data.resolve()
    cores = {int(core) for core in options.cores.split(',')}
    options.n_cores = len(cores)
    options.client_cores = ','.join(map(str, sorted(os.sched_getaffinity(0) - cores) or sorted(cores)))
    options.python = peer_python(options)
    return options


def main():
    options = parse()
    with tempfile.TemporaryDirectory() as folder:
        requests = make_requests(options, pathlib.Path(folder))
        if options.only == 'load':
            under_load(options, requests['single'])
            return
        workers = options.workers or best_workers(options, 'det_500m', requests['single'])
        print(f'{options.n_cores} cores, {options.precision}, peer with {workers} workers; vultus / peer; medians of {options.rounds} rounds of '
              f'{options.seconds:g} s; {len(requests["single"])} single-face pictures\n')
        print('| what | connections | requests/s | ratio | wanted | median ms | p99 ms | CPU ms a request | recogniser batch, median | failed |')
        print('| ' + ' | '.join(['---'] * 10) + ' |', flush=True)
        rows = (('single face, det_500m', 'det_500m', 'single', 1.8), ('single face, scrfd_2.5g', 'scrfd_2.5g_bnkps', 'single', 1.5),
                ('embed_only, one crop', 'det_500m', 'crop', '2.5 at 64'), ('lumia.jpg, scrfd_2.5g', 'scrfd_2.5g_bnkps', 'lumia', 1.4))
        for name, detector, which, wanted in rows:
            if options.only in name:
                compare(options, name, detector, requests[which], workers, wanted)
        if not options.only:
            under_load(options, requests['single'])


if __name__ == '__main__':
    main()
