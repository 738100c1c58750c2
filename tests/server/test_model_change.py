# SPDX-License-Identifier: Apache-2.0
"""Plans built by a child process, and models changed while requests are answered."""
import concurrent.futures
import contextlib
import hashlib
import os
import pathlib
import resource
import shutil
import signal
import socket
import sys
import time

import pytest

np = pytest.importorskip('numpy')
pytest.importorskip('onnx')
sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / 'golden'))
from test_attributes import seeded  # noqa: E402

ADMIN = 'the administrator'
SUM = hashlib.sha256(ADMIN.encode()).hexdigest()
PATIENCE_SECONDS = 120


def change(server, role, model, key=ADMIN):
    return server.extract({'model': str(model)}, path=f'/v1/models/{role}', **({'x-api-key': key} if key else {}))


def embed(server):
    answer = server.extract({'images': {'urls': ['crop.png']}, 'embed_only': True})
    assert answer.status == 200, answer.body
    return tuple(answer.json()['data'][0]['faces'][0]['vec'])


def wait_for(condition):
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, 'it did not happen'
        time.sleep(0.02)


def children(server):
    return [int(pid) for pid in pathlib.Path(f'/proc/{server.process.pid}/task').glob('*/children') for pid in pid.read_text().split()]


@pytest.fixture(scope='module')
def recogniser(tmp_path_factory):
    """Another one."""
    return seeded(tmp_path_factory.mktemp('recogniser') / 'other.onnx', 112, 512, seed=3)


@pytest.fixture(scope='module')
def garbage(tmp_path_factory):
    path = tmp_path_factory.mktemp('garbage') / 'garbage.onnx'
    path.write_bytes(np.random.default_rng(1).bytes(5000))
    return path


def test_change_and_back(start, models, recogniser, garbage):
    with start('--admin-key', SUM) as server:
        before = embed(server)
        answer = change(server, 'rec', recogniser)
        assert answer.status == 200 and answer.json() == {'role': 'rec', 'model': str(recogniser)}
        assert server.get('/info').json()['models']['rec_name'] == 'other' and 'name="other"' in server.get('/metrics').body.decode()
        after = embed(server)
        assert after != before
        refused = change(server, 'rec', garbage)
        assert refused.status == 422 and 'garbage.onnx' in refused.json()['detail'] and embed(server) == after
        assert change(server, 'rec', 'absent.onnx').status == 422 and change(server, 'det', recogniser).status == 422
        assert change(server, 'genderage', models[1]).status == 422
        assert change(server, 'rec', models[3]).status == 200 and embed(server) == before
        assert server.metric('vultus_model_changes_total') == 2 and server.metric('vultus_model_failures_total') == 4


def test_who_may_change(start, models):
    with start('--admin-key', SUM) as server:
        assert change(server, 'rec', models[3], key=None).status == 401 and change(server, 'rec', models[3], key='another').status == 401
        for body in ('', '{}', '[]', '{"model": 3}', '{"model": "%s"}' % ('x' * 600), '{"model": "a\\u0000b"}', 'text'):
            assert server.extract(body, path='/v1/models/rec', **{'authorization': f'Bearer {ADMIN}'}).status == 422
        assert change(server, 'nothing', models[3]).status == 404
    with start() as server:
        assert change(server, 'rec', models[3]).status == 403


def test_answers_are_of_one_model(start, models, recogniser):
    """While models change, every answer with several crops is wholly one model's."""
    with start('--admin-key', SUM) as server:
        before = embed(server)
        assert change(server, 'rec', recogniser).status == 200
        known = {before, embed(server)}
        assert len(known) == 2

        def ask(_):
            items = server.extract({'images': {'urls': ['crop.png'] * 9}, 'embed_only': True}).json()['data']
            return {tuple(item['faces'][0]['vec']) for item in items}

        with concurrent.futures.ThreadPoolExecutor(9) as pool:
            changes = pool.submit(lambda: [change(server, 'rec', m).status for m in [models[3], recogniser] * 4])
            answers = []
            while not changes.done():
                answers += pool.map(ask, range(8))
        assert changes.result() == [200] * 8 and all(len(answer) == 1 for answer in answers)
        assert set().union(*answers) <= known


