# SPDX-License-Identifier: BSD-3-Clause
"""Circuits of sparse layers: C++ for high-level synthesis, Verilog, and test benches with the CPU library's results."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from complsparse.hls import folder as _folder
from complsparse.hls.design import checked_clock, checked_count
from complsparse.hls.design import design_of as _design_of
from complsparse.hls.estimate import BlockEstimate, Estimate, NetworkEstimate, estimate_of, network_estimate_of
from complsparse.hls.folder import get_include
from complsparse.hls.network import Pipeline, pipeline_of

if TYPE_CHECKING:
    from complsparse._matrix.matrix import ComplementaryMatrix
    from complsparse.nn import Graph, Sequential

__all__ = ["BlockEstimate", "Estimate", "NetworkEstimate", "estimate", "export", "get_include"]

VECTORS = 256  # of a layer's test bench
CYCLES = 10_000  # of a sample


@overload
def export(
    W: ComplementaryMatrix,
    folder: str | os.PathLike[str],
    *,
    lanes: int | None = None,
    parallel_winners: int | None = None,
    winners: int | None = None,
    ids: Literal["static", "runtime"] = "static",
    clock_ns: float = 4.0,
    activations: Literal["int8", "uint8"] = "int8",
    route: Literal["products", "activations"] = "products",
    vectors: int | None = None,
) -> Estimate: ...
@overload
def export(
    W: Sequential | Graph,
    folder: str | os.PathLike[str],
    *,
    clock_ns: float = 4.0,
    samples: Any,
    cycles: int | None = None,
) -> NetworkEstimate: ...
def export(
    W: ComplementaryMatrix | Sequential | Graph,
    folder: str | os.PathLike[str],
    *,
    lanes: int | None = None,
    parallel_winners: int | None = None,
    winners: int | None = None,
    ids: str = "static",
    clock_ns: float = 4.0,
    activations: str = "int8",
    route: str = "products",
    vectors: int | None = None,
    samples: Any = None,
    cycles: int | None = None,
) -> Estimate | NetworkEstimate:
    """Writes the circuit of a layer or of a network into a folder, with test benches and a page that explains it.

    Parameters
    ----------
    W : ComplementaryMatrix, or a network
        int8 weights in any packing. Split sets are packed again in strict ones: the sum of a row leaves one set.
        Or what ``net.quantize(calibration)`` gives: a chain of convolutions, linear layers, max-pools and k-winners,
        for which only `samples`, `cycles` and `clock_ns` are said.
    folder : path
        New, empty, or written by an earlier export, which is replaced.
    lanes : int, optional
        Columns that a sparse-dense layer takes in a clock, 8 by default; at most all.
    parallel_winners : int, optional
        Winners that a sparse-sparse layer takes in a clock, each from a memory port of its own; 1 by default.
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
    vectors : int, optional
        How many vectors the test benches of a layer run: corners, then random ones. 256 by default.
    samples : array_like, shape (N, ...)
        Inputs of a network, which its test bench runs.
    cycles : int, optional
        The clocks of a sample that no block of a network exceeds: each gets as few lanes, ports and requantisers as
        keep to it. 10,000 by default.

    Returns
    -------
    Estimate or NetworkEstimate
        Clocks and parts, as `estimate` gives them.

    Raises
    ------
    TypeError
        W that is neither a ComplementaryMatrix of int8 nor a network; a number that is none.
    ValueError
        An empty W; a network that is no chain, or has a layer without a circuit; blocks that take more than `cycles`
        however wide they are; arguments of the one for the other; sizes below 1, more winners than columns, sums
        beyond 32 bits, more than 65,536 multipliers, a folder with foreign files. Nothing is written then.

    Notes
    -----
    The folder's README.md has clocks, ports and handshake. ``make csim`` needs a C++14 compiler, ``make rtl`` Clang and
    Verilator, ``make cells`` Yosys. The files for Vitis HLS are marked as not run.

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
    if _is_network(W):
        _refuse_for_network(lanes, parallel_winners, winners, ids, activations, route, vectors)
        if samples is None:
            raise ValueError("samples are missing: inputs of the network, which its test bench runs")
        array = np.asarray(samples, dtype=np.float32)
        if array.ndim < 2 or not len(array):
            raise ValueError(f"samples have shape {array.shape}: (N, ...) of at least one")
        pipeline = _pipeline(W, array.shape[1:], cycles, clock_ns)
        _folder.write(_folder.network_texts(W, pipeline, array), os.fspath(folder))
        return network_estimate_of(pipeline)
    if samples is not None or cycles is not None:
        raise ValueError("samples and cycles are for networks; a layer has vectors, lanes and parallel_winners")
    design = _design_of(W, lanes, parallel_winners, winners, ids, clock_ns, activations, route)
    count = VECTORS if vectors is None else vectors
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ValueError(f"vectors={vectors!r} is not a number from 1 on")
    _folder.write(_folder.layer_texts(W, design, count), os.fspath(folder))
    return estimate_of(design)


@overload
def estimate(
    W: ComplementaryMatrix,
    *,
    lanes: int | None = None,
    parallel_winners: int | None = None,
    winners: int | None = None,
    ids: Literal["static", "runtime"] = "static",
    clock_ns: float = 4.0,
    activations: Literal["int8", "uint8"] = "int8",
    route: Literal["products", "activations"] = "products",
) -> Estimate: ...
@overload
def estimate(
    W: Sequential | Graph, *, clock_ns: float = 4.0, shape: tuple[int, ...], cycles: int | None = None
) -> NetworkEstimate: ...
def estimate(
    W: ComplementaryMatrix | Sequential | Graph,
    *,
    lanes: int | None = None,
    parallel_winners: int | None = None,
    winners: int | None = None,
    ids: str = "static",
    clock_ns: float = 4.0,
    activations: str = "int8",
    route: str = "products",
    shape: tuple[int, ...] | None = None,
    cycles: int | None = None,
) -> Estimate | NetworkEstimate:
    """Clocks and parts of the circuit that `export` writes, with the same arguments and errors; of a network's samples
    their `shape` alone.

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
    if _is_network(W):
        _refuse_for_network(lanes, parallel_winners, winners, ids, activations, route, None)
        if shape is None:
            raise ValueError("shape is missing: that of a sample of the network")
        return network_estimate_of(_pipeline(W, tuple(shape), cycles, clock_ns))
    if shape is not None or cycles is not None:
        raise ValueError("shape and cycles are for networks; a layer has lanes and parallel_winners")
    return estimate_of(_design_of(W, lanes, parallel_winners, winners, ids, clock_ns, activations, route))


def _is_network(W: Any) -> bool:
    return hasattr(W, "_nodes")


def _refuse_for_network(*given: Any) -> None:
    names = ("lanes", "parallel_winners", "winners", "ids", "activations", "route", "vectors")
    defaults = (None, None, None, "static", "int8", "products", None)
    for name, value, default in zip(names, given, defaults, strict=True):
        if value != default:
            raise ValueError(f"{name}={value!r} is for a layer: of a network, `cycles` says how wide its blocks are")


def _pipeline(net: Any, shape: tuple[int, ...], cycles: int | None, clock_ns: float) -> Pipeline:
    return pipeline_of(
        net, shape, checked_count("cycles", CYCLES if cycles is None else cycles), checked_clock(clock_ns)
    )
