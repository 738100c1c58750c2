# SPDX-License-Identifier: Apache-2.0
"""What black-box tests share: the program, models and photos, and a plan folder that lives as long as the build.

Where there is no test data, models and photos are the starter pack and the sample picture that come with the sources.
"""
import json
import os
import pathlib
import shlex
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
LONGEST_SECONDS = 600
FULL = bool(os.environ.get('VULTUS_TEST_FULL'))  # every picture, and the soak for longer; otherwise what fits into CI
MEASURED_START = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


def pytest_configure(config):
    config.addinivalue_line('markers', 'heavy: memory and load, which sanitizers would only stretch; they leave it out')
    config.addinivalue_line('markers', 'soak: minutes of mixed load')


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.get_closest_marker('soak') is None)  # it takes the longest: beside the others, not after them


@pytest.fixture(scope='session')
def full():
    return FULL


@pytest.fixture(scope='session')
def root():
    return ROOT


@pytest.fixture(scope='session')
def build():
    """The meson build folder under test."""
    return pathlib.Path(os.environ.get('VULTUS_BUILD', ROOT / 'build'))


TEST_DATA = pathlib.Path(os.environ.get('VULTUS_TEST_DATA', ROOT / '../shared')).resolve()
HAVE_TEST_DATA = (TEST_DATA / 'models').is_dir()


@pytest.fixture(scope='session')
def data():
    if not HAVE_TEST_DATA:
        pytest.skip(f'VULTUS_TEST_DATA is absent: there is no {TEST_DATA}/models')
    return TEST_DATA


@pytest.fixture(scope='session')
def plans(build):
    """Kept between runs: building plans is most of the time."""
    folder = build / 'test-plans'
    folder.mkdir(exist_ok=True)
    return folder


