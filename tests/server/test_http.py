# SPDX-License-Identifier: Apache-2.0
"""The other routes, and what HTTP has to do with: methods, redirects, CORS, limits, paths, urls, stopping."""
import contextlib
import http.client
import json
import pathlib
import re
import signal
import socket
import sys
import threading
import time

import pytest

np, cv2 = pytest.importorskip('numpy'), pytest.importorskip('cv2')
sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / 'cli'))
from file_server import File, Server as FileServer  # noqa: E402

PATHS = {'/extract': 'POST', '/draw_detections': 'POST', '/multipart/draw_detections': 'POST', '/info': 'GET', '/health': 'GET',
         '/': 'GET', '/docs': 'GET', '/openapi.json': 'GET', '/metrics': 'GET', '/v1/extract': 'POST', '/v1/match': 'POST', '/v1/embed': 'POST',
         **{f'/v1/models/{role}': 'POST' for role in ('det', 'rec', 'genderage', 'mask_detector', 'liveness')}, '/v1/live': 'GET', '/v1/ready': 'GET',
         '/v1/status': 'GET'}


def form(*parts):
    """(body, headers) of multipart/form-data from (name, value, file name or None)."""
    body = b''
    for name, value, file in parts:
        disposition = f'form-data; name="{name}"' + (f'; filename="{file}"' if file else '')
        value = value if isinstance(value, bytes) else str(value).encode()
        body += b'--edge\r\nContent-Disposition: ' + disposition.encode() + b'\r\n\r\n' + value + b'\r\n'
    return body + b'--edge--\r\n', {'content-type': 'multipart/form-data; boundary=edge'}


# ---------------------------------------------------------------- routes

def test_info(server):
    """Fact 1.9."""
    info = server.get('/info').json()
    assert list(info) == ['version', 'tensorrt_version', 'log_level', 'models', 'defaults', 'backend_order']
    assert list(info['models']) == ['inference_backend', 'det_name', 'rec_name', 'max_size', 'ga_name', 'mask_detector', 'rec_batch_size',
                                    'det_batch_size', 'force_fp16', 'triton_uri']
    assert list(info['defaults']) == ['return_face_data', 'return_landmarks', 'extract_embedding', 'extract_ga', 'detect_masks', 'det_thresh',
                                      'img_req_headers', 'sslv3_hack']
    assert info['version'] == '0.9.5.0' and info['models']['max_size'] == [640, 640] and info['defaults']['det_thresh'] == 0.6


def test_health(server):
    """Fact 1.9."""
    answer = server.get('/health')
    assert answer.status == 200 and answer.json() == {'status': 'ok'}


def test_root_leads_to_docs(server):
    """Fact 1.1."""
    answer = server.get('/')
    assert (answer.status, answer.headers['location'], answer.body) == (307, '/docs', b'')
    page = server.get('/docs')
    assert page.status == 200 and page.type.startswith('text/html')
    assert not re.search(rb'(?:src|href)="(?:https?:)?//', page.body)


def test_openapi_describes_the_routes(server):
    """Fact 1.1."""
    document = server.get('/openapi.json').json()
    assert document['info']['title'] == 'InsightFace-REST' and document['info']['description'] == 'Face recognition REST API'
    for path, methods in document['paths'].items():
        assert [method.upper() for method in methods] == [PATHS[path]]


@pytest.mark.parametrize('path', PATHS)
def test_wrong_method(server, path):
    """Fact 1.1."""
    other = 'GET' if PATHS[path] == 'POST' else 'POST'
    for method in (other, 'HEAD', 'DELETE'):
        answer = server.ask(method, path)
        assert answer.status == 405 and answer.headers['allow'] == PATHS[path]
        if method != 'HEAD':
            assert answer.json() == {'detail': 'Method Not Allowed'}


def test_unknown_path(server):
    """Fact 1.1."""
    answer = server.get('/nowhere')
    assert answer.status == 404 and answer.json() == {'detail': 'Not Found'}


def test_slash_too_many(server):
    """Fact 1.1."""
    answer = server.ask('POST', '/extract/', '{}')
    assert answer.status == 307 and answer.headers['location'] == f'http://127.0.0.1:{server.port}/extract'


