#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the corpora of the codecs, a folder for each: small files of every kind the decoders tell apart, whole and damaged.

Needs opencv-python-headless, pillow, pillow-heif and numpy.
"""
import io
import pathlib
import struct
import zlib

import cv2
import numpy as np
import pillow_heif
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parent
FOLDERS = {'jpg': 'jpeg', 'png': 'png', 'webp': 'webp', 'gif': 'gif', 'bmp': 'bmp', 'tif': 'tiff', 'heic': 'heif', 'avif': 'heif'}
rng = np.random.default_rng(1)
picture = cv2.GaussianBlur(rng.integers(0, 256, (21, 34, 3), dtype=np.uint8), (0, 0), 2)


def save(name, data):
    folder = ROOT / FOLDERS.get(name.rpartition('.')[2], 'picture')
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(data)


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


def written(kind, image=None, **options):
    """What Pillow makes of the picture."""
    data = io.BytesIO()
    (image or Image.fromarray(picture[..., ::-1])).save(data, kind, **options)
    return data.getvalue()


def alpha():
    return Image.fromarray(np.dstack([picture, picture[..., 0]]), 'RGBA')


def turned(orientation):
    exif = Image.Exif()
    exif[0x112] = orientation
    return exif


def webps():
    lossy, frames = written('WEBP'), [Image.fromarray(picture[::-1])] * 2
    save('lossy.webp', lossy)
    save('lossless.webp', written('WEBP', lossless=True))
    save('alpha.webp', written('WEBP', alpha()))
    save('turned6.webp', written('WEBP', exif=turned(6)))
    animated = written('WEBP', save_all=True, append_images=frames)
    save('animated.webp', animated)
    place = animated.index(b'ANMF') + 8
    save('frame_outside.webp', animated[:place] + b'\xff\0\0' + animated[place + 3:])
    save('cut.webp', lossy[:-20])
    save('huge_canvas.webp', animated[:24] + b'\xff\xff\xff\xff\xff\xff' + animated[30:])


def gifs():
    plain = written('GIF')
    save('plain.gif', plain)
    save('interlaced.gif', written('GIF', interlace=1))
    save('animated.gif', written('GIF', save_all=True, append_images=[Image.fromarray(picture[::-1])] * 2))
    save('transparent.gif', written('GIF', Image.fromarray(picture[..., 0]), transparency=3))
    frame = plain.index(b',', 13 + 768)
    save('frame_outside.gif', plain[:frame + 1] + struct.pack('<HH', 30, 15) + plain[frame + 5:])
    save('larger_frame.gif', plain[:frame + 5] + struct.pack('<HH', 300, 150) + plain[frame + 9:])
    save('no_palette.gif', b'GIF89a\4\0\4\0\0\0\0,\0\0\0\0\4\0\4\0\0\2\2\x4c\1\0;')
    save('no_screen.gif', plain[:6] + bytes(4) + plain[10:])
    save('huge.gif', plain[:6] + b'\xff' * 4 + plain[10:frame + 5] + b'\xff' * 4 + plain[frame + 9:])
    save('comments.gif', plain[:13 + 768] + b'!\xfe' + b'\3abc' * 400 + b'\0' + plain[13 + 768:])
    save('no_picture.gif', plain[:13 + 768] + b';')
    save('cut.gif', plain[:-50])


def bmp(bits, pixels, height=4, compression=0, palette=b'', masks=b'', width=5, colours=0):
    start = 54 + len(masks) + len(palette)
    return (b'BM' + struct.pack('<IHHI', start + len(pixels), 0, 0, start)
            + struct.pack('<IiiHHIIiiII', 40, width, height, 1, bits, compression, 0, 0, 0, colours, 0) + masks + palette + pixels)


def bmps():
    palette = rng.bytes(1024)
    for bits in (1, 4, 8):
        save(f'palette{bits}.bmp', bmp(bits, rng.bytes(32), palette=palette[:4 << bits]))
    save('few_colours.bmp', bmp(8, rng.bytes(32), palette=palette[:12], colours=3))
    save('rgb555.bmp', bmp(16, rng.bytes(48)))
    save('masks565.bmp', bmp(16, rng.bytes(48), compression=3, masks=struct.pack('<III', 0xf800, 0x7e0, 0x1f)))
    save('masks_odd.bmp', bmp(32, rng.bytes(80), compression=3, masks=struct.pack('<III', 0xffffffff, 0, 0x80000001)))
    save('rgb.bmp', bmp(24, rng.bytes(64)))
    save('from_top.bmp', bmp(24, rng.bytes(64), height=-4))
    save('rgb32.bmp', bmp(32, rng.bytes(80)))
    runs = b'\5\1\0\0\0\3\1\2\3\0\2\4\0\2\1\1\xff\6\0\0\7\7\0\1'
    save('runs8.bmp', bmp(8, runs, compression=1, palette=palette))
    save('runs4.bmp', bmp(4, runs, compression=2, palette=palette[:64]))
    save('runs_cut.bmp', bmp(8, runs[:7], compression=1, palette=palette))
    save('core.bmp', b'BM' + struct.pack('<IHHIIHHHH', 90, 0, 0, 26, 12, 5, 4, 1, 24) + rng.bytes(64))
    save('least_height.bmp', bmp(24, rng.bytes(64), height=-1 << 31))
    save('negative_width.bmp', bmp(24, rng.bytes(64), width=-5))
    save('huge.bmp', bmp(1, rng.bytes(64), width=30000, height=30000, palette=palette[:8]))
    save('jpeg_inside.bmp', bmp(0, jpeg(picture), compression=4))
    save('cut.bmp', bmp(24, rng.bytes(50)))


def tiff_file(tags, data=b''):
    """Entries (tag, type, count, value), and bytes from offset 8 on."""
    at = 8 + len(data) + len(data) % 2
    return (b'II*\0' + struct.pack('<I', at) + data + b'\0' * (len(data) % 2) + struct.pack('<H', len(tags))
            + b''.join(struct.pack('<HHII', *tag) for tag in tags) + bytes(4))


def tiffs():
    for name in ('raw', 'tiff_lzw', 'tiff_adobe_deflate', 'packbits', 'jpeg'):
        save(f'{name}.tif', written('TIFF', compression=name))
    save('group4.tif', written('TIFF', Image.fromarray(picture[..., 0]).convert('1'), compression='group4'))
    save('alpha.tif', written('TIFF', alpha()))
    save('cmyk.tif', written('TIFF', Image.fromarray(picture).convert('CMYK')))
    save('palette.tif', written('TIFF', Image.fromarray(picture).convert('P')))
    save('grey16.tif', written('TIFF', Image.fromarray(picture[..., 0].astype(np.uint16) * 256)))
    save('float.tif', written('TIFF', Image.fromarray(picture[..., 0].astype(np.float32))))
    save('lab.tif', written('TIFF', Image.fromarray(picture).convert('LAB')))
    save('turned5.tif', written('TIFF', tiffinfo={0x112: 5}))
    save('pages.tif', written('TIFF', save_all=True, append_images=[Image.fromarray(picture[::-1])] * 3))
    save('big.tif', written('TIFF', big_tiff=True))
    save('cut.tif', written('TIFF')[:-200])
    basic = [(256, 4, 1, 9), (257, 4, 1, 7), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8), (277, 3, 1, 1),
             (278, 4, 1, 7), (279, 4, 1, 63)]

    def changed(tag, *entry):
        return [(tag, *entry) if t[0] == tag else t for t in basic]

    pixels = rng.bytes(63)
    save('basic.tif', tiff_file(basic, pixels))
    save('huge.tif', tiff_file(changed(256, 4, 1, 0xffffffff), pixels))
    save('many_samples.tif', tiff_file(changed(277, 3, 1, 65535), pixels))
    save('strip_outside.tif', tiff_file(changed(273, 4, 1, 0xfffffff0), pixels))
    save('many_strips.tif', tiff_file(changed(273, 4, 0x7fffffff, 8), pixels))
    save('no_rows.tif', tiff_file(changed(278, 4, 1, 0), pixels))
    save('tiles.tif', tiff_file(sorted(basic + [(322, 4, 1, 16), (323, 4, 1, 16), (324, 4, 1, 8), (325, 4, 1, 256)]), rng.bytes(256)))
    looped = bytearray(tiff_file(basic, pixels))
    looped[-4:] = looped[4:8]
    save('looped.tif', bytes(looped))
    save('many_directories.tif', written('TIFF', Image.fromarray(picture[:2, :2]), save_all=True,
                                         append_images=[Image.fromarray(picture[:2, :2])] * 60))


def heifs():
    pillow_heif.register_heif_opener()
    heic, avif = written('HEIF', quality=60), written('AVIF', quality=60)
    save('plain.heic', heic)
    save('lossless.heic', written('HEIF', quality=-1, chroma=444, matrix_coefficients=0))
    save('alpha.heic', written('HEIF', alpha(), quality=60))
    save('turned6.heic', written('HEIF', quality=60, exif=turned(6)))
    save('cut.heic', heic[:-40])
    save('plain.avif', avif)
    save('cut.avif', avif[:-40])
    size = heic.index(b'ispe') + 8
    save('huge.heic', heic[:size] + b'\0\xff\xff\xff' * 2 + heic[size + 8:])
    save('smaller.heic', heic[:size] + struct.pack('>II', 3, 2) + heic[size + 8:])


def mixtures():
    """Bytes that are two formats at once, or none: the first bytes decide."""
    save('empty', b'')
    save('webp', b'RIFF\x10\0\0\0WEBPVP8 ')
    save('jpeg_and_gif', jpeg(picture) + written('GIF'))
    save('gif_and_png', written('GIF') + png(8, 2, rows(24)))
    save('png_named_jpeg', png(8, 2, rows(24)))
    save('webp_in_tiff', b'II*\0' + written('WEBP')[4:])
    save('bm', b'BM')


jpegs()
pngs()
webps()
gifs()
bmps()
tiffs()
heifs()
mixtures()
