# SPDX-License-Identifier: Apache-2.0
"""Pictures made to mislead or to exhaust: each is read as what its first bytes say, or is an error with a reason, at little cost."""
import io
import json
import struct
import zlib

import pytest

np, cv2 = pytest.importorskip('numpy'), pytest.importorskip('cv2')
PIL = pytest.importorskip('PIL')
from PIL import Image  # noqa: E402

pillow_heif = pytest.importorskip('pillow_heif')
pillow_heif.register_heif_opener()
from test_formats import bombs  # noqa: E402

LIBRARIES = {'jpg': 'libjpeg', 'png': 'libspng', 'webp': 'libwebp', 'gif': 'giflib', 'bmp': 'BMP', 'tif': 'libtiff', 'heic': 'libheif'}
KINDS = {'jpg': 'JPEG', 'png': 'PNG', 'webp': 'WEBP', 'gif': 'GIF', 'bmp': 'BMP', 'tif': 'TIFF', 'heic': 'HEIF'}
LOSSLESS = {'png': {}, 'webp': {'lossless': True}, 'bmp': {}, 'tif': {}}
SIDE = 20000


@pytest.fixture(scope='module')
def starter(root):
    """The starter pack: it is fast."""
    return ['--det', root / 'models/starter/starter_det.onnx', '--rec', root / 'models/starter/starter_rec.onnx']


@pytest.fixture(scope='module')
def suffixes(vultus):
    codecs = json.loads(vultus('doctor', '--json').out)['codecs']
    return [suffix for suffix, library in LIBRARIES.items() if library in codecs]


@pytest.fixture(scope='module')
def pixels(root):
    """RGB, a few faces."""
    return np.ascontiguousarray(cv2.resize(cv2.imread(str(root / 'examples/group.jpg')), None, fx=0.4, fy=0.4)[:180, :200, ::-1])


def encoded(pixels, suffix, **options):
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, KINDS[suffix], **{**LOSSLESS.get(suffix, {}), **options})
    return data.getvalue()


def records(vultus, starter, folder, files, code=0):
    """Writes {name: bytes} and reads them; {name: record without the file's name}."""
    for name, content in files.items():
        (folder / name).write_bytes(content)
    done = vultus('extract', *starter, '--ndjson', '--jobs', 2, *(folder / name for name in files), code=code)
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert [line.pop('file') for line in lines] == [str(folder / name) for name in files]
    return dict(zip(files, lines))


def chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def tiff(width, height, directories=1, data=b'', more=(), following=None):
    """Grey pixels at offset 8, then a chain of directories; the last one leads to `following`, or to none."""
    tags = sorted([(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8),
                   (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, max(1, len(data))), *more])
    body = struct.pack('<H', len(tags)) + b''.join(struct.pack('<HHII', *tag) for tag in tags)
    first = 8 + len(data) + len(data) % 2
    chain = b''.join(body + struct.pack('<I', first + (i + 1) * (len(body) + 4)) for i in range(directories - 1))
    return b'II*\0' + struct.pack('<I', first) + data + b'\0' * (len(data) % 2) + chain + body + struct.pack('<I', following or 0)


# ---------------------------------------------------------------- names and first bytes


def test_mislabelled(vultus, starter, suffixes, pixels, tmp_path):
    """Every lossless format under the name of every other, and of none: the same record."""
    files = {f'{kind}_as.{suffix}': encoded(pixels, kind) for kind in LOSSLESS if kind in suffixes for suffix in (*LIBRARIES, 'jpeg')}
    found = records(vultus, starter, tmp_path, files)
    assert len(found['png_as.png']['faces']) > 0 and all(record == found['png_as.png'] for record in found.values())


def test_no_pictures(vultus, starter, tmp_path):
    files = {'text.jpg': b'hello\n' * 50, 'program.png': b'\x7fELF' + bytes(300), 'archive.webp': b'PK\3\4' + bytes(300),
             'page.gif': b'<!doctype html><img src=x>', 'print.jpg': b'%PDF-1.7\n' + bytes(100), 'zeros.bmp': bytes(4096),
             'other.jpg': b'\0\0\0\x0cjP  \r\n\x87\n' + bytes(100), 'svg.png': b'<svg xmlns="http://www.w3.org/2000/svg"/>'}
    for name, record in records(vultus, starter, tmp_path, files, code=1).items():
        assert set(record) == {'error'} and name in record['error'], record


