#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes corpus/archive, corpus/note and corpus/catalogue: what a models folder reads from others, whole and damaged."""
import io
import json
import pathlib
import random
import struct
import zipfile

FOLDER = pathlib.Path(__file__).resolve().parent
MODEL = b'\x08\x07' + random.Random(1).randbytes(3000)


def save(kind, name, data):
    (FOLDER / kind / name).write_bytes(data if isinstance(data, bytes) else data.encode())


def zipped(*members, method=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w', method) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return out.getvalue()


def patched(data, marker, offset, value):
    at = data.index(marker) + offset
    return data[:at] + value + data[at + len(value):]


def archives():
    good = zipped(('pack/', b''), ('pack/a.onnx', MODEL), ('b.onnx', MODEL[:100]), ('README', b'hi'))
    stored = zipped(('a.onnx', MODEL), method=zipfile.ZIP_STORED)
    central = b'PK\x01\x02'
    yield 'good', good
    yield 'stored', stored
    yield 'cut-in-data', good[:700]
    yield 'cut-in-directory', good[:-60]
    yield 'empty', zipped()
    yield 'no-archive', MODEL
    for name in ('../a.onnx', '/a.onnx', 'x/../../a.onnx', '..\\a.onnx', 'a\x01.onnx', 'x' * 2000 + '.onnx', '.onnx'):
        yield f'name-{len(name)}-{name[:2].encode().hex()}', zipped((name, MODEL))
    yield 'bomb', zipped(('a.onnx', bytes(3 << 20)))
    yield 'wrong-checksum', patched(stored, b'\x08\x07', 50, b'\xff')
    yield 'understated-size', patched(stored, central, 24, struct.pack('<I', 100))
    yield 'overstated-size', patched(stored, central, 24, struct.pack('<I', 100000))
    yield 'encrypted', patched(stored, central, 8, b'\x01')
    yield 'unknown-method', patched(good, central, 10, b'\x63')
    yield 'header-outside', patched(stored, central, 42, struct.pack('<I', 1 << 30))
    yield 'directory-outside', patched(stored, b'PK\x05\x06', 16, struct.pack('<I', 1 << 30))
    yield 'many-entries', patched(stored, b'PK\x05\x06', 8, b'\xff\xff\xff\xff')
    yield 'twice', zipped(('x/a.onnx', MODEL), ('y/a.onnx', MODEL))


def notes():
    manifest = {'sha256': '0' * 64, 'bytes': 5, 'trust': 'first use', 'origin': 'https://example.org/a.onnx'}
    part = {'url': 'https://example.org/a.onnx', 'validator': '"1"', 'total': 10}
    yield 'manifest', manifest
    yield 'part', part
    for key, values in {'sha256': ['', 'A' * 64, 5], 'bytes': [-1, 1.5, '5', 2 ** 63 - 1], 'trust': ['unknown', None],
                        'origin': [None, 'x' * 3000]}.items():
        for i, value in enumerate(values):
            yield f'manifest-{key}-{i}', {**manifest, key: value}
    for key, values in {'url': [5, 'x' * 5000], 'validator': ['a\r\nb: c', 'x' * 300], 'total': [-5, None]}.items():
        for i, value in enumerate(values):
            yield f'part-{key}-{i}', {**part, key: value}
    yield 'list', []
    yield 'text', 'text'


CATALOGUE = '''licences:
  - {id: free, text: Do what you like., url: 'https://example.org', accept: no, source: &s [a page, a file]}
packs:
  - {name: p, licence: free, sha256: '', bytes: 100, urls: ['https://example.org/p.zip'], page: here, source: *s}
models:
  - {name: m, function: arcface, width: 112, height: 112, channels: rgb, mean: [0, 0, 0], std: [1, 1, 1], origin: o,
     licence: free, sha256: '', bytes: 50, urls: ['http://example.org/m.onnx'], packs: [p], aliases: [n], source: *s, page: ''}
'''


def catalogues():
    yield 'good', CATALOGUE
    for name, (old, new) in {'unknown-pack': ('packs: [p]', 'packs: [q]'), 'same-name': ('name: p', 'name: m'), 'path': ('name: m', 'name: ../m'),
                             'bad-url': ('http://', 'file://'), 'huge': ('bytes: 50', 'bytes: 99999999999999999999'),
                             'cut': ('std: [1, 1, 1], origin: o', 'std: [1, 1'), 'self': ('[a page, a file]', '[*s]'),
                             'key': ('page: here', '? [a]\n    : b'), 'nul': ('here', '"a\\0b"'), 'yes-no': ('accept: no', 'accept: 0')}.items():
        assert old in CATALOGUE
        yield name, CATALOGUE.replace(old, new)
    yield 'empty', ''
    yield 'list', '[]'
    yield 'deep', '[' * 200


for kind, items in {'archive': archives(), 'note': notes(), 'catalogue': catalogues()}.items():
    for file, content in items:
        save(kind, file, json.dumps(content) if kind == 'note' else content)
