# SPDX-License-Identifier: BSD-3-Clause
"""A name says all.

`bernoulli_1024x1024_95` is 95% sparse with independent entries, `equal_...` has the same count in every row,
`balanced_1024x1024_b4_s16` is balanced with blocks (4, 1) in sets of 16 members, `blocks_1024x1024_16x4_90`
has whole blocks (16, 4) at random places, `banded_1000x1000_2` has the diagonal and two neighbours on each side,
`arrow_...` the first row and column besides, `powerlaw_1000x1000_8` about eight entries a row, `dlmc/...`, `lyra/...`,
`mediapipe/...`, `mtx/...` are files.
"""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.problems.data import REAL, NoData
from benchmarks.problems.graphs import PATTERNS, graph
from benchmarks.problems.matrices import Problem, balanced, generated, in_blocks, large_problems, network_problems

_BALANCED = re.compile(r"balanced_(\d+)x(\d+)_b(\d+)_s(\d+)")
_BLOCKS = re.compile(r"blocks_(\d+)x(\d+)_(\d+)x(\d+)_(\d+(?:\.\d+)?)")
_GRAPH = re.compile(rf"({'|'.join(PATTERNS)})_(\d+)x(\d+)_(\d+)")
_GENERATED = re.compile(r"(bernoulli|equal)_(\d+)x(\d+)_(\d+(?:\.\d+)?)")


def get(name: str, folder: Path | None = None) -> Problem:
    """The problem of that name; generated names may have any shape and sparsity."""
    for problem in [*large_problems(), *network_problems()]:
        if problem.name == name:
            return problem
    if found := _BALANCED.fullmatch(name):
        rows, columns, height, set_size = map(int, found.groups())
        return balanced((rows, columns), set_size, height)
    if found := _BLOCKS.fullmatch(name):
        rows, columns, height, width = map(int, found.groups()[:4])
        return in_blocks((rows, columns), (height, width), float(found[5]))
    if found := _GRAPH.fullmatch(name):
        kind, *numbers = found.groups()
        rows, columns, count = map(int, numbers)
        return graph(kind, (rows, columns), count)
    if found := _GENERATED.fullmatch(name):
        kind, *sides, sparsity = found.groups()
        return generated(kind, (int(sides[0]), int(sides[1])), float(sparsity))
    group = name.partition("/")[0]
    if group in REAL:
        if folder is None:
            raise NoData(f"{name}: no data folder (--data or COMPLSPARSE_DATA)")
        for problem in REAL[group](folder):
            if problem.name == name:
                return problem
    raise NoData(f"no problem is called {name!r}")
