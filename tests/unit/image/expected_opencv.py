#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints expected_opencv.h: checksums of what OpenCV makes of pictures of noise. Needs opencv-python-headless 4.6 and numpy.

OpenCV 5.0 gives the same letterboxes; its warp differs by some grey levels.
"""
import math

import cv2
import numpy as np

LETTERBOXES = [  # width, height, canvas width, canvas height
    (400, 225, 160, 160), (225, 400, 160, 160), (331, 217, 320, 320), (1000, 13, 96, 64),
    (192, 108, 96, 96), (192, 107, 96, 54), (193, 108, 96, 54), (289, 192, 96, 64), (2050, 130, 64, 64), (2048, 130, 64, 64),
    (100, 80, 160, 160), (60, 80, 160, 160), (80, 80, 160, 160), (1, 1, 64, 64), (3, 2, 64, 64), (159, 160, 160, 160),
    (160, 90, 160, 160), (97, 160, 160, 160)]
WARPS = [  # width, height, scale, angle, x, y of the source point that lands on (56, 56)
    (200, 150, 1.0, 0.0, 100.0, 75.0), (200, 150, 0.73, 0.3, 90.25, 60.5), (64, 48, 2.6, -1.1, 30.0, 20.0),
    (300, 40, 0.4, 3.0, 10.0, 35.0), (33, 190, 1.9, 1.7, 1.5, 180.75), (500, 400, 0.21, -0.05, 260.0, 190.0)]


def noise(width, height):
    i = np.arange(width * height * 3, dtype=np.uint64) + np.uint64(width * 65536 + height)
    v = i * np.uint64(2654435761) & np.uint64(0xffffffff)
    v ^= v >> np.uint64(15)
    v = v * np.uint64(2246822519) & np.uint64(0xffffffff)
    return (v >> np.uint64(24)).astype(np.uint8).reshape(height, width, 3)


def fnv1a(pixels):
    h = 0xcbf29ce484222325
    for byte in pixels.tobytes():
        h = (h ^ byte) * 0x100000001b3 & 0xffffffffffffffff
    return h


def letterbox(picture, width, height):
    h, w = picture.shape[:2]
    s = min(width / w, height / h)
    if s > 2:
        s *= 0.7
    if s != 1:
        picture = cv2.resize(picture, None, fx=s, fy=s, interpolation=cv2.INTER_AREA if s < 1 else cv2.INTER_LINEAR)
    out = np.zeros((height, width, 3), np.uint8)
    out[:picture.shape[0], :picture.shape[1]] = picture
    return out


print('/* SPDX-License-Identifier: Apache-2.0 */')
print(f'/* Made by expected_opencv.py with OpenCV {cv2.__version__}. */')
print('static const struct {\n    int width, height, canvas_width, canvas_height;\n    double margin;\n    uint64_t checksum;\n} '
      'expected_letterboxes[] = {')
for w, h, cw, ch in LETTERBOXES:
    for margin in (0, 0.5):
        p = noise(w, h)
        if margin:
            p = cv2.copyMakeBorder(p, h // 2, h // 2, w // 2, w // 2, cv2.BORDER_CONSTANT)
        print(f'    {{{w}, {h}, {cw}, {ch}, {margin}, 0x{fnv1a(letterbox(p, cw, ch)):016x}}},')
print('};\n\nstatic const struct {\n    int width, height;\n    double matrix[6];\n    uint64_t checksum;\n} '
      'expected_warps[] = {')
for w, h, k, angle, x, y in WARPS:
    c, s = k * math.cos(angle), k * math.sin(angle)
    m = np.array([[c, -s, 56 - c * x + s * y], [s, c, 56 - s * x - c * y]])
    out = cv2.warpAffine(noise(w, h), m, (112, 112), flags=cv2.INTER_LINEAR, borderValue=0)
    print(f'    {{{w}, {h}, {{{", ".join(repr(float(v)) for v in m.ravel())}}}, 0x{fnv1a(out):016x}}},')
print('};')
