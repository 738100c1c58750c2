#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Names what ninja has to build for some of the tests: their programs, the command, the examples, and what black boxes run.

usage: test_targets.py BUILD PATTERN
"""
import json
import pathlib
import re
import subprocess
import sys

BLACK_BOXES = ('tools', 'examples', 'tests/conformance')


def introspect(build, what):
    return json.loads(subprocess.check_output(['meson', 'introspect', build, what]))


def main():
    build, pattern = pathlib.Path(sys.argv[1]).resolve(), re.compile(sys.argv[2])
    wanted = {command for test in introspect(build, '--tests') if pattern.search(test['name']) for command in test['cmd']}
    for target in introspect(build, '--targets'):
        if target['type'] != 'executable':
            continue
        for name in map(pathlib.Path, target['filename']):
            if str(name) in wanted or str(name.parent.relative_to(build)) in BLACK_BOXES:
                print(name.relative_to(build))


if __name__ == '__main__':
    main()
