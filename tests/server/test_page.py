# SPDX-License-Identifier: Apache-2.0
"""The page at / in headless Chromium: it shows what the API answered, and nothing of it comes from elsewhere."""
import hashlib
import json

import pytest
from test_http import form

browser_module = pytest.importorskip('browser', reason='websocket-client is not installed')
if not browser_module.program():
    pytest.skip('Chromium is not installed (scripts/setup.sh tests does it)', allow_module_level=True)

HTML = {'accept': 'text/html,application/xhtml+xml,*/*;q=0.8'}
TELL = 'attributes=mask,liveness,gender_age,quality'
QUERY = f'?threshold=0.6&robust=true&return_landmarks=true&return_face_data=true&extract_embedding=false&{TELL}'


@pytest.fixture(scope='module')
def browser():
    running = browser_module.Browser()
    yield running
    running.close()


@pytest.fixture
def page(browser, server):
    """open(part, ...) shows a part of the page; afterwards nothing may have been asked of others, or have gone wrong."""
    def show(part='', **look):
        browser.open(f'http://127.0.0.1:{server.port}/{part}', **look)
        return browser
    yield show
    origin = f'http://127.0.0.1:{server.port}/'
    assert [url for url in browser.requests if not url.startswith((origin, 'blob:', 'data:', 'about:'))] == []
    assert browser.complaints == []


def faces_of(server, photo):
    return server.ask('POST', '/v1/extract' + QUERY, photo.read_bytes(), {'content-type': 'image/jpeg'}).json()['data'][0]['faces']


def attribute(browser, selector, name):
    return browser.evaluate(f'[...document.querySelectorAll({json.dumps(selector)})].map((e) => e.getAttribute({json.dumps(name)}))')


def texts(browser, selector):
    return browser.evaluate(f'[...document.querySelectorAll({json.dumps(selector)})].map((e) => e.textContent)')


# ---------------------------------------------------------------- the files

def test_who_gets_the_page(server):
    for accept in ('text/html', HTML['accept'], 'image/png, TEXT/HTML;q=0.3'):
        answer = server.get('/', accept=accept)
        assert (answer.status, answer.type, answer.headers['vary']) == (200, 'text/html; charset=utf-8', 'Accept')
    for headers in ({}, {'accept': '*/*'}, {'accept': 'application/json'}, {'accept': 'text/html;q=0, */*'}, {'accept': 'text/htmlx'}):
        answer = server.get('/', **headers)
        assert (answer.status, answer.headers['location'], answer.body) == (307, '/docs', b'')


def test_headers_of_the_files(server):
    for path in ('/', '/docs', '/redoc', '/page/page.css', '/page/page.js', '/page/photos.js'):
        answer = server.get(path, **HTML)
        policy = dict(part.split(' ', 1) for part in answer.headers['content-security-policy'].split('; '))
        assert policy['default-src'] == "'none'" and policy['script-src'] == policy['style-src'] == policy['connect-src'] == "'self'"
        assert answer.headers['x-content-type-options'] == 'nosniff'
        again = server.ask('GET', path, headers={**HTML, 'if-none-match': answer.headers['etag']})
        assert (again.status, again.body) == (304, b'') and again.headers['etag'] == answer.headers['etag']
        assert server.ask('GET', path, headers={**HTML, 'if-none-match': '"other"'}).body == answer.body
    for path in ('/page/', '/page/nothing.js', '/page/../page.css'):
        assert server.get(path).status in (307, 404)


def test_status_without_folders(server, vultus):
    status = server.get('/v1/status').json()
    known = json.loads(vultus('doctor', '--json').out)
    assert list(status) == ['version', 'uptime_seconds', 'cpu', 'backends', 'codecs', 'backend_order', 'gpus']
    assert status['uptime_seconds'] > 0
    for key in ('version', 'backends', 'codecs'):
        assert status[key] == known[key]


# ---------------------------------------------------------------- photos

