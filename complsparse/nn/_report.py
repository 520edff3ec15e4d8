# SPDX-License-Identifier: BSD-3-Clause
"""What a network is, and where its time goes."""

from __future__ import annotations

import math
import time
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from complsparse._ops.winners import Winners
from complsparse._pictures.axes import check_matplotlib
from complsparse._tables import Column, Table, duration, plain_table, print_table
from complsparse.nn._compiled import Compiled
from complsparse.nn._graph_layers import Item
from complsparse.nn._layer import Layer
from complsparse.nn._plan import NetPlan, Shapes, inferred
from complsparse.nn._values import Spec

_MOST_CALLS = 10_000  # of a profile


def _all_weights(layer: Layer) -> int:
    """With every zero stored."""
    return sum(math.prod(weights.shape) for weights in layer.weights)


def _of_network(net: Compiled, shapes: Shapes) -> list[tuple[Layer, str, tuple[Spec, ...], Any]]:
    """Of each layer its inputs and its result, or a list of them."""
    specs = inferred(net._network, shapes)
    return [
        (node.layer, node.name, tuple(specs[i] for i in node.inputs), specs[number])
        for number, node in enumerate(net._nodes)
        if node.layer is not None and not isinstance(node.layer, Item)
    ]


def summary(net: Compiled, shapes: Shapes) -> str:
    rows, weights, dense, products = [], 0, 0, 0
    for layer, name, inputs, output in _of_network(net, shapes):
        stored, every, work = layer.multiplications, _all_weights(layer), layer.work(inputs, output)
        weights, dense, products = weights + stored, dense + every, products + (work if stored else 0)
        share = f"{stored / every:.1%}" if every else ""
        cells = [f"{stored:,}" if every else "", share, f"{work:,}" if work else ""]
        of_result = ", ".join(str(spec) for spec in (output if isinstance(output, list) else [output]))
        rows.append([name, type(layer).__name__, of_result, *cells])
    rows.append(["", "all", "", f"{weights:,}", f"{weights / dense:.1%}" if dense else "", f"{products:,}"])
    columns = [
        Column("name", True), Column("layer", True), Column("a sample of the result", True), Column("weights"),
        Column("of all"), Column("multiplications"),
    ]  # fmt: skip
    return plain_table(Table(f"{type(net).__name__} for {', '.join(map(str, shapes))}", columns, rows, {len(rows) - 1}))


class LayerProfile(NamedTuple):
    """Of one layer, with those that became part of it."""

    name: str
    layer: str
    kernel: str  # micro-kernels of its steps
    seconds: float  # of the whole batch
    share: float  # of all
    multiplications: int  # by stored weights, of the whole batch
    gflops: float  # two operations each, of those whose activation is alive
    n_bytes: int  # weights once, and the batch's inputs and outputs
    weight_density: float  # NaN: no weights
    input_density: float  # of entries that are not zero


class Profile:
    """Where the time of a network's call goes, layer by layer.

    Attributes
    ----------
    rows : list of LayerProfile
    seconds : float
        Of a call from Python, at best.
    steps_seconds : float
        Of its steps together; the rest is the call itself.
    samples : int
    float_network : Profile or None
        Of the network that a quantised one was made of, for the same input.
    """

    def __init__(
        self,
        rows: list[LayerProfile],
        seconds: float,
        steps_seconds: float,
        samples: int,
        float_network: Profile | None = None,
    ) -> None:
        self.rows, self.seconds, self.steps_seconds, self.samples = rows, seconds, steps_seconds, samples
        self.float_network = float_network

    def _table(self) -> Table:
        columns = [
            Column("name", True), Column("layer", True), Column("micro-kernel", True), Column("time"), Column("share"),
            Column("GFLOP/s"), Column("kB"), Column("weights\nstored"), Column("inputs\nalive"),
        ]  # fmt: skip
        rows = [
            [
                row.name, row.layer, row.kernel, duration(row.seconds), f"{row.share:.0%}",
                f"{row.gflops:.1f}" if row.gflops else "", f"{row.n_bytes / 1000:,.1f}",
                "" if math.isnan(row.weight_density) else f"{row.weight_density:.1%}", f"{row.input_density:.0%}",
            ]
            for row in self.rows
        ]  # fmt: skip
        rows.append(["", "all", "", duration(self.steps_seconds), "", "", "", "", ""])
        if self.float_network is not None:  # layers that became part of others have no row here
            columns.append(Column("in floating\npoint"))
            times = {row.name: duration(row.seconds) for row in self.float_network.rows}
            for cells in rows[:-1]:
                cells.append(times.get(cells[0], ""))
            rows[-1].append(duration(self.float_network.steps_seconds))
        each = f", {duration(self.seconds / self.samples)} each" if self.samples > 1 else ""
        samples = "1 sample" if self.samples == 1 else f"{self.samples} samples"
        title = f"{samples} in {duration(self.seconds)}{each}: {self.samples / self.seconds:,.0f} a second"
        return Table(title, columns, rows, {len(rows) - 1})

    def print(self) -> None:
        """As a table, with colours where rich is installed."""
        print_table(self._table())

    def __repr__(self) -> str:
        return plain_table(self._table())

    def plot(self, path: Any) -> None:
        """Draws the time of each layer and writes the picture to a file (needs matplotlib)."""
        check_matplotlib("plot")
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8, 0.45 * len(self.rows) + 1.4), facecolor="white", layout="constrained")
        axes = figure.add_subplot()
        names = [f"{row.name}  {row.layer}" if row.name != row.layer else row.name for row in self.rows]
        scale, unit = (1e6, "us") if self.steps_seconds / self.samples < 1e-3 else (1e3, "ms")
        times = [row.seconds / self.samples * scale for row in self.rows]
        bars = axes.barh(range(len(times)), times, color="#3b6ea5")
        axes.bar_label(bars, [f"{t:.3g} ({row.share:.0%})" for t, row in zip(times, self.rows, strict=True)], padding=3)
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.margins(x=0.18)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlabel(f"{unit} a sample, batch of {self.samples}")
        axes.set_title(self._table().title, fontsize="medium", loc="left")
        figure.savefig(path, dpi=150)


