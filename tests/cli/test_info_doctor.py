# SPDX-License-Identifier: Apache-2.0
"""vultus info and doctor, and plans that are not what they seem."""
import json
import os
import random
import shutil

import pytest


@pytest.fixture(scope='module')
def plan(vultus, tiny):
    return json.loads(vultus('build', tiny, '--json').out)['path']


def test_onnx(vultus, tiny):
    about = json.loads(vultus('info', tiny, '--json').out)
    assert set(about) == {'kind', 'file', 'sha256', 'opset', 'producer', 'nodes', 'parameters', 'inputs', 'outputs', 'operators',
                          'function', 'function_origin'}
    assert about['kind'] == 'onnx' and about['opset'] == 13 and about['nodes'] == 7
    assert about['operators'] == {'Conv': 2, 'PRelu': 1, 'Add': 1, 'GlobalAveragePool': 1, 'Flatten': 1, 'Gemm': 1}
    assert about['parameters'] == 8 * 3 * 9 + 8 + 8 + 8 * 8 * 9 + 5 * 8 + 5
    x, y = about['inputs'][0], about['outputs'][0]
    assert (x['name'], x['dtype'], len(x['shape']), x['shape'][1]) == ('x', 'float32', 4, 3)
    assert (y['name'], y['shape'][-1]) == ('y', 5)


def test_onnx_graph(vultus, tiny):
    about = json.loads(vultus('info', tiny, '--json', '--graph').out)
    assert 'c1 = Conv' in about['graph'] and len(about['optimised'].splitlines()) < len(about['graph'].splitlines())


@pytest.mark.parametrize('which, kept, dropped', [('before', 'graph', 'optimised'), ('after', 'optimised', 'graph')])
def test_one_graph_of_two(vultus, tiny, which, kept, dropped):
    both = json.loads(vultus('info', tiny, '--json', '--graph').out)
    one = json.loads(vultus('info', f'--graph={which}', tiny, '--json').out)
    assert dropped not in one and one[kept] == both[kept]
    del both[dropped]
    assert one == both
    assert ('c1 = Conv' in vultus('info', f'--graph={which}', tiny).out) == (which == 'before')


def test_graph_of_a_plan(vultus, plan):
    assert vultus('info', '--graph=after', plan, '--json').out == vultus('info', '--graph', plan, '--json').out
    assert 'after optimisation only' in vultus.fails('info', '--graph=before', plan)


def test_plan(vultus, plan):
    about = json.loads(vultus('info', plan, '--json').out)
    assert set(about) == {'kind', 'file', 'format_version', 'model', 'key', 'inputs', 'outputs', 'max_batch', 'weights_bytes',
                          'arena_bytes', 'build_seconds', 'steps'}
    assert about['kind'] == 'plan' and about['max_batch'] == 32 and about['key']['precision'] == 'fp32'
    assert about['inputs'][0]['shape'] == [1, 3, 640, 640] and about['outputs'][0]['shape'] == [1, 5]


def test_plan_lists_two_timed_candidates_per_convolution(vultus, plan):
    steps = [s for s in json.loads(vultus('info', plan, '--json').out)['steps'] if s['kind'] == 'conv']
    assert len(steps) == 2
    for step in steps:
        times = {c['tactic'] for c in step['candidates'] if c['microseconds'] > 0}
        chosen = {c['tactic'] for c in step['candidates'] if c['chosen']}
        assert len(times) >= 2, step
        assert chosen and chosen <= times and chosen == {t['tactic'] for t in step['tactics']}


def test_file_names_of_any_bytes(vultus, tiny, plan, tmp_path):
    for file, suffix in ((tiny, b'.onnx'), (plan, b'.plan')):
        odd = os.fsencode(tmp_path) + b'/caf\xe9' + suffix
        shutil.copy(file, odd)
        about = json.loads(vultus('info', os.fsdecode(odd), '--json').out)
        assert about['file'].endswith('caf\ufffd' + suffix.decode())


def test_for_people(vultus, tiny, plan):
    assert 'opset: 13' in vultus('info', tiny).out
    text = vultus('info', plan).out
    assert 'precision: fp32' in text and 'batch 1:' in text and '*' in text and ' us' in text
    assert '= conv(' in vultus('info', '--graph', plan).out


@pytest.mark.parametrize('name, function, origin', [
    ('scrfd_2.5g_bnkps', 'scrfd', 'catalogue'), ('det_500m', 'scrfd', 'catalogue'), ('mobilefacenet', 'arcface', 'catalogue')])
def test_function_by_catalogue(vultus, data, name, function, origin):
    about = json.loads(vultus('info', data / f'models/{name}.onnx', '--json').out)
    assert (about['function'], about['function_origin']) == (function, origin)


