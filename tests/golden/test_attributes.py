# SPDX-License-Identifier: Apache-2.0
"""Attributes and recognisers of every kind, whole, against onnxruntime, OpenCV and numpy."""
import json

import pytest

np = pytest.importorskip('numpy')
cv2 = pytest.importorskip('cv2')
ort = pytest.importorskip('onnxruntime')
onnx = pytest.importorskip('onnx')
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

LIVENESS = {'2.7_80x80_MiniFASNetV2': 2.7, '4_0_0_80x80_MiniFASNetV1SE': 4.0}


def session(path):
    return ort.InferenceSession(str(path), providers=['CPUExecutionProvider'])


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


# ---------------------------------------------------------------- liveness

def patch(picture, box, scale, side=80):
    """What the models' authors show them: the box enlarged as far as the picture goes, and moved inside."""
    height, width = picture.shape[:2]
    x1, y1, x2, y2 = box
    w, h = x2 - x1, y2 - y1
    scale = min((height - 1) / h, (width - 1) / w, scale)
    left, right = (x1 + x2) / 2 - w * scale / 2, (x1 + x2) / 2 + w * scale / 2
    top, bottom = (y1 + y2) / 2 - h * scale / 2, (y1 + y2) / 2 + h * scale / 2
    if left < 0:
        left, right = 0, right - left
    if top < 0:
        top, bottom = 0, bottom - top
    if right > width - 1:
        left, right = left - (right - width + 1), width - 1
    if bottom > height - 1:
        top, bottom = top - (bottom - height + 1), height - 1
    return cv2.resize(picture[int(top):int(bottom) + 1, int(left):int(right) + 1], (side, side))


def test_liveness(vultus, data, root):
    """Real weights on real photos: faces in the middle, at edges, larger than the picture allows."""
    files = [data / f'images/{n}' for n in ('Stallone.jpg', 't1.jpg', 'TH1.jpg', 'mask.jpg', 'bbt1.jpg')]
    files += sorted((data / 'people').glob('amy/*.png')) + [root / 'examples/group.jpg']
    models = [data / f'models/{n}.onnx' for n in LIVENESS]
    networks = [session(m) for m in models]
    done = vultus('extract', '--det', data / 'models/scrfd_2.5g_bnkps.onnx', '--no-embeddings', '--attributes', 'liveness',
                  '--liveness-models', ','.join(map(str, models)), '--ndjson', *files)
    verdicts = []
    for file, line in zip(files, done.out.splitlines()):
        picture = cv2.imread(str(file))
        for face in json.loads(line)['faces']:
            sums = np.zeros(3)
            for network, scale in zip(networks, LIVENESS.values()):
                blob = patch(picture, face['bbox'], scale).transpose(2, 0, 1)[None].astype(np.float32)
                sums += softmax(network.run(None, {network.get_inputs()[0].name: blob})[0][0].astype(float))
            have = face['attributes']['liveness']
            assert have['probability'] == pytest.approx(sums[1] / 2, abs=0.02), (file, face['bbox'])
            if np.sort(sums)[2] - np.sort(sums)[1] > 0.05:
                assert have['live'] == (sums.argmax() == 1)
            verdicts.append(have['live'])
    assert len(verdicts) > 20 and True in verdicts and False in verdicts


def test_one_model_alone(vultus, data):
    photo, model = data / 'images/Stallone.jpg', data / 'models/2.7_80x80_MiniFASNetV2.onnx'
    [record] = json.loads(vultus('extract', '--det', data / 'models/det_500m.onnx', '--no-embeddings', '--attributes', 'liveness',
                                 '--liveness-models', model, '--json', photo).out)
    network = session(model)
    blob = patch(cv2.imread(str(photo)), record['faces'][0]['bbox'], 2.7).transpose(2, 0, 1)[None].astype(np.float32)
    expected = softmax(network.run(None, {network.get_inputs()[0].name: blob})[0][0])[1]
    assert record['faces'][0]['attributes']['liveness']['probability'] == pytest.approx(expected, abs=0.02)


# ---------------------------------------------------------------- seeded networks