def test_polyglots(vultus, starter, suffixes, pixels, tmp_path):
    """Bytes of a second format behind those of the first, or inside a comment of it, are not looked at."""
    other = pixels[::-1].copy()
    first = {kind: encoded(pixels, kind) for kind in ('jpg', *LOSSLESS) if kind in suffixes}
    tails = {kind: encoded(other, kind) for kind in suffixes}
    tails.update(zip=b'PK\5\6' + bytes(18), pdf=b'%PDF-1.4\n%%EOF', html=b'<script>alert(1)</script>')
    plain = records(vultus, starter, tmp_path, {f'plain.{kind}': data for kind, data in first.items()})
    files = {f'{kind}_and_{tail}': first[kind] + tails[tail] for kind in first for tail in tails if tail != kind}
    if {'jpg', 'png'} <= set(first):
        comment = b'\xff\xfe' + struct.pack('>H', 2 + 9000) + tails['png'][:9000].ljust(9000, b'\0')
        files['jpg_around_png'] = first['jpg'][:2] + comment + first['jpg'][2:]
        files['png_around_jpg'] = first['png'][:33] + chunk(b'tEXt', b'Comment\0' + tails['jpg'][:9000]) + first['png'][33:]
    for name, record in records(vultus, starter, tmp_path, files).items():
        assert record == plain[f'plain.{name.partition("_")[0]}'], name


# ---------------------------------------------------------------- sizes


def test_one_pixel(vultus, starter, suffixes, tmp_path):
    found = records(vultus, starter, tmp_path, {f'dot.{kind}': encoded(np.zeros((1, 1, 3), np.uint8), kind) for kind in suffixes})
    assert all((record['width'], record['height'], record['faces']) == (1, 1, []) for record in found.values())


@pytest.mark.parametrize('lying', [False, True], ids=['standing', 'lying'])
def test_one_pixel_wide(vultus, starter, suffixes, lying, tmp_path):
    files = {}
    for kind in suffixes:
        if kind == 'heic':  # nothing writes so thin ones
            continue
        length = 16383 if kind == 'webp' else SIDE
        thin = np.zeros((1, length, 3) if lying else (length, 1, 3), np.uint8)
        files[f'thin.{kind}'] = encoded(thin, kind)
    for name, record in records(vultus, starter, tmp_path, files, code=1).items():
        assert set(record) == {'error'} and 'too narrow' in record['error'], (name, record)


@pytest.mark.heavy
def test_memory_of_bombs(vultus, starter, suffixes, tmp_path):
    """They are refused before anything of their size is allocated: a run of them takes what a run of small pictures takes."""
    for name in ('small', 'bombs'):
        (tmp_path / name).mkdir()
    for kind in suffixes:
        (tmp_path / f'small/dot.{kind}').write_bytes(encoded(np.zeros((1, 1, 3), np.uint8), kind))
    for name, content in bombs().items():
        (tmp_path / 'bombs' / name).write_bytes(content)
    plain = vultus.peak_kib('extract', *starter, tmp_path / 'small', '--jobs', 2, '--ndjson')
    assert vultus.peak_kib('extract', *starter, tmp_path / 'bombs', '--jobs', 2, '--ndjson', code=1) < plain + (16 << 10)


# ---------------------------------------------------------------- long ways through a file


def test_tiff_directories(vultus, starter, suffixes, tmp_path):
    """Wherever directories lead: the first page is the picture."""
    if 'tif' not in suffixes:
        pytest.skip('this build leaves tiff out')
    width, height = 60, 40
    grey = bytes(width * height)
    at = 8 + len(grey)
    plain = tiff(width, height, data=grey)
    files = {
        'plain.tif': plain,
        'into_itself.tif': tiff(width, height, data=grey, following=at),
        'circle.tif': tiff(width, height, 500, grey, following=at),
        'outside.tif': tiff(width, height, data=grey, following=0xfffffff0),
        'below_itself.tif': tiff(width, height, data=grey, more=[(330, 4, 1, at)]),
        'exif_is_itself.tif': tiff(width, height, data=grey, more=[(34665, 4, 1, at)]),
        'unknown_tags.tif': tiff(width, height, data=grey, more=[(40000 + i, 4, 1, i) for i in range(3000)]),
    }
    for name, record in records(vultus, starter, tmp_path, files).items():
        assert record == {'width': width, 'height': height, 'faces': []}, (name, record)


