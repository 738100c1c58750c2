# SPDX-License-Identifier: Apache-2.0
"""vultus extract on folders, lists and archives: files of records, runs that are interrupted, many jobs."""
import io
import json
import os
import random
import shutil
import signal
import subprocess
import tarfile
import time

import pytest

np, cv2 = pytest.importorskip('numpy'), pytest.importorskip('cv2')

KILLS = 50


@pytest.fixture(scope='module')
def starter(root):
    """The starter pack, whatever test data there is: it is fast."""
    folder = root / 'models/starter'
    return ['--det', folder / 'starter_det.onnx', '--rec', folder / 'starter_rec.onnx']


@pytest.fixture(scope='module')
def folder(root, tmp_path_factory):
    """20 photos in three folders, one of them damaged, and other things."""
    folder = tmp_path_factory.mktemp('photos')
    group = cv2.imread(str(root / 'examples/group.jpg'))
    for i in range(20):
        path = folder / ('', 'b', 'a/deep')[i % 3] / f'{i // 3}.{("jpg", "png", "bmp")[i % 4 % 3]}'
        path.parent.mkdir(parents=True, exist_ok=True)
        part = cv2.resize(group, None, fx=0.4, fy=0.4)[i:i + 180, 5 * i:5 * i + 160]
        cv2.imwrite(str(path), part[:, ::-1] if i % 2 else part)
    (folder / 'broken.jpg').write_bytes(b'\xff\xd8\xff\xe0 no more')
    (folder / 'notes.txt').write_text('no photo')
    (folder / 'loop').symlink_to(folder)
    return folder


def run(vultus, starter, *arguments, code=1, **more):
    return vultus('extract', *starter, *arguments, code=code, **more)


@pytest.fixture(scope='module')
def whole(vultus, starter, folder, tmp_path_factory):
    """Lines of a run that nothing interrupted."""
    out = tmp_path_factory.mktemp('whole') / 'faces.ndjson'
    done = run(vultus, starter, folder, '--recursive', '--out', out)
    assert '1 of 21 photos failed' in done.err and sorted(p.name for p in out.parent.iterdir()) == [out.name]
    return out.read_bytes()


def test_recursive(whole, folder):
    """Every picture once, in the order of the paths' bytes; links to folders are not followed."""
    wanted = sorted(str(p) for p in folder.glob('**/*') if p.is_file() and p.suffix != '.txt' and 'loop' not in p.parts)
    records = [json.loads(line) for line in whole.splitlines()]
    assert [r['file'] for r in records] == wanted and len(wanted) == 21
    assert [r['file'] for r in records if 'error' in r] == [str(folder / 'broken.jpg')]
    assert sum(len(r.get('faces', [])) for r in records) > 15


@pytest.mark.parametrize('jobs', [1, 16])
@pytest.mark.parametrize('suffix', ['ndjson', 'npz', 'msgpack'])
def test_jobs_do_not_change_bytes(vultus, starter, folder, whole, tmp_path, suffix, jobs):
    outs = [tmp_path / f'{n}.{suffix}' for n in (1, 2)]
    for out, n in zip(outs, (2, jobs)):
        run(vultus, starter, folder, '--recursive', '--jobs', n, '--out', out)
    assert outs[0].read_bytes() == outs[1].read_bytes()
    if suffix == 'ndjson':
        assert outs[0].read_bytes() == whole


def test_standard_output_has_the_same_records(vultus, starter, folder, whole):
    assert run(vultus, starter, folder, '--recursive', '--jobs', 4, '--ndjson').stdout == whole
    array = json.loads(run(vultus, starter, folder, '--recursive', '--jobs', 4, '--json').out)
    assert array == [json.loads(line) for line in whole.splitlines()]


