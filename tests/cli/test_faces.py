# SPDX-License-Identifier: Apache-2.0
"""vultus extract, draw, match and embed on real photos: records, options, and pictures that are none."""
import json
import pathlib
import shutil

import pytest

np, cv2 = pytest.importorskip('numpy'), pytest.importorskip('cv2')

FACE = {'bbox', 'score', 'landmarks', 'pass', 'turn', 'norm', 'embedding'}


@pytest.fixture(scope='module')
def tight(data):
    """A picture that its face fills, found by the margin pass only."""
    return data / 'people/amy/amy1.png'


def size(picture):
    """(width, height)"""
    return cv2.imread(str(picture)).shape[1::-1]


def records(done):
    return [json.loads(line) for line in done.out.splitlines()]


def extract(vultus, models, *arguments, **more):
    return records(vultus('extract', *models, '--ndjson', *arguments, **more))


def area(face):
    x1, y1, x2, y2 = face['bbox']
    return (x2 - x1) * (y2 - y1)


def test_record(vultus, models, photo):
    [record] = extract(vultus, models, photo)
    assert set(record) == {'file', 'width', 'height', 'faces'}
    assert (record['file'], record['width'], record['height']) == (str(photo), *size(photo))
    [face] = record['faces']
    assert set(face) == FACE and face['pass'] == 'plain' and 0.6 < face['score'] <= 1
    assert len(face['bbox']) == 4 and [len(p) for p in face['landmarks']] == [2] * 5
    assert len(face['embedding']) >= 128 and np.linalg.norm(face['embedding']) == pytest.approx(1, abs=1e-5)
    x1, y1, x2, y2 = face['bbox']
    assert all(x1 < x < x2 and y1 < y < y2 for x, y in face['landmarks']) and face['norm'] > 0


def test_json_is_an_array_of_the_same_records(vultus, models, photo, other):
    array = json.loads(vultus('extract', *models, '--json', photo, other).out)
    assert array == extract(vultus, models, photo, other) and len(array) == 2


def test_numbers_are_shortest(vultus, models, photo):
    """Every float32 is written with the fewest digits that read back as the same float32."""
    import re
    text = vultus('extract', *models, '--ndjson', photo).out
    numbers = [n for n in re.findall(r'-?\d+\.\d+(?:e-?\d+)?', text.split('"faces"')[1])]
    assert len(numbers) > 100
    for number in numbers:
        value = np.float32(number)
        shortest = np.format_float_scientific(value, unique=True, trim='0')
        assert float(number) == float(shortest), (number, shortest)


def test_for_people(vultus, models, photo):
    text = vultus('extract', *models, photo).out
    assert text.splitlines()[0] == '{}: {}x{}, 1 face'.format(photo, *size(photo)) and 'score 0.' in text and 'landmarks' not in text
    assert 'landmarks' in vultus('extract', *models, '--landmarks', photo).out


def test_stdin(vultus, models, photo):
    [from_file] = extract(vultus, models, photo)
    [from_stdin] = extract(vultus, models, '-', stdin=photo.read_bytes())
    assert from_stdin['file'] == '-' and from_stdin['faces'] == from_file['faces']


