# SPDX-License-Identifier: Apache-2.0
"""Wire facts of InsightFace-REST that need settings, models or pictures of their own."""
import base64
import io
import json
import pathlib
import socket
import sys
import threading

import pytest

pytest.importorskip('onnx')
sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / 'golden'))
from test_attributes import seeded  # noqa: E402
from test_extract import GROUP_P, encoded, faces_of  # noqa: E402
from test_http import File, FileServer, difference, form  # noqa: E402
from test_pictures import png  # noqa: E402

np, cv2, msgpack = pytest.importorskip('numpy'), pytest.importorskip('cv2'), pytest.importorskip('msgpack')
Image = pytest.importorskip('PIL.Image')


def found(server, picture, **fields):
    """The entry of an encoded picture."""
    [item] = server.extract({'images': {'data': [base64.b64encode(bytes(picture)).decode()]}, **fields}).json()['data']
    return item


# ---------------------------------------------------------------- routes

def test_health_fails_without_a_face(start, tmp_path, photo):
    """Fact 1.9."""
    (tmp_path / 'test_images').mkdir()
    failed = 500, {'detail': 'self check failed'}
    with start('--images-root', tmp_path) as server:
        for picture, wanted in ((png(np.full((300, 300, 3), 90, np.uint8)), failed), (b'no picture', failed), (photo.read_bytes(), (200, {'status': 'ok'}))):
            (tmp_path / 'test_images/Stallone.jpg').write_bytes(bytes(picture))
            answer = server.get('/health')
            assert (answer.status, answer.json()) == wanted


def test_answers_have_a_length_and_are_not_compressed(server):
    """Fact 1.1."""
    for answer in (server.get('/info', **{'Accept-Encoding': 'gzip, br'}), server.extract({'images': {}}, **{'accept-encoding': 'gzip'}),
                   server.extract({'images': {'urls': ['one.jpg']}}, path='/draw_detections')):
        assert int(answer.headers['content-length']) == len(answer.body)
        assert 'content-encoding' not in answer.headers and 'transfer-encoding' not in answer.headers


# ---------------------------------------------------------------- fields and their defaults

def test_defaults_of_the_environment(start):
    """Facts 1.3, 5.1: The variables that set requests' defaults; /info shows them, and a request's own word wins."""
    environment = {'DEF_RETURN_FACE_DATA': 'true', 'DEF_RETURN_LANDMARKS': '1', 'DEF_EXTRACT_EMBEDDING': 'False', 'DEF_EXTRACT_GA': 'yes',
                   'DEF_DETECT_MASKS': 'on', 'DEF_DET_THRESH': '1', 'IFR_VERSION': 'v0.9.5.0', 'LOG_LEVEL': 'DEBUG'}
    with start(environment=environment) as server:
        info = server.get('/info').json()
        assert list(info['defaults'].values())[:6] == [True, True, False, True, True, 1]
        assert info['version'] == 'v0.9.5.0' and info['log_level'] == 'DEBUG'
        assert faces_of(server, 'one.jpg') == []
        [face] = faces_of(server, 'one.jpg', threshold=0.5)
        assert list(face) == ['bbox', 'landmarks', 'prob', 'num_det', 'scale', 'facedata', *GROUP_P, 'size'] and face['vec'] is None
        [face] = faces_of(server, 'one.jpg', threshold=0.5, return_face_data=False, return_landmarks=None, extract_embedding=True)
        assert list(face) == ['bbox', 'prob', 'num_det', 'scale', *GROUP_P, 'size'] and face['vec']


def test_size_is_shown_as_configured(start):
    """Facts 1.9, 5.1: What is no multiple of 32 is rounded for the detector, not for /info."""
    with start(environment={'MAX_SIZE': '650,655'}) as server:
        assert server.get('/info').json()['models']['max_size'] == [650, 655]
        assert len(faces_of(server, 'one.jpg')) == 1


def test_errors_and_info_escape_no_slashes(start):
    """Fact 1.4."""
    with start('--shown-version', 'a/b') as server:
        assert b'"version":"a/b"' in server.get('/info').body
        assert '"input":"a/ü"' in server.extract({'images': {}, 'threshold': 'a/ü'}).body.decode()


def test_texts_are_not_escaped(server):
    """Fact 1.4."""
    assert "File: 'ü\\/名.jpg' not found" in server.extract({'images': {'urls': ['ü/名.jpg']}}).body.decode()


def test_bytes_are_not_echoed(server):
    """Fact 1.7: Where the original fails, for what it echoes is no UTF-8."""
    answer = server.ask('POST', '/extract', msgpack.packb({'images': {'data': [b'\xff\xd8']}, 'threshold': [b'\xff']}),
                        {'content-type': 'application/msgpack'})
    [problem] = answer.json()['detail']
    assert answer.status == 422 and problem['loc'] == ['body', 'threshold'] and problem['input'] == [None]


