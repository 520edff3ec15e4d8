# SPDX-License-Identifier: BSD-3-Clause
"""Runs targets in child processes and collects what happened to them: exceptions, crashes, hangs, too much memory."""

from __future__ import annotations

import collections
import dataclasses
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO, Any

from fuzz.child import MOST_FAILURES
from fuzz.registry import Target

HERE = Path(__file__).resolve().parent
STARTING_SECONDS = 60.0  # that a child has for its imports
PATIENCE = 10  # times as long as a case may compute it may wait, for a processor or for ever
CHILD = "import sys; from fuzz.child import main; main(sys.argv[1:])"
# One thread: the cases are small, and the address space of idle ones would count as theirs.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "COMPLSPARSE_NUM_THREADS": "1"}


@dataclasses.dataclass
class Finding:
    target: str
    case: int
    kind: str  # error, memory, crash, hang
    text: str

    @property
    def place(self) -> tuple[str, str, str]:
        """The same for findings that probably have one cause: the innermost line of code, or the signal."""
        lines = [line.strip() for line in self.text.splitlines()] or [""]
        code = [line for line in lines if line.startswith("File ")]
        return self.target, self.kind, code[-1] if code and self.kind != "crash" else lines[0]


@dataclasses.dataclass
class Report:
    """What came of the cases of one target."""

    target: str
    cases: int = 0
    seconds: float = 0.0
    megabytes: int = 0  # the most that a child grew by
    tally: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    findings: list[Finding] = dataclasses.field(default_factory=list)

    def line(self) -> str:
        words = ", ".join(f"{count} {word}" for word, count in sorted(self.tally.items()))
        found = collections.Counter(finding.kind for finding in self.findings)
        faults = ", ".join(f"{count} {kind}" for kind, count in sorted(found.items())) or "nothing found"
        done = f"{self.cases:8} cases in {self.seconds:5.1f} s, {self.megabytes:4} MiB"
        return f"{self.target:24} {done}: {faults} ({words})"


def _lines(stream: IO[str]) -> queue.Queue[str | None]:
    lines: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        for line in stream:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    return lines


def _processor_seconds(pid: int) -> float:
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stream:
        fields = stream.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # of itself: user, system


def _next_line(lines: queue.Queue[str | None], pid: int, seconds: float) -> str | None:
    """Waits until the process has had `seconds` of a processor, which others want too; queue.Empty: it is silent."""
    before = _processor_seconds(pid)
    for _ in range(PATIENCE):
        try:
            return lines.get(timeout=seconds)
        except queue.Empty:
            if _processor_seconds(pid) - before > 0.9 * seconds:
                raise
    raise queue.Empty


def _child(target: Target, seed: int, first: int, cases: int, seconds: float, report: Report) -> int:
    """Runs one child to its end, whatever that is; returns the case that the next child begins with."""
    words = [target.name, str(seed), str(first), str(cases), str(seconds)]
    path = os.pathsep.join(
        [str(HERE.parent), str(HERE.parent / "tools"), *filter(None, [os.environ.get("PYTHONPATH")])]
    )
    with tempfile.TemporaryFile("w+", errors="replace") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", CHILD, *words],
            env={**os.environ, **ENVIRONMENT, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        assert process.stdout is not None
        lines, case, ended, hung = _lines(process.stdout), first - 1, False, False
        while True:
            try:
                line = _next_line(lines, process.pid, target.seconds if case >= first else STARTING_SECONDS)
            except queue.Empty:
                hung = True
                process.kill()
                break
            if line is None:
                break
            said: dict[str, Any] = json.loads(line)
            if "case" in said:
                case = said["case"]
                report.cases += 1
            elif "failed" in said:
                report.findings.append(Finding(target.name, said["failed"], said["kind"], said["error"]))
            else:
                ended = True
                report.tally.update(said["tally"])
                report.megabytes = max(report.megabytes, said["megabytes"])
        status = process.wait()
        process.stdout.close()
        if hung:
            report.findings.append(Finding(target.name, case, "hang", f"no answer for {target.seconds:g} s"))
        elif not ended:
            errors.seek(0)
            how = signal.Signals(-status).name if status < 0 else f"status {status}"
            said = errors.read().partition("\nExtension modules:")[0]  # a list longer than the stack above it
            report.findings.append(Finding(target.name, case, "crash", f"{how}\n{said[-2000:]}"))
    return case + 1


def run(target: Target, seed: int, first: int, cases: int, seconds: float) -> Report:
    """Runs `cases` cases of a target, or as many as there are `seconds` for."""
    report = Report(target.name)
    start, number = time.monotonic(), first
    while number < first + cases and len(report.findings) < MOST_FAILURES:
        left = seconds - (time.monotonic() - start)
        if left <= 0:
            break
        number = _child(target, seed, number, first + cases - number, left, report)
    report.seconds = time.monotonic() - start
    return report