def test_photo_shows_the_answer(page, server, photo, group):
    browser = page('#photos')
    browser.choose('#photo-input', group, photo)
    browser.until('document.querySelectorAll(".photo[aria-busy=false]").length === 2')
    for number, picture in enumerate((group, photo)):
        card, faces = f'.photo:nth-child({number + 1})', faces_of(server, picture)
        boxes = zip(*(attribute(browser, f'{card} rect', name) for name in ('x', 'y', 'width', 'height')))
        assert [[int(x), int(y), int(x) + int(w), int(y) + int(h)] for x, y, w, h in boxes] == [f['bbox'] for f in faces]
        assert attribute(browser, f'{card} .picture path', 'd') == [f'M{x} {y}h0' for f in faces for x, y in f['landmarks']]
        assert texts(browser, f'{card} .faces b') == [f'{f["prob"]:.3f}' for f in faces]
        crops = attribute(browser, f'{card} .faces img', 'src')
        assert crops == ['data:image/jpeg;base64,' + f['facedata'] for f in faces]
        [summary] = texts(browser, f'{card} .summary')
        assert summary.startswith(f'{len(faces)} face{"s" if len(faces) != 1 else ""} ')
        assert {'decode', 'detect', 'write'} <= set(attribute(browser, f'{card} [data-stage]', 'data-stage'))


def test_boxes_lie_on_the_picture(page, server, photo):
    """The overlay's coordinates on the screen are the answer's, scaled as the picture is."""
    browser = page('#photos')
    browser.choose('#photo-input', photo)
    browser.until('document.querySelector(".picture rect")')
    [face, *_] = faces_of(server, photo)
    place = browser.evaluate('(() => { const i = document.querySelector(".picture img"), a = i.getBoundingClientRect(),'
                             ' b = document.querySelector(".picture rect").getBoundingClientRect(), s = a.width / i.naturalWidth;'
                             ' return [(b.left - a.left) / s, (b.top - a.top) / s, (b.right - a.left) / s, (b.bottom - a.top) / s]; })()')
    assert place == pytest.approx(face['bbox'], abs=2.5)


def test_dropped_text_is_refused_and_pictures_go_on(page, images_root, photo):
    browser = page('#photos')
    browser.drop('#photo-drop', images_root / 'text.jpg')
    browser.until('document.querySelector(".photo .problem")')
    assert texts(browser, '.photo .problem')[0].startswith('The server cannot read this file: ')
    browser.drop('#photo-drop', photo)
    browser.until('document.querySelectorAll(".faces li").length > 0')


def test_pasted_picture(page, server, photo):
    browser = page('#photos')
    code = ', '.join(map(str, photo.read_bytes()))
    browser.evaluate(f'''(() => {{ const data = new DataTransfer();
        data.items.add(new File([new Uint8Array([{code}])], "pasted.jpg", {{ type: "image/jpeg" }}));
        document.dispatchEvent(new ClipboardEvent("paste", {{ clipboardData: data, bubbles: true, cancelable: true }})); }})()''')
    browser.until('document.querySelector(".photo[aria-busy=false]")')
    assert texts(browser, '.photo h2') == ['pasted.jpg'] and len(texts(browser, '.faces li')) == len(faces_of(server, photo))


def test_refused_field_is_told(page, photo):
    browser = page('#photos')
    browser.evaluate('document.querySelector("#threshold").type = "text"; document.querySelector("#threshold").value = "much"')
    browser.choose('#photo-input', photo)
    browser.until('document.querySelector(".photo .problem")')
    assert 'threshold' in texts(browser, '.photo .problem')[0] and '422' in texts(browser, '.photo .problem')[0]


def test_attributes_are_shown_where_told(page):
    browser = page('#photos')
    told = {'prob': 0.9, 'attributes': {'mask': {'mask': True, 'probability': 0.97}, 'liveness': {'live': False, 'probability': 0.2},
                                        'gender_age': {'gender': 'female', 'age': 31}, 'quality': {'overall': 0.5}}}
    old = {'prob': 0.9, 'gender': 1, 'age': 40, 'mask': False, 'mask_probs': {'mask': 0.1, 'no_mask': 0.9}}
    none = {'prob': 0.9, 'gender': None, 'age': None, 'mask': None, 'mask_probs': None, 'attributes': {'mask': None, 'liveness': None}}
    shown = [browser.evaluate(f'import("/page/faces.js").then((m) => m.attributesOf({json.dumps(face)}).map((line) => line[1]))') for face in (told, old, none)]
    assert shown == [['female', '31 years', 'mask 97%', 'not live 20%', 'quality 50%'], ['male', '40 years', 'no mask'], []]


# ---------------------------------------------------------------- comparing

