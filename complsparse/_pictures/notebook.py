# SPDX-License-Identifier: BSD-3-Clause
"""The picture of a packing that notebooks show beside a matrix: SVG, without any package."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_SETS, MOST_COLUMNS, CELL = 16, 64, 9
MAX_NNZ = 5_000_000  # above, finding the slots takes longer than a reader waits
PALETTE = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#ee8866", "#44bb99", "#994455", "#997700")
EMPTY = "#dddddd"


def _shown_sets(n_sets: int) -> NDArray[np.int64]:
    """Sets from the first to the last, evenly spaced: a split packing has its full ones first."""
    return np.unique(np.linspace(0, n_sets - 1, min(n_sets, MOST_SETS)).round().astype(np.int64))


def _range(shown: int, whole: int, what: str) -> str:
    if shown == whole:
        return "the set" if whole == 1 and what == "set" else f"all {whole} {what}s"
    return f"{shown} of {whole} {what}s"


def picture(W: Any) -> str:
    """Some slots of sets that stand evenly in the packing, and a caption; "" where nothing is stored, or too much."""
    packing = W._packing
    if not 0 < W.nnz <= MAX_NNZ:
        return ""
    sets = _shown_sets(W.n_sets)
    n_columns = min(packing.shape[1], MOST_COLUMNS)
    set_of_entry, kernel_id = packing.slots
    line = np.full(W.n_sets, -1)
    line[sets] = np.arange(len(sets))
    shown = (line[set_of_entry] >= 0) & (packing.indices < n_columns)
    places = zip(line[set_of_entry[shown]], packing.indices[shown], kernel_id[shown], strict=True)
    side = CELL - 1
    cells = [
        f'<rect x="{c * CELL}" y="{s * CELL}" width="{side}" height="{side}" fill="{PALETTE[k % len(PALETTE)]}"/>'
        for s, c, k in places
    ]
    full = f"{100 * W.packing_efficiency:.0f}% of all slots are full"
    lines = f"{_range(len(sets), W.n_sets, 'set')}, one a line" + ("" if len(sets) == W.n_sets else ", evenly spaced")
    caption = f"{full}. Shown: {lines}; {_range(n_columns, packing.shape[1], 'column')}. "
    caption += "Colour: the row of the set that owns a slot; grey: empty slot."
    return (
        f'<figure style="margin: 0"><svg width="{n_columns * CELL}" height="{len(sets) * CELL}" role="img" '
        f'aria-label="{full}"><rect width="100%" height="100%" fill="{EMPTY}"/>{"".join(cells)}</svg>'
        f"<figcaption>{caption}</figcaption></figure>"
    )