def test_probes(server):
    assert server.get('/v1/live').json() == {'status': 'ok'} and server.get('/v1/ready').json() == {'status': 'ready'}


def test_request_ids(server):
    first, second = server.get('/info'), server.get('/info')
    assert first.headers['x-request-id'] != second.headers['x-request-id']
    assert server.get('/info', **{'X-Request-Id': 'abc-1'}).headers['x-request-id'] == 'abc-1'
    assert server.get('/info', **{'X-Request-Id': 'a"b'}).headers['x-request-id'] != 'a"b'


def test_server_timing(server):
    timing = server.extract({'images': {'urls': ['one.jpg']}}).headers['server-timing']
    stages = dict(re.findall(r'(\w+);dur=([\d.]+)', timing))
    assert {'queue', 'decode', 'letterbox', 'detect', 'embed'} <= set(stages) and float(stages['detect']) > 0


# ---------------------------------------------------------------- drawing

def difference(answer, path):
    drawn = cv2.imdecode(np.frombuffer(answer.body, np.uint8), cv2.IMREAD_COLOR)
    original = cv2.imread(str(path))
    assert drawn.shape == original.shape
    return (np.abs(drawn.astype(int) - original).max(axis=2) > 60).mean()


def test_draw(server, images_root):
    """Facts 1.10, 4, 7.18, 7.26."""
    answer = server.extract({'images': {'urls': ['one.jpg', 'none.jpg']}}, path='/draw_detections')
    assert answer.status == 200 and answer.type == 'image/jpeg' and answer.body[:2] == b'\xff\xd8'
    assert 0.001 < difference(answer, images_root / 'one.jpg') < 0.5


def test_draw_fails(server):
    """Fact 1.10."""
    for body in ({'images': {'urls': ['none.jpg', 'one.jpg']}}, {'images': {}}):
        answer = server.extract(body, path='/draw_detections')
        assert answer.status == 500 and isinstance(answer.json()['detail'], str)


def test_draw_upload(server, images_root):
    """Fact 1.10."""
    picture = (images_root / 'one.jpg').read_bytes()
    plain = server.ask('POST', '/multipart/draw_detections', *form(('file', picture, 'x.jpg')))
    assert plain.status == 200 and plain.body == server.extract({'images': {'urls': ['one.jpg']}}, path='/draw_detections').body
    bare = server.ask('POST', '/multipart/draw_detections', *form(
        ('file', picture, 'x.jpg'), ('draw_landmarks', 'False', None), ('draw_scores', '0', None), ('draw_sizes', 'off', None), ('use_rotation', 'x', None)))
    assert difference(bare, images_root / 'one.jpg') < difference(plain, images_root / 'one.jpg')


def test_upload_problems(server):
    """Facts 1.7, 1.10."""
    answer = server.ask('POST', '/multipart/draw_detections', *form(('other', 'x', None), ('threshold', 'high', None)))
    assert answer.status == 422 and [p['loc'] for p in answer.json()['detail']] == [['body', 'file'], ['body', 'threshold']]
    for body in (b'', b'--edge', b'--edge\r\nContent-Disposition: form-data; name="file"\r\n\r\nx'):
        answer = server.ask('POST', '/multipart/draw_detections', body, form()[1])
        assert answer.status == 400 and answer.json() == {'detail': 'There was an error parsing the body'}
    assert server.ask('POST', '/multipart/draw_detections', *form(('file', 'text', 'x'))).status == 500


# ---------------------------------------------------------------- CORS

def test_cors(server):
    """Facts 1.8, 7.21."""
    answer = server.get('/info', Origin='https://example.org')
    assert answer.headers['access-control-allow-origin'] == '*' and 'access-control-allow-credentials' not in answer.headers
    assert 'access-control-allow-origin' not in server.get('/info').headers


def preflight(server, path='/extract', **headers):
    return server.ask('OPTIONS', path, headers={'Origin': 'https://example.org', 'Access-Control-Request-Method': 'POST', **headers})


