# SPDX-License-Identifier: Apache-2.0
"""Back ends in order: which is used, which are skipped and why, on machines with and without a GPU (tests/nvidia pretends one)."""
import json
import pathlib
import re
import shutil
import subprocess

import pytest

GIB = 1 << 30

REASONS = {
    'none': 'finds no device on this machine',
    'old': 'CUDA 11.8, and at least 12.0 is needed',
    'versionless': 'does not tell its version: unknown?error (999)',
    'init': 'cannot be initialised: unknown?error (999)',
    'sm70': 'device 0, Tesla V100, has compute capability 7.0, and at least 7.5 is needed',
    'lost': 'device 0, NVIDIA H100 80GB, takes no work: unknown?error (999)',
    'busy': 'device 0, NVIDIA H100 80GB, is held by another process alone: CUDA-capable device(s) is/are busy or unavailable (46)',
    'prohibited': 'compute mode that lets no program use it',
    'mute': 'does not tell its compute capability',
    'hostile': 'does not tell its compute capability',
}


def doctor(vultus, *arguments, environment=None):
    return json.loads(vultus('doctor', '--json', *arguments, environment=environment).out)


def named(list_, name):
    [found] = [item for item in list_ if item['name'] == name]
    return found


@pytest.mark.parametrize('kind', REASONS)
def test_why_not(vultus, gpu, kind):
    """One sentence with its values, the same wherever it is told."""
    done = vultus('doctor', '--json', environment=gpu(kind))
    about = json.loads(done.out)
    cuda, order = named(about['backends'], 'cuda'), about['backend_order']
    assert not cuda['usable'] and REASONS[kind] in cuda['reason'] and '\n' not in cuda['reason']
    assert order['used'] == 'cpu' and named(order['skipped'], 'cuda')['reason'] == cuda['reason'] == about['nvidia']['cuda']['reason']
    [warning] = [line for line in done.err.splitlines() if 'cuda' in line]
    assert warning == f'vultus: warn: back end cuda is skipped: {cuda["reason"]}'


def test_hidden_devices(vultus, gpu):
    reason = named(doctor(vultus, environment=gpu(CUDA_VISIBLE_DEVICES=''))['backends'], 'cuda')['reason']
    assert reason == 'the NVIDIA driver shows no device to programs with CUDA_VISIBLE_DEVICES=""'


def test_no_driver(vultus, gpu, tmp_path):
    done = vultus('doctor', '--json', environment=gpu(LD_LIBRARY_PATH=str(tmp_path)))
    reason = named(json.loads(done.out)['backends'], 'cuda')['reason']
    assert 'libcuda.so.1' in reason and 'cannot be loaded' in reason and done.err == ''
    assert reason in vultus('doctor', '--backends', 'cuda,cpu', environment=gpu(LD_LIBRARY_PATH=str(tmp_path))).err
    (tmp_path / 'libcuda.so.1').write_text('no library')
    reason = named(doctor(vultus, environment=gpu(LD_LIBRARY_PATH=str(tmp_path)))['backends'], 'cuda')['reason']
    assert 'libcuda.so.1: ' in reason and str(tmp_path) not in reason


@pytest.fixture
def without_module(build):
    if [*build.glob('src/backend/**/libvultus_cuda.so')]:
        pytest.skip('this build has the CUDA kernels')


def test_no_module(vultus, without_module):
    """As every machine without one; it is no warning, since nobody asked for it."""
    done = vultus('doctor', '--json')
    about = json.loads(done.out)
    assert 'this build has no CUDA kernels' in named(about['backends'], 'cuda')['reason'] and done.err == ''
    assert 'warn: back end cuda is skipped: this build has no CUDA kernels' in vultus('doctor', '--backends', 'cuda,cpu').err


def test_modules_that_are_none(vultus, gpu, tmp_path):
    text = tmp_path / 'text.so'
    text.write_text('hello')
    for module, part in {'other_build': 'libmodule_other_build.so is of build 0.0.9-123456789abc, this program is ', 'no_build': 'build unknown',
                         'other_version': 'has no vultus_backend_module_2', text: 'cannot be loaded: text.so: ',
                         tmp_path / 'absent.so': 'cannot be loaded: absent.so: '}.items():
        reason = named(doctor(vultus, environment=gpu(module=module))['backends'], 'cuda')['reason']
        assert part in reason and str(tmp_path) not in reason
    reason = named(doctor(vultus, environment=gpu(VULTUS_FAKE_MODULE='probe'))['backends'], 'cuda')['reason']
    assert reason == 'the library of convolutions is missing'


