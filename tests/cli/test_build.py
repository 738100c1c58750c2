# SPDX-License-Identifier: Apache-2.0
"""vultus build: names, cache, two at once, killed in the middle, and what it refuses."""
import json
import os
import pathlib
import shutil
import signal
import time

import pytest

from conftest import make_tiny

KEYS = {'path', 'bytes', 'seconds', 'cached', 'miss', 'steps', 'tactics'}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / 'plans'


def built(vultus, model, folder, *arguments, **more):
    return json.loads(vultus('build', model, '--out', folder, '--json', *arguments, **more).out)


def leftovers(folder):
    return [p.name for p in folder.iterdir() if p.suffix not in ('.plan', '.lock')]


def test_json_keys_and_file(vultus, tiny, folder):
    result = built(vultus, tiny, folder)
    assert set(result) == KEYS
    plan = pathlib.Path(result['path'])
    assert plan.parent == folder and plan.stat().st_size == result['bytes'] > 0
    assert result['cached'] is False and result['miss'] != '' and result['seconds'] > 0
    assert result['steps'] >= sum(result['tactics'].values()) > 0
    assert leftovers(folder) == []


def test_one_line_for_people(vultus, tiny, folder):
    done = vultus('build', tiny, '--out', folder)
    assert len(done.out.splitlines()) == 1 and 'tiny-fp32-' in done.out and 'built in' in done.out and 'steps' in done.out
    again = vultus('build', tiny, '--out', folder)
    assert len(again.out.splitlines()) == 1 and 'found in' in again.out


def test_tactics_file(vultus, tiny, folder, tmp_path):
    """Every candidate that the plan lists is a line, marked where it was chosen; a plan that is found gives the same text."""
    result = built(vultus, tiny, folder, '--tactics', tmp_path / 'first.txt')
    built(vultus, tiny, folder, '--tactics', tmp_path / 'second.txt')
    text = (tmp_path / 'first.txt').read_text()
    assert text == (tmp_path / 'second.txt').read_text()
    plan = json.loads(vultus('info', result['path'], '--json').out)
    blocks = text.split('\nstep ')[1:]
    assert len(blocks) == len(plan['steps'])
    for block, step in zip(blocks, plan['steps']):
        assert step['name'] in block.splitlines()[0] and 'x'.join(map(str, step['output'])) in block.splitlines()[0]
        lines = [line.split() for line in block.splitlines()[2:]]
        found = {(line[0] == '*', *line[line[0] == '*':][:4]) for line in lines}
        wanted = {(c['chosen'], str(c['batch']), c['tactic'], c['class'], c['provider']) for c in step['candidates']}
        if step['candidates']:
            assert found == wanted
        else:
            assert step['tactics'][0]['tactic'] in block and 'is all there is' in block


def test_unwritable_tactics_file(vultus, tiny, folder, tmp_path):
    assert str(tmp_path / 'no/report.txt') in vultus.fails('build', tiny, '--out', folder, '--tactics', tmp_path / 'no/report.txt')


def test_report(vultus, tiny, folder):
    result = built(vultus, tiny, folder, '--report')
    assert set(result) == KEYS | {'layers', 'providers'}
    assert len(result['layers']) == result['steps'] == sum(p['steps'] for p in result['providers'])
    assert sum(p['share'] for p in result['providers']) == pytest.approx(1, abs=1e-4)
    lines = vultus('build', tiny, '--out', folder, '--report').out.splitlines()
    assert 'found in' in lines[0] and lines[1].split()[0] == 'step' and lines[-1].startswith('all ')


@pytest.mark.parametrize('arguments, tail', [
    ([], ''), (['--max-batch', '64'], '-b64'), (['--input-size', '320x320'], '-320x320'),
    (['--input-size', '96x64', '--max-batch', '4'], '-96x64-b4'), (['--input-size', '640x640', '--max-batch', '32'], '')])
def test_names(vultus, tiny, folder, arguments, tail):
    arch = json.loads(vultus('doctor', '--json').out)['cpu']['arch']
    assert pathlib.Path(built(vultus, tiny, folder, *arguments)['path']).name == f'tiny-fp32-{arch}{tail}.plan'


