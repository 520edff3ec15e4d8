# SPDX-License-Identifier: BSD-3-Clause
"""The same product as a user calls it from Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.rivals.case import Case
from benchmarks.rivals.ours import import_ours


def public_calls(case: Case, packed: Any | None = None) -> dict[str, Callable[[], object]]:
    """The same product as a user calls it from Python: ours with `out=`, a plan, and scipy, whose interface has no
    `out` and whose own C++ kernels (not a BLAS) are behind it. Checked like the variants."""
    calls: dict[str, Callable[[], object]] = {}
    matrix, x, transposed = case.matrix, case.x, case.matrix.T
    if case.batch_major and case.n > 1:
        calls["scipy"] = lambda: matrix @ x.T
        calls["scipy, x @ W.T"] = lambda: x @ transposed
    else:
        calls["scipy"] = lambda: matrix @ x
    results: dict[str, NDArray[Any]] = {
        name: case.as_columns(call()) if "W.T" in name else np.reshape(call(), (matrix.shape[0], case.n))
        for name, call in calls.items()
    }
    if packed is not None:
        cs = import_ours()
        y, z = case.new_output(), case.new_output()
        batch_major = case.batch_major and case.n > 1
        plan = packed.plan(case.n, dtype=case.dtype, batch_major=batch_major)
        calls["plan"] = lambda: plan(x, out=z)
        calls["public"] = (
            (lambda: cs.linear(x, packed, out=y)) if batch_major else (lambda: cs.matmul(packed, x, out=y))
        )
        for name, out in (("plan", z), ("public", y)):
            calls[name]()
            results[name] = case.as_columns(out)
    for name, result in results.items():
        case.check(name, result)
    return calls
