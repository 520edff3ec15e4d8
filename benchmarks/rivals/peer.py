# SPDX-License-Identifier: BSD-3-Clause
"""What ours and every rival have in common.

A peer is one class: `name`, `available()` with the reason when it is not, and `variants(case)`, which prepares its
operands and yields every form worth trying. A variant multiplies `case.x` (or a copy of its own, where a rival prefers
another layout) and is checked against a float64 reference before anything is timed.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.rivals.case import Case
from benchmarks.timing import Candidate, address

# How the timing library and BLAS name the two types.
SUFFIX = {np.dtype(np.float32): "f32", np.dtype(np.float64): "f64"}
LETTER = {np.dtype(np.float32): "s", np.dtype(np.float64): "d"}
ROW_MAJOR, COL_MAJOR = 101, 102


@dataclass(frozen=True)
class Variant:
    """One way of computing the product. `result` is a view (M, n) of what the call writes. `natural` is False when the
    variant works on arrays of another layout than the case's, as if the caller had them that way. `family` tells forms
    apart that a target speaks of by name: "csr" and "bsr", "packed" and "unpacked"."""

    peer: str
    form: str
    call: Candidate
    result: NDArray[Any] = field(repr=False, compare=False)
    natural: bool = True
    family: str = ""

    @property
    def name(self) -> str:
        return f"{self.peer}: {self.form}"


class _Transposed(ctypes.Structure):
    _fields_ = [
        *[(name, ctypes.c_void_p) for name in ("function", "context", "x", "x_buffer", "y_buffer", "y")],
        *[(name, ctypes.c_int64) for name in ("rows", "columns", "n")],
    ]


class Peer:
    """Base of all: what the reports need to know."""

    name = ""

    def available(self) -> tuple[bool, str]:
        """(True, version) or (False, why not)."""
        raise NotImplementedError

    def variants(self, case: Case) -> Iterator[Variant]:
        raise NotImplementedError

    def _variant(
        self, form: str, function: int, context: int, keep: Any, result: NDArray[Any], natural: bool = True,
        settle_ns: float = 0.0, family: str = "",
    ) -> Variant:  # fmt: skip
        call = Candidate(f"{self.name}: {form}", function, context, keep, settle_ns)
        return Variant(self.name, form, call, result, natural, family)

    def _transposing(self, case: Case, variant: Variant, x: NDArray[Any], y: NDArray[Any]) -> Variant:
        """The variant, which reads x (n, K) and writes y (n, M), on the case's own arrays: both transposed inside."""
        out = case.new_output()
        rows, columns = case.matrix.shape
        context = _Transposed(variant.call.function, variant.call.context, case.x.ctypes.data, x.ctypes.data,
                              y.ctypes.data, out.ctypes.data, rows, columns, case.n)  # fmt: skip
        return self._variant(
            f"{variant.form}, transposed by the caller", address(f"transposed_{SUFFIX[case.dtype]}"),
            ctypes.addressof(context), (context, variant, out), out, family=variant.family,
        )  # fmt: skip
