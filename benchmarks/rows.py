# SPDX-License-Identifier: BSD-3-Clause
"""One row of pytest-benchmark's table for each side of a race.

A case is measured once, all sides in turn; then every side is a test of its own in the group of the case, so that the
table shows the ratios, `--benchmark-histogram` the boxes, and `compare` each side of two runs. The record of the case,
for `report.py`, is kept with the first row.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

import pytest

from benchmarks.rivals import Comparison, all_peers
from benchmarks.timing import Samples

PEERS = [peer.name for peer in all_peers()]
FROM_PYTHON = {"complsparse from Python": "public", "scipy from Python": "scipy"}

Found = TypeVar("Found")
Replay = Callable[[Samples, str, str, dict[str, Any]], None]


class Latest:
    """What was measured last: the rows of a case follow each other."""

    def __init__(self) -> None:
        self._key: Hashable = None
        self._found: Any = None

    def __call__(self, key: Hashable, measure: Callable[[], Found]) -> Found:
        if key != self._key:
            self._key, self._found = None, None  # frees what the case before has kept
            self._found = measure()
            self._key = key
        found: Found = self._found
        return found


def of_sides(names: Sequence[str]) -> pytest.MarkDecorator:
    """Parametrises a test by `side`; the innermost of its parameters, so that a case is measured once."""
    return pytest.mark.parametrize("side", names, ids=lambda name: name.replace(" ", "_"))


def show(
    replay: Replay,
    side: str,
    group: str,
    record: dict[str, Any],
    result: Comparison,
    public: Samples | None = None,
) -> None:
    """The row of a peer, or of a call from Python; a skip that says why there is none."""
    if side in FROM_PYTHON:
        name = FROM_PYTHON[side]
        if public is None or name not in public.names:
            pytest.skip(f"{side} is not measured here")
        replay(public, name, group, {"side": side})
        return
    best = result.best(side)
    if best is None:
        pytest.skip(f"{side} is absent, or has no variant for this case")
    own = record if side == result.peers()[0] else {"side": side, "variant": best.form}
    replay(result.samples, best.name, group, own)


def show_sample(replay: Replay, side: str, group: str, record: dict[str, Any], samples: Samples, first: str) -> None:
    """The row of one candidate of a race; `first` keeps the record."""
    if side not in samples.names:
        pytest.skip(f"{side} is absent")
    replay(samples, side, group, record if side == first else {"side": side})
