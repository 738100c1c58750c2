#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes corpus/family: outputs of every family's shape, in the bytes that fuzz_family.c reads. usage: make_families.py"""
import pathlib
import random
import struct

FOLDER = pathlib.Path(__file__).parent / 'family'
CHANNELS = [1, 2, 4, 8, 10, 16, 20, 6]
SIDE = 8  # eights of the picture's sides: 64 pixels
ALL = bytes([64 | 11])  # priors of three strides


def channels(n):
    return bytes([CHANNELS.index(n)])


def of_stride(stride, kind):
    """kind 0: columns, 1: rows, 2: two anchors a cell; with 64: one."""
    code = {4: 0, 8: 1, 16: 2, 32: 3, 64: 4, 128: 5}[stride]
    value = kind & 64 | code << 2 | kind & 3
    return bytes([value if value >= len(CHANNELS) else value | 128])


def maps(n, stride):
    return [channels(1), channels(n), of_stride(stride, 1), of_stride(stride, 0)]


def seed(name, family, outputs, numbers, threshold=0, side=SIDE):
    header = bytes([family, side - 1, side - 1, threshold, len(outputs) - 1])
    shapes = b''.join(bytes([len(dims)]) + b''.join(dims) for dims in outputs)
    (FOLDER / name).write_bytes(header + shapes + numbers)


def main():
    FOLDER.mkdir(exist_ok=True)
    chance = random.Random(3)
    numbers = struct.pack('<97f', *(chance.uniform(0, 1) for _ in range(97)))
    odd = struct.pack('<8f', float('nan'), float('inf'), -float('inf'), 3e38, -3e38, 1e-45, 0, 1) * 5 + b'\x7f'
    scrfd = [[of_stride(s, 2), channels(c)] for c in (1, 4, 10) for s in (8, 16, 32)]
    five = [[channels(1), of_stride(s, 66), channels(c)] for c in (1, 4, 10) for s in (8, 16, 32, 64, 128)]
    anchors = [maps(c, s) for s in (32, 16, 8) for c in (4, 8, 20)]
    masks = [maps(c, s) for s in (32, 16, 8) for c in (4, 8, 20, 6)]
    torch = [[channels(1), ALL, channels(c)] for c in (4, 2, 10)]
    layouts = {'scrfd': (0, scrfd, SIDE), 'scrfd_no_points': (0, scrfd[:6], SIDE), 'scrfd_five': (0, five, 16), 'retinaface': (1, anchors, SIDE),
               'retinaface_masks': (2, masks, SIDE), 'retinaface_torch': (3, torch, SIDE),
               'centerface': (4, [maps(c, 4) for c in (1, 2, 2, 10)], SIDE), 'yolov5face': (5, [[channels(1), b'\x0f\x03\xf0', channels(16)]], SIDE)}
    for name, (family, outputs, side) in layouts.items():
        seed(name, family, outputs, numbers, side=side)
        seed(f'{name}_odd', family, outputs, odd, threshold=2, side=side)
        seed(f'{name}_one_less', family, outputs[:-1] or [[channels(16)]], numbers, side=side)
        seed(f'{name}_no_numbers', family, outputs, b'', threshold=1, side=side)
    seed('no_axes', 5, [[]], numbers)
    (FOLDER / 'short').write_bytes(b'\1\2')


if __name__ == '__main__':
    main()