def test_embedding_without_length(start, models, tmp_path):
    """Facts 1.7, 7.15: A recogniser that answers nothing but zeros: nulls for that face, where the original fails."""
    nothing = seeded(tmp_path / 'nothing.onnx', 112, 512, scale=0)
    with start('--rec', nothing) as server:
        [face] = faces_of(server, 'one.jpg')
        assert face['norm'] is face['vec'] is None and len(face['bbox']) == 4
        body = server.extract({'images': {'urls': ['crop.png']}, 'embed_only': True}).json()
        assert body['data'][0]['faces'][0]['status'] == 'failed'


def test_others_are_answered_while_a_request_is_in_work(start):
    """Fact 7.14: what takes minutes for one client holds up neither checks nor pictures of others."""
    with start('--workers', 2) as server, socket.create_connection(('127.0.0.1', server.port)) as connection:
        body = json.dumps({'images': {'urls': ['group.jpg'] * 1000}, 'extract_embedding': False}).encode()
        connection.sendall(b'POST /extract HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n' % len(body) + body)
        while server.metric('vultus_workers_busy') == 0:
            pass
        assert server.get('/health').status == server.get('/info').status == 200
        assert server.extract({'images': {'urls': ['one.jpg']}}).status == 200
        connection.setblocking(False)
        with pytest.raises(BlockingIOError):
            connection.recv(1)


# ---------------------------------------------------------------- drawing

def test_drawing_switches(server, images_root):
    """Facts 1.10, 4."""
    def drawn(**fields):
        return difference(server.extract({'images': {'urls': ['group.jpg']}, **fields}, path='/draw_detections'), images_root / 'group.jpg')
    everything = drawn()
    for switch in ('draw_landmarks', 'draw_scores', 'draw_sizes'):
        assert drawn(**{switch: 'no'}) < everything, switch
    assert drawn(limit_faces=1) < everything and drawn(min_face_size=100000) < drawn(limit_faces=1)
    assert drawn(threshold=0.999999) < everything


def test_drawing_of_msgpack(server, photo):
    """Fact 1.1."""
    answer = server.ask('POST', '/draw_detections', msgpack.packb({'images': {'data': [photo.read_bytes()]}}), {'content-type': 'application/msgpack'})
    assert answer.status == 200 and answer.body == server.extract({'images': {'urls': ['one.jpg']}}, path='/draw_detections').body


def test_uploads_take_the_default_threshold(start, photo):
    """Facts 1.10, 7.26."""
    with start('--default-threshold', '1') as server:
        nothing = server.ask('POST', '/multipart/draw_detections', *form(('file', photo.read_bytes(), 'x.jpg')))
        something = server.ask('POST', '/multipart/draw_detections', *form(('file', photo.read_bytes(), 'x.jpg'), ('threshold', '0.6', None)))
        assert nothing.status == something.status == 200 and nothing.body != something.body


# ---------------------------------------------------------------- getting bytes

def test_only_http_in_small_letters_is_a_url(server):
    """Fact 2.1."""
    for url in ('HTTP://127.0.0.1:1/x.jpg', 'ftp://127.0.0.1/x.jpg', ' http://127.0.0.1/x.jpg'):
        [item] = server.extract({'images': {'urls': [url]}}).json()['data']
        assert item['traceback'] == f"File: '{url}' not found"


def test_a_body_that_breaks_off_is_not_asked_for_again(start, photo):
    """Fact 2.1."""
    files = FileServer()
    files.files['/cut.jpg'] = file = File(photo.read_bytes(), cut=[1000, 1000, 1000])
    with start('--fetch-private', 'on', '--fetch-tries', '3') as server:
        [item] = server.extract({'images': {'urls': [files.url + '/cut.jpg']}}).json()['data']
    files.close()
    assert item['status'] == 'failed' and len(file.requests) == 1


def test_urls_are_fetched_side_by_side(start, photo):
    """Fact 2.1: Each of three files is held back until all three are asked for."""
    files, gate = FileServer(), threading.Barrier(3)

    class Everyone:
        def wait(self, seconds):
            gate.wait(seconds)

    for name in 'abc':
        files.files[f'/{name}.jpg'] = File(photo.read_bytes(), hold=(100, Everyone()))
    with start('--fetch-private', 'on') as server:
        items = server.extract({'images': {'urls': [f'{files.url}/{name}.jpg' for name in 'abc']}}).json()['data']
    files.close()
    assert [item['status'] for item in items] == ['ok'] * 3 and not gate.broken


