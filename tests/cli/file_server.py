# SPDX-License-Identifier: Apache-2.0
"""An HTTP server on loopback whose files can be made to misbehave, and which remembers what it was asked."""
import http.server
import ssl
import threading


class File:
    """What lies at a path. `etag` None: no validator; `ranges` False: ranges are ignored."""

    def __init__(self, body, etag='"1"', ranges=True, status=200, location=None, cut=None, hold=None, kind='application/octet-stream',
                 length=True):
        self.body, self.etag, self.ranges, self.status, self.location = body, etag, ranges, status, location
        self.cut = cut          # list: after so many bytes of the file each next answer ends
        self.hold = hold        # (bytes, event): after so many bytes of the file wait for the event
        self.kind, self.length = kind, length
        self.requests = []      # headers


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *_):
        pass

    def do_GET(self):
        file = self.server.files.get(self.path)
        if file is None:
            return self.answer(404, b'not here')
        file.requests.append(dict(self.headers))
        if file.location:
            return self.answer(302, b'elsewhere', Location=file.location)
        if file.status != 200:
            return self.answer(file.status, b'<html>no</html>')
        wanted, start = self.headers.get('Range'), 0
        if wanted and file.ranges and self.headers.get('If-Range') in (None, file.etag):
            start = int(wanted.removeprefix('bytes=').removesuffix('-'))
            if start >= len(file.body):
                return self.answer(416, b'')
        self.send_file(file, start)

    def answer(self, code, body, **headers):
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def send_file(self, file, start):
        self.send_response(206 if start else 200)
        if file.etag:
            self.send_header('ETag', file.etag)
        if start:
            self.send_header('Content-Range', f'bytes {start}-{len(file.body) - 1}/{len(file.body)}')
        if file.length:
            self.send_header('Content-Length', str(len(file.body) - start))
        else:
            self.send_header('Connection', 'close')
        self.send_header('Content-Type', file.kind)
        self.end_headers()
        end = file.cut.pop(0) if file.cut else len(file.body)
        try:
            if file.hold:
                at, event = file.hold
                self.wfile.write(file.body[start:at])
                self.wfile.flush()
                event.wait(60)
                start = at
            self.wfile.write(file.body[start:end])
        except OSError:
            pass
        if end < len(file.body) or not file.length:
            self.close_connection = True


class Server:
    def __init__(self, certificate=None):
        self.http = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.http.files = self.files = {}
        self.http.daemon_threads = True
        scheme = 'http'
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
            scheme = 'https'
        self.http.handle_error = lambda *_: None
        self.url = f'{scheme}://127.0.0.1:{self.http.server_port}'
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.05,))
        self.thread.start()

    def put(self, path, body=b'', **how):
        self.files[path] = File(body, **how)
        return self.files[path]

    def close(self):
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()
