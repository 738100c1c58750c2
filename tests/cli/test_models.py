# SPDX-License-Identifier: Apache-2.0
"""`vultus models` against a server on loopback: nothing but whole, right files may ever look like a model."""
import hashlib
import io
import json
import os
import pty
import random
import resource
import shutil
import signal
import subprocess
import threading
import time
import zipfile

import pytest

from file_server import Server

SIZE = 3_000_000
LICENCE = 'test-licence'


def model(seed, size=SIZE):
    """Bytes that begin as ONNX models do, and compress as badly."""
    return b'\x08\x07' + random.Random(seed).randbytes(size - 2)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def zipped(members, method=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w', method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


class Hub:
    """A models folder, and a catalogue that is written as entries are added."""

    def __init__(self, vultus, folder):
        self.vultus, self.folder = vultus, folder / 'models'
        self.catalogue = folder / 'catalogue.yaml'
        self.environment = {'VULTUS_MODELS': str(self.folder), 'VULTUS_CATALOGUE': str(self.catalogue),
                            'VULTUS_ACCEPT_LICENCE': LICENCE}
        self.models, self.packs = [], []
        self.write()

    def write(self):
        licence = {'id': LICENCE, 'text': 'For tests alone.', 'url': 'https://example.org/licence', 'accept': 'yes'}
        # JSON is YAML; numbers and yes are plain texts there.
        self.catalogue.write_text(json.dumps({'licences': [licence], 'packs': self.packs, 'models': self.models}))

    def add(self, name, body=None, urls=(), packs=(), known=True, **more):
        self.models.append({
            'name': name, 'function': 'arcface', 'width': 112, 'height': 112, 'channels': 'rgb', 'mean': [0, 0, 0],
            'std': [1, 1, 1], 'origin': 'a test', 'licence': LICENCE, 'urls': list(urls), 'packs': list(packs),
            'sha256': sha256(body) if known else '', **({'bytes': len(body)} if known else {}), **more})
        self.write()

    def add_pack(self, name, body, urls=(), known=True):
        self.packs.append({'name': name, 'licence': LICENCE, 'urls': list(urls), 'sha256': sha256(body) if known else '',
                           **({'bytes': len(body)} if known else {})})
        self.write()

    def __call__(self, *arguments, environment=None, **more):
        return self.vultus('models', *arguments, environment={**self.environment, **(environment or {})}, **more)

    def json(self, *arguments, **more):
        return json.loads(self(*arguments, '--json', **more).out)

    def fails(self, *arguments, environment=None, **more):
        """The last of the sentences."""
        done = self(*arguments, code=1, environment=environment, **more)
        lines = done.err.splitlines()
        assert lines and all(line.startswith('vultus: ') for line in lines), done.err
        return lines[-1]

    def path(self, name):
        return self.folder / f'{name}.onnx'

    def looks_installed(self):
        return sorted(path.name for path in self.folder.glob('*.onnx'))

    def leftovers(self):
        return sorted(p.name for p in self.folder.iterdir() if not p.name.endswith(('.onnx', '.json', '.lock'))
                      or p.name.endswith('.part.json'))


@pytest.fixture
def hub(vultus, tmp_path):
    can = json.loads(vultus('doctor', '--json').out)['model_pulls']
    if not can['download'] or not can['archives']:
        pytest.skip('this build cannot download models')
    return Hub(vultus, tmp_path)


@pytest.fixture
def one(hub, server):
    """One model `m` at one address, with everything known of it."""
    body = model(1)
    hub.add('m', body, [server.url + '/m.onnx'])
    hub.body, hub.file = body, server.put('/m.onnx', body)
    return hub


# ---------------------------------------------------------------- whole downloads

def test_pull(one):
    done, = one.json('pull', 'm')
    assert done['fetched'] is True and done['sha256'] == sha256(one.body) and done['digest'] == 'catalogue'
    assert one.path('m').read_bytes() == one.body and one.leftovers() == []
    assert one.json('verify')[0]['state'] == 'right'
    again, = one.json('pull', 'm')
    assert again['fetched'] is False and len(one.file.requests) == 1


def test_list(one):
    def listed():
        return {m['name']: m for m in one.json('list')['models']}
    before = listed()
    assert before['m']['installed'] is False and before['m']['bytes'] == SIZE and before['m']['licence'] == LICENCE
    assert before['w600k_r50']['packs'] == ['buffalo_m', 'buffalo_l']
    one('pull', 'm')
    shutil.copy(one.path('m'), one.path('stray'))
    after = listed()
    assert after['m']['installed'] is True and after['stray']['digest'] == 'unknown'
    text = one('list').out
    assert ' installed ' in next(line for line in text.splitlines() if line.startswith('m '))
    assert str(one.folder) in text and 'buffalo_l' in text


def test_remove(one):
    one('pull', 'm')
    assert one.json('remove', 'm')[0]['removed'] is True
    assert list(one.folder.glob('m.*')) == []
    assert 'nothing of m' in one.fails('remove', 'm')
    assert 'no model' in one.fails('pull', 'nobody')


def test_verify_by_name(one, server):
    other = model(2, 100_000)
    one.add('n', other, [server.url + '/n.onnx'])
    server.put('/n.onnx', other)
    one('pull', 'm', 'n')
    one.path('n').write_bytes(model(3, 100_000))
    assert [(m['name'], m['state']) for m in one.json('verify', 'm')] == [('m', 'right')]
    assert [m['state'] for m in one.json('verify', 'm', 'n', code=1)] == ['right', 'wrong']
    absent, = one.json('verify', 'nobody', code=1)
    assert absent['state'] == 'wrong' and 'nobody' in absent['problem']
    assert 'no model\'s name' in one.fails('verify', '../m')


def test_starter_models_are_built_in(one, root):
    def starter(subcommand, *names):
        models = one.json(subcommand, *names)
        return {m['name']: m for m in (models if names else models['models'])}
    folder = root / 'models/starter'
    for name, m in starter('verify', 'starter_det', 'starter_rec').items():
        assert m['state'] == 'right' and m['built_in'] is True and m['path'] == str(folder / f'{name}.onnx')
        assert m['sha256'] == sha256((folder / f'{name}.onnx').read_bytes()) and m['bytes'] == (folder / f'{name}.onnx').stat().st_size
    assert starter('list')['starter_det']['installed'] is True and starter('list')['m']['built_in'] is False
    assert starter('pull', 'starter_det')['starter_det']['fetched'] is False
    assert 'nothing of starter_det' in one.fails('remove', 'starter_det')
    assert ' built in ' in next(line for line in one('list').out.splitlines() if line.startswith('starter_det '))

    assert starter('import', folder / 'starter_det.onnx')['starter_det']['fetched'] is True
    assert starter('list')['starter_det']['path'] == str(one.path('starter_det'))
    assert starter('remove', 'starter_det')['starter_det']['removed'] is True
    assert (folder / 'starter_det.onnx').exists() and starter('list')['starter_det']['built_in'] is True


def test_remove_what_an_interrupted_pull_left(one):
    one.file.cut = [1_000_000] * 3
    one.fails('pull', 'm')
    assert one.json('remove', 'm')[0]['removed'] is True and one.leftovers() == []


def test_several_names(one, server):
    other = model(2, 100_000)
    one.add('n', other, [server.url + '/n.onnx'])
    server.put('/n.onnx', other)
    assert [m['name'] for m in one.json('pull', 'm', 'n')] == ['m', 'n']


@pytest.mark.parametrize('arguments', [['fetch'], ['pull'], ['remove'], ['import'], ['list', 'm'], []])
def test_wrong_usage(hub, arguments):
    done = hub(*arguments, code=2)
    assert done.err.startswith('vultus: models ') and 'usage: vultus models' in done.err


# ---------------------------------------------------------------- digests

def test_wrong_digest(one):
    one.file.body = one.file.body[:-1] + b'\0'
    text = one.fails('pull', 'm')
    assert sha256(one.body) in text and sha256(one.file.body) in text
    assert one.looks_installed() == [] and one.leftovers() == []


@pytest.mark.parametrize('length', [True, False])
@pytest.mark.parametrize('size', [SIZE - 1, SIZE + 1, 0])
def test_wrong_size(one, length, size):
    one.file.body, one.file.length = model(1, SIZE + 1)[:size], length
    one.fails('pull', 'm')
    assert one.looks_installed() == []


def test_next_address_when_one_is_wrong(hub, server):
    body = model(1)
    hub.add('m', body, [server.url + '/gone.onnx', server.url + '/bad.onnx', server.url + '/good.onnx'])
    server.put('/bad.onnx', model(2))
    server.put('/good.onnx', body)
    done = hub('pull', 'm')
    assert '404' in done.err and 'sha256' in done.err and hub.path('m').read_bytes() == body


def test_first_use_is_remembered(hub, server):
    body = model(1)
    hub.add('m', known=False, urls=[server.url + '/m.onnx'])
    file = server.put('/m.onnx', body)
    done, = hub.json('pull', 'm')
    assert done['digest'] == 'first use' and done['sha256'] == sha256(body)
    hub('remove', 'm')
    assert 'noted' in hub('pull', 'm').out
    hub.path('m').write_bytes(body[:-1] + b'\0')
    verified, = hub.json('verify', code=1)
    assert verified['state'] == 'wrong' and sha256(body) in verified['problem']
    file.body = model(2)
    text = hub.fails('pull', 'm')
    assert sha256(body) in text and 'models remove m' in text
    hub('remove', 'm')
    assert hub.json('pull', 'm')[0]['sha256'] == sha256(file.body)


def test_damaged_model_is_fetched_again(one):
    one('pull', 'm')
    one.path('m').write_bytes(one.body[:1000])
    assert 'not what they should be' in one.fails('verify')
    assert one.json('pull', 'm')[0]['fetched'] is True and one.path('m').read_bytes() == one.body


# ---------------------------------------------------------------- interruptions

def test_cut_connection_is_resumed(one):
    one.file.cut = [1_000_000, 2_000_000]
    one('pull', 'm')
    assert one.path('m').read_bytes() == one.body
    assert [r.get('Range') for r in one.file.requests] == [None, 'bytes=1000000-', 'bytes=2000000-']
    assert [r.get('If-Range') for r in one.file.requests] == [None, '"1"', '"1"']


def test_later_call_resumes(one):
    one.file.cut = [1_000_000, 1_000_000, 1_000_000]
    one.fails('pull', 'm')
    assert one.looks_installed() == [] and one.leftovers() == ['m.onnx.part', 'm.onnx.part.json']
    one('pull', 'm')
    assert one.file.requests[-1]['Range'] == 'bytes=1000000-' and one.path('m').read_bytes() == one.body
    assert one.leftovers() == []


@pytest.mark.parametrize('how', [{'ranges': False}, {'etag': None}, {'etag': 'W/"weak"'}])
def test_server_that_cannot_resume(one, how):
    one.file.cut = [1_000_000]
    for key, value in how.items():
        setattr(one.file, key, value)
    one('pull', 'm')
    assert one.path('m').read_bytes() == one.body and len(one.file.requests) == 2


def test_changed_between_attempts(hub, server):
    """Two halves of two files are no file: what changed is fetched anew."""
    hub.add('m', known=False, urls=[server.url + '/m.onnx'])
    file = server.put('/m.onnx', model(1), cut=[1_000_000] * 3)
    hub.fails('pull', 'm')
    file.body, file.etag = model(2), '"2"'
    hub('pull', 'm')
    assert hub.path('m').read_bytes() == model(2)


def test_wrong_half_is_thrown_away(one):
    """A part that is not what its note says is noticed by the digest, and the whole is fetched once more."""
    one.file.cut = [1_000_000] * 3
    one.fails('pull', 'm')
    (one.folder / 'm.onnx.part').write_bytes(b'\0' * 1_000_000)
    one('pull', 'm')
    assert one.path('m').read_bytes() == one.body


def test_part_longer_than_the_file(one):
    one.file.cut = [1_000_000] * 3
    one.fails('pull', 'm')
    with open(one.folder / 'm.onnx.part', 'ab') as part:
        part.truncate(2 * SIZE)
    one('pull', 'm')
    assert one.path('m').read_bytes() == one.body


@pytest.mark.parametrize('note', ['', '{}', '[]', '{"url": 5}', '{"url": "x", "validator": "a\\r\\nb", "total": 1}', 'null',
                                  '{"url": "x", "validator": "y", "total": -1}'])
def test_damaged_note(one, note):
    one.file.cut = [1_000_000] * 3
    one.fails('pull', 'm')
    (one.folder / 'm.onnx.part.json').write_text(note)
    one('pull', 'm')
    assert one.path('m').read_bytes() == one.body and 'Range' not in one.file.requests[-1]


@pytest.mark.parametrize('ending', [signal.SIGINT, signal.SIGKILL])
def test_killed_midway(one, ending):
    event = threading.Event()
    one.file.hold = (1_500_000, event)
    process = one.vultus.start('models', 'pull', 'm', environment=one.environment)
    part = one.folder / 'm.onnx.part'
    wait_for(lambda: part.exists() and part.stat().st_size == 1_500_000)
    process.send_signal(ending)
    assert process.wait(60) == -ending
    process.stdout.close(), process.stderr.close()
    event.set()
    assert one.looks_installed() == [] and one.json('verify') == []
    one.file.hold = None
    one('pull', 'm')
    assert one.file.requests[-1]['Range'] == 'bytes=1500000-'
    assert one.path('m').read_bytes() == one.body and one.leftovers() == []


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, 'it never came'
        time.sleep(0.01)


def test_two_at_once(one):
    """The second waits for the first and finds the file."""
    event = threading.Event()
    one.file.hold = (1_000_000, event)
    processes = [one.vultus.start('models', 'pull', 'm', environment=one.environment) for _ in range(2)]
    wait_for(lambda: one.file.requests)
    event.set()
    texts = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], texts
    assert len(one.file.requests) == 1 and one.path('m').read_bytes() == one.body


