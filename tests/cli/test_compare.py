# SPDX-License-Identifier: Apache-2.0
"""vultus compare: measures against numpy, verdicts and exit codes, references of other software, and hostile archives."""
import json
import random
import shutil
import subprocess
import sys
import zipfile

import pytest

np = pytest.importorskip('numpy')

SIZE = ['--input-size', '24x20']
SHAPE = (3, 20, 24)
PASS, FAIL, COULD_NOT_RUN = 0, 1, 2


def make_recogniser(path, seed=1, dimension=64):
    """x [batch,3,20,24] -> embedding [batch,64]."""
    onnx = pytest.importorskip('onnx')
    generator = np.random.default_rng(seed)

    def weight(name, *shape):
        return onnx.numpy_helper.from_array(generator.normal(0, 0.3, shape).astype(np.float32), name)

    nodes = [onnx.helper.make_node('Conv', ['x', 'w1'], ['c1'], kernel_shape=[3, 3], pads=[1] * 4, strides=[4, 4]),
             onnx.helper.make_node('Relu', ['c1'], ['r1']), onnx.helper.make_node('Flatten', ['r1'], ['flat'], axis=1),
             onnx.helper.make_node('Gemm', ['flat', 'w2'], ['embedding'])]
    graph = onnx.helper.make_graph(
        nodes, 'g', [onnx.helper.make_tensor_value_info('x', onnx.TensorProto.FLOAT, ['batch', *SHAPE])],
        [onnx.helper.make_tensor_value_info('embedding', onnx.TensorProto.FLOAT, ['batch', dimension])],
        [weight('w1', 8, 3, 3, 3), weight('w2', 8 * 5 * 6, dimension)])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', 13)], ir_version=7), path)
    return path


@pytest.fixture(scope='module')
def recogniser(tmp_path_factory):
    return make_recogniser(tmp_path_factory.mktemp('recogniser') / 'rec.onnx')


@pytest.fixture(scope='module')
def x():
    return np.random.default_rng(5).standard_normal((12, *SHAPE)).astype(np.float32)


@pytest.fixture(scope='module')
def embeddings(vultus, recogniser, x, tmp_path_factory):
    """Of the plan, by the run command."""
    folder = tmp_path_factory.mktemp('run')
    np.save(folder / 'x.npy', x)
    vultus('run', recogniser, '--input', f'x={folder / "x.npy"}', '--output-dir', folder)
    return np.load(folder / 'embedding.npy')


def compared(vultus, *arguments, code=PASS, **more):
    return json.loads(vultus('compare', *arguments, '--json', code=code, **more).out)


def test_model_by_name(vultus):
    assert compared(vultus, 'starter_rec', '--n-samples', '2')['verdict'] == 'PASS'
    failed = vultus('compare', 'nobody_knows_this', code=COULD_NOT_RUN)
    assert 'nobody_knows_this' in failed.err


def refused(vultus, *arguments):
    """Exit code 2 and one sentence."""
    done = vultus('compare', *arguments, code=COULD_NOT_RUN)
    assert done.out == '' and len(done.err.splitlines()) == 1 and done.err.startswith('vultus: '), done.err
    return done.err


def values(about, output=0):
    return {m['metric']: m['value'] for m in about['outputs'][output]['metrics']}


def turned(vectors, cosine):
    """Vectors whose cosine with the given ones is known, of other lengths."""
    unit = vectors.astype(np.float64) / np.linalg.norm(vectors, axis=1, keepdims=True)
    other = np.random.default_rng(9).standard_normal(unit.shape)
    other -= (other * unit).sum(1, keepdims=True) * unit
    other /= np.linalg.norm(other, axis=1, keepdims=True)
    cosine = np.asarray(cosine, np.float64).reshape(-1, 1)
    return (7 * (cosine * unit + np.sqrt(1 - cosine ** 2) * other)).astype(np.float32)


