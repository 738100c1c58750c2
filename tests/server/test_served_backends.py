# SPDX-License-Identifier: Apache-2.0
"""Which back end answers and why not another, on every surface of the server; and a GPU that fails while it serves."""
import re

import pytest
from conftest import alike

NO_DEVICE = 'the NVIDIA driver finds no device on this machine'
FALLEN = 'the GPU has fallen off the bus'


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('folder')


@pytest.fixture(scope='module')
def small(root):
    """The starter pack, whose folder take little time to build."""
    return ['--det', root / 'models/starter/starter_det.onnx', '--rec', root / 'models/starter/starter_rec.onnx', '--input-size', '320x320',
            '--max-batch', '2']


@pytest.fixture(scope='module')
def picture(root):
    return (root / 'examples/group.jpg').read_bytes()


def surfaces(server, picture):
    """What each surface says: {name: (used, {skipped: reason})}."""
    def of(order):
        return order['used'], {skipped['name']: skipped['reason'] for skipped in order['skipped']}

    answer = server.ask('POST', '/v1/extract', picture, {'content-type': 'image/jpeg'})
    assert answer.status == 200, answer.body
    header = answer.headers.get('x-backend-skipped', '')
    told = {name: of(server.get(path).json()['backend_order']) for name, path in (('info', '/info'), ('status', '/v1/status'))}
    told['header'] = answer.headers['x-backend'], dict(re.findall(r'(\w+) \((.*?)\)(?:, |$)', header))
    return told, answer.json()['data'][0]['faces']


def usable(server):
    return {name: server.metric('vultus_backend_usable', backend=name) for name in ('tensorrt', 'cuda', 'cpu')}


def test_without_a_gpu(start, gpu, small, folder, picture):
    with start(*small, '--plans', folder, '--backends', 'cuda,cpu', environment=gpu('none')) as server:
        told, _ = surfaces(server, picture)
        assert told == dict.fromkeys(told, ('cpu', {'cuda': NO_DEVICE}))
        assert server.metric('vultus_backend_usable', backend='cuda') == 0 and server.metric('vultus_backend_usable', backend='cpu') == 1
        assert server.metric('vultus_backend_fallbacks_total') == 1
        assert f'vultus: warn: back end cuda is skipped: {NO_DEVICE}' in server.messages
        assert server.get('/info').json()['models']['inference_backend'] == 'onnx'
        assert all('cuda' not in str(path) for path in folder.iterdir()) and not list(folder.glob('*sm90*'))


def test_headers_only_where_there_was_work(server):
    answer = server.extract({'images': {'urls': ['one.jpg']}})
    assert answer.headers['x-backend'] == 'cpu' and 'tensorrt (this build does not include it)' in answer.headers['x-backend-skipped']
    assert 'x-backend' not in server.get('/v1/live').headers
    assert server.metric('vultus_gpu_info') == 0


@pytest.fixture(scope='module')
def on_cpu(start, small, folder, picture):
    with start(*small, '--plans', folder, '--backends', 'cpu') as server:
        return surfaces(server, picture)[1]


def test_with_a_gpu(start, gpu, small, folder, picture, on_cpu):
    """Plans are built for it, and for what would take over."""
    with start(*small, '--plans', folder, environment=gpu()) as server:
        names = {path.name for path in folder.glob('*.plan')}
        assert len([name for name in names if 'sm90' in name]) == 2 and len([name for name in names if 'sm90' not in name]) == 2
        told, faces = surfaces(server, picture)
        assert told == dict.fromkeys(told, ('cuda', {'tensorrt': 'this build does not include it'}))
        assert alike(faces, on_cpu)
        assert usable(server) == {'tensorrt': 0, 'cuda': 1, 'cpu': 1}
        assert server.metric('vultus_model_info', backend='cuda') == 2
        assert server.get('/info').json()['models']['inference_backend'] == 'trt'
        text = server.get('/metrics').body.decode()
        assert 'vultus_gpu_info{gpu="0",name="NVIDIA \\"H100\\"?80GB"} 1' in text
        for name, value in {'memory_used_bytes': 1 << 30, 'memory_bytes': 80 << 30, 'celsius': 41, 'watts': 71.5, 'clock_hertz': 1980e6,
                            'memory_clock_hertz': 2619e6}.items():
            assert server.metric(f'vultus_gpu_{name}', gpu='0') == value
        assert server.get('/v1/status').json()['gpus'][0]['watts'] == 71.5


