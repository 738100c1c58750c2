# SPDX-License-Identifier: Apache-2.0
"""vultus run and bench on a network made here, against numpy."""
import json

import pytest

np = pytest.importorskip('numpy')

SIZE = ['--input-size', '24x20']
SHAPE = (3, 20, 24)


def expected(model, x):
    """The tiny network by hand: convolution as a sum of shifted products."""
    import onnx
    weights = {w.name: onnx.numpy_helper.to_array(w).astype(np.float64) for w in onnx.load(model).graph.initializer}

    def conv(x, w):
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        rows, columns = x.shape[2:]
        return sum(np.einsum('nchw,oc->nohw', padded[:, :, i:i + rows, j:j + columns], w[:, :, i, j])
                   for i in range(3) for j in range(3))

    c1 = conv(x.astype(np.float64), weights['w1']) + weights['b1'][:, None, None]
    p1 = np.where(c1 > 0, c1, c1 * weights['slope'])
    pooled = (conv(p1, weights['w2']) + p1).mean((2, 3))
    return pooled @ weights['w3'].T + weights['b3']


@pytest.fixture
def x():
    return np.random.default_rng(11).standard_normal((5, *SHAPE)).astype(np.float32)


def run(vultus, model, x, folder, *arguments):
    np.save(folder / 'x.npy', x)
    done = vultus('run', model, '--input', f'x={folder / "x.npy"}', '--output-dir', folder / 'out', *SIZE, *arguments)
    return np.load(folder / 'out/y.npy'), done


@pytest.mark.parametrize('batch', [1, 2, 5])
def test_against_numpy(vultus, tiny, x, tmp_path, batch):
    y, done = run(vultus, tiny, x[:batch], tmp_path)
    assert y.shape == (batch, 5) and y.dtype == np.float32
    np.testing.assert_allclose(y, expected(tiny, x[:batch]), rtol=1e-4, atol=1e-5)
    assert done.out.startswith(f'y: float32[{batch},5]')


def test_same_bytes_in_any_company(vultus, tiny, x, tmp_path):
    together, _ = run(vultus, tiny, x, tmp_path)
    backwards, _ = run(vultus, tiny, x[::-1].copy(), tmp_path)
    for i in range(5):
        alone, _ = run(vultus, tiny, x[i:i + 1], tmp_path)
        assert alone.tobytes() == together[i].tobytes() == backwards[4 - i].tobytes()


def test_plan_as_well_as_model(vultus, tiny, x, tmp_path):
    path = json.loads(vultus('build', tiny, *SIZE, '--json').out)['path']
    from_model, _ = run(vultus, tiny, x, tmp_path)
    from_plan, _ = run(vultus, path, x, tmp_path)
    assert from_model.tobytes() == from_plan.tobytes()


def test_without_output_folder(vultus, tiny, x, tmp_path):
    np.save(tmp_path / 'x.npy', x)
    done = vultus('run', tiny, '--input', f'x={tmp_path / "x.npy"}', *SIZE)
    assert done.out.startswith('y: float32[5,5], from ') and len(done.out.splitlines()) == 1


@pytest.mark.parametrize('change, part', [
    (lambda x: x.astype(np.float64), 'float64'),
    (lambda x: x[:, :2].copy(), '[5,2,20,24]'),
    (lambda x: x[0].copy(), '[3,20,24]'),
    (lambda x: x[..., :10].copy(), '[5,3,20,10]'),
    (lambda x: np.repeat(x, 7, 0), '35'),
    (lambda x: x[:0].copy(), '0'),
    (lambda x: np.asfortranarray(x), 'Fortran'),
])
def test_inputs_that_do_not_fit(vultus, tiny, x, tmp_path, change, part):
    np.save(tmp_path / 'x.npy', change(x))
    assert part in vultus.fails('run', tiny, '--input', f'x={tmp_path / "x.npy"}', *SIZE)


def test_missing_and_unknown_inputs(vultus, tiny, x, tmp_path):
    np.save(tmp_path / 'x.npy', x)
    assert 'x is missing' in vultus.fails('run', tiny, *SIZE)
    assert 'it has: x' in vultus.fails('run', tiny, '--input', f'z={tmp_path / "x.npy"}', *SIZE)
    assert 'absent.npy' in vultus.fails('run', tiny, '--input', f'x={tmp_path / "absent.npy"}', *SIZE)
    (tmp_path / 'text.npy').write_text('no array')
    assert 'text.npy' in vultus.fails('run', tiny, '--input', f'x={tmp_path / "text.npy"}', *SIZE)


def test_truncated_npy(vultus, tiny, x, tmp_path):
    np.save(tmp_path / 'x.npy', x)
    content = (tmp_path / 'x.npy').read_bytes()
    for length in (0, 5, 9, 60, 127, 130, len(content) - 1):
        (tmp_path / 'cut.npy').write_bytes(content[:length])
        assert 'cut.npy' in vultus.fails('run', tiny, '--input', f'x={tmp_path / "cut.npy"}', *SIZE)


