# SPDX-License-Identifier: Apache-2.0
"""Gender, age, masks, liveness and quality in answers: when they are there, and against onnxruntime and `vultus extract`."""
import concurrent.futures
import json
import pathlib
import sys

import pytest

np, cv2 = pytest.importorskip('numpy'), pytest.importorskip('cv2')
pytest.importorskip('onnxruntime')
sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / 'golden'))
from test_attributes import LIVENESS, seeded, session  # noqa: E402
from test_v1 import upload  # noqa: E402

GROUP = ['norm', 'vec', 'gender', 'age', 'mask', 'mask_probs']


@pytest.fixture(scope='module')
def networks(tmp_path_factory):
    folder = tmp_path_factory.mktemp('attributes')
    return {'genderage': seeded(folder / 'ages.onnx', 112, 202, seed=8),
            'mask_detector': seeded(folder / 'masks.onnx', 112, 2, pixels_together=True, softmax_after=True, seed=115, scale=4)}


@pytest.fixture(scope='module')
def telling(start, networks):
    """A server with models of gender and age, and of masks."""
    with start('--genderage', networks['genderage'], '--mask-detector', networks['mask_detector']) as running:
        yield running


def faces(server, **fields):
    return server.extract({'images': {'urls': ['group.jpg']}, 'limit_faces': 5, **fields}).json()['data'][0]['faces']


@pytest.fixture(scope='module')
def known(vultus, models, networks, group):
    done = vultus('extract', *models, '--limit-faces', 5, '--attributes', 'mask,gender-age,quality', '--mask-model',
                  networks['mask_detector'], '--gender-age-model', networks['genderage'], '--json', group)
    return [face['attributes'] for face in json.loads(done.out)[0]['faces']]


def test_info_names_them(telling, server):
    """Fact 1.9."""
    assert [telling.get('/info').json()['models'][key] for key in ('ga_name', 'mask_detector')] == ['ages', 'masks']
    assert [server.get('/info').json()['models'][key] for key in ('ga_name', 'mask_detector')] == [None, None]


@pytest.mark.parametrize('name', ['GA_NAME', 'GA_MODEL'])
def test_variables_name_them(start, networks, name):
    """Facts 5.1, 7.4."""
    with start(environment={name: str(networks['genderage']), 'MASK_DETECTOR': 'None'}) as server:
        models = server.get('/info').json()['models']
        assert models['ga_name'] == 'ages' and models['mask_detector'] is None


def test_presence(telling, server):
    """Fact 1.5: The six fields come together when any of the three is asked for, with null for what was not."""
    for ask in (1, 2, 4, 3, 5, 6, 7, 0):
        fields = {'extract_embedding': bool(ask & 1), 'extract_ga': bool(ask & 2), 'detect_masks': bool(ask & 4)}
        for face in faces(telling, **fields):
            assert [key for key in face if key in GROUP] == (GROUP if ask else [])
            if ask:
                assert [face[key] is not None for key in GROUP] == [bool(ask & bit) for bit in (1, 1, 2, 2, 4, 4)]
    for face in faces(server, extract_ga=True, detect_masks=True):
        assert [face[key] for key in GROUP[2:]] == [None] * 4


def test_values(telling, known):
    """Facts 1.5, 3.2."""
    found = faces(telling, extract_ga=True, detect_masks=True)
    assert len(found) == len(known) == 5 and len({face['age'] for face in found}) > 1
    for face, want in zip(found, known):
        assert face['gender'] == ['female', 'male'].index(want['gender_age']['gender']) and face['age'] == want['gender_age']['age']
        assert face['mask'] is want['mask']['mask'] and list(face['mask_probs']) == ['mask', 'no_mask']
        assert face['mask_probs']['mask'] == pytest.approx(want['mask']['probability'], abs=1e-6)
        assert face['mask_probs']['no_mask'] == pytest.approx(want['mask']['no_mask_probability'], abs=1e-6)


