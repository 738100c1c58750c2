# SPDX-License-Identifier: Apache-2.0
"""What becomes of pictures of every kind on their way through /extract, against OpenCV's decoding of the same bytes."""
import base64
import struct

import pytest

np, cv2 = pytest.importorskip('numpy'), pytest.importorskip('cv2')


def faces(server, picture, **fields):
    data = base64.b64encode(bytes(picture)).decode()
    [item] = server.extract({'images': {'data': [data]}, 'return_landmarks': True, **fields}).json()['data']
    assert item['status'] == 'ok', item
    return item['faces']


def png(pixels):
    """Of pixels as OpenCV decodes them."""
    return cv2.imencode('.png', pixels)[1]


def decoded(encoded):
    return cv2.imdecode(np.frombuffer(bytes(encoded), np.uint8), cv2.IMREAD_COLOR)


@pytest.fixture(scope='module')
def pixels(photo):
    return cv2.imread(str(photo))


def with_orientation(jpeg, value):
    tiff = b'II*\0' + struct.pack('<IHHHIHHI', 8, 1, 0x112, 3, 1, value, 0, 0)
    exif = b'Exif\0\0' + tiff
    return jpeg[:2] + b'\xff\xe1' + struct.pack('>H', len(exif) + 2) + exif + jpeg[2:]


def stored_turned(pixels, value):
    """How a camera stores what is seen as `pixels`: the opposite of what the orientation asks for."""
    turned = {1: pixels, 2: pixels[:, ::-1], 3: pixels[::-1, ::-1], 4: pixels[::-1], 5: pixels.transpose(1, 0, 2),
              6: np.rot90(pixels, 1), 7: np.rot90(pixels, 2).transpose(1, 0, 2), 8: np.rot90(pixels, -1)}[value]
    return np.ascontiguousarray(turned)


@pytest.mark.parametrize('value', range(1, 9))
def test_orientation_is_applied(server, pixels, value):
    """Fact 2.2."""
    jpeg = cv2.imencode('.jpg', stored_turned(pixels, value), [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    picture = with_orientation(jpeg, value)
    upright = decoded(picture)
    assert upright.shape == pixels.shape
    found, wanted = faces(server, picture), faces(server, png(upright))
    assert [f['bbox'] for f in found] == [f['bbox'] for f in wanted] and len(found) == 1
    assert np.dot(found[0]['vec'], wanted[0]['vec']) > 0.999


@pytest.mark.parametrize('kind', ['grey', 'alpha', 'sixteen bits', 'grey JPEG', 'cut short'])
def test_pictures_become_three_channels_of_eight_bits(server, pixels, kind):
    """Fact 2.2."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
    jpeg = cv2.imencode('.jpg', pixels)[1]
    picture = {'grey': lambda: png(grey), 'alpha': lambda: png(np.dstack([pixels, np.full(grey.shape, 7, np.uint8)])),
               'sixteen bits': lambda: png(pixels.astype(np.uint16) * 257), 'grey JPEG': lambda: cv2.imencode('.jpg', grey)[1],
               'cut short': lambda: jpeg[:len(jpeg) - 100]}[kind]()
    whole = jpeg if kind == 'cut short' else picture  # OpenCV refuses what ends early; its last rows show no face
    found, wanted = faces(server, picture), faces(server, png(decoded(whole)))
    assert [f['bbox'] for f in found] == [f['bbox'] for f in wanted] and len(found) == 1
    assert np.dot(found[0]['vec'], wanted[0]['vec']) > 0.999


def test_boxes_are_not_clipped(server, pixels):
    """Fact 1.5: A face cut off by the picture's edge has a box beyond it."""
    [face] = faces(server, png(pixels))
    x1, y1, x2, y2 = face['bbox']
    outside = []
    for part in (pixels[y1 + (y2 - y1) // 8:], pixels[:y2 - (y2 - y1) // 8], pixels[:, x1 + (x2 - x1) // 8:], pixels[:, :x2 - (x2 - x1) // 8]):
        for found in faces(server, png(part), threshold=0.3):
            a, b, c, d = found['bbox']
            outside.append(a < 0 or b < 0 or c > part.shape[1] or d > part.shape[0])
    assert True in outside


def test_a_score_of_the_threshold_is_too_low(server, pixels):
    """Fact 2.4."""
    [face] = faces(server, png(pixels))
    assert faces(server, png(pixels), threshold=face['prob']) == []
    assert len(faces(server, png(pixels), threshold=float(np.nextafter(np.float32(face['prob']), np.float32(0))))) == 1


def test_face_data_is_written_as_opencv_writes_it(server, pixels):
    """Fact 2.6: JFIF, 4:2:0, with the tables of quality 95."""
    [face] = faces(server, png(pixels), return_face_data=True)
    ours = base64.b64decode(face['facedata'])
    theirs = cv2.imencode('.jpg', decoded(ours))[1].tobytes()

    def segments(jpeg):
        at, found = 2, {}
        while jpeg[at + 1] != 0xda:
            size = struct.unpack('>H', jpeg[at + 2:at + 4])[0]
            found.setdefault(jpeg[at + 1], []).append(jpeg[at + 4:at + 2 + size])
            at += 2 + size
        return found
    mine, known = segments(ours), segments(theirs)
    assert b''.join(mine[0xdb]) == b''.join(known[0xdb]) and mine[0xc0] == known[0xc0]
    assert mine[0xe0][0][:5] == b'JFIF\0'


def test_large_pictures_shrink_by_area(server, pixels):
    """Fact 2.3: Where the network's picture is smaller, each of its pixels is the mean of those below it."""
    side = 640
    small = cv2.resize(pixels, (side, side))
    [face], [known] = faces(server, png(np.kron(small, np.ones((3, 3, 1), np.uint8)))), faces(server, png(small))
    assert face['scale'] == pytest.approx(1 / 3) and known['scale'] == 1 and face['prob'] == pytest.approx(known['prob'], abs=1e-5)
    assert np.abs(np.array(face['bbox']) - 3 * np.array(known['bbox'])).max() <= 3
