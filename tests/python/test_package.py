# SPDX-License-Identifier: Apache-2.0
"""The wheel of python/, built against what `meson install` leaves, gives what the command gives."""
import ctypes
import json
import os
import subprocess
import sys
import threading

import pytest

np, cv2 = pytest.importorskip('numpy'), pytest.importorskip('cv2')
for needed in ('cffi', 'setuptools', 'wheel'):
    pytest.importorskip(needed)


@pytest.fixture(scope='module')
def vultus_package(root, build, plans, tmp_path_factory):
    """The package out of its wheel; the library is loaded first, so that the binding finds it by its name."""
    folder = tmp_path_factory.mktemp('package')
    subprocess.run(['meson', 'install', '-C', build, '--no-rebuild', '--quiet', '--destdir', folder / 'root'], check=True,
                   capture_output=True)
    [pc] = (folder / 'root').glob('**/vultus.pc')
    [library] = {path.resolve() for path in (folder / 'root').glob('**/libvultus.so')}
    copy = folder / 'source'
    subprocess.run(['cp', '-r', root / 'python', copy], check=True)
    environment = {**os.environ, 'PKG_CONFIG_PATH': str(pc.parent), 'PKG_CONFIG_SYSROOT_DIR': str(folder / 'root')}
    pip = [sys.executable, '-m', 'pip', '-q', '--disable-pip-version-check']
    done = subprocess.run([*pip, 'wheel', '--no-deps', '--no-build-isolation', '-w', folder, copy], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    [wheel] = folder.glob('vultus-*.whl')
    subprocess.run([*pip, 'install', '--no-deps', '--target', folder / 'installed', wheel], check=True)
    ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)
    sys.path.insert(0, str(folder / 'installed'))
    os.environ['VULTUS_PLANS'] = str(plans)
    import vultus
    assert vultus.__file__.startswith(str(folder))
    return vultus


@pytest.fixture(scope='module')
def pipeline(vultus_package, models):
    return vultus_package.Pipeline(models[1], models[3])


def command(vultus, *arguments):
    return json.loads(vultus(*arguments, '--json').out)[0]['faces']


def assert_same(faces, records):
    assert len(faces) == len(records) > 0
    for face, record in zip(faces, records):
        for name in ('bbox', 'landmarks', 'embedding'):
            assert np.array_equal(getattr(face, name), np.array(record[name], np.float32)), name
        assert (np.float32(face.score), np.float32(face.norm)) == (np.float32(record['score']), np.float32(record['norm']))


def test_version(vultus_package, vultus):
    assert vultus('--version').out.split()[1] == vultus_package.__version__


def test_pipeline_gives_what_the_command_gives(vultus, vultus_package, pipeline, models, group, photo):
    for path in (group, photo):
        records = command(vultus, 'extract', *models, path)
        assert_same(pipeline.analyze_encoded(path.read_bytes()), records)
        assert_same(pipeline.analyze(vultus_package.read_picture(path.read_bytes())), records)


def test_options(vultus, pipeline, models, group):
    faces = pipeline.analyze_encoded(group.read_bytes(), limit_faces=3, crops=True)
    assert_same(faces, command(vultus, 'extract', *models, '--limit-faces', 3, group))
    assert all(face.crop.shape == (112, 112, 3) and face.crop.std() > 5 for face in faces)
    assert all(face.crop is None for face in pipeline.analyze_encoded(group.read_bytes()))
    every = pipeline.analyze_encoded(group.read_bytes())
    threshold = float(np.median([face.score for face in every]))
    assert len(pipeline.analyze_encoded(group.read_bytes(), threshold=threshold)) == sum(face.score > threshold for face in every)


def test_turned_faces(vultus, pipeline, models, photo, tmp_path):
    cv2.imwrite(str(tmp_path / 'turned.png'), cv2.rotate(cv2.imread(str(photo)), cv2.ROTATE_90_CLOCKWISE))
    path = tmp_path / 'turned.png'
    records = command(vultus, 'extract', *models, '--robust', 'full', path)
    faces = pipeline.analyze_encoded(path.read_bytes(), robust='full')
    assert_same(faces, records)
    assert [(face.pass_, face.turn) for face in faces] == [(r['pass'], r['turn']) for r in records]
    assert any(face.turn == 270 for face in faces)
    with pytest.raises(ValueError, match='some'):
        pipeline.analyze_encoded(path.read_bytes(), robust='some')


def same_values(told, record):
    if isinstance(record, dict):
        return told.keys() == record.keys() and all(same_values(told[k], record[k]) for k in record)
    if record is None:
        return np.isnan(told)
    return np.float32(told) == np.float32(record) if isinstance(record, float) else told == record