@pytest.mark.parametrize('place', ['bin/vultus', 'LIBDIR/vultus'])
def test_where_the_module_is(vultus, gpu, build, tmp_path, place):
    """Beside the program or in its library folder, wherever the tree was moved; not in the current folder."""
    libdir = re.search(r'VT_LIBRARY_FOLDER "(.*)"', (build / 'config.h').read_text()).group(1)
    environment = {**vultus.environment, **gpu()}
    module = environment.pop('VULTUS_CUDA_MODULE')
    program, folder = tmp_path / 'bin/vultus-moved', tmp_path / place.replace('LIBDIR', libdir)
    elsewhere = tmp_path / 'elsewhere'
    for new in (program.parent, folder, elsewhere / 'vultus'):
        new.mkdir(parents=True, exist_ok=True)
    shutil.copy(vultus.path, program)
    shutil.copy(module, elsewhere / 'vultus/libvultus_cuda.so')

    def used(**more):
        done = subprocess.run(['vultus', 'doctor', '--json'], executable=program, cwd=elsewhere, env=environment, capture_output=True, **more)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)['backend_order']['used']

    assert used() == 'cpu'
    shutil.copy(module, folder / 'libvultus_cuda.so')
    assert used() == 'cuda'


def test_a_gpu(vultus, gpu):
    about = doctor(vultus, environment=gpu())
    cuda = named(about['backends'], 'cuda')
    assert cuda == {'name': 'cuda', 'usable': True, 'reason': '', 'arch': 'sm90', 'device': 'NVIDIA H100 80GB', 'libraries': 'fake 1'}
    assert about['backend_order']['used'] == 'cuda' and [s['name'] for s in about['backend_order']['skipped']] == ['tensorrt']
    seen = about['nvidia']['cuda']
    assert seen['cuda_version'] == '12.4' and seen['reason'] == ''
    assert seen['devices'] == [{'index': 0, 'name': 'NVIDIA H100 80GB', 'compute_capability': '9.0', 'arch': 'sm90', 'memory': 80 * GIB,
                                'memory_free': 79 * GIB, 'used': True, 'reason': ''}]
    for part in ('name NVIDIA H100 80GB', 'arch sm90', 'celsius 41'):
        assert part in vultus('doctor', environment=gpu()).out


def test_the_second_gpu(vultus, gpu):
    about = doctor(vultus, environment=gpu('two'))
    assert named(about['backends'], 'cuda')['arch'] == 'sm90'
    assert [device['reason'][:20] for device in about['nvidia']['cuda']['devices']] == ['device 0, Tesla V100', '']


def test_several_gpus(vultus, gpu):
    def devices(text, kind='pair'):
        about = doctor(vultus, '--backends', 'cuda,cpu', '--devices', text, environment=gpu(kind))
        return named(about['backends'], 'cuda'), [device['used'] for device in about['nvidia']['cuda']['devices']]
    assert devices('auto')[1] == [True, False] and devices('1')[1] == [False, True] and devices(' 1 , 0')[1] == [True, True]
    assert devices('1', 'two')[0]['usable'] and devices('auto', 'two')[1] == [False, True]
    for text, kind, reason in (
            ('0,2', 'pair', 'device 2 was asked for, and the NVIDIA driver shows 2, from 0 on'),
            ('1,0', 'two', 'device 0, Tesla V100, has compute capability 7.0, and at least 7.5 is needed'),
            ('0,1', 'unlike', 'device 1, NVIDIA H100 80GB, is sm80, and device 0, NVIDIA H100 80GB, is sm90: a plan runs on one architecture')):
        cuda, used = devices(text, kind)
        assert not cuda['usable'] and reason in cuda['reason'] and used == [False, False]


@pytest.mark.parametrize('devices', ['gpu', '0,', ',1', '0,0', '-1', '64', '0;1'])
def test_wrong_devices(vultus, devices):
    assert 'it takes auto, or different numbers from 0 to 63' in vultus.fails('doctor', '--devices', devices)
    assert 'different numbers' in vultus.fails('doctor', environment={'VULTUS_DEVICES': devices})


def test_a_driver_that_lies(vultus, gpu):
    devices = doctor(vultus, environment=gpu('hostile'))['nvidia']['cuda']['devices']
    assert len(devices) == 64
    assert all(set(device['name']) == {'?'} and device['memory'] is None and device['arch'] == '' for device in devices)


# ---------------------------------------------------------------- what NVML reads

def test_readings(vultus, gpu):
    nvml = doctor(vultus, environment=gpu())['nvidia']['nvml']
    assert nvml == {'driver': '550.54.15', 'reason': '', 'gpus': [
        {'index': 0, 'name': 'NVIDIA "H100"?80GB', 'memory': 80 * GIB, 'memory_used': GIB, 'celsius': 41.0, 'watts': 71.5,
         'graphics_mhz': 1980.0, 'memory_mhz': 2619.0}]}


