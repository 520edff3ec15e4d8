# SPDX-License-Identifier: BSD-3-Clause
"""Hundreds of calls on a csr_array and on a ComplementaryMatrix: each has the outcome that the guide's page lists."""

import pathlib
import re

import pytest
import scipy
import scipy_calls

PAGE = pathlib.Path(__file__).resolve().parents[1] / "docs" / "guide" / "scipy-calls.md"
CALLS = list(scipy_calls.calls())


def listed():
    """{call: outcome} of the page."""
    text = PAGE.read_text()
    words = {long: short for short, long in scipy_calls.WORDS.items()}
    others = {call: words[word] for call, word in re.findall(r"^\| `(.+?)` \| ([\w ]+) \|", text, re.MULTILINE)}
    same = re.findall(r"^```text\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return others | dict.fromkeys((call for part in same for call in re.split(r";\s", part.strip())), "same")


LISTED = listed()


@pytest.mark.parametrize("call", [call for _, call in CALLS])
def test_outcome(call):
    outcome = scipy_calls.outcome(call)
    if outcome is None:
        pytest.skip(f"SciPy {scipy.__version__} does not have it")
    assert outcome == LISTED[call]


@pytest.mark.parametrize("section", scipy_calls.CALLS)
def test_what_differs_has_a_reason(section):
    calls = [call for other, call in CALLS if other == section]
    assert not [call for call in calls if LISTED.get(call, "same") != "same" and not scipy_calls.reason(section, call)]
    assert len({*calls}) == len(calls)


def test_page():
    """The page is what the tool writes, except for versions of SciPy that have other calls."""
    if scipy.__version__.split(".")[:2] != re.search(r"with SciPy (\S+);", PAGE.read_text())[1].split("."):
        pytest.skip("the page was made with another version of SciPy")
    assert PAGE.read_text() == scipy_calls.page(), "python tests/tools/scipy_calls.py > docs/guide/scipy-calls.md"


def test_outcomes_tell_apart():
    """The comparison sees values, dtypes, shapes and kinds."""
    agree, plain = scipy_calls.agree, scipy_calls.plain
    A = scipy_calls.operands("csr")["A"]
    assert agree(plain(A), plain(A.tocoo()))
    for other in (A * 1.01, A.astype("f4"), A[:5], A.toarray(), None, ValueError()):
        assert not agree(plain(A), plain(other))
    assert agree(ValueError(), TypeError())
