# SPDX-License-Identifier: Apache-2.0
"""The cross-built program under an emulator (VULTUS_EXE_WRAPPER) against this machine's own build in build/."""
import json
import os
import sys

import pytest

from conftest import Program

np = pytest.importorskip('numpy')

FACES = 11
SLICE = ('AveragePool', 'BatchNormalization', 'Concat', 'Conv', 'ConvTranspose', 'Elu', 'Gemm', 'HardSwish', 'Split')
FARTHEST = 1e-4  # cosine distance


@pytest.fixture(scope='module')
def native(root, tmp_path_factory):
    path = root / 'build/tools/vultus'
    if not path.exists():
        pytest.skip(f'{path} is not built')
    environment = {k: v for k, v in os.environ.items() if not k.startswith('VULTUS_')}
    program = Program(path, {**environment, 'VULTUS_PLANS': str(tmp_path_factory.mktemp('plans'))})
    program.command = [path]
    return program


def faces(program, root):
    [record] = json.loads(program('extract', root / 'examples/group.jpg', '--json').out)
    return record['faces']


def test_faces_are_those_of_the_native_build(root, vultus, native):
    ours, theirs = faces(vultus, root), faces(native, root)
    assert len(ours) == len(theirs) == FACES
    np.testing.assert_allclose([f['bbox'] for f in ours], [f['bbox'] for f in theirs], atol=0.05)
    for our, their in zip(ours, theirs):
        a, b = np.array(our['embedding']), np.array(their['embedding'])
        assert 1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b) < FARTHEST


def test_the_processor_is_an_arm(vultus):
    cpu = json.loads(vultus('doctor', '--json').out)['cpu']
    assert cpu['arch'] == cpu['features'] == 'neon' and cpu['processors'] >= 1


def test_masks(vultus):
    for mask in ('neon', 'native'):
        assert json.loads(vultus('doctor', '--json', environment={'VULTUS_CPU': mask}).out)['cpu']['arch'] == 'neon'
    assert 'one of neon, native' in vultus.fails('doctor', environment={'VULTUS_CPU': 'avx2'})


def test_plans_of_another_processor_are_refused(root, vultus, native, tmp_path):
    model = root / 'models/starter/starter_rec.onnx'
    for builder, reader, arch in ((vultus, native, 'neon'), (native, vultus, None)):
        plan = json.loads(builder('build', model, '--out', tmp_path, '--json').out)['path']
        if arch:
            assert plan.endswith('starter_rec-fp32-neon.plan')
        reader.fails('bench', plan, '--seconds', '0.001')


@pytest.mark.parametrize('engine', ['interpreter', 'plan'])
def test_a_slice_of_the_node_tests(root, build, tmp_path, engine):
    """What a run of all of them gave is in docs/conformance.md."""
    pytest.importorskip('onnx')
    sys.path.insert(0, str(root / 'tests/conformance'))
    import conformance
    tests = [test for test in conformance.read_tests(conformance.node_tests(root), conformance.read_exclusions())
             if test.operator in SLICE and not conformance.not_for_plans(test)]
    if not tests:
        pytest.skip('the node tests are not unpacked: scripts/setup.sh tests')
    if engine == 'plan':
        results = conformance.plan_results(build, tests, tmp_path, 'neon')
    else:
        results = conformance.run(build, engine, [test.line() for test in tests], tmp_path, 'neon')[1]
    assert len(tests) > 40
    assert [f'{test.name}: {result}' for test, result in zip(tests, results) if result != 'passed'] == []
