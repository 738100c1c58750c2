# SPDX-License-Identifier: Apache-2.0
"""VULTUS_CPU: every mask that this machine has, against numpy; names, keys and refusals."""
import json
import pathlib
import platform

import pytest

from test_run_bench import SHAPE, SIZE, expected

np = pytest.importorskip('numpy')

# Each mask, the feature it needs here, and the arch of its plans.
MASKS = [('sse', 'sse2', 'sse'), ('avx2', 'avx2', 'avx2'), ('avx512', 'avx512', 'avx512'),
         ('avx512_vnni', 'avx512_vnni', 'avx512'), ('amx', 'amx', 'amx'), ('neon', 'neon', 'neon')]
WORDS = 'neon, native' if platform.machine() == 'aarch64' else 'sse, avx2, avx512, avx512_vnni, amx, native'


@pytest.fixture(scope='module')
def masks(vultus):
    """Those this machine has, lowest first; none where instruction sets have no levels."""
    features = json.loads(vultus('doctor', '--json').out)['cpu']['features'].split()
    return [(mask, arch) for mask, feature, arch in MASKS if feature in features]


def under(mask):
    return {'environment': {'VULTUS_CPU': mask}}


@pytest.fixture(scope='module')
def built(vultus, tiny, masks, tmp_path_factory):
    """{mask: path of its plan}, all in one folder."""
    folder = tmp_path_factory.mktemp('masks')
    return {mask: pathlib.Path(json.loads(vultus('build', tiny, *SIZE, '--out', folder, '--json', **under(mask)).out)['path'])
            for mask, _ in masks}


def test_doctor_shows_what_is_left(vultus, masks):
    for i, (mask, arch) in enumerate(masks):
        cpu = json.loads(vultus('doctor', '--json', **under(mask)).out)['cpu']
        assert cpu['arch'] == arch
        assert {later for later, _ in masks[i + 1:]} & set(cpu['features'].split()) == set()


def test_names_and_keys(vultus, built, masks):
    for mask, arch in masks:
        assert built[mask].name == f'tiny-fp32-{arch}-24x20.plan'
        assert json.loads(vultus('info', built[mask], '--json', **under(mask)).out)['key']['arch'] == arch


def test_tactics_keep_to_the_mask(vultus, built, masks):
    beyond = {'sse': ('avx', 'onednn'), 'avx2': ('avx512',)}
    for mask, _ in masks:
        steps = json.loads(vultus('info', built[mask], '--json').out)['steps']
        names = {c['tactic'] for s in steps for c in s['candidates'] + s['tactics']}
        assert [name for name in names for word in beyond.get(mask, ()) if word in name] == []


def test_every_mask_against_numpy(vultus, tiny, built, masks, tmp_path):
    x = np.random.default_rng(3).standard_normal((3, *SHAPE)).astype(np.float32)
    np.save(tmp_path / 'x.npy', x)
    for mask, _ in masks:
        for model in (tiny, built[mask]):
            vultus('run', model, *SIZE, '--input', f'x={tmp_path / "x.npy"}', '--output-dir', tmp_path / 'out', **under(mask))
            np.testing.assert_allclose(np.load(tmp_path / 'out/y.npy'), expected(tiny, x), rtol=1e-4, atol=1e-5)


def test_bf16_with_every_mask(vultus, tiny, masks, tmp_path):
    """A plan for each, of kernels that it has; what is stored is rounded to 8 bits, a few times on the way."""
    x = np.random.default_rng(3).standard_normal((3, *SHAPE)).astype(np.float32)
    np.save(tmp_path / 'x.npy', x)
    want = expected(tiny, x)
    for mask, arch in masks:
        arguments = [*SIZE, '--precision', 'bf16']
        about = json.loads(vultus('build', tiny, *arguments, '--out', tmp_path, '--json', **under(mask)).out)
        assert pathlib.Path(about['path']).name == f'tiny-bf16-{arch}-24x20.plan'
        about = json.loads(vultus('info', about['path'], '--json', **under(mask)).out)
        kernels = 'generic' if mask == 'sse' else 'avx2' if mask == 'avx2' else 'avx512'
        names = {s['tactics'][0]['tactic'] for s in about['steps'] if s['kind'] == 'conv'}
        assert about['key']['precision'] == 'bf16' and names == {f'conv:plain:bf16:{kernels}', f'conv:direct:bf16:{kernels}'}
        vultus('run', tiny, *arguments, '--input', f'x={tmp_path / "x.npy"}', '--output-dir', tmp_path / 'out', **under(mask))
        y = np.load(tmp_path / 'out/y.npy')
        assert np.abs(y - want).max() <= 0.02 * np.abs(want).max() and not np.allclose(y, want, rtol=1e-6, atol=0)


def test_higher_plans_are_refused(vultus, built, masks):
    for i, (low, _) in enumerate(masks):
        for high, arch in masks[i + 1:]:
            if arch == dict(masks)[low]:
                continue
            sentence = vultus.fails('bench', built[high], '--seconds', '0.001', **under(low))
            assert f'arch is {arch}' in sentence and f'VULTUS_CPU={low}' in sentence


def test_lower_plans_run(vultus, built, masks):
    for i, (low, _) in enumerate(masks):
        for high, _ in masks[i + 1:]:
            vultus('bench', built[low], '--seconds', '0.001', **under(high))


@pytest.mark.parametrize('arguments', [
    ['build', 'a.onnx'], ['info', 'a.onnx'], ['run', 'a.onnx'], ['bench', 'a.onnx'], ['doctor'], ['embed', 'a.png', '--rec', 'a.onnx'],
    ['extract', 'a.png', '--det', 'a.onnx', '--rec', 'a.onnx'], ['draw', 'a.png', '-o', 'b.jpg', '--det', 'a.onnx'],
    ['match', 'a.png', 'b.png', '--det', 'a.onnx', '--rec', 'a.onnx']])
def test_unknown_masks(vultus, arguments):
    for mask in ('avx1024', 'AVX2', 'avx2 '):
        sentence = vultus.fails(*arguments, **under(mask))
        assert mask in sentence and WORDS in sentence
