# SPDX-License-Identifier: Apache-2.0
"""Many pictures: several uploads in one form, answers line by line as they finish, and crops for /v1/embed."""
import base64
import contextlib
import json
import socket
import time

import pytest
from test_http import form

np, cv2 = pytest.importorskip('numpy'), pytest.importorskip('cv2')
NDJSON = {'accept': 'application/x-ndjson'}


def lines(answer):
    assert answer.status == 200 and answer.type == 'application/x-ndjson' and answer.body.endswith(b'\n')
    return [json.loads(line) for line in answer.body.splitlines()]


def without_time(item):
    return {key: value for key, value in item.items() if key not in ('took_ms', 'index')}


def test_several_uploads(server, photo, other, group):
    body, headers = form(('file', photo.read_bytes(), 'a.jpg'), ('limit_faces', 3, None), ('file', b'not a picture', 'b.jpg'),
                         ('file', group.read_bytes(), 'c.jpg'), ('robust', 'no', None))
    found = server.ask('POST', '/v1/extract', body, headers).json()['data']
    want = server.extract({'images': {'urls': ['one.jpg', 'text.jpg', 'group.jpg']}, 'limit_faces': 3}).json()['data']
    assert [without_time(item) for item in found] == [without_time(item) for item in want]
    assert server.ask('POST', '/v1/extract', *form(('picture', photo.read_bytes(), 'a.jpg'))).json()['detail'][0]['loc'] == ['body', 'file']


def test_too_many_uploads(start):
    with start('--max-pictures', 4) as server:
        assert server.ask('POST', '/v1/extract', *form(*[('file', b'x', 'x')] * 5)).status == 413
        assert server.ask('POST', '/v1/extract', *form(*[('file', b'x', 'x')] * 4)).status == 200
        assert server.ask('POST', '/v1/extract', *form(*[('field', b'x', None)] * 1200)).status == 413


def test_lines_are_the_answer(server, photo):
    names = ['one.jpg', 'group.jpg', 'text.jpg', 'two.png', 'none.jpg', 'one.jpg']
    body = {'images': {'urls': names}, 'limit_faces': 4, 'return_landmarks': True}
    want = server.extract(body, path='/v1/extract').json()['data']
    found = lines(server.extract(body, path='/v1/extract', **NDJSON))
    assert sorted(item['index'] for item in found) == list(range(6)) and all(next(iter(item)) == 'index' for item in found)
    assert [without_time(item) for item in sorted(found, key=lambda item: item['index'])] == [without_time(item) for item in want]
    body, headers = form(('file', photo.read_bytes(), 'a'), ('file', photo.read_bytes(), 'b'))
    boxes = [[face['bbox'] for face in item['faces']] for item in lines(server.ask('POST', '/v1/extract', body, {**headers, **NDJSON}))]
    assert boxes == [[face['bbox'] for face in want[0]['faces']]] * 2
    assert lines(server.ask('POST', '/v1/extract', photo.read_bytes(), {'content-type': 'image/jpeg', **NDJSON}))[0]['index'] == 0


def test_no_lines(server):
    answer = server.extract({'images': {'urls': []}}, path='/v1/extract', **NDJSON)
    assert answer.status == 200 and answer.body == b''
    assert server.extract({'images': 3}, path='/v1/extract', **NDJSON).status == 422


def connect(server, pictures, name, receive=0, path='/v1/extract'):
    """A request for lines whose answer is left to the caller."""
    body = json.dumps({'images': {'urls': [name] * pictures}, 'return_face_data': True}).encode()
    connection = socket.socket()
    if receive:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    connection.settimeout(120)
    connection.connect(('127.0.0.1', server.port))
    connection.sendall(b'POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAccept: application/x-ndjson\r\n'
                       b'Content-Length: %d\r\n\r\n' % (path.encode(), len(body)) + body)
    return connection


def test_lines_come_one_by_one(server):
    """The first line is there long before the last picture is searched."""
    with contextlib.closing(connect(server, 300, 'one.jpg')) as connection:
        text = b''
        while b'"index"' not in text:
            text += connection.recv(4096)
        assert server.metric('vultus_requests_in_work') == 1


@pytest.mark.heavy
def test_slow_reader_holds_nothing_up(start, images_root):
    """Who does not read has few pictures searched; who goes away has them given up; others are answered meanwhile."""
    with start('--idle-timeout', 600, '--request-timeout', 600) as server:
        connection = connect(server, 1024, 'one.jpg', receive=4096)
        end = time.monotonic() + 240
        while server.metric('vultus_pictures_total') == 0 or server.metric('vultus_workers_busy') + server.metric('vultus_queue_depth') > 0:
            assert time.monotonic() < end
            time.sleep(0.2)
        searched = server.metric('vultus_pictures_total')
        assert searched < 1024
        assert server.extract({'images': {'urls': ['one.jpg']}}).status == 200
        while server.metric('vultus_pictures_total') == searched:
            assert connection.recv(1 << 16)
        connection.close()
        while server.metric('vultus_requests_in_work') > 0:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert server.metric('vultus_client_gone_total') == 1


def test_stopping_ends_lines(start):
    with start('--drain-timeout', 0) as server:
        with contextlib.closing(connect(server, 900, 'one.jpg', receive=4096)) as connection:
            connection.recv(100)
            assert server.stop()[0] == 0