def test_stall(one):
    one.file.hold = (1_000_000, threading.Event())
    assert 'nothing came for 1 seconds' in one.fails('pull', 'm', '--timeout', '1')
    assert one.looks_installed() == [] and 'm.onnx.part' in one.leftovers()
    one.file.hold[1].set()
    one.file.hold = None
    one('pull', 'm')
    assert one.path('m').read_bytes() == one.body


def test_full_disk(one):
    def small():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
    text = one.fails('pull', 'm', preexec_fn=small)
    assert 'cannot write' in text and one.looks_installed() == []
    one('pull', 'm')
    assert one.path('m').read_bytes() == one.body


def test_full_disk_while_unpacking(hub, server):
    body = model(1, 200_000) + bytes(800_000)
    archive = zipped([('m.onnx', body)])
    hub.add('m', body, packs=['p'])
    hub.add_pack('p', archive, [server.url + '/p.zip'])
    server.put('/p.zip', archive)
    small = len(archive) + 1000
    text = hub.fails('pull', 'p', preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (small, small)))
    assert 'cannot write' in text and hub.looks_installed() == [] and not list(hub.folder.glob('*.tmp'))
    hub('pull', 'p')
    assert hub.looks_installed() == ['m.onnx'] and hub.leftovers() == []


def test_folder_that_cannot_be_made(one, tmp_path):
    (tmp_path / 'file').write_text('')
    assert 'cannot create directory' in one.fails('pull', 'm', '--models', tmp_path / 'file' / 'models')


