# SPDX-License-Identifier: Apache-2.0
"""Photos that stay on a GPU, which tests/nvidia pretends: the same faces, told what went over the bus; devices and decoders that fail."""
import json
import re

import numpy as np
import pytest

SIZE = 320


@pytest.fixture(scope='module')
def small(root):
    return ['--det', root / 'models/starter/starter_det.onnx', '--rec', root / 'models/starter/starter_rec.onnx', '--input-size',
            f'{SIZE}x{SIZE}', '--backend', 'cuda']


@pytest.fixture(scope='module')
def group(root):
    """A baseline JPEG of many faces."""
    return root / 'examples/group.jpg'


@pytest.fixture(scope='module')
def extract(vultus, gpu, small):
    """extract(PHOTO..., resident=False, ...): entries of the photos; what --verbose tells: photos, bytes there, bytes back; warnings."""
    def run(*photos, resident=True, options=(), **environment):
        environment = gpu(module='resident', **{'VULTUS_RESIDENT': 'on' if resident else 'off', **environment})
        done = vultus('extract', *photos, *small, '--json', '--verbose', *options, environment=environment)
        [told] = [line for line in done.err.splitlines() if 'stayed on a GPU' in line]
        warnings = [line for line in done.err.splitlines() if 'warn' in line]
        return json.loads(done.out), [int(n) for n in re.findall(r'\d+', told)], warnings
    return run


def alike(photos, others):
    for photo, other in zip(photos, others, strict=True):
        assert len(photo['faces']) == len(other['faces']) > 0
        for a, b in zip(photo['faces'], other['faces']):
            assert np.abs(np.subtract(a['bbox'], b['bbox'])).max() <= 1e-3 and abs(a['score'] - b['score']) < 1e-6
            assert np.dot(a['embedding'], b['embedding']) > 0.9999 and abs(a['norm'] / b['norm'] - 1) < 1e-3
    return True


@pytest.fixture(scope='module')
def to_and_fro(extract, group):
    return extract(group, resident=False)[0]


def test_the_same_faces(extract, group, to_and_fro):
    photos, (stayed, there, back), warnings = extract(group)
    assert alike(photos, to_and_fro) and warnings == []
    faces, dimension = len(photos[0]['faces']), len(photos[0]['faces'][0]['embedding'])
    assert stayed == 1 and there == group.stat().st_size and back == faces * (60 + 4 * dimension)


@pytest.mark.parametrize('environment', [{'VULTUS_USE_NVJPEG': 'off'}, {'VULTUS_FAKE_MODULE': 'no-jpeg'}])
def test_decoded_by_processors(extract, group, to_and_fro, environment):
    """Then pixels go there."""
    photos, (stayed, there, _), _ = extract(group, **environment)
    assert alike(photos, to_and_fro) and stayed == 1
    assert there == 3 * photos[0]['width'] * photos[0]['height']


def test_other_formats(extract, group, tmp_path):
    cv2 = pytest.importorskip('cv2')
    png = tmp_path / 'group.png'
    cv2.imwrite(str(png), cv2.imread(str(group)))
    photos, (stayed, there, _), _ = extract(png)
    assert stayed == 1 and there == 3 * photos[0]['width'] * photos[0]['height']
    assert alike(photos, extract(png, resident=False)[0])


def test_a_device_that_fails(extract, group, to_and_fro):
    """The second photo fails there: it and those that follow are done without."""
    photos, (stayed, _, _), warnings = extract(group, group, group, VULTUS_FAKE_MODULE='photos')
    assert alike(photos, 3 * to_and_fro) and stayed == 1
    assert warnings == ['vultus: warn: pictures do not stay on the device any more: the GPU lost the photo']


def test_what_processors_make(extract, group, tmp_path):
    """Crops and attributes are made by processors, of pictures that do not go there."""
    for options in (['--crops', tmp_path], ['--attributes', 'quality']):
        photos, told, _ = extract(group, options=options)
        assert told == [0, 0, 0] and len(photos[0]['faces']) > 0


def test_wrong_switch(vultus, group, gpu, small):
    for name in ('VULTUS_RESIDENT', 'VULTUS_USE_NVJPEG'):
        done = vultus('extract', group, *small, code=1, environment=gpu(module='resident', **{name: 'maybe'}))
        assert f'{name} is "maybe"; it takes on or off' in done.err


def test_stages_by_the_device(vultus, group, gpu, small):
    done = vultus('bench', group, *small, '--seconds', '0.01', '--json', environment=gpu(module='resident'))
    [photo] = json.loads(done.out)['photos']
    stages = photo['stages_ms']
    # What the pretended device says of its clock.
    assert {name: stages[name] for name in ('letterbox', 'detect', 'decode', 'align', 'embed')} == {
        'letterbox': 2, 'detect': 3, 'decode': 4, 'align': 5, 'embed': 6}
