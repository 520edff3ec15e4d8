# SPDX-License-Identifier: BSD-3-Clause
"""Circuits of sparse layers: C++ for high-level synthesis, Verilog, and test benches with the CPU library's results."""

from __future__ import annotations

import os
from typing import Any

from complsparse.hls import folder as _folder
from complsparse.hls.design import design_of as _design_of
from complsparse.hls.estimate import Estimate, estimate_of
from complsparse.hls.folder import get_include

__all__ = ["Estimate", "estimate", "export", "get_include"]

VECTORS = 256


def export(
    W: Any,
    folder: str | os.PathLike[str],
    *,
    lanes: int = 8,
    parallel_winners: int = 1,
    winners: int | None = None,
    ids: str = "static",
    clock_ns: float = 4.0,
    activations: str = "int8",
    route: str = "products",
    vectors: int = VECTORS,
) -> Estimate:
    """Writes the circuit of a layer into a folder, with test benches and a page that explains it.

    Parameters
    ----------
    W : ComplementaryMatrix
        int8 weights in any packing. Split sets are packed again in strict ones: the sum of a row leaves one set.
    folder : path
        New, empty, or written by an earlier export, which is replaced.
    lanes : int
        Columns that a sparse-dense layer takes in a clock; at most all.
    parallel_winners : int
        Winners that a sparse-sparse layer takes in a clock, each from a memory port of its own.
    winners : int, optional
        Non-zero activations of a vector: makes a sparse-sparse layer. By default activations are dense.
    ids : {"static", "runtime"}
        Whether weights and kernel ids are constants of the circuit, or a memory that is written at run time.
    clock_ns : float
        The clock that project files ask for, and rates assume.
    activations : {"int8", "uint8"}
        Their type.
    route : {"products", "activations"}
        What moves in a sparse-dense layer: products to the sums of the rows that own their slots, with a multiplier for
        each set and lane; or activations to the rows, with a multiplier for each row and each slot that it owns at most
        of `lanes` columns. The second takes far fewer LUTs, and as many multipliers where a pattern is balanced and
        `lanes` a multiple of its set size.
    vectors : int
        How many vectors the test benches run: corners, then random ones.

    Returns
    -------
    Estimate
        Clocks and parts, as `estimate` gives them.

    Raises
    ------
    TypeError
        W that is no ComplementaryMatrix of int8.
    ValueError
        An empty W, sizes below 1, more winners than columns, sums beyond 32 bits, more than 65,536 multipliers, a
        folder with foreign files. Nothing is written then.

    Notes
    -----
    The folder's README.md has ports and handshake. ``make csim`` needs a C++14 compiler, ``make rtl`` Clang and
    Verilator. The files for Vitis HLS are marked as not run.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> import complsparse as cs
    >>> W = cs.random((32, 64), density=1 / 8, dtype=np.int8, rng=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     found = cs.hls.export(W, os.path.join(folder, "layer"), lanes=16)
    ...     os.path.isfile(os.path.join(folder, "layer", "top.cpp"))
    True
    >>> found.cycles_per_vector, found.multipliers
    (4, 64)
    """
    design = _design_of(W, lanes, parallel_winners, winners, ids, clock_ns, activations, route)
    if isinstance(vectors, bool) or not isinstance(vectors, int) or vectors < 1:
        raise ValueError(f"vectors={vectors!r} is not a number from 1 on")
    _folder.write(W, design, os.fspath(folder), vectors)
    return estimate_of(design)


def estimate(
    W: Any,
    *,
    lanes: int = 8,
    parallel_winners: int = 1,
    winners: int | None = None,
    ids: str = "static",
    clock_ns: float = 4.0,
    activations: str = "int8",
    route: str = "products",
) -> Estimate:
    """Clocks and parts of the circuit that `export` writes, with the same arguments and errors.

    Clocks are exact: the simulations of the exported folder count them. Parts are counts of the circuit's structure, no
    figures of a synthesis tool.

    Examples
    --------
    >>> import numpy as np
    >>> import complsparse as cs
    >>> W = cs.random((32, 64), density=1 / 8, dtype=np.int8, rng=0)
    >>> cs.hls.estimate(W, winners=9, parallel_winners=2).cycles_per_vector
    5
    """
    return estimate_of(_design_of(W, lanes, parallel_winners, winners, ids, clock_ns, activations, route))