# ---------------------------------------------------------------- answers

@pytest.mark.parametrize('status, part', [(403, '403'), (404, 'no such file'), (410, 'no such file'), (503, '503')])
def test_refusal(one, status, part):
    one.file.status = status
    assert part in one.fails('pull', 'm')
    assert one.looks_installed() == [] and one.leftovers() == []
    assert len(one.file.requests) == (3 if status == 503 else 1)


def test_page_instead_of_a_file(hub, server):
    hub.add('m', known=False, urls=[server.url + '/m.onnx'])
    server.put('/m.onnx', b'<html>confirm the download</html>', kind='text/html; charset=utf-8')
    assert 'page' in hub.fails('pull', 'm')
    server.put('/m.onnx', b'<html>confirm the download</html>')
    assert 'no ONNX model' in hub.fails('pull', 'm')
    assert hub.looks_installed() == []


def test_redirects(one, server):
    server.put('/m.onnx', location='/a')
    server.put('/a', location=server.url + '/b')
    file = server.put('/b', one.body, cut=[1_000_000])
    one('pull', 'm')
    assert one.path('m').read_bytes() == one.body and file.requests[-1]['Range'] == 'bytes=1000000-'


def test_redirect_loop_and_too_many(one, server):
    server.put('/m.onnx', location='/m.onnx')
    assert 'redirects' in one.fails('pull', 'm')
    for i in range(20):
        server.put(f'/{i}', location=f'/{i + 1}')
    server.put('/20', one.body)
    server.put('/m.onnx', location='/0')
    assert 'redirects' in one.fails('pull', 'm')


