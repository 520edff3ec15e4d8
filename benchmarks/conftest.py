# SPDX-License-Identifier: BSD-3-Clause
"""Options, pinning and the machine record. `pytest benchmarks` measures; there are no assertions about time in it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Last, so that the installed complsparse is the one that is measured.
sys.path.append(str(Path(__file__).resolve().parents[1]))

import pytest

from benchmarks import problems, rivals, timing
from benchmarks.reports import machine
from benchmarks.rows import Latest
from benchmarks.timing import Effort, Samples


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("complsparse benchmarks")
    options: dict[str, dict[str, Any]] = {
        "--data": {"help": "folder of real matrices (default: COMPLSPARSE_DATA, or ../shared/data beside the project)"},
        "--threads": {"type": int, "default": 1, "help": "threads of ours and of every rival, one core each"},
        "--benchmark-smoke": {"action": "store_true", "help": "a few small problems, one round: is the harness sound?"},
        "--case-seconds": {"type": float, "default": 1.2, "help": "time for the race of one case"},
    }
    for name, about in options.items():
        try:
            group.addoption(name, **about)
        except ValueError:
            continue  # the tests have the same option, and both folders were given


def pytest_configure(config: pytest.Config) -> None:
    # The project's default is to run benchmarks as plain tests; whoever names this folder wants figures.
    if "--benchmark-disable" not in config.invocation_params.args:
        config.option.benchmark_enable = True
    config.addinivalue_line("markers", "full: left out of a smoke run")
    threads = config.getoption("--threads")
    try:
        timing.pin(threads)
    except RuntimeError as error:
        raise pytest.UsageError(f"--threads {threads}: {error}") from error
    rivals.set_threads(threads)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    mine = [item for item in items if item.path.is_relative_to(Path(__file__).parent)]
    for item in mine:
        item.add_marker(pytest.mark.benchmark(timer=_clock))
    if config.getoption("--benchmark-smoke"):
        left_out = [item for item in mine if item.get_closest_marker("full")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [i for i in items if i not in left_out]


def pytest_report_header(config: pytest.Config) -> list[str]:
    cores = sorted(os.sched_getaffinity(0))
    lines = [f"benchmarks: {config.getoption('--threads')} thread(s) on core(s) {cores}"]
    for peer in rivals.all_peers():
        there, what = peer.available()
        lines.append(f"  {peer.name}: {'' if there else 'absent: '}{what}")
    return lines


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    # Not in a smoke run: measuring the peaks takes longer than all the rest of it.
    machine_info["record"] = machine.record(
        config.getoption("--threads"), roof=not config.getoption("--benchmark-smoke")
    )


@pytest.fixture(scope="session")
def smoke(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--benchmark-smoke"))


@pytest.fixture(scope="session")
def threads(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--threads"))


@pytest.fixture(scope="session")
def effort(request: pytest.FixtureRequest, smoke: bool) -> Effort:
    return timing.SMOKE if smoke else Effort(budget_s=request.config.getoption("--case-seconds"))


@pytest.fixture(scope="session")
def data_folder(request: pytest.FixtureRequest) -> Path:
    """The folder of real matrices, or a skip that says how to name one."""
    folder = problems.data_folder(request.config.getoption("--data"))
    if folder is None:
        pytest.skip("no folder of real matrices: give --data DIR or set COMPLSPARSE_DATA")
    return folder


@pytest.fixture(scope="session")
def ours() -> rivals.Ours:
    peer = rivals.Ours()
    there, why = peer.available()
    if not there:
        pytest.skip(f"complsparse is {why}")
    return peer


@pytest.fixture(scope="session")
def latest() -> Latest:
    return Latest()


class Replay:
    """A clock that shows samples taken before: pytest-benchmark's tables, groups and comparisons then speak of the
    nanoseconds per call of the compiled loop, not of the Python around it."""

    def __init__(self) -> None:
        self._now = 0.0
        self._samples: Iterator[float] = iter(())

    def load(self, ns: Any) -> None:
        self._samples = iter([float(value) for value in ns])

    def __call__(self) -> float:
        return self._now

    def next_sample(self) -> None:
        self._now += next(self._samples, 0.0) * 1e-9


_clock = Replay()


@pytest.fixture
def replay(benchmark: Any) -> Callable[[Samples, str, str, dict[str, Any]], None]:
    """`replay(samples, name, group, record)`: a candidate's samples are the test's benchmark, `record` its extra."""

    def report(samples: Samples, name: str, group: str, record: dict[str, Any]) -> None:
        column = samples.ns[:, samples.names.index(name)]
        _clock.load(column)
        benchmark.group = group
        benchmark.extra_info.update(record)
        benchmark.pedantic(_clock.next_sample, rounds=len(column), iterations=1)

    return report
