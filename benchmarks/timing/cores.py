# SPDX-License-Identifier: BSD-3-Clause
"""Which cores a measurement runs on."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path


def _idle_share(cores: Sequence[int], seconds: float = 0.2) -> dict[int, float]:
    """How idle each core is just now, from /proc/stat; all alike where that is not told."""

    def ticks() -> dict[int, tuple[int, int]]:
        found = {}
        for line in Path("/proc/stat").read_text().splitlines():
            name, *numbers = line.split()
            if name.startswith("cpu") and name != "cpu":
                counts = [int(number) for number in numbers]
                found[int(name[3:])] = (counts[3] + counts[4], sum(counts))  # idle and waiting for input, of all
        return found

    try:
        before = ticks()
        time.sleep(seconds)
        after = ticks()
    except OSError:
        return dict.fromkeys(cores, 1.0)
    return {
        core: (after[core][0] - before[core][0]) / max(1, after[core][1] - before[core][1])
        for core in cores
        if core in before and core in after
    }


def pin(threads: int) -> list[int]:
    """One thread to one core, two to two: those least busy now, the higher-numbered first where all are idle."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < threads:
        raise RuntimeError(f"{threads} threads asked for, {len(allowed)} cores allowed")
    idle = _idle_share(allowed)
    cores = sorted(allowed, key=lambda core: (round(idle.get(core, 0.0), 1), core))[-threads:]
    os.sched_setaffinity(0, cores)
    return sorted(cores)


def is_of_intel() -> bool:
    """Whether the CPU says so of itself, as Linux tells it."""
    try:
        return "GenuineIntel" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
