#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures the starter models against their aims: evaluate_starter.py TEST_DATA DET.onnx REC.onnx; prints JSON.

Uses the peer of the test data (tools/reference.py: onnxruntime, OpenCV) for finding, cropping and comparing, and shares
nothing with the training code. Truth for the detector: the golden detections of scrfd_2.5g_bnkps.
"""
import csv
import importlib.util
import json
import pathlib
import sys

import cv2
import numpy as np

THRESHOLD, NMS = 0.5, 0.4
LEAST_SIDE = 24
SAME_BOX = 0.4


def load_peer(data):
    spec = importlib.util.spec_from_file_location('reference', data / 'tools/reference.py')
    peer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(peer)
    return peer


def overlap(a, b):
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    inner = np.prod(np.clip(high - low, 0, None))
    return inner / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - inner)


def find(detector, picture):
    """With a second look that has a black margin when the first finds nothing, as the golden results were made."""
    boxes, scores, landmarks, _ = detector(picture, THRESHOLD, NMS)
    if len(boxes):
        return boxes, scores, landmarks
    my, mx = picture.shape[0] // 2, picture.shape[1] // 2
    boxes, scores, landmarks, _ = detector(cv2.copyMakeBorder(picture, my, my, mx, mx, cv2.BORDER_CONSTANT), THRESHOLD, NMS)
    return boxes - np.float32([mx, my, mx, my]), scores, landmarks - np.float32([mx, my])


def match(true, found):
    """{index of a true box: index of the found box that overlaps it most}, each used once."""
    pairs = sorted(((overlap(t, f), i, j) for i, t in enumerate(true) for j, f in enumerate(found)), reverse=True)
    matched, used = {}, set()
    for value, i, j in pairs:
        if value >= SAME_BOX and i not in matched and j not in used:
            matched[i] = j
            used.add(j)
    return matched


def compare_picture(truth, boxes, landmarks):
    """For every true face its side, whether it was found, and the landmarks' error; then the sides of what else was found."""
    true = np.array([f['bbox'] for f in truth]).reshape(-1, 4)
    matched = match(true, boxes)
    faces = []
    for i, face in enumerate(truth):
        points = np.array(face['landmarks'])
        gap = np.linalg.norm(points - landmarks[matched[i]], axis=1).mean() if i in matched else np.nan
        faces.append(((true[i, 2:] - true[i, :2]).min(), i in matched, gap / np.linalg.norm(points[0] - points[1])))
    return faces, [(box[2:] - box[:2]).min() for j, box in enumerate(boxes) if j not in matched.values()]


def summarise(faces, spare, least_side):
    faces, spare = [f for f in faces if f[0] >= least_side], [side for side in spare if side >= least_side]
    side, met, error = np.array(faces).T
    return dict(faces=len(faces), found=int(met.sum()), recall=round(float(met.mean()), 4), extra=len(spare),
                extra_share=round(len(spare) / len(faces), 4), landmark_error=round(float(np.nanmean(error)), 4))


def detector_quality(data, detector):
    """Faces of LEAST_SIDE and more in all pictures, the same outside the crowd of lumia.jpg, and all faces of that crowd."""
    parts = {True: ([], []), False: ([], [])}
    for name, truth in json.loads((data / 'golden/detections.json').read_text()).items():
        boxes, _, landmarks = find(detector, cv2.imread(str(data / name)))
        faces, spare = compare_picture(truth['scrfd_2.5g_bnkps']['faces'], boxes, landmarks)
        for part, found in zip(parts[name.endswith('lumia.jpg')], (faces, spare)):
            part += found
    together = [parts[False][k] + parts[True][k] for k in range(2)]
    return dict(all=summarise(*together, LEAST_SIDE), outside_crowd=summarise(*parts[False], LEAST_SIDE),
                crowd=summarise(*parts[True], 0))