def test_unwritable_outputs(vultus, tiny, x, tmp_path):
    np.save(tmp_path / 'x.npy', x)
    (tmp_path / 'file').write_text('')
    assert 'file' in vultus.fails('run', tiny, '--input', f'x={tmp_path / "x.npy"}', '--output-dir', tmp_path / 'file', *SIZE)


def test_output_names_cannot_leave_the_folder(vultus, tmp_path):
    onnx = pytest.importorskip('onnx')
    names = ['../escape', '.hidden', 'a/b:c']
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node('Relu', ['x'], [name]) for name in names], 'g',
        [onnx.helper.make_tensor_value_info('x', onnx.TensorProto.FLOAT, [1, 3])],
        [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 3]) for name in names])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', 13)], ir_version=7), tmp_path / 'm.onnx')
    x = np.array([[-1, 0, 2]], np.float32)
    np.save(tmp_path / 'x.npy', x)
    vultus('run', tmp_path / 'm.onnx', '--input', f'x={tmp_path / "x.npy"}', '--output-dir', tmp_path / 'out')
    files = sorted(p.name for p in (tmp_path / 'out').iterdir())
    assert len(files) == 3 and not (tmp_path / 'escape.npy').exists()
    for name in files:
        assert np.load(tmp_path / 'out' / name).tolist() == [[0, 0, 2]]


def products():
    """Of one item of the tiny network: two 3x3 convolutions and a matrix."""
    pixels = SHAPE[1] * SHAPE[2]
    return {'first': pixels * 8 * 3 * 9, 'second': pixels * 8 * 8 * 9, 'gemm': 5 * 8}


def test_bench_json(vultus, tiny):
    about = json.loads(vultus('bench', tiny, *SIZE, '--batch', '1,8', '--seconds', '0.05', '--threads', '2', '--json').out)
    assert set(about) == {'file', 'threads', 'peak_gflops', 'results'} and about['threads'] == 2
    assert [r['batch'] for r in about['results']] == [1, 8]
    for r in about['results']:
        assert set(r) == {'batch', 'p50_ms', 'p99_ms', 'min_ms', 'items_per_s', 'gflops', 'of_peak', 'runs'}
        assert 0 < r['min_ms'] <= r['p50_ms'] <= r['p99_ms'] and r['runs'] >= 5
        assert r['items_per_s'] == pytest.approx(r['batch'] * 1e3 / r['p50_ms'], rel=0.05)
        assert r['gflops'] == pytest.approx(2e-9 * sum(products().values()) * r['items_per_s'], rel=0.05)
        assert r['of_peak'] == pytest.approx(r['gflops'] / about['peak_gflops'], rel=0.05)


@pytest.mark.parametrize('batch', [1, 6])
def test_bench_layers(vultus, tiny, batch):
    done = vultus('bench', tiny, *SIZE, '--batch', batch, '--seconds', '0.05', '--layers', '--json')
    about = json.loads(done.out)
    result, = about['results']
    plan = json.loads(vultus('build', tiny, *SIZE, '--json').out)
    steps = json.loads(vultus('info', plan['path'], '--json').out)['steps']
    assert [row['name'] for row in result['layers']] == [step['name'] for step in steps]
    for row, step in zip(result['layers'], steps):
        assert set(row) == {'name', 'op', 'output', 'tactic', 'provider', 'ms', 'share', 'gflops', 'of_peak'}
        choice = next(t for t in step['tactics'] if t['max_batch'] >= batch)
        assert (row['op'], row['output'], row['tactic']) == (step['kind'], step['output'], choice['tactic'])
        assert row['provider'] == choice['provider'] in ('own', 'oneDNN', 'reference')
        assert row['ms'] > 0 and 0 < row['share'] < 1
        if row['op'] in ('conv', 'gemm'):
            work = 2 * batch * products().get(row['name'], products()['gemm'])
            assert row['gflops'] == pytest.approx(work / row['ms'] * 1e-6, rel=0.05)
            assert step['flops'] * batch == work
            assert row['of_peak'] == pytest.approx(row['gflops'] / about['peak_gflops'], rel=0.05, abs=1e-5)
        else:
            assert row['gflops'] is None and row['of_peak'] is None
    assert sum(row['share'] for row in result['layers']) == pytest.approx(1, abs=1e-4)
    assert sum(p['steps'] for p in result['providers']) == len(steps)
    for provider in result['providers']:
        rows = [row for row in result['layers'] if row['provider'] == provider['provider']]
        assert provider['ms'] == pytest.approx(sum(row['ms'] for row in rows), abs=1e-4)


