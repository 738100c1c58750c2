# SPDX-License-Identifier: Apache-2.0
"""Pictures that stay on a GPU (tests/nvidia pretends one) while the server answers."""
import concurrent.futures

import pytest
from conftest import alike


@pytest.fixture(scope='module')
def small(root, tmp_path_factory):
    return ['--det', root / 'models/starter/starter_det.onnx', '--rec', root / 'models/starter/starter_rec.onnx', '--input-size', '320x320',
            '--max-batch', '2', '--plans', tmp_path_factory.mktemp('plans')]


@pytest.fixture(scope='module')
def picture(root):
    return (root / 'examples/group.jpg').read_bytes()


def ask(server, picture):
    answer = server.ask('POST', '/v1/extract', picture, {'content-type': 'image/jpeg'})
    assert answer.status == 200, answer.body
    return answer.json()['data'][0]


def went(server):
    return server.metric('vultus_resident_pictures_total'), server.metric('vultus_bus_bytes_total', direction='to_device')


@pytest.fixture(scope='module')
def to_and_fro(start, gpu, small, picture):
    with start(*small, environment=gpu(module='resident', VULTUS_RESIDENT='off')) as server:
        faces = ask(server, picture)['faces']
        assert went(server) == (0, 0)
        return faces


def test_many_at_once(start, gpu, small, picture, to_and_fro):
    with start(*small, environment=gpu(module='resident')) as server:
        before = went(server)
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(lambda _: ask(server, picture), range(24)))
        assert all(alike(answer['faces'], to_and_fro) for answer in answers)
        assert tuple(b - a for a, b in zip(before, went(server))) == (24, 24 * len(picture))
        assert ask(server, b'no picture')['status'] == 'failed'


def test_without_nvjpeg(start, gpu, small, picture, to_and_fro):
    with start(*small, '--use-nvjpeg', 'off', environment=gpu(module='resident')) as server:
        before = went(server)
        assert alike(ask(server, picture)['faces'], to_and_fro)
        pictures, there = (b - a for a, b in zip(before, went(server)))
        assert pictures == 1 and there > 10 * len(picture)


def test_a_device_that_fails(start, gpu, small, picture, to_and_fro):
    with start(*small, environment=gpu(module='resident', VULTUS_FAKE_MODULE='photos')) as server:
        for _ in range(3):
            assert alike(ask(server, picture)['faces'], to_and_fro)
        assert went(server)[0] == 1
        assert any('do not stay on the device any more: the GPU lost the photo' in line for line in server.messages)
