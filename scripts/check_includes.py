#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that every #include follows the table "may include" of docs/architecture.md.

usage: check_includes.py [REPOSITORY]     prints one line per violation; exit code 1 when there is any
"""
import pathlib
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.M)
ROW = re.compile(r'^\|\s*`([^`]+)`\s*\|[^|]*\|([^|]*)\|\s*$', re.M)
NAME = re.compile(r'`([^`]+)`')

# Public headers that any room may include: statuses and the version. The rest is for those whose row names include/vultus.
PUBLIC_FOR_ALL = {'vultus/status.h', 'vultus/version.h'}
GENERATED = {'config.h', 'fingerprint.h', 'pages_sum.h'}


def read_table(document):
    """{room: set of rooms or single files it may include}; room is the path below src/, or a folder of the root."""
    rows = {}
    for room, allowed in ROW.findall(document.read_text()):
        rows[room.strip('/').removeprefix('src/')] = allowed
    everything = {room for room in rows if room not in ('tools', 'examples', 'server')}
    return {room: everything if 'everything' in allowed else set(NAME.findall(allowed)) for room, allowed in rows.items()}


def room_of(path, rooms):
    """The room with the longest name that holds `path` (relative to src/), or None."""
    inside = [room for room in rooms if path == room or path.startswith(room + '/')]
    return max(inside, key=len, default=None)


def check_file(path, room, rooms, table):
    allowed = table[room]
    for target in INCLUDE.findall(path.read_text()):
        if target in PUBLIC_FOR_ALL or target in GENERATED or target in allowed or (path.parent / target).exists():
            continue
        other = 'include/vultus' if target.startswith('vultus/') else room_of(target, rooms)
        if other != room and other not in allowed:
            yield f'{path}: {room} may not include "{target}" (room {other or "unknown"})'


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent)
    table = read_table(root / 'docs' / 'architecture.md')
    rooms = set(table)
    problems, checked = [], 0
    for path in sorted([*root.glob('src/**/*.[ch]'), *root.glob('src/**/*.inc'), *root.glob('tools/*.[ch]'), *root.glob('server/*.[ch]'),
                        *root.glob('examples/*.c'), *root.glob('include/vultus/*.h')]):
        relative = path.relative_to(root).as_posix()
        if relative in table:
            room = relative
        else:
            room = room_of(relative.removeprefix('src/'), rooms)
        if room is None:
            problems.append(f'{relative}: stands in no room of docs/architecture.md')
            continue
        checked += 1
        problems += [p.replace(f'{root}/', '') for p in check_file(path, room, rooms, table)]
    print('\n'.join(problems) if problems else f'{checked} files follow the table')
    return 1 if problems or not checked else 0


sys.exit(main())
