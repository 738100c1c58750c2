# SPDX-License-Identifier: Apache-2.0
"""Faces that fill the frame and faces that are turned, on real photos; and tiny ones, by tiles."""
import json

import pytest

np = pytest.importorskip('numpy')
cv2 = pytest.importorskip('cv2')

TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


@pytest.fixture(scope='module', params=['det_500m', 'scrfd_2.5g_bnkps'])
def detector(request, data):
    return data / f'models/{request.param}.onnx'


@pytest.fixture(scope='module')
def people(data, full):
    """Forty portraits, or fourteen of them, of everybody."""
    everybody = sorted((data / 'people').glob('*/*.[jp][pn]g'))
    assert len(everybody) == 40
    return everybody if full else everybody[::3]


def extract(vultus, detector, *arguments):
    done = vultus('extract', '--det', detector, '--no-embeddings', '--threshold', 0.5, '--ndjson', *arguments)
    return [json.loads(line)['faces'] for line in done.out.splitlines()]


def turned_points(points, turn, width, height):
    """Where pixels of a picture lie once it is turned clockwise."""
    x, y = np.asarray(points, float).T
    return np.stack({90: (height - 1 - y, x), 180: (width - 1 - x, height - 1 - y), 270: (y, width - 1 - x)}[turn], 1)


@pytest.fixture(scope='module')
def upright(vultus, detector, people):
    return extract(vultus, detector, '--robust', 'full', *people)


def test_people_upright(vultus, detector, people):
    faces = extract(vultus, detector, *people)
    assert [len(f) for f in faces] == [1] * len(people)


@pytest.mark.parametrize('turn', TURNS)
def test_people_turned(vultus, detector, people, upright, turn, tmp_path):
    files, sizes = [], []
    for i, person in enumerate(people):
        picture = cv2.imread(str(person))
        sizes.append(picture.shape[1::-1])
        files.append(tmp_path / f'{i:02}.png')
        cv2.imwrite(str(files[-1]), cv2.rotate(picture, TURNS[turn]))
    turned = extract(vultus, detector, '--robust', 'full', *files)
    assert [len(f) for f in turned] == [1] * len(people)
    back = 360 - turn
    right = [t[0] for t in turned if t[0]['turn'] == back]
    assert len(right) >= len(people) - max(1, len(people) // 20)  # a wrong turn may find a face too, with a better score by chance
    for up, side, size in zip(upright, turned, sizes):
        if side[0]['turn'] != back or up[0]['turn'] != 0 or up[0]['pass'] != side[0]['pass']:
            continue
        expected = turned_points(up[0]['landmarks'], turn, *size)
        assert np.abs(expected - side[0]['landmarks']).max() < 4, (turn, up, side)


def test_auto_goes_step_by_step(vultus, detector, people, tmp_path):
    faces = extract(vultus, detector, '--robust', 'off', people[0])
    assert faces[0] == [] or faces[0][0]['pass'] == 'plain'
    picture = cv2.imread(str(people[0]))
    for turn, how in TURNS.items():
        cv2.imwrite(str(tmp_path / f'{turn}.png'), cv2.rotate(picture, how))
        [found] = extract(vultus, detector, '--robust', 'auto', tmp_path / f'{turn}.png')
        assert len(found) == 1


def test_cropped_to_fill_the_frame(vultus, detector, data, tmp_path):
    """A face cut out of its photo, and then turned."""
    photo = data / 'images/Stallone.jpg'
    [[face]] = extract(vultus, detector, photo)
    x1, y1, x2, y2 = (int(v) for v in face['bbox'])
    tight = cv2.imread(str(photo))[max(y1, 0):y2, max(x1, 0):x2]
    cv2.imwrite(str(tmp_path / 'tight.png'), tight)
    cv2.imwrite(str(tmp_path / 'over.png'), cv2.rotate(tight, TURNS[180]))
    [[upright]] = extract(vultus, detector, '--robust', 'full', tmp_path / 'tight.png')
    assert upright['turn'] == 0
    shifted = np.array(face['landmarks']) - [max(x1, 0), max(y1, 0)]
    assert np.abs(shifted - upright['landmarks']).max() < 0.1 * (x2 - x1)
    [[over]] = extract(vultus, detector, '--robust', 'full', tmp_path / 'over.png')
    assert over['turn'] == 180
    expected = turned_points(upright['landmarks'], 180, *tight.shape[1::-1])
    assert np.abs(expected - over['landmarks']).max() < 0.03 * (x2 - x1)


def test_tiny_faces(vultus, detector, data, tmp_path):
    """A group shrunk into one corner of a huge photo: plainly its faces are specks."""
    group = cv2.imread(str(data / 'images/t1.jpg'))
    faces = extract(vultus, detector, data / 'images/t1.jpg')[0]
    huge = np.full((3600, 4800, 3), 90, np.uint8)
    small = cv2.resize(group, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    top, left = 2000, 1400
    huge[top:top + small.shape[0], left:left + small.shape[1]] = small
    cv2.imwrite(str(tmp_path / 'huge.png'), huge)
    plain = extract(vultus, detector, tmp_path / 'huge.png')[0]
    tiled = extract(vultus, detector, '--tile', tmp_path / 'huge.png')[0]
    assert len(plain) < len(faces) and {f['pass'] for f in tiled} == {'tile'}
    assert len(tiled) == len(faces)
    for face in faces:
        expected = np.array(face['bbox']) / 2 + [left, top] * 2
        assert min(np.abs(expected - f['bbox']).max() for f in tiled) < 5
