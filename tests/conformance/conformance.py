#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ONNX's own node tests through the interpreter and through plans.

usage: conformance.py [--build FOLDER] [--report FILE] [--emulated PROCESSOR] [--mask MASK]

The report is docs/conformance.md

With VULTUS_EXE_WRAPPER, an emulator and its options, the build is of another processor; --emulated names it, and only
that section of the report is written anew.

The tests come with the package onnx 1.17.0; scripts/setup.sh unpacks them (later packages only generate them).
exclusions.txt says which do not apply, and why.
"""
import argparse
import collections
import fnmatch
import os
import pathlib
import shlex
import subprocess
import sys

import onnx

HERE = pathlib.Path(__file__).resolve().parent
VERSION = '1.17.0'
MASKS = ('sse', 'avx2', 'avx512', 'avx512_vnni', 'amx')
LONGEST_SECONDS = 600
LONGEST_EMULATED_SECONDS = 7200
NOT_ALONE = 'several operators'
EMULATED = '## Emulated\n'

# Inputs that say what shape a result has: plans are made for fixed shapes, models have them as constants.
SHAPE_OPERANDS = {
    'ConstantOfShape': (0,), 'Dropout': (1, 2), 'Expand': (1,), 'Pad': (1, 3), 'Range': (0, 1, 2), 'ReduceL2': (1,),
    'ReduceMax': (1,), 'ReduceMean': (1,), 'ReduceMin': (1,), 'ReduceSum': (1,), 'Reshape': (1,), 'Resize': (1, 2, 3),
    'Slice': (1, 2, 3, 4), 'Split': (1,), 'Squeeze': (1,), 'Tile': (1,), 'TopK': (1,), 'Unsqueeze': (1,),
    'Upsample': (1,)}
SHAPE_READERS = ('Shape', 'Size')


class Exclusion:
    """A line "KIND NAME REASON": KIND is operator, test, or plan (not applicable to plans alone)."""

    def __init__(self, line):
        self.kind, self.name, self.reason = line.split(None, 2)
        self.used = False
        assert self.kind in ('operator', 'test', 'plan'), line

    def matches(self, test):
        names = test.operators if self.kind == 'operator' else [test.name]
        return any(fnmatch.fnmatchcase(name, self.name) for name in names)


class Test:
    def __init__(self, folder, data_set):
        self.folder, self.data_set, self.name = folder, data_set, folder.name
        self.model = onnx.load(folder / 'model.onnx')
        self.operators = sorted({node.op_type for node in self.model.graph.node})
        self.operator = self.operators[0] if len(self.model.graph.node) == 1 else NOT_ALONE
        self.inputs = sorted(data_set.glob('input_*.pb'), key=lambda path: int(path.stem.split('_')[1]))
        self.excluded = None
        self.plan_excluded = None

    def line(self):
        return '\t'.join(map(str, [self.folder / 'model.onnx', self.data_set, *self.inputs]))

    def plan_line(self, scratch):
        """The same of a model whose shape operands are constants."""
        fixed = shape_inputs(self.model.graph)
        if not fixed:
            return self.line()
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        kept = []
        for value, path in zip(self.model.graph.input, self.inputs):
            if value.name not in fixed:
                kept.append(path)
                continue
            tensor = onnx.TensorProto.FromString(path.read_bytes())
            tensor.name = value.name
            model.graph.initializer.append(tensor)
            model.graph.input.remove(value)
        target = scratch / f'{self.name}.onnx'
        onnx.save(model, target)
        return '\t'.join(map(str, [target, self.data_set, *kept]))


def shape_inputs(graph):
    """Names of graph inputs that lead to a shape operand, but for those of which only the shape matters."""
    producers = {name: node for node in graph.node for name in node.output}
    pending = [node.input[i] for node in graph.node for i in SHAPE_OPERANDS.get(node.op_type, ())
               if i < len(node.input)]
    seen = set()
    while pending:
        name = pending.pop()
        if not name or name in seen:
            continue
        seen.add(name)
        if name in producers and producers[name].op_type not in SHAPE_READERS:
            pending += producers[name].input
    return seen & {value.name for value in graph.input}


def read_exclusions():
    lines = (HERE / 'exclusions.txt').read_text().splitlines()
    return [Exclusion(line) for line in lines if line and not line.startswith('#')]


def read_tests(folder, exclusions):
    tests = []
    for model in sorted(folder.glob('*/model.onnx')):
        for data_set in sorted(model.parent.glob('test_data_set_*')):
            test = Test(model.parent, data_set)
            for exclusion in exclusions:
                if exclusion.matches(test):
                    exclusion.used = True
                    attribute = 'plan_excluded' if exclusion.kind == 'plan' else 'excluded'
                    setattr(test, attribute, getattr(test, attribute) or exclusion.reason)
            tests.append(test)
    return tests


def run(build, engine, lines, scratch, mask='native'):
    """The instruction set used, and one result a line: 'passed' or a sentence."""
    plans = scratch / f'plans-{mask}'
    plans.mkdir(parents=True, exist_ok=True)
    wrapper = shlex.split(os.environ.get('VULTUS_EXE_WRAPPER', ''))
    program = [*wrapper, build / 'tests' / 'conformance' / 'conform']
    environment = {key: value for key, value in os.environ.items() if not key.startswith('VULTUS_')}
    done = subprocess.run([*program, engine, plans], input=''.join(line + '\n' for line in lines), capture_output=True,
                          text=True, env={**environment, 'VULTUS_CPU': mask},
                          timeout=LONGEST_EMULATED_SECONDS if wrapper else LONGEST_SECONDS)
    assert done.returncode == 0, f'conform {engine}: exit code {done.returncode}\n{done.stdout[-500:]}\n{done.stderr}'
    arch, *results = done.stdout.splitlines()
    assert len(results) == len(lines), done.stdout[-500:]
    return arch, results


def masks(build, scratch):
    """Those that make a difference here."""
    found = {}
    for mask in MASKS:
        found.setdefault(run(build, 'interpreter', [], scratch, mask)[0], mask)
    return list(found.values())


def plan_results(build, tests, scratch, mask):
    (scratch / 'models').mkdir(parents=True, exist_ok=True)
    return run(build, 'plan', [test.plan_line(scratch / 'models') for test in tests], scratch, mask)[1]


def count(tests, results, excluded):
    """(passed, failed, not applicable)"""
    passed = failed = skipped = 0
    for test, result in zip(tests, results):
        if excluded(test):
            skipped += 1
        elif result == 'passed':
            passed += 1
        else:
            failed += 1
    return passed, failed, skipped


def not_for_plans(test):
    return test.excluded or test.plan_excluded


def table(tests, interpreted, planned):
    groups = collections.defaultdict(list)
    for i, test in enumerate(tests):
        groups[test.operator].append(i)
    rows = ['| operator | tests | interpreter: passed | failed | not applicable | plans: passed | failed | not applicable |',
            '| --- | --- | --- | --- | --- | --- | --- | --- |']
    left_out = [0, 0]
    for operator in sorted(groups, key=lambda name: (name == NOT_ALONE, name)):
        chosen = groups[operator]
        some = [tests[i] for i in chosen]
        if all(test.excluded for test in some):
            left_out = [left_out[0] + 1, left_out[1] + len(some)]
            continue
        cells = count(some, [interpreted[i] for i in chosen], lambda test: test.excluded)
        cells += count(some, [planned[i] for i in chosen], not_for_plans)
        rows.append(f'| {operator} | {len(some)} | ' + ' | '.join(map(str, cells)) + ' |')
    rows.append(f'| {left_out[0]} operators without an applicable test | {left_out[1]} | 0 | 0 | {left_out[1]} | 0 | 0 | '
                f'{left_out[1]} |')
    return rows


def totals(tests, interpreted, planned):
    passed, failed, skipped = count(tests, interpreted, lambda test: test.excluded)
    plan_passed, plan_failed, plan_skipped = count(tests, planned, not_for_plans)
    return [f'- interpreter: {passed} passed, {failed} failed, {skipped} not applicable',
            f'- plans: {plan_passed} passed, {plan_failed} failed, {plan_skipped} not applicable']


def emulated_section(tests, interpreted, planned, processor, arch):
    return '\n'.join([
        EMULATED, f'The same tests on {processor}, plans for {arch}. `scripts/test.sh aarch64` runs a slice of them.', '',
        *totals(tests, interpreted, planned), ''])


def report(tests, interpreted, planned):
    reasons = collections.Counter(test.excluded for test in tests if test.excluded)
    plan_reasons = collections.Counter(test.plan_excluded for test in tests if test.plan_excluded and not test.excluded)
    return '\n'.join([
        '# Conformance', '',
        f'ONNX\'s own node tests, the {len(tests):,} that the package onnx {VERSION} ships. Written by',
        '`tests/conformance/conformance.py --report docs/conformance.md`; `scripts/test.sh conformance` checks it.', '',
        'Each test runs through the interpreter and, as `vultus run` would, through a plan, built for every',
        'instruction set that the machine has (`VULTUS_CPU`). For plans, inputs that say what shape a result has (axes,',
        'sizes, scales, slices) are constants, as in exported networks. Tolerances are those of ONNX\'s own runner.',
        'A row counts models of that operator alone; the last but one those of several (functions spelled out).', '',
        *totals(tests, interpreted, planned), '',
        '## By operator', '', *table(tests, interpreted, planned), '',
        '## Not applicable', '', '`tests/conformance/exclusions.txt` has a line for each operator or test.', '',
        '| reason | tests |', '| --- | --- |',
        *(f'| {reason} | {n} |' for reason, n in reasons.most_common()),
        *(f'| plans only: {reason} | {n} |' for reason, n in plan_reasons.most_common()), ''])


def node_tests(root):
    return root / 'build' / 'onnx-node-tests' / VERSION


def written_report(root):
    """(what this machine has to confirm, what an emulated one said)"""
    path = root / 'docs' / 'conformance.md'
    own, mark, emulated = (path.read_text() if path.exists() else '').partition('\n' + EMULATED)
    return own, mark + emulated


def main():
    root = HERE.parent.parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--build', type=pathlib.Path, default=root / 'build')
    parser.add_argument('--report', type=pathlib.Path)
    parser.add_argument('--emulated', metavar='PROCESSOR')
    parser.add_argument('--mask', default='native', help='of VULTUS_CPU, for the plans')
    options = parser.parse_args()
    scratch = options.build / 'conformance'
    tests = read_tests(node_tests(root), read_exclusions())
    assert tests, f'there are no tests in {node_tests(root)}; scripts/setup.sh tests unpacks them'
    arch, interpreted = run(options.build, 'interpreter', [test.line() for test in tests], scratch)
    planned = plan_results(options.build, tests, scratch, options.mask)
    for test, *results in zip(tests, interpreted, planned):
        for engine, result, excluded in zip(('interpreter', 'plan'), results, (test.excluded, not_for_plans(test))):
            if not excluded and result != 'passed':
                print(f'{test.name} ({engine}): {result}', file=sys.stderr)
    own, emulated = written_report(root)
    if options.emulated:
        text = own + '\n' + emulated_section(tests, interpreted, planned, options.emulated, arch)
    else:
        text = report(tests, interpreted, planned) + emulated
    if options.report:
        options.report.write_text(text)
    else:
        print(text)


if __name__ == '__main__':
    main()
