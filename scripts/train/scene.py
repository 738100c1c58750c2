#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Composes examples/group.jpg, a wall of portraits of people who do not exist, from what faces.py invented.

  scene.py unpack FACES.npz FOLDER                        every candidate as a picture
  scene.py judge FOLDER TRAINING MODELS REPORT.json       which may be used: found by both detectors, like no training picture
  scene.py sheet FOLDER REPORT.json OUT.jpg               the best of them with their numbers, to choose from by eye
  scene.py compose FOLDER OUT.jpg N,N,...                 the wall, with the chosen ones
  scene.py nearest FOLDER REPORT.json TRAINING OUT.jpg N,N,...   each chosen one beside its nearest training picture

Detection and embeddings are those of the vultus command ($VULTUS, else build/vultus).
"""
import json
import os
import pathlib
import subprocess
import sys

import cv2
import numpy as np

FRAME = 384             # pixels of a candidate's picture, the invented 256 in its middle
LEAST_SCORE = 0.68      # by each detector; in the scene 0.6 is wanted
MOST_LIKE = 0.43        # cosine to the nearest training picture; 0.45 is the rule
DETECTORS = ('scrfd_2.5g_bnkps', 'det_500m')
RECOGNISER = 'mobilefacenet'


def unpack(packed, folder):
    folder.mkdir(parents=True, exist_ok=True)
    faces = np.load(packed)
    ends = np.cumsum(faces['sizes'])
    for i, (start, stop) in enumerate(zip(np.concatenate([[0], ends[:-1]]), ends)):
        face = cv2.resize(cv2.imdecode(faces['bytes'][start:stop], cv2.IMREAD_COLOR), (256, 256), interpolation=cv2.INTER_CUBIC)
        border = (FRAME - 256) // 2
        cv2.imwrite(str(folder / f'{i:05d}.png'), cv2.copyMakeBorder(face, *[border] * 4, cv2.BORDER_CONSTANT, value=(170, 175, 180)))


def extract(folder, models, detector):
    """{file name: its faces, the largest first}"""
    command = [os.environ.get('VULTUS', 'build/vultus'), 'extract', str(folder), '--ndjson', '--threshold', '0.5', '--det',
               str(models / f'{detector}.onnx'), '--rec', str(models / f'{RECOGNISER}.onnx')]
    lines = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    found = {}
    for record in map(json.loads, lines):
        area = lambda face: -(face['bbox'][2] - face['bbox'][0]) * (face['bbox'][3] - face['bbox'][1])
        found[pathlib.Path(record['file']).name] = sorted(record.get('faces', []), key=area)
    return found


def unit(vectors):
    vectors = np.array(vectors, np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def judge(folder, training, models, report):
    seen = [extract(folder, models, detector) for detector in DETECTORS]
    known, names = [], []
    for part in ('utk', 'masks'):
        for name, faces in extract(training / part, models, 'det_500m').items():
            known += [face['embedding'] for face in faces if 'embedding' in face]
            names += [f'{part}/{name}' for face in faces if 'embedding' in face]
    known = unit(known)
    usable = []
    for name in sorted(seen[0]):
        faces = [look.get(name, []) for look in seen]
        if any(len(f) != 1 or f[0]['score'] < LEAST_SCORE or 'embedding' not in f[0] for f in faces):
            continue
        likeness = known @ unit([faces[0][0]['embedding']])[0]
        nearest = int(likeness.argmax())
        if likeness[nearest] < MOST_LIKE:
            usable.append(dict(name=name, score=min(f[0]['score'] for f in faces), box=faces[0][0]['bbox'],
                               likeness=float(likeness[nearest]), nearest=names[nearest]))
    usable.sort(key=lambda one: -one['score'])
    report.write_text(json.dumps(usable, indent=1))
    print(f'{len(usable)} of {len(seen[0])} may be used; {len(known)} training faces')


def sheet(folder, report, out):
    tiles = []
    for one in json.loads(report.read_text())[:150]:
        tile = cv2.resize(cv2.imread(str(folder / one['name']))[64:320, 64:320], (128, 128), interpolation=cv2.INTER_AREA)
        cv2.putText(tile, one['name'][:5], (2, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 255, 255), 1, cv2.LINE_AA)
        tiles.append(tile)
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % 15)
    cv2.imwrite(str(out), np.vstack([np.hstack(tiles[i:i + 15]) for i in range(0, len(tiles), 15)]))


# ---- the wall ----

WIDTH, HEIGHT, FLOOR = 1280, 860, 760
# Left, top and width of each picture, its frame's width and colour (B G R).
PORTRAITS = ((80, 110, 170, 15, (38, 62, 92)), (336, 64, 224, 20, (40, 44, 48)), (660, 100, 150, 14, (70, 128, 168)),
             (910, 70, 200, 18, (48, 76, 118)), (1172, 150, 84, 8, (40, 44, 48)), (110, 436, 120, 12, (74, 132, 174)),
             (306, 470, 96, 10, (40, 44, 48)), (484, 440, 160, 16, (52, 82, 124)), (744, 392, 176, 16, (36, 40, 44)),
             (1006, 420, 112, 12, (42, 66, 98)), (1184, 400, 72, 8, (74, 132, 174)))
TALL = 1.2              # height of a picture over its width


def grain(shape, strength, size, generator):
    noise = generator.standard_normal((max(2, shape[0] // size), max(2, shape[1] // size), 1)).astype(np.float32)
    return strength * cv2.resize(noise, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)[:, :, None]


def room(generator):
    """Plaster, a skirting board and planks, lit from above."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    light = 0.80 + 0.26 * np.exp(-((x - 620) / 620) ** 2 - ((y - 240) / 420) ** 2)
    scene = np.array((150, 158, 148), np.float32) * light[:, :, None]
    scene += grain((HEIGHT, WIDTH), 2.2, 2, generator) + grain((HEIGHT, WIDTH), 2.5, 24, generator)
    planks = np.array((70, 104, 142), np.float32) * (0.72 + 0.24 * (y - FLOOR) / (HEIGHT - FLOOR))[:, :, None]
    depth = 1 + np.maximum(y - FLOOR, 0) / 70
    board = np.floor((x - WIDTH / 2) / depth / 46)
    planks *= (1 + 0.10 * np.sin(board * 12.9898))[:, :, None]
    planks *= (1 - 0.35 * (np.abs((x - WIDTH / 2) / depth / 46 - board) < 0.03))[:, :, None]
    planks += grain((HEIGHT, WIDTH), 4, 3, generator)
    scene[FLOOR:] = planks[FLOOR:]
    scene[FLOOR - 34:FLOOR] = np.array((196, 202, 200), np.float32) * light[FLOOR - 34:FLOOR, :, None]
    scene[FLOOR - 36:FLOOR - 34] *= 0.75
    scene[FLOOR:FLOOR + 5] *= 0.5
    return scene


