# SPDX-License-Identifier: BSD-3-Clause
"""report: what sparsity brings a model, layer by layer."""

from __future__ import annotations

import math
import os
from typing import Any, NamedTuple

import numpy as np

from complsparse._files.trust import path_of, printable
from complsparse._matrix.advice import one_thread
from complsparse._matrix.matrix import ComplementaryMatrix
from complsparse._pictures.bars import Bar, draw_bars
from complsparse._stopwatch import best_seconds
from complsparse._tables import Column, Table, duration, plain_table, times
from complsparse.onnx._found_patterns import pattern_of
from complsparse.onnx._weights_of_files import Found, Weighted, layers_of_file

_SECONDS = 0.02  # for each side of each layer that is measured
_MOST_COLUMNS = 4096  # of a product that is measured; larger ones take as much longer
_LOOKED_AT = 0.5  # the density up to which patterns are searched
_SHOWN = 40  # bars of a picture


class LayerReport(NamedTuple):
    """Of the weights of one layer.

    Attributes
    ----------
    name, operator : str
        Of the node; a GRU or LSTM has two rows, ``name.W`` and ``name.R``.
    shape : tuple of int
    density : float
        The share of the weights that are not zero.
    pattern : str
    multiplications, nonzero_multiplications : int
        Of all weights, and of those that are not zero.
    sizes_known : bool
        Otherwise axes of unknown size count as one.
    sparse : bool
        Whether enough weights are zero, and there is a sparse kernel for such a layer: it runs, or would in a network.
    runs_on, why : str
    seconds, dense_seconds : float or None
        Of the product where it was measured: by who runs it, and by NumPy with zeros.
    """

    name: str
    operator: str
    shape: tuple[int, ...]
    density: float
    pattern: str
    multiplications: int
    nonzero_multiplications: int
    sizes_known: bool
    sparse: bool
    runs_on: str
    why: str
    seconds: float | None
    dense_seconds: float | None


class Totals(NamedTuple):
    """Of a model.

    Attributes
    ----------
    weights, nonzero_weights : int
    multiplications : int
        Of all layers, and of activations with each other.
    nonzero_multiplications : int
        Less those of zero weights.
    touched : float
        The share of `multiplications` that lies in layers that are `sparse`.
    seconds, dense_seconds : float or None
        Of the layers that were measured.
    """

    weights: int
    nonzero_weights: int
    multiplications: int
    nonzero_multiplications: int
    touched: float
    seconds: float | None
    dense_seconds: float | None


class Report:
    """What `report` found. ``print(report)`` is a table.

    Attributes
    ----------
    file : str
    layers : list of LayerReport
    totals : Totals
    refused : str or None
        Why `load` makes no network of the model.
    """

    def __init__(self, file: str, layers: list[LayerReport], totals: Totals, refused: str | None) -> None:
        self.file, self.layers, self.totals, self.refused = file, layers, totals, refused

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "file": self.file,
            "layers": [{**layer._asdict(), "shape": list(layer.shape)} for layer in self.layers],
            "totals": self.totals._asdict(),
            "refused": self.refused,
        }

    def table(self) -> Table:
        measured = self.totals.seconds is not None
        columns = [
            Column("name", True), Column("operator", True), Column("shape", True), Column("density"),
            Column("pattern", True), Column("multipli-\ncations"), Column("not by\nzero"), Column("runs on", True),
            Column("why", True),
        ]  # fmt: skip
        columns += [Column("time"), Column("dense"), Column("dense /\nours")] if measured else []
        rows = [_cells(layer, measured) for layer in self.layers]
        total = self.totals
        share = f"{total.nonzero_weights / total.weights:.1%}" if total.weights else ""
        last = ["", "all", "", share, "", f"{total.multiplications:,}", f"{total.nonzero_multiplications:,}", "", ""]
        rows.append(last + (_times_of(total.seconds, total.dense_seconds) if measured else []))
        touched = f"sparsity can touch {total.touched:.0%} of the multiplications"
        return Table(f"{printable(os.path.basename(self.file))}: {touched}", columns, rows, {len(rows) - 1})

    def notes(self) -> list[str]:
        """What is below the table."""
        found = []
        if not all(layer.sizes_known for layer in self.layers):
            found.append("~ an axis of unknown size counts as one")
        if self.totals.seconds is not None and any(layer.seconds is None for layer in self.layers):
            found.append("times are of products on one thread; convolutions in groups are not measured")
        if self.refused:
            found.append(f"complsparse.onnx.load refuses this model: {self.refused}")
        return found

    def __str__(self) -> str:
        return "\n".join([plain_table(self.table()), *self.notes()])

    def __repr__(self) -> str:
        total = self.totals
        n = len(self.layers)
        return (f"<Report of {n} layer{'s' if n != 1 else ''}: {total.nonzero_multiplications:,} of "
                f"{total.multiplications:,} multiplications are not by zero>")  # fmt: skip

    def plot(self, path: Any) -> None:
        """Draws the multiplications of the heaviest layers and writes the picture to a file (needs matplotlib)."""
        heaviest = sorted(self.layers, key=lambda layer: -layer.multiplications)[:_SHOWN]
        chosen = [layer for layer in self.layers if any(layer is other for other in heaviest)]
        bars = [
            Bar(printable(layer.name), layer.multiplications / 1e6,
                f"{layer.density:.0%}  {layer.runs_on.removeprefix('sparse: ')}", layer.sparse)
            for layer in reversed(chosen)
        ]  # fmt: skip
        few = f"\nthe {_SHOWN} heaviest of {len(self.layers)} layers" if len(chosen) < len(self.layers) else ""
        what = "million multiplications, zeros included; beside them the density of the weights, and who runs the layer"
        draw_bars(bars, self.table().title + few, what, path)


