# SPDX-License-Identifier: Apache-2.0
"""The house rules: include directions, exported symbols, headers alone, formatting, and what no file may contain."""
import re
import shutil
import subprocess
import sys

import pytest

MOST_FUNCTION_LINES = 80
BINARY = {'.png', '.jpg', '.npy', '.onnx', '.plan', '.bin'}


@pytest.fixture(scope='module')
def files(root):
    listed = subprocess.run(['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'], cwd=root,
                            check=True, capture_output=True).stdout.decode()
    return [root / name for name in listed.split('\0') if name and (root / name).is_file()]


@pytest.fixture(scope='module')
def texts(root, files):
    """{name: content} of what people wrote; inputs of fuzz targets are bytes of any kind."""
    return {path.relative_to(root).as_posix(): path.read_text() for path in files
            if path.suffix not in BINARY and 'corpus' not in path.parts and 'regressions' not in path.parts}


def only_c(texts):
    return {name: text for name, text in texts.items() if name.endswith(('.c', '.h'))}


def test_includes_follow_the_table(root):
    done = subprocess.run([sys.executable, root / 'scripts/check_includes.py', root], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_include_check_notices(tmp_path, root):
    """A checker that cannot fail proves nothing: plant violations in a copy."""
    for part in ('docs/architecture.md', 'src/exec/session.h', 'src/tensor/tensor.h'):
        (tmp_path / part).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / part, tmp_path / part)
    for planted in ('#include "graph/graph.h"', '# include "onnx/onnx.h"', '#include "vultus/vultus.h"'):
        (tmp_path / 'src/exec/bad.c').write_text(planted + '\n')
        done = subprocess.run([sys.executable, root / 'scripts/check_includes.py', tmp_path], capture_output=True, text=True)
        assert done.returncode == 1 and 'src/exec/bad.c' in done.stdout, done.stdout


def test_exported_symbols(build):
    library = next(iter(sorted(build.glob('src/libvultus.so'))), None)
    assert library, f'{build} has no libvultus.so'
    listed = subprocess.run(['nm', '-D', '--defined-only', library], check=True, capture_output=True, text=True).stdout
    names = [line.split()[-1] for line in listed.splitlines()]
    assert 'vultus_version' in names
    assert [name for name in names if not name.startswith('vultus_')] == []


def public_functions(root):
    text = (root / 'include/vultus/vultus.h').read_text()
    return sorted(set(re.findall(r'VULTUS_API[^;(]*?\b(vultus_\w+)\(', text)))


def test_every_public_function_is_exported(root, build):
    listed = subprocess.run(['nm', '-D', '--defined-only', build / 'src/libvultus.so'], check=True, capture_output=True,
                            text=True).stdout.split()
    names = public_functions(root)
    assert len(names) > 30
    assert [name for name in names if name not in listed] == []


@pytest.mark.parametrize('language', ['c11', 'c++11'])
def test_public_headers_alone(root, language):
    compiler = ['g++', '-x', 'c++'] if '++' in language else ['gcc', '-x', 'c']
    headers = sorted((root / 'include/vultus').glob('*.h'))
    assert headers
    for header in headers:
        done = subprocess.run([*compiler, f'-std={language}', '-pedantic', '-Wall', '-Wextra', '-Werror', '-fsyntax-only',
                               f'-I{root}/include', '-'], input=f'#include "vultus/{header.name}"\nextern int unit;\n', capture_output=True,
                              text=True)
        assert done.returncode == 0, done.stderr


def test_private_headers_alone(root, build):
    headers = sorted((root / 'src').glob('**/*.h'))
    assert headers
    failures = []
    for header in headers:
        name = header.relative_to(root / 'src').as_posix()
        done = subprocess.run(['gcc', '-x', 'c', '-std=gnu11', '-D_GNU_SOURCE', '-Wall', '-Wextra', '-fsyntax-only',
                               f'-I{root}/include', f'-I{root}/src', f'-I{build}', '-'], input=f'#include "{name}"\n',
                              capture_output=True, text=True)
        if done.returncode or 'warning' in done.stderr:
            failures.append(name + ': ' + done.stderr)
    assert failures == []


def test_clang_format(root, texts):
    if not shutil.which('clang-format'):
        pytest.skip('clang-format is not installed')
    done = subprocess.run(['clang-format', '--dry-run', '-Werror', *only_c(texts)], cwd=root, capture_output=True, text=True)
    wrong = sorted({line.split(':')[0] for line in done.stderr.splitlines() if 'error:' in line})
    assert wrong == []


def test_blanks_and_tabs(texts):
    problems = []
    for name, text in texts.items():
        if name == 'LICENSE' or not text:
            continue
        if re.search(r'[ \t]+$', text, re.M):
            problems.append(f'{name}: trailing blanks')
        if '\t' in text and name != 'Makefile':
            problems.append(f'{name}: tabs')
        if not text.endswith('\n') or '\r' in text:
            problems.append(f'{name}: line ends')
    assert problems == []


def test_licence_lines(texts):
    suffixes = ('.c', '.h', '.inc', '.py', '.sh', 'meson.build', '.yaml')
    assert [name for name, text in texts.items()
            if name.endswith(suffixes) and 'SPDX-License-Identifier: Apache-2.0' not in text[:200]] == []


def test_no_machine_paths(texts):
    """Files speak of the repository, the environment and the system, not of the machine they were written on."""
    path = re.compile(r'(?<![\w.$}/-])/(?:work|home|root|mnt|tmp/w|tmp/wt)/')
    found = [f'{name}: {match.group()}' for name, text in texts.items() if name != 'tests/style/test_style.py'
             for match in [path.search(text)] if match]
    assert found == []


def test_functions_are_short(texts):
    """Counts lines from the one that ends a signature with "{" in column-0 context to the closing "}" in column 0."""
    problems = []
    for name, text in only_c(texts).items():
        start = None
        for number, line in enumerate(text.splitlines(), 1):
            if start is None and line.endswith(') {') and not line.startswith((' ' * 8, '#', '}')):
                start = number
            elif line == '}' and start is not None:
                if number - start + 1 > MOST_FUNCTION_LINES:
                    problems.append(f'{name}:{start}: {number - start + 1} lines')
                start = None
            elif line and line[0] not in ' #}/' and not line.endswith(') {') and line.endswith('{'):
                start = None
    assert problems == []


def test_version_is_stated_once(root, build):
    program = subprocess.run([build / 'tools/vultus', '--version'], capture_output=True, text=True, check=True).stdout.split()[1]
    script = subprocess.run([root / 'scripts/version.sh'], capture_output=True, text=True, check=True).stdout.strip()
    assert program == script
    assert f'[{script}]' in (root / 'CHANGELOG.md').read_text()