def test_preflight(server):
    """Fact 1.8."""
    for path in ('/extract', '/nowhere'):
        answer = preflight(server, path, **{'Access-Control-Request-Headers': 'content-type'})
        assert answer.status == 200 and answer.body == b'OK' and answer.type.startswith('text/plain')
        assert answer.headers['access-control-allow-methods'] == 'DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT'
        assert answer.headers['access-control-allow-origin'] == 'https://example.org' and answer.headers['vary'] == 'Origin'
        assert answer.headers['access-control-allow-headers'] == 'content-type' and answer.headers['access-control-max-age'] == '600'
    assert 'access-control-allow-headers' not in preflight(server).headers
    answer = preflight(server, **{'Access-Control-Request-Method': 'BREW'})
    assert answer.status == 400 and answer.body == b'Disallowed CORS method' and answer.type.startswith('text/plain')
    assert server.ask('OPTIONS', '/extract', headers={'Access-Control-Request-Method': 'POST'}).status == 405


def test_cors_of_one_origin(start):
    with start('--cors-origin', 'https://a.example') as server:
        assert server.get('/info', Origin='https://a.example').headers['access-control-allow-origin'] == 'https://a.example'
        assert 'access-control-allow-origin' not in server.get('/info', Origin='https://b.example').headers
        assert 'access-control-allow-origin' not in preflight(server).headers
    with start('--cors-origin', '') as server:
        assert preflight(server).status == 405


# ---------------------------------------------------------------- paths

@pytest.mark.parametrize('name', ['../secret.jpg', 'test_images/../../secret.jpg', 'link.jpg', '/etc/passwd', '', '.', 'test_images', '/dev/stdin',
                                  'one.jpg\0', 'x' * 5000])
def test_nothing_outside_the_root(server, images_root, name):
    """Facts 2.1, 7.9."""
    for path in {name, name.replace('..', str(images_root.parent))}:
        [item] = server.extract({'images': {'urls': [path]}}).json()['data']
        assert item['status'] == 'failed' and item['traceback'].startswith('File: ') and 'not found' in item['traceback']


def test_paths_inside_the_root(server, images_root):
    """Fact 2.1."""
    items = server.extract({'images': {'urls': ['one.jpg', f'{images_root}/one.jpg', 'test_images/../one.jpg', 'inner.jpg']}}).json()['data']
    assert [item['status'] for item in items] == ['ok'] * 4 and len({json.dumps(item['faces']) for item in items}) == 1


def test_answers_show_no_paths(server, images_root):
    """Facts 7.11, 7.12."""
    texts = [server.extract({'images': {'urls': ['text.jpg', 'none.jpg', '../x']}}).body, server.get('/info').body, server.get('/metrics').body]
    assert [t for t in texts if str(images_root.parent).encode() in t or b'.c:' in t or b'Traceback' in t] == []


# ---------------------------------------------------------------- urls

@pytest.fixture
def files():
    with contextlib.closing(FileServer()) as running:
        yield running


def test_private_addresses_are_refused(server, files, photo):
    """Fact 7.10."""
    files.files['/p.jpg'] = file = File(photo.read_bytes())
    port = files.url.rsplit(':', 1)[1].split('/')[0]
    urls = [f'http://{host}:{port}/p.jpg' for host in ('127.0.0.1', 'localhost', '[::1]', '[::ffff:127.0.0.1]', '0.0.0.0', '2130706433')]
    body = server.extract({'images': {'urls': urls}}).json()
    assert [item['status'] for item in body['data']] == ['failed'] * len(urls) and file.requests == []
    assert server.metric('vultus_fetches_refused_total') >= 1


@pytest.fixture(scope='module')
def fetching(start):
    with start('--fetch-private', 'on', '--fetch-tries', '2', '--max-picture-bytes', '2000000') as running:
        yield running


def test_urls(fetching, files, photo):
    """Fact 2.1."""
    files.files['/p.jpg'] = file = File(photo.read_bytes())
    files.files['/moved'] = File(b'', location='/p.jpg')
    body = fetching.extract({'images': {'urls': [files.url + '/p.jpg', files.url + '/moved', files.url + '/none', 'one.jpg']}}).json()
    assert [item['status'] for item in body['data']] == ['ok', 'ok', 'failed', 'ok']
    assert body['data'][0]['faces'] == body['data'][3]['faces'] and 'Firefox' in file.requests[0]['User-Agent']
    assert 'answers 404' in body['data'][2]['traceback']