@pytest.mark.parametrize('target', ['file:///etc/passwd', 'ftp://127.0.0.1/m.onnx', 'gopher://127.0.0.1/'])
def test_redirect_to_another_protocol(one, server, target):
    server.put('/m.onnx', location=target)
    one.fails('pull', 'm')
    assert one.looks_installed() == []


def test_nobody_listens(one, server):
    server.close()
    server.close = lambda: None
    assert 'connect' in one.fails('pull', 'm')


def test_untrusted_certificate(hub, tmp_path):
    if not shutil.which('openssl'):
        pytest.skip('openssl is not installed')
    pem = tmp_path / 'server.pem'
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', pem, '-out', tmp_path / 'cert.pem',
                    '-days', '2', '-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'],
                   check=True, capture_output=True)
    pem.write_bytes(pem.read_bytes() + (tmp_path / 'cert.pem').read_bytes())
    server = Server(certificate=pem)
    try:
        body = model(1)
        hub.add('m', body, [server.url + '/m.onnx'])
        file = server.put('/m.onnx', body)
        text = hub.fails('pull', 'm')
        assert 'certificate' in text.lower() and file.requests == [] and hub.looks_installed() == []
    finally:
        server.close()


def test_endless_answer(hub, server):
    """The catalogue's size is the limit even where the server does not say how much comes."""
    hub.add('m', model(1, 10_000), [server.url + '/m.onnx'])
    server.put('/m.onnx', model(1, 5_000_000), length=False)
    assert '10000 bytes' in hub.fails('pull', 'm')
    assert hub.looks_installed() == []