def test_bench_layers_for_people(vultus, tiny):
    lines = vultus('bench', tiny, *SIZE, '--seconds', '0.01', '--layers').out.splitlines()
    assert lines[0].startswith('batch 1 ') and lines[1].split()[:4] == ['step', 'op', 'output', 'tactic']
    assert lines[2].split()[0] == '0' and lines[-1].startswith('all ') and '100.0%' in lines[-1]
    assert {line.index('of peak') for line in lines[1:2]} and len({line.find('%') for line in lines[2:-2]}) <= 2


def test_bench_for_people_and_scripts(vultus, tiny):
    lines = vultus('bench', tiny, *SIZE, '--batch', '1,3', '--seconds', '0.01').out.splitlines()
    assert len(lines) == 2 and 'items/s' in lines[1]
    number = vultus('bench', tiny, *SIZE, '--batch', '4', '--seconds', '0.01', '--quiet').out
    assert float(number.split()[-1]) > 0 and len(number.split()) == 1


def test_bench_of_a_batch_over_the_default(vultus, tiny):
    about = json.loads(vultus('bench', tiny, *SIZE, '--batch', '40', '--seconds', '0.01', '--json').out)
    assert about['results'][0]['batch'] == 40


def test_bench_of_a_batch_over_the_plan(vultus, tiny):
    assert '9' in vultus.fails('bench', tiny, *SIZE, '--max-batch', '8', '--batch', '9', '--seconds', '0.01')


# ---------------------------------------------------------------- back ends beside each other

COMPARE = ['bench', '--compare-backends', '--seconds', '0.001', *SIZE]


def rows(text):
    """Cells of the lines of its tables."""
    return [[cell.strip() for cell in line.strip('|').split('|')] for line in text.splitlines() if line.startswith('|') and '---' not in line]


def test_compare_backends(vultus, gpu, tiny, tmp_path):
    """The GPU's times against the processor's, and all batch sizes; what is missing says why."""
    command = *COMPARE, tiny, '--plans', tmp_path, '--batch', '1,3'
    done = vultus(*command, '--json', environment=gpu())
    about = json.loads(done.out)
    lanes = {(lane['backend'], lane['precision']): lane for lane in about['backends']}
    assert list(lanes) == [('tensorrt', 'fp16'), ('cuda', 'fp16'), ('cuda', 'fp32'), ('cpu', 'fp32')]
    assert [lane['usable'] for lane in lanes.values()] == [False, False, True, True]
    assert lanes['tensorrt', 'fp16']['reason'] == 'this build does not include it'
    assert 'precision fp16 is not one that back end cuda builds' in lanes['cuda', 'fp16']['reason']
    ours, theirs = lanes['cpu', 'fp32'], lanes['cuda', 'fp32']
    assert theirs['device'] == 'NVIDIA H100 80GB' and [r['batch'] for r in theirs['results']] == [1, 3]
    for mine, other in zip(ours['results'], theirs['results']):
        assert mine['speedup'] == 1 and mine['runs'] >= 5 and mine['mean_ms'] > 0
        assert other['speedup'] == pytest.approx(mine['p50_ms'] / other['p50_ms'], rel=0.2)
    text = vultus(*command, environment=gpu()).out
    backends, batches = rows(text[:text.index('Medians')]), rows(text[text.index('Medians'):])
    assert backends[0] == ['Back end', 'Average time', 'Individual times', 'Speedup']
    assert [row[0][:9] for row in backends[1:]] == ['cuda fp32', 'cpu fp32,'] and backends[2][3] == '1.00x'
    assert all(len(row[2].split(',')) == 5 for row in backends[1:])
    assert batches[0] == ['Batch size', 'cuda fp32 (ms)', 'cpu fp32 (ms)', 'Speedup'] and [row[0] for row in batches[1:]] == ['1', '3']
    assert 'tensorrt fp16: this build does not include it' in text


def test_compare_backends_without_a_gpu(vultus, gpu, tiny, tmp_path):
    text = vultus(*COMPARE, tiny, '--plans', tmp_path, environment=gpu('none')).out
    assert text.count('the NVIDIA driver finds no device on this machine') == 1
    assert [row[0] for row in rows(text[text.index('Medians'):])] == ['Batch size', '1', '8', '32']


def test_compare_backends_of_a_failing_gpu(vultus, gpu, tiny, tmp_path):
    """One that fails while it is timed is a reason, too."""
    command = *COMPARE, tiny, '--plans', tmp_path, '--precision', 'fp32', '--batch', '1'
    text = vultus(*command, environment=gpu(VULTUS_FAKE_MODULE='run')).out
    assert 'the GPU has fallen off the bus' in text and len(rows(text[text.index('Medians'):])) == 2


def test_compare_backends_of_a_plan(vultus, tiny, tmp_path):
    path = json.loads(vultus('build', tiny, '--json', '--plans', tmp_path).out)['path']
    assert 'takes an ONNX model' in vultus.fails('bench', '--compare-backends', path)
