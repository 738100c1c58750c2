#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes corpus/picture: small JPEG and PNG files of every kind the decoders tell apart, whole and damaged.

Needs opencv-python-headless and numpy.
"""
import pathlib
import struct
import zlib

import cv2
import numpy as np

FOLDER = pathlib.Path(__file__).resolve().parent / 'picture'
rng = np.random.default_rng(1)
picture = cv2.GaussianBlur(rng.integers(0, 256, (21, 34, 3), dtype=np.uint8), (0, 0), 2)


def save(name, data):
    (FOLDER / name).write_bytes(data)


def tiff(orientation, end='<'):
    return (b'II*\0' if end == '<' else b'MM\0*') + struct.pack(end + 'IHHHIHHI', 8, 1, 0x112, 3, 1, orientation, 0, 0)


def jpeg(pixels, *options):
    return cv2.imencode('.jpg', pixels, options)[1].tobytes()


def with_exif(data, block):
    app1 = b'Exif\0\0' + block
    return data[:2] + b'\xff\xe1' + struct.pack('>H', len(app1) + 2) + app1 + data[2:]


def jpegs():
    plain = jpeg(picture)
    save('plain.jpg', plain)
    save('grey.jpg', jpeg(picture[..., 0]))
    save('progressive.jpg', jpeg(picture, cv2.IMWRITE_JPEG_PROGRESSIVE, 1))
    save('restart.jpg', jpeg(picture, cv2.IMWRITE_JPEG_RST_INTERVAL, 1))
    save('444.jpg', jpeg(picture, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444))
    save('turned6.jpg', with_exif(plain, tiff(6)))
    save('turned7.jpg', with_exif(plain, tiff(7, '>')))
    save('exif_cut.jpg', with_exif(plain, tiff(6)[:15]))
    save('cut.jpg', plain[:-60])
    save('cut_header.jpg', plain[:300])
    sof = plain.index(b'\xff\xc0')
    save('huge.jpg', plain[:sof + 5] + b'\xff\0\xff\0' + plain[sof + 9:])
    save('one_component_more.jpg', plain[:sof + 9] + b'\4' + plain[sof + 10:])


def chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def png(depth, colour, rows, extra=b'', interlace=0, width=9, height=7):
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, depth, colour, 0, 0, interlace))
            + extra + chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b''))


def rows(bits_per_pixel, filters=(0,)):
    size = (9 * bits_per_pixel + 7) // 8
    return b''.join(bytes([filters[y % len(filters)]]) + rng.bytes(size) for y in range(7))


def adam7(bits_per_pixel):
    out = b''
    for x0, y0, dx, dy in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)):
        columns, lines = len(range(x0, 9, dx)), len(range(y0, 7, dy))
        out += b''.join(b'\0' + rng.bytes((columns * bits_per_pixel + 7) // 8) for _ in range(lines if columns else 0))
    return out


def pngs():
    palette = chunk(b'PLTE', rng.bytes(48))
    save('rgb.png', png(8, 2, rows(24, (0, 1, 2, 3, 4))))
    save('rgb16.png', png(16, 2, rows(48)))
    save('rgba.png', png(8, 6, rows(32)))
    save('grey1.png', png(1, 0, rows(1)))
    save('grey_alpha16.png', png(16, 4, rows(32)))
    save('palette4.png', png(4, 3, rows(4), palette + chunk(b'tRNS', rng.bytes(16))))
    save('palette8_index_too_high.png', png(8, 3, rows(8), palette))
    save('interlaced.png', png(8, 2, adam7(24), interlace=1))
    save('turned8.png', png(8, 2, rows(24), chunk(b'eXIf', tiff(8, '>'))))
    save('texts.png', png(8, 2, rows(24), chunk(b'zTXt', b'Comment\0\0' + zlib.compress(b'x' * 5000))
                          + chunk(b'iCCP', b'profile\0\0' + zlib.compress(b'y' * 5000)) + chunk(b'gAMA', struct.pack('>I', 45455))))
    save('cut.png', png(8, 2, rows(24))[:-40])
    save('too_few_rows.png', png(8, 2, rows(24)[:60]))
    save('huge.png', png(8, 2, rows(24), width=0xffffff, height=0xffffff))
    save('no_pixels.png', png(8, 2, b'', width=0))


FOLDER.mkdir(exist_ok=True)
jpegs()
pngs()
save('webp', b'RIFF\x10\0\0\0WEBPVP8 ')
save('empty', b'')