def test_settings_read_again(start, models, recogniser, garbage, tmp_path):
    settings = tmp_path / 'vultus.yaml'
    settings.write_text('max_batch: 16\n')
    with start('--config', settings) as server:
        assert server.get('/info').json()['models']['ga_name'] is None
        ages = seeded(tmp_path / 'ages.onnx', 112, 202, seed=8)
        settings.write_text(f'max_batch: 16\nworkers: 7\ngenderage: {ages}\n')
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: server.get('/info').json()['models']['ga_name'] == 'ages')
        assert any('workers has another value' in line and 'started again' in line for line in server.messages)
        for text in (f'genderage: {garbage}\n', 'no: thing\n', 'genderage: [\n'):
            failures = server.metric('vultus_model_failures_total')
            settings.write_text(text)
            server.process.send_signal(signal.SIGHUP)
            wait_for(lambda: server.metric('vultus_model_failures_total') == failures + 1)
            assert server.get('/info').json()['models']['ga_name'] == 'ages' and server.get('/health').status == 200


def reread(server, settings, text):
    """Has the settings read again, and waits until their models are in service."""
    settings.write_text(text)
    before = len(server.messages)
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: any('settings were read again' in line or 'in force stay' in line for line in server.messages[before:]))


def test_keys_read_again(start, tmp_path):
    """A key that is taken away opens nothing any more, a new one does; what is no sum of a key changes nothing."""
    settings = tmp_path / 'vultus.yaml'
    sums = {key: hashlib.sha256(key.encode()).hexdigest() for key in ('old', 'new', 'admin')}

    def opens(key):
        return server.get('/info', **({'X-API-Key': key} if key else {})).status == 200

    settings.write_text(f'api_keys: {sums["old"]}\n')
    with start('--config', settings) as server:
        assert [opens(key) for key in ('old', 'new', None)] == [True, False, False]
        assert change(server, 'rec', 'absent.onnx', key='admin').status == 403
        reread(server, settings, f'api_keys: {sums["new"]}\nadmin_key: {sums["admin"]}\n')
        assert [opens(key) for key in ('old', 'new', None)] == [False, True, False]
        assert change(server, 'rec', 'absent.onnx', key='admin').status == 422
        reread(server, settings, 'api_keys: secret\nmax_pictures: 1\n')
        assert [opens(key) for key in ('old', 'new', None)] == [False, True, False]
        assert server.extract({'images': {'urls': ['one.jpg'] * 2}}, **{'X-API-Key': 'new'}).status == 200
        reread(server, settings, '')
        assert [opens(key) for key in ('old', 'new', None)] == [True, True, True]
        assert not [line for line in server.messages if any(part in line for part in (*sums.values(), 'secret'))]


def test_limits_read_again(start, tmp_path):
    settings = tmp_path / 'vultus.yaml'
    settings.write_text('')
    two = {'images': {'urls': ['group.jpg'] * 2}, 'extract_embedding': False}
    with start('--config', settings, '--max-faces', 3) as server:
        before = server.extract(two).json()['data']
        assert len(before[0]['faces']) == 3 and 'landmarks' not in before[0]['faces'][0]
        reread(server, settings, 'max_pictures: 1\ndefault_landmarks: on\ncors_origin: ""\nshown_version: other\nmax_faces: 1\nport: 1\n')
        assert server.extract(two).status == 413 and server.get('/info').json()['version'] == 'other'
        [item] = server.extract({**two, 'images': {'urls': ['group.jpg']}}).json()['data']
        assert len(item['faces']) == 3 and 'landmarks' in item['faces'][0], 'a flag wins over the file, then as at the start'
        assert 'access-control-allow-origin' not in server.get('/info', Origin='https://a.example').headers
        reread(server, settings, 'max_body_bytes: 10\naccess_log: off\n')
        assert server.extract(two).status == 413 and server.get('/info', Origin='https://a.example').headers['access-control-allow-origin'] == '*'
        reread(server, settings, 'access_log: off\n')
        assert server.extract(two).json()['data'][0]['faces'] == before[0]['faces']
        assert not [line for line in server.messages if 'port has' in line], 'a flag names it'
        _, lines = server.stop()
        assert 0 < len(lines) < 12 and lines[0]['path'] == '/extract'


