# SPDX-License-Identifier: Apache-2.0
"""The starter models began as random weights: no tensor of theirs comes from a teacher."""
import pytest

np, onnx = pytest.importorskip('numpy'), pytest.importorskip('onnx')

LEAST_VALUES = 64         # smaller tensors correlate by chance
MOST_CORRELATION = 0.5
MOST_OF_VECTORS = 0.9     # biases and slopes: who learns a teacher's outputs learns their means as well
MOST_SHARED = 0.05        # part of a model's values that a teacher has too, to the bit: of millions of floats a few meet


def tensors(path):
    """{name: float32 array} of a model's initializers."""
    arrays = {w.name: onnx.numpy_helper.to_array(w) for w in onnx.load(path).graph.initializer}
    return {name: array for name, array in arrays.items() if array.dtype == np.float32}


def correlation(a, b):
    a, b = a.ravel().astype(float), b.ravel().astype(float)
    a, b = a - a.mean(), b - b.mean()
    length = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / length) if length > 0 else 0.0


def shared(a, b):
    """Part of the values of `a` that `b` holds as well."""
    return float(np.isin(np.concatenate([x.ravel() for x in a]), np.concatenate([x.ravel() for x in b])).mean())


def alike(students, teachers):
    """Tensors of one shape that are equal or correlated: [(student's, teacher's, correlation)]."""
    found = []
    for mine, a in students.items():
        for theirs, b in teachers.items():
            if a.shape != b.shape or a.size < LEAST_VALUES:
                continue
            likeness = correlation(a, b)
            if abs(likeness) > (MOST_OF_VECTORS if a.ndim < 2 else MOST_CORRELATION) or np.array_equal(a, b):
                found.append((mine, theirs, likeness))
    return found


@pytest.fixture(scope='module', params=['starter_det', 'starter_rec'])
def student(request, root):
    return tensors(root / f'models/starter/{request.param}.onnx')


@pytest.fixture(scope='module')
def teachers(data):
    return {path.stem: tensors(path) for path in sorted((data / 'models').glob('*.onnx'))}


def test_no_tensor_is_a_teachers(student, teachers):
    compared = [(mine, theirs) for mine, a in student.items() for t in teachers.values() for theirs, b in t.items()
                if a.shape == b.shape and a.size >= LEAST_VALUES]
    assert len(student) > 20 and compared
    assert {name: found for name, found in ((name, alike(student, t)) for name, t in teachers.items()) if found} == {}


def test_no_values_are_a_teachers(student, teachers):
    """Slices, pruned tensors and other orders of channels would show here."""
    large = [a for a in student.values() if a.size >= LEAST_VALUES]
    for name, theirs in teachers.items():
        assert shared(large, theirs.values()) < MOST_SHARED, name


def test_copies_are_noticed(teachers):
    """A check that cannot fail proves nothing: a teacher's tensor that was trained on, and half of its channels."""
    theirs = teachers['mobilefacenet']
    name = max(theirs, key=lambda n: theirs[n].size)
    noise = np.random.default_rng(3).standard_normal(theirs[name].shape).astype(np.float32)
    tuned = {name: theirs[name] + noise * theirs[name].std()}
    assert [(a, b) for a, b, _ in alike(tuned, theirs)] == [(name, name)]
    assert shared([theirs[name][::2]], theirs.values()) == 1
