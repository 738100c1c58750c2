# SPDX-License-Identifier: Apache-2.0
"""What an independent Python pipeline found in the golden pictures (golden/README.md of the test data), face by face."""
import json

import pytest

np = pytest.importorskip('numpy')

DETECTORS = ['det_500m', 'scrfd_2.5g_bnkps']
WITH_CROPS = 'scrfd_2.5g_bnkps'  # whose faces crops.npz and embeddings.npz are of
THRESHOLD = 0.5
MAY_COME_OR_GO = 0.01  # a score this near to the threshold proves nothing
PIXELS, SCORE, GREY_LEVELS, COSINE = 1.0, 0.01, 1.0, 0.9995


@pytest.fixture(scope='module')
def golden(data):
    folder = data / 'golden'
    crops, embeddings = np.load(folder / 'crops.npz'), np.load(folder / 'embeddings.npz')
    return {'detections': json.loads((folder / 'detections.json').read_text()),
            'crops': dict(zip(crops['key'], crops['crop_bgr'])),
            'embeddings': dict(zip(embeddings['key'], embeddings['embedding']))}


@pytest.fixture(scope='module', params=DETECTORS)
def detector(request):
    return request.param


@pytest.fixture(scope='module')
def found(vultus, data, golden, detector, tmp_path_factory):
    """{picture: record}, with each face's crop added."""
    folder = tmp_path_factory.mktemp('crops')
    names = sorted(golden['detections'])
    done = vultus('extract', '--det', data / f'models/{detector}.onnx', '--rec', data / 'models/mobilefacenet.onnx',
                  '--threshold', THRESHOLD, '--ndjson', '--crops', folder, '--crop-format', 'npy', *(data / n for n in names))
    records = dict(zip(names, map(json.loads, done.out.splitlines())))
    for name, record in records.items():
        stem = (data / name).stem
        for i, face in enumerate(record['faces']):
            face['crop'] = np.load(folder / f'{stem}_{i}.npy')
    return records


def borderline(face):
    return abs(face['score'] - THRESHOLD) <= MAY_COME_OR_GO


def distance(a, b):
    """Largest difference of any coordinate of two faces, in pixels."""
    return max(np.abs(np.subtract(a['bbox'], b['bbox'])).max(), np.abs(np.subtract(a['landmarks'], b['landmarks'])).max())


def pairs(golden_faces, our_faces):
    """(golden index, golden face, our face or None), and our faces that nobody claimed; nearest pairs first."""
    order = sorted(((distance(g, o), i, j) for i, g in enumerate(golden_faces) for j, o in enumerate(our_faces)))
    mine, claimed = {}, set()
    for _, i, j in order:
        if i not in mine and j not in claimed:
            mine[i] = j
            claimed.add(j)
    matched = [(i, g, our_faces[mine[i]] if i in mine else None) for i, g in enumerate(golden_faces)]
    return matched, [o for j, o in enumerate(our_faces) if j not in claimed]


def test_golden_data_is_whole(data, golden):
    """51 pictures, every one of them in the folder, every face of the second detector with crop and embedding."""
    detections = golden['detections']
    assert len(detections) >= 51 and [n for n in detections if not (data / n).is_file()] == []
    keys = {f'{n}#{i}' for n, d in detections.items() for i in range(len(d[WITH_CROPS]['faces']))}
    assert keys == set(golden['crops']) == set(golden['embeddings']) and len(keys) > 150


def test_every_picture_was_analysed(found, golden):
    assert set(found) == set(golden['detections'])
    assert [n for n, r in found.items() if 'error' in r] == []
    assert [n for n, r in found.items() if (r['width'], r['height']) != tuple(golden['detections'][n][k] for k in ('width', 'height'))] == []


def test_detections(found, golden, detector):
    problems, compared, uncompared = [], 0, 0
    for name, expected in golden['detections'].items():
        matched, extra = pairs(expected[detector]['faces'], found[name]['faces'])
        for i, want, have in matched:
            if have is None or distance(want, have) > PIXELS:
                uncompared += 1
                if not borderline(want):
                    problems.append(f'{name}#{i}: not found ({want["score"]:.3f} at {want["bbox"]})')
                continue
            compared += 1
            if abs(want['score'] - have['score']) > SCORE:
                problems.append(f'{name}#{i}: score {have["score"]:.4f}, golden {want["score"]:.4f}')
            if (have['pass'] == 'margin') != expected[detector]['margin']:
                problems.append(f'{name}#{i}: found by the {have["pass"]} pass')
        problems += [f'{name}: a face too many ({o["score"]:.3f} at {o["bbox"]})' for o in extra if not borderline(o)]
    assert problems == []
    total = sum(len(e[detector]['faces']) for e in golden['detections'].values())
    assert compared + uncompared == total and compared >= total - 2, (compared, total)


