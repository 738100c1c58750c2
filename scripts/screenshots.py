#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes docs/images/page-*.png of the server's page, from examples/group.jpg and the starter pack.

usage: screenshots.py [--vultus build/tools/vultus] [--out docs/images]
Needs Chromium, and from PyPI numpy, opencv-python-headless, pillow and websocket-client.
"""
import argparse
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import urllib.request

import cv2
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / 'tests/server'))
from browser import Browser  # noqa: E402

PHOTO = ROOT / 'examples/group.jpg'
MOST_BYTES = 150_000


def start_server(vultus):
    environment = {name: value for name, value in os.environ.items() if not name.startswith('VULTUS_') or name == 'VULTUS_PLANS'}
    process = subprocess.Popen([vultus, 'serve', '--port', '0', '--access-log', 'off', '--images-root', str(PHOTO.parent)], stderr=subprocess.PIPE,
                               text=True, env=environment)
    address = next(found.group(1) for line in process.stderr if (found := re.search(r'serving (http://\S+)', line)))
    threading.Thread(target=process.stderr.read, daemon=True).start()
    return process, address


def extract(address, path, embeddings=0):
    request = urllib.request.Request(f'{address}/v1/extract?extract_embedding={embeddings}', path.read_bytes(), {'Content-Type': 'image/jpeg'})
    return json.load(urllib.request.urlopen(request))['data'][0]['faces']


def cut_faces(address, folder, count):
    """The largest faces of the photo, each with its surroundings as a picture of its own."""
    pixels, paths = cv2.imread(str(PHOTO)), []
    faces = sorted(extract(address, PHOTO), key=lambda face: -face['size'])[:count]
    for number, face in enumerate(faces):
        x1, y1, x2, y2 = face['bbox']
        margin = (y2 - y1) // 2
        paths.append(folder / f'person-{number + 1}.jpg')
        cv2.imwrite(str(paths[-1]), pixels[max(y1 - margin, 0):y2 + margin, max(x1 - margin, 0):x2 + margin])
    return paths


def load(address, seconds):
    """A few clients at once, so that the charts have something to show."""
    def work():
        while not over.is_set():
            extract(address, PHOTO, embeddings=1)
    over = threading.Event()
    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    threading.Timer(seconds, over.set).start()
    return threads


def keep(browser, path):
    """The page's picture with as many colours as the limit on bytes allows."""
    image = Image.open(io.BytesIO(browser.screenshot(whole=False))).convert('RGB')
    for colours in (256, 192, 128, 96, 64):
        image.quantize(colours, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size < MOST_BYTES:
            break
    print(f'{path}: {path.stat().st_size} bytes')


def photos(browser, address, out):
    for name, width, height, dark in (('light', 1180, 900, False), ('dark', 1180, 900, True), ('phone', 360, 780, False)):
        browser.open(f'{address}/#photos', width, height, dark)
        browser.choose('#photo-input', PHOTO)
        browser.until('document.querySelector(".faces li")')
        if name == 'phone':
            browser.evaluate('document.querySelector("#photo-results").scrollIntoView()')
        keep(browser, out / f'page-photos-{name}.png')


def compare(browser, address, out, pictures):
    browser.open(f'{address}/#compare', 1180, 860)
    browser.choose('#input-a', pictures[0])
    browser.choose('#input-b', pictures[1])
    browser.until('document.querySelector(".verdict")')
    keep(browser, out / 'page-compare.png')


def status(browser, address, out):
    browser.open(f'{address}/#status', 1180, 1370)
    threads = load(address, 20)
    browser.until('document.querySelectorAll("#latency-chart .line0").length > 0')
    for thread in threads:
        thread.join()
    keep(browser, out / 'page-status.png')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--vultus', default=str(ROOT / 'build/tools/vultus'))
    parser.add_argument('--out', type=pathlib.Path, default=ROOT / 'docs/images')
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    process, address = start_server(options.vultus)
    browser = Browser()
    try:
        with tempfile.TemporaryDirectory() as folder:
            photos(browser, address, options.out)
            compare(browser, address, options.out, cut_faces(address, pathlib.Path(folder), 2))
            status(browser, address, options.out)
            browser.open(f'{address}/docs', 1180, 900)
            browser.until('document.querySelector(".route")')
            keep(browser, options.out / 'page-docs.png')
    finally:
        browser.close()
        process.terminate()
        process.wait(30)


if __name__ == '__main__':
    main()
