# SPDX-License-Identifier: Apache-2.0
"""A build without the compiler runs every plan that the other tests made, with the same bytes."""
import json

import pytest

from conftest import Program

np = pytest.importorskip('numpy')


@pytest.fixture(scope='module')
def compiler(root, plans):
    """The program of the build that has a compiler, and the plans its tests made."""
    path, folder = root / 'build/tools/vultus', root / 'build/test-plans'
    if not path.exists():
        pytest.skip(f'{path} is not built')
    return Program(path, {'PATH': '/usr/bin:/bin', 'VULTUS_PLANS': str(folder)}), folder


def test_this_build_has_none(vultus):
    assert json.loads(vultus('doctor', '--json').out)['compiler'] is False


def test_models_are_refused(vultus, tiny):
    for arguments in (['build', tiny], ['info', tiny], ['run', tiny], ['bench', tiny]):
        sentence = vultus.fails(*arguments)
        assert 'tiny.onnx' in sentence and 'compiler' in sentence


def test_same_bytes(vultus, compiler, tiny, tmp_path):
    build, _ = compiler
    plan = json.loads(build('build', tiny, '--json', '--out', tmp_path).out)['path']
    np.save(tmp_path / 'x.npy', np.random.default_rng(2).standard_normal((2, 3, 640, 640), dtype=np.float32))
    outputs = []
    for name, program in (('with', build), ('without', vultus)):
        program('run', plan, '--input', f'x={tmp_path / "x.npy"}', '--output-dir', tmp_path / name)
        outputs.append((tmp_path / name / 'y.npy').read_bytes())
    assert outputs[0] == outputs[1]


def test_compare_without_the_interpreter(vultus, compiler, tiny, tmp_path):
    build, _ = compiler
    plan = json.loads(build('build', tiny, '--json', '--input-size', '24x20', '--out', tmp_path).out)['path']
    x = np.random.default_rng(2).standard_normal((3, 3, 20, 24), dtype=np.float32)
    np.save(tmp_path / 'x.npy', x)
    build('run', plan, '--input', f'x={tmp_path / "x.npy"}', '--output-dir', tmp_path)
    np.savez(tmp_path / 'r.npz', inputs=x, output_0=np.load(tmp_path / 'y.npy'))
    assert vultus('compare', plan, '--reference', tmp_path / 'r.npz').out.endswith('PASS\n')
    sentence = vultus('compare', plan, '--model', tiny, code=2).err
    assert 'tiny.onnx' in sentence and 'reads no ONNX models' in sentence


def about(program, plan):
    return json.loads(program('info', plan, '--json').out)


def test_every_plan_of_the_tests_runs(vultus, compiler, tiny):
    """Those for this machine and of these sources: the folder may hold others, from before the last change."""
    build, folder = compiler
    fresh = about(build, json.loads(build('build', tiny, '--json').out)['path'])['key']
    plans = [p for p in sorted(folder.glob('*.plan')) for key in [about(vultus, p)['key']]
             if all(key[field] == fresh[field] for field in ('arch', 'cpu', 'build', 'libraries'))]
    assert plans
    for plan in plans:
        result = json.loads(vultus('bench', plan, '--seconds', '0.001', '--json').out)['results'][0]
        assert result['runs'] >= 5


def test_faces_are_the_same(vultus, compiler, models, group):
    build, _ = compiler
    plans = [json.loads(build('build', model, '--json').out)['path'] for model in (models[1], models[3])]
    arguments = ['extract', '--det', plans[0], '--rec', plans[1], '--ndjson', group]
    assert vultus(*arguments).out == build(*arguments).out
