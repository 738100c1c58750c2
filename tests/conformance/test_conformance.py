# SPDX-License-Identifier: Apache-2.0
"""Every applicable node test of ONNX passes: interpreted, and as plans for each instruction set of this machine."""
import pytest

pytest.importorskip('onnx')
import conformance  # noqa: E402


@pytest.fixture(scope='module')
def exclusions():
    return conformance.read_exclusions()


@pytest.fixture(scope='module')
def tests(root, exclusions):
    found = conformance.read_tests(conformance.node_tests(root), exclusions)
    if not found:
        pytest.skip('the node tests are not unpacked: scripts/setup.sh tests')
    return found


@pytest.fixture(scope='module')
def interpreted(build, tests, scratch):
    return conformance.run(build, 'interpreter', [test.line() for test in tests], scratch)[1]


@pytest.fixture(scope='module')
def scratch(build):
    folder = build / 'conformance'
    folder.mkdir(exist_ok=True)
    return folder


def failures(tests, results, excluded):
    return [f'{test.name}: {result}' for test, result in zip(tests, results) if not excluded(test) and result != 'passed']


def test_the_interpreter_conforms(tests, interpreted):
    assert len(tests) == 1288
    assert failures(tests, interpreted, lambda test: test.excluded) == []


@pytest.fixture(scope='module')
def planned(build, tests, scratch):
    masks = conformance.masks(build, scratch)
    assert masks
    return {mask: conformance.plan_results(build, tests, scratch, mask) for mask in masks}


def test_plans_conform_on_every_instruction_set(tests, planned):
    for mask, results in planned.items():
        assert failures(tests, results, conformance.not_for_plans) == [], mask


def test_exclusions_are_needed(tests, exclusions, interpreted, planned):
    """A line for what does not exist, or for what works after all, is wrong."""
    assert [exclusion.name for exclusion in exclusions if not exclusion.used] == []
    native = list(planned.values())[-1]
    assert [test.name for test, result in zip(tests, interpreted) if test.excluded and result == 'passed'] == []
    assert [test.name for test, result in zip(tests, native)
            if test.plan_excluded and not test.excluded and result == 'passed'] == []


def test_the_report_is_current(root, tests, interpreted, planned):
    native = list(planned.values())[-1]
    assert conformance.written_report(root)[0] == conformance.report(tests, interpreted, native)
