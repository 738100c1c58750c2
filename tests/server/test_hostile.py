# SPDX-License-Identifier: Apache-2.0
"""Clients and hosts that mean harm, or vanish: the server stays, answers others, and counts what happened."""
import base64
import contextlib
import json
import os
import random
import resource
import socket
import struct
import threading
import time

import pytest
from test_http import form

FIELDS = ['images', 'urls', 'data', 'threshold', 'embed_only', 'limit_faces', 'min_face_size', 'msgpack', 'attributes', 'img_req_headers', 'robust']
ROUTES = ['/extract', '/draw_detections', '/v1/extract', '/v1/embed', '/v1/match', '/multipart/draw_detections', '/v1/models/rec']
FINE = {200, 400, 403, 413, 422}
SLOW_CONNECTIONS = int(os.environ.get('VULTUS_SLOW_CONNECTIONS', 300))


def works(server):
    return server.extract({'images': {'urls': ['one.jpg']}, 'extract_embedding': False}).json()['data'][0]['status'] == 'ok'


def some_value(random, depth=0):
    if depth < 4 and random.random() < 0.5:
        children = range(random.randrange(5))
        if random.random() < 0.6:
            return {random.choice(FIELDS): some_value(random, depth + 1) for _ in children}
        return [some_value(random, depth + 1) for _ in children]
    return random.choice([None, True, 0, -1, 1 << 70, 1.5, float('nan'), float('inf'), '', 'one.jpg', 'text', '\0', '\ud7ff', 'x' * 300, -0.0, '1e999'])


def damaged(random, body):
    body = bytearray(body)
    for _ in range(random.randrange(1, 6)):
        at = random.randrange(len(body) + 1)
        if random.random() < 0.5 and body:
            del body[at:at + random.randrange(1, 9)]
        else:
            body[at:at] = random.randbytes(random.randrange(1, 5))
    return bytes(body)


def ask_all(server, requests):
    """All of them over one connection after the other, as long as the server keeps it."""
    connection = server.connect()
    for path, body, headers in requests:
        connection.request('POST', path, body, headers)
        answer = connection.getresponse()
        text = answer.read()
        assert answer.status in FINE or (answer.status == 500 and path.endswith('draw_detections')), (path, body, answer.status, text)
        if answer.getheader('Connection') == 'close':
            connection.close()
            connection = server.connect()
    connection.close()


@pytest.mark.parametrize('seed', range(4))
def test_random_json(server, seed):
    dice = random.Random(seed)
    requests = []
    for _ in range(60):
        value = {'images': {'urls': ['one.jpg']}, 'extract_embedding': False} if dice.random() < 0.3 else some_value(dice)
        body = json.dumps(value).encode()
        requests.append((dice.choice(ROUTES), damaged(dice, body) if dice.random() < 0.4 else body, {'content-type': 'application/json'}))
    ask_all(server, requests)
    assert works(server)


@pytest.mark.parametrize('seed', range(4))
def test_random_msgpack(server, seed):
    msgpack = pytest.importorskip('msgpack')
    dice = random.Random(seed)
    requests = []
    for _ in range(60):
        value = some_value(dice)
        try:
            body = msgpack.packb(value)
        except (OverflowError, ValueError):
            body = dice.randbytes(40)
        body = damaged(dice, body) if dice.random() < 0.5 else body
        requests.append((dice.choice(ROUTES), body, {'content-type': 'application/msgpack', 'accept': dice.choice(['*/*', 'application/x-msgpack'])}))
    ask_all(server, requests)
    assert works(server)


@pytest.mark.parametrize('seed', range(4))
def test_random_forms(server, crop, seed):
    dice = random.Random(seed)
    requests = []
    for _ in range(60):
        parts = [(dice.choice(['file', 'a', 'b', *FIELDS]), dice.choice([crop, b'', b'1', dice.randbytes(30), b'--edge']), dice.choice([None, 'x.png']))
                 for _ in range(dice.randrange(5))]
        body, headers = form(*parts)
        if dice.random() < 0.5:
            body = damaged(dice, body)
        if dice.random() < 0.2:
            headers = {'content-type': dice.choice(['multipart/form-data', 'multipart/form-data; boundary=', 'multipart/form-data; boundary=' + 'e' * 200])}
        requests.append((dice.choice(ROUTES), body, headers))
    ask_all(server, requests)
    assert works(server)


def test_random_bytes(start):
    """What is no HTTP at all."""
    dice = random.Random(0)
    with start('--idle-timeout', 1) as server:
        for _ in range(80):
            head = dice.choice([b'', b'POST /extract HTTP/1.1\r\n', b'POST /extract HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n',
                                b'POST /v1/extract HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Type: image/jpeg\r\n\r\nffffffffffffffff\r\n',
                                b'GET /' + b'a' * 40000 + b' HTTP/1.1\r\n\r\n'])
            with socket.create_connection(('127.0.0.1', server.port), timeout=60) as connection, contextlib.suppress(OSError):
                connection.sendall(head + dice.randbytes(dice.randrange(200)) + b'\r\n\r\n')
        assert works(server)


