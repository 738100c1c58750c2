# SPDX-License-Identifier: Apache-2.0
"""The programs of examples/ do what they say."""
import re
import subprocess

import pytest


@pytest.fixture
def example(build, vultus):
    def call(name, *arguments, code=0):
        path = build / 'examples' / name
        assert path.exists(), f'{path} is not built'
        done = subprocess.run([path, *map(str, arguments)], capture_output=True, text=True, env=vultus.environment, timeout=600)
        assert done.returncode == code, done.stdout + done.stderr
        return done
    return call


def test_analyze_photo(example, models, photo):
    text = example('analyze_photo', models[1], models[3], photo).stdout
    assert re.search(r'\d+ x \d+ pixels, 1 faces', text) and re.search(r'of \d{3,} values', text)


def test_embed_crops(example, vultus, models, data, tmp_path):
    photos = [data / 'people/amy/amy1.png', data / 'people/amy/amy2.png']
    vultus('extract', *models, *photos, '--crops', tmp_path)
    text = example('embed_crops', models[3], tmp_path / 'amy1_0.jpg', tmp_path / 'amy2_0.jpg').stdout
    assert float(re.search(r'cosine (-?[\d.]+)', text).group(1)) > 0.3


def test_run_network(example, tiny):
    text = example('run_network', tiny).stdout
    assert 'input x: float32 2 x 3 x 640 x 640' in text and 'output y: float32 2 x 5' in text


def test_many_threads(example, models, root):
    assert '4 threads found the same' in example('many_threads', models[1], models[3], root / 'examples/group.jpg').stdout


@pytest.mark.parametrize('name, count', [('analyze_photo', 3), ('embed_crops', 3), ('run_network', 1), ('many_threads', 3)])
def test_failures(example, name, count):
    assert example(name, code=2).stderr.startswith('usage: ')
    assert 'absent' in example(name, *['absent'] * count, code=1).stderr
