# SPDX-License-Identifier: Apache-2.0
"""Plans built by a child process, and models changed while requests are answered."""
import concurrent.futures
import hashlib
import os
import pathlib
import resource
import shutil
import signal
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
        settings.write_text(f'max_batch: 16\nqueue_length: 7\ngenderage: {ages}\n')
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: server.get('/info').json()['models']['ga_name'] == 'ages')
        assert any('queue_length' in line for line in server.messages)
        for text in (f'genderage: {garbage}\n', 'no: thing\n', 'genderage: [\n'):
            failures = server.metric('vultus_model_failures_total')
            settings.write_text(text)
            server.process.send_signal(signal.SIGHUP)
            wait_for(lambda: server.metric('vultus_model_failures_total') == failures + 1)
            assert server.get('/info').json()['models']['ga_name'] == 'ages' and server.get('/health').status == 200


# ---------------------------------------------------------------- the child

def test_killed_child(start, recogniser, plans, tmp_path):
    """kill -9 while a plan is built: the old models stay, nothing half is left, and the next try works."""
    fresh = tmp_path / 'killed.onnx'
    shutil.copy(recogniser, fresh)
    for plan in plans.glob('killed*.plan'):
        plan.unlink()
    with start('--admin-key', SUM) as server, concurrent.futures.ThreadPoolExecutor(1) as pool:
        before = embed(server)
        changing = pool.submit(change, server, 'rec', fresh)
        wait_for(lambda: children(server) or changing.done())
        for child in children(server):
            os.kill(child, signal.SIGKILL)
        answer = changing.result()
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