def test_compare_shows_the_answer(page, server, photo, other):
    browser = page('#compare')
    for a, b, verdict in ((photo, photo, 'The same person'), (photo, other, 'Different people')):
        answer = server.ask('POST', '/v1/match', *form(('a', a.read_bytes(), 'a'), ('b', b.read_bytes(), 'b'))).json()
        browser.evaluate('document.querySelector("#match-result").replaceChildren()')
        browser.choose('#input-a', a)
        browser.choose('#input-b', b)
        browser.until(f'document.querySelector("#cosine")?.textContent === "{answer["cosine"]:.4f}"')
        assert texts(browser, '.verdict .answer') == [verdict] and f'{answer["threshold"]:.4f}' in texts(browser, '.verdict .about')[0]
        # Something is drawn on both crops.
        assert browser.evaluate('[...document.querySelectorAll(".verdict canvas")].map((c) => new Set(c.getContext("2d")'
                                '.getImageData(0, 136, 272, 1).data).size > 20)') == [True, True]


def test_compare_tells_what_is_wrong(page, images_root, photo):
    browser = page('#compare')
    browser.choose('#input-a', photo)
    browser.choose('#input-b', images_root / 'text.jpg')
    browser.until('document.querySelector("#match-result .problem")')
    assert 'Picture b' in texts(browser, '#match-result .problem')[0]


# ---------------------------------------------------------------- the state of the server

def test_status_shows_metrics(page, server):
    browser = page('#status')
    browser.until('document.querySelector("#backends tbody tr") && document.querySelector("#detector-chart rect")')
    status, info = server.get('/v1/status').json(), server.get('/info').json()['models']
    rows = texts(browser, '#models tbody tr')
    assert info['det_name'] in rows[0] and info['rec_name'] in rows[1] and all('cpu' in row for row in rows[:2])
    shown = browser.evaluate('[...document.querySelectorAll("#backends tbody tr")].map((r) => [...r.cells].map((c) => c.textContent))')
    assert [row[0] for row in shown] == [b['name'] for b in status['backends']]
    for row, backend in zip(shown, status['backends']):
        assert backend['reason'] in row[2] and (row[1] == 'not usable') == (not backend['usable'])
    for network in ('detector', 'recogniser'):
        bars = attribute(browser, f'#{network}-chart rect', 'data-value')
        assert sum(map(int, bars)) == server.metric('vultus_batch_size_count', network=network)
    assert set(attribute(browser, '#stage-chart .bar0', 'data-name')) >= {'decode', 'detect'}


# ---------------------------------------------------------------- for everyone

def test_keyboard(page, photo):
    """From the top: skip link, parts, key, file input; a part is opened and a face chosen without a pointer."""
    browser = page()
    browser.choose('#photo-input', photo)
    browser.until('document.querySelector(".faces button")')
    reached = []
    browser.evaluate('document.body.focus(); document.activeElement.blur()')
    for _ in range(16):
        browser.press('Tab')
        reached.append(browser.evaluate('(document.activeElement.id || document.activeElement.textContent).trim()'))
        if browser.evaluate('document.activeElement.matches(".faces button")'):
            break
    assert reached[:7] == ['Skip to the content', 'vultus', 'Photos', 'Compare', 'Status', 'API', 'key-button']
    assert 'photo-input' in reached
    outline = browser.evaluate('getComputedStyle(document.activeElement).outlineStyle')
    assert outline != 'none' and browser.evaluate('document.querySelector(".picture rect").classList.contains("chosen")')
    browser.press('Enter')
    assert attribute(browser, '.faces button', 'aria-pressed')[0] == 'true'
    browser.evaluate('document.querySelector("nav a[href=\\"#compare\\"]").focus()')
    browser.press('Enter')
    browser.until('!document.querySelector("#compare").hidden && document.querySelector("#photos").hidden')
    assert texts(browser, 'nav [aria-current]') == ['Compare']


def test_everything_has_a_name(page):
    browser = page('#photos')
    for part in ('photos', 'compare', 'status'):
        browser.evaluate(f'location.hash = "{part}"')
        nameless = browser.evaluate('[...document.querySelectorAll("button, input, a, [role=region]")].filter((e) => !(e.textContent.trim()'
                                    ' || e.getAttribute("aria-label") || (e.labels && e.labels[0]?.textContent.trim()))).map((e) => e.outerHTML)')
        assert nameless == []


@pytest.mark.parametrize('part', ['#photos', '#compare', '#status', 'docs'])
def test_narrow(page, photo, part):
    browser = page(part, width=320, height=640)
    if part == '#photos':
        browser.choose('#photo-input', photo)
        browser.until('document.querySelector(".faces li")')
    if part in ('#status', 'docs'):
        browser.until('document.querySelector("#backends tbody tr, .route")')
    assert browser.evaluate('document.documentElement.scrollWidth') <= 320
    assert browser.evaluate('[...document.querySelectorAll("nav a, button")].every((e) => e.offsetParent === null || e.getBoundingClientRect().right <= 320)')