# ---------------------------------------------------------------- /v1/embed

def test_embed(server, crop):
    [want] = server.extract({'images': {'urls': ['crop.png']}, 'embed_only': True}).json()['data']
    want = {'status': 'ok', **{key: want['faces'][0][key] for key in ('norm', 'vec')}}
    shapes = [server.ask('POST', '/v1/embed', crop, {'content-type': 'image/png'}),
              server.ask('POST', '/v1/embed', *form(('file', crop, 'crop.png'))),
              server.extract({'images': {'data': [base64.b64encode(crop).decode()]}}, path='/v1/embed'),
              server.extract({'images': {'urls': ['crop.png']}}, path='/v1/embed')]
    for answer in shapes:
        assert answer.status == 200 and list(answer.json()) == ['took_ms', 'dimension', 'data']
        assert answer.json()['data'] == [want] and answer.json()['dimension'] == len(want['vec'])


def test_embed_msgpack(server, crop):
    msgpack = pytest.importorskip('msgpack')
    body = msgpack.packb({'images': {'data': [crop, crop]}})
    answer = server.ask('POST', '/v1/embed', body, {'content-type': 'application/msgpack', 'accept': 'application/x-msgpack'})
    items = msgpack.unpackb(answer.body)['data']
    assert len(items) == 2 and np.linalg.norm(items[0]['vec']) == pytest.approx(1, abs=1e-5)


def test_embed_what_is_no_crop(server, crop, photo):
    answer = server.ask('POST', '/v1/embed', *form(('file', photo.read_bytes(), 'a'), ('file', crop, 'b'), ('file', b'text', 'c')))
    items = answer.json()['data']
    assert answer.status == 200 and [item['status'] for item in items] == ['failed', 'ok', 'failed']
    assert '112 x 112' in items[0]['failure'] and list(items[2]) == ['status', 'failure']


def test_embed_lines_are_the_answer(server, crop):
    """In any order; a picture of another size, one that is none, and one that is missing fail alone."""
    names = ['crop.png', 'one.jpg', 'crop.png', 'text.jpg', 'none.jpg', *['crop.png'] * 40]
    body = {'images': {'urls': names}}
    want = server.extract(body, path='/v1/embed').json()['data']
    found = lines(server.extract(body, path='/v1/embed', **NDJSON))
    assert sorted(item['index'] for item in found) == list(range(len(names))) and all(next(iter(item)) == 'index' for item in found)
    assert [without_time(item) for item in sorted(found, key=lambda item: item['index'])] == want
    body, headers = form(('file', crop, 'a'), ('file', crop, 'b'))
    for body, kind in ((body, headers['content-type']), (crop, 'image/png')):
        found = lines(server.ask('POST', '/v1/embed', body, {'content-type': kind, **NDJSON}))
        assert [without_time(item) for item in found] == [want[0]] * (1 + ('form' in kind))


def test_embed_lines_are_counted(start, crop):
    with start() as server:
        before = server.metric('vultus_pictures_total'), server.metric('vultus_faces_total'), server.metric('vultus_pictures_failed_total')
        server.extract({'images': {'urls': ['crop.png', 'crop.png', 'text.jpg']}}, path='/v1/embed', **NDJSON)
        after = server.metric('vultus_pictures_total'), server.metric('vultus_faces_total'), server.metric('vultus_pictures_failed_total')
        assert [b - a for a, b in zip(before, after)] == [3, 2, 1]
        _, access = server.stop()
        [line] = [line for line in access if line['path'] == '/v1/embed']
        assert line['pictures'] == 3 and line['faces'] == 2 and line['status'] == 200


def test_no_embed_lines(start, crop):
    with start('--max-pictures', 4) as server:
        answer = server.extract({'images': {'urls': []}}, path='/v1/embed', **NDJSON)
        assert answer.status == 200 and answer.body == b'' and answer.type == 'application/x-ndjson'
        assert server.extract({'images': 3}, path='/v1/embed', **NDJSON).status == 422
        assert server.extract({'images': {'urls': ['crop.png'] * 5}}, path='/v1/embed', **NDJSON).status == 413


def test_embed_lines_come_one_by_one(start):
    """The first is read while most are not begun: the client takes no more than its small window. Then it leaves."""
    with start('--idle-timeout', 600) as server:
        with contextlib.closing(connect(server, 1000, 'crop.png', receive=4096, path='/v1/embed')) as connection:
            text = b''
            while b'"index"' not in text:
                text += connection.recv(4096)
            assert server.metric('vultus_requests_in_work') == 1
        end = time.monotonic() + 240
        while server.metric('vultus_requests_in_work') > 0:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert server.metric('vultus_client_gone_total') == 1


def test_late_embed_lines(start):
    """A url whose host is silent holds the request up: it ends with its time, and the crop that is there is told."""
    with socket.create_server(('127.0.0.1', 0)) as host, start('--request-timeout', 2, '--fetch-private', 'on', '--fetch-timeout', 600) as server:
        url = f'http://127.0.0.1:{host.getsockname()[1]}/x.png'
        first, last = lines(server.extract({'images': {'urls': ['crop.png', url]}}, path='/v1/embed', **NDJSON))
        assert first['index'] == 0 and first['status'] == 'ok'
        assert list(last) == ['detail'] and server.metric('vultus_timed_out_total') == 1
