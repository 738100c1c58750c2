# SPDX-License-Identifier: Apache-2.0
"""What works with nothing configured: the starter models of models/starter/ on the sample picture."""
import json
import re
import subprocess

import pytest

from conftest import Program

np, cv2 = pytest.importorskip('numpy'), pytest.importorskip('cv2')

DEFAULT_LINE = re.compile(r'^vultus: taking the starter models of (\S+), which are for trying out', re.M)
LEAST_FACES = 6


@pytest.fixture(scope='module')
def group(root):
    return root / 'examples/group.jpg'


@pytest.fixture(scope='module')
def installed(build, plans, vultus, tmp_path_factory):
    """The program of an installed copy, in a tree that was moved."""
    folder = tmp_path_factory.mktemp('installed')
    subprocess.run(['meson', 'install', '-C', build, '--no-rebuild', '--quiet', '--destdir', folder / 'first'], check=True,
                   capture_output=True)
    (folder / 'first').rename(folder / 'moved')
    [path] = folder.glob('moved/**/bin/vultus')
    return Program(path, vultus.environment)


@pytest.fixture(scope='module')
def faces(vultus, group):
    [record] = json.loads(vultus('extract', group, '--json').out)
    return record['faces']


def told(done):
    """The folder that the one default line names."""
    [folder] = DEFAULT_LINE.findall(done.err)
    return folder


def test_faces_of_the_sample_picture(vultus, root, group):
    done = vultus('extract', group, '--json')
    assert told(done) == str(root / 'models/starter')
    [record] = json.loads(done.out)
    height, width = cv2.imread(str(group)).shape[:2]
    assert (record['width'], record['height']) == (width, height) and len(record['faces']) >= LEAST_FACES
    for face in record['faces']:
        assert np.linalg.norm(face['embedding']) == pytest.approx(1, abs=1e-5) and len(face['embedding']) >= 128
        x1, y1, x2, y2 = face['bbox']
        assert -0.1 * width < x1 < x2 < 1.1 * width and -0.1 * height < y1 < y2 < 1.1 * height


def test_faces_differ(faces):
    """Nobody is in the sample picture twice."""
    embedded = np.array([face['embedding'] for face in faces])
    assert (embedded @ embedded.T - np.eye(len(faces))).max() < 0.9


def test_every_command_says_so_once(vultus, group, tmp_path):
    crops = tmp_path / 'crops'
    calls = [['extract', group, '--crops', crops], ['extract', group, '--no-embeddings'], ['draw', group, '-o', tmp_path / 'out.jpg'],
             ['match', group, group], ['embed', crops / 'group_0.jpg']]
    for call in calls:
        told(vultus(*call))


def test_names_where_a_model_is_described(vultus, root):
    assert vultus('info', 'starter_det', '--json').out == vultus('info', root / 'models/starter/starter_det.onnx', '--json').out


@pytest.mark.parametrize('flags, environment', [
    (['--det', 'starter_det', '--rec', 'starter_rec'], {}),
    ([], {'VULTUS_DET': 'starter_det', 'VULTUS_REC': 'starter_rec'}),
])
def test_names_stand_for_the_models(vultus, group, faces, flags, environment):
    done = vultus('extract', group, '--json', *flags, environment=environment)
    assert done.err == '' and json.loads(done.out)[0]['faces'] == faces


def test_one_of_both_may_be_named(vultus, group, root, faces):
    done = vultus('extract', group, '--json', '--det', root / 'models/starter/starter_det.onnx')
    told(done)
    assert json.loads(done.out)[0]['faces'] == faces


def test_a_named_model_is_never_replaced(vultus, group):
    assert 'absent.onnx' in vultus.fails('extract', group, environment={'VULTUS_DET': 'absent.onnx'})


def test_test_data_are_no_configuration(vultus, group, root, tmp_path):
    assert told(vultus('draw', group, '-o', tmp_path / 'out.jpg', environment={'VULTUS_TEST_DATA': str(tmp_path)})) \
        == str(root / 'models/starter')


def test_draw(vultus, group, faces, tmp_path):
    done = vultus('draw', group, '-o', tmp_path / 'out.jpg')
    assert f'{len(faces)} faces' in done.out
    before, after = (cv2.imread(str(path)).astype(int) for path in (group, tmp_path / 'out.jpg'))
    changed = np.abs(after - before).max(2) > 60
    for face in faces:
        x1, y1, x2, y2 = (int(round(v)) for v in face['bbox'])
        assert changed[max(y1 - 2, 0):y1 + 3, max(x1, 0):x2].mean() > 0.2, face['bbox']


def test_match(vultus, group, faces, tmp_path):
    """The largest face is itself, and is not another one of the picture."""
    itself = json.loads(vultus('match', group, group, '--json').out)
    assert itself['same'] is True and itself['cosine'] == pytest.approx(1, abs=1e-5) and 0 < itself['threshold'] < 1
    area = [(f['bbox'][2] - f['bbox'][0]) * (f['bbox'][3] - f['bbox'][1]) for f in faces]
    assert itself['faces'][0]['bbox'] == faces[int(np.argmax(area))]['bbox']


def test_match_takes_the_measured_threshold(vultus, root, group):
    yaml = (root / 'models/catalogue.yaml').read_text()
    [entry] = [e for e in yaml.split('  - name: ') if e.startswith('starter_rec\n')]
    measured = float(re.search(r'^    match_threshold: ([\d.]+)', entry, re.M).group(1))
    assert json.loads(vultus('match', group, group, '--json').out)['threshold'] == pytest.approx(measured, abs=1e-6)


def test_the_catalogue_knows_them(vultus, root):
    for name, function in (('starter_det', 'scrfd'), ('starter_rec', 'arcface')):
        about = json.loads(vultus('info', root / f'models/starter/{name}.onnx', '--json').out)
        assert (about['function'], about['function_origin']) == (function, 'catalogue'), 'the digest of models/catalogue.yaml'


def test_an_installed_copy_takes_the_installed_models(installed, group, faces):
    done = installed('extract', group, '--json')
    folder = told(done)
    assert (installed.path.parent.parent / 'share/vultus/models/starter').samefile(folder)
    assert json.loads(done.out)[0]['faces'] == faces


def test_models_cards_are_installed_with_them(installed, root):
    folder = installed.path.parent.parent / 'share/vultus/models/starter'
    for name in ('starter_det.onnx', 'starter_rec.onnx', 'README.md'):
        assert (folder / name).read_bytes() == (root / 'models/starter' / name).read_bytes()
