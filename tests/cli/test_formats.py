# SPDX-License-Identifier: Apache-2.0
"""Pictures of every format, written by Pillow and OpenCV: the same pixels give the same faces, whatever holds them."""
import io
import json
import struct
import zipfile
import zlib

import pytest

np, cv2 = pytest.importorskip('numpy'), pytest.importorskip('cv2')
PIL = pytest.importorskip('PIL')
from PIL import Image, ImageCms  # noqa: E402

pillow_heif = pytest.importorskip('pillow_heif')

ORIENTATION = 0x112


@pytest.fixture(scope='module')
def pixels(photo):
    """BGR, with sides of different lengths that are no multiples of 8."""
    whole = cv2.imread(str(photo))
    height, width = whole.shape[:2]
    return np.ascontiguousarray(whole[:height - height % 8 - 3, :width - width % 8 - 1])


@pytest.fixture(scope='module')
def reader(vultus, models, build):
    """Reads pictures; returns their records without the file's name."""
    codecs = json.loads(vultus('doctor', '--json').out)['codecs']

    def read(*paths, code=0):
        done = vultus('extract', *models, '--ndjson', *paths, code=code)
        records = [json.loads(line) for line in done.out.splitlines()]
        return [{k: v for k, v in r.items() if k != 'file'} for r in records]

    read.codecs = codecs
    return read


LIBRARIES = {'webp': 'libwebp', 'gif': 'giflib', 'tiff': 'libtiff', 'heif': 'libheif', 'png': 'libspng'}


def need(reader, name):
    if name in LIBRARIES and LIBRARIES[name] not in reader.codecs:
        pytest.skip(f'this build leaves {name} out')


@pytest.fixture(scope='module')
def expected(reader, pixels, tmp_path_factory):
    path = tmp_path_factory.mktemp('plain') / 'plain.png'
    cv2.imwrite(str(path), pixels)
    [record] = reader(path)
    assert len(record['faces']) == 1
    return record


def rgb(pixels):
    return Image.fromarray(pixels[..., ::-1])


def saved(path, picture, *arguments, **options):
    picture.save(path, *arguments, **options)
    return path


def with_alpha(pixels):
    """Colours stay as they are where nothing would be seen of them."""
    alpha = np.linspace(0, 255, pixels.shape[1]).astype(np.uint8)
    return Image.fromarray(np.dstack([pixels[..., ::-1], np.broadcast_to(alpha, pixels.shape[:2])]), 'RGBA')


def sixteen_bit(pixels):
    """Samples whose high byte is the picture's and whose low byte is half of one, in which rounding differs."""
    return pixels.astype(np.uint16) * 256 + 100


LOSSLESS = {
    'png': lambda p, f: saved(f / 'a.png', rgb(p)),
    'png with alpha': lambda p, f: saved(f / 'a.png', with_alpha(p)),
    'webp': lambda p, f: saved(f / 'a.webp', rgb(p), lossless=True),
    'webp with alpha': lambda p, f: saved(f / 'a.webp', with_alpha(p), lossless=True, exact=True),
    'webp, animated': lambda p, f: saved(f / 'a.webp', rgb(p), save_all=True, lossless=True,
                                         append_images=[rgb(p[::-1]), rgb(p[:, ::-1])]),
    'bmp': lambda p, f: saved(f / 'a.bmp', rgb(p)),
    'bmp of 32 bit': lambda p, f: saved(f / 'a.bmp', with_alpha(p)),
    'tiff': lambda p, f: saved(f / 'a.tif', rgb(p)),
    'tiff, lzw': lambda p, f: saved(f / 'a.tif', rgb(p), compression='tiff_lzw'),
    'tiff, deflate': lambda p, f: saved(f / 'a.tif', rgb(p), compression='tiff_adobe_deflate'),
    'tiff with alpha': lambda p, f: saved(f / 'a.tif', with_alpha(p)),
    'tiff, several pages': lambda p, f: saved(f / 'a.tif', rgb(p), save_all=True, append_images=[rgb(p[::-1])]),
    'tiff, one strip': lambda p, f: saved(f / 'a.tif', rgb(p), tiffinfo={278: 1 << 30}),
    'heif': lambda p, f: saved(f / 'a.heic', rgb(p), 'HEIF', quality=-1, chroma=444, matrix_coefficients=0),
}


