# SPDX-License-Identifier: Apache-2.0
"""POST /extract against the wire facts of InsightFace-REST: fields, order, presence, envelopes, failures."""
import base64
import decimal
import json
import re

import pytest

np, cv2, msgpack = pytest.importorskip('numpy'), pytest.importorskip('cv2'), pytest.importorskip('msgpack')

GROUP_P = ['norm', 'vec', 'gender', 'age', 'mask', 'mask_probs']


def encoded(path):
    return base64.b64encode(path.read_bytes()).decode()


def faces_of(server, path, **fields):
    answer = server.extract({'images': {'urls': [path]}, **fields})
    assert answer.status == 200, answer.body
    [item] = answer.json()['data']
    assert item['status'] == 'ok', item
    return item['faces']


def test_envelope(server):
    """Facts 1.5, 7.19."""
    answer = server.extract({'images': {'urls': ['one.jpg']}})
    assert answer.status == 200 and answer.type == 'application/json'
    body = answer.json()
    assert list(body) == ['took', 'data'] and list(body['took']) == ['total_ms']
    assert isinstance(body['took']['total_ms'], float)
    [item] = body['data']
    assert list(item) == ['status', 'took_ms', 'faces'] and item['status'] == 'ok' and isinstance(item['took_ms'], float)
    assert 0 < item['took_ms'] <= body['took']['total_ms']
    assert int(answer.headers['content-length']) == len(answer.body)


def test_verbose_timings(server):
    """Fact 1.5."""
    took = server.extract({'images': {'urls': ['one.jpg']}, 'verbose_timings': True}).json()['took']
    assert list(took) == ['total_ms', 'read_imgs_ms', 'embed_all_ms'] and all(v > 0 for v in took.values())


def test_face_fields_by_default(server):
    """Facts 1.3, 1.5."""
    [face] = faces_of(server, 'one.jpg')
    assert list(face) == ['bbox', 'prob', 'num_det', 'scale', *GROUP_P, 'size']
    assert all(isinstance(v, int) for v in face['bbox']) and face['num_det'] == 0
    assert [face[key] for key in GROUP_P[2:]] == [None] * 4
    assert face['norm'] > 0 and np.linalg.norm(face['vec']) == pytest.approx(1, abs=1e-5)


def test_face_fields_with_everything(server):
    """Fact 1.5."""
    [face] = faces_of(server, 'one.jpg', return_landmarks=True, return_face_data=True)
    assert list(face) == ['bbox', 'landmarks', 'prob', 'num_det', 'scale', 'facedata', *GROUP_P, 'size']
    assert [len(point) for point in face['landmarks']] == [2] * 5
    crop = cv2.imdecode(np.frombuffer(base64.b64decode(face['facedata'], validate=True), np.uint8), cv2.IMREAD_COLOR)
    assert crop.shape == (112, 112, 3)


def test_group_p_goes_together(server):
    """Fact 1.5."""
    [face] = faces_of(server, 'one.jpg', extract_embedding=False)
    assert not set(GROUP_P) & set(face)
    [face] = faces_of(server, 'one.jpg', extract_embedding=False, extract_ga=True)
    assert [face[key] for key in GROUP_P] == [None] * 6
    [face] = faces_of(server, 'one.jpg', extract_embedding=None)
    assert not set(GROUP_P) & set(face)


def test_the_command_finds_the_same(server, vultus, models, photo):
    """Facts 1.5, 2.5: Floats of /extract, read as float32, are those of `vultus extract`."""
    [record] = json.loads(vultus('extract', *models, '--robust', 'off', '--json', photo).out)
    [face], [known] = faces_of(server, 'one.jpg', return_landmarks=True), record['faces']
    assert np.array_equal(np.float32(face['vec']), np.float32(known['embedding']))
    assert np.float32(face['prob']) == np.float32(known['score']) and np.float32(face['norm']) == np.float32(known['norm'])
    assert face['bbox'] == [int(v) for v in known['bbox']]
    assert face['landmarks'] == [[int(v) for v in point] for point in known['landmarks']]
    assert face['size'] == int(np.float32(known['bbox'][2]) - np.float32(known['bbox'][0]))