def test_limits_shrink_under_a_body(start, tmp_path):
    """A body that was begun under a larger limit is held to the new one."""
    settings = tmp_path / 'vultus.yaml'
    settings.write_text('')
    with start('--config', settings) as server, socket.create_connection(('127.0.0.1', server.port)) as connection:
        connection.sendall(b'POST /extract HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n'
                           b'7d0\r\n' + b' ' * 2000 + b'\r\n')
        wait_for(lambda: server.metric('vultus_bytes_held') > 0)
        reread(server, settings, 'max_body_bytes: 1000\n')
        connection.settimeout(PATIENCE_SECONDS)
        with contextlib.suppress(ConnectionError):
            connection.sendall(b'1\r\n \r\n')
            assert connection.recv(100) == b''
        wait_for(lambda: server.metric('vultus_requests_in_work') == 0)
        assert server.metric('vultus_refused_size_total') == 1


def test_settings_change_under_load(start, tmp_path):
    """Every request is answered by one setting or the other."""
    settings = tmp_path / 'vultus.yaml'
    settings.write_text('')
    with start('--config', settings) as server, concurrent.futures.ThreadPoolExecutor(6) as pool:
        done = []

        def client(_):
            statuses = set()
            while not done:
                answer = server.extract({'images': {'urls': ['one.jpg'] * 2}, 'extract_embedding': False})
                statuses.add((answer.status, len(answer.json().get('data', []))))
            return statuses

        clients = [pool.submit(client, n) for n in range(6)]
        for n in range(10):
            reread(server, settings, f'max_pictures: {1 + n % 2}\nqueue_length: {100 + n}\n')
        done.append(True)
        assert set().union(*(c.result() for c in clients)) <= {(200, 2), (413, 0)}


# ---------------------------------------------------------------- the child

def kill_a_build(server, plans, model):
    """The answer to a change whose child was killed; None: it was done before that."""
    for plan in plans.glob(f'{model.stem}*.plan'):
        plan.unlink()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        changing = pool.submit(change, server, 'rec', model)
        wait_for(lambda: children(server) or changing.done())
        for child in children(server):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        return changing.result() if changing.result().status != 200 else None


def test_killed_child(start, models, recogniser, plans, tmp_path):
    """kill -9 while a plan is built: the old models stay, nothing half is left, and the next try works."""
    fresh = tmp_path / 'killed.onnx'
    shutil.copy(recogniser, fresh)
    with start('--admin-key', SUM) as server:
        before = embed(server)
        while not (answer := kill_a_build(server, plans, fresh)):
            assert change(server, 'rec', models[3]).status == 200
        assert answer.status == 422 and 'signal 9' in answer.json()['detail']
        assert embed(server) == before and server.metric('vultus_model_failures_total') == 1
        assert not list(plans.glob('killed*.plan'))
        assert change(server, 'rec', fresh).status == 200 and embed(server) != before


def test_full_disk(start, plans, tmp_path):
    """No file may grow over a limit, as on a full disk: the plan cannot be written."""
    for plan in plans.glob('full*.plan'):
        plan.unlink()
    with start('--admin-key', SUM) as server:
        before = embed(server)
        limit = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (20000, limit[1]))
        fresh = seeded(tmp_path / 'full.onnx', 112, 512, seed=11)
        answer = change(server, 'rec', fresh)
        assert answer.status == 422 and embed(server) == before and not list(plans.glob('full*.plan'))
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, limit)
        assert change(server, 'rec', fresh).status == 200 and embed(server) != before


def test_stopping_ends_a_build(start, tmp_path, models):
    with start('--admin-key', SUM) as server, concurrent.futures.ThreadPoolExecutor(1) as pool:
        fresh = tmp_path / 'fresh.onnx'
        shutil.copy(models[3], fresh)
        changing = pool.submit(change, server, 'rec', fresh)
        wait_for(lambda: children(server) or changing.done())
        [*built] = children(server)
        assert server.stop()[0] == 0
        assert all(not pathlib.Path(f'/proc/{child}').exists() for child in built)
        changing.exception()


def test_garbage_at_the_start(vultus, models, garbage):
    sentence = vultus.fails('serve', '--port', 0, *models[:2], '--rec', garbage)
    assert 'garbage.onnx' in sentence