# ---------------------------------------------------------------- licences

def test_licence_is_needed(one):
    text = one.fails('pull', 'm', environment={'VULTUS_ACCEPT_LICENCE': ''})
    assert LICENCE in text and 'https://example.org/licence' in text and '--accept-licence' in text
    one.fails('pull', 'm', '--accept-licence', 'another,test-licenc', environment={'VULTUS_ACCEPT_LICENCE': ''})
    assert one.file.requests == []
    done = one('pull', 'm', '--accept-licence', f'another,{LICENCE}', environment={'VULTUS_ACCEPT_LICENCE': ''})
    assert one.path('m').exists() and 'For tests alone.' in done.err and 'https://example.org/licence' in done.err


def test_licence_that_asks_nothing(one):
    one.models[0]['licence'] = 'Apache-2.0'
    one.write()
    one('pull', 'm', environment={'VULTUS_ACCEPT_LICENCE': ''})


@pytest.mark.parametrize('answer, code', [(b'yes\n', 0), (b'y\n', 1), (b'\n', 1), (b'\x04', 1)])
def test_asked_on_a_terminal(one, answer, code):
    mine, theirs = pty.openpty()
    process = subprocess.Popen([one.vultus.path, 'models', 'pull', 'm'], stdin=theirs, stdout=subprocess.PIPE, stderr=theirs,
                               env={**one.vultus.environment, **one.environment, 'VULTUS_ACCEPT_LICENCE': ''})
    os.close(theirs)
    shown = b''
    while b'to accept it: ' not in shown:
        shown += os.read(mine, 1000)
    os.write(mine, answer)
    shown += read_all(mine)
    process.stdout.read()
    process.stdout.close()
    assert process.wait(60) == code, shown
    assert b'For tests alone.' in shown and b'https://example.org/licence' in shown
    assert one.path('m').exists() == (code == 0)


def read_all(descriptor):
    data = b''
    try:
        while more := os.read(descriptor, 4096):
            data += more
    except OSError: # the other side of a terminal is closed
        pass
    os.close(descriptor)
    return data


