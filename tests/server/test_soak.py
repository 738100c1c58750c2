# SPDX-License-Identifier: Apache-2.0
"""A minute of bench/soak.py: nothing unexpected is answered, memory does not run away, and the server answers as before."""
import sys

import pytest

MOST_GROWTH_MIB = 384  # allocators and batches grow for minutes; a picture leaked by each request would be thousands


@pytest.mark.soak
@pytest.mark.heavy
def test_soak(start, root, full):
    pytest.importorskip('cv2')
    sys.path.insert(0, str(root / 'bench'))
    import soak
    with start('--access-log', 'off') as server:
        summary, _ = soak.run(server.port, server.process.pid, root / 'examples/group.jpg', minutes=2 if full else 1)
    assert summary['surprises'] == []
    assert summary['answers_as_before']
    assert summary['growth_mib'] < MOST_GROWTH_MIB, summary
    assert summary['requests'] > 100
