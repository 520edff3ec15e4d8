# SPDX-License-Identifier: BSD-3-Clause
"""The method: a compiled loop that calls candidates in turn, the cores it runs on, what a core can do."""

from benchmarks.timing.compiled import NoCompiler, address, compiler_version, library
from benchmarks.timing.cores import is_of_intel, pin
from benchmarks.timing.loop import (
    HEAT,
    SMOKE,
    Candidate,
    Effort,
    Samples,
    geometric_mean,
    in_turn,
    race,
    race_python,
)
from benchmarks.timing.peaks import cache_sizes, clock_ghz, roof

__all__ = [
    "HEAT",
    "SMOKE",
    "Candidate",
    "Effort",
    "NoCompiler",
    "Samples",
    "address",
    "cache_sizes",
    "clock_ghz",
    "compiler_version",
    "geometric_mean",
    "in_turn",
    "is_of_intel",
    "library",
    "pin",
    "race",
    "race_python",
    "roof",
]