def report(path: str | os.PathLike[str], *, sparsity: float = 0.7, measure: bool = False, plot: Any = None) -> Report:
    """Says of each layer with constant weights what sparsity brings it, and who runs it.

    Parameters
    ----------
    path : path
        A model of ONNX: its MatMul, Gemm, Conv, ConvTranspose, GRU and LSTM nodes outside of graphs in nodes. Of
        ``.safetensors``, ``.npz`` and other files of matrices each array of two axes or more is a layer, times one
        column. Nothing in the file is trusted.
    sparsity : float
        As `load` takes it: weights of which at least this share is zero run on a sparse kernel.
    measure : bool
        Also times each layer's product on one thread beside NumPy's with the zeros: in float32, but ours of int8
        matrices in int8; the product alone, without the gathering of a convolution's inputs. Convolutions in groups
        are not measured.
    plot : path, optional
        A picture of the multiplications is written to it (needs matplotlib).

    Returns
    -------
    Report

    Raises
    ------
    ValueError, TypeError
        A malformed file, `sparsity` not from 0 to 1.
    OSError
        The file cannot be read.
    ImportError
        A package is missing: for models of ONNX those of the extra ``onnx``.

    Notes
    -----
    Linear in the size of the file, apart from packing the weights that are at least half zero.

    Examples
    --------
    >>> import complsparse as cs
    >>> import numpy as np
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(folder + "/weights.npz", first=cs.random((64, 40), density=0.1, rng=0).toarray())
    ...     found = cs.onnx.report(folder + "/weights.npz")
    >>> found
    <Report of 1 layer: 256 of 2,560 multiplications are not by zero>
    >>> found.layers[0].pattern
    'equal rows, 7 complementary sets (91.4% full)'
    """
    share = float(sparsity)
    if not 0 <= share <= 1:
        raise ValueError(f"sparsity={sparsity} is not between 0 and 1")
    name = path_of(path)
    if name.lower().endswith(".onnx"):
        from complsparse.onnx._weighted import layers_of_model

        found = layers_of_model(name, share)
    else:
        found = layers_of_file(name)
    layers = [_layer(weighted, found, share, measure) for weighted in found.layers]
    made = Report(name, layers, _totals(layers, found.other_multiplications), found.refused)
    if plot is not None:
        made.plot(plot)
    return made


