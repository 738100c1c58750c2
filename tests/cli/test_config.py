# SPDX-License-Identifier: Apache-2.0
"""vultus config: effective settings and their sources, and what is wrong with a file."""
import re


def shown(done):
    """{key: (value, source)}"""
    return {key: (value, source) for key, value, source in re.findall(r"^(\w+): '?(.*?)'?  # (.*)$", done.out, re.M)}


def test_sources(vultus, tmp_path):
    file = tmp_path / 'vultus.yaml'
    file.write_text('port: 1\nqueue_length: 2\nhost: 1.2.3.4\n')
    settings = shown(vultus('config', 'show', '--config', file, '--port=9', environment={'VULTUS_QUEUE_LENGTH': '8', 'DEF_DET_THRESH': '0.25'}))
    assert settings['port'] == ('9', '--port') and settings['queue_length'] == ('8', 'VULTUS_QUEUE_LENGTH')
    assert settings['host'] == ('1.2.3.4', 'vultus.yaml:3') and settings['default_threshold'] == ('0.25', 'DEF_DET_THRESH')
    assert settings['workers'] == ('48', 'default')


def test_show_reads_back(vultus, tmp_path):
    file = tmp_path / 'again.yaml'
    first = vultus('config', 'show', '--host', "it's", '--default-landmarks', 'on')
    file.write_text(first.out)
    second = vultus('config', 'show', '--config', file)
    assert {k: v for k, (v, _) in shown(first).items()} == {k: v for k, (v, _) in shown(second).items()}


def test_check(vultus, tmp_path):
    file = tmp_path / 'vultus.yaml'
    for text, part in [('a: 1\nprot: 1\n', 'vultus.yaml:1'), ('prot: 1\n', 'did you mean port?'), ('port: x\n', 'vultus.yaml:1'), ('[', 'vultus.yaml:')]:
        file.write_text(text)
        assert part in vultus.fails('config', 'check', '--config', file)
    assert 'VULTUS_PORT' in vultus.fails('config', 'check', environment={'VULTUS_PORT': 'x'})
    file.write_text('port: 1\nNUM_WORKERS: 4\n')
    assert vultus('config', 'check', '--config', file).out == ''
    assert 'no-such' in vultus.fails('config', 'check', '--config', tmp_path / 'no-such')


def test_every_setting_is_documented(vultus, root):
    text = (root / 'docs/server.md').read_text()
    for key in shown(vultus('config', 'show')):
        assert f'| `{key}` |' in text, key