# ---------------------------------------------------------------- against the interpreter

def test_recogniser_passes(vultus, recogniser):
    about = compared(vultus, recogniser)
    assert set(about) == {'file', 'precision', 'reference', 'interpreted', 'inputs', 'samples', 'verdict', 'outputs'}
    assert (about['verdict'], about['samples'], about['inputs'], about['interpreted']) == ('PASS', 100, 'random', True)
    output, = about['outputs']
    assert output['name'] == 'embedding' and output['embedding'] is True
    assert [m['metric'] for m in output['metrics']] == ['cosine-mean', 'cosine-min', 'l2-mean']
    assert [(m['pass'], m['fail']) for m in output['metrics']] == [(0.995, 0.99), (0.99, 0.98), (0.05, 0.1)]
    assert values(about)['cosine-min'] > 0.99999 and values(about)['l2-mean'] < 1e-4


def test_other_outputs_pass(vultus, tiny):
    about = compared(vultus, tiny, *SIZE)
    assert about['verdict'] == 'PASS' and about['samples'] == 10
    assert set(values(about)) == {'relative-l2', 'max-abs'} and not about['outputs'][0]['embedding']
    assert values(about)['relative-l2'] < 1e-4


def test_every_output_of_a_detector(vultus, data):
    about = compared(vultus, data / 'models/det_500m.onnx', '--n-samples', '2', '--input-size', '320x320')
    assert about['verdict'] == 'PASS' and len(about['outputs']) == 9 and about['samples'] == 2


def test_same_items_every_time(vultus, recogniser):
    plan = json.loads(vultus('build', recogniser, '--json').out)['path']
    arguments = [plan, '--model', recogniser, '--n-samples', '9']
    assert compared(vultus, *arguments) == compared(vultus, *arguments, '-t', '1')


def test_table_for_people(vultus, recogniser):
    lines = vultus('compare', recogniser, '--n-samples', '3').out.splitlines()
    assert '3 random items' in lines[0] and 'interpreter' in lines[0] and lines[-1] == 'PASS'
    assert [line.split()[-1] for line in lines[3:6]] == ['PASS'] * 3
    assert 'cosine similarity (mean)' in lines[3] and '>= 0.995' in lines[3] and '< 0.99' in lines[3]
    assert 'L2 distance (mean)' in lines[5] and '<  0.05' in lines[5] and '> 0.1' in lines[5]


def test_plan_finds_its_model(vultus, recogniser, tmp_path):
    plan = json.loads(vultus('build', recogniser, '--out', tmp_path, '--json').out)['path']
    assert '--model' in refused(vultus, plan) or 'name the model' in refused(vultus, plan)
    assert compared(vultus, plan, '--model', recogniser)['reference'] == str(recogniser)
    shutil.copy(recogniser, tmp_path / 'rec.onnx')
    assert compared(vultus, plan)['reference'] == str(tmp_path / 'rec.onnx')
    make_recogniser(tmp_path / 'rec.onnx', seed=2)
    assert 'model_sha256' in refused(vultus, plan)


# ---------------------------------------------------------------- against files

@pytest.mark.parametrize('cosine, verdict', [(0.9999, 'PASS'), (0.9992, 'PASS'), (0.9970, 'WARN'), (0.9955, 'WARN'),
                                             (0.9930, 'FAIL'), (0.985, 'FAIL'), (-1, 'FAIL')])