def people_quality(peer, data, detector, recogniser):
    """Leave-one-out: every picture's nearest neighbour among all others."""
    crops, names = [], []
    for path in sorted((data / 'people').glob('*/*')):
        picture = cv2.imread(str(path))
        boxes, scores, landmarks = find(detector, picture)
        names.append(path.parent.name)
        if len(boxes):
            middle = np.abs((boxes[:, :2] + boxes[:, 2:]) / 2 - np.array(picture.shape[1::-1]) / 2).sum(1)
            crops.append(peer.align(picture, landmarks[np.argmin(middle)]))
        else:
            crops.append(np.zeros((112, 112, 3), np.uint8))
    embedded = recogniser(crops)
    embedded /= np.linalg.norm(embedded, axis=1, keepdims=True)
    likeness = embedded @ embedded.T
    same = np.equal.outer(names, names)
    off = ~np.eye(len(names), dtype=bool)
    nearest = np.where(off, likeness, -2).argmax(1)
    return dict(pictures=len(names), rank1=round(float(np.mean([names[i] == names[j] for i, j in enumerate(nearest)])), 4),
                lowest_same=round(float(likeness[same & off].min()), 3), highest_different=round(float(likeness[~same].max()), 3))


def pairs_quality(peer, data, detector, recogniser, every=1, pad=120):
    """Of every `every`th pair."""
    embedded, missed = {}, []

    def embed(name):
        if name not in embedded:
            picture = cv2.copyMakeBorder(cv2.imread(str(data / 'lfw-gray/images' / name)), *[pad] * 4, cv2.BORDER_CONSTANT)
            boxes, scores, landmarks, _ = detector(picture, 0.3)
            if len(boxes):
                middle = np.abs((boxes[:, :2] + boxes[:, 2:]) / 2 - np.array(picture.shape[1::-1]) / 2).sum(1)
                vector = recogniser([peer.align(picture, landmarks[np.argmin(middle)])])[0]
                embedded[name] = vector / np.linalg.norm(vector)
            else:
                embedded[name] = None
                missed.append(name)
        return embedded[name]

    with open(data / 'lfw-gray/pairs.csv', newline='') as f:
        rows = [(embed(r['image_a']), embed(r['image_b']), r['same'] == '1') for r in list(csv.DictReader(f))[::every]]
    likeness = np.array([float(a @ b) if a is not None and b is not None else -1 for a, b, _ in rows])
    same = np.array([s for _, _, s in rows])
    thresholds = np.sort(likeness)
    fold, accuracies = np.arange(len(rows)) % 10, []
    for k in range(10):
        best = thresholds[np.argmax([((likeness[fold != k] > t) == same[fold != k]).mean() for t in thresholds])]
        accuracies.append(((likeness[fold == k] > best) == same[fold == k]).mean())
    scores = [((likeness > t) == same).mean() for t in thresholds]
    return dict(pairs=len(rows), missed=len(missed), accuracy_10fold=round(float(np.mean(accuracies)), 4),
                accuracy_best=round(float(max(scores)), 4), threshold=round(float(thresholds[int(np.argmax(scores))]), 3))


def evaluate(data, detector_path, recogniser_path, alone_every=1):
    """The starter pair alone does everything; the last entry has the teacher's detector before the starter's recogniser, and of
    the pairs every `alone_every`th, since the teacher takes five times as long as the rest."""
    peer = load_peer(data)
    # One thread each: several would spend as much again on waiting for each other.
    detector, recogniser = peer.Detector(str(detector_path), threads=1), peer.Recogniser(str(recogniser_path), threads=1)
    teacher = peer.Detector(str(data / 'models/scrfd_2.5g_bnkps.onnx'), threads=1)
    return dict(detector=detector_quality(data, detector), people=people_quality(peer, data, detector, recogniser),
                pairs=pairs_quality(peer, data, detector, recogniser),
                recogniser_alone=dict(people=people_quality(peer, data, teacher, recogniser),
                                      pairs=pairs_quality(peer, data, teacher, recogniser, alone_every)))


if __name__ == '__main__':
    print(json.dumps(evaluate(pathlib.Path(sys.argv[1]), *sys.argv[2:4]), indent=1))
