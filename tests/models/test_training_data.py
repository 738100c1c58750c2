# SPDX-License-Identifier: Apache-2.0
"""No picture that measures the starter models was among those that trained them: by the files' digests, and by sight."""
import hashlib
import pathlib

import pytest

np, cv2 = pytest.importorskip('numpy'), pytest.importorskip('cv2')

DIGITS = 16           # of a SHA-256, that the list of training files keeps
TEST_FOLDERS = ('lfw-gray', 'people', 'images', 'golden')
THUMBNAIL = 24        # side, pixels
SAME_PICTURE = 0.99   # correlation of thumbnails; re-encoded, resized and grey copies are above


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()[:DIGITS]


def files(*folders):
    return sorted(path for folder in folders for path in folder.rglob('*') if path.is_file())


def thumbnail(pixels):
    """Grey, of mean 0 and length 1: the dot product of two is their correlation."""
    small = cv2.resize(pixels, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
    small -= small.mean()
    return small / max(np.linalg.norm(small), 1e-6)


def thumbnails(paths):
    """{path: thumbnail} of those files that are pictures."""
    read = ((path, cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)) for path in paths)
    return {path: thumbnail(pixels) for path, pixels in read if pixels is not None}


def nearest(thumbnails_of_tests, thumbnails_of_training):
    """For every test picture the highest correlation with a training picture, and which one that is."""
    likeness = np.stack(list(thumbnails_of_tests.values())) @ np.stack(list(thumbnails_of_training.values())).T
    names = list(thumbnails_of_training)
    return {path: (float(row.max()), names[int(row.argmax())]) for path, row in zip(thumbnails_of_tests, likeness)}


@pytest.fixture(scope='module')
def listed(root):
    lines = (root / 'models/starter/training-digests.txt').read_text().splitlines()
    return [line for line in lines if not line.startswith('#')]


@pytest.fixture(scope='module')
def test_files(data):
    found = files(*(data / folder for folder in TEST_FOLDERS))
    assert len(found) > 1000
    return found


@pytest.fixture(scope='module')
def training(data):
    if not (data / 'training').is_dir():
        pytest.skip('the test data have no training pictures')
    return data / 'training'


def test_the_list_is_one(listed):
    assert len(listed) > 9000
    assert all(len(line) == DIGITS and set(line) <= set('0123456789abcdef') for line in listed)
    assert listed == sorted(listed)


def test_the_list_is_of_the_training_pictures(listed, training):
    assert listed == sorted(digest(path) for path in files(training) if path.suffix == '.jpg')


def test_no_test_file_is_listed(listed, test_files):
    assert [path for path in test_files if digest(path) in set(listed)] == []


@pytest.fixture(scope='module')
def training_thumbnails(training):
    return thumbnails(files(training))


def test_no_test_picture_looks_like_a_training_picture(data, test_files, training_thumbnails):
    mine = thumbnails(test_files)
    crops = np.load(data / 'golden/crops.npz')
    mine |= {f'golden {key}': thumbnail(cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY))
             for key, crop in zip(crops['key'], crops['crop_bgr'])}
    assert len(mine) > 1000 and len(training_thumbnails) > 9000
    pairs = nearest(mine, training_thumbnails)
    assert {str(path): pair for path, pair in pairs.items() if pair[0] >= SAME_PICTURE} == {}


def test_copies_are_noticed(training, training_thumbnails):
    """A check that cannot fail proves nothing: a smaller, darker, grey, compressed copy of a training picture is found."""
    for path in files(training)[100::2000]:
        pixels = cv2.imread(str(path))
        if pixels is None:
            continue
        copy = cv2.cvtColor(cv2.resize(pixels, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
        copy = cv2.imdecode(cv2.imencode('.jpg', (copy * 0.8).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 60])[1], 0)
        likeness, found = nearest({pathlib.Path('copy'): thumbnail(copy)}, training_thumbnails)[pathlib.Path('copy')]
        assert likeness >= SAME_PICTURE and found == path