def test_crops_against_onnxruntime(telling, networks, crop):
    """Facts 1.6, 3.2."""
    [item] = telling.extract({'images': {'urls': ['crop.png']}, 'embed_only': True, 'extract_ga': True, 'detect_masks': 'yes'}).json()['data']
    [face] = item['faces']
    pixels = cv2.imdecode(np.frombuffer(crop, np.uint8), cv2.IMREAD_COLOR).astype(np.float32)
    numbers = session(networks['genderage']).run(None, {'x': pixels[:, :, ::-1].transpose(2, 0, 1)[None]})[0][0]
    assert face['gender'] == int(numbers[1] > numbers[0]) and face['age'] == int((numbers[3::2] > numbers[2::2]).sum())
    mask, none = session(networks['mask_detector']).run(None, {'x': pixels[None] / 127.5 - 1})[0][0]
    assert face['mask'] is bool(face['mask_probs']['mask'] > face['mask_probs']['no_mask'] and face['mask_probs']['mask'] >= 0.89)
    assert face['mask_probs'] == {'mask': pytest.approx(mask, abs=5e-3), 'no_mask': pytest.approx(none, abs=5e-3)}


def test_attributes_of_v1(telling, known, group):
    answer = upload(telling, group.read_bytes(), '?limit_faces=5&robust=0&attributes=quality,gender_age,liveness,mask')
    found = [face['attributes'] for face in answer.json()['data'][0]['faces']]
    assert [list(face) for face in found] == [['mask', 'liveness', 'gender_age', 'quality']] * 5
    for face, want in zip(found, known):
        assert face.pop('liveness') is None and face['gender_age'] == want['gender_age'] and face['mask']['mask'] is want['mask']['mask']
        assert face['mask']['probability'] == pytest.approx(want['mask']['probability'], abs=1e-6)
        for name, value in want['quality'].items():
            assert face['quality'][name] == (pytest.approx(value, abs=1e-4, rel=1e-5) if not isinstance(value, dict) else
                                             {k: pytest.approx(v, abs=1e-5) for k, v in value.items()})


def test_unknown_attribute(telling, photo):
    for field in ('beauty', 'mask,', 'mask, quality'):
        answer = upload(telling, photo.read_bytes(), '?attributes=' + field.replace(' ', '+'))
        assert answer.status == (200 if field == 'mask,' else 422), answer.body
    answer = telling.extract({'images': {'urls': ['one.jpg']}, 'attributes': ['quality', 3]}, path='/v1/extract')
    assert answer.json()['detail'][0]['loc'] == ['body', 'attributes']


def test_liveness(start, vultus, models, data):
    models_of_liveness = ','.join(str(data / f'models/{name}.onnx') for name in LIVENESS)
    picture = data / 'images/Stallone.jpg'
    done = vultus('extract', *models, '--attributes', 'liveness', '--liveness-models', models_of_liveness, '--json', picture)
    [want] = [face['attributes']['liveness'] for face in json.loads(done.out)[0]['faces']]
    with start('--liveness', models_of_liveness) as server:
        [face] = upload(server, picture.read_bytes(), '?attributes=liveness').json()['data'][0]['faces']
        assert face['attributes'] == {'liveness': {'live': want['live'], 'probability': pytest.approx(want['probability'], abs=1e-3)}}


@pytest.mark.heavy
def test_under_load_attributes_are_those_alone(start, networks):
    """Faces of different requests share batches of these models too, and nothing changes by that."""
    shapes = [{'images': {'urls': [name]}, 'extract_embedding': False, 'extract_ga': True, 'detect_masks': mask, 'limit_faces': 4}
              for name in ('one.jpg', 'two.png', 'group.jpg') for mask in (False, True)]
    shapes.append({'images': {'urls': ['crop.png'] * 3}, 'embed_only': True, 'extract_ga': True, 'detect_masks': True})
    with start('--genderage', networks['genderage'], '--mask-detector', networks['mask_detector']) as server:
        def runs():
            return server.metric('vultus_batch_size_count', network='attributes')

        def told(shape):
            return [item['faces'] for item in server.extract(shape).json()['data']]

        def client(n):
            return [k for k in (n, n + 1, n + 2, n) if told(shapes[k % len(shapes)]) != alone[k % len(shapes)]]

        alone, runs_alone = [], []
        for shape in shapes:
            before = runs()
            alone.append(told(shape))
            runs_alone.append(runs() - before)
        before = runs()
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            assert list(pool.map(client, range(12))) == [[]] * 12
        assert 0 < runs() - before < sum(runs_alone[k % len(shapes)] for n in range(12) for k in (n, n + 1, n + 2, n))
