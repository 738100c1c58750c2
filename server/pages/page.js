// SPDX-License-Identifier: Apache-2.0
// The parts of the page: which is shown is what stands behind the # of its address.
import { byId, startKeyDialog } from './common.js';
import { startMatch, takeForMatch } from './match.js';
import { startPhotos, takePhotos } from './photos.js';
import { showStatus } from './status.js';

const parts = ['photos', 'compare', 'status'];

const shown = () => (parts.includes(location.hash.slice(1)) ? location.hash.slice(1) : parts[0]);

function show() {
  for (const part of parts) byId(part).hidden = part !== shown();
  for (const link of document.querySelectorAll('nav a'))
    if (link.getAttribute('href') === `#${shown()}`) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  document.title = `${byId(shown()).querySelector('h1').textContent} - vultus`;
  showStatus(shown() === 'status');
}

// A picture that misses the drop zone must not replace the page.
for (const name of ['dragover', 'drop']) window.addEventListener(name, (event) => event.preventDefault());

document.addEventListener('paste', (event) => {
  const files = [...event.clipboardData.files];
  if (files.length === 0) return;
  event.preventDefault();
  if (shown() === 'compare') takeForMatch(files);
  else if (shown() === 'photos') takePhotos(files);
});

startKeyDialog();
startPhotos();
startMatch();
window.addEventListener('hashchange', show);
show();
