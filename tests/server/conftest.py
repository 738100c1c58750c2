# SPDX-License-Identifier: Apache-2.0
"""A server of the program under test on a free port, and a client that hides nothing."""
import contextlib
import http.client
import json
import re
import signal
import subprocess
import threading

import pytest

START_SECONDS = 600  # plans may have to be built first
ANSWER_SECONDS = 300


class Answer:
    def __init__(self, response):
        self.status, self.body = response.status, response.read()
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.type = self.headers.get('content-type')

    def json(self):
        return json.loads(self.body)


class Server:
    """A running `vultus serve`; `stop` ends it and returns (exit code, access log lines)."""

    def __init__(self, vultus, arguments, log, environment=None):
        self.log_path = log
        self.process = subprocess.Popen(
            [*vultus.command, 'serve', '--port', '0', *map(str, arguments)], stdout=log.open('w'), stderr=subprocess.PIPE, text=True,
            env={**vultus.environment, **(environment or {})})
        self.messages = []
        self.ready = threading.Event()
        self.port = None
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        assert self.ready.wait(START_SECONDS) and self.port, f'the server did not start: {self.messages}'

    def read(self):
        for line in self.process.stderr:
            self.messages.append(line.rstrip())
            if found := re.search(r'serving https?://[^:]+:(\d+)', line):
                self.port = int(found.group(1))
                self.ready.set()
        self.ready.set()

    def connect(self):
        return http.client.HTTPConnection('127.0.0.1', self.port, timeout=ANSWER_SECONDS)

    def ask(self, method, path, body=None, headers=None):
        connection = self.connect()
        try:
            connection.request(method, path, body, headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path, **headers):
        return self.ask('GET', path, headers=headers)

    def extract(self, body, path='/extract', **headers):
        """POST of a JSON body, which may be given as it is written."""
        text = body if isinstance(body, (str, bytes)) else json.dumps(body)
        return self.ask('POST', path, text, {'content-type': 'application/json', 'accept': '*/*', **headers})

    def metric(self, name, **labels):
        """Sum of the samples of that name with those labels."""
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        return sum(float(line.rsplit(' ', 1)[1]) for line in self.get('/metrics').body.decode().splitlines()
                   if re.match(rf'{name}[ {{]', line) and all(w in line for w in wanted))

    def stop(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
        code = self.process.wait(timeout=120)
        self.reader.join(10)
        problems = [line for line in self.messages if 'Sanitizer' in line or 'runtime error' in line]
        assert problems == [], '\n'.join(self.messages)
        return code, [json.loads(line) for line in self.log_path.read_text().splitlines()]


@pytest.fixture(scope='session')
def images_root(tmp_path_factory, photo, other, group, crop):
    """A folder with photos, and one outside it that nobody may read."""
    base = tmp_path_factory.mktemp('served')
    root = base / 'images'
    (root / 'test_images').mkdir(parents=True)
    for name, source in {'one.jpg': photo, 'two.png': other, 'group.jpg': group, 'test_images/Stallone.jpg': photo}.items():
        (root / name).write_bytes(source.read_bytes())
    (root / 'crop.png').write_bytes(crop)
    (root / 'text.jpg').write_text('not a picture')
    (base / 'secret.jpg').write_bytes(photo.read_bytes())
    (root / 'link.jpg').symlink_to(base / 'secret.jpg')
    (root / 'inner.jpg').symlink_to('one.jpg')
    return root


@pytest.fixture(scope='session')
def crop(vultus, models, photo, tmp_path_factory):
    """An aligned 112x112 crop as a PNG file's bytes."""
    cv2 = pytest.importorskip('cv2')
    folder = tmp_path_factory.mktemp('crops')
    vultus('extract', *models, '--crops', folder, '--crop-format', 'npy', photo)
    np = pytest.importorskip('numpy')
    [first, *_] = sorted(folder.iterdir())
    return cv2.imencode('.png', np.load(first))[1].tobytes()


@pytest.fixture(scope='session')
def start(vultus, models, images_root, tmp_path_factory):
    """start(arguments...) as a context: a server of one's own."""
    @contextlib.contextmanager
    def run(*arguments, environment=None):
        server = Server(vultus, [*models, '--images-root', images_root, *arguments],
                        tmp_path_factory.mktemp('log') / 'access.jsonl', environment)
        try:
            yield server
        finally:
            code, _ = server.stop()
        assert code == 0, server.messages
    return run


@pytest.fixture(scope='session')
def server(start):
    """The server most tests share; what changes its state starts its own."""
    with start() as running:
        yield running


def alike(faces, others):
    """Plans are tuned each by itself, so that numbers may differ in their last digits."""
    assert len(faces) == len(others) > 0
    for a, b in zip(faces, others):
        assert max(abs(p - q) for p, q in zip(a['bbox'], b['bbox'])) <= 1
        assert sum(p * q for p, q in zip(a['vec'], b['vec'])) > 0.9999
    return True
