# SPDX-License-Identifier: BSD-3-Clause
"""Every row of the kernel table on its own, as the table lists them.

The benchmark of a test is the row, at its own ISA level, on a small problem that runs it: in the compiled loop, or
called from Python where the library binds no such call (contests, sampled products).
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks.problems.kernels import Row
from benchmarks.rivals import Ours
from benchmarks.targets import kernels
from benchmarks.timing import Effort


@pytest.mark.parametrize("row", kernels.table(), ids=lambda row: row["name"])
def test_kernel(row: Row, ours: Ours, threads: int, effort: Effort, replay: Callable[..., None]) -> None:
    if not row["runnable"]:
        pytest.skip(f"not run: the CPU lacks {row['isa']}")
    samples, record = kernels.measure(row, threads, effort)
    replay(samples, row["name"], f"{row['layout']}: {row['op']}", record)