def profile(net: Compiled, xs: tuple[Any, ...], seconds: float) -> Profile:
    arrays, dtype = net._arrays(xs)
    plan = net._plan(tuple(x.shape for x in arrays), dtype)
    if plan.samples == 0:
        raise ValueError("a batch without samples takes no time: profile one of at least one sample")
    times, total = _measured(plan, tuple(arrays), seconds)
    all_steps = float(times.sum())
    values = net._values(*xs)
    layers = {node.name: (number, node) for number, node in enumerate(net._nodes)}
    by_node: dict[int, list[int]] = {}
    for i, step in enumerate(plan.steps):
        by_node.setdefault(step.node, []).append(i)
    rows = []
    for node, steps in by_node.items():
        name = plan._nodes[node].name
        number, given = layers[name]
        layer = given.layer
        spent = float(sum(times[i] for i in steps))
        share = spent / max(1e-12, all_steps)
        if layer is None:  # an input that is copied
            rows.append(LayerProfile(name, "input", "copy", spent, share, 0, 0.0, 0, math.nan, 1.0))
            continue
        inputs = [values[i] for i in given.inputs]
        results = values[number] if layer.n_outputs > 1 else [values[number]]
        alive = float(np.mean([_density(x) for x in inputs])) if inputs else 1.0
        spec = Spec(tuple(results[0].shape[1:]))
        work = layer.work(tuple(Spec(tuple(x.shape[1:])) for x in inputs), spec) * plan.samples
        every = _all_weights(layer)
        moved = sum(map(_bytes_of, (*inputs, *results)))
        rows.append(
            LayerProfile(
                name,
                type(layer).__name__,
                ", ".join(dict.fromkeys(plan.steps[i].kernel for i in steps)),
                spent,
                share,
                work if layer.multiplications else 0,
                2 * work * alive / spent / 1e9 if layer.multiplications and spent > 0 else 0.0,
                moved + _weight_bytes(layer),
                layer.multiplications / every if every else math.nan,
                alive,
            )
        )
    beside = None if net.float_network is None else profile(net.float_network, xs, seconds)
    return Profile(rows, total, all_steps, plan.samples, beside)


def _weight_bytes(layer: Layer) -> int:
    return sum(int(weights.nbytes) for weights in layer.weights)


def _bytes_of(x: Any) -> int:
    """Of an array; of winners their values and indices."""
    return int(x.nbytes) if isinstance(x, np.ndarray) else int(x.values.nbytes + x.indices.nbytes)


def _density(x: Any) -> float:
    """Share of entries that are not zero; of winners, that are alive."""
    if isinstance(x, Winners):
        return float(x.density)
    return int(np.count_nonzero(x)) / max(1, int(x.size))


def _measured(plan: NetPlan, arrays: tuple[NDArray[Any], ...], seconds: float) -> tuple[NDArray[np.float64], float]:
    """Seconds of each step, and of the shortest call. The median of many calls: others may use the machine too."""
    plan(*arrays)
    found: list[NDArray[np.int64]] = []
    best, end = math.inf, time.perf_counter() + seconds
    while not found or (time.perf_counter() < end and len(found) < _MOST_CALLS):
        start = time.perf_counter()
        plan(*arrays)
        best = min(best, time.perf_counter() - start)
        found.append(np.zeros(len(plan.steps), dtype=np.int64))
        plan._run(arrays, None, found[-1])
    return np.median(found, axis=0) / 1e9, best