# ---------------------------------------------------------------- decoding

def saved(pixels, kind, **options):
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels[:, :, ::-1])).convert(options.pop('mode', 'RGB')).save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize('kind, options', [('GIF', {'mode': 'P'}), ('JPEG', {'mode': 'CMYK', 'quality': 95}), ('BMP', {}), ('WEBP', {'quality': 95}),
                                           ('TIFF', {})])
def test_formats(server, photo, kind, options):
    """Fact 2.2: The same faces as in the pixels that another library reads of the file."""
    picture = saved(cv2.imread(str(photo)), kind, **options)
    read = np.array(Image.open(io.BytesIO(picture)).convert('RGB'))[:, :, ::-1]
    [face], [known] = found(server, picture)['faces'], found(server, png(np.ascontiguousarray(read)))['faces']
    assert np.abs(np.array(face['bbox']) - known['bbox']).max() <= 2 and np.dot(face['vec'], known['vec']) > 0.98


def test_first_frame_of_a_gif(server, photo):
    """Facts 2.2, 7.24."""
    pixels = cv2.imread(str(photo))
    first, out = Image.fromarray(pixels[:, :, ::-1].copy()).convert('P'), io.BytesIO()
    first.save(out, 'GIF', save_all=True, append_images=[Image.new('P', first.size)] * 2, duration=100)
    assert found(server, out.getvalue())['faces'] == found(server, saved(pixels, 'GIF', mode='P'))['faces'] != []


# ---------------------------------------------------------------- letterbox, NMS

@pytest.mark.parametrize('side, scale', [(640, 1.0), (320, 2.0), (160, 0.7 * 4), (800, 0.8), (250, 0.7 * (640 / 250))])
def test_upscaling_is_held_back(server, photo, side, scale):
    """Fact 2.3: Twice as large is fine; of more, seven tenths."""
    pixels = cv2.imread(str(photo))
    least = min(pixels.shape[:2])
    [face] = found(server, png(cv2.resize(pixels[:least, :least], (side, side), interpolation=cv2.INTER_AREA)), threshold=0.3)['faces'][:1]
    assert face['scale'] == scale


def overlap(a, b):
    """Of boxes with both ends inside."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]) + 1, min(a[3], b[3]) - max(a[1], b[1]) + 1
    both = max(width, 0) * max(height, 0)
    area = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (a, b)]
    return both / (sum(area) - both)


def test_boxes_overlap_by_four_tenths_at_most(server, images_root):
    """Facts 2.4, 7.2: With all that the network thinks of; the float boxes are within a pixel of those shown."""
    boxes = [face['bbox'] for face in faces_of(server, 'group.jpg', threshold=0.02, extract_embedding=False)]
    large = [box for box in boxes if min(box[2] - box[0], box[3] - box[1]) >= 40]
    overlaps = [overlap(a, b) for i, a in enumerate(large) for b in large[:i]]
    assert len(boxes) > 50 and max(overlaps, default=0) < 0.44


def test_failures_are_told_as_sentences(server):
    """Fact 1.7."""
    items = server.extract({'images': {'urls': ['none.jpg', 'text.jpg']}}).json()['data']
    assert items[0]['traceback'] == "File: 'none.jpg' not found" and items[1]['traceback'] and items[1]['faces'] == []


def test_an_upload_of_nothing_known_is_ignored(server, photo):
    """Fact 1.10."""
    assert server.ask('POST', '/multipart/draw_detections', *form(('file', photo.read_bytes(), 'x'), ('unknown', 'x', None))).status == 200


def test_both_or_neither_of_urls_and_data(server, photo):
    """Fact 1.3."""
    for images in ({}, {'urls': None}, {'data': None}, {'urls': None, 'data': None}, {'data': []}):
        answer = server.extract({'images': images})
        assert answer.status == 200 and answer.json()['data'] == []
    items = server.extract({'images': {'urls': ['one.jpg'], 'data': [encoded(photo)] * 3}}).json()['data']
    assert len(items) == 1


def test_numbers_of_the_request_are_not_those_of_json_alone(server):
    """Fact 1.2: Whole numbers as texts and floats, fractions as texts; halves and words are refused."""
    wanted = json.dumps(faces_of(server, 'group.jpg', extract_embedding=False, min_face_size=30, threshold=0.5))
    for size, threshold in (('30', '0.5'), (30.0, 0.5), (' 30 ', '5e-1')):
        assert json.dumps(faces_of(server, 'group.jpg', extract_embedding=False, min_face_size=size, threshold=threshold)) == wanted
    for bad in ('30.5', 30.5, 'many'):
        assert server.extract({'images': {}, 'min_face_size': bad}).status == 422