@pytest.fixture(scope='module', autouse=True)
def heif_in_pillow():
    pillow_heif.register_heif_opener()


@pytest.mark.parametrize('name', LOSSLESS)
def test_lossless(reader, pixels, expected, name, tmp_path):
    need(reader, name.split()[0].rstrip(','))
    [record] = reader(LOSSLESS[name](pixels, tmp_path))
    assert record == expected


def top_down(bmp):
    """The same picture with its rows from the top, as a negative height says."""
    width, height = struct.unpack_from('<ii', bmp, 18)
    row, start = (width * 3 + 3) // 4 * 4, struct.unpack_from('<I', bmp, 10)[0]
    rows = [bmp[start + row * y:start + row * (y + 1)] for y in range(height)]
    return bmp[:22] + struct.pack('<i', -height) + bmp[26:start] + b''.join(reversed(rows))


def test_bmp_from_the_top(reader, pixels, expected, tmp_path):
    data = io.BytesIO()
    rgb(pixels).save(data, 'BMP')
    (tmp_path / 'a.bmp').write_bytes(top_down(data.getvalue()))
    assert reader(tmp_path / 'a.bmp') == [expected]


def rle8(pixels):
    """Windows' run-length code of one grey picture: every second row in runs, the others as they are."""
    height, width = pixels.shape
    code = b''
    for y in range(height - 1, -1, -1):
        row, x = pixels[y], 0
        while x < width:
            run = 1
            while x + run < width and run < 255 and row[x + run] == row[x]:
                run += 1
            if y % 2 and width - x >= 3:
                count = min(255, width - x)
                code += bytes([0, count]) + row[x:x + count].tobytes() + b'\0' * (count % 2)
                x += count
            else:
                code += bytes([run, row[x]])
                x += run
        code += b'\0\0'
    code += b'\0\1'
    palette = b''.join(bytes([i, i, i, 0]) for i in range(256))
    start = 14 + 40 + len(palette)
    return (b'BM' + struct.pack('<IHHI', start + len(code), 0, 0, start)
            + struct.pack('<IiiHHIIiiII', 40, width, height, 1, 8, 1, len(code), 0, 0, 256, 0) + palette + code)


def test_palettes(reader, pixels, tmp_path):
    """Indexed pictures of GIF, BMP, TIFF and PNG hold the same colours; BMP also in runs."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY) // 8 * 8
    picture = Image.fromarray(grey)
    files = [saved(tmp_path / 'a.png', picture), saved(tmp_path / 'a.bmp', picture), tmp_path / 'runs.bmp']
    files[2].write_bytes(rle8(grey))
    if 'giflib' in reader.codecs:
        files += [saved(tmp_path / 'a.gif', picture, interlace=0), saved(tmp_path / 'b.gif', picture, interlace=1),
                  saved(tmp_path / 'c.gif', picture, save_all=True, append_images=[Image.fromarray(grey[::-1])] * 3)]
    if 'libtiff' in reader.codecs:
        files += [saved(tmp_path / 'a.tif', picture), saved(tmp_path / 'b.tif', picture.convert('P'))]
    records = reader(*files)
    assert len(records[0]['faces']) == 1
    for file, record in zip(files, records):
        assert record == records[0], file.name


def face_moved(a, b):
    """Largest difference of a coordinate of the one face, in pixels."""
    [a], [b] = a['faces'], b['faces']
    return max(np.abs(np.subtract(a['bbox'], b['bbox'])).max(), np.abs(np.subtract(a['landmarks'], b['landmarks'])).max())


def cosine(a, b):
    return float(np.dot(a['faces'][0]['embedding'], b['faces'][0]['embedding']))


def test_sixteen_bit(reader, pixels, expected, tmp_path):
    """The high byte stays (PNG), or the nearest value of 8 bit (TIFF): within one grey level, and the face within half a pixel."""
    files = [tmp_path / 'a.png'] + ([tmp_path / 'a.tif'] if 'libtiff' in reader.codecs else [])
    for file in files:
        cv2.imwrite(str(file), sixteen_bit(pixels))
    png, *tiff = reader(*files)
    assert png == expected
    for record in tiff:
        assert face_moved(record, expected) < 0.5 and cosine(record, expected) > 0.999


def test_cmyk(reader, pixels, expected, tmp_path):
    """Ink of Pillow's plain conversion: TIFF stores it as it is, JPEG by Adobe's rule inverted."""
    ink = rgb(pixels).convert('CMYK')
    files = [saved(tmp_path / 'a.jpg', ink, quality=100, subsampling=0)]
    assert b'Adobe' in files[0].read_bytes()[:4096]
    if 'libtiff' in reader.codecs:
        files.append(saved(tmp_path / 'a.tif', ink))
    for record in reader(*files):
        assert face_moved(record, expected) < 0.5 and cosine(record, expected) > 0.995


def test_profiles_and_progressive(reader, pixels, tmp_path):
    """A colour profile changes nothing; neither does the order in which a JPEG tells its coefficients."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
    plain, *others = reader(saved(tmp_path / 'a.jpg', rgb(pixels), quality=92),
                            saved(tmp_path / 'b.jpg', rgb(pixels), quality=92, icc_profile=profile),
                            saved(tmp_path / 'c.jpg', rgb(pixels), quality=92, progressive=True))
    assert others == [plain, plain]


