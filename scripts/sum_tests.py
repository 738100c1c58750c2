#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sums JUnit files: one line a file, then what was skipped, then "N passed, N failed".

usage: sum_tests.py FOLDER     exit code 1 when anything failed, or when there was nothing to sum
"""
import collections
import pathlib
import sys
import xml.etree.ElementTree as ElementTree


def outcome(case):
    kinds = {child.tag for child in case}
    if kinds & {'failure', 'error'}:
        return 'failed'
    return 'skipped' if 'skipped' in kinds else 'passed'


def main():
    folder = pathlib.Path(sys.argv[1])
    total = collections.Counter()
    for path in sorted(folder.glob('*.xml')):
        cases = ElementTree.parse(path).getroot().iter('testcase')
        counts = collections.Counter(outcome(case) for case in cases)
        total += counts
        print(f"{path.stem}: {counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    if total['skipped']:
        print(f"{total['skipped']} skipped")
    line = f"{total['passed']} passed, {total['failed']} failed"
    (folder / 'summary').write_text(line + '\n')
    print(line)
    return 1 if total['failed'] or not total['passed'] else 0


sys.exit(main())