def test_measures_are_those_of_numpy(vultus, recogniser, x, embeddings, tmp_path, cosine, verdict):
    """The distance of unit vectors is sqrt(2 - 2 cos): 0.05 is a cosine of 0.99875, 0.1 one of 0.995."""
    reference = turned(embeddings, np.full(len(x), cosine))
    np.savez(tmp_path / 'r.npz', inputs=x, embeddings=reference)
    about = compared(vultus, recogniser, '--reference', tmp_path / 'r.npz', code=FAIL if verdict == 'FAIL' else PASS)
    a = embeddings / np.linalg.norm(embeddings.astype(np.float64), axis=1, keepdims=True)
    b = reference / np.linalg.norm(reference.astype(np.float64), axis=1, keepdims=True)
    assert values(about)['cosine-mean'] == pytest.approx((a * b).sum(1).mean(), abs=1e-6)
    assert values(about)['cosine-min'] == pytest.approx((a * b).sum(1).min(), abs=1e-6)
    assert values(about)['l2-mean'] == pytest.approx(np.linalg.norm(a - b, axis=1).mean(), abs=1e-5)
    assert about['verdict'] == verdict and about['samples'] == len(x) and not about['interpreted']


def test_one_bad_item_fails_the_minimum(vultus, recogniser, x, embeddings, tmp_path):
    reference = turned(embeddings, [1] * (len(x) - 1) + [0.97])
    np.savez(tmp_path / 'r.npz', inputs=x, output_0=reference)
    about = compared(vultus, recogniser, '--reference', tmp_path / 'r.npz', code=FAIL)
    assert [m['verdict'] for m in about['outputs'][0]['metrics']] == ['PASS', 'FAIL', 'PASS']
    first = compared(vultus, recogniser, '--reference', tmp_path / 'r.npz', '--n-samples', len(x) - 1)
    assert first['verdict'] == 'PASS' and first['samples'] == len(x) - 1


def test_other_outputs_against_numpy(vultus, tiny, x, tmp_path):
    np.save(tmp_path / 'x.npy', x)
    vultus('run', tiny, '--input', f'x={tmp_path / "x.npy"}', '--output-dir', tmp_path, *SIZE)
    y = np.load(tmp_path / 'y.npy')
    reference = y + np.float32(0.002) * np.abs(y).max() * np.eye(len(y), 5, dtype=np.float32)
    np.savez(tmp_path / 'r.npz', inputs=x, output_0=reference)
    about = compared(vultus, tiny, '--reference', tmp_path / 'r.npz', *SIZE)
    difference = np.abs(y.astype(np.float64) - reference)
    relative = np.linalg.norm(difference, axis=1) / np.linalg.norm(reference.astype(np.float64), axis=1)
    assert values(about)['relative-l2'] == pytest.approx(relative.max(), rel=1e-4)
    assert values(about)['max-abs'] == pytest.approx(difference.max() / np.abs(reference).max(), rel=1e-4)
    assert about['outputs'][0]['largest_difference'] == pytest.approx(difference.max(), rel=1e-6)
    assert about['verdict'] == 'WARN'


def test_another_network_fails(vultus, recogniser, x, tmp_path):
    """What the command is for: a plan that computes something else must not pass."""
    other = make_recogniser(tmp_path / 'other.onnx', seed=2)
    np.save(tmp_path / 'x.npy', x)
    vultus('run', other, '--input', f'x={tmp_path / "x.npy"}', '--output-dir', tmp_path)
    np.savez(tmp_path / 'r.npz', inputs=x, embeddings=np.load(tmp_path / 'embedding.npy'))
    assert compared(vultus, recogniser, '--reference', tmp_path / 'r.npz', code=FAIL)['verdict'] == 'FAIL'


@pytest.mark.parametrize('odd', [np.nan, np.inf])
def test_what_is_no_number_fails(vultus, recogniser, x, embeddings, tmp_path, odd):
    reference = embeddings.copy()
    reference[3, 5] = odd
    np.savez(tmp_path / 'r.npz', inputs=x, embeddings=reference)
    about = compared(vultus, recogniser, '--reference', tmp_path / 'r.npz', code=FAIL)
    assert set(values(about).values()) == {None}