def test_function_by_shapes(vultus, models, tmp_path):
    """A model that is not in the catalogue: the same network with another producer's name in the file."""
    onnx = pytest.importorskip('onnx')
    for path, function in ((models[1], 'scrfd'), (models[3], 'arcface')):
        model = onnx.load(path)
        model.producer_name = 'somebody else'
        onnx.save(model, tmp_path / 'unknown.onnx')
        about = json.loads(vultus('info', tmp_path / 'unknown.onnx', '--json').out)
        assert (about['function'], about['function_origin']) == (function, 'shapes')


def test_what_is_neither(vultus, tmp_path):
    assert 'no-such' in vultus.fails('info', tmp_path / 'no-such.onnx')
    assert vultus.fails('info', tmp_path)
    wrong = tmp_path / 'wrong.plan'
    wrong.write_text('hello')
    assert 'wrong.plan' in vultus.fails('info', wrong)


def test_truncated_plans(vultus, plan, tmp_path):
    content = open(plan, 'rb').read()
    cut = tmp_path / 'cut.plan'
    for length in [*range(1, min(400, len(content)), 37), *range(400, len(content), max(1, len(content) // 30))]:
        cut.write_bytes(content[:length])
        assert 'cut.plan' in vultus.fails('info', cut)


def test_flipped_plans_are_refused(vultus, plan, tmp_path):
    """Sections have checksums: whatever bit is flipped, except in padding between sections, is noticed before running."""
    generator = random.Random(3)
    content = open(plan, 'rb').read()
    flipped = tmp_path / 'flipped.plan'
    refused = 0
    for _ in range(40):
        broken = bytearray(content)
        broken[generator.randrange(len(broken))] ^= 1 << generator.randrange(8)
        flipped.write_bytes(broken)
        process = vultus.start('bench', str(flipped), '--seconds', '0.001')
        out, err = process.communicate(timeout=120)
        assert process.returncode in (0, 1), (process.returncode, err)
        assert process.returncode == 0 or err.startswith(b'vultus: ')
        refused += process.returncode
    assert refused >= 30


def model_with_name(path, name):
    """A network whose input has a name of these bytes."""
    onnx = pytest.importorskip('onnx')
    stand_in = 'n' * len(name)
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node('Relu', [stand_in], ['y'])], 'g',
        [onnx.helper.make_tensor_value_info(stand_in, onnx.TensorProto.FLOAT, [1, 3])],
        [onnx.helper.make_tensor_value_info('y', onnx.TensorProto.FLOAT, [1, 3])])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', 13)], ir_version=7)
    path.write_bytes(model.SerializeToString().replace(stand_in.encode(), name))
    return path


def test_names_cannot_steer_a_terminal(vultus, tmp_path):
    model = model_with_name(tmp_path / 'names.onnx', b'x\x1b[31m')
    assert '\x1b' not in vultus.fails('info', model)


def test_names_that_are_no_text(vultus, tmp_path):
    """Whatever becomes of a name that is not UTF-8, JSON stays JSON and a refusal is a sentence about the file."""
    model = model_with_name(tmp_path / 'names.onnx', b'x\xff\xfey')
    process = vultus.start('info', str(model), '--json')
    out, err = process.communicate()
    assert process.returncode in (0, 1)
    if process.returncode == 0:
        assert json.loads(out)['kind'] == 'onnx'
    else:
        assert b'names.onnx' in err and b'memory' not in err


def test_doctor(vultus, plans):
    about = json.loads(vultus('doctor', '--json').out)
    assert set(about) == {'version', 'compiler', 'cpu', 'backends', 'backend_order', 'nvidia', 'codecs', 'model_pulls', 'plan_cache'}
    assert set(about['cpu']) == {'model', 'features', 'arch', 'processors', 'threads'}
    assert about['plan_cache']['directory'] == str(plans) and about['plan_cache']['plans'] >= 0
    by_name = {b['name']: b for b in about['backends']}
    assert by_name['cpu']['usable'] is True
    for backend in about['backends']:
        assert set(backend) == {'name', 'usable', 'reason', 'arch', 'device', 'libraries'}
        assert backend['usable'] or backend['reason']
    assert 'jpeg' in about['codecs'].lower()


def test_doctor_for_people(vultus):
    text = vultus('doctor').out
    assert 'name cpu' in text and 'usable yes' in text and 'plan_cache' in text


def test_doctor_counts_plans(vultus, tiny, tmp_path):
    def count():
        return json.loads(vultus('doctor', '--json', '--plans', tmp_path / 'p').out)['plan_cache']

    assert count()['plans'] == 0
    vultus('build', tiny, '--plans', tmp_path / 'p')
    assert count()['plans'] == 1 and count()['bytes'] > 0


def test_doctor_masks_features(vultus):
    native = json.loads(vultus('doctor', '--json').out)['cpu']['arch']
    lowest = native if native in ('neon', 'generic') else 'sse'
    mask = 'native' if native == 'generic' else lowest
    assert json.loads(vultus('doctor', '--json', environment={'VULTUS_CPU': mask}).out)['cpu']['arch'] == lowest
