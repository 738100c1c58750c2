# SPDX-License-Identifier: Apache-2.0
"""Headless Chromium, driven by its DevTools protocol over a web socket."""
import base64
import contextlib
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request

import websocket  # websocket-client

SECONDS = 30


def program():
    """Path of a Chromium, or None."""
    return next(filter(None, map(shutil.which, ('chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome'))), None)


class Browser:
    """One process with one page; `requests` holds every url that the page asked for since it was opened."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix='browser', ignore_cleanup_errors=True)
        # The sandbox needs rights that containers and root lack; pages here come from this repository alone.
        self.process = subprocess.Popen(
            [program(), '--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run', '--disable-background-networking',
             '--hide-scrollbars', '--force-color-profile=srgb', '--remote-allow-origins=*', '--remote-debugging-port=0', f'--user-data-dir={self.folder.name}', 'about:blank'],
            stderr=subprocess.PIPE, text=True, env={**os.environ, 'HOME': self.folder.name}, start_new_session=True)
        port = next(found.group(1) for line in self.process.stderr if (found := re.search(r'listening on ws://[^:]+:(\d+)/', line)))
        targets = json.load(urllib.request.urlopen(f'http://127.0.0.1:{port}/json/list', timeout=SECONDS))
        address = next(target['webSocketDebuggerUrl'] for target in targets if target['type'] == 'page')
        self.socket = websocket.create_connection(address, timeout=SECONDS)
        self.numbers, self.requests, self.complaints = itertools.count(1), [], []
        for domain in ('Page', 'Runtime', 'Network', 'DOM', 'Log'):
            self.call(f'{domain}.enable')

    def close(self):
        self.call('Browser.close')
        self.socket.close()
        try:
            self.process.wait(10)
        finally:  # Debian's program is a script around the real one
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.stderr.close()
        self.folder.cleanup()

    def call(self, method, **parameters):
        number = next(self.numbers)
        self.socket.send(json.dumps({'id': number, 'method': method, 'params': parameters}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get('id') == number:
                assert 'error' not in message, (method, message['error'])
                return message['result']
            self.note(message)

    def note(self, event):
        parameters = event.get('params', {})
        if event.get('method') == 'Network.requestWillBeSent':
            self.requests.append(parameters['request']['url'])
        elif event.get('method') == 'Runtime.exceptionThrown':
            self.complaints.append(parameters['exceptionDetails'].get('exception', {}).get('description') or parameters['exceptionDetails']['text'])
        elif event.get('method') == 'Log.entryAdded' and parameters['entry']['source'] != 'network':
            self.complaints.append(parameters['entry']['text'])

    # ---------------------------------------------------------------- the page

    def evaluate(self, expression):
        """Value of a JavaScript expression, awaited if it is a promise."""
        result = self.call('Runtime.evaluate', expression=expression, awaitPromise=True, returnByValue=True)
        assert 'exceptionDetails' not in result, result['exceptionDetails'].get('exception', {}).get('description')
        return result['result'].get('value')

    def until(self, expression):
        """Waits for an expression to be true."""
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            if self.evaluate(f'Boolean({expression})'):
                return
            time.sleep(0.03)
        raise AssertionError(f'never true: {expression}\n{self.evaluate("document.body.innerText")}\n{self.complaints}')

    def open(self, url, width=1180, height=900, dark=False):
        self.call('Emulation.setDeviceMetricsOverride', width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call('Emulation.setEmulatedMedia', features=[{'name': 'prefers-color-scheme', 'value': 'dark' if dark else 'light'}])
        self.call('Page.navigate', url='about:blank')
        self.requests.clear()
        self.complaints.clear()
        self.call('Page.navigate', url=url)
        self.until('location.href !== "about:blank" && document.readyState === "complete"')

    def choose(self, selector, *paths):
        """Files for a file input."""
        root = self.call('DOM.getDocument')['root']['nodeId']
        node = self.call('DOM.querySelector', nodeId=root, selector=selector)['nodeId']
        self.call('DOM.setFileInputFiles', nodeId=node, files=[str(path) for path in paths])

    def drop(self, selector, *paths):
        """Files dragged onto the middle of an element."""
        x, y = self.evaluate(f'(() => {{ const e = document.querySelector({json.dumps(selector)}); e.scrollIntoView({{block: "center"}});'
                             ' const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()')
        data = {'items': [], 'files': [str(path) for path in paths], 'dragOperationsMask': 1}
        for kind in ('dragEnter', 'dragOver', 'drop'):
            self.call('Input.dispatchDragEvent', type=kind, x=x, y=y, data=data)

    def press(self, key, code=None, text=None):
        named = {'Tab': 9, 'Enter': 13, 'Escape': 27, ' ': 32}
        event = {'key': key, 'code': code or key, 'windowsVirtualKeyCode': named.get(key, 0)}
        if text or key in ('Enter', ' '):
            event['text'] = text or {'Enter': '\r', ' ': ' '}[key]
        self.call('Input.dispatchKeyEvent', type='keyDown', **event)
        self.call('Input.dispatchKeyEvent', type='keyUp', **event)

    def screenshot(self, whole=True):
        """PNG bytes."""
        return base64.b64decode(self.call('Page.captureScreenshot', format='png', captureBeyondViewport=whole)['data'])
