#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes corpus/run: lists, archives, interrupted runs and records, as fuzz_run.c reads them. usage: make_runs.py"""
import io
import json
import pathlib
import tarfile

FOLDER = pathlib.Path(__file__).parent / 'run'
LIST, ARCHIVE, RUN, NPZ, MSGPACK = (bytes([i]) for i in range(5))


def tar(mode, *members):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=mode) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return data.getvalue()


def record(name, faces=1):
    quality = {'overall': 0.5, 'norm': None, 'sharpness': 9.5, 'size': 40, 'yaw': 1, 'pitch': -2, 'roll': 3,
               'parts': {'norm': None, 'sharpness': 0.5, 'size': 0.25, 'pose': 1}}
    face = {'bbox': [1, 2, 3, 4], 'score': 0.75, 'landmarks': [[i, i] for i in range(5)], 'pass': 'plain', 'turn': 90, 'norm': 3,
            'embedding': [0.6, 0.8], 'attributes': {'quality': quality, 'liveness': {'live': True, 'probability': 0.9}}}
    return json.dumps({'file': name, 'width': 30, 'height': 20, 'faces': [face] * faces}).encode() + b'\n'


def main():
    FOLDER.mkdir(exist_ok=True)
    lines = record('a.jpg') + record('\u00e9.jpg', 2) + b'{"file": "b.jpg", "error": "b.jpg is empty"}\n'
    photos, about = 'a.jpg\n\u00e9.jpg\nb.jpg\nc.jpg\n'.encode(), b'{"threshold": 1}'
    whole = tar('w', ('a.jpg', b'\xff\xd8\xff' * 30), ('notes.txt', b'no'), ('b/c.png', b'\x89PNG'))
    odd = b'{"file": 1, "faces": [1, {"bbox": {}, "landmarks": [[]], "embedding": [null, 1e999], "attributes": []}, []]}\n{}\n[]\n'
    seeds = {
        'list': LIST + photos, 'list_odd': LIST + b'\r\n\n\0\n-\n' + b'x' * 300, 'archive': ARCHIVE + whole, 'archive_cut': ARCHIVE + whole[:700],
        'archive_gz': ARCHIVE + tar('w:gz', ('a.jpg', b'\xff\xd8\xff')), 'no_archive': ARCHIVE + b'no archive' * 60,
        'run': b'\0'.join([RUN + about, photos, lines]), 'run_cut': b'\0'.join([RUN + about, photos, lines[:-9]]),
        'run_of_others': b'\0'.join([RUN + about, b'z.jpg\n', lines]), 'run_changed': b'\0'.join([RUN + b'{"threshold": 2}', photos, lines]),
        'run_no_identity': b'\0'.join([RUN, photos, lines]), 'run_nul': b'\0'.join([RUN + about, photos, b'{"file": "a.jpg", \0}\n']),
        'npz': NPZ + lines, 'npz_odd': NPZ + odd, 'npz_nothing': NPZ, 'msgpack': MSGPACK + lines, 'msgpack_odd': MSGPACK + odd,
        'deep': MSGPACK + b'[' * 5000 + b'\n', 'empty': b''}
    for name, content in seeds.items():
        (FOLDER / name).write_bytes(content)


if __name__ == '__main__':
    main()