def seeded(path, side, outputs, pixels_together=False, softmax_after=False, norm=False, seed=1, scale=1.0):
    """A small network of the shape of a real one: pictures of `side` to `outputs` numbers."""
    random = np.random.default_rng(seed)
    weights = [numpy_helper.from_array((random.normal(0, scale, (8, 3, 5, 5)) / 9).astype(np.float32), 'w1'),
               numpy_helper.from_array(random.normal(0, 0.3, (16, 8, 3, 3)).astype(np.float32), 'w2'),
               numpy_helper.from_array(random.normal(0, 0.3, (outputs, 16 * 4)).astype(np.float32), 'w3')]
    shape = ['batch', side, side, 3] if pixels_together else ['batch', 3, side, side]
    nodes = [helper.make_node('Transpose', ['x'], ['planes'], perm=[0, 3, 1, 2])] if pixels_together else []
    nodes += [helper.make_node('Conv', ['planes' if pixels_together else 'x', 'w1'], ['c1'], strides=[4, 4], pads=[2] * 4),
              helper.make_node('Relu', ['c1'], ['r1']),
              helper.make_node('Conv', ['r1', 'w2'], ['c2'], strides=[2, 2], pads=[1] * 4),
              helper.make_node('Relu', ['c2'], ['r2']),
              helper.make_node('AveragePool', ['r2'], ['pooled'], kernel_shape=[side // 16] * 2, strides=[side // 16] * 2),
              helper.make_node('Flatten', ['pooled'], ['flat'], axis=1),
              helper.make_node('Gemm', ['flat', 'w3'], ['raw'], transB=1)]
    infos = [helper.make_tensor_value_info('y', TensorProto.FLOAT, ['batch', outputs])]
    if norm:  # AdaFace divides by the norm and tells it
        nodes += [helper.make_node('ReduceL2', ['raw'], ['norm'], axes=[1], keepdims=1), helper.make_node('Div', ['raw', 'norm'], ['y'])]
        infos.append(helper.make_tensor_value_info('norm', TensorProto.FLOAT, ['batch', 1]))
    else:
        nodes.append(helper.make_node('Softmax' if softmax_after else 'Identity', ['raw'], ['y']))
    graph = helper.make_graph(nodes, 'seeded', [helper.make_tensor_value_info('x', TensorProto.FLOAT, shape)], infos, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=7)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


@pytest.fixture(scope='module')
def crops(vultus, models, group, tmp_path_factory):
    """Our own aligned crops of a group, without loss; that they are right is proved elsewhere."""
    folder = tmp_path_factory.mktemp('crops')
    done = vultus('extract', *models[:2], '--no-embeddings', '--limit-faces', 12, '--crops', folder, '--crop-format', 'npy', '--json', group)
    [record] = json.loads(done.out)
    found = [np.load(folder / f'{group.stem}_{i}.npy') for i in range(len(record['faces']))]
    assert len(found) >= 6 and all(c.shape == (112, 112, 3) for c in found)
    return found


def tell(vultus, models, group, *arguments):
    [record] = json.loads(vultus('extract', *models[:2], '--no-embeddings', '--limit-faces', 12, *arguments, '--json', group).out)
    return [face['attributes'] for face in record['faces']]


@pytest.mark.parametrize('side', [112, 224])
def test_masks(vultus, models, group, crops, side, tmp_path):
    path = seeded(tmp_path / f'mask{side}.onnx', side, 2, pixels_together=True, softmax_after=True, seed=side + 3, scale=4)
    have = tell(vultus, models, group, '--attributes', 'mask', '--mask-model', path)
    assert len(have) == len(crops)
    for crop, face in zip(crops, have):
        blob = (cv2.resize(crop, (side, side)) if side != 112 else crop)[None].astype(np.float32) / 127.5 - 1
        mask, none = session(path).run(None, {'x': blob})[0][0]
        assert face['mask']['probability'] == pytest.approx(mask, abs=5e-3)
        assert face['mask']['no_mask_probability'] == pytest.approx(none, abs=5e-3)
        if abs(mask - 0.89) > 5e-3:
            assert face['mask']['mask'] == bool(mask > none and mask >= 0.89)


def test_gender_and_age(vultus, models, group, crops, tmp_path):
    path = seeded(tmp_path / 'ages.onnx', 112, 202, seed=8)
    have = tell(vultus, models, group, '--attributes', 'gender-age', '--gender-age-model', path)
    ages = set()
    for crop, face in zip(crops, have):
        blob = crop[:, :, ::-1].transpose(2, 0, 1)[None].astype(np.float32)
        numbers = session(path).run(None, {'x': blob})[0][0]
        age = int((numbers[3::2] > numbers[2::2]).sum())
        ages.add(age)
        assert face['gender_age'] == {'gender': 'male' if numbers[1] > numbers[0] else 'female', 'age': age}
    assert len(ages) > 2


def test_quality(vultus, models, group, crops, tmp_path):
    """Sharpness by OpenCV's Laplacian, size by the box; sharper pictures are better ones."""
    picture = cv2.imread(str(group))
    for sigma in (0, 3):
        blurred = tmp_path / f'{sigma}.png'
        cv2.imwrite(str(blurred), cv2.GaussianBlur(picture, (0, 0), sigma) if sigma else picture)
    arguments = ['extract', *models, '--limit-faces', 5, '--attributes', 'quality', '--crops', tmp_path, '--crop-format', 'npy', '--json']
    sharp = json.loads(vultus(*arguments, tmp_path / '0.png').out)[0]['faces']
    soft = json.loads(vultus(*arguments, tmp_path / '3.png').out)[0]['faces']
    for i, face in enumerate(sharp):
        quality = face['attributes']['quality']
        grey = np.load(tmp_path / f'0_{i}.npy').astype(float) @ [0.114, 0.587, 0.299]
        variance = cv2.Laplacian(grey, cv2.CV_64F)[28:84, 28:84].var()
        assert quality['sharpness'] == pytest.approx(variance, rel=1e-3)
        x1, y1, x2, y2 = face['bbox']
        assert quality['size'] == pytest.approx(min(x2 - x1, y2 - y1), rel=1e-5)
        assert quality['norm'] == pytest.approx(face['norm'])
        parts = [p for p in quality['parts'].values() if p is not None]
        assert all(0 <= p <= 1 for p in parts) and quality['overall'] == pytest.approx(np.prod(parts) ** (1 / len(parts)), rel=1e-4)
    mean = lambda faces: np.mean([f['attributes']['quality']['overall'] for f in faces])
    assert mean(soft) < mean(sharp)


def test_several_at_once(vultus, models, group, tmp_path):
    ages, mask = seeded(tmp_path / 'ages.onnx', 112, 202), seeded(tmp_path / 'mask.onnx', 112, 2, pixels_together=True, softmax_after=True)
    arguments = ['--gender-age-model', ages, '--mask-model', mask]
    together = tell(vultus, models, group, '--attributes', 'mask,gender-age,quality', *arguments)
    assert all(list(face) == ['mask', 'gender_age', 'quality'] for face in together)
    for name, key in (('mask', 'mask'), ('gender-age', 'gender_age')):
        alone = tell(vultus, models, group, '--attributes', name, *arguments)
        assert alone == [{key: face[key]} for face in together]


# ---------------------------------------------------------------- recognisers

TEMPLATE = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]])