def hang(scene, face, left, top, width, frame, colour):
    """A framed picture with a mat, and the shadow it throws."""
    height, mat = round(width * TALL), max(4, frame // 2 + 2)
    edge = frame + mat
    shadow = np.zeros(scene.shape[:2], np.float32)
    cv2.rectangle(shadow, (left - edge + 5, top - edge + 9), (left + width + edge + 7, top + height + edge + 13), 0.5, -1)
    scene *= 1 - cv2.GaussianBlur(shadow, (0, 0), 7)[:, :, None]
    for grown, paint in ((edge, colour), (edge - 3, tuple(1.25 * c for c in colour)), (mat + 2, tuple(0.7 * c for c in colour)),
                         (mat, (226, 232, 236)), (1, (150, 154, 158))):
        cv2.rectangle(scene, (left - grown, top - grown), (left + width + grown - 1, top + height + grown - 1), paint, -1)
    cut = round(face.shape[0] / TALL)
    start = (face.shape[1] - cut) // 2
    face = cv2.resize(face[:, start:start + cut], (width, height), interpolation=cv2.INTER_AREA if width < cut else cv2.INTER_CUBIC)
    face = face.astype(np.float32)
    face += 0.45 * (face - cv2.GaussianBlur(face, (0, 0), 1.4))
    scene[top:top + height, left:left + width] = face


def compose(folder, out, chosen):
    generator = np.random.default_rng(7)
    scene = np.ascontiguousarray(room(generator))
    for number, place in zip(chosen, PORTRAITS, strict=True):
        hang(scene, cv2.imread(str(folder / f'{number:05d}.png'))[64:320, 64:320], *place)
    scene += generator.standard_normal(scene.shape).astype(np.float32) * 1.6
    cv2.imwrite(str(out), scene.clip(0, 255).round().astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 90])


def nearest(folder, report, training, out, chosen):
    """A row each: the invented face, the training picture whose embedding is nearest."""
    known = {int(one['name'][:5]): one for one in json.loads(report.read_text())}
    rows = []
    for number in chosen:
        one = known[number]
        pair = [cv2.imread(str(folder / one['name']))[64:320, 64:320], cv2.imread(str(training / one['nearest']))]
        rows.append(np.hstack([cv2.resize(picture, (160, 160)) for picture in pair]))
        print(number, f"cosine {one['likeness']:.3f}", one['nearest'])
    half = (len(rows) + 1) // 2
    rows += [np.zeros_like(rows[0])] * (2 * half - len(rows))
    cv2.imwrite(str(out), np.hstack([np.vstack(rows[:half]), np.vstack(rows[half:])]))


def main():
    verb, *arguments = sys.argv[1:]
    paths = [pathlib.Path(argument) for argument in arguments]
    if verb in ('compose', 'nearest'):
        paths[-1] = [int(number) for number in arguments[-1].split(',')]
    {'unpack': unpack, 'judge': judge, 'sheet': sheet, 'compose': compose, 'nearest': nearest}[verb](*paths)


if __name__ == '__main__':
    main()