def test_plan_folder_from_environment(vultus, tiny, tmp_path):
    def path(environment, *arguments):
        done = vultus('build', tiny, '--json', *arguments, environment=environment)
        return pathlib.Path(json.loads(done.out)['path']).parent

    assert path({'VULTUS_PLANS': str(tmp_path / 'a')}) == tmp_path / 'a'
    assert path({'VULTUS_PLANS': '', 'XDG_CACHE_HOME': str(tmp_path / 'b')}) == tmp_path / 'b/vultus/plans'
    assert path({'VULTUS_PLANS': '', 'XDG_CACHE_HOME': '', 'HOME': str(tmp_path / 'c')}) == tmp_path / 'c/.cache/vultus/plans'
    assert path({'VULTUS_PLANS': str(tmp_path / 'a')}, '--plans', tmp_path / 'd') == tmp_path / 'd'


def test_hit_leaves_the_file_alone(vultus, tiny, folder):
    first = built(vultus, tiny, folder)
    before = os.stat(first['path'])
    second = built(vultus, tiny, folder)
    after = os.stat(first['path'])
    assert second['cached'] is True and second['miss'] == '' and second['steps'] == first['steps']
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_force(vultus, tiny, folder):
    built(vultus, tiny, folder)
    again = built(vultus, tiny, folder, '--force')
    assert again['cached'] is False and again['miss']


def test_changed_model_is_named(vultus, tmp_path, folder):
    model = make_tiny(tmp_path / 'm.onnx', seed=1)
    built(vultus, model, folder)
    make_tiny(model, seed=2)
    result = built(vultus, model, folder)
    assert result['cached'] is False and 'model_sha256' in result['miss']
    assert built(vultus, model, folder)['cached'] is True


def save_with_external_data(path, seed):
    """The tiny network with its weights in "weights" beside it."""
    onnx = pytest.importorskip('onnx')
    model = onnx.load(make_tiny(path, seed))
    (path.parent / 'weights').unlink(missing_ok=True)
    onnx.save(model, path, save_as_external_data=True, location='weights', size_threshold=0)


def test_changed_external_data_make_another_plan(vultus, tmp_path, folder):
    """The file named is the same, byte for byte; what it names is not."""
    save_with_external_data(tmp_path / 'outer.onnx', 1)
    first = built(vultus, tmp_path / 'outer.onnx', folder)
    assert built(vultus, tmp_path / 'outer.onnx', folder)['cached'] is True
    before = (tmp_path / 'outer.onnx').read_bytes()
    save_with_external_data(tmp_path / 'outer.onnx', 2)
    assert (tmp_path / 'outer.onnx').read_bytes() == before
    second = built(vultus, tmp_path / 'outer.onnx', folder)
    assert (second['path'], second['cached']) == (first['path'], False) and 'model_sha256' in second['miss']
    vultus('compare', second['path'], '--model', tmp_path / 'outer.onnx', '--n-samples', 2, '--input-size', '32x32')


def test_external_data_are_confined_to_the_folder(vultus, tmp_path, folder):
    save_with_external_data(tmp_path / 'outer.onnx', 1)
    model = tmp_path / 'model'
    model.mkdir()
    shutil.copy(tmp_path / 'outer.onnx', model)
    assert 'weights' in vultus.fails('build', model / 'outer.onnx', '--out', folder)
    (model / 'weights').symlink_to('../weights')
    assert 'symbolic links are not followed' in vultus.fails('build', model / 'outer.onnx', '--out', folder)
    assert 'symbolic links are not followed' in vultus.fails('info', model / 'outer.onnx')
    (model / 'weights').unlink()
    (model / 'weights').write_bytes((tmp_path / 'weights').read_bytes()[:-1])
    assert 'external data' in vultus.fails('build', model / 'outer.onnx', '--out', folder)


def test_thread_counts_have_plans_of_their_own(vultus, tiny, folder):
    other = len(os.sched_getaffinity(0)) + 1
    default = built(vultus, tiny, folder)
    result = built(vultus, tiny, folder, '--threads', str(other))
    assert result['cached'] is False and result['path'].endswith(f'-t{other}.plan')
    assert built(vultus, tiny, folder)['cached'] is True and default['path'] != result['path']


def test_broken_plan_is_built_again(vultus, tiny, folder):
    plan = pathlib.Path(built(vultus, tiny, folder)['path'])
    content = plan.read_bytes()
    for broken in (b'', content[:100], b'x' * len(content), content[:-100] + b'x' * 100):
        plan.write_bytes(broken)
        result = built(vultus, tiny, folder)
        assert result['cached'] is False and result['miss']
        assert vultus('info', plan).out
    assert built(vultus, tiny, folder)['cached'] is True


