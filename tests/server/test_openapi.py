# SPDX-License-Identifier: Apache-2.0
"""The server against its own description: requests that it allows are taken, and answers are what it says."""
import json
import pathlib

import pytest

hypothesis, schemathesis, jsonschema_rs = map(pytest.importorskip, ('hypothesis', 'schemathesis', 'jsonschema_rs'))
msgpack = pytest.importorskip('msgpack')
from hypothesis.configuration import set_hypothesis_home_dir  # noqa: E402
from schemathesis.checks import not_a_server_error  # noqa: E402
from schemathesis.specs.openapi.checks import positive_data_acceptance  # noqa: E402
from test_http import form  # noqa: E402

DOCUMENT = json.loads((pathlib.Path(__file__).parents[2] / 'server/pages/openapi.json').read_text())
OPERATIONS = [(path, method) for path, methods in DOCUMENT['paths'].items() for method in methods]
EXAMPLES = {'/extract': 20, '/v1/extract': 10, '/v1/embed': 20, '/v1/match': 2}


@schemathesis.serializer('application/msgpack')
def pack(_, value):
    return msgpack.packb(pack_value(value))


def pack_value(value):
    """Whole numbers of any size, as JSON has them, are no msgpack."""
    if isinstance(value, dict):
        return {pack_value(name): pack_value(item) for name, item in value.items()}
    if isinstance(value, list):
        return [pack_value(item) for item in value]
    if isinstance(value, int) and not -2**63 <= value < 2**64:
        return float(value)
    return value


@schemathesis.deserializer('application/x-msgpack')
def unpack(_, response):
    return msgpack.unpackb(response.content)


@pytest.fixture(scope='module')
def asked(start, build):
    set_hypothesis_home_dir(build / 'hypothesis')  # not beside the sources
    with start('--max-faces', 2, '--fetch-tries', 1, '--fetch-timeout', 1, '--api-keys', '') as running:
        yield running


def test_the_document_is_served(asked):
    assert asked.get('/openapi.json').json() == DOCUMENT


@pytest.mark.parametrize('path, method', OPERATIONS)
def test_operation(asked, path, method):
    schema = schemathesis.openapi.from_dict(DOCUMENT)
    excluded = []
    if 'draw' in path:  # without a picture to draw into it answers 500, as InsightFace-REST
        excluded += [not_a_server_error]
    if 'match' in path or 'draw' in path or 'models' in path:  # what the picture or the name stands for matters too
        excluded += [positive_data_acceptance]

    @hypothesis.settings(max_examples=EXAMPLES.get(path, 5), derandomize=True, database=None, deadline=None,
                         suppress_health_check=list(hypothesis.HealthCheck), phases=[hypothesis.Phase.generate])
    @hypothesis.given(case=schema[path][method].as_strategy())
    def ask(case):
        answer = case.call(base_url=f'http://127.0.0.1:{asked.port}', timeout=300)
        if b'NUL byte in object key' not in answer.content:  # the one thing in JSON that is not read
            case.validate_response(answer, excluded_checks=excluded)
    ask()


# ---------------------------------------------------------------- answers with faces, which random requests hardly have

def check(answer, path, method='post'):
    """The answer is as its route, status and type say; returns it."""
    described = DOCUMENT['paths'][path][method]['responses'][str(answer.status)]['content'][answer.type]['schema']
    validator = jsonschema_rs.validator_for({**described, 'components': DOCUMENT['components']})
    values = [json.loads(line) for line in answer.body.splitlines()] if answer.type == 'application/x-ndjson' else [
        msgpack.unpackb(answer.body) if answer.type == 'application/x-msgpack' else answer.json()]
    for value in values:
        validator.validate(value)
    return values[0]


@pytest.mark.parametrize('kind', ['*/*', 'application/x-msgpack', 'application/x-ndjson'])
def test_answers(server, kind):
    everything = {'return_landmarks': True, 'return_face_data': True, 'extract_ga': True, 'verbose_timings': True, 'attributes': 'quality,mask'}
    for fields in ({}, everything, {'extract_embedding': False}, {'min_face_size': 50}):
        for path in ('/extract', '/v1/extract'):
            check(server.extract({'images': {'urls': ['group.jpg', 'text.jpg', 'none.jpg']}, 'limit_faces': 3, **fields}, path=path, accept=kind), path)
    for names in (['crop.png', 'text.jpg'], ['one.jpg', 'crop.png'], []):
        body = {'images': {'urls': names}}
        check(server.extract({**body, 'embed_only': True}, accept=kind), '/extract')
        if names or 'ndjson' not in kind:
            check(server.extract(body, path='/v1/embed', accept=kind), '/v1/embed')


def test_other_answers(server, photo):
    for path in ('/info', '/health', '/v1/live', '/v1/ready', '/v1/status'):
        check(server.get(path), path, 'get')
    body, headers = form(('a', photo.read_bytes(), 'a'), ('b', photo.read_bytes(), 'b'))
    for kind in ('*/*', 'application/x-msgpack'):
        assert check(server.ask('POST', '/v1/match', body, {**headers, 'accept': kind}), '/v1/match')['verdict'] == 'same'
    for body in ('{}', '', '{"images": 1, "threshold": []}', 'nonsense', '[' * 100):
        check(server.extract(body), '/extract')
