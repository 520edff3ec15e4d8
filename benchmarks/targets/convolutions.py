# SPDX-License-Identifier: BSD-3-Clause
"""Sparse convolutions over the best dense one, and over columns that are written out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from benchmarks import timing
from benchmarks.problems.convolutions import GSC, RESNET_1X1, RESNET_3X3, RESNET_5X5, STEPPING, TAPS, Layer
from benchmarks.rivals import convolutions
from benchmarks.targets.target import Figure, Record, Records, Run, Target, at_least, of_section
from benchmarks.timing import Samples, geometric_mean


def raced(calls: convolutions.Calls, rounds: int, sample_ms: float) -> tuple[Samples, Record]:
    """Ours over the best dense rival, and over columns that are written out."""
    samples = timing.race_python(calls, rounds, sample_ms, min_calls=3, alone=True)
    ns = {name: samples.median(name) for name in samples.names}
    rivals = [name for name in samples.names if name in convolutions.DENSE]
    best = min(rivals, key=ns.__getitem__, default=None)
    ours = [name for name in samples.names if name.startswith("ours")]
    return samples, {
        "kind": "convolution",
        "ns": ns,
        "over_dense": {} if best is None else {name: samples.ratio(best, name) for name in ours},
        "over_columns": {name: samples.ratio("columns + matmul", name) for name in ours if "columns + matmul" in ns},
        "dense": best,
        "disturbed": samples.disturbed,
    }


def measure(
    layer: Layer, block: int | str, set_size: int, rounds: int = 15, sample_ms: float = 2.0
) -> tuple[Samples, Record]:
    samples, record = raced(convolutions.calls(layer, layer.weight(block, set_size)), rounds, sample_ms)
    about = {"problem": layer.name, "n": layer.batch, "block": str(block), "set_size": set_size}
    return samples, {**about, **record}


@dataclass(frozen=True)
class Row:
    """Some layers with one kind of filters, held against the best dense rival, in geometric mean.

    `on_intel`: the bound on CPUs of Intel, where dense rivals are nearer to two FMAs a cycle."""

    layers: tuple[Layer, ...]
    block: int | str
    set_size: int
    layout: str
    elsewhere: float
    on_intel: float | None = None

    @property
    def bound(self) -> float:
        return self.on_intel if self.on_intel is not None and timing.is_of_intel() else self.elsewhere

    @property
    def name(self) -> str:
        pattern = "one of 16 channels a tap" if self.block == TAPS else f"({self.block},1)"
        kernel = f"{self.layers[0].kernel}x{self.layers[0].kernel}"
        return f"dense / ours, {kernel}, {pattern}, set_size {self.set_size}, {self.layout}"


ROWS = (
    Row(RESNET_3X3, 1, 16, "NCHW", 7, on_intel=5.5),
    Row(RESNET_3X3, 4, 16, "NCHW", 11.5, on_intel=8),
    Row(RESNET_3X3, 8, 16, "NCHW", 12, on_intel=8.5),
    Row(RESNET_3X3, TAPS, 16, "NHWC", 9),
    Row(RESNET_3X3, 16, 16, "NHWC", 14),
    Row(RESNET_3X3, 1, 20, "NCHW", 8.3),
    Row(RESNET_3X3, 4, 20, "NCHW", 14),
    Row(RESNET_3X3, 8, 20, "NCHW", 14),
    Row(RESNET_5X5, 1, 16, "NCHW", 7.3),
    Row(RESNET_5X5, 4, 16, "NCHW", 13.5),
    Row(RESNET_5X5, 8, 16, "NCHW", 14),
    Row(RESNET_1X1, 1, 16, "NCHW", 7),
    Row(RESNET_1X1, 4, 16, "NCHW", 12),
    Row(RESNET_1X1, 16, 16, "NCHW", 12),
)
OTHERS = tuple((layer, block, 16) for layer in (*STEPPING, *GSC) for block in (1, 8, 16, TAPS))


def cases(run: Run) -> Iterator[Record]:
    wanted = dict.fromkeys((layer, row.block, row.set_size) for row in ROWS for layer in row.layers)
    for layer, block, set_size in (*wanted, *OTHERS):
        _, record = measure(layer, block, set_size, *((3, 0.5) if run.quick else ()))
        yield {**record, "section": "convolutions"}


def _of(records: Records, row: Row) -> list[Record]:
    names = {layer.name for layer in row.layers}
    key = (str(row.block), row.set_size)
    return [
        record
        for record in of_section(records, "convolutions")
        if record["problem"] in names and (record["block"], record["set_size"]) == key
    ]


def _over(records: Records, row: Row, rival: str) -> Figure | None:
    found = _of(records, row)
    if not found:
        return None
    ours = f"ours {row.layout}"
    ratios = {record["problem"]: record[rival].get(ours) for record in found}
    if None in ratios.values():
        return Figure("not measured: no dense rival is installed")
    value = geometric_mean(list(ratios.values()))
    detail = ", ".join(f"{name} {ratio:.1f}" for name, ratio in ratios.items())
    return Figure(f"{value:.2f}", value, detail, len(found))


TARGETS = (
    *(Target(row.name, at_least(row.bound), partial(_over, row=row, rival="over_dense")) for row in ROWS),
    *(
        Target(
            row.name.replace("dense /", "columns + matmul /"),
            at_least(1.5 if row.block == 1 else 2),
            partial(_over, row=row, rival="over_columns"),
        )
        for row in ROWS
        if row.layers[0].kernel > 1
    ),
)
