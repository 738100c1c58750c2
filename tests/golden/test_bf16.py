# SPDX-License-Identifier: Apache-2.0
"""Plans of precision bf16 against fp32's, on real faces, and the same bytes in any company."""
import json

import pytest

np = pytest.importorskip('numpy')

COSINE_MEAN, COSINE_MIN = 0.999, 0.995
PIXELS, SCORE = 1.0, 0.02
SIDE, STRIDES = 640, (8, 16, 32)
THRESHOLD = 0.5
BF16 = ['--precision', 'bf16']


LARGEST_BATCH = 32


def run(vultus, model, name, x, folder, *arguments):
    """The one output for all items of x."""
    parts = []
    for first in range(0, len(x), LARGEST_BATCH):
        np.save(folder / 'x.npy', x[first:first + LARGEST_BATCH])
        vultus('run', model, *arguments, '--input', f'{name}={folder / "x.npy"}', '--output-dir', folder / 'out')
        [file] = (folder / 'out').iterdir()
        parts.append(np.load(file))
    return np.concatenate(parts)


@pytest.fixture(scope='module')
def recogniser(data):
    return data / 'models/mobilefacenet.onnx'


@pytest.fixture(scope='module')
def faces(data, recogniser):
    """Name of the input, and the golden crops as the network takes them."""
    onnx = pytest.importorskip('onnx')
    pixels = np.load(data / 'golden/crops.npz')['crop_bgr'][..., ::-1].transpose(0, 3, 1, 2)
    graph = onnx.load(recogniser, load_external_data=False).graph
    return graph.input[0].name, ((pixels.astype(np.float32) - 127.5) / 127.5).copy()


def unit(embeddings):
    return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)


def test_embeddings(vultus, recogniser, faces, tmp_path):
    name, x = faces
    assert len(x) > 150
    exact = run(vultus, recogniser, name, x, tmp_path)
    ours = run(vultus, recogniser, name, x, tmp_path, *BF16)
    cosines = (unit(exact.astype(np.float64)) * unit(ours.astype(np.float64))).sum(1)
    assert not np.array_equal(exact, ours)
    assert cosines.mean() >= COSINE_MEAN and cosines.min() >= COSINE_MIN, (cosines.mean(), cosines.min())


def test_same_bytes_in_any_company(vultus, recogniser, faces, tmp_path):
    name, x = faces
    all_of_them = run(vultus, recogniser, name, x[:9], tmp_path, *BF16)
    for order in ([0], [3, 1], [8, 7, 6, 5, 4, 3, 2, 1, 0]):
        for threads in (1, 2, 3):
            some = run(vultus, recogniser, name, x[order], tmp_path, *BF16, '--threads', threads)
            assert some.tobytes() == all_of_them[order].tobytes(), (order, threads)


def letterbox(picture):
    """The picture in the left upper corner of 640x640, as the detectors take it."""
    cv2 = pytest.importorskip('cv2')
    pixels = cv2.imread(str(picture))
    scale = SIDE / max(pixels.shape[:2])
    small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:SIDE, :SIDE]
    x = np.zeros((1, 3, SIDE, SIDE), np.float32)
    x[0, :, :small.shape[0], :small.shape[1]] = (small[..., ::-1].transpose(2, 0, 1) - 127.5) / 128
    return x


def candidates(outputs):
    """Score and [x1, y1, x2, y2, landmarks...] of every anchor, in pixels of the network's picture (SCRFD, arXiv 2105.04714)."""
    all_scores, all_places = [], []
    for stride in STRIDES:
        count = 2 * (SIDE // stride) ** 2
        score, box, points = (next(o for o in outputs if o.shape[-1] == width and o.size == count * width) for width in (1, 4, 10))
        places = np.concatenate([box.reshape(count, 4), points.reshape(count, 10)], 1) * stride
        rows, columns = np.divmod(np.arange(count) // 2, SIDE // stride)
        centres = np.stack([columns, rows] * 7, 1) * stride
        signs = np.array([-1, -1] + [1] * 12)
        all_scores.append(score.reshape(count))
        all_places.append(centres + signs * places)
    return np.concatenate(all_scores), np.concatenate(all_places)


@pytest.fixture(scope='module', params=['det_500m', 'scrfd_2.5g_bnkps', 'starter_det'])
def detector(request, data, root):
    path = data / f'models/{request.param}.onnx'
    return path if path.exists() else root / f'models/starter/{request.param}.onnx'


@pytest.fixture(scope='module')
def pictures(data):
    """A third of the golden pictures, and the one with the most faces."""
    names = sorted(json.loads((data / 'golden/detections.json').read_text()))
    return [data / name for i, name in enumerate(names) if i % 3 == 0 or 'lumia' in name]


def test_every_anchor(vultus, detector, pictures, tmp_path):
    """Boxes and landmarks of every anchor that either precision would report: within a pixel of each other."""
    def run_detector(x, *precision):
        np.save(tmp_path / 'x.npy', x)
        vultus('run', detector, *precision, '--input', f'{name}={tmp_path / "x.npy"}', '--output-dir', tmp_path / 'out')
        return candidates([np.load(file) for file in sorted((tmp_path / 'out').iterdir())])

    onnx = pytest.importorskip('onnx')
    name = onnx.load(detector, load_external_data=False).graph.input[0].name
    compared = 0
    for picture in pictures:
        x = letterbox(picture)
        (exact, exact_places), (ours, our_places) = run_detector(x), run_detector(x, *BF16)
        reported = np.maximum(exact, ours) > THRESHOLD
        assert np.abs(exact - ours).max() <= SCORE, picture.name
        moved = np.abs(exact_places - our_places)[reported]
        assert moved.max(initial=0) <= PIXELS, (picture.name, moved.max())
        compared += reported.sum()
    assert compared > 150


def overlap(a, b):
    """Intersection over union of two boxes."""
    a, b = np.array(a['bbox']), np.array(b['bbox'])
    sides = np.maximum(0, np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]))
    both = sides.prod()
    return both / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - both)


def test_detections(vultus, detector, pictures):
    """The same faces. Faces near the threshold may come or go, and where two anchors score alike either may be kept."""
    def found(*precision):
        plan = json.loads(vultus('build', detector, '--json', *precision).out)['path']
        done = vultus('extract', '--det', plan, '--no-embeddings', '--threshold', THRESHOLD, '--ndjson', *pictures)
        return [json.loads(line)['faces'] for line in done.out.splitlines()]

    compared = 0
    for picture, exact, ours in zip(pictures, found(), found(*BF16)):
        for these, those in ((exact, ours), (ours, exact)):
            for face in these:
                if abs(face['score'] - THRESHOLD) <= SCORE:
                    continue
                same = max(those, key=lambda other: overlap(face, other))
                assert overlap(face, same) > 0.8, (picture.name, face, same)
                assert abs(same['score'] - face['score']) <= SCORE, (picture.name, face, same)
                compared += 1
    assert compared > 150


def test_compare_passes(vultus, data, root):
    for model in ('mobilefacenet', 'det_500m', 'scrfd_2.5g_bnkps'):
        vultus('compare', data / f'models/{model}.onnx', *BF16, '--n-samples', '2')
    for model in ('starter_det', 'starter_rec'):
        vultus('compare', root / f'models/starter/{model}.onnx', *BF16, '--n-samples', '2')