def test_inputs_of_a_file(vultus, recogniser, x, embeddings, tmp_path):
    np.save(tmp_path / 'x.npy', x)
    about = compared(vultus, recogniser, '--inputs', tmp_path / 'x.npy')
    assert about['samples'] == len(x) and about['inputs'] == str(tmp_path / 'x.npy') and about['interpreted']
    np.savez_compressed(tmp_path / 'r.npz', embeddings=embeddings)
    about = compared(vultus, recogniser, '--inputs', tmp_path / 'x.npy', '--reference', tmp_path / 'r.npz')
    assert values(about)['l2-mean'] < 1e-6 and about['verdict'] == 'PASS'


@pytest.mark.parametrize('arguments, verdict', [
    ([], 'WARN'), (['--threshold', 'l2-mean=0.09,0.1'], 'PASS'), (['--threshold', 'cosine-mean=0.9999,0.998'], 'FAIL'),
    (['--threshold', 'bf16:l2-mean=0.09,0.1'], 'WARN'), (['--threshold', 'fp32:l2-mean=0.09,0.1'], 'PASS'),
    (['--threshold', 'fp32:l2-mean=0.09,0.1', '--threshold', 'l2-mean=0.01,0.02'], 'FAIL')])
def test_thresholds(vultus, recogniser, x, embeddings, tmp_path, arguments, verdict):
    np.savez(tmp_path / 'r.npz', inputs=x, embeddings=turned(embeddings, np.full(len(x), 0.997)))
    about = compared(vultus, recogniser, '--reference', tmp_path / 'r.npz', *arguments, code=FAIL if verdict == 'FAIL' else PASS)
    assert about['verdict'] == verdict


@pytest.mark.parametrize('threshold', ['charm=1,2', 'l2-mean=0.1', 'l2-mean=a,b', 'l2-mean=0.1,0.2,0.3', 'fp13:l2-mean=0.1,0.2',
                                       'l2-mean=nan,1', 'l2-mean=0.2,0.1', 'cosine-min=0.1,0.2', 'fp32:=1,2'])
def test_bad_thresholds(vultus, recogniser, threshold):
    assert 'l2-mean' in refused(vultus, recogniser, '--threshold', threshold) or 'cosine-min' in threshold


# ---------------------------------------------------------------- crops, and references of other software