def test_npz(vultus, starter, folder, whole, tmp_path):
    run(vultus, starter, folder, '--recursive', '--out', tmp_path / 'faces.npz')
    table = np.load(tmp_path / 'faces.npz')
    records = [json.loads(line) for line in whole.splitlines()]
    faces = [(i, f) for i, r in enumerate(records) for f in r.get('faces', [])]
    assert table['file'].tolist() == [r['file'] for r in records]
    assert table['error'].tolist() == [r.get('error', '') for r in records]
    assert table['width'].tolist() == [r.get('width', 0) for r in records]
    assert table['height'].tolist() == [r.get('height', 0) for r in records]
    assert table['faces'].tolist() == [len(r.get('faces', [])) for r in records]
    assert table['photo'].tolist() == [i for i, _ in faces]
    for name in ('bbox', 'score', 'landmarks', 'norm', 'embedding'):
        assert table[name].dtype == np.float32
        assert np.array_equal(table[name], np.array([f[name] for _, f in faces], np.float32)), name
    assert table['pass'].tolist() == [f['pass'] for _, f in faces] and set(table['failure']) == {''}


def as_float32(value):
    """What JSON says, as msgpack stores it."""
    if isinstance(value, dict):
        return {k: as_float32(v) for k, v in value.items()}
    if isinstance(value, list):
        return [as_float32(v) for v in value]
    return float(np.float32(value)) if isinstance(value, float) else value


def test_msgpack(vultus, starter, folder, whole, tmp_path):
    msgpack = pytest.importorskip('msgpack')
    run(vultus, starter, folder, '--recursive', '--out', tmp_path / 'faces.msgpack')
    with open(tmp_path / 'faces.msgpack', 'rb') as stream:
        assert list(msgpack.Unpacker(stream)) == [as_float32(json.loads(line)) for line in whole.splitlines()]


def test_attributes_in_files(vultus, starter, folder, tmp_path):
    """The records' attributes, column by column; only those that were asked for."""
    msgpack = pytest.importorskip('msgpack')
    for suffix in ('ndjson', 'npz', 'msgpack'):
        run(vultus, starter, folder, '--recursive', '--attributes', 'quality', '--out', tmp_path / f'faces.{suffix}')
    records = [json.loads(line) for line in (tmp_path / 'faces.ndjson').open()]
    told = [face['attributes']['quality'] for record in records for face in record.get('faces', [])]
    assert len(told) > 15
    table = np.load(tmp_path / 'faces.npz')
    flat = {'quality': 'overall', **{f'quality_{k}': k for k in ('norm', 'sharpness', 'size', 'yaw', 'pitch', 'roll')}}
    for column, key in flat.items():
        assert np.array_equal(table[column], np.array([q[key] for q in told], np.float32)), column
    for part in ('norm', 'sharpness', 'size', 'pose'):
        wanted = np.array([np.nan if q['parts'][part] is None else q['parts'][part] for q in told], np.float32)
        assert np.array_equal(table[f'quality_{part}_part'], wanted, equal_nan=True), part
    assert not {'mask', 'live', 'gender', 'age'} & set(table.files)
    with open(tmp_path / 'faces.msgpack', 'rb') as stream:
        assert list(msgpack.Unpacker(stream)) == [as_float32(record) for record in records]


def test_nothing_found(vultus, starter, tmp_path):
    cv2.imwrite(str(tmp_path / 'black.png'), np.zeros((50, 60, 3), np.uint8))
    run(vultus, starter, tmp_path / 'black.png', '--out', tmp_path / 'none.npz', code=0)
    table = np.load(tmp_path / 'none.npz')
    assert table['faces'].tolist() == [0] and table['bbox'].shape == (0, 4) and table['embedding'].shape == (0, 0)


def test_names_of_any_script(vultus, starter, root, tmp_path):
    names = ['\u00e9t\u00e9.jpg', '\u7167\u7247.jpg', '\U0001f600.jpg']
    for name in names:
        shutil.copy(root / 'examples/group.jpg', tmp_path / name)
    run(vultus, starter, tmp_path, '--no-embeddings', '--out', tmp_path / 'faces.npz', code=0)
    assert sorted(np.load(tmp_path / 'faces.npz')['file'].tolist()) == sorted(str(tmp_path / name) for name in names)


