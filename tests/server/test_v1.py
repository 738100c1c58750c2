# SPDX-License-Identifier: Apache-2.0
"""Routes that InsightFace-REST does not have: uploads and comparing two faces."""
import json

import pytest
from test_http import form

np = pytest.importorskip('numpy')


def upload(server, body, query='', kind='image/jpeg'):
    return server.ask('POST', '/v1/extract' + query, body, {'content-type': kind})


def test_the_picture_as_the_body(server, photo):
    wanted = server.extract({'images': {'urls': ['one.jpg']}, 'return_landmarks': True}).json()['data'][0]['faces']
    for answer in (upload(server, photo.read_bytes(), '?return_landmarks=1'),
                   server.ask('POST', '/v1/extract', *form(('file', photo.read_bytes(), 'x.jpg'), ('return_landmarks', 'yes', None))),
                   server.extract({'images': {'urls': ['one.jpg']}, 'return_landmarks': True}, path='/v1/extract')):
        assert answer.status == 200 and answer.json()['data'][0]['faces'] == wanted


def test_query(server, group):
    picture = group.read_bytes()
    assert len(upload(server, picture, '?limit_faces=2&extract_embedding=false').json()['data'][0]['faces']) == 2
    answer = upload(server, picture, '?limit_faces=many')
    assert answer.status == 422 and answer.json()['detail'][0]['loc'] == ['body', 'limit_faces']


def test_robust_is_on_unless_turned_off(server, vultus, models, other):
    [record] = json.loads(vultus('extract', *models, '--no-embeddings', '--json', other).out)
    found = upload(server, other.read_bytes(), '?extract_embedding=0').json()['data'][0]['faces']
    assert [f['bbox'] for f in found] == [[int(v) for v in f['bbox']] for f in record['faces']]
    [record] = json.loads(vultus('extract', *models, '--no-embeddings', '--robust', 'off', '--json', other).out)
    assert len(upload(server, other.read_bytes(), '?robust=off').json()['data'][0]['faces']) == len(record['faces'])
    assert len(server.extract({'images': {'urls': ['two.png']}}).json()['data'][0]['faces']) == len(record['faces'])


def test_what_is_no_picture(server):
    for body in (b'', b'text'):
        [item] = upload(server, body).json()['data']
        assert item['status'] == 'failed' and item['faces'] == []


def test_match(server, vultus, models, photo, other):
    for a, b in ((photo, photo), (photo, other)):
        answer = server.ask('POST', '/v1/match', *form(('a', a.read_bytes(), 'a'), ('b', b.read_bytes(), 'b')))
        assert answer.status == 200
        verdict, known = answer.json(), json.loads(vultus('match', *models, '--json', a, b).out)
        assert list(verdict) == ['cosine', 'threshold', 'verdict', 'a', 'b']
        assert verdict['cosine'] == pytest.approx(known['cosine'], abs=1e-6) and np.float32(verdict['threshold']) == np.float32(known['threshold'])
        assert verdict['verdict'] == ('same' if verdict['cosine'] >= verdict['threshold'] else 'different')


def test_match_problems(server, photo):
    answer = server.ask('POST', '/v1/match', *form(('a', photo.read_bytes(), 'a')))
    assert answer.status == 422 and answer.json()['detail'][0]['loc'] == ['body', 'b']
    answer = server.ask('POST', '/v1/match', *form(('a', photo.read_bytes(), 'a'), ('b', 'text', 'b')))
    assert answer.status == 422 and answer.json()['detail'].startswith('picture b: ')
