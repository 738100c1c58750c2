# SPDX-License-Identifier: Apache-2.0
"""Networks as real exporters write them, interpreted and as plans, against onnxruntime."""
import json
import re
import subprocess

import pytest

np = pytest.importorskip('numpy')
onnx = pytest.importorskip('onnx')
ort = pytest.importorskip('onnxruntime')
import exports  # noqa: E402


@pytest.fixture(scope='module', params=exports.EXPORTS, ids=lambda make: make.__name__)
def export(request):
    return request.param()


@pytest.fixture(scope='module')
def path(export, tmp_path_factory):
    path = tmp_path_factory.mktemp('export') / 'model.onnx'
    # Newer exporters keep all but small tensors in a file beside the model.
    beside = export.model.ir_version >= 10
    onnx.save(export.model, path, save_as_external_data=beside, location='model.onnx.data', size_threshold=100)
    assert (path.parent / 'model.onnx.data').exists() == beside
    return path


@pytest.fixture(scope='module')
def session(export, path):
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    model = export.reference.SerializeToString() if export.reference else path
    return ort.InferenceSession(model, options, providers=['CPUExecutionProvider'])


@pytest.fixture(scope='module')
def reference(export, session):
    return session.run(None, export.inputs)


def compare(outputs, reference, tolerance):
    assert len(outputs) == len(reference)
    for got, want in zip(outputs, reference):
        assert got.dtype == want.dtype and got.size == want.size
        assert np.abs(got.reshape(want.shape) - want).max() <= tolerance * np.abs(want).max()


def test_interpreted(export, path, reference, build, tmp_path):
    program = build / 'tests/golden/interpret'
    if not program.exists():
        pytest.skip(f'{program} is not built (a build without the compiler)')
    inputs = []
    for i, array in enumerate(export.inputs.values()):
        inputs.append(tmp_path / f'in{i}.npy')
        np.save(inputs[-1], array)
    done = subprocess.run([program, path, tmp_path, *inputs], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    compare([np.load(tmp_path / f'{i}.npy') for i in range(len(reference))], reference, export.tolerance)


def run_plan(vultus, export, path, inputs, folder, **environment):
    arguments = []
    for name, array in inputs.items():
        np.save(folder / 'in.npy', array)
        arguments += ['--input', f'{name}={folder / "in.npy"}', '--input-size', f'{array.shape[3]}x{array.shape[2]}']
    vultus('run', path, *arguments, '--output-dir', folder / 'out', environment=environment)
    names = [re.sub(r'[^A-Za-z0-9._-]', '_', output.name) for output in export.model.graph.output]
    return [np.load(folder / 'out' / f'{name}.npy') for name in names]


@pytest.mark.parametrize('mask', ['native', 'sse'])
def test_planned(export, path, reference, vultus, tmp_path, mask):
    outputs = run_plan(vultus, export, path, export.inputs, tmp_path, VULTUS_CPU=mask)
    compare(outputs, reference, export.tolerance)


def test_in_batches(export, path, session, vultus, tmp_path):
    """Three items at once are what each is alone, where the exporter left the batch open."""
    if export.model.graph.input[0].type.tensor_type.shape.dim[0].dim_value:
        pytest.skip('the model fixes its batch')
    name, item = next(iter(export.inputs.items()))
    items = [item, item[..., ::-1].copy(), -item]
    outputs = run_plan(vultus, export, path, {name: np.concatenate(items)}, tmp_path)
    for i, x in enumerate(items):
        compare([output[i:i + 1] for output in outputs], session.run(None, {name: x}), export.tolerance)


def test_all_of_it_has_kernels(vultus, tmp_path):
    """No step of a network of such operators is left to the reference implementation."""
    onnx.save(exports.decoder_torch2().model, tmp_path / 'decoder.onnx')
    built = json.loads(vultus('build', tmp_path / 'decoder.onnx', '--input-size', '28x20', '--out', tmp_path, '--json').out)
    kinds = {tactic.split(':')[0] for tactic in built['tactics']}
    assert 'reference' not in kinds and {'conv_transpose', 'concat', 'split'} <= kinds