def test_readings_that_cannot_be(start, gpu, small, folder):
    with start(*small, '--plans', folder, environment=gpu(nvml='absurd')) as server:
        text = server.get('/metrics').body.decode()
        assert text.count('vultus_gpu_info{') == 32 and 'vultus_gpu_watts{' not in text and 'vultus_gpu_memory_bytes{' not in text
        assert server.get('/v1/status').status == 200


def test_a_gpu_that_fails_while_it_serves(start, gpu, small, folder, picture, on_cpu):
    """No request fails: what was in work is done by the plan that stands by, and nothing is built for it."""
    with start(*small, '--plans', folder, environment=gpu(VULTUS_FAKE_MODULE='run', VULTUS_FAKE_RUNS='3')) as server:
        before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
        assert usable(server)['cuda'] == 1
        for _ in range(4):
            told, faces = surfaces(server, picture)
            assert alike(faces, on_cpu)
        assert told == dict.fromkeys(told, ('cpu', {'tensorrt': 'this build does not include it', 'cuda': FALLEN}))
        assert usable(server) == {'tensorrt': 0, 'cuda': 0, 'cpu': 1}
        assert server.metric('vultus_backend_fallbacks_total') == 2 and server.metric('vultus_model_info', backend='cpu') >= 1
        assert [line for line in server.messages if 'takes over for' in line and FALLEN in line]
        [shown] = [backend for backend in server.get('/v1/status').json()['backends'] if backend['name'] == 'cuda']
        assert (shown['usable'], shown['reason']) == (False, FALLEN)
        assert server.metric('vultus_backend_skipped_info', backend='cuda', reason=FALLEN) == 1
        assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_a_gpu_without_memory(start, gpu, small, folder, picture, on_cpu):
    with start(*small, '--plans', folder, environment=gpu(VULTUS_FAKE_MODULE='create')) as server:
        told, faces = surfaces(server, picture)
        assert alike(faces, on_cpu) and told['info'][0] == 'cpu' and 'no 123 MiB of memory left' in told['info'][1]['cuda']
        assert len(set(map(str, told.values()))) == 1
        assert any('back end cuda is skipped: ' in line and '123 MiB' in line for line in server.messages)


def test_strict(vultus, gpu, small, folder):
    serve = 'serve', *small, '--plans', folder, '--port', 0, '--backends', 'cuda,cpu', '--strict', 'on'
    done = vultus(*serve, code=1, environment=gpu('none'))
    assert f'falling back to cpu is not allowed (strict): cuda ({NO_DEVICE})' in done.err.splitlines()[-1]
    assert 'no 123 MiB' in vultus(*serve, code=1, environment=gpu(VULTUS_FAKE_MODULE='create')).err.splitlines()[-1]
    assert 'none of the back ends asked for can be used: tensorrt (' in vultus(
        'serve', *small, '--plans', folder, '--port', 0, '--backends', 'tensorrt', code=1).err


def test_names_of_insightface_rest(start, small, folder, gpu):
    with start(*small, '--plans', folder, environment={'INFERENCE_BACKEND': 'trt'}) as server:
        assert server.get('/info').json()['backend_order']['order'] == ['tensorrt', 'cuda', 'cpu']
    with start(*small, '--plans', folder, environment={'INFERENCE_BACKEND': 'onnx'}) as server:
        assert server.get('/info').json()['backend_order']['order'] == ['cuda', 'cpu']
