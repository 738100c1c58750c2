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


def detector_quality(data, detector):
    golden = json.loads((data / 'golden/detections.json').read_text())
    wanted = met = extra = found_all = 0
    errors, crowd = [], None
    for name, truth in golden.items():
        boxes, scores, landmarks = find(detector, cv2.imread(str(data / name)))
        faces = truth['scrfd_2.5g_bnkps']['faces']
        true = np.array([f['bbox'] for f in faces]).reshape(-1, 4)
        sides = (true[:, 2:] - true[:, :2]).min(1)
        matched = match(true, boxes)
        large = sides >= LEAST_SIDE
        wanted, met = wanted + int(large.sum()), met + sum(large[i] for i in matched)
        spare = [j for j in range(len(boxes)) if j not in matched.values() and (boxes[j, 2:] - boxes[j, :2]).min() >= LEAST_SIDE]
        extra, found_all = extra + len(spare), found_all + len(boxes)
        for i, j in matched.items():
            if large[i]:
                points = np.array(faces[i]['landmarks'])
                errors.append(np.linalg.norm(points - landmarks[j], axis=1).mean() / np.linalg.norm(points[0] - points[1]))
        if name.endswith('lumia.jpg'):
            crowd = dict(faces=len(true), found=len(matched), least_side=round(float(sides.min()), 1), extra=len(boxes) - len(matched))
    return dict(faces=wanted, found=int(met), recall=round(float(met / wanted), 4), extra=extra, extra_share=round(extra / wanted, 4),
                crowd_share=round(crowd['found'] / crowd['faces'], 4),
                landmark_error=round(float(np.mean(errors)), 4), crowd=crowd)


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