def test_bar_on_a_terminal(one):
    event = threading.Event()
    one.file.hold = (1_500_000, event)
    mine, theirs = pty.openpty()
    process = subprocess.Popen([one.vultus.path, 'models', 'pull', 'm'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=theirs, env={**one.vultus.environment, **one.environment})
    os.close(theirs)
    shown = b''
    while b'1.5/3.0 MB' not in shown:
        shown += os.read(mine, 1000)
    event.set()
    shown += read_all(mine)
    process.stdout.close()
    assert process.wait(60) == 0 and b'############............' in shown and b'MB/s' in shown
    assert shown.endswith(b'\r\x1b[K')


# ---------------------------------------------------------------- packs

def make_pack(hub, server, members=None, name='p', **how):
    a, b = model(1, 500_000), model(2, 700_000)
    hub.add('a', a, packs=[name], function='scrfd')
    hub.add('b', b, packs=[name])
    archive = zipped(members or [('dir/', b''), ('dir/a.onnx', a), ('b.onnx', b), ('c.onnx', model(3, 1000)), ('README', b'hi')])
    hub.add_pack(name, archive, [server.url + f'/{name}.zip'], **how)
    return a, b, server.put(f'/{name}.zip', archive)


def test_pack(hub, server):
    a, b, file = make_pack(hub, server)
    assert [m['name'] for m in hub.json('pull', 'p')] == ['a', 'b']
    assert hub.looks_installed() == ['a.onnx', 'b.onnx'] and hub.leftovers() == []
    assert hub.path('a').read_bytes() == a and hub.path('b').read_bytes() == b
    assert [m['state'] for m in hub.json('verify')] == ['right', 'right']
    assert [m['fetched'] for m in hub.json('pull', 'p')] == [False, False] and len(file.requests) == 1
    assert [m['removed'] for m in hub.json('remove', 'p')] == [True, True] and hub.looks_installed() == []


def test_one_model_of_a_pack(hub, server):
    make_pack(hub, server)
    assert [m['name'] for m in hub.json('pull', 'b')] == ['b']
    assert hub.looks_installed() == ['b.onnx']


def test_resumed_pack(hub, server):
    _, _, file = make_pack(hub, server)
    file.cut = [600_000] * 3
    hub.fails('pull', 'p')
    assert hub.leftovers() == ['p.zip.part', 'p.zip.part.json']
    hub('pull', 'p')
    assert file.requests[-1]['Range'] == 'bytes=600000-' and hub.looks_installed() == ['a.onnx', 'b.onnx']
    assert hub.leftovers() == []


def test_changed_member(hub, server):
    """The pack is what it should be as far as anybody knows, the model in it is not."""
    make_pack(hub, server, [('a.onnx', model(9, 500_000))], known=False)
    text = hub.fails('pull', 'a')
    assert 'sha256 of a' in text and hub.looks_installed() == []


def test_leftovers_of_killed_processes_go(hub, server):
    make_pack(hub, server)
    hub.folder.mkdir()
    stale = hub.folder / 'a.onnx.123.0.tmp'
    stale.write_bytes(b'half')
    assert hub.json('list')['folder'] and hub.json('verify') == []
    hub('pull', 'p')
    assert not stale.exists()


@pytest.mark.parametrize('name', ['../a.onnx', '/a.onnx', 'x/../../a.onnx', '..\\a.onnx', 'C:a.onnx', 'x/..', 'a\x01.onnx',
                                  'x' * 2000 + '.onnx'])
def test_names_that_lead_elsewhere(hub, server, name, tmp_path):
    a = model(1, 500_000)
    make_pack(hub, server, [(name, a), ('a.onnx', a)])
    assert 'relative path' in hub.fails('pull', 'a')
    assert hub.looks_installed() == [] and not (tmp_path / 'a.onnx').exists()
    assert 'relative path' in hub.fails('import', write(tmp_path / 'other.zip', zipped([(name, a), ('a.onnx', a)])))


def write(path, data):
    path.write_bytes(data)
    return path


@pytest.mark.parametrize('known', [True, False])
def test_bomb(hub, server, known):
    """What unpacks to far more than a model can be is not unpacked."""
    make_pack(hub, server, [('a.onnx', b'\x08\x07' + bytes(60_000_000))])
    if not known:
        del hub.models[0]['bytes']
        hub.models[0]['sha256'] = ''
        hub.write()
    text = hub.fails('pull', 'a')
    assert 'times' in text and hub.looks_installed() == []


def test_member_that_understates_its_size(hub, server):
    body = model(1, 500_000)
    archive = bytearray(zipped([('a.onnx', body)], zipfile.ZIP_STORED))
    at = archive.index(b'PK\x01\x02')
    archive[at + 24:at + 28] = (1000).to_bytes(4, 'little')
    hub.add('a', body, packs=['p'])
    hub.add_pack('p', bytes(archive), [server.url + '/p.zip'])
    server.put('/p.zip', bytes(archive))
    hub.fails('pull', 'a')
    assert hub.looks_installed() == [] and not list(hub.folder.glob('*.tmp'))


@pytest.mark.parametrize('change', ['checksum', 'cut', 'twice', 'encrypted', 'rubbish', 'empty'])
def test_damaged_archive(hub, server, change):
    body = model(1, 500_000)
    archive = bytearray(zipped([('a.onnx', body)], zipfile.ZIP_STORED))
    if change == 'checksum':
        archive[1000] ^= 1
    elif change == 'cut':
        archive = archive[:-10]
    elif change == 'twice':
        archive = bytearray(zipped([('x/a.onnx', body), ('y/a.onnx', body)], zipfile.ZIP_STORED))
    elif change == 'encrypted':
        archive[archive.index(b'PK\x01\x02') + 8] |= 1
    elif change == 'rubbish':
        archive = bytearray(random.Random(5).randbytes(1000))
    else:
        archive = bytearray(zipped([('README', b'no model')]))
    hub.add('a', body, packs=['p'])
    hub.add_pack('p', bytes(archive), [server.url + '/p.zip'])
    server.put('/p.zip', bytes(archive))
    hub.fails('pull', 'a')
    assert hub.looks_installed() == ([] if change != 'twice' else ['a.onnx'])
    assert not list(hub.folder.glob('*.tmp'))


# ---------------------------------------------------------------- mirrors

@pytest.mark.parametrize('slash', ['', '/'])
def test_http_mirror(hub, server, slash):
    a, b, origin = make_pack(hub, server)
    server.files.clear()
    mirrored = server.put('/mirror/p.zip', origin.body)
    alone = server.put('/mirror/b.onnx', b)
    mirror = {'VULTUS_MODELS_MIRROR': server.url + '/mirror' + slash}
    hub('pull', 'a', environment=mirror)
    assert hub.path('a').read_bytes() == a and len(mirrored.requests) == 1
    hub('pull', 'b', environment=mirror)
    assert hub.path('b').read_bytes() == b and len(alone.requests) == 1 and len(mirrored.requests) == 1


def test_folder_mirror(hub, server, tmp_path):
    a, b, origin = make_pack(hub, server)
    server.close()
    server.close = lambda: None
    mirror = tmp_path / 'mirror'
    mirror.mkdir()
    where = {'VULTUS_MODELS_MIRROR': str(mirror)}
    assert 'mirror' in hub.fails('pull', 'p', environment=where)
    write(mirror / 'p.zip', origin.body[:-1])
    hub.fails('pull', 'p', environment=where)
    write(mirror / 'p.zip', origin.body)
    assert len(hub.json('pull', 'p', environment=where)) == 2
    hub('remove', 'b')
    write(mirror / 'b.onnx', b)
    (mirror / 'p.zip').unlink()
    assert hub.json('pull', 'b', environment=where)[0]['fetched'] is True
    assert hub.path('b').read_bytes() == b and (mirror / 'b.onnx').exists()


# ---------------------------------------------------------------- import

def test_import(hub, server, tmp_path):
    a, b, origin = make_pack(hub, server)
    assert hub.json('import', write(tmp_path / 'whatever.bin', a))[0]['name'] == 'a'
    assert 'sha256' in hub.fails('import', write(tmp_path / 'b.onnx', b[:-1] + b'\0'))
    assert 'knows neither' in hub.fails('import', write(tmp_path / 'unheard-of.onnx', model(7, 1000)))
    hub('remove', 'a')
    assert [m['name'] for m in hub.json('import', write(tmp_path / 'renamed.zip', origin.body))] == ['a', 'b']
    assert 'sha256' in hub.fails('import', write(tmp_path / 'p.zip', zipped([('a.onnx', a)])))
    assert [m['name'] for m in hub.json('import', write(tmp_path / 'own.zip', zipped([('b.onnx', b), ('z.onnx', a)])))] == ['b']
    assert 'cannot open' in hub.fails('import', tmp_path / 'missing.onnx')
    hub.fails('import', tmp_path)
    assert hub.looks_installed() == ['a.onnx', 'b.onnx']


def test_real_model_by_digest(hub, data, tmp_path):
    shutil.copy(data / 'models/det_500m.onnx', tmp_path / 'renamed')
    done, = hub.json('import', tmp_path / 'renamed', environment={'VULTUS_ACCEPT_LICENCE': ''})
    assert done['name'] == 'det_500m' and done['digest'] == 'catalogue' and done['licence'] == 'insightface-noncommercial'


# ---------------------------------------------------------------- names as models

@pytest.fixture
def named(hub, server, tiny):
    """The tiny network as model `m` and, for `p`, as an archive."""
    body = tiny.read_bytes()
    archive = zipped([('m.onnx', body)])
    hub.add('m', body, [server.url + '/m.onnx'], packs=['p'], aliases=['other-name'])
    hub.add_pack('p', archive, [server.url + '/p.zip'])
    hub.file = server.put('/m.onnx', body)
    server.put('/p.zip', archive)
    return hub


def test_name_instead_of_a_path(named):
    call = named.vultus
    environment = {**named.environment, 'VULTUS_ACCEPT_LICENCE': ''}
    text = call.fails('info', 'm', environment=environment)
    assert 'vultus models pull m' in text and LICENCE in text and named.file.requests == []
    named('pull', 'm')
    assert json.loads(call('info', 'm', '--json', environment=environment).out)['file'] == str(named.path('m'))
    assert json.loads(call('info', 'other-name', '--json', environment=environment).out)['file'] == str(named.path('m'))
    assert 'pack' in call.fails('info', 'p', environment=environment)
    assert 'no file and no model called "nobody"' in call.fails('info', 'nobody', environment=environment)


def test_pulled_at_start_once_accepted(named):
    done = named.vultus('info', 'm', '--json', environment=named.environment)
    assert json.loads(done.out)['file'] == str(named.path('m')) and len(named.file.requests) == 1
    named.vultus('info', 'm', environment=named.environment)
    assert len(named.file.requests) == 1


def test_file_wins_over_name(named, tiny, tmp_path):
    shutil.copy(tiny, tmp_path / 'm')
    done = named.vultus('info', 'm', '--json', environment=named.environment, cwd=tmp_path)
    assert json.loads(done.out)['file'] == 'm' and named.file.requests == []


def test_detector_and_recogniser_by_name(hub, data):
    for name in ('scrfd_2.5g_bnkps', 'mobilefacenet', 'det_500m'):
        hub('import', data / f'models/{name}.onnx')
    photo = data / 'images/Stallone.jpg'
    by_name = hub.vultus('extract', photo, '--det', 'scrfd_2.5g_bnkps', '--rec', 'mobilefacenet', '--json',
                         environment=hub.environment).out
    by_path = hub.vultus('extract', photo, '--det', data / 'models/scrfd_2.5g_bnkps.onnx', '--rec',
                         data / 'models/mobilefacenet.onnx', '--json').out
    assert by_name == by_path
    assert hub.vultus('draw', photo, '-o', hub.folder / 'out.jpg', '--det', 'buffalo_sc', environment=hub.environment)
    text = hub.vultus.fails('extract', photo, '--det', 'buffalo_sc', '--rec', 'buffalo_sc',
                            environment={**hub.environment, 'VULTUS_ACCEPT_LICENCE': ''})
    assert 'vultus models pull buffalo_sc' in text


def test_catalogue_of_the_user_says_how_numbers_are_meant(hub, data):
    """A file's mean and std are those of the plan built from it."""
    hub.add('det_500m', (data / 'models/det_500m.onnx').read_bytes(), mean=[1, 2, 3], std=[4, 5, 6])
    plans = hub.folder / 'plans'
    out = hub.vultus('build', data / 'models/det_500m.onnx', '--plans', plans, '--input-size', '64x64', '--max-batch', '1', '--json',
                     environment=hub.environment).out
    about = json.loads(hub.vultus('info', json.loads(out)['path'], '--json').out)
    assert about['model']['mean'] == [1, 2, 3] and about['model']['std'] == [4, 5, 6] and about['model']['licence'] == LICENCE


def test_wrong_catalogue(hub):
    hub.catalogue.write_text('models: 5')
    assert 'catalogue.yaml' in hub.fails('list') and 'sequence' in hub.fails('list')