def script(root, *arguments, code=0):
    done = subprocess.run([sys.executable, root / 'scripts/reference.py', *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done.stdout


@pytest.fixture(scope='module')
def crops():
    return np.random.default_rng(2).integers(0, 256, (4, 112, 112, 3)).astype(np.uint8)


def test_crops_are_normalised_as_the_plan_says(vultus, root, data, crops, tmp_path):
    """mobilefacenet takes RGB with the mean and deviation of ImageNet; crops are BGR."""
    model = data / 'models/mobilefacenet.onnx'
    plan = json.loads(vultus('build', model, '--json').out)['path']
    known = json.loads(vultus('info', plan, '--json').out)['model']
    assert known['channels'] == 'rgb'
    scale = ['--mean', ','.join(map(str, known['mean'])), '--std', ','.join(map(str, known['std']))]
    np.save(tmp_path / 'crops.npy', crops)
    script(root, model, tmp_path / 'right.npz', '--inputs', tmp_path / 'crops.npy', *scale)
    made = np.load(tmp_path / 'right.npz')
    assert made['inputs'][1, 0, 2, 3] == pytest.approx((float(crops[1, 2, 3, 2]) - known['mean'][0]) / known['std'][0], rel=1e-6)
    np.savez(tmp_path / 'outputs.npz', embeddings=made['embeddings'])
    np.savez(tmp_path / 'bytes.npz', inputs=crops, embeddings=made['embeddings'])
    for arguments in (['--reference', tmp_path / 'right.npz'], ['--reference', tmp_path / 'bytes.npz'],
                      ['--inputs', tmp_path / 'crops.npy', '--reference', tmp_path / 'outputs.npz']):
        about = compared(vultus, model, *arguments)
        assert about['verdict'] == 'PASS' and values(about)['cosine-min'] > 0.99999
    np.savez(tmp_path / 'wrong.npz', inputs=crops[..., ::-1], embeddings=made['embeddings'])
    assert values(compared(vultus, model, '--reference', tmp_path / 'wrong.npz', code=FAIL))['cosine-min'] < 0.99


def test_reference_of_onnxruntime(vultus, root, recogniser, tiny, data, tmp_path):
    pytest.importorskip('onnxruntime')
    assert '100 items, embeddings [100, 64]' in script(root, recogniser, tmp_path / 'r.npz')
    assert compared(vultus, recogniser, '--reference', tmp_path / 'r.npz')['verdict'] == 'PASS'
    script(root, tiny, tmp_path / 't.npz', '--n-samples', '3', '--shape', '3,20,24')
    assert compared(vultus, tiny, '--reference', tmp_path / 't.npz', *SIZE)['samples'] == 3
    script(root, data / 'models/det_500m.onnx', tmp_path / 'd.npz', '--n-samples', '2', '--shape', '3,320,320')
    about = compared(vultus, data / 'models/det_500m.onnx', '--reference', tmp_path / 'd.npz', '--input-size', '320x320')
    assert about['verdict'] == 'PASS' and len(about['outputs']) == 9


def test_reference_of_pytorch(vultus, root, recogniser, tmp_path):
    torch, onnx = pytest.importorskip('torch'), pytest.importorskip('onnx')
    weights = {w.name: torch.from_numpy(onnx.numpy_helper.to_array(w).copy()) for w in onnx.load(recogniser).graph.initializer}

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.w1, self.w2 = weights['w1'], weights['w2']

        def forward(self, x):
            return torch.relu(torch.conv2d(x, self.w1, stride=4, padding=1)).flatten(1) @ self.w2

    torch.jit.save(torch.jit.trace(Network(), torch.zeros(1, *SHAPE)), tmp_path / 'rec.pt')
    script(root, tmp_path / 'rec.pt', tmp_path / 'r.npz', '--shape', '3,20,24', '--n-samples', '5')
    assert compared(vultus, recogniser, '--reference', tmp_path / 'r.npz')['verdict'] == 'PASS'


# ---------------------------------------------------------------- what cannot run

def test_missing_files(vultus, recogniser, x, embeddings, tmp_path):
    assert 'absent.onnx' in refused(vultus, tmp_path / 'absent.onnx')
    assert 'absent.npy' in refused(vultus, recogniser, '--inputs', tmp_path / 'absent.npy')
    assert 'absent.npz' in refused(vultus, recogniser, '--reference', tmp_path / 'absent.npz')
    assert str(tmp_path) in refused(vultus, recogniser, '--reference', tmp_path)
    np.savez(tmp_path / 'r.npz', embeddings=embeddings)
    assert 'no array inputs' in refused(vultus, recogniser, '--reference', tmp_path / 'r.npz')
    np.savez(tmp_path / 'r.npz', inputs=x)
    assert 'no array embeddings' in refused(vultus, recogniser, '--reference', tmp_path / 'r.npz')
    np.save(tmp_path / 'x.npy', x)
    np.savez(tmp_path / 'r.npz', inputs=x, embeddings=embeddings)
    assert 'one too many' in refused(vultus, recogniser, '--reference', tmp_path / 'r.npz', '--inputs', tmp_path / 'x.npy')
    assert '13 items' in refused(vultus, recogniser, '--reference', tmp_path / 'r.npz', '--n-samples', '13')


@pytest.mark.parametrize('change, part', [
    (lambda x, y: (x[:, :2], y), '[12,2,20,24]'), (lambda x, y: (x.astype(np.float64), y), 'float64'),
    (lambda x, y: (x, y[:, :63]), '[12,63]'), (lambda x, y: (x, y.astype(np.float16)), 'float16'),
    (lambda x, y: (x, y[:11]), '11 items'), (lambda x, y: (x[:0], y[:0]), ''), (lambda x, y: (x[0], y), '[3,20,24]'),
    (lambda x, y: (x.astype(np.uint8), y), 'uint8'), (lambda x, y: (np.float32(1), y), 'float32')])
def test_arrays_that_do_not_fit(vultus, recogniser, x, embeddings, tmp_path, change, part):
    inputs, outputs = change(x, embeddings)
    np.savez(tmp_path / 'r.npz', inputs=inputs, embeddings=outputs)
    assert part in refused(vultus, recogniser, '--reference', tmp_path / 'r.npz')


def test_truncated_archives(vultus, recogniser, x, embeddings, tmp_path):
    np.savez(tmp_path / 'r.npz', inputs=x[:2], embeddings=embeddings[:2])
    content = (tmp_path / 'r.npz').read_bytes()
    for length in [0, 1, 4, 30, 100, *range(200, len(content), len(content) // 20), len(content) - 30]:
        (tmp_path / 'cut.npz').write_bytes(content[:length])
        assert 'cut.npz' in refused(vultus, recogniser, '--reference', tmp_path / 'cut.npz')


@pytest.mark.parametrize('save', [np.savez, np.savez_compressed])
def test_bit_flips_never_crash(vultus, recogniser, x, embeddings, tmp_path, save):
    """The checksum finds flips of data; flips of the directory's dates and the like change nothing."""
    save(tmp_path / 'r.npz', inputs=x[:1], embeddings=embeddings[:1])
    content = (tmp_path / 'r.npz').read_bytes()
    generator = random.Random(3)
    tail = len(content) - 300
    refusals = 0
    for i in range(40):
        broken = bytearray(content)
        at = generator.randrange(tail if i % 2 else 0, len(content))
        broken[at] ^= 1 << generator.randrange(8)
        (tmp_path / 'flipped.npz').write_bytes(broken)
        done = vultus.start('compare', str(recogniser), '--reference', str(tmp_path / 'flipped.npz'))
        out, err = done.communicate(timeout=120)
        assert done.returncode in (0, 2), (at, done.returncode, out, err)
        refusals += done.returncode == 2
    assert refusals > 10


def test_an_archive_that_claims_too_much(vultus, recogniser, tmp_path):
    """Sizes that the directory gives: more than deflate can pack, and more than any array may have."""
    np.savez(tmp_path / 'r.npz', inputs=np.zeros(10))
    content = (tmp_path / 'r.npz').read_bytes()
    entry = content.index(b'PK\x01\x02')
    for size in (0x10000000, 0xfffffffe):
        broken = bytearray(content)
        broken[entry + 24:entry + 28] = size.to_bytes(4, 'little')
        (tmp_path / 'bomb.npz').write_bytes(broken)
        assert str(size) in refused(vultus, recogniser, '--reference', tmp_path / 'bomb.npz')


def test_an_encrypted_archive(vultus, recogniser, tmp_path):
    with zipfile.ZipFile(tmp_path / 'r.npz', 'w') as archive:
        archive.writestr('inputs.npy', b'secret')
    content = bytearray((tmp_path / 'r.npz').read_bytes())
    for mark, at in ((b'PK\x03\x04', 6), (b'PK\x01\x02', 8)):
        content[content.index(mark) + at] |= 1
    (tmp_path / 'r.npz').write_bytes(content)
    assert 'encrypted' in refused(vultus, recogniser, '--reference', tmp_path / 'r.npz')


def test_bf16(vultus, recogniser):
    about = compared(vultus, recogniser, *SIZE, '--precision', 'bf16')
    assert about['precision'] == 'bf16' and about['verdict'] == 'PASS'


def test_wrong_usage_is_2_as_well(vultus):
    vultus('compare', code=2)
    vultus('compare', 'a.onnx', '--n-samples', '0', code=2)