def stored_for(pixels, orientation):
    """What has to be stored so that a viewer who obeys the orientation sees `pixels`."""
    transposed = pixels.transpose(1, 0, 2)
    return {1: pixels, 2: pixels[:, ::-1], 3: pixels[::-1, ::-1], 4: pixels[::-1], 5: transposed, 6: transposed[::-1],
            7: transposed[::-1, ::-1], 8: transposed[:, ::-1]}[orientation]


@pytest.mark.parametrize('name', ['jpeg', 'png', 'webp', 'tiff'])
def test_orientations(reader, pixels, expected, name, tmp_path):
    need(reader, name)
    options = {'jpeg': {'quality': 97, 'subsampling': 0}, 'webp': {'lossless': True}}.get(name, {})
    files = []
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        stored = np.ascontiguousarray(stored_for(pixels, orientation))
        extra = {'tiffinfo': {ORIENTATION: orientation}} if name == 'tiff' else {'exif': exif}
        files.append(saved(tmp_path / f'{orientation}.{name}', rgb(stored), name.upper(), **options, **extra))
    for file, record in zip(files, reader(*files)):
        assert (record['width'], record['height']) == (expected['width'], expected['height'])
        if name == 'jpeg':
            assert face_moved(record, expected) < 1 and cosine(record, expected) > 0.99, file.name
        else:
            assert record == expected, file.name


def test_wrong_names(reader, pixels, expected, tmp_path):
    files = [saved(tmp_path / 'a.jpg', rgb(pixels), 'PNG'), saved(tmp_path / 'b.png', rgb(pixels), 'BMP'),
             saved(tmp_path / 'c', rgb(pixels), 'PNG')]
    assert reader(*files) == [expected] * 3


def test_polyglots(reader, pixels, expected, tmp_path):
    """Files that are several formats at once are what their first bytes say, whatever follows and whatever they are called."""
    black = Image.fromarray(np.zeros((40, 40, 3), np.uint8))
    others = {name: io.BytesIO() for name in ('GIF', 'BMP', 'PNG', 'WEBP', 'TIFF')}
    for name, data in others.items():
        black.save(data, name)
    whole = saved(tmp_path / 'whole.png', rgb(pixels)).read_bytes()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, 'w') as zipped:
        zipped.writestr('a.txt', 'text')
    files = []
    for i, behind in enumerate([*(data.getvalue() for data in others.values()), archive.getvalue(), b'<script>alert(1)</script>']):
        files.append(tmp_path / f'{i}.{("gif", "jpg", "tif")[i % 3]}')
        files[-1].write_bytes(whole + behind)
    assert reader(*files) == [expected] * len(files)


