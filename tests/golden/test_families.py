# SPDX-License-Identifier: Apache-2.0
"""Detectors of every family, whole: our faces against those that onnxruntime, OpenCV and numpy find."""
import functools
import json

import pytest

np = pytest.importorskip('numpy')
cv2 = pytest.importorskip('cv2')
ort = pytest.importorskip('onnxruntime')
pytest.importorskip('onnx')
import families  # noqa: E402  (needs what may be missing)

# name: (maker, decoder, mean, std, suppression)
RETINAFACE = functools.partial(families.decode_retinaface, landmark_std=1.0)
RETINAFACE_L = functools.partial(families.decode_retinaface, landmark_std=0.2)
FAMILIES = {
    'scrfd': (families.scrfd, families.decode_scrfd, 127.5, 128, 0.4),
    'scrfd-rows': (functools.partial(families.scrfd, batch_axis=False), families.decode_scrfd, 127.5, 128, 0.4),
    'scrfd-shuffled': (functools.partial(families.scrfd, order=[4, 8, 0, 3, 1, 7, 6, 2, 5]), families.decode_scrfd, 127.5, 128, 0.4),
    'scrfd-no-points': (functools.partial(families.scrfd, landmarks=False), families.decode_scrfd, 127.5, 128, 0.4),
    'scrfd-five': (functools.partial(families.scrfd, strides=(8, 16, 32, 64, 128), anchors=1), families.decode_scrfd, 127.5, 128, 0.4),
    'retinaface': (families.retinaface, RETINAFACE, 0, 1, 0.4),
    'retinaface-masks': (functools.partial(families.retinaface, masks=True), RETINAFACE_L, 0, 1, 0.4),
    'retinaface_torch': (families.retinaface_torch, families.decode_retinaface_torch, (123, 117, 104), 1, 0.4),
    'centerface': (families.centerface, families.decode_centerface, 0, 1, 0.3),
    'yolov5face': (families.yolov5face, families.decode_yolov5face, 0, 255, 0.4),
}
FUNCTIONS = {'retinaface-masks': 'retinaface_l'}
CANDIDATES = 60
BGR = {'retinaface_torch'}


@pytest.fixture(scope='module', params=[(256, 256), (384, 256)], ids=['square', 'oblong'])
def sides(request):
    return request.param


@pytest.fixture(scope='module', params=FAMILIES)
def network(request, sides, tmp_path_factory):
    path = tmp_path_factory.mktemp('nets') / f'{request.param}_{sides[0]}x{sides[1]}.onnx'
    FAMILIES[request.param][0](path, *sides)
    return request.param, path


@pytest.fixture(scope='module')
def pictures(root, tmp_path_factory):
    """Larger than the networks and of another shape, smaller, and of exactly one's size; without loss."""
    group, folder = cv2.imread(str(root / 'examples/group.jpg')), tmp_path_factory.mktemp('pictures')
    for i, piece in enumerate([group, group[:170, :150], group[40:296, 60:444]]):
        cv2.imwrite(str(folder / f'{i}.png'), piece)
    return sorted(folder.iterdir())


def run_reference(path, mean, std, picture, sides, bgr=False):
    boxed, scale = families.letterbox(cv2.imread(str(picture)), *sides)
    session = ort.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    blob = ((boxed[:, :, ::-1].astype(np.float32) - np.float32(mean)) / np.float32(std)).transpose(2, 0, 1)[None, ::-1 if bgr else 1]
    return session.run(None, {'picture': np.ascontiguousarray(blob)}), scale


def choose_threshold(scores):
    """In the widest gap among the best scores, so that rounding cannot move a candidate across it."""
    best = np.sort(scores)[::-1][:CANDIDATES].astype(np.float64)
    gaps = best[5:-1] - best[6:]
    i = 5 + int(np.argmax(gaps))
    return float(np.round((best[i] + best[i + 1]) / 2, 6)), float(gaps.max())


def test_function_is_seen(vultus, network):
    name, path = network
    described = json.loads(vultus('info', '--json', path).out)
    assert described['function'] == FUNCTIONS.get(name, name.split('-')[0]) and described['function_origin'] == 'shapes'


def test_faces(vultus, network, sides, pictures):
    name, path = network
    _, decode, mean, std, nms = FAMILIES[name]
    compared = 0
    for picture in pictures:
        outputs, scale = run_reference(path, mean, std, picture, sides, name in BGR)
        boxes, scores, points = decode(outputs, *sides)
        threshold, gap = choose_threshold(scores)
        chosen = scores > threshold
        boxes, scores, points = boxes[chosen], scores[chosen], points[chosen]
        keep, slack = families.suppress(boxes, scores, nms)
        assert gap > 1e-6 and slack > 1e-5, (name, picture, gap, slack)  # else the case decides nothing
        done = vultus('extract', '--det', path, '--no-embeddings', '--threshold', threshold, '--robust', 'off', '--json', picture)
        [record] = json.loads(done.out)
        faces = record['faces']
        assert len(faces) == len(keep), (name, picture)
        # Scores may be all but equal: faces are paired by place.
        for i in keep:
            face = min(faces, key=lambda f: np.abs(np.array(f['bbox']) * scale - boxes[i]).max())
            assert np.abs(np.array(face['bbox']) * scale - boxes[i]).max() < 0.05, (name, picture)
            assert abs(face['score'] - scores[i]) < 1e-3
            assert np.abs(np.array(face['landmarks']) * scale - points[i]).max() < 0.05 or 'no-points' in name
            compared += 1
    assert compared > 5


@pytest.mark.parametrize('size', [(320, 480), (640, 352), (96, 64)], ids=str)
@pytest.mark.parametrize('detector', ['det_500m', 'scrfd_2.5g_bnkps'])
def test_real_detectors_of_any_size(vultus, data, detector, size, tmp_path):
    """SCRFD without a batch axis, built for other sizes than the usual one."""
    path = data / f'models/{detector}.onnx'
    options = ort.SessionOptions()
    options.log_severity_level = 3  # shapes written into the file are those of another size
    session = ort.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
    total = 0
    for picture in [data / 'images/t1.jpg', data / 'images/lumia.jpg', data / 'images/Stallone.jpg']:
        boxed, scale = families.letterbox(cv2.imread(str(picture)), *size)
        blob = ((boxed[:, :, ::-1].astype(np.float32) - 127.5) / 128).transpose(2, 0, 1)[None]
        boxes, scores, points = families.decode_scrfd(session.run(None, {session.get_inputs()[0].name: np.ascontiguousarray(blob)}), *size)
        chosen = scores > 0.5
        boxes, scores, points = boxes[chosen], scores[chosen], points[chosen]
        keep = families.suppress(boxes, scores, 0.4)[0]
        [record] = json.loads(vultus('extract', '--det', path, '--input-size', f'{size[0]}x{size[1]}', '--no-embeddings', '--threshold',
                                     0.5, '--robust', 'off', '--full-decode', '--json', picture).out)
        sure = [i for i in keep if scores[i] > 0.52]
        for i in sure:
            face = min(record['faces'], key=lambda f: np.abs(np.array(f['bbox']) * scale - boxes[i]).max())
            assert np.abs(np.array(face['bbox']) * scale - boxes[i]).max() < 0.5
            assert np.abs(np.array(face['landmarks']) * scale - points[i]).max() < 0.5
        assert len([f for f in record['faces'] if f['score'] > 0.52]) == len(sure)
        total += len(sure)
    assert total > 0
