# SPDX-License-Identifier: Apache-2.0
"""Plans of precision bf16 against fp32's, on real faces, and the same bytes in any company."""
import json

import pytest

np = pytest.importorskip('numpy')

COSINE_MEAN, COSINE_MIN = 0.999, 0.995
PIXELS, SCORE = 1.0, 0.02
MOST_PIXELS, FEW = 3.0, 0.01  # where two anchors of a face score alike, the other one's box may be kept
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


@pytest.mark.parametrize('model', ['det_500m', 'scrfd_2.5g_bnkps', 'starter_det'])
def test_detections(vultus, data, root, model):
    """Faces near the threshold may come or go; others are where they were, all but a few within a pixel."""
    path = data / f'models/{model}.onnx'
    if not path.exists():
        path = root / f'models/starter/{model}.onnx'
    pictures = [data / name for name in sorted(json.loads((data / 'golden/detections.json').read_text()))]

    def found(*precision):
        plan = json.loads(vultus('build', path, '--json', *precision).out)['path']
        done = vultus('extract', '--det', plan, '--no-embeddings', '--threshold', THRESHOLD, '--ndjson', *pictures)
        return [json.loads(line)['faces'] for line in done.out.splitlines()]

    compared, moved = 0, 0
    for picture, exact, ours in zip(pictures, found(), found(*BF16)):
        for these, those in ((exact, ours), (ours, exact)):
            for face in these:
                if abs(face['score'] - THRESHOLD) <= SCORE:
                    continue
                nearest = min(those, key=lambda other: distance(face, other))
                assert distance(face, nearest) <= MOST_PIXELS, (picture.name, face, nearest)
                assert abs(nearest['score'] - face['score']) <= SCORE, (picture.name, face, nearest)
                moved += distance(face, nearest) > PIXELS
                compared += 1
    assert compared > 200 and moved <= FEW * compared, (moved, compared)


def distance(a, b):
    """Largest difference of any coordinate of two faces, in pixels."""
    return max(np.abs(np.subtract(a[k], b[k])).max() for k in ('bbox', 'landmarks'))


def test_compare_passes(vultus, data, root):
    for model in ('mobilefacenet', 'det_500m', 'scrfd_2.5g_bnkps'):
        vultus('compare', data / f'models/{model}.onnx', *BF16, '--n-samples', '4')
    for model in ('starter_det', 'starter_rec'):
        vultus('compare', root / f'models/starter/{model}.onnx', *BF16, '--n-samples', '4')