def test_readings_that_cannot_be(vultus, gpu):
    nvml = doctor(vultus, environment=gpu(nvml='absurd'))['nvidia']['nvml']
    assert len(nvml['gpus']) == 32 and set(nvml['driver']) == {'?'}
    lost = doctor(vultus, environment=gpu(nvml='lost'))['nvidia']['nvml']
    for reading in (nvml['gpus'][0], lost['gpus'][0]):
        assert {reading[key] for key in ('memory', 'memory_used', 'celsius', 'watts', 'graphics_mhz', 'memory_mhz')} == {None}
    vultus('doctor', environment=gpu(nvml='absurd'))


@pytest.mark.parametrize('how, part', [('init', 'cannot be initialised: error 999'), ('countless', 'cannot count GPUs: error 999')])
def test_no_readings(vultus, gpu, how, part):
    about = doctor(vultus, environment=gpu(nvml=how))
    assert part in about['nvidia']['nvml']['reason'] and about['nvidia']['nvml']['gpus'] == [] and about['backend_order']['used'] == 'cuda'


def test_no_nvml(vultus, tmp_path):
    about = doctor(vultus, environment={'LD_LIBRARY_PATH': str(tmp_path)})
    if about['nvidia']['nvml']['gpus']:
        pytest.skip('this machine has a GPU')
    assert 'libnvidia-ml.so.1' in about['nvidia']['nvml']['reason']


# ---------------------------------------------------------------- order

@pytest.mark.parametrize('order, used, skipped', [
    ('cuda,cpu', 'cuda', []), ('cpu,cuda', 'cpu', []), ('trt', 'cuda', ['tensorrt']), ('onnx', 'cuda', []), ('cpu', 'cpu', []),
    (' tensorrt , cpu,cpu', 'cpu', ['tensorrt']), ('cuda', 'cuda', [])])
def test_order(vultus, gpu, order, used, skipped):
    for arguments, environment in ((['--backends', order], {}), ([], {'VULTUS_BACKENDS': order})):
        chosen = doctor(vultus, *arguments, environment=gpu(**environment))['backend_order']
        assert (chosen['used'], [s['name'] for s in chosen['skipped']]) == (used, skipped)


@pytest.mark.parametrize('order', ['', 'gpu', 'cuda,', ',cpu', 'cuda cpu', 'CPU'])
def test_orders_that_are_none(vultus, order):
    vultus('doctor', '--backends', order, code=2)
    if order:
        assert 'it takes tensorrt, cuda and cpu' in vultus.fails('doctor', environment={'VULTUS_BACKENDS': order})


def test_cuda_is_not_touched_unless_named(vultus, gpu):
    """The driver would fail loudly; and nothing of it is loaded."""
    done = vultus('doctor', '--json', '--backends', 'cpu', environment=gpu('init', LD_DEBUG='files'))
    assert 'libcuda' not in done.err and 'libnvidia' not in done.err and 'libmodule' not in done.err
    about = json.loads(done.out)
    assert about['nvidia'] is None and named(about['backends'], 'cuda')['reason'] == 'the order of back ends does not name it'


def test_no_driver_is_loaded_without_a_module(vultus, without_module, tiny):
    """Programs without kernels start as fast as if there were no GPUs in this world."""
    done = vultus('build', tiny, environment={'LD_DEBUG': 'files'})
    assert 'file=libcrypto' in done.err and 'libcuda' not in done.err and 'libnvidia' not in done.err


# ---------------------------------------------------------------- building and running

def built(vultus, *arguments, environment=None):
    return json.loads(vultus('build', '--json', *arguments, environment=environment).out)


def test_plans_by_back_end(vultus, gpu, tiny, tmp_path):
    plans = '--plans', tmp_path
    ours = built(vultus, tiny, *plans, environment=gpu())
    assert pathlib.Path(ours['path']).name == 'tiny-fp32-sm90.plan'
    key = json.loads(vultus('info', ours['path'], '--json', environment=gpu()).out)['key']
    assert (key['backend'], key['arch'], key['cpu'], key['libraries']) == ('cuda', 'sm90', 'NVIDIA H100 80GB', 'fake 1')
    assert built(vultus, tiny, *plans, environment=gpu())['cached']
    other = built(vultus, tiny, *plans, '--backend', 'cpu', environment=gpu())
    assert other['path'] != ours['path'] and json.loads(vultus('info', other['path'], '--json').out)['key']['backend'] == 'cpu'
    # A machine without that GPU refuses the plan and says why, and describes it all the same.
    assert 'the plan is for back end cuda, which is not usable here: ' in vultus.fails('bench', ours['path'])
    assert 'CUDA 11.8' in vultus.fails('bench', ours['path'], environment=gpu('old')).splitlines()[-1]
    assert json.loads(vultus('info', ours['path'], '--json').out)['key']['arch'] == 'sm90'
    assert 'the plan\'s arch is sm90, and NVIDIA H100 80GB is sm80; build' in vultus.fails('bench', ours['path'], environment=gpu('sm80'))


