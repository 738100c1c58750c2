# SPDX-License-Identifier: Apache-2.0
"""What `make serve` prints works as it stands."""
import os
import re
import shlex
import signal
import subprocess
import urllib.request

import pytest


def test_printed_lines_work(vultus, models, build, root, tmp_path):
    environment = {**vultus.environment, 'VULTUS_BUILD': str(build.resolve())}
    process = subprocess.Popen([root / 'scripts/serve.sh', '--host', '0.0.0.0', '--port', '0', '--access-log', 'off', *models], stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True, env=environment)
    try:
        lines = []
        for line in process.stderr:
            lines.append(line.strip())
            if 'with a browser' in line:
                break
        else:
            pytest.fail('\n'.join(lines))
        [curl] = [line for line in lines if line.startswith('curl ')]
        command = shlex.split(curl)
        command[-1] = os.fspath(tmp_path / command[-1])
        subprocess.run([command[0], '--fail', *command[1:]], cwd=root, check=True, timeout=120)
        assert (tmp_path / 'faces.jpg').read_bytes()[:2] == b'\xff\xd8'
        address = re.search(r'http\S+', lines[-1]).group()
        page = urllib.request.urlopen(urllib.request.Request(address, headers={'Accept': 'text/html'}), timeout=60)
        assert page.status == 200 and b'<title>vultus</title>' in page.read()
    finally:
        process.send_signal(signal.SIGTERM)
        process.stderr.read()
        code = process.wait(60)
        process.stderr.close()
    assert code == 0
