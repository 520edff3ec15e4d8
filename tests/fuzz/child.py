# SPDX-License-Identifier: BSD-3-Clause
"""The process that runs the cases of one target; its parent reads what it writes, line by line, and outlives it.

Lines are JSON: ``{"case": 17}`` before each case, ``{"failed": 17, "error": ...}`` after one that raised, and
``{"done": ...}`` with the tally at the end.
"""

from __future__ import annotations

import collections
import faulthandler
import json
import os
import resource
import time
import traceback
from typing import IO, Any

from fuzz.registry import Target, generator, load_targets

FRAMES = 6  # of a traceback, that a finding shows
MOST_FAILURES = 20  # after which a target is left alone


def address_space() -> int:
    """Bytes of address space that the process has now."""
    with open("/proc/self/statm", encoding="ascii") as stream:
        return int(stream.read().split()[0]) * resource.getpagesize()


def limit_memory(megabytes: int) -> None:
    most = address_space() + (megabytes << 20)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def peak() -> int:
    """Kilobytes that the process has had resident at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def run_cases(target: Target, seed: int, first: int, cases: int, deadline: float, out: IO[str]) -> None:
    def say(**line: Any) -> None:
        out.write(json.dumps(line) + "\n")
        out.flush()

    limit_memory(target.megabytes)
    tally: collections.Counter[str] = collections.Counter()
    before, number = peak(), first
    while number < first + cases and time.monotonic() < deadline and tally["failed"] < MOST_FAILURES:
        say(case=number)
        try:
            word = target.run(generator(seed, target.name, number))
        except Exception as error:
            tally["failed"] += 1
            shown = "".join(traceback.format_exception(error, limit=-FRAMES))
            say(failed=number, kind="memory" if isinstance(error, MemoryError) else "error", error=shown)
        else:
            tally[word or "done"] += 1
        number += 1
    say(done=number - first, tally=tally, megabytes=(peak() - before) >> 10)


def main(arguments: list[str]) -> None:
    name, seed, first, cases, seconds = arguments
    faulthandler.enable()
    target = load_targets()[name]
    target.prepare()
    # The pipe is taken away from what the cases print.
    out = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    run_cases(target, int(seed), int(first), int(cases), time.monotonic() + float(seconds), out)