def _layer(weighted: Weighted, found: Found, sparsity: float, measure: bool) -> LayerReport:
    matrix = weighted.matrix
    size = math.prod(matrix.shape)
    nnz = int(matrix.nnz) if hasattr(matrix, "nnz") else int(np.count_nonzero(matrix))
    enough = size > 0 and size - nnz >= math.floor(sparsity * size) > 0  # as load decides
    packed = None
    if enough or (size and nnz <= _LOOKED_AT * size):
        packed = matrix if isinstance(matrix, ComplementaryMatrix) else ComplementaryMatrix(matrix)
    runs_on, why = _runner(weighted, found, enough, packed, sparsity)
    ours = dense = None
    if measure and weighted.groups == 1 and size:
        ours, dense = _measured(matrix, packed if enough and runs_on.startswith("sparse") else None, weighted)
    each = weighted.columns * weighted.calls
    return LayerReport(
        weighted.name, weighted.operator, weighted.shape, nnz / size if size else 0.0,
        "" if packed is None else pattern_of(packed), size * each, nnz * each, weighted.known,
        enough and not runs_on.startswith("dense"), runs_on, why, ours, dense,
    )  # fmt: skip


def _runner(
    weighted: Weighted, found: Found, enough: bool, packed: ComplementaryMatrix | None, sparsity: float
) -> tuple[str, str]:
    """Who runs a layer, and why."""
    why = f"{'at least' if enough else 'less than'} {sparsity:.0%} zero"
    if found.refused is not None:
        return "ONNX Runtime", "load refuses the model"
    is_packed, kernel = enough, None
    if found.runners is not None and weighted.name in found.runners:  # else part of another layer
        is_packed, kernel = found.runners[weighted.name]
        if enough and not is_packed:
            return f"dense: {_dense_kernel(kernel)}", f"{why}, but no sparse kernel for this layer"
    if not is_packed or packed is None:
        return f"dense: {_dense_kernel(kernel)}", why
    if kernel is None:
        try:
            kernel = packed.plan(weighted.columns).microkernel
        except (TypeError, ValueError) as error:
            return "nobody", str(error)
    return f"sparse: {kernel}", why


def _dense_kernel(kernel: str | None) -> str:
    return "BLAS" if kernel in (None, "gemm") else kernel


def _measured(matrix: Any, packed: ComplementaryMatrix | None, weighted: Weighted) -> tuple[float, float]:
    """Seconds by who runs it, and by NumPy with the zeros."""
    columns = min(weighted.columns, _MOST_COLUMNS)
    more = weighted.columns / columns * weighted.calls
    with_zeros = matrix.toarray() if hasattr(matrix, "toarray") else matrix
    weights = np.ascontiguousarray(with_zeros, dtype=np.float32)
    x = np.random.default_rng(0).standard_normal((matrix.shape[1], columns), dtype=np.float32)
    y = np.empty((matrix.shape[0], columns), dtype=np.float32)
    with one_thread():
        dense = best_seconds(lambda: np.matmul(weights, x, out=y), _SECONDS) * more
        if packed is None:
            return dense, dense
        if packed.dtype == np.int8 and not weighted.operator:  # whose products are of bytes
            x, y = np.sign(x).astype(np.int8), np.empty(y.shape, dtype=np.int32)
        else:
            packed = packed.astype(np.float32)
        plan = packed.plan(columns)
        plan(x, out=y)
        return best_seconds(lambda: plan(x, out=y), _SECONDS) * more, dense


def _totals(layers: list[LayerReport], others: int) -> Totals:
    every = sum(layer.multiplications for layer in layers) + others
    sizes = [math.prod(layer.shape) for layer in layers]
    ours = [layer.seconds for layer in layers if layer.seconds is not None]
    dense = [layer.dense_seconds for layer in layers if layer.dense_seconds is not None]
    return Totals(
        sum(sizes),
        sum(round(size * layer.density) for size, layer in zip(sizes, layers, strict=True)),
        every,
        sum(layer.nonzero_multiplications for layer in layers) + others,
        sum(layer.multiplications for layer in layers if layer.sparse) / every if every else 0.0,
        sum(ours) if ours else None,
        sum(dense) if dense else None,
    )


def _cells(layer: LayerReport, measured: bool) -> list[str]:
    mark = "" if layer.sizes_known else "~"
    cells = [
        printable(layer.name), layer.operator, "x".join(map(str, layer.shape)), f"{layer.density:.1%}", layer.pattern,
        f"{mark}{layer.multiplications:,}", f"{mark}{layer.nonzero_multiplications:,}", layer.runs_on, layer.why,
    ]  # fmt: skip
    return cells + (_times_of(layer.seconds, layer.dense_seconds) if measured else [])


def _times_of(ours: float | None, dense: float | None) -> list[str]:
    if ours is None or dense is None:
        return ["", "", ""]
    return [duration(ours), duration(dense), times(dense / ours)]
