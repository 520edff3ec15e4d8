# SPDX-License-Identifier: BSD-3-Clause
"""The fuzzer: it finds what is planted, and some cases of each of its targets pass."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fuzz import registry, runner

pytestmark = [
    pytest.mark.budget,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc and limits address space"),
]
HERE = Path(__file__).resolve().parent
TARGETS = sorted(registry.load_targets())
PLANTED = """
import os, signal, time
import numpy as np
from fuzz.registry import generator, target

CASES = {int(generator(1, "planted", case).integers(2**63)): case for case in range(10)}

@target(megabytes=64, seconds=0.5)
def planted(rng):
    case = CASES[int(rng.integers(2**63))]
    if case == 2:
        raise ZeroDivisionError("planted")
    if case == 4:
        os.kill(os.getpid(), signal.SIGSEGV)
    if case == 6:
        time.sleep(60)
    if case == 8:
        np.ones(2**27)
    print("what a case prints is not read")
    return "fine"
"""


@pytest.mark.parametrize("name", TARGETS)
def test_some_cases_of_each_target(name):
    report = runner.run(registry.TARGETS[name], seed=1, first=0, cases=60, seconds=120)
    assert not report.findings, report.findings
    assert report.cases == 60
    assert sum(report.tally.values()) == 60


def test_what_is_planted_is_found(tmp_path, monkeypatch):
    (tmp_path / "planted.py").write_text(PLANTED)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(runner, "CHILD", f"import planted; {runner.CHILD}")
    report = runner.run(registry.Target("planted", None, 64, 0.5), seed=1, first=0, cases=10, seconds=120)
    assert [(finding.case, finding.kind) for finding in report.findings] == [
        (2, "error"),
        (4, "crash"),
        (6, "hang"),
        (8, "memory"),
    ]
    assert "ZeroDivisionError: planted" in report.findings[0].text
    assert signal.SIGSEGV.name in report.findings[1].text
    assert f'{tmp_path / "planted.py"}", line 14 in planted' in report.findings[1].text, "where it crashed"
    assert "Extension modules" not in report.findings[1].text
    assert report.cases == 10
    assert "1 crash, 1 error, 1 hang, 1 memory" in report.line()


def test_a_case_is_the_same_wherever_it_stands():
    draws = [registry.generator(7, "mtx", case).integers(2**63) for case in (0, 1, 1)]
    assert draws[0] != draws[1] == draws[2]
    assert registry.generator(7, "npz", 1).integers(2**63) != draws[1]


def test_the_command():
    command = [sys.executable, str(HERE / "fuzz"), "pickle_state", "--cases", "20", "--seed", "3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "20 cases" in done.stdout
    one = subprocess.run([*command, "--here"], capture_output=True, text=True, timeout=120)
    assert one.stdout.strip() in ("refused", "accepted")
    wrong = subprocess.run([*command[:2], "absent"], capture_output=True, text=True, timeout=120)
    assert wrong.returncode == 2
    assert "'absent' is no target" in wrong.stderr