def test_a_lost_gpu_of_two(vultus, gpu, tiny, tmp_path):
    """The other goes on, until it is lost, too."""
    command = 'bench', tiny, '--quiet', '--seconds', '0.001', '--plans', tmp_path, '--devices', '0,1'
    done = vultus(*command, '--log', 'debug', environment=gpu('pair'))
    assert [line for line in done.err.splitlines() if 'on device' in line][-2:] == [
        f'vultus: debug: an executable on device {device}' for device in (1, 0)]
    done = vultus(*command, environment=gpu('pair', VULTUS_FAKE_MODULE='run', VULTUS_FAKE_LOST='0', VULTUS_FAKE_RUNS='1'))
    assert float(done.out) > 0
    assert done.err.count('device 0 failed and is not used any more, 1 of 2 go on with tiny: the GPU has fallen off the bus') == 1
    done = vultus(*command, code=1, environment=gpu('pair', VULTUS_FAKE_MODULE='run', VULTUS_FAKE_RUNS='1'))
    assert done.err.count('is not used any more') == 1 and done.err.splitlines()[-1] == 'vultus: the GPU has fallen off the bus'


@pytest.mark.parametrize('command', [['build'], ['bench', '--quiet'], ['compare']])
def test_a_back_end_that_is_named_is_not_replaced(vultus, gpu, tiny, command):
    code = 2 if command == ['compare'] else 1
    done = vultus(*command, tiny, '--backend', 'cuda', code=code, environment=gpu('none'))
    assert done.err.splitlines()[-1] == ('vultus: back end cuda cannot be used here: the NVIDIA driver finds no device on this machine; '
                                         'where none is named the first usable one is taken')
    done = vultus(*command, tiny, '--backend', 'tensorrt', code=code)
    assert 'this build does not include back end tensorrt' in done.err


def test_extract_by_a_named_back_end(vultus, gpu, models, photo):
    assert 'back end cuda cannot be used here: ' in vultus.fails('extract', *models, '--backend', 'cuda', photo)
    assert 'CUDA 11.8' in vultus('extract', *models, '--backend', 'cuda', photo, code=1, environment=gpu('old')).err


def test_strict(vultus, gpu, tiny):
    wrong = 'back end cuda comes first, and falling back to cpu is not allowed (strict): cuda (the NVIDIA driver finds no device'
    for arguments, environment in ((['--strict'], {}), ([], {'VULTUS_STRICT': 'on'})):
        done = vultus('build', tiny, *arguments, code=1, environment=gpu('none', VULTUS_BACKENDS='cuda,cpu', **environment))
        assert wrong in done.err
        about = doctor(vultus, *arguments, environment=gpu('none', VULTUS_BACKENDS='cuda,cpu', **environment))
        assert about['backend_order']['strict'] and about['backend_order']['used'] is None
    assert vultus('build', tiny, '--backends', 'cuda,cpu', '--strict', '--plans', tiny.parent / 'strict', environment=gpu())
    assert 'it takes on or off' in vultus.fails('build', tiny, environment={'VULTUS_STRICT': 'perhaps'})
    assert 'none of the back ends asked for can be used: cuda (' in vultus(
        'build', tiny, '--backends', 'cuda', code=1, environment=gpu('none')).err


def test_out_of_memory(vultus, gpu, tiny, tmp_path):
    """The plan could be built, but its weights find no room: the next back end takes over, and strict refuses."""
    arguments = 'bench', tiny, '--quiet', '--seconds', '0.001', '--plans', tmp_path
    vultus(*arguments, environment=gpu())
    done = vultus(*arguments, environment=gpu(VULTUS_FAKE_MODULE='create'))
    assert float(done.out) > 0
    assert 'warn: back end cuda is skipped for tiny.onnx: the GPU has no 123 MiB of memory left' in done.err
    assert 'no 123 MiB' in vultus(*arguments, '--backends', 'cuda,cpu', '--strict', code=1, environment=gpu(VULTUS_FAKE_MODULE='create')).err