def test_attributes(vultus, vultus_package, models, group, data):
    weights = [data / f'models/{name}.onnx' for name in ('2.7_80x80_MiniFASNetV2', '4_0_0_80x80_MiniFASNetV1SE')]
    pipeline = vultus_package.Pipeline(models[1], models[3], attribute_models=weights)
    faces = pipeline.analyze_encoded(group.read_bytes(), attributes=('quality', 'liveness'))
    records = command(vultus, 'extract', *models, '--attributes', 'quality,liveness', '--liveness-models', ','.join(map(str, weights)), group)
    assert len(faces) == len(records) > 0 and set(faces[0].attributes) == {'quality', 'liveness'}
    assert all(same_values(face.attributes, record['attributes']) for face, record in zip(faces, records))
    assert all(face.attributes == {} for face in pipeline.analyze_encoded(group.read_bytes()))
    with pytest.raises(vultus_package.VultusError, match='mask'):
        pipeline.analyze_encoded(group.read_bytes(), attributes=['mask'])
    with pytest.raises(ValueError, match='beauty'):
        pipeline.analyze_encoded(group.read_bytes(), attributes=['beauty'])


def test_arrays_of_any_layout(pipeline, group):
    """Views with other strides are what they look like."""
    bgr = cv2.imread(str(group))
    plain = pipeline.analyze(bgr)
    wide = np.zeros((bgr.shape[0], bgr.shape[1] + 7, 3), np.uint8)
    wide[:, :-7] = bgr
    for view in (wide[:, :-7], np.ascontiguousarray(bgr[:, ::-1])[:, ::-1], np.asfortranarray(bgr)):
        assert [face.bbox.tolist() for face in pipeline.analyze(view)] == [face.bbox.tolist() for face in plain]


def test_embedder(vultus_package, pipeline, models, group):
    faces = pipeline.analyze_encoded(group.read_bytes(), crops=True)
    embedder = vultus_package.Embedder(models[3])
    assert embedder.input_size == (112, 112) and embedder.dimension == len(faces[0].embedding)
    crops = np.stack([face.crop for face in faces])
    embeddings, norms = embedder.embed(crops, norms=True)
    assert embeddings.dtype == np.float32 and embeddings.shape == (len(faces), embedder.dimension)
    assert np.array_equal(embeddings, np.stack([face.embedding for face in faces]))
    assert np.array_equal(norms, np.array([face.norm for face in faces], np.float32))
    assert np.array_equal(embedder.embed(crops[::2]), embeddings[::2])
    assert embedder.embed(crops[:0]).shape == (0, embedder.dimension)
    assert np.allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)


def test_starter_pack(vultus_package, root):
    pipeline = vultus_package.Pipeline()
    faces = pipeline.analyze(cv2.imread(str(root / 'examples/group.jpg')))
    assert len(faces) > 5 and vultus_package.Embedder().dimension == len(faces[0].embedding)


def test_without_embeddings(vultus_package, models, photo):
    [face] = vultus_package.Pipeline(models[1], embeddings=False).analyze_encoded(photo.read_bytes())
    assert face.embedding is None and face.norm == 0 and face.failure is None


def test_failures(vultus_package, pipeline):
    with pytest.raises(vultus_package.VultusError, match='absent.onnx') as caught:
        vultus_package.Embedder('absent.onnx')
    assert caught.value.status == 'not found' or caught.value.status.startswith('not')
    with pytest.raises(vultus_package.VultusError, match='my.jpg is empty'):
        pipeline.analyze_encoded(b'', name='my.jpg')
    with pytest.raises(vultus_package.VultusError, match='over the limit of 10'):
        vultus_package.read_picture(b'x' * 11, max_bytes=10)
    for wrong in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4, 4), np.uint8)):
        with pytest.raises(ValueError, match='uint8'):
            pipeline.analyze(wrong)
    with pytest.raises(ValueError, match='uint8'):
        vultus_package.Embedder().embed(np.zeros((2, 100, 100, 3), np.uint8))


def test_other_threads_run_meanwhile(vultus_package, pipeline, group):
    """A thread that only counts goes on counting while another is in the library: the lock is released there."""
    data, counts, stop = group.read_bytes(), [0], threading.Event()

    def count():
        while not stop.is_set():
            counts[0] += 1

    switch = sys.getswitchinterval()
    sys.setswitchinterval(2)  # nothing takes the lock sooner from a thread that keeps it
    counter = threading.Thread(target=count)
    try:
        counter.start()
        before = counts[0]
        pipeline.analyze_encoded(data)
        during = counts[0] - before
    finally:
        stop.set()
        sys.setswitchinterval(switch)
        counter.join()
    assert during > 0


def test_many_threads(pipeline, group):
    data, results = group.read_bytes(), [None] * 4

    def run(i):
        results[i] = [face.embedding.tobytes() for face in pipeline.analyze_encoded(data)]

    threads = [threading.Thread(target=run, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results[0] and results == [results[0]] * 4


def test_handles_go_in_any_order(vultus_package, models):
    import gc
    for _ in range(3):
        embedder = vultus_package.Embedder(models[3])
        cycle = [embedder]
        cycle.append(cycle)
        del embedder, cycle
        gc.collect()