def test_many_parts(vultus, starter, suffixes, pixels, tmp_path):
    """Comments, texts, extensions and frames without number change nothing; of a PNG's texts a thousand are too many."""
    first = {kind: encoded(pixels, kind) for kind in ('jpg', 'png', 'gif', 'webp') if kind in suffixes}
    plain = records(vultus, starter, tmp_path, {f'plain.{kind}': data for kind, data in first.items()})
    many = {}
    if 'jpg' in first:
        many['jpg'] = first['jpg'][:2] + b'\xff\xfe\0\x0chello, you' * 10000 + first['jpg'][2:]
    if 'png' in first:
        many['png'] = first['png'][:33] + chunk(b'tEXt', b'Comment\0hello') * 900 + first['png'][33:]
        files = {'too_many.png': first['png'][:33] + chunk(b'tEXt', b'Comment\0hello') * 10000 + first['png'][33:]}
        assert 'limits' in records(vultus, starter, tmp_path, files, code=1)['too_many.png']['error']
    if 'gif' in first:
        screen = 13 + 3 * (2 << (first['gif'][10] & 7))
        frame = first['gif'].index(b',', screen)
        many['gif'] = first['gif'][:-1] + b'!\xfe\5hello\0' * 10000 + first['gif'][frame:-1] * 20 + b';'
    if 'webp' in first:
        data = io.BytesIO()
        Image.fromarray(pixels).save(data, 'WEBP', lossless=True, save_all=True, append_images=[Image.fromarray(pixels[::-1])])
        frames = data.getvalue()
        last = frames.rindex(b'ANMF')
        body = frames[12:] + frames[last:] * 20 + (b'XYZW' + struct.pack('<I', 4) + b'text') * 10000
        many['webp'] = b'RIFF' + struct.pack('<I', 4 + len(body)) + b'WEBP' + body
    for name, record in records(vultus, starter, tmp_path, {f'many.{kind}': data for kind, data in many.items()}).items():
        assert record == plain[f'plain.{name.rpartition(".")[2]}'], name


def test_texts_that_grow(vultus, starter, suffixes, pixels, tmp_path):
    """Compressed texts and profiles that unpack to a quarter of a gigabyte are refused."""
    if 'png' not in suffixes:
        pytest.skip('this build leaves png out')
    plain = encoded(pixels, 'png')
    packer = zlib.compressobj(1)
    packed = b''.join(packer.compress(bytes(1 << 20)) for _ in range(256)) + packer.flush()
    files = {f'{kind.decode()}.png': plain[:33] + chunk(kind, start + packed) + plain[33:]
             for kind, start in ((b'zTXt', b'Comment\0\0'), (b'iTXt', b'Comment\0\1\0\0\0'), (b'iCCP', b'profile\0\0'))}
    assert all('limits' in record['error'] for record in records(vultus, starter, tmp_path, files, code=1).values())


# ---------------------------------------------------------------- folders of them


def test_jobs_do_not_change_bytes(vultus, starter, suffixes, pixels, tmp_path):
    """Good, damaged and hostile pictures among each other: the same records from one thread and from sixteen."""
    folder, random = tmp_path / 'folder', np.random.default_rng(3)
    folder.mkdir()
    for kind in suffixes:
        good = encoded(pixels, kind)
        (folder / f'good.{kind}').write_bytes(good)
        (folder / f'cut.{kind}').write_bytes(good[:len(good) // 2])
        for i in range(4):
            flipped = bytearray(good)
            for place in random.integers(20, len(good), 12):
                flipped[place] ^= 1 << random.integers(8)
            (folder / f'flipped{i}.{kind}').write_bytes(flipped)
    for name, content in bombs().items():
        (folder / name).write_bytes(content)
    outs = [tmp_path / f'{jobs}.ndjson' for jobs in (1, 16)]
    for out, jobs in zip(outs, (1, 16)):
        vultus('extract', *starter, folder, '--recursive', '--jobs', jobs, '--out', out, code=1)
    assert outs[0].read_bytes() == outs[1].read_bytes()
    assert len(outs[0].read_bytes().splitlines()) == 6 * len(suffixes) + len(bombs())