def test_other_processor_is_another_plan(vultus, tiny, folder):
    native = pathlib.Path(built(vultus, tiny, folder)['path']).name
    if 'neon' in native or 'generic' in native:
        pytest.skip(f'this processor has one instruction set only ({native})')
    sse = pathlib.Path(built(vultus, tiny, folder, environment={'VULTUS_CPU': 'sse'})['path']).name
    assert sse == 'tiny-fp32-sse.plan'


def test_two_at_once_build_once(vultus, tiny, folder):
    racers = [vultus.start('build', tiny, '--out', str(folder), '--json') for _ in range(4)]
    results = []
    for racer in racers:
        out, err = racer.communicate(timeout=300)
        assert racer.returncode == 0, err
        results.append(json.loads(out))
    assert sorted(r['cached'] for r in results) == [False, True, True, True]
    assert len({r['path'] for r in results}) == 1 and leftovers(folder) == []


def test_killed_build_leaves_no_half_plan(vultus, models, folder):
    """Killed at several moments: there is a whole plan or none, and the next build works, nothing staying locked."""
    model = models[3]
    for pause in (0.05, 0.3, 1.0):
        shutil.rmtree(folder, ignore_errors=True)
        process = vultus.start('build', model, '--out', str(folder))
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        for plan in folder.glob('*.plan') if folder.exists() else []:
            vultus('info', plan)
    assert built(vultus, model, folder)['bytes'] > 0


@pytest.mark.parametrize('make, part', [
    (lambda p: p.mkdir(), ''),
    (lambda p: p.write_bytes(b''), ''),
    (lambda p: p.write_bytes(b'\xff\xd8\xff\xe0' + bytes(1000)), ''),
    (lambda p: p.write_bytes(b'\x89PNG\r\n\x1a\n' + bytes(1000)), ''),
    (lambda p: p.write_text('this is not a model\n'), ''),
    (lambda p: None, ''),
])
def test_what_is_no_model(vultus, tmp_path, folder, make, part):
    model = tmp_path / 'wrong.onnx'
    make(model)
    assert 'wrong.onnx' in vultus.fails('build', model, '--out', folder)
    assert not folder.exists() or [p for p in folder.iterdir() if p.suffix == '.plan'] == []


def test_truncated_models(vultus, tiny, tmp_path, folder):
    content = tiny.read_bytes()
    model = tmp_path / 'cut.onnx'
    for length in range(0, len(content), max(1, len(content) // 40)):
        model.write_bytes(content[:length])
        assert 'cut.onnx' in vultus.fails('build', model, '--out', folder)


def test_bit_flips_never_crash(vultus, tiny, tmp_path, folder):
    """A flipped bit may be a weight and build well; it may never end in a signal, and a failure is one sentence."""
    import random
    generator = random.Random(5)
    content = tiny.read_bytes()
    model = tmp_path / 'flipped.onnx'
    failures = 0
    for _ in range(60):
        broken = bytearray(content)
        broken[generator.randrange(len(broken))] ^= 1 << generator.randrange(8)
        model.write_bytes(broken)
        done = vultus.start('info', str(model))
        out, err = done.communicate(timeout=120)
        assert done.returncode in (0, 1), (done.returncode, err)
        assert done.returncode == 0 or err.startswith(b'vultus: '), err
        failures += done.returncode
    assert failures


def test_unwritable_folder(vultus, tiny, tmp_path):
    blocked = tmp_path / 'file'
    blocked.write_text('')
    assert str(blocked) in vultus.fails('build', tiny, '--out', blocked)
    assert str(blocked) in vultus.fails('build', tiny, '--out', blocked / 'below')


def test_impossible_sizes(vultus, tiny, folder):
    assert vultus.fails('build', tiny, '--out', folder, '--input-size', '32000x32000')
    assert vultus.fails('build', tiny, '--out', folder, '--max-batch', '65536')


def test_plan_is_not_built_again(vultus, tiny, folder):
    plan = built(vultus, tiny, folder)['path']
    assert 'plan already' in vultus.fails('build', plan, '--out', folder)


def test_unknown_operator_is_named(vultus, tmp_path, folder):
    onnx = pytest.importorskip('onnx')
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node('Frobnicate', ['x'], ['y'], name='odd_one', domain='')], 'g',
        [onnx.helper.make_tensor_value_info('x', onnx.TensorProto.FLOAT, [1, 3])],
        [onnx.helper.make_tensor_value_info('y', onnx.TensorProto.FLOAT, [1, 3])])
    model = tmp_path / 'odd.onnx'
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', 13)], ir_version=7), model)
    sentence = vultus.fails('build', model, '--out', folder)
    assert 'Frobnicate' in sentence and 'odd_one' in sentence and '13' in sentence