def test_scale_is_of_the_letterbox(server, photo):
    """Facts 1.5, 2.3."""
    height, width = cv2.imread(str(photo)).shape[:2]
    [face] = faces_of(server, 'one.jpg')
    size = server.get('/info').json()['models']['max_size']
    scale = min(size[0] / width, size[1] / height)
    assert face['scale'] == (0.7 * scale if scale > 2 else scale)


def test_floats_are_shortest(server):
    """Fact 1.4: Numbers are the shortest texts of float32 values widened to double: Python writes the same."""
    text = server.extract({'images': {'urls': ['group.jpg']}}).body.decode()
    numbers = re.findall(r'(?<=[\[,:])-?\d+\.\d+(?:e-?\d+)?', text)
    assert len(numbers) > 1000
    assert [n for n in numbers if decimal.Decimal(n) != decimal.Decimal(repr(float(n)))] == []
    for vector in re.findall(r'"vec":\[([^\]]*)\]', text)[:10]:
        assert all(float(np.float32(float(n))) == float(n) for n in vector.split(','))


def test_slashes_are_escaped_and_nothing_is_spaced(server):
    """Fact 1.4."""
    answer = server.extract({'images': {'urls': ['one.jpg', 'no/such.jpg']}, 'return_face_data': True})
    text = answer.body.decode()
    assert not re.search(r'(?<!\\)/', text) and '\\/' in text and ': ' not in text.split('"traceback"')[0]
    assert json.loads(text)['data'][1]['traceback'] == "File: 'no/such.jpg' not found"


def test_urls_win_over_data(server, photo):
    """Fact 1.3."""
    assert server.extract({'images': {'urls': [], 'data': [encoded(photo)]}}).json()['data'] == []
    assert len(server.extract({'images': {'urls': None, 'data': [encoded(photo)]}}).json()['data']) == 1
    assert server.extract({'images': {}}).json()['data'] == []


def test_base64(server, photo):
    """Fact 2.1."""
    text = encoded(photo)
    wanted = faces_of(server, 'one.jpg')
    for variant in (text, 'data:image/jpeg;base64,' + text, '\n'.join(text[i:i + 76] for i in range(0, len(text), 76))):
        [item] = server.extract({'images': {'data': [variant]}}).json()['data']
        assert item['faces'] == wanted
    [item] = server.extract({'images': {'data': [text.rstrip('=')[:-1]]}}).json()['data']
    assert list(item) == ['status', 'took_ms', 'faces', 'traceback'] and item['status'] == 'failed' and item['faces'] == []


def test_one_bad_picture_fails_alone(server):
    """Facts 1.7, 7.15."""
    body = server.extract({'images': {'urls': ['text.jpg', 'one.jpg', 'none.jpg']}}).json()
    assert [item['status'] for item in body['data']] == ['failed', 'ok', 'failed']
    assert [item['took_ms'] for item in body['data'] if item['status'] == 'failed'] == [0, 0]


def test_extreme_shape_fails_alone(server):
    """Facts 1.7, 7.15: A picture whose side vanishes when it is scaled; the original answers 500 for the whole request."""
    thin = base64.b64encode(cv2.imencode('.png', np.zeros((1, 4000, 3), np.uint8))[1]).decode()
    answer = server.extract({'images': {'data': [thin]}})
    assert answer.status == 200 and answer.json()['data'][0]['status'] in ('ok', 'failed')


def test_order_and_limit(server):
    """Facts 1.5, 2.5."""
    faces = faces_of(server, 'group.jpg', extract_embedding=False)
    assert len(faces) > 4 and [f['num_det'] for f in faces] == list(range(len(faces)))
    scores = [face['prob'] for face in faces]
    assert scores == sorted(scores, reverse=True)
    limited = faces_of(server, 'group.jpg', extract_embedding=False, limit_faces=4)
    areas = [(f['bbox'][2] - f['bbox'][0]) * (f['bbox'][3] - f['bbox'][1]) for f in limited]
    assert len(limited) == 4 and all(a >= b - 200 for a, b in zip(areas, areas[1:]))
    boxes = [face['bbox'] for face in faces]
    assert all(face['bbox'] in boxes for face in limited)
    assert faces_of(server, 'group.jpg', extract_embedding=False, limit_faces=-3) == faces