def test_list(vultus, starter, folder, whole):
    lines = [json.loads(line)['file'] for line in whole.splitlines()]
    listed = ''.join(f'{line}\n' for line in lines) + '\n'
    assert run(vultus, starter, '--from', 'list', '-', '--jobs', 2, '--ndjson', stdin=listed.encode()).stdout == whole
    assert 'absent.txt' in vultus.fails('extract', *starter, '--from', 'list', folder / 'absent.txt')


def tar_of(folder, whole, mode='w'):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=mode) as tar:
        for line in whole.splitlines():
            path = json.loads(line)['file']
            tar.add(path, arcname=os.path.relpath(path, folder))
        tar.add(folder / 'notes.txt', arcname='notes.txt')
    return data.getvalue()


@pytest.mark.parametrize('mode', ['w', 'w:gz', 'w:xz'])
def test_tar(vultus, starter, folder, whole, mode):
    done = run(vultus, starter, '--from', 'tar', '-', '--jobs', 2, '--ndjson', stdin=tar_of(folder, whole, mode))
    records, wanted = ([json.loads(line) for line in text.splitlines()] for text in (done.stdout, whole))
    for record, other in zip(records, wanted):
        assert record['file'] == os.path.relpath(other['file'], folder)
        assert record.get('faces') == other.get('faces')
    assert len(records) == len(wanted)


