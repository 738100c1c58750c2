# SPDX-License-Identifier: Apache-2.0
"""What `meson install` leaves is enough to write a program against: README's example is built with it and run."""
import os
import re
import subprocess

import pytest


@pytest.fixture(scope='module')
def installed(build, tmp_path_factory):
    folder = tmp_path_factory.mktemp('installed')
    subprocess.run(['meson', 'install', '-C', build, '--no-rebuild', '--quiet', '--destdir', folder], check=True,
                   capture_output=True)
    return folder


def find(folder, name):
    found = sorted(folder.glob(f'**/{name}'))
    assert found, f'{name} was not installed'
    return found[0]


def test_files(installed):
    for name in ('vultus', 'vultus.h', 'status.h', 'version.h', 'libvultus.so', 'vultus.pc'):
        find(installed, name)
    assert not list(installed.glob('**/*.a')), 'static parts are no part of the interface'


def test_soname_follows_the_header(root, installed):
    major = re.search(r'VERSION_MAJOR (\d+)', (root / 'include/vultus/version.h').read_text()).group(1)
    dynamic = subprocess.run(['readelf', '-d', find(installed, 'libvultus.so')], check=True, capture_output=True, text=True).stdout
    assert re.search(r'soname: \[(.*)\]', dynamic).group(1) == f'libvultus.so.{major}'


def test_example_of_the_readme(root, installed, tmp_path):
    source = re.search(r'```c\n(.*?)```', (root / 'README.md').read_text(), re.S).group(1)
    (tmp_path / 'program.c').write_text(source)
    prefix = find(installed, 'include').parent
    package = find(installed, 'vultus.pc')
    flags = subprocess.run(['pkg-config', f'--define-variable=prefix={prefix}', '--cflags', '--libs', package], check=True,
                           capture_output=True, text=True).stdout.split()
    subprocess.run(['gcc', '-Wall', '-Wextra', '-Werror', tmp_path / 'program.c', *flags, '-o', tmp_path / 'program'], check=True)
    environment = {**os.environ, 'LD_LIBRARY_PATH': str(find(installed, 'libvultus.so').parent)}
    done = subprocess.run([tmp_path / 'program'], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and 'scrfd.onnx' in done.stderr