# ---------------------------------------------------------------- clients that vanish or dawdle

def settled(server):
    end = time.monotonic() + 120
    while server.metric('vultus_requests_in_work') > 0 or server.metric('vultus_bytes_held') > 0:
        assert time.monotonic() < end, 'requests of clients that are gone are still there'
        time.sleep(0.05)


def leave(connection, how):
    if how == 'reset':
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    if how == 'half':
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(120)
        with contextlib.suppress(ConnectionError):
            assert connection.recv(100) == b''
    connection.close()


@pytest.mark.parametrize('length', ['Content-Length: 1000000', 'Transfer-Encoding: chunked'])
def test_gone_in_the_middle_of_a_body(start, length):
    """However a client leaves, its place is free at once, long before the idle time is over, and it is counted."""
    ways = [(how, sent) for how in ('close', 'half', 'reset') for sent in (0, 1, 5000, 200000)]
    with start('--idle-timeout', 600, '--body-timeout', 600) as server:
        head = f'POST /v1/extract HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\n{length}\r\n\r\n'.encode()
        for how, sent in ways:
            connection = socket.create_connection(('127.0.0.1', server.port))
            connection.sendall(head + (b'f4240\r\n' if 'chunked' in length else b'') + b'x' * sent)
            end = time.monotonic() + 60
            while server.metric('vultus_requests_in_work') == 0:
                assert time.monotonic() < end, 'the request did not begin'
            leave(connection, how)
            settled(server)
        assert server.metric('vultus_client_gone_total') == server.metric('vultus_requests_total', code='499') == len(ways)
        assert works(server)
        _, lines = server.stop()
        assert [line['status'] for line in lines if line['path'] == '/v1/extract'] == [499] * len(ways)


@pytest.mark.parametrize('how', ['close', 'half'])
def test_gone_with_the_last_bytes(start, how):
    """The end of the connection comes together with what was sent, before the server has read any of it."""
    with start('--idle-timeout', 600, '--body-timeout', 600) as server:
        head = b'POST /v1/extract HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: 1000000\r\n\r\n'
        tries = 0
        for sent in (0, 1, 5000, 60000) * 10:
            connection = socket.create_connection(('127.0.0.1', server.port))
            connection.sendall(head + b'x' * sent)
            leave(connection, how)
            tries += 1
        end = time.monotonic() + 120
        while server.metric('vultus_client_gone_total') < tries:
            assert time.monotonic() < end, 'clients that left are not counted'
            time.sleep(0.01)
        settled(server)
        assert works(server)


def test_slow_connections(start):
    """Hundreds that send a byte now and then: others are answered, and the slow ones are closed in the end."""
    wanted = SLOW_CONNECTIONS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 2 * wanted + 200)), hard))
    with start('--body-timeout', 3, '--idle-timeout', 4, '--max-connections', wanted + 100, '--queue-length', wanted + 10) as server:
        head = b'POST /v1/extract HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: 1000\r\n\r\n'
        connections = []
        for _ in range(wanted):
            connections.append(socket.create_connection(('127.0.0.1', server.port), timeout=120))
            connections[-1].sendall(head)
        assert works(server)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.sendall(b'x')
        for connection in connections:
            with contextlib.suppress(ConnectionError):
                assert connection.recv(100) == b''
            connection.close()
        settled(server)
        assert server.metric('vultus_timed_out_total') == server.metric('vultus_requests_total', code='408') == wanted
        assert works(server)


def test_url_host_that_stalls(start):
    """It takes the connection and never says a word: that picture fails, the others of the request do not."""
    with socket.create_server(('127.0.0.1', 0)) as host, start('--fetch-private', 'on', '--fetch-timeout', 1, '--fetch-tries', 1) as server:
        url = f'http://127.0.0.1:{host.getsockname()[1]}/x.jpg'
        slow = threading.Thread(target=lambda: answers.append(server.extract({'images': {'urls': [url, 'one.jpg', url]}})))
        answers = []
        slow.start()
        assert works(server)
        slow.join()
        assert [item['status'] for item in answers[0].json()['data']] == ['failed', 'ok', 'failed']
        assert server.metric('vultus_fetches_failed_total') == 2


def test_url_host_that_stalls_longer_than_a_request_may_take(start):
    with socket.create_server(('127.0.0.1', 0)) as host:
        with start('--fetch-private', 'on', '--fetch-timeout', 600, '--request-timeout', 1) as server:
            url = f'http://127.0.0.1:{host.getsockname()[1]}/x.jpg'
            assert server.extract({'images': {'urls': ['one.jpg', url]}}).status == 504
            assert server.metric('vultus_timed_out_total') == 1


def test_many_pictures_that_are_small_bombs(server):
    """A thousand broken pictures in one body are a thousand sentences, not a thousand failures of the server."""
    body = {'images': {'data': [base64.b64encode(bytes([i % 256]) * 20).decode() for i in range(1000)]}}
    assert {item['status'] for item in server.extract(body).json()['data']} == {'failed'}
