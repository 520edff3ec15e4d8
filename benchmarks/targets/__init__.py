# SPDX-License-Identifier: BSD-3-Clause
"""What is to be reached: sections that measure, targets that are held against what they measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from benchmarks.targets import (
    batch_sizes,
    contests,
    convolutions,
    density,
    general,
    known_layers,
    overhead,
    packing,
    patterns,
    regret,
    speech,
    threads,
    winners,
)
from benchmarks.targets.target import Record, Records, Run, Verdict, judged

SECTIONS: dict[str, Callable[[Run], Iterator[Record]]] = {
    "overhead": overhead.cases,
    "packing": packing.cases,
    "threads": threads.cases,
    "ratios": general.ratio_cases,
    "large": general.large_cases,
    "batch-major": general.batch_major_cases,
    "float64": general.double_cases,
    "blocks": general.block_cases,
    "patterns": patterns.cases,
    "sweep": density.sweep_cases,
    "regret": regret.cases,
    "contest": contests.cases,
    "winners": winners.cases,
    "convolutions": convolutions.cases,
    known_layers.SECTION: known_layers.cases,
    "gsc": speech.cases,
    "grid": winners.grid_cases,
    "network": winners.network_cases,
    "choice": density.choice_cases,
    "batch sizes": batch_sizes.cases,
}
# Run when asked for: long, or for the charts alone.
ON_REQUEST = ("choice", "batch sizes")

# In the order of the acceptance table.
TARGETS = tuple(
    target
    for room in (
        general,
        overhead,
        threads,
        packing,
        patterns,
        density,
        contests,
        winners,
        convolutions,
        known_layers,
        speech,
        regret,
        batch_sizes,
    )
    for target in room.TARGETS
)


def judge(records: Records) -> list[Verdict]:
    """The targets that the records speak of, from the records of `SECTIONS`."""
    return judged(TARGETS, records)