def test_many_directories(reader, pixels, expected, tmp_path):
    """Of a TIFF with ten thousand directories behind the first, one that leads back to itself among them, only the first is read."""
    if 'libtiff' not in reader.codecs:
        pytest.skip('this build leaves tiff out')
    tiff = bytearray(saved(tmp_path / 'one.tif', rgb(pixels), 'TIFF').read_bytes())
    tiff += bytes(len(tiff) % 2)
    [first] = struct.unpack_from('<I', tiff, 4)
    [tags] = struct.unpack_from('<H', tiff, first)
    one = bytes(tiff[first:first + 2 + 12 * tags])
    struct.pack_into('<I', tiff, first + len(one), len(tiff))
    for i in range(10000):
        tiff += one + struct.pack('<I', first if i == 9999 else len(tiff) + len(one) + 4)
    (tmp_path / 'many.tif').write_bytes(tiff)
    assert reader(tmp_path / 'many.tif') == [expected]


def test_truncated(reader, pixels, expected, tmp_path):
    """A cut JPEG shows what came before the cut; other formats are an error that says which."""
    whole = saved(tmp_path / 'a.jpg', rgb(pixels), quality=92).read_bytes()
    (tmp_path / 'a.jpg').write_bytes(whole[:-len(whole) // 20])
    [record] = reader(tmp_path / 'a.jpg')
    assert face_moved(record, expected) < 1
    for name in ['webp', 'gif', 'bmp', 'tiff', 'heif']:
        if name in LIBRARIES and LIBRARIES[name] not in reader.codecs:
            continue
        path = saved(tmp_path / f'cut.{name}', rgb(pixels), name.upper())
        path.write_bytes(path.read_bytes()[:-path.stat().st_size // 3])
        [record] = reader(path, code=1)
        assert f'cut.{name}' in record['error'] and name.upper()[:3] in record['error'].upper().replace('HEIC', 'HEI'), record


def bombs():
    """{name: bytes}, few of which declare many pixels."""
    side = struct.pack('<I', 20000)
    tags = [(256, 4, 1, 20000), (257, 4, 1, 20000), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8),
            (277, 3, 1, 1), (278, 4, 1, 20000), (279, 4, 1, 16)]
    tiff = b'II*\0\x08\0\0\0' + struct.pack('<H', len(tags)) + b''.join(struct.pack('<HHII', *t) for t in tags) + bytes(4)
    chunk = lambda kind, body: struct.pack('>I', len(body)) + kind + body + struct.pack('>I', zlib.crc32(kind + body))
    png = b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', 20000, 20000, 8, 2, 0, 0, 0)) + chunk(b'IDAT', zlib.compress(bytes(90)))
    jpeg = b'\xff\xd8\xff\xc0\0\x11\x08' + struct.pack('>HH', 20000, 20000) + b'\3\1\x11\0\2\x11\0\3\x11\0' \
           + b'\xff\xda\0\x0c\3\1\0\2\x11\3\x11\0\x3f\0' + bytes(100)
    return {
        'a.png': png, 'a.jpg': jpeg,
        'a.bmp': b'BM' + struct.pack('<IHHI', 200, 0, 0, 54) + struct.pack('<I', 40) + side * 2
                 + struct.pack('<HHIIiiII', 1, 8, 1, 0, 0, 0, 0, 0) + bytes(1100),
        'a.gif': b'GIF89a' + struct.pack('<HHBBB', 20000, 20000, 0x80, 0, 0) + bytes(6) + b','
                 + struct.pack('<HHHHB', 0, 0, 20000, 20000, 0) + b'\2\2\x4c\1\0;',
        'a.tif': tiff,
        'a.webp': b'RIFF' + struct.pack('<I', 4 + 18 + 16) + b'WEBPVP8X' + struct.pack('<I', 10) + bytes(4)
                  + b'\x1f\x4e\0\x1f\x4e\0' + b'VP8L' + struct.pack('<I', 8) + b'\x2f' + bytes(7),
    }


def test_bombs(reader, tmp_path):
    import resource
    files = []
    for name, content in bombs().items():
        if name == 'a.gif' and 'giflib' not in reader.codecs:
            continue
        files.append(tmp_path / name)
        files[-1].write_bytes(content)
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    for file, record in zip(files, reader(*files, code=1)):
        assert file.name in record['error'], record
        assert '20000' in record['error'] or file.suffix == '.webp', record
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss <= max(before, 400 << 10)


def test_many_frames(reader, tmp_path):
    """Ten thousand frames cost what one does: only the first is read."""
    if 'giflib' not in reader.codecs:
        pytest.skip('this build leaves gif out')
    data = io.BytesIO()
    Image.fromarray(np.zeros((40, 40), np.uint8)).save(data, 'GIF')
    one = data.getvalue()
    body = one[one.index(b','):-1]
    (tmp_path / 'many.gif').write_bytes(one[:-1] + body * 10000 + b';')
    [record] = reader(tmp_path / 'many.gif')
    assert (record['width'], record['height'], record['faces']) == (40, 40, [])


def test_limits(vultus, models, photo, pixels):
    height, width = cv2.imread(str(photo)).shape[:2]
    size = photo.stat().st_size
    for option, value, words in (('--max-bytes', size - 1, 'bytes'), ('--max-pixels', width * height - 1, 'in all'),
                                 ('--max-side', max(width, height) - 1, 'a side')):
        assert words in vultus.fails('extract', *models, option, value, photo)
        vultus('extract', *models, option, value + 1, photo)


def enlarged(path, photo, width, quality=90):
    pixels = cv2.imread(str(photo))
    scale = width / pixels.shape[1]
    cv2.imwrite(str(path), cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return path


def nearest(face, faces):
    return min(faces, key=lambda other: np.abs(np.subtract(face['bbox'], other['bbox'])).max())


def test_reduced_decoding(vultus, models, photo, group, tmp_path):
    """A JPEG far larger than detection needs is decoded reduced; faces stay where they are and who they are."""
    for number, (source, width) in enumerate(((photo, 5000), (group, 6000))):
        path = enlarged(tmp_path / f'{number}.jpg', source, width)
        reduced, whole = (json.loads(vultus('extract', *models, '--json', *options, path).out)[0] for options in ([], ['--full-decode']))
        assert (reduced['width'], reduced['height']) == (whole['width'], whole['height']) == cv2.imread(str(path)).shape[1::-1]
        assert reduced != whole
        large = [face for face in whole['faces'] if face['score'] > 0.65 and face['bbox'][2] - face['bbox'][0] > width / 20]
        assert large
        for face in large:
            other = nearest(face, reduced['faces'])
            assert face_moved({'faces': [face]}, {'faces': [other]}) < 2
            assert abs(face['score'] - other['score']) < 0.01
            assert np.dot(face['embedding'], other['embedding']) > 0.99


def test_reduced_decoding_of_turned_pictures(vultus, models, photo, tmp_path):
    upright = enlarged(tmp_path / 'upright.jpg', photo, 5000, quality=95)
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    turned = saved(tmp_path / 'turned.jpg', rgb(np.ascontiguousarray(stored_for(cv2.imread(str(upright)), 6))), quality=95, exif=exif)
    a, b = (json.loads(vultus('extract', *models, '--json', path).out)[0] for path in (upright, turned))
    assert (a['width'], a['height']) == (b['width'], b['height'])
    assert face_moved(a, b) < 2


def test_sizes_are_of_the_whole_picture(vultus, models, photo, tmp_path):
    path = enlarged(tmp_path / 'large.jpg', photo, 5000)
    [face] = json.loads(vultus('extract', *models, '--json', path).out)[0]['faces']
    width = int(face['bbox'][2] - face['bbox'][0])
    for least, count in ((width - 1, 1), (width + 2, 0)):
        [record] = json.loads(vultus('extract', *models, '--json', '--min-face-size', least, path).out)
        assert len(record['faces']) == count