def test_headers_replace_the_defaults(fetching, files, photo):
    """Fact 2.1."""
    files.files['/p.jpg'] = file = File(photo.read_bytes())
    fetching.extract({'images': {'urls': [files.url + '/p.jpg']}, 'img_req_headers': {'X-Key': 'k', 'Authorization': 'b c'}})
    assert file.requests[0]['X-Key'] == 'k' and file.requests[0]['Authorization'] == 'b c' and 'Firefox' not in file.requests[0].get('User-Agent', '')
    answer = fetching.extract({'images': {'urls': [files.url + '/p.jpg']}, 'img_req_headers': {'X-Key': 'a\r\nX-Other: b'}})
    assert answer.status == 422


@pytest.mark.parametrize('status, tries', [(404, 1), (403, 1), (401, 1), (500, 2), (429, 2)])
def test_retries(fetching, files, status, tries):
    """Fact 2.1."""
    files.files['/p.jpg'] = file = File(b'', status=status)
    [item] = fetching.extract({'images': {'urls': [files.url + '/p.jpg']}}).json()['data']
    assert item['status'] == 'failed' and len(file.requests) == tries


def test_other_schemes_and_endless_redirects(fetching, files):
    """Fact 7.10."""
    files.files['/loop'] = File(b'', location='/loop')
    files.files['/file'] = File(b'', location='file:///etc/passwd')
    urls = [files.url + '/loop', files.url + '/file', 'httpx://a/b', 'http://', 'http:///etc/passwd']
    assert [i['status'] for i in fetching.extract({'images': {'urls': urls}}).json()['data']] == ['failed'] * len(urls)
    assert len(files.files['/loop'].requests) <= 12


def test_large_files_are_refused(fetching, files):
    """Fact 7.13."""
    files.files['/big'] = File(bytes(3_000_000))
    files.files['/unknown'] = File(bytes(3_000_000), length=False)
    items = fetching.extract({'images': {'urls': [files.url + '/big', files.url + '/unknown']}}).json()['data']
    assert ['2000000' in item['traceback'] for item in items] == [True, True]


# ---------------------------------------------------------------- limits

@pytest.fixture(scope='module')
def narrow(start):
    with start('--max-body-bytes', '100000', '--max-pictures', '3', '--max-faces', '2', '--queue-length', '1', '--body-timeout', '2',
               '--idle-timeout', '3') as running:
        yield running


def test_body_bytes(narrow):
    """Fact 7.13."""
    answer = narrow.extract('{"images":{},"x":"' + 'y' * 200000 + '"}')
    assert answer.status == 413 and '100000' in answer.json()['detail']


def test_body_bytes_without_a_length(narrow):
    """A body in chunks that goes over the limit ends the connection."""
    connection = narrow.connect()
    with pytest.raises((OSError, http.client.HTTPException)):
        connection.request('POST', '/extract', (b'x' * 10000 for _ in range(100)), {'content-type': 'application/json'}, encode_chunked=True)
        connection.getresponse()
    connection.close()
    assert narrow.metric('vultus_refused_size_total') >= 1


def test_pictures(narrow):
    """Fact 7.13."""
    answer = narrow.extract({'images': {'urls': ['one.jpg'] * 4}})
    assert answer.status == 413 and '4' in answer.json()['detail'] and '3' in answer.json()['detail']


def test_faces(narrow):
    [item] = narrow.extract({'images': {'urls': ['group.jpg']}}).json()['data']
    assert len(item['faces']) == 2


def test_deep_and_wide_bodies(narrow):
    assert narrow.extract('[' * 50000).status == 413
    assert narrow.extract('{"images":{},"x":[' + '1,' * 40000 + '1]}').status == 200


def test_slow_body_is_cut_off(narrow):
    with socket.create_connection(('127.0.0.1', narrow.port)) as s:
        s.sendall(b'POST /extract HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n')
        s.settimeout(30)
        with pytest.raises((BrokenPipeError, ConnectionResetError, StopIteration)):
            for _ in range(100):
                s.sendall(b'x')
                time.sleep(0.2)
                try:
                    if s.recv(1, socket.MSG_DONTWAIT) == b'':
                        raise StopIteration
                except BlockingIOError:
                    pass