def test_min_face_size_leaves_gaps_and_scrambles_nothing(server):
    """Facts 2.5, 7.3."""
    everything = faces_of(server, 'group.jpg', extract_embedding=False)
    sizes = sorted(face['size'] for face in everything)
    least = sizes[len(sizes) // 2]
    body = server.extract({'images': {'urls': ['group.jpg', 'one.jpg', 'group.jpg']}, 'min_face_size': least, 'extract_embedding': False}).json()
    kept = [face for face in everything if face['size'] >= least]
    assert body['data'][0]['faces'] == kept == body['data'][2]['faces'] and len(kept) < len(everything)
    assert [f['num_det'] for f in kept] == [i for i, f in enumerate(everything) if f['size'] >= least]
    one = faces_of(server, 'one.jpg', extract_embedding=False)
    assert body['data'][1]['faces'] == [face for face in one if face['size'] >= least]


def test_threshold(server):
    """Facts 1.3, 7.13."""
    all_scores = [f['prob'] for f in faces_of(server, 'group.jpg', extract_embedding=False)]
    assert min(all_scores) > 0.6
    higher = [f['prob'] for f in faces_of(server, 'group.jpg', extract_embedding=False, threshold='0.7')]
    assert higher == [score for score in all_scores if score > 0.7]
    assert len(faces_of(server, 'group.jpg', extract_embedding=False, threshold=-1)) > len(all_scores)


@pytest.mark.parametrize('field', ['threshold', 'limit_faces', 'min_face_size', 'img_req_headers'])
def test_null_is_the_default(server, field):
    """Facts 1.3, 7.20."""
    assert faces_of(server, 'one.jpg', **{field: None}) == faces_of(server, 'one.jpg')


@pytest.mark.parametrize('value, truth', [(True, 1), ('True', 1), ('YES', 1), ('on', 1), (1, 1), ('1', 1), ('t', 1), (1.0, 1),
                                          (False, 0), ('False', 0), ('no', 0), ('off', 0), (0, 0), ('n', 0), (None, 0)])
def test_lenient_switches(server, value, truth):
    """Fact 1.2."""
    [face] = faces_of(server, 'one.jpg', return_landmarks=value)
    assert ('landmarks' in face) == bool(truth)


@pytest.mark.parametrize('value', ['1', 1.0, 1, '1.0', True])
def test_lenient_integers(server, value):
    """Fact 1.2."""
    assert len(faces_of(server, 'group.jpg', limit_faces=value, extract_embedding=False)) == 1


@pytest.mark.parametrize('body, kind, place', [
    ('{}', 'missing', ['images']), ('[]', 'model_attributes_type', []), ('{"images":[]}', 'model_attributes_type', ['images']),
    ('{"images":{"urls":"a"}}', 'list_type', ['images', 'urls']), ('{"images":{"data":[1]}}', 'string_type', ['images', 'data', 0]),
    ('{"images":{},"threshold":"x"}', 'float_parsing', ['threshold']), ('{"images":{},"threshold":[]}', 'float_type', ['threshold']),
    ('{"images":{},"limit_faces":1.5}', 'int_from_float', ['limit_faces']), ('{"images":{},"limit_faces":"a"}', 'int_parsing', ['limit_faces']),
    ('{"images":{},"embed_only":"maybe"}', 'bool_parsing', ['embed_only']), ('{"images":{},"embed_only":{}}', 'bool_type', ['embed_only']),
    ('{"images":{},"img_req_headers":[]}', 'dict_type', ['img_req_headers'])])
def test_schema_violations(server, body, kind, place):
    """Fact 1.7."""
    answer = server.extract(body)
    assert answer.status == 422 and answer.type == 'application/json'
    [problem] = answer.json()['detail']
    assert list(problem)[:4] == ['type', 'loc', 'msg', 'input'] and problem['type'] == kind and problem['loc'] == ['body', *place]


def test_missing_images_is_reported_as_the_original_does(server):
    """Fact 1.7."""
    assert server.extract('{}').json() == {
        'detail': [{'type': 'missing', 'loc': ['body', 'images'], 'msg': 'Field required', 'input': {}}]}
    assert server.extract('').json() == {'detail': [{'type': 'missing', 'loc': ['body'], 'msg': 'Field required', 'input': None}]}


def test_several_problems_at_once(server):
    """Fact 1.7."""
    detail = server.extract({'images': {}, 'threshold': 'x', 'limit_faces': 'y'}).json()['detail']
    assert {problem['loc'][-1] for problem in detail} == {'threshold', 'limit_faces'}


def test_malformed_json(server):
    """Fact 1.7."""
    answer = server.extract('{"images": nonsense}')
    [problem] = answer.json()['detail']
    assert answer.status == 422 and problem['type'] == 'json_invalid' and problem['loc'][0] == 'body' and isinstance(problem['loc'][1], int)


@pytest.mark.parametrize('kind', ['application/json', 'application/json; charset=utf-8', 'application/vnd.api+json', None])
def test_json_content_types(server, kind):
    """Fact 1.2."""
    answer = server.ask('POST', '/extract', '{"images":{}}', {'content-type': kind} if kind else {})
    assert answer.status == 200 and answer.json()['data'] == []


def test_other_content_types(server):
    """Fact 1.2."""
    answer = server.ask('POST', '/extract', '{"images":{}}', {'content-type': 'text/plain'})
    assert answer.status == 422 and answer.json()['detail'][0]['type'] == 'model_attributes_type'


def test_no_accept_header(server):
    """Facts 1.4, 7.17."""
    connection = server.connect()
    connection.putrequest('POST', '/extract', skip_accept_encoding=True)
    connection.putheader('content-length', '13')
    connection.endheaders(b'{"images":{}}')
    assert connection.getresponse().status == 200
    connection.close()


def test_unknown_fields_are_ignored(server):
    """Fact 1.2."""
    assert server.extract({'images': {}, 'max_size': [640, 640], 'api_ver': 1}).status == 200


# ---------------------------------------------------------------- msgpack

def packed(server, body, kind='application/msgpack', accept='application/x-msgpack'):
    answer = server.ask('POST', '/extract', msgpack.packb(body), {'content-type': kind, 'accept': accept})
    assert answer.status == 200 and answer.type == 'application/x-msgpack', (answer.status, answer.body[:300])
    return msgpack.unpackb(answer.body), answer.body


def test_msgpack_is_json_in_other_words(server, photo):
    """Fact 1.4."""
    fields = {'return_landmarks': True, 'return_face_data': True}
    wanted = server.extract({'images': {'urls': ['one.jpg']}, **fields}).json()
    got, _ = packed(server, {'images': {'data': [photo.read_bytes()]}, **fields})
    assert list(got) == list(wanted)
    [face], [known] = got['data'][0]['faces'], wanted['data'][0]['faces']
    assert list(face) == list(known) and face['facedata'] == known['facedata'] and isinstance(face['facedata'], str)
    assert {k: v for k, v in face.items() if k != 'scale'} == {k: v for k, v in known.items() if k != 'scale'}
    assert face['scale'] == float(np.float32(known['scale']))


def test_msgpack_has_no_doubles(server):
    """Fact 1.4."""
    _, raw = packed(server, {'images': {'urls': []}, 'verbose_timings': True})
    assert len(re.findall(rb'_ms\xca', raw)) == 3 and b'_ms\xcb' not in raw


def test_msgpack_texts_are_no_pictures(server, photo):
    """Fact 1.2."""
    got, _ = packed(server, {'images': {'data': [encoded(photo), photo.read_bytes()]}})
    assert [item['status'] for item in got['data']] == ['failed', 'ok']


@pytest.mark.parametrize('kind', ['application/msgpack', 'application/msgpack; q=1', 'application/x-msgpack'])
def test_msgpack_content_types(server, kind):
    """Facts 1.2, 7.17."""
    assert packed(server, {'images': {}}, kind=kind)[0]['data'] == []


@pytest.mark.parametrize('body', [b'\xc1', b'\x81', msgpack.packb({'images': {}}) + b'\x00', b'\xdd\xff\xff\xff\xff', b'\x91' * 500])
def test_malformed_msgpack(server, body):
    """Facts 1.2, 1.7."""
    answer = server.ask('POST', '/extract', body, {'content-type': 'application/msgpack'})
    assert answer.status == 400 and answer.json() == {'detail': 'There was an error parsing the body'} and answer.type == 'application/json'


def test_who_gets_msgpack(server):
    """Facts 1.4, 7.17."""
    for fields, accept, kind in [({'msgpack': 'True'}, '*/*', 'application/x-msgpack'), ({}, 'application/x-msgpack', 'application/x-msgpack'),
                                 ({}, 'text/html, application/x-msgpack;q=0.5', 'application/x-msgpack'), ({}, 'application/json', 'application/json')]:
        assert server.extract({'images': {}, **fields}, accept=accept).type == kind


# ---------------------------------------------------------------- embed_only

def test_embed_only(server, crop):
    """Fact 1.6."""
    answer = server.extract({'images': {'data': [base64.b64encode(crop).decode()] * 2}, 'embed_only': True, 'verbose_timings': True,
                             'return_face_data': True, 'return_landmarks': True})
    body = answer.json()
    assert list(body) == ['took_ms', 'data', 'status'] and body['status'] == 'ok'
    for item in body['data']:
        assert list(item) == ['status', 'took_ms', 'faces'] and item['took_ms'] == 0 and '"took_ms":0,' in answer.body.decode()
        [face] = item['faces']
        assert list(face) == [*GROUP_P, 'bbox', 'size', 'prob', 'status']
        assert (face['bbox'], face['size'], face['prob'], face['status']) == ([0, 0, 112, 112], 112, 1.0, 'ok')
    assert body['data'][0] == body['data'][1]


def test_embed_only_agrees_with_detection(server):
    """Facts 1.6, 2.6."""
    [face] = faces_of(server, 'one.jpg')
    [item] = server.extract({'images': {'urls': ['crop.png']}, 'embed_only': True}).json()['data']
    assert item['faces'][0]['vec'] == face['vec'] and item['faces'][0]['norm'] == face['norm']


def test_embed_only_of_what_is_no_picture(server):
    """Facts 1.6, 7.16."""
    body = server.extract({'images': {'urls': ['text.jpg', 'crop.png']}, 'embed_only': True}).json()
    assert body['status'] == 'ok' and [item['status'] for item in body['data']] == ['ok', 'ok']
    [face] = body['data'][0]['faces']
    assert list(face) == ['status', 'traceback'] and face['status'] == 'failed'
    assert body['data'][1]['faces'][0]['status'] == 'ok'


def test_embed_only_of_another_size(server):
    """Facts 1.6, 7.16."""
    answer = server.extract({'images': {'urls': ['one.jpg', 'crop.png']}, 'embed_only': True})
    body = answer.json()
    assert answer.status == 200 and body['status'] == 'failed' and '112' in body['traceback']
    assert len(body['data']) == 2 and body['data'][1]['faces'][0]['status'] == 'ok'


def test_nothing_to_embed(server):
    """Fact 1.6."""
    assert server.extract({'images': {}, 'embed_only': True}).json()['data'] == []


# ---------------------------------------------------------------- independent truth

def test_golden(server, data):
    """Facts 2.4, 2.6, 2.7, 3.1, 7.1: Detections and embeddings of the same networks under onnxruntime, with OpenCV and numpy around them."""
    known = json.loads((data / 'golden/detections.json').read_text())
    stored = np.load(data / 'golden/embeddings.npz')
    raw = dict(zip(stored['key'].tolist(), stored['embedding']))
    checked = 0
    for name, by_detector in known.items():
        wanted = by_detector['scrfd_2.5g_bnkps']
        path = data / name if (data / name).exists() else data / 'images' / name
        if wanted['margin'] or not path.exists() or checked > 150:
            continue
        [item] = server.extract({'images': {'data': [encoded(path)]}, 'threshold': 0.5}).json()['data']
        found = [face for face in item['faces'] if face['prob'] > 0.51]
        expected = [face for face in wanted['faces'] if face['score'] > 0.51]
        assert len(found) == len(expected) or abs(len(found) - len(expected)) <= 1, name
        for i, face in enumerate(wanted['faces']):
            match = min(item['faces'], key=lambda f: sum(abs(a - b) for a, b in zip(f['bbox'], face['bbox'])), default=None)
            if face['score'] < 0.51 or match is None:
                continue
            assert max(abs(a - b) for a, b in zip(match['bbox'], face['bbox'])) < 2 and abs(match['prob'] - face['score']) < 0.01, name
            embedding = raw.get(f'{name}#{i}')
            if embedding is not None:
                assert np.dot(embedding, match['vec']) / np.linalg.norm(embedding) > 0.99, (name, i)
                checked += 1
    assert checked > 20