@pytest.mark.parametrize('detector', [WITH_CROPS], indirect=True)
def test_crops_and_embeddings(found, golden, detector):
    problems, compared = [], set()
    for name, expected in golden['detections'].items():
        for i, want, have in pairs(expected[detector]['faces'], found[name]['faces'])[0]:
            key = f'{name}#{i}'
            if have is None or distance(want, have) > PIXELS:
                continue
            compared.add(key)
            difference = np.abs(golden['crops'][key].astype(int) - have['crop']).mean()
            if difference > GREY_LEVELS:
                problems.append(f'{key}: crops differ by {difference:.2f} grey levels')
            reference = golden['embeddings'][key].astype(float)
            cosine = reference @ have['embedding'] / np.linalg.norm(reference)
            if cosine < COSINE:
                problems.append(f'{key}: cosine of embeddings {cosine:.5f}')
            if abs(have['norm'] / np.linalg.norm(reference) - 1) > 0.02:
                problems.append(f'{key}: norm {have["norm"]:.3f}, golden {np.linalg.norm(reference):.3f}')
    assert problems == []
    missing = set(golden['crops']) - compared
    by_key = {f'{n}#{i}': f for n, e in golden['detections'].items() for i, f in enumerate(e[detector]['faces'])}
    assert [key for key in missing if not borderline(by_key[key])] == [] and len(compared) > 150


def lossless_writers():
    cv2, image = pytest.importorskip('cv2'), pytest.importorskip('PIL.Image')
    heif = pytest.importorskip('pillow_heif')
    heif.register_heif_opener()

    def by_pillow(kind, **options):
        return lambda pixels, path: image.fromarray(pixels[..., ::-1]).save(path, kind, **options)

    return {'png': lambda pixels, path: cv2.imwrite(str(path), pixels), 'bmp': by_pillow('BMP'),
            'tif': by_pillow('TIFF', compression='tiff_lzw'), 'webp': by_pillow('WEBP', lossless=True, quality=0, method=0),
            'heic': by_pillow('HEIF', quality=-1, chroma=444, matrix_coefficients=0, enc_params={'preset': 'ultrafast'})}


LIBRARIES = {'png': 'libspng', 'bmp': 'BMP', 'tif': 'libtiff', 'webp': 'libwebp', 'heic': 'libheif'}


@pytest.mark.parametrize('suffix', LIBRARIES)
@pytest.mark.parametrize('detector', ['det_500m'], indirect=True)
def test_other_formats(vultus, data, golden, found, detector, suffix, full, tmp_path):
    """Pictures that OpenCV decoded, written again without loss: what was found in them stays found."""
    cv2 = pytest.importorskip('cv2')
    if LIBRARIES[suffix] not in json.loads(vultus('doctor', '--json').out)['codecs']:
        pytest.skip(f'this build does not read {suffix}')
    names, files = sorted(golden['detections']), []
    if suffix == 'heic' and not full:  # its encoder takes a second for each
        names = names[::4]
    for i, name in enumerate(names):
        files.append(tmp_path / f'{i}.{suffix}')
        lossless_writers()[suffix](cv2.imread(str(data / name)), files[-1])
    done = vultus('extract', '--det', data / f'models/{detector}.onnx', '--no-embeddings', '--threshold', THRESHOLD, '--ndjson', *files)
    for name, record in zip(names, map(json.loads, done.out.splitlines())):
        faces = found[name]['faces']
        assert (record['width'], record['height'], len(record['faces'])) == (found[name]['width'], found[name]['height'], len(faces)), name
        for mine, theirs in zip(record['faces'], faces):
            assert distance(mine, theirs) < 0.5 and abs(mine['score'] - theirs['score']) < 0.005, name


def test_embeddings_of_golden_crops(vultus, data, golden, tmp_path):
    """The recogniser alone, on exactly the crops that the reference embedded."""
    keys = sorted(golden['crops'])
    files = []
    for i, key in enumerate(keys):
        files.append(tmp_path / f'{i}.npy')
        np.save(files[-1], golden['crops'][key])
    done = vultus('embed', '--rec', data / 'models/mobilefacenet.onnx', '--ndjson', *files)
    records = [json.loads(line) for line in done.out.splitlines()]
    assert len(records) == len(keys)
    for key, record in zip(keys, records):
        reference = golden['embeddings'][key].astype(float)
        norm = np.linalg.norm(reference)
        assert reference @ record['embedding'] / norm > 0.99999, key
        assert record['norm'] == pytest.approx(norm, rel=1e-3), key
