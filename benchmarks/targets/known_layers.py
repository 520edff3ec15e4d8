# SPDX-License-Identifier: BSD-3-Clause
"""Layers of known networks over the best dense one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.problems.convolutions import Layer
from benchmarks.problems.known_layers import (
    BERT,
    DEPTHWISE,
    EXPANSIONS,
    Linear,
    Pruned,
    dlmc_layers,
    mediapipe_layers,
)
from benchmarks.rivals import convolutions, linears
from benchmarks.targets.convolutions import raced
from benchmarks.targets.target import Figure, Record, Records, Run, Target, at_least, of_section
from benchmarks.timing import Samples, geometric_mean

SECTION = "known layers"
EVERY = 6  # of the layers from files a quick run takes one in so many


@dataclass(frozen=True)
class Case:
    """A layer with its filters; `make` prepares the calls that race."""

    name: str
    make: Callable[[], convolutions.Calls]


@dataclass(frozen=True)
class Row:
    """Layers of one network with one kind of filters; `bound` None: told, not judged."""

    name: str
    cases: Callable[[Path], Iterator[Case]]
    bound: float | None = None
    needs_data: bool = False


def _drawn(layers: tuple[Layer | Linear, ...], block: int, set_size: int, _: Path | None) -> Iterator[Case]:
    for layer in layers:
        yield Case(layer.name, partial(_drawn_calls, layer, block, set_size))


def _drawn_calls(layer: Layer | Linear, block: int, set_size: int) -> convolutions.Calls:
    weight = layer.weight(block, set_size)
    return linears.calls(layer, weight) if isinstance(layer, Linear) else convolutions.calls(layer, weight)


def _pruned(layers: Callable[[Path], Iterator[Pruned]], folder: Path) -> Iterator[Case]:
    for pruned in layers(folder):
        yield Case(pruned.name, partial(_pruned_calls, pruned))


def _pruned_calls(pruned: Pruned) -> convolutions.Calls:
    return convolutions.calls(pruned.layer, pruned.weight())


BLOCKS = (1, 4, 16)
ROWS = (
    Row("MediaPipe, 1x1", partial(_pruned, mediapipe_layers), 2.5, needs_data=True),
    *(
        Row(f"ResNet-50 at {percent}%", partial(_pruned, partial(dlmc_layers, percent=percent)), bound, True)
        for percent, bound in ((90, 3.5), (95, 5.5), (98, 9.0))
    ),
    *(Row(f"MobileNetV2 expansions, ({block},1)", partial(_drawn, EXPANSIONS, block, 16)) for block in BLOCKS),
    Row("MobileNetV2 depthwise, dense", partial(_drawn, DEPTHWISE, 1, 1)),
    *(Row(f"BERT linears, ({block},1)", partial(_drawn, BERT, block, 16)) for block in BLOCKS),
)


def measure(case: Case, row: Row, rounds: int = 9, sample_ms: float = 1.0) -> tuple[Samples, Record]:
    samples, record = raced(case.make(), rounds, sample_ms)
    return samples, {"problem": case.name, "n": 1, "row": row.name, **record}


def cases(run: Run) -> Iterator[Record]:
    for row in ROWS:
        if row.needs_data and run.folder is None:
            continue
        for number, case in enumerate(row.cases(run.folder or Path())):
            if run.quick and number % EVERY:
                continue
            _, record = measure(case, row, *((5, 0.5) if run.quick else ()))
            yield {**record, "section": SECTION}


def _over_dense(records: Records, row: Row) -> Figure | None:
    """In the better of our layouts, the same for all layers: a network has one."""
    found = [record for record in of_section(records, SECTION) if record["row"] == row.name]
    if not found:
        return None
    if not all(record["over_dense"] for record in found):
        return Figure("not measured: no dense rival is installed")
    means = {ours: geometric_mean([record["over_dense"][ours] for record in found]) for ours in found[0]["over_dense"]}
    best = max(means, key=means.__getitem__)
    lowest = sorted(found, key=lambda record: record["over_dense"][best])[:3]
    detail = f"{best}; " + ", ".join(f"{r['problem']} {r['over_dense'][best]:.2f}" for r in lowest)
    return Figure(f"{means[best]:.2f}", means[best], detail, len(found))


TARGETS = tuple(
    Target(
        f"dense / ours, {row.name}",
        at_least(row.bound or 1.0),
        partial(_over_dense, row=row),
        aim=row.bound is None,
    )
    for row in ROWS
)