def test_busy(narrow):
    """A second request while the queue of one is taken by a request whose body is on its way."""
    with socket.create_connection(('127.0.0.1', narrow.port)) as s:
        s.sendall(b'POST /extract HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{')
        until = time.monotonic() + 20
        while narrow.metric('vultus_requests_in_work') < 1 and time.monotonic() < until:
            time.sleep(0.01)
        answer = narrow.extract({'images': {}})
        assert answer.status == 503 and answer.headers['retry-after'] == '1'
        assert narrow.get('/v1/live').status == 200
        s.sendall(b'"images":{}}')
        assert s.recv(100).startswith(b'HTTP/1.1 200')


# ---------------------------------------------------------------- load

@pytest.mark.heavy
def test_answers_under_load_are_those_alone(start):
    """Fact 7.14: Many clients at once get what each gets alone, byte for byte, and their faces share batches."""
    requests = [{'images': {'urls': [name] * n}, 'return_landmarks': True} for name in ('one.jpg', 'two.png') for n in (1, 2)]
    requests.append({'images': {'urls': ['group.jpg']}, 'extract_embedding': True})
    with start('--max-batch-delay-us', '20000') as server:
        def faces(body):
            return [item['faces'] for item in server.extract(body).json()['data']]
        alone = [faces(body) for body in requests]
        wrong = []

        def client(n):
            for i in range(6):
                k = (n + i) % len(requests)
                if faces(requests[k]) != alone[k]:
                    wrong.append(k)
        clients = [threading.Thread(target=client, args=(n,)) for n in range(12)]
        for thread in clients:
            thread.start()
        for thread in clients:
            thread.join()
        assert wrong == []
        together = server.metric('vultus_batch_size_count', network='detector') - server.metric('vultus_batch_size_bucket', network='detector', le='1')
        assert together > 0


def test_client_gone(start):
    with start('--workers', '1') as server:
        with socket.create_connection(('127.0.0.1', server.port)) as s:
            body = json.dumps({'images': {'urls': ['group.jpg'] * 200}}).encode()
            s.sendall(b'POST /extract HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n' % len(body) + body)
            until = time.monotonic() + 60
            while server.metric('vultus_workers_busy') < 1 and time.monotonic() < until:
                time.sleep(0.01)
        until = time.monotonic() + 60
        while server.metric('vultus_client_gone_total') < 1 and time.monotonic() < until:
            time.sleep(0.05)
        assert server.metric('vultus_client_gone_total') == 1
        assert server.extract({'images': {'urls': ['one.jpg']}}).status == 200


def test_deadline(start):
    with start('--workers', '1', '--request-timeout', '1') as server:
        answer = server.extract({'images': {'urls': ['group.jpg'] * 500}})
        assert answer.status == 504 and '1 seconds' in answer.json()['detail']
        assert server.metric('vultus_timed_out_total') == 1


# ---------------------------------------------------------------- stopping and logging

def test_stopping_answers_what_is_in_work(start):
    with start() as server:
        answers = []
        thread = threading.Thread(target=lambda: answers.append(server.extract({'images': {'urls': ['group.jpg'] * 3}})))
        thread.start()
        until = time.monotonic() + 60
        while server.metric('vultus_requests_in_work') < 1 and not answers and time.monotonic() < until:
            time.sleep(0.002)
        code, lines = server.stop(signal.SIGTERM)
        thread.join()
        assert code == 0 and answers[0].status == 200 and len(answers[0].json()['data']) == 3
        [line] = [line for line in lines if line['path'] == '/extract']
        assert line['status'] == 200 and line['pictures'] == 3 and line['faces'] > 0 and line['ms'] > 0 and line['method'] == 'POST'
        assert {'time', 'id', 'remote', 'bytes_in', 'bytes_out'} <= set(line)


def test_port_in_use(server, vultus, models):
    assert 'cannot listen' in vultus.fails('serve', *models, '--port', server.port)


def test_metrics_are_well_formed(server):
    text = server.get('/metrics').body.decode()
    families = re.findall(r'^# TYPE (\w+) (\w+)$', text, re.M)
    assert len(families) == len(set(families)) > 10
    for line in text.splitlines():
        assert line.startswith('# ') or re.fullmatch(r'\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? [-+.e\dInf]+', line), line
    assert 'vultus_build_info{version=' in text and 'vultus_model_info{role="recogniser"' in text
