# SPDX-License-Identifier: Apache-2.0
"""Docstrings of the tests here name the numbered facts that they prove; those are the sections of spec/insightface-rest-api.md in the test data."""
import ast
import re

# What no request can show.
ELSEWHERE = {'5.2': 'files of models: vultus models', '7.5': 'downloads', '7.6': 'downloads', '7.7': 'engine files', '7.8': 'engine files',
             '7.22': 'the families of detectors are tested by golden', '7.23': 'its container', '7.25': 'engine files', '7.27': 'the keys are tested by cli'}


def described(data):
    """Sections without subsections, and the numbers of the last one."""
    text = (data / 'spec/insightface-rest-api.md').read_text()
    numbers = re.findall(r'^##+ (\d+(?:\.\d+)?)\.? ', text, re.M)
    leaves = {number for number in numbers if not any(other.startswith(number + '.') for other in numbers)} - {'7'}
    return leaves | {'7.' + number for number in re.findall(r'^(\d+)\. ', text.split('\n## 7. ')[1], re.M)}


def test_every_fact_has_a_test(root, data):
    proved = set()
    for path in (root / 'tests/server').glob('test_*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and (found := re.match(r'Facts? ([\d., ]+?)[.:]( |$)', ast.get_docstring(node) or '')):
                proved |= set(found.group(1).split(', '))
    assert proved | set(ELSEWHERE) == described(data) and not proved & set(ELSEWHERE)
