# SPDX-License-Identifier: Apache-2.0
"""Keys, TLS, and what a service manager passes and is told."""
import hashlib
import http.client
import re
import socket
import ssl
import subprocess
import sys

import pytest

KEYS = ['first key', 'second key']
SUMS = ','.join(hashlib.sha256(key.encode()).hexdigest() for key in KEYS)
ADMIN = hashlib.sha256(b'admin').hexdigest().upper()


@pytest.fixture(scope='module')
def locked(start):
    with start('--api-keys', SUMS, '--admin-key', ADMIN) as running:
        yield running


@pytest.mark.parametrize('path', ['/info', '/metrics'])
def test_keys(locked, path):
    for key in (*KEYS, 'admin'):
        assert locked.get(path, **{'X-API-Key': key}).status == locked.get(path, Authorization=f'Bearer {key}').status == 200
    for headers in ({}, {'X-API-Key': ''}, {'X-API-Key': 'first ke'}, {'Authorization': 'Basic Zmlyc3Qga2V5'}, {'Authorization': 'first key'},
                    {'X-API-Key': SUMS.split(',')[0]}):
        answer = locked.get(path, **headers)
        assert answer.status == 401 and answer.headers['www-authenticate'] == 'Bearer' and 'X-API-Key' in answer.json()['detail']


def test_work_needs_a_key(locked):
    def refused():
        text = locked.get('/metrics', **{'X-API-Key': KEYS[0]}).body.decode()
        return int(re.search(r'^vultus_refused_key_total (\d+)$', text, re.M).group(1))

    before = refused()
    body = {'images': {'urls': ['one.jpg']}}
    assert locked.extract(body).status == 401 and locked.extract(body, **{'x-api-key': KEYS[1]}).status == 200
    assert refused() == before + 1


def test_open_without_a_key(locked):
    for path in ('/v1/live', '/v1/ready', '/health', '/docs', '/openapi.json'):
        assert locked.get(path).status == 200


def test_a_client_is_no_administrator(locked):
    assert locked.extract({'model': 'x'}, path='/v1/models/rec', **{'x-api-key': KEYS[0]}).status == 403


def test_sums_that_are_none(vultus):
    for sums in ('secret', SUMS[:-1], SUMS.replace(',', ';')):
        assert 'api_keys holds' in vultus.fails('serve', '--api-keys', sums)


# ---------------------------------------------------------------- TLS

@pytest.fixture(scope='module')
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp('tls')
    files = folder / 'certificate.pem', folder / 'key.pem'
    done = subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj',
                           '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1', '-out', files[0], '-keyout', files[1]], capture_output=True)
    if done.returncode:
        pytest.skip('openssl makes no certificate')
    return files


def test_tls(start, certificate, photo):
    context = ssl.create_default_context(cafile=str(certificate[0]))
    with start('--tls-certificate', certificate[0], '--tls-key', certificate[1]) as server:
        assert any(f'serving https://127.0.0.1:{server.port}' in line for line in server.messages)
        connection = http.client.HTTPSConnection('127.0.0.1', server.port, context=context, timeout=60)
        connection.request('GET', '/info/')
        moved = connection.getresponse()
        assert moved.read() == b'' and moved.headers['location'] == f'https://127.0.0.1:{server.port}/info'
        for method, path, body in (('GET', '/info', None), ('POST', '/v1/extract', photo.read_bytes())):
            connection.request(method, path, body, {'content-type': 'image/jpeg'})
            answer = connection.getresponse()
            assert answer.status == 200 and answer.read()
        def metrics():
            connection.request('GET', '/metrics')
            return connection.getresponse().read().decode()

        with context.wrap_socket(socket.create_connection(('127.0.0.1', server.port)), server_hostname='127.0.0.1') as leaving:
            leaving.sendall(b'POST /v1/extract HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: 1000000\r\n\r\nx')
            while 'vultus_requests_in_work 1\n' not in metrics():
                pass
        while 'vultus_requests_in_work 0\n' not in metrics():
            pass
        assert 'vultus_client_gone_total 1\n' in metrics()
        connection.close()
        with pytest.raises((OSError, http.client.HTTPException)):
            server.get('/info')


def test_tls_settings(vultus, models, certificate, photo):
    serve = 'serve', *models, '--port', 0
    assert 'tls_key is missing' in vultus.fails(*serve, '--tls-certificate', certificate[0])
    assert 'tls_certificate is missing' in vultus.fails(*serve, '--tls-key', certificate[1])
    assert 'absent.pem' in vultus.fails(*serve, '--tls-certificate', 'absent.pem', '--tls-key', certificate[1])
    assert 'HTTPS' in vultus.fails(*serve, '--tls-certificate', photo, '--tls-key', certificate[1])


# ---------------------------------------------------------------- service manager

LAUNCHER = '''
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1')
os.execv(sys.argv[2], sys.argv[2:])
'''


def test_passed_socket_and_notices(vultus, models, images_root, tmp_path):
    """As systemd does: the socket is there before the server, which tells when it is ready and when it stops."""
    notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notices.bind(str(tmp_path / 'notify'))
    notices.settimeout(120)
    listening = socket.create_server(('127.0.0.1', 0))
    early = http.client.HTTPConnection('127.0.0.1', listening.getsockname()[1], timeout=120)
    early.request('GET', '/v1/ready')
    process = subprocess.Popen([sys.executable, '-c', LAUNCHER, str(listening.fileno()), *map(str, vultus.command), 'serve', *models, '--port', '1',
                                '--images-root', str(images_root), '--access-log', 'off'], pass_fds=[listening.fileno()], stderr=subprocess.PIPE,
                               env={**vultus.environment, 'NOTIFY_SOCKET': str(tmp_path / 'notify')})
    try:
        assert notices.recv(100) == b'READY=1' and early.getresponse().status == 200
        process.terminate()
        assert notices.recv(100) == b'STOPPING=1'
        message = process.communicate(timeout=60)[1].decode()
        assert process.returncode == 0 and 'Sanitizer' not in message, message
    finally:
        process.kill()