def test_folder_is_sorted_and_not_recursive(vultus, models, root, photo, tmp_path):
    for name in ('b.jpg', 'a.JPEG', 'notes.txt', 'sub/c.jpg'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(photo, tmp_path / name)
    files = [r['file'] for r in extract(vultus, models, tmp_path)]
    assert files == [str(tmp_path / 'a.JPEG'), str(tmp_path / 'b.jpg')]
    assert 'no pictures' in vultus.fails('extract', *models, root / 'docs')


def test_margin_pass(vultus, models, tight):
    [record] = extract(vultus, models, tight)
    assert [f['pass'] for f in record['faces']] == ['margin']
    assert extract(vultus, models, '--robust', 'off', tight)[0]['faces'] == []
    assert extract(vultus, models, '--robust', 'auto', tight)[0] == record


def test_threshold_limit_and_size(vultus, models, group):
    [everything] = extract(vultus, models, group)
    faces = everything['faces']
    score = round(float(np.median([f['score'] for f in faces])), 3)
    width = int(np.median([f['bbox'][2] - f['bbox'][0] for f in faces]))
    assert len(faces) > 5 and faces == sorted(faces, key=lambda f: -f['score'])
    [strict] = extract(vultus, models, '--threshold', score, group)
    assert strict['faces'] == [f for f in faces if f['score'] > score]
    [largest] = extract(vultus, models, '--limit-faces', '3', group)
    assert largest['faces'] == sorted(faces, key=lambda f: -area(f))[:3]
    [wide] = extract(vultus, models, '--min-face-size', width, group)
    assert wide['faces'] == [f for f in faces if f['bbox'][2] - f['bbox'][0] >= width]
    assert 0 < len(strict['faces']) < len(faces) and 0 < len(wide['faces']) < len(faces)


def test_robust_full(vultus, models, photo, tmp_path):
    """A face that lies on its side is found by one of eight looks, and says by which."""
    cv2.imwrite(str(tmp_path / 'side.png'), cv2.rotate(cv2.imread(str(photo)), cv2.ROTATE_90_CLOCKWISE))
    [upright], [side] = (extract(vultus, models, '--robust', 'full', p) for p in (photo, tmp_path / 'side.png'))
    assert len(upright['faces']) >= 1 and upright['faces'][0]['turn'] == 0
    assert len(side['faces']) >= 1 and side['faces'][0]['turn'] == 270
    cosine = np.dot(upright['faces'][0]['embedding'], side['faces'][0]['embedding'])
    assert cosine > 0.8  # aligned upright, whatever the picture's turn
    assert ', turned 270 degrees' in vultus('extract', *models, '--robust', 'full', tmp_path / 'side.png').out


@pytest.mark.heavy
def test_tile(vultus, models, group):
    [plain], [tiled] = extract(vultus, models, group), extract(vultus, models, '--tile', group)
    assert len(tiled['faces']) >= len(plain['faces'])
    assert 'tile' in {f['pass'] for f in tiled['faces']} <= {'plain', 'tile'}


def test_quality(vultus, models, photo):
    [with_rec] = extract(vultus, models, '--attributes', 'quality', photo)
    [without] = extract(vultus, models, '--attributes', 'quality', '--no-embeddings', photo)
    for record in (with_rec, without):
        quality = record['faces'][0]['attributes']['quality']
        assert set(quality) == {'overall', 'norm', 'sharpness', 'size', 'yaw', 'pitch', 'roll', 'parts'}
        assert set(quality['parts']) == {'norm', 'sharpness', 'size', 'pose'} and 0 < quality['overall'] <= 1
    assert with_rec['faces'][0]['attributes']['quality']['norm'] == with_rec['faces'][0]['norm']
    assert quality['norm'] is None and quality['parts']['norm'] is None
    assert 'attributes' not in extract(vultus, models, photo)[0]['faces'][0]
    assert ', quality 0.' in vultus('extract', *models, '--attributes', 'quality', photo).out
    assert 'mask_detector112' in vultus.fails('extract', *models, '--attributes', 'mask', '--models', photo.parent / 'none', photo)


def test_threads_do_not_change_answers(vultus, models, group):
    plans = [json.loads(vultus('build', m, '--json').out)['path'] for m in (models[1], models[3])]
    ready = ['--det', plans[0], '--rec', plans[1]]
    assert extract(vultus, ready, '--threads', '1', group) == extract(vultus, ready, '--threads', '3', group)


def test_company_does_not_change_answers(vultus, models, group, photo, other):
    alone = [extract(vultus, models, p)[0] for p in (photo, other)]
    assert extract(vultus, models, photo, group, other)[::2] == alone


def test_without_embeddings(vultus, models, photo):
    [face] = extract(vultus, models[:2], '--no-embeddings', photo)[0]['faces']
    assert set(face) == FACE - {'norm', 'embedding'}


def test_times(vultus, models, photo):
    [record] = extract(vultus, models, '--times', photo)
    assert set(record['times']) == {'read', 'letterbox', 'detect', 'decode', 'align', 'embed', 'attributes', 'total'}
    assert record['times']['total'] >= record['times']['detect'] > 0


def test_crops(vultus, models, photo, other, tmp_path):
    extract(vultus, models, '--crops', tmp_path / 'crops', photo, other)
    assert sorted(p.name for p in (tmp_path / 'crops').iterdir()) == sorted(f'{p.stem}_0.jpg' for p in (photo, other))
    crop = cv2.imread(str(tmp_path / f'crops/{photo.stem}_0.jpg'))
    assert crop.shape == (112, 112, 3) and crop.std() > 20
    vultus('extract', *models, '--crops', tmp_path / 'exact', '--crop-format', 'npy', photo)
    exact = np.load(tmp_path / f'exact/{photo.stem}_0.npy')
    assert exact.shape == (112, 112, 3) and exact.dtype == np.uint8
    assert np.abs(exact.astype(int) - crop).mean() < 5


def test_crops_of_equal_names(vultus, models, photo, other, tmp_path):
    for folder, source in (('a', photo), ('b', other)):
        (tmp_path / folder).mkdir()
        shutil.copy(source, tmp_path / folder / f'same{source.suffix}')
    vultus('extract', *models, '--crops', tmp_path / 'crops', tmp_path / 'a', tmp_path / 'b')
    assert sorted(p.name for p in (tmp_path / 'crops').iterdir()) == ['same-2_0.jpg', 'same_0.jpg']


def test_unwritable_crops(vultus, models, photo, tmp_path):
    (tmp_path / 'file').write_text('')
    assert 'file' in vultus.fails('extract', *models, '--crops', tmp_path / 'file', photo)


def test_unreadable_photos_do_not_stop_the_rest(vultus, models, photo, tmp_path):
    (tmp_path / 'text.jpg').write_text('not a picture')
    done = vultus('extract', *models, '--ndjson', tmp_path / 'absent.jpg', photo, tmp_path / 'text.jpg', code=1)
    absent, fine, text = records(done)
    assert set(absent) == set(text) == {'file', 'error'} and len(fine['faces']) == 1
    assert 'absent.jpg' in absent['error'] and 'text.jpg' in text['error']
    assert '2 of 3 photos failed' in done.err
    array = json.loads(vultus('extract', *models, '--json', tmp_path / 'absent.jpg', photo, code=1).out)
    assert [sorted(r) for r in array] == [['error', 'file'], ['faces', 'file', 'height', 'width']]


def test_hostile_pictures(vultus, models, photo, other, tmp_path):
    jpeg, png = photo.read_bytes(), other.read_bytes()
    huge = bytearray(png)
    huge[16:24] = b'\x7f\xff\xff\xff' * 2
    cases = {'empty.jpg': b'', 'cut.jpg': jpeg[:100], 'magic.jpg': jpeg[:3], 'cut.png': png[:200], 'huge.png': bytes(huge),
             'model.jpg': b'\x08\x07\x12\x07pytorch', 'gif.jpg': b'GIF89a' + bytes(50)}
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
    done = vultus('extract', *models, '--ndjson', tmp_path / 'empty.jpg', *(tmp_path / n for n in list(cases)[1:]), code=1)
    for name, record in zip(cases, records(done)):
        assert set(record) == {'file', 'error'}, (name, record)
        assert name in record['error'] and len(record['error']) > 20


def test_extreme_shapes(vultus, models, tmp_path):
    """A picture so long that it vanishes when letterboxed is an error of its own; a black one has no faces."""
    cv2.imwrite(str(tmp_path / 'long.png'), np.zeros((1, 4000, 3), np.uint8))
    cv2.imwrite(str(tmp_path / 'wide.png'), np.zeros((1, 20000, 3), np.uint8))
    cv2.imwrite(str(tmp_path / 'high.bmp'), np.zeros((20000, 1, 3), np.uint8))
    cv2.imwrite(str(tmp_path / 'dot.png'), np.zeros((1, 1, 3), np.uint8))
    cv2.imwrite(str(tmp_path / 'black.png'), np.zeros((480, 640, 3), np.uint8))
    done = vultus('extract', *models, '--ndjson', *(tmp_path / name for name in
                  ('long.png', 'wide.png', 'high.bmp', 'dot.png', 'black.png')), code=1)
    long, wide, high, dot, black = records(done)
    assert 'error' in long and '20000 x 1 ' in wide['error'] and '1 x 20000 ' in high['error']
    assert dot['faces'] == [] and black['faces'] == []


def test_file_name_that_is_no_text(vultus, models, photo, tmp_path):
    name = bytes(tmp_path) + b'/\xff\xfe.jpg'
    with open(name, 'wb') as out:
        out.write(photo.read_bytes())
    [record] = extract(vultus, models, name)
    assert record['file'].endswith('/\ufffd\ufffd.jpg') and len(record['faces']) == 1


def test_models_from_the_environment(vultus, models, photo):
    named = {'VULTUS_DET': models[1], 'VULTUS_REC': models[3]}
    done = vultus('extract', '--ndjson', photo, environment=named)
    assert records(done) == extract(vultus, models, photo) and done.err == ''


def test_wrong_models(vultus, models, photo, tiny):
    assert 'absent.onnx' in vultus.fails('extract', '--det', 'absent.onnx', *models[2:], photo)
    assert vultus.fails('extract', '--det', models[3], *models[2:], photo)
    assert 'is no recogniser' in vultus.fails('extract', *models[:2], '--rec', models[1], photo)
    assert 'tells no attribute' in vultus.fails('extract', *models[:2], '--attributes', 'mask', '--mask-model', models[3], photo)
    assert vultus.fails('extract', '--det', tiny, *models[2:], photo)


def test_draw(vultus, models, photo, tmp_path):
    out = tmp_path / 'out.jpg'
    done = vultus('draw', *models[:2], photo, '-o', out)
    assert done.out == '{}: {}x{}, 1 face\n'.format(out, *size(photo))
    before, after = cv2.imread(str(photo)).astype(int), cv2.imread(str(out)).astype(int)
    assert after.shape == before.shape
    changed = np.abs(after - before).max(2) > 60
    [face] = extract(vultus, models, photo)[0]['faces']
    x1, y1, x2, y2 = (int(round(v)) for v in face['bbox'])
    assert changed[(y1 + y2) // 2, x1 - 2:x1 + 3].any() and changed[y1 - 2:y1 + 3, (x1 + x2) // 2].any()
    for x, y in face['landmarks']:
        assert changed[int(y) - 3:int(y) + 4, int(x) - 3:int(x) + 4].any()
    assert not changed[-20:, -20:].any() and changed.mean() < 0.3


def test_draw_failures(vultus, models, photo, tmp_path):
    (tmp_path / 'file').write_text('')
    assert 'file' in vultus.fails('draw', *models[:2], photo, '-o', tmp_path / 'file/out.jpg')
    assert 'absent.jpg' in vultus.fails('draw', *models[:2], tmp_path / 'absent.jpg', '-o', tmp_path / 'out.jpg')
    assert not (tmp_path / 'out.jpg').exists()


def match(vultus, models, *arguments):
    return json.loads(vultus('match', *models, '--json', *arguments).out)


def test_match(vultus, models, data):
    people = data / 'people'
    one = match(vultus, models, people / 'amy/amy1.png', people / 'amy/amy2.png')
    assert set(one) == {'cosine', 'same', 'threshold', 'faces'}
    assert [set(f) for f in one['faces']] == [FACE | {'file'}] * 2
    assert [pathlib.Path(f['file']).name for f in one['faces']] == ['amy1.png', 'amy2.png']
    a, b = (np.array(f['embedding']) for f in one['faces'])
    assert one['cosine'] == pytest.approx(a @ b, abs=1e-5)
    other = match(vultus, models, people / 'amy/amy1.png', people / 'raj/raj1.png')
    assert one['same'] is True and other['same'] is False and other['cosine'] < other['threshold'] < one['cosine']
    itself = match(vultus, models, people / 'amy/amy1.png', people / 'amy/amy1.png')
    assert itself['cosine'] == pytest.approx(1, abs=1e-6)


def test_match_threshold(vultus, models, photo, other):
    assert match(vultus, models, photo, other, '--threshold', '0.999')['same'] is False
    least = match(vultus, models, photo, other, '--threshold', '-1')
    assert least['same'] is True and least['threshold'] == -1


def test_match_takes_the_largest_face(vultus, models, group, photo):
    [record] = extract(vultus, models, group)
    largest = max(record['faces'], key=area)
    side = match(vultus, models, group, photo)['faces'][0]
    assert side['bbox'] == largest['bbox']


def test_match_saves_the_pair(vultus, models, photo, other, tmp_path):
    pair = [photo, other]
    vultus('match', *models, *pair, '--save', tmp_path / 'pair.jpg')
    saved = cv2.imread(str(tmp_path / 'pair.jpg')).astype(int)
    vultus('extract', *models, *pair, '--crops', tmp_path, '--crop-format', 'npy')
    for i, picture in enumerate(pair):
        x = 8 + 120 * i
        assert np.abs(saved[8:120, x:x + 112] - np.load(tmp_path / f'{picture.stem}_0.npy')).mean() < 6
    assert saved[122:].max() > 150, 'the verdict stands below the crops'


def test_match_failures(vultus, models, photo, tmp_path):
    cv2.imwrite(str(tmp_path / 'black.png'), np.zeros((200, 200, 3), np.uint8))
    assert 'no face in' in vultus.fails('match', *models, photo, tmp_path / 'black.png')
    assert 'absent.jpg' in vultus.fails('match', *models, tmp_path / 'absent.jpg', photo)
    (tmp_path / 'file').write_text('')
    assert 'file' in vultus.fails('match', *models, photo, photo, '--save', tmp_path / 'file/pair.jpg')


def test_embed_equals_extract(vultus, models, photo, other, tmp_path):
    """The crops that extract wrote give the embeddings that extract gave, byte for byte, in one batch or apart."""
    faces = [r['faces'][0] for r in extract(vultus, models, '--crops', tmp_path, '--crop-format', 'npy', photo, other)]
    crops = [tmp_path / f'{picture.stem}_0.npy' for picture in (photo, other)]
    together = json.loads(vultus('embed', *models[2:], '--json', *crops).out)
    assert [set(r) for r in together] == [{'file', 'norm', 'embedding'}] * 2
    apart = [records(vultus('embed', *models[2:], '--ndjson', crop))[0] for crop in crops]
    assert together == apart
    assert [(r['norm'], r['embedding']) for r in together] == [(f['norm'], f['embedding']) for f in faces]


def test_embed_more_than_one_batch(vultus, models, photo, tmp_path):
    vultus('extract', *models, photo, '--crops', tmp_path, '--crop-format', 'npy')
    crop = np.load(tmp_path / f'{photo.stem}_0.npy')
    files = []
    for i in range(70):
        files.append(tmp_path / f'{i}.npy')
        np.save(files[-1], np.roll(crop, i, 1))
    together = records(vultus('embed', *models[2:], '--ndjson', *files))
    assert [r['file'] for r in together] == [str(f) for f in files]
    for i in (0, 31, 32, 69):
        assert records(vultus('embed', *models[2:], '--ndjson', files[i])) == [together[i]]


def test_embed_failures(vultus, models, photo, tmp_path):
    vultus('extract', *models, photo, '--crops', tmp_path)
    np.save(tmp_path / 'float.npy', np.zeros((112, 112, 3), np.float32))
    np.save(tmp_path / 'small.npy', np.zeros((100, 112, 3), np.uint8))
    names = [tmp_path / 'float.npy', tmp_path / f'{photo.stem}_0.jpg', tmp_path / 'small.npy', photo, tmp_path / 'absent.png']
    done = vultus('embed', *models[2:], '--ndjson', *names, code=1)
    found = records(done)
    assert ['error' in r for r in found] == [True, False, True, True, True] and '4 of 5 crops failed' in done.err
    assert '112x100' in found[2]['error'] and '{}x{}'.format(*size(photo)) in found[3]['error']
    assert 'norm' in vultus('embed', *models[2:], tmp_path / f'{photo.stem}_0.jpg').out


def test_draw_grid(vultus, models, group, tmp_path):
    """Every crop is on the sheet, in the order of the faces, row by row; its caption is below."""
    vultus('draw', *models[:2], group, '--grid', tmp_path / 'grid.jpg')
    sheet = cv2.imread(str(tmp_path / 'grid.jpg')).astype(int)
    vultus('extract', *models[:2], '--no-embeddings', group, '--crops', tmp_path / 'crops', '--crop-format', 'npy')
    crops = sorted((tmp_path / 'crops').iterdir(), key=lambda p: int(p.stem.rpartition('_')[2]))
    columns = (sheet.shape[1] - 8) // 120
    assert sheet.shape == (8 + 140 * -(-len(crops) // columns), 8 + 120 * columns, 3)
    for i, path in enumerate(crops):
        x, y = 8 + i % columns * 120, 8 + i // columns * 140
        assert np.abs(sheet[y:y + 112, x:x + 112] - np.load(path)).mean() < 8, i
        assert sheet[y + 114:y + 130, x:x + 40].max() > 150, i


@pytest.mark.heavy
def test_bench_of_photos(vultus, models, photo, group):
    about = json.loads(vultus('bench', *models, '--seconds', '0.01', photo, group, '--json').out)
    assert set(about) == {'detector', 'recogniser', 'threads', 'photos'}
    counts = [len(r['faces']) for r in extract(vultus, models, photo, group)]
    assert [p['faces'] for p in about['photos']] == counts
    for row, file in zip(about['photos'], (photo, group)):
        assert row['file'] == str(file) and row['runs'] >= 5 and 0 < row['p10_ms'] <= row['total_ms'] <= row['p90_ms']
        assert row['per_face_ms'] == pytest.approx(row['total_ms'] / row['faces'], rel=1e-3)
        assert row['faces_per_s'] == pytest.approx(1e3 / row['per_face_ms'], rel=1e-2)
        assert set(row['stages_ms']) == {'read', 'letterbox', 'detect', 'decode', 'align', 'embed'}
    lines = vultus('bench', *models, '--seconds', '0.01', photo).out.splitlines()
    assert len(lines) == 2 and lines[0].split()[:2] == ['photo', 'faces'] and lines[1].split()[:2] == [photo.name, '1']
    assert 'absent.jpg' in vultus.fails('bench', *models, 'absent.jpg')
