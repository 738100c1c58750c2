# SPDX-License-Identifier: Apache-2.0
"""How good the starter models are, by onnxruntime and OpenCV on pictures that nobody trained on."""
import pytest

pytest.importorskip('cv2')
pytest.importorskip('onnxruntime')

from evaluate_starter import evaluate  # noqa: E402

LEAST, MOST = 'at least', 'at most'
# What is measured, which way it is bounded, and the aim. The model card states aims and figures.
AIMS = [
    ('detector.all.recall', LEAST, 0.92),               # of the teacher's faces of 24 px and more
    ('detector.all.extra_share', MOST, 0.02),           # found where the teacher finds none
    ('detector.all.landmark_error', MOST, 0.05),        # mean distance, part of the eye distance
    ('detector.outside_crowd.recall', LEAST, 0.92),
    ('detector.outside_crowd.landmark_error', MOST, 0.05),
    ('detector.crowd.recall', LEAST, 0.60),             # of all faces of lumia.jpg
    ('recogniser_alone.pairs.accuracy_10fold', LEAST, 0.94),  # grey LFW, fold 1, a third of it, faces found by the teacher
    ('recogniser_alone.people.rank1', LEAST, 0.95),     # leave one out
    ('pairs.accuracy_10fold', LEAST, 0.94),             # the starter models together
    ('people.rank1', LEAST, 0.95),
]
# Aims that the present models miss: each stays an expected failure. The bounds are what was reached, less two faces or a
# hundredth of it, since other processors round otherwise; no later model may be worse.
MISSED = {
    'detector.all.recall': 0.817,
    'detector.all.landmark_error': 0.142,
    'detector.outside_crowd.landmark_error': 0.056,
    'detector.crowd.recall': 0.388,
}
ALONE_EVERY = 3  # pairs
MOST_BYTES = {'starter_det': 1.5e6, 'starter_rec': 3e6}


@pytest.fixture(scope='module')
def measured(data, root):
    folder = root / 'models/starter'
    figures = evaluate(data, folder / 'starter_det.onnx', folder / 'starter_rec.onnx', ALONE_EVERY)
    print(figures)
    return figures


def check(measured, what, way, bound):
    value = measured
    for key in what.split('.'):
        value = value[key]
    assert value >= bound if way == LEAST else value <= bound, f'{what} is {value}, {way} {bound} is wanted'


def expected(what):
    return pytest.mark.xfail(strict=True, reason='missed so far, see models/starter/README.md') if what in MISSED else ()


@pytest.mark.parametrize('what, way, bound', [pytest.param(*aim, id=aim[0], marks=expected(aim[0])) for aim in AIMS])
def test_aim(measured, what, way, bound):
    check(measured, what, way, bound)


@pytest.mark.parametrize('what, way', [aim[:2] for aim in AIMS if aim[0] in MISSED])
def test_no_worse_than_reached(measured, what, way):
    check(measured, what, way, MISSED[what])


@pytest.mark.parametrize('name', sorted(MOST_BYTES))
def test_size(root, name):
    assert (root / f'models/starter/{name}.onnx').stat().st_size <= MOST_BYTES[name]