def test_hostile_tar(vultus, starter, folder, whole):
    tar = tar_of(folder, whole)
    cut = vultus('extract', *starter, '--from', 'tar', '-', '--ndjson', code=1, stdin=tar[:len(tar) // 2])
    assert 'cannot read the archive' in cut.err and 0 < len(cut.out.splitlines()) < 21
    assert 'archive' in vultus.fails('extract', *starter, '--from', 'tar', '-', stdin=b'no archive at all' * 100)
    small = run(vultus, starter, '--from', 'tar', '-', '--ndjson', '--max-bytes', 30000, stdin=tar)
    errors = [json.loads(line).get('error', '') for line in small.out.splitlines()]
    assert len(errors) == 21 and any('over the limit of 30000' in e for e in errors) and '' in errors


def test_crops(vultus, starter, folder, whole, tmp_path):
    """The same names and bytes whatever the number of jobs; one for each face."""
    for jobs in (1, 8):
        run(vultus, starter, folder, '--recursive', '--jobs', jobs, '--out', tmp_path / f'{jobs}.ndjson', '--crops', tmp_path / f'crops{jobs}')
    one, many = ({p.name: p.read_bytes() for p in (tmp_path / f'crops{jobs}').iterdir()} for jobs in (1, 8))
    assert one == many and len(one) == sum(len(json.loads(line).get('faces', [])) for line in whole.splitlines())
    assert cv2.imread(str(tmp_path / 'crops1/0_0.jpg')).shape == (112, 112, 3) and '0-2_0.jpg' in one and '0-3_0.jpg' in one


@pytest.mark.heavy
def test_killed_at_random_moments(vultus, starter, folder, whole, tmp_path):
    """However often and whenever a run is killed, what it ends with is what it would have been."""
    out, generator, kills = tmp_path / 'faces.ndjson', random.Random(5), 0
    arguments = ['extract', *map(str, starter), str(folder), '--recursive', '--jobs', '3', '--out', str(out), '--resume']
    while kills < KILLS:
        process = vultus.start(*arguments)
        try:
            err = process.communicate(timeout=generator.uniform(0, 0.5))[1]
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            kills += 1
            continue
        killed_at_its_end = b'is complete' in err
        assert process.returncode == (0 if killed_at_its_end else 1) and out.read_bytes() == whole
        out.unlink()
    vultus.start(*arguments).communicate()
    assert out.read_bytes() == whole and sorted(p.name for p in tmp_path.iterdir()) == [out.name]


def interrupted(vultus, starter, folder, out):
    """A run of which a few records are there."""
    process = vultus.start('extract', *map(str, starter), str(folder), '--recursive', '--jobs', '1', '--out', str(out))
    part = out.with_name(out.name + '.part')
    while process.poll() is None and not (part.exists() and part.read_bytes().count(b'\n') >= 3):
        time.sleep(0.005)
    process.kill()
    process.communicate()
    return part


@pytest.mark.parametrize('suffix', ['npz', 'msgpack'])
def test_resumed_exports(vultus, starter, folder, tmp_path, suffix):
    outs = [tmp_path / f'{n}.{suffix}' for n in ('a', 'b')]
    interrupted(vultus, starter, folder, outs[0])
    run(vultus, starter, folder, '--recursive', '--out', outs[0], '--resume')
    run(vultus, starter, folder, '--recursive', '--out', outs[1])
    assert outs[0].read_bytes() == outs[1].read_bytes()


def test_resuming_something_else_is_refused(vultus, starter, folder, whole, tmp_path):
    out = tmp_path / 'faces.ndjson'
    part = interrupted(vultus, starter, folder, out)
    before = part.read_bytes()
    same = ['extract', *starter, folder, '--recursive', '--out', out]
    assert '--resume' in vultus.fails(*same)
    for other in (['--threshold', '0.5'], ['--no-embeddings'], ['--limit-faces', '1'], ['--max-side', '9999'], ['--times'],
                  ['--crops', tmp_path / 'crops']):
        assert 'was another' in vultus.fails(*same, '--resume', *other)
    assert 'photos was another' in vultus.fails('extract', *starter, folder / 'b', '--recursive', '--out', out, '--resume')
    shutil.copy(folder / 'notes.txt', folder / '+new.jpg')
    try:
        assert 'record 1' in vultus.fails(*same, '--resume')
    finally:
        (folder / '+new.jpg').unlink()
    assert part.read_bytes() == before
    vultus(*same, '--resume', '--jobs', '5', code=1)
    assert out.read_bytes() == whole
    assert 'is complete' in vultus(*same, '--resume').err and out.read_bytes() == whole


def test_a_torn_line_is_done_again(vultus, starter, folder, whole, tmp_path):
    out = tmp_path / 'faces.ndjson'
    part = interrupted(vultus, starter, folder, out)
    lines = part.read_bytes().splitlines(keepends=True)
    part.write_bytes(b''.join(lines[:2]) + lines[2][:50])
    run(vultus, starter, folder, '--recursive', '--out', out, '--resume')
    assert out.read_bytes() == whole


def test_two_runs_into_one_file(vultus, starter, folder, whole, tmp_path):
    fcntl = pytest.importorskip('fcntl')
    out = tmp_path / 'faces.ndjson'
    part = interrupted(vultus, starter, folder, out)
    with open(part) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert 'another process' in vultus.fails('extract', *starter, folder, '--recursive', '--out', out, '--resume')
    run(vultus, starter, folder, '--recursive', '--out', out, '--resume')
    assert out.read_bytes() == whole


def test_wrong_usage(vultus, starter, folder, tmp_path):
    assert 'no format' in vultus('extract', *starter, folder, '--out', tmp_path / 'faces.csv', code=2).err
    assert '--resume needs --out' in vultus('extract', *starter, folder, '--resume', code=2).err
    assert 'absent' in vultus.fails('extract', *starter, folder / '0.jpg', '--out', tmp_path / 'absent/faces.ndjson')


@pytest.mark.heavy
def test_memory_is_flat(vultus, starter, root, tmp_path):
    photo = cv2.resize(cv2.imread(str(root / 'examples/group.jpg')), (320, 240))
    for i in range(200):
        path = tmp_path / ('few' if i < 20 else 'many') / f'{i}.jpg'
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), photo)
    few, many = (vultus.peak_kib('extract', *starter, tmp_path / name, '--jobs', 2, '--out', tmp_path / f'{name}.npz')
                 for name in ('few', 'many'))
    assert many < few + (20 << 10) and many < 400 << 10
