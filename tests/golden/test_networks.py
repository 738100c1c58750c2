# SPDX-License-Identifier: Apache-2.0
"""Every network, whole, against onnxruntime; and the same bytes in any company.

The reference runs items one by one: heads that lost their batch axis allow no other way, and no item depends on another.
"""
import json
import re
import subprocess
import sys

import pytest

from conftest import FULL

np = pytest.importorskip('numpy')

REAL = ['det_500m', 'scrfd_2.5g_bnkps', 'mobilefacenet', '2.7_80x80_MiniFASNetV2', '4_0_0_80x80_MiniFASNetV1SE']
OURS = ['starter_det', 'starter_rec']  # of models/starter/
MADE = ['iresnet100', 'scrfd_10g_gn'] + (['iresnet50', 'scrfd_10g_bn'] if FULL else [])  # lesser ones of the same layers
TOLERANCE = 1e-3  # of the largest value of an output
ITEMS = 8


@pytest.fixture(scope='module', params=OURS + REAL + MADE)
def network(request, root, build):
    """Path of the ONNX file. Synthetic ones are made once and kept beside the build."""
    name = request.param
    if name in OURS:
        return root / f'models/starter/{name}.onnx'
    data = request.getfixturevalue('data')
    if name in REAL:
        return data / f'models/{name}.onnx'
    path = build / 'test-nets' / f'{name}.onnx'
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        half = path.with_suffix('.part')
        subprocess.run([sys.executable, data / 'tools/nets_synth.py', name, half], check=True, timeout=300)
        half.rename(path)
    return path


@pytest.fixture(scope='module')
def items(network):
    onnx = pytest.importorskip('onnx')
    graph = onnx.load(network, load_external_data=False).graph
    fixed = [d.dim_value for d in graph.input[0].type.tensor_type.shape.dim]
    shape = [fixed[1] or 3, fixed[2] or 640, fixed[3] or 640]
    values = np.random.default_rng(19).standard_normal((ITEMS, *shape), dtype=np.float32)
    if 'MiniFASNet' in network.name:  # takes pixels as they are
        values = np.clip(values * 60 + 127, 0, 255).round().astype(np.float32)
    return graph.input[0].name, values


@pytest.fixture(scope='module')
def reference(network, items):
    """[{output: array of one item}] by onnxruntime."""
    ort = pytest.importorskip('onnxruntime')
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(str(network), options, providers=['CPUExecutionProvider'])
    names = [o.name for o in session.get_outputs()]
    return [dict(zip(names, session.run(None, {items[0]: items[1][i:i + 1]}))) for i in range(ITEMS)]


@pytest.fixture(scope='module')
def plan(vultus, network):
    return json.loads(vultus('build', network, '--json').out)['path']


@pytest.fixture(scope='module')
def run(vultus, plan, items, tmp_path_factory):
    """run(indices, threads) -> {output file's name: array}, first axis the batch."""
    def call(indices, threads=2):
        folder = tmp_path_factory.mktemp('run')
        np.save(folder / 'in.npy', items[1][list(indices)])
        vultus('run', plan, '--threads', threads, '--input', f'{items[0]}={folder / "in.npy"}', '--output-dir', folder / 'out')
        return {p.stem: np.load(p) for p in (folder / 'out').iterdir()}
    return call


@pytest.fixture(scope='module')
def batches(run):
    """Batches of 1, 3 and 8, the items of the middle one out of order."""
    return {indices: run(indices) for indices in ((0,), (2, 0, 1), tuple(range(ITEMS)))}


def item(output, i, like):
    """Item i of a batched output, in the shape that the reference gives one item."""
    return output[i].reshape(like.shape)


def test_against_onnxruntime(batches, reference):
    compared = 0
    for indices, outputs in batches.items():
        assert len(outputs) == len(reference[0])
        for position, index in enumerate(indices):
            for name, want in reference[index].items():
                output = outputs[re.sub(r'[^A-Za-z0-9._-]', '_', name)]
                assert output.shape[0] == len(indices) and output.dtype == want.dtype
                difference = np.abs(item(output, position, want) - want).max() / np.abs(want).max()
                assert difference <= TOLERANCE, f'{name}, item {index} of batch {len(indices)}: {difference:.2e}'
                compared += 1
    assert compared == (1 + 3 + 8) * len(reference[0])


def test_same_bytes_in_any_batch(batches):
    alone = batches[(0,)]
    for indices, outputs in batches.items():
        for name, output in outputs.items():
            assert output[indices.index(0)].tobytes() == alone[name][0].tobytes(), (name, indices)
    for name, output in batches[(2, 0, 1)].items():
        for position, index in enumerate((2, 0, 1)):
            assert output[position].tobytes() == batches[tuple(range(ITEMS))][name][index].tobytes(), (name, index)


def test_same_bytes_with_any_threads(batches, run):
    for threads in (1, 3):
        for name, output in run((2, 0, 1), threads).items():
            assert output.tobytes() == batches[(2, 0, 1)][name].tobytes(), (name, threads)
