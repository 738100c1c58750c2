#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints expected_families.h: what numpy makes of detectors' outputs filled with noise, written from the methods' papers
and the InsightFace-REST behaviour: anchors by Faster R-CNN's construction, exponentials, grids. Needs numpy."""
import numpy as np

WIDTH, HEIGHT, THRESHOLD = 256, 128, 0.992


def noise(seed, *shape):
    """Numbers in [0, 1), the same as test_families.c makes."""
    i = np.arange(np.prod(shape), dtype=np.uint64) + np.uint64(seed * 1000003)
    v = i * np.uint64(2654435761) & np.uint64(0xffffffff)
    v ^= v >> np.uint64(15)
    v = v * np.uint64(2246822519) & np.uint64(0xffffffff)
    return ((v >> np.uint64(8)) / 2.0 ** 24).reshape(shape)


def signed(seed, *shape):
    return noise(seed, *shape) * 2 - 1


def grid(stride):
    y, x = np.mgrid[:HEIGHT // stride, :WIDTH // stride]
    return np.stack([x, y], -1).reshape(-1, 2) * stride


def scrfd(strides, anchors):
    faces = []
    for s, stride in enumerate(strides):
        centre = np.repeat(grid(stride), anchors, axis=0)
        n = len(centre)
        score, box, points = noise(3 * s, n), noise(3 * s + 1, n, 4), signed(3 * s + 2, n, 5, 2)
        corners = np.concatenate([centre - box[:, :2] * stride, centre + box[:, 2:] * stride], 1)
        where = points * stride + centre[:, None]
        faces += [(score[i], corners[i], where[i]) for i in np.nonzero(score > THRESHOLD)[0]]
    return faces


def base_anchors(scales, base=16):
    """Square anchors around the centre of a base box of 0 .. base - 1 (Ren et al. 2015)."""
    middle, sides = (base - 1) / 2, base * np.array(scales)
    return np.stack([middle - (sides - 1) / 2, middle - (sides - 1) / 2, middle + (sides - 1) / 2, middle + (sides - 1) / 2], 1)


def retinaface(landmark_std):
    faces = []
    for s, (stride, scales) in enumerate([(32, (32, 16)), (16, (8, 4)), (8, (2, 1))]):
        h, w, a = HEIGHT // stride, WIDTH // stride, 2
        classes, deltas, points = noise(3 * s, 2 * a, h, w), signed(3 * s + 1, 4 * a, h, w), signed(3 * s + 2, 10 * a, h, w)
        anchors = (base_anchors(scales)[None] + np.tile(grid(stride), 2)[:, None]).reshape(-1, 4)
        score = classes[a:].transpose(1, 2, 0).reshape(-1)
        deltas = deltas.transpose(1, 2, 0).reshape(-1, 4)
        points = points.transpose(1, 2, 0).reshape(-1, 5, 2)
        size = anchors[:, 2:] - anchors[:, :2] + 1
        middle = anchors[:, :2] + (size - 1) / 2
        centre, extent = deltas[:, :2] * size + middle, np.exp(deltas[:, 2:]) * size
        box = np.concatenate([centre - (extent - 1) / 2, centre + (extent - 1) / 2], 1)
        where = points * landmark_std * size[:, None] + middle[:, None]
        faces += [(score[i], box[i], where[i]) for i in np.nonzero(score >= THRESHOLD)[0]]
    return faces


def retinaface_torch():
    """Priors in parts of the picture, row by row, column by column, smaller one first (the method's published PyTorch code)."""
    priors = []
    for stride, sides in ((8, (16, 32)), (16, (64, 128)), (32, (256, 512))):
        priors += [((x + stride / 2) / WIDTH, (y + stride / 2) / HEIGHT, s / WIDTH, s / HEIGHT) for x, y in grid(stride) for s in sides]
    priors, whole = np.array(priors), np.array([WIDTH, HEIGHT])
    deltas, classes, points = signed(0, len(priors), 4), noise(1, len(priors), 2), signed(2, len(priors), 5, 2)
    centre, size = priors[:, :2] + deltas[:, :2] * 0.1 * priors[:, 2:], priors[:, 2:] * np.exp(deltas[:, 2:] * 0.2)
    where = (priors[:, None, :2] + points * 0.1 * priors[:, None, 2:]) * whole
    return [(classes[i, 1], np.concatenate([(centre[i] - size[i] / 2) * whole, (centre[i] + size[i] / 2) * whole]), where[i])
            for i in np.nonzero(classes[:, 1] > THRESHOLD)[0]]


def centerface():
    h, w = HEIGHT // 4, WIDTH // 4
    heat, scale, offset, points = noise(0, h, w), signed(1, 2, h, w) + 1, signed(2, 2, h, w), noise(3, 10, h, w)
    faces = []
    for r, q in zip(*np.nonzero(heat > THRESHOLD)):
        height, width = 4 * np.exp(scale[:, r, q])
        x1 = np.clip((q + offset[1, r, q] + 0.5) * 4 - width / 2, 0, WIDTH)
        y1 = np.clip((r + offset[0, r, q] + 0.5) * 4 - height / 2, 0, HEIGHT)
        where = [(points[2 * j + 1, r, q] * width + x1, points[2 * j, r, q] * height + y1) for j in range(5)]
        faces.append((heat[r, q], (x1, y1, min(x1 + width, WIDTH), min(y1 + height, HEIGHT)), where))
    return faces


def yolov5face():
    rows = noise(0, 3 * sum(HEIGHT // s * (WIDTH // s) for s in (8, 16, 32)), 16)
    rows[:, [0, 2, 5, 7, 9, 11, 13]] *= WIDTH
    rows[:, [1, 3, 6, 8, 10, 12, 14]] *= HEIGHT
    return [(r[4], (r[0] - r[2] / 2, r[1] - r[3] / 2, r[0] + r[2] / 2, r[1] + r[3] / 2), r[5:15].reshape(5, 2))
            for r in rows if r[4] >= THRESHOLD]


print('/* SPDX-License-Identifier: Apache-2.0 */')
print('/* Made by expected_families.py. score, box, landmarks. */')
for name, faces in [('scrfd', scrfd((8, 16, 32), 2)), ('scrfd_five', scrfd((8, 16, 32, 64, 128), 1)), ('retinaface', retinaface(1.0)),
                    ('retinaface_l', retinaface(0.2)), ('retinaface_torch', retinaface_torch()), ('centerface', centerface()), ('yolov5face', yolov5face())]:
    print(f'static const double expected_{name}[][15] = {{')
    for score, box, where in faces:
        print('    {' + ', '.join(f'{v:.7g}' for v in [score, *box, *np.ravel(where)]) + '},')
    print('};')