def luminance(colour):
    channels = [int(v) / 255 for v in colour.removeprefix('rgb(').removesuffix(')').split(',')]
    return sum(w * (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4) for w, c in zip((0.2126, 0.7152, 0.0722), channels))


@pytest.mark.parametrize('dark', [False, True])
def test_light_and_dark_have_contrast(page, dark):
    """Text against its ground, as WCAG counts it."""
    browser = page('#photos', dark=dark)
    for text, ground in (('body', 'body'), ('.lead', 'body'), ('nav a:not([aria-current])', '.bar'), ('nav a[aria-current]', 'nav a[aria-current]')):
        colours = browser.evaluate(f'[getComputedStyle(document.querySelector({json.dumps(text)})).color,'
                                   f' getComputedStyle(document.querySelector({json.dumps(ground)})).backgroundColor]')
        low, high = sorted(map(luminance, colours))
        assert (high + 0.05) / (low + 0.05) >= 4.5, (text, colours)
    assert (luminance(browser.evaluate('getComputedStyle(document.body).backgroundColor')) < 0.1) == dark


def test_key_is_kept_for_the_tab_and_sent(page, photo):
    browser = page('#photos')
    browser.evaluate('document.querySelector("#key-button").click(); document.querySelector("#key-input").value = "secret";'
                     ' document.querySelector("#key-form").requestSubmit()')
    assert browser.evaluate('sessionStorage.getItem("vultus-key")') == 'secret' and not browser.evaluate('document.querySelector("#key-dialog").open')
    browser.evaluate('window.sent = []; const old = fetch; window.fetch = (path, options) => { sent.push(options.headers.Authorization); return old(path, options); }')
    browser.choose('#photo-input', photo)
    browser.until('document.querySelector(".faces li")')
    assert browser.evaluate('sent') == ['Bearer secret']
    browser.evaluate('sessionStorage.clear()')


def test_server_that_needs_a_key_is_given_it(browser, start, photo):
    """The page itself needs none; its first request is refused, and it asks, and goes on with what it is given."""
    with start('--api-keys', hashlib.sha256(b'right').hexdigest()) as server:
        browser.open(f'http://127.0.0.1:{server.port}/#photos')
        browser.choose('#photo-input', photo)
        browser.until('document.querySelector("#key-dialog").open')
        browser.call('Input.insertText', text='right')
        browser.press('Enter')
        browser.until('document.querySelector(".faces li")')
        browser.evaluate('location.hash = "status"')
        browser.until('document.querySelector("#backends tbody tr")')
        assert browser.complaints == []
        browser.evaluate('sessionStorage.clear()')


# ---------------------------------------------------------------- the API's description

@pytest.mark.parametrize('path', ['docs', 'redoc'])
def test_docs_show_the_document(page, server, path):
    browser = page(path)
    browser.until('document.querySelector(".route")')
    document = server.get('/openapi.json').json()
    routes = [f'{method} {at}' for at, methods in document['paths'].items() for method in methods]
    assert attribute(browser, '.route', 'data-route') == routes
    [extract] = texts(browser, '[data-route="post /extract"]')
    for name, field in document['components']['schemas']['Extract']['properties'].items():
        assert name in extract and field.get('description', '') in extract
    for shape in ('Faces', 'Crops'):
        assert document['components']['schemas'][shape]['title'] in extract
    for name in ('took.read_imgs_ms', *(f'data[].faces[].{name}' for name in document['components']['schemas']['Face']['properties'])):
        assert name in extract


def test_curl_lines_work(page, server, photo, tmp_path):
    """Those that need no more than a picture do what they say."""
    import shlex
    import shutil
    import subprocess
    browser = page('docs')
    browser.until('document.querySelector(".route")')
    for name in ('photo.jpg', 'a.jpg', 'b.jpg'):
        shutil.copy(photo, tmp_path / name)
    for route in ('post /v1/extract', 'post /v1/match', 'post /multipart/draw_detections', 'get /info', 'get /v1/status', 'post /extract'):
        [line] = texts(browser, f'[data-route="{route}"] .curl pre')
        done = subprocess.run(['curl', '--fail', *shlex.split(line)[1:]], cwd=tmp_path, capture_output=True, check=True, timeout=60)
        picture = tmp_path / 'faces.jpg'
        assert picture.read_bytes()[:2] == b'\xff\xd8' if picture.exists() and not done.stdout else json.loads(done.stdout)
        picture.unlink(missing_ok=True)
