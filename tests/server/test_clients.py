# SPDX-License-Identifier: Apache-2.0
"""InsightFace-REST's clients, rebuilt from their description: what they send, and what they read of the answers."""
import base64
import concurrent.futures
import json
import random

import pytest

msgpack = pytest.importorskip('msgpack')


class Client:
    """IFRClient: msgpack by default, paths by default, HTTP status never looked at."""

    def __init__(self, server, nothing={}):
        self.server, self.nothing = server, nothing

    def server_info(self):
        models = self.server.get('/info').json()['models']
        return {key: models[key] for key in ('inference_backend', 'det_name', 'rec_name', 'rec_batch_size', 'det_batch_size', 'max_size')}

    def extract(self, data, mode='paths', use_msgpack=True, **options):
        if mode == 'data' and not use_msgpack:
            data = [base64.b64encode(item).decode() if isinstance(item, bytes) else item for item in data]
        fields = {'threshold': 0.6, 'extract_ga': False, 'extract_embedding': True, 'return_face_data': False, 'return_landmarks': False,
                  'embed_only': False, 'limit_faces': 0, 'min_face_size': 0, 'msgpack': use_msgpack, 'img_req_headers': self.nothing, **options}
        body = {'images': {'urls' if mode == 'paths' else 'data': data}, **fields}
        if use_msgpack:
            answer = self.server.ask('POST', '/extract', msgpack.packb(body),
                                     {'content-type': 'application/msgpack', 'accept': 'application/x-msgpack'})
        else:
            answer = self.server.extract(body)
        content = msgpack.unpackb(answer.body) if answer.type == 'application/x-msgpack' else json.loads(answer.body)
        for item in content['data']:
            for face in item.get('faces', []):
                if isinstance(face.get('facedata'), str):
                    face['facedata'] = base64.b64decode(face['facedata'])
        return content


@pytest.mark.parametrize('use_msgpack', [True, False])
@pytest.mark.parametrize('nothing', [{}, None])
def test_client(server, photo, use_msgpack, nothing):
    """Fact 6."""
    client = Client(server, nothing)
    assert client.server_info()['max_size'] == [640, 640]
    by_path = client.extract(['one.jpg'], use_msgpack=use_msgpack, return_face_data=True, return_landmarks=True)
    by_data = client.extract([photo.read_bytes()], 'data', use_msgpack, return_face_data=True, return_landmarks=True)
    assert by_path['data'][0]['faces'] == by_data['data'][0]['faces']
    [face] = by_data['data'][0]['faces']
    assert face['facedata'][:2] == b'\xff\xd8' and len(face['vec']) >= 128
    assert {'num_det', 'prob', 'size', 'bbox', 'landmarks', 'norm', 'vec', 'facedata'} <= set(face)


def test_benchmark(server):
    """Facts 1.2, 6: Batches of 64 urls; `msgpack` travels as the text "True"; crops with embed_only."""
    client = Client(server)
    names = ['crop.png'] * 64
    content = client.extract(names, use_msgpack='True', embed_only=True)
    assert len(content['data']) == 64 and content['status'] == 'ok'
    assert len({tuple(item['faces'][0]['vec']) for item in content['data']}) == 1


def test_process_dir(server, photo, other):
    """Fact 6: Batches of files from ten clients at once, and one where nothing could be read."""
    files = [photo.read_bytes(), other.read_bytes(), b'nothing']
    def one(n):
        return Client(server, None).extract(files, 'data')['data']
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(one, range(10)))
    assert all([item['status'] for item in data] == ['ok', 'ok', 'failed'] for data in answers)
    assert all([item['faces'] for item in data] == [item['faces'] for item in answers[0]] for data in answers)
    assert Client(server).extract([], 'data')['data'] == []


def test_errors_are_json_that_clients_can_read(server):
    """Facts 1.7, 6."""
    answer = server.ask('POST', '/extract', msgpack.packb({'images': 1}), {'content-type': 'application/msgpack', 'accept': 'application/x-msgpack'})
    assert answer.status == 422 and answer.type == 'application/json' and answer.json()['detail']


def test_random_bodies(server, photo):
    """Whatever is done to a body, there is an answer, and the server lives on."""
    random.seed(5)
    picture = photo.read_bytes()
    bodies = {'application/json': json.dumps({'images': {'data': [base64.b64encode(picture).decode()[:400]]}, 'threshold': 0.5}).encode(),
              'application/msgpack': msgpack.packb({'images': {'data': [picture[:400]]}, 'threshold': 0.5, 'limit_faces': 3}),
              'multipart/form-data; boundary=b': b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + picture[:400] + b'\r\n--b--\r\n'}
    for kind, body in bodies.items():
        path = '/multipart/draw_detections' if 'form' in kind else '/extract'
        for _ in range(150):
            damaged = bytearray(body)
            for _ in range(random.randint(1, 6)):
                at = random.randrange(len(damaged))
                change = random.random()
                if change < 0.5:
                    damaged[at] = random.choice([0, 10, 34, 44, 58, 91, 92, 123, 0xc1, 0xdd, 0xff, random.randrange(256)])
                elif change < 0.8:
                    del damaged[at:at + random.randint(1, 20)]
                else:
                    damaged[at:at] = damaged[at:at + random.randint(1, 20)]
            answer = server.ask('POST', path, bytes(damaged), {'content-type': kind})
            assert answer.status in (200, 400, 413, 422, 500), (answer.status, bytes(damaged))
            if answer.status == 500:
                assert 'form' in kind and answer.json()['detail']
    assert server.get('/v1/live').status == 200
