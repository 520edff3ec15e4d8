# SPDX-License-Identifier: BSD-3-Clause
"""The test-suites of other packages, run on ComplementaryMatrix, against a reviewed list of what does not pass.

`expected.tsv` names each test that fails or is skipped, and why. A test that is not in it must pass; one that is in
it must not, where this version of the suite has it, so that the list stays true. The suites stay where their wheels
put them and run in a process of their own.
"""

import csv
import importlib.metadata
import importlib.util
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import scipy

HERE = Path(__file__).parent
SPARSE_DOT_TESTS = ("test_sparse_dense", "test_sparse_sparse", "test_sparse_vector")


def expected_outcomes(suite):
    """(test, outcome) pairs listed for the suite; each with a reason."""
    with open(HERE / "expected.tsv", newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream, delimiter="\t") if row["suite"] == suite]
    assert all(row["reason"].strip() for row in rows)
    outcomes = {row["test"]: row["outcome"] for row in rows}
    assert len(outcomes) == len(rows), "a test is listed twice"
    return outcomes


def run_suite(tmp_path, *arguments, **environment):
    """Runs pytest in a process of its own; returns {test: outcome}."""
    report = tmp_path / "report.xml"
    path = os.pathsep.join([str(HERE), *filter(None, sys.path)])
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-c",
        os.devnull,
        f"--rootdir={tmp_path}",
        "-p",
        "no:cacheprovider",
    ]
    finished = subprocess.run(
        [*command, f"--junitxml={report}", *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert report.exists(), finished.stdout + finished.stderr
    outcomes = {}
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{case.get('classname').rpartition('.')[2]}.{case.get('name')}"
        child = next((child.tag for child in case if child.tag in ("failure", "error", "skipped")), "passed")
        outcomes[name] = "failed" if child == "failure" else child
    return outcomes


def compare(outcomes, expected):
    """Returns how many tests passed."""
    passed = {name for name, outcome in outcomes.items() if outcome == "passed"}
    others = {name: outcome for name, outcome in outcomes.items() if name not in passed}
    unlisted = {name: outcome for name, outcome in others.items() if expected.get(name) != outcome}
    assert not unlisted, f"not in expected.tsv, or there with another outcome: {unlisted}"
    assert not passed & expected.keys(), f"in expected.tsv, but they pass: {sorted(passed & expected.keys())}"
    return len(passed)


# What each SciPy's suite, which grows, was left with when this was written: no change may lower it.
SCIPY_PASSED = {(1, 15): 111, (1, 17): 115}


@pytest.mark.slow
def test_scipy_base(tmp_path):
    passed = compare(run_suite(tmp_path, str(HERE / "scipy_base_suite.py")), expected_outcomes("scipy"))
    version = tuple(map(int, scipy.__version__.split(".")[:2]))
    assert passed >= max(score for known, score in SCIPY_PASSED.items() if known <= version)


def find_mkl():
    """The file of the MKL run-time library in this environment."""
    try:
        files = importlib.metadata.files("mkl") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    found = [file.locate() for file in files if file.name.startswith("libmkl_rt.so")]
    return os.fspath(found[0].resolve()) if found else None


@pytest.mark.slow
def test_sparse_dot(tmp_path):
    if importlib.util.find_spec("sparse_dot_mkl") is None:
        pytest.skip("sparse_dot_mkl is not installed")
    mkl = os.environ.get("MKL_RT") or find_mkl()
    if mkl is None:
        pytest.skip("sparse_dot_mkl cannot be imported without MKL, which is not installed")
    modules = [f"sparse_dot_mkl.tests.{name}" for name in SPARSE_DOT_TESTS]
    outcomes = run_suite(tmp_path, "-p", "sparse_dot_shim", "--pyargs", *modules, MKL_RT=mkl)
    assert compare(outcomes, expected_outcomes("sparse_dot")) >= 846