class Program:
    """Calls the command, by way of VULTUS_EXE_WRAPPER where it is set (an emulator and its options). A call that dies of a signal fails the test whatever it expected."""

    def __init__(self, path, environment):
        self.path, self.environment = path, environment
        self.command = [*shlex.split(os.environ.get('VULTUS_EXE_WRAPPER', '')), path]

    def __call__(self, *arguments, code=0, stdin=None, environment=None, **more):
        done = subprocess.run([*self.command, *map(os.fspath, map(_text, arguments))], input=stdin, capture_output=True,
                              env={**self.environment, **(environment or {})}, timeout=LONGEST_SECONDS, **more)
        done.out, done.err = done.stdout.decode(errors='replace'), done.stderr.decode(errors='replace')
        assert done.returncode == code, f'{arguments}: exit code {done.returncode}, wanted {code}\n{done.out}\n{done.err}'
        assert 'Sanitizer' not in done.err and 'runtime error' not in done.err, done.err
        return done

    def start(self, *arguments, environment=None):
        return subprocess.Popen([*self.command, *map(_text, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                env={**self.environment, **(environment or {})})

    def peak_kib(self, *arguments, code=0):
        """KiB of memory that a call had at most. A small process starts it: a process inherits the peak of the one that forks it."""
        done = subprocess.run([sys.executable, '-c', MEASURED_START, *self.command, *map(_text, arguments)], env=self.environment,
                              capture_output=True, timeout=LONGEST_SECONDS)
        assert done.returncode == code, done.stderr.decode(errors='replace')
        return int(done.stdout)

    def fails(self, *arguments, **more):
        """Exit code 1 and one sentence; returns it."""
        done = self(*arguments, code=1, **more)
        lines = [line for line in done.err.splitlines() if not line.startswith(('vultus: taking the', 'vultus: building ', 'vultus: info: '))]
        assert len(lines) == 1 and lines[0].startswith('vultus: ') and len(lines[0]) > 20, done.err
        return lines[0]


def _text(argument):
    return argument if isinstance(argument, (str, bytes)) else str(argument)


@pytest.fixture(scope='session')
def vultus(build, plans):
    path = build / 'tools' / 'vultus'
    assert path.exists(), f'{path} is not built'
    environment = {k: v for k, v in os.environ.items() if not k.startswith('VULTUS_')}
    environment['VULTUS_PLANS'] = str(plans)
    return Program(path, environment)


@pytest.fixture(scope='session')
def gpu(build):
    """gpu('sm90', module='good', nvml='', ...): the environment of a machine with that GPU, none of which is real."""
    folder = build / 'tests/nvidia'
    if not (folder / 'libcuda.so.1').exists():
        pytest.skip('this build does not look for GPUs')

    def environment(kind='sm90', module='good', nvml='', **more):
        path = folder / f'libmodule_{module}.so' if '/' not in str(module) else module
        return {'LD_LIBRARY_PATH': str(folder), 'VULTUS_FAKE_GPU': kind, 'VULTUS_CUDA_MODULE': str(path), 'VULTUS_FAKE_NVML': nvml, **more}
    return environment


@pytest.fixture(scope='session')
def models(root):
    """The detector and the recogniser, as arguments."""
    folder, names = root / 'models/starter', ('starter_det', 'starter_rec')
    if HAVE_TEST_DATA:
        folder, names = TEST_DATA / 'models', ('scrfd_2.5g_bnkps', 'mobilefacenet')
    return ['--det', str(folder / f'{names[0]}.onnx'), '--rec', str(folder / f'{names[1]}.onnx')]


@pytest.fixture(scope='session')
def group(root):
    """A picture of many faces."""
    return TEST_DATA / 'images/lumia.jpg' if HAVE_TEST_DATA else root / 'examples/group.jpg'


@pytest.fixture(scope='session')
def portraits(root, vultus, models, tmp_path_factory):
    """Two pictures of one face each, of different people and in different formats."""
    if HAVE_TEST_DATA:
        return TEST_DATA / 'images/Stallone.jpg', TEST_DATA / 'people/amy/amy1.png'
    return cut_portraits(vultus, models, root / 'examples/group.jpg', tmp_path_factory.mktemp('portraits'))


def cut_portraits(vultus, models, picture, folder):
    """Cuts faces out of a picture until the detector finds exactly one in each of two pieces."""
    cv2 = pytest.importorskip('cv2')
    pixels, names = cv2.imread(str(picture)), ['first.jpg', 'second.png']
    [record] = json.loads(vultus('extract', *models[:2], '--no-embeddings', '--json', picture).out)
    for face in record['faces']:
        x1, y1, x2, y2 = face['bbox']
        margin = 0.5 * max(x2 - x1, y2 - y1)
        left, top = (max(int(v - margin), 0) for v in (x1, y1))
        piece = folder / names[0]
        cv2.imwrite(str(piece), pixels[top:int(y2 + margin), left:int(x2 + margin)])
        [found] = json.loads(vultus('extract', *models[:2], '--no-embeddings', '--json', piece).out)
        if [f['pass'] for f in found['faces']] == ['plain']:
            names.pop(0)
        if not names:
            return folder / 'first.jpg', folder / 'second.png'
    raise AssertionError(f'{picture} has fewer than two faces that are found alone')


@pytest.fixture(scope='session')
def photo(portraits):
    return portraits[0]


@pytest.fixture(scope='session')
def other(portraits):
    """Where there is test data, a picture that its face fills, found by the margin pass only."""
    return portraits[1]


@pytest.fixture(scope='session')
def tiny(tmp_path_factory):
    """A network made here: x [batch,3,height,width] -> y [batch,5], with everything a plan's steps are about."""
    return make_tiny(tmp_path_factory.mktemp('tiny') / 'tiny.onnx', seed=1)


def make_tiny(path, seed):
    np, onnx = pytest.importorskip('numpy'), pytest.importorskip('onnx')
    random = np.random.default_rng(seed)

    def weight(name, *shape):
        return onnx.numpy_helper.from_array(random.normal(0, 0.3, shape).astype(np.float32), name)

    nodes = [
        onnx.helper.make_node('Conv', ['x', 'w1', 'b1'], ['c1'], name='first', kernel_shape=[3, 3], pads=[1] * 4),
        onnx.helper.make_node('PRelu', ['c1', 'slope'], ['p1']),
        onnx.helper.make_node('Conv', ['p1', 'w2'], ['c2'], name='second', kernel_shape=[3, 3], pads=[1] * 4),
        onnx.helper.make_node('Add', ['c2', 'p1'], ['sum']),
        onnx.helper.make_node('GlobalAveragePool', ['sum'], ['pooled']),
        onnx.helper.make_node('Flatten', ['pooled'], ['flat'], axis=1),
        onnx.helper.make_node('Gemm', ['flat', 'w3', 'b3'], ['y'], transB=1),
    ]
    weights = [weight('w1', 8, 3, 3, 3), weight('b1', 8), weight('slope', 8, 1, 1), weight('w2', 8, 8, 3, 3),
               weight('w3', 5, 8), weight('b3', 5)]
    graph = onnx.helper.make_graph(
        nodes, 'tiny', [onnx.helper.make_tensor_value_info('x', onnx.TensorProto.FLOAT, ['batch', 3, 'height', 'width'])],
        [onnx.helper.make_tensor_value_info('y', onnx.TensorProto.FLOAT, ['batch', 5])], weights)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', 13)], ir_version=7)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path