def align(picture, landmarks, template, side):
    """Umeyama's similarity by singular value decomposition."""
    source = np.asarray(landmarks, float)
    ms, mt = source.mean(0), template.mean(0)
    u, d, vt = np.linalg.svd((template - mt).T @ (source - ms) / 5)
    flip = np.diag([1, np.sign(np.linalg.det(u @ vt))])
    scale = (d * np.diag(flip)).sum() / ((source - ms) ** 2).sum(1).mean()
    linear = scale * u @ flip @ vt
    return cv2.warpAffine(picture, np.concatenate([linear, (mt - linear @ ms)[:, None]], 1), (side, side), flags=cv2.INTER_LINEAR)


CATALOGUE = '''models:
  - name: {name}
    function: {function}
    width: {side}
    height: {side}
    channels: {channels}
    mean: {mean}
    std: {std}
    origin: made here
    licence: none
    sha256: ""
'''
# side, numbers, channels, mean, std, template, network's options
RECOGNISERS = {
    'arcface224': (224, 96, 'rgb', [127.5] * 3, [127.5] * 3, TEMPLATE * 2, {}),
    'arcface128': (128, 512, 'bgr', [127.5] * 3, [128] * 3, TEMPLATE + [8, 0], {}),
    'arcface160': (160, 64, 'rgb', [123.675, 116.28, 103.53], [58.395, 57.12, 57.375], TEMPLATE * 160 / 112, {}),
    'arcface112': (112, 256, 'bgr', [10, 20, 30], [40, 50, 60], TEMPLATE, {'pixels_together': True}),
    'adaface112': (112, 512, 'bgr', [127.5] * 3, [127.5] * 3, TEMPLATE, {'norm': True}),
}


@pytest.mark.parametrize('name', RECOGNISERS)
def test_recognisers(vultus, models, group, name, tmp_path):
    side, numbers, channels, mean, std, template, options = RECOGNISERS[name]
    path = seeded(tmp_path / f'{name}.onnx', side, numbers, **options)
    catalogue = tmp_path / 'catalogue.yaml'
    catalogue.write_text(CATALOGUE.format(name=name, function=name[:7], side=side, channels=channels, mean=mean, std=std))
    [record] = json.loads(vultus('extract', *models[:2], '--rec', path, '--limit-faces', 7, '--json', group,
                                 environment={'VULTUS_CATALOGUE': str(catalogue)}).out)
    picture, cosines = cv2.imread(str(group)), []
    for face in record['faces']:
        crop = align(picture, face['landmarks'], template, side)
        blob = ((crop[:, :, ::-1] if channels == 'rgb' else crop).astype(np.float32) - np.float32(mean)) / np.float32(std)
        blob = blob[None] if options.get('pixels_together') else blob.transpose(2, 0, 1)[None]
        raw = session(path).run(None, {'x': np.ascontiguousarray(blob)})
        length = np.linalg.norm(raw[0])
        cosines.append(float(raw[0][0] @ face['embedding'] / length))
        assert face['norm'] == pytest.approx(float(raw[1][0, 0]) if options.get('norm') else length, rel=5e-3)
        assert np.linalg.norm(face['embedding']) == pytest.approx(1, abs=1e-5)
    assert len(cosines) == 7 and min(cosines) > 0.9995
