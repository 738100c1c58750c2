# SPDX-License-Identifier: Apache-2.0
"""Help, version and wrong usage: exit code 2, a sentence, then the usage text."""
import re

import pytest

COMMANDS = ['build', 'info', 'run', 'extract', 'draw', 'match', 'embed', 'bench', 'compare', 'models', 'doctor', 'serve', 'config']


def options_of(text):
    return set(re.findall(r'--[a-z][a-z-]*', text))


def wrong(vultus, *arguments):
    done = vultus(*arguments, code=2)
    lines = done.err.splitlines()
    assert lines[0].startswith('vultus: ') and done.out == ''
    assert any(line.startswith('usage: vultus') for line in lines)
    return lines[0]


def test_version(vultus):
    assert re.fullmatch(r'vultus \d+\.\d+\.\d+\n', vultus('--version').out)


@pytest.mark.parametrize('arguments', [['--help'], ['-h'], ['help']])
def test_help_lists_commands(vultus, arguments):
    text = vultus(*arguments).out
    assert text.startswith('usage: vultus')
    assert [name for name in COMMANDS if not re.search(rf'^  {name} ', text, re.M)] == []
    assert 'VULTUS_PLANS' in text and 'VULTUS_DET' in text


@pytest.mark.parametrize('command', COMMANDS)
def test_help_of_a_command(vultus, root, command):
    text = vultus(command, '--help').out
    assert text == vultus('help', command).out
    assert text.startswith(f'usage: vultus {command} ')
    section = re.search(rf'^## vultus {command}\b.*?(?=^## |\Z)', (root / 'docs/cli.md').read_text(), re.M | re.S)
    assert section, f'docs/cli.md has no section on {command}'
    common = {'--help', '--threads', '--plans', '--models', '--log', '--backends', '--strict', '--devices'}
    assert options_of(text) - common - options_of(section.group()) == set()
    assert all(len(line) <= 120 for line in text.splitlines())


def test_documented_options_exist(vultus, root):
    documented = options_of((root / 'docs/cli.md').read_text())
    real = set().union(*(options_of(vultus(command, '--help').out) for command in COMMANDS)) | {'--version'}
    assert documented - real == set()


def test_no_command(vultus):
    assert 'command is missing' in wrong(vultus)


@pytest.mark.parametrize('typed, meant', [('extrct', 'extract'), ('bild', 'build'), ('docter', 'doctor'), ('matc', 'match')])
def test_mistyped_command(vultus, typed, meant):
    assert f'did you mean {meant}?' in wrong(vultus, typed)


def test_unknown_command_without_likeness(vultus):
    assert 'did you mean' not in wrong(vultus, 'photosynthesis')


@pytest.mark.parametrize('command, typed, meant', [
    ('extract', '--thresold', '--threshold'), ('build', '--maxbatch', '--max-batch'), ('bench', '--bacth', '--batch'),
    ('extract', '--nd-json', '--ndjson')])
def test_mistyped_option(vultus, command, typed, meant):
    sentence = wrong(vultus, command, 'x', typed, '1')
    assert typed in sentence and f'did you mean {meant}?' in sentence


@pytest.mark.parametrize('arguments, part', [
    (['build'], 'MODEL.onnx'),
    (['build', 'a.onnx', 'b.onnx'], 'b.onnx'),
    (['build', 'a.onnx', '--max-batch'], 'needs a value'),
    (['build', 'a.onnx', '--max-batch', '0'], 'whole number'),
    (['build', 'a.onnx', '--max-batch', '-3'], 'whole number'),
    (['build', 'a.onnx', '--max-batch', '2x'], 'whole number'),
    (['build', 'a.onnx', '--max-batch', '99999999999999999999'], 'whole number'),
    (['build', 'a.onnx', '--max-batch='], 'whole number'),
    (['build', 'a.onnx', '--input-size', '640'], 'WIDTHxHEIGHT'),
    (['build', 'a.onnx', '--input-size', '640x'], 'WIDTHxHEIGHT'),
    (['build', 'a.onnx', '--input-size', '0x640'], 'WIDTHxHEIGHT'),
    (['build', 'a.onnx', '--precision', 'fp13'], 'fp32'),
    (['build', 'a.onnx', '--precision', ''], 'fp32'),
    (['build', 'a.onnx', '--backend', 'abacus'], 'cpu'),
    (['build', 'a.onnx', '--force=yes'], 'no value'),
    (['build', 'a.onnx', '--out', ''], 'not empty'),
    (['build', 'a.onnx', '--threads', 'many'], 'whole number'),
    (['build', 'a.onnx', '-x'], '-x'),
    (['info'], 'FILE'),
    (['info', 'a.onnx', '--graph=sideways'], 'before|after'),
    (['run', 'a.onnx', '--input', 'x'], 'NAME=FILE'),
    (['run', 'a.onnx', '--input', '=x.npy'], 'NAME=FILE'),
    (['extract'], 'PHOTO'),
    (['extract', 'a.jpg', '--threshold', 'nan'], 'number from'),
    (['extract', 'a.jpg', '--threshold', '1.5'], 'number from'),
    (['extract', 'a.jpg', '--threshold', '0'], 'number from'),
    (['extract', 'a.jpg', '--robust', 'maybe'], 'auto|off'),
    (['extract', 'a.jpg', '--robust', 'aut'], 'auto|off'),
    (['extract', 'a.jpg', '--attributes', 'mask,beard'], 'several with commas'),
    (['extract', 'a.jpg', '--attributes', 'mask,'], 'several with commas'),
    (['extract', 'a.jpg', '--attributes', ''], 'several with commas'),
    (['extract', 'a.jpg', '--limit-faces', '1.5'], 'whole number'),
    (['draw', 'a.jpg'], '-o OUT.jpg'),
    (['match', 'a.jpg'], 'A.jpg B.jpg'),
    (['match', 'a.jpg', 'b.jpg', 'c.jpg'], 'c.jpg'),
    (['match', 'a.jpg', 'b.jpg', '--threshold', '2'], 'number from'),
    (['bench', 'a.onnx', '--batch', '1,'], 'commas'),
    (['bench', 'a.onnx', '--batch', '1;8'], 'commas'),
    (['bench', 'a.onnx', '--batch', ','.join(['1'] * 65)], 'at most'),
    (['doctor', 'now'], 'now'),
    (['doctor', '--batch', '1'], '--batch'),
    (['run', 'a.onnx', '--log', 'loud'], 'debug'),
    (['serve', '--port', 'many'], 'whole number'),
    (['serve', '--port'], 'needs a value'),
    (['serve', '--prot', '1'], 'did you mean the key port?'),
    (['serve', 'now'], 'now'),
    (['config'], 'show or check'),
])
def test_wrong_usage(vultus, arguments, part):
    assert part in wrong(vultus, *arguments)


def test_forms_of_options(vultus, tmp_path):
    """--name=value, --name value, -x value, -xvalue, and everything after -- is an operand."""
    for form in (['--threads=1'], ['--threads', '1'], ['-t', '1'], ['-t1']):
        assert 'no-such-file' in vultus.fails('info', *form, tmp_path / 'no-such-file')
    assert '--threads' in vultus.fails('info', '--', '--threads')


def test_full_disk_is_noticed(vultus):
    with open('/dev/full', 'wb') as full:
        import subprocess
        done = subprocess.run([vultus.path, '--help'], stdout=full, stderr=subprocess.PIPE, env=vultus.environment)
    assert done.returncode == 1 and b'standard output' in done.stderr
