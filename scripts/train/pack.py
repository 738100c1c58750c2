#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Packs the training pictures for a machine that has little room: pack.py TRAINING_FOLDER OUT.npz DIGESTS.txt

Every picture is bounded in size and stored as WebP; of the aligned faces, age, gender and origin go along as their names
state them (age_gender_origin_date). DIGESTS.txt, models/starter/training-digests.txt in the end, lists the original files by
the first digits of their SHA-256, so that a test can show that no test picture was among them.
"""
import hashlib
import pathlib
import sys

import cv2
import numpy as np

LONGEST = {'utk': 184, 'masks': 280}
QUALITY = 74
DIGITS = 16
HEADER = f'# The pictures that trained the models here: first {DIGITS} hexadecimal digits of the SHA-256 of each file\n'


def labels_of(name):
    """Age, gender (0 or 1) and origin (0 to 4); what a name leaves out or garbles becomes age 0."""
    parts = name.split('_')
    good = len(parts) == 4 and parts[1] in ('0', '1') and parts[2] in ('0', '1', '2', '3', '4')
    return [int(part) for part in parts[:3]] if good else [0, 0, 0]


def pack(folder, longest):
    encoded, digests, labels = [], [], []
    for path in sorted(folder.glob('*.jpg')):
        data = path.read_bytes()
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        if picture is None:
            print(f'skipping {path.name}: not a picture')
            continue
        scale = longest / max(picture.shape[:2])
        if scale < 1:
            picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        encoded.append(cv2.imencode('.webp', picture, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])[1].tobytes())
        digests.append(hashlib.sha256(data).hexdigest())
        labels.append(labels_of(path.name))
    return encoded, digests, labels


def main():
    source, target, listing = map(pathlib.Path, sys.argv[1:])
    arrays, listed = {}, []
    for name, longest in LONGEST.items():
        encoded, digests, labels = pack(source / name, longest)
        arrays[f'{name}_bytes'] = np.frombuffer(b''.join(encoded), np.uint8)
        arrays[f'{name}_sizes'] = np.array([len(e) for e in encoded])
        listed += digests
        if name == 'utk':
            arrays['utk_labels'] = np.array(labels)
        print(name, len(encoded), 'pictures,', len(arrays[f'{name}_bytes']) >> 10, 'KiB')
    np.savez(target, **arrays)
    listing.write_text(HEADER + ''.join(f'{digest[:DIGITS]}\n' for digest in sorted(listed)))


if __name__ == '__main__':
    main()
