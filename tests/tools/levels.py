# SPDX-License-Identifier: BSD-3-Clause
"""What tests need to know of ISA levels and tiles, read from the kernel table: a new row or level needs no new test."""

import re

import complsparse as cs
from complsparse import _core

BASELINE = _core.isa_levels()[0]["name"]  # what every CPU runs


def rows_at(isa):
    """The rows of the table that plans of this level may use: its own and those of the levels before it."""
    names = cs.isa_levels()
    usable = names[: names.index(isa) + 1]
    return [row for row in cs.microkernels() if row["isa"] in usable]


def family(row):
    """The name without the columns of the tile and the level: a plan has the tiles of one family."""
    return re.sub(r"x\d+$", "", row["name"].removesuffix("_" + row["isa"]))


def strongest(rows):
    """Of rows of equal names but for their levels, the last level's."""
    return {row["name"].removesuffix("_" + row["isa"]): row["name"] for row in rows}.values()


def _routed(rows):
    """(lanes, columns of a window) of each routed row."""
    found = (re.search(r"_(\d+)of(\d+)_", row["name"]) for row in rows if row["layout"] == "routed")
    return {(int(match[1]), int(match[2])) for match in found}


LANES = sorted({lanes for lanes, _ in _routed(cs.microkernels())})


def lanes_at(isa):
    """float32 values of the widest vectors of this level."""
    return max(_routed(rows_at(isa)))[0]


def widest_window_at(isa):
    """Columns of the widest window whose values those vectors select from."""
    return max(window for lanes, window in _routed(rows_at(isa)) if lanes == lanes_at(isa))


def widths(*layouts):
    """Columns of the tiles for these layouts (without any: all) at any level."""
    rows = (row for row in cs.microkernels() if row["op"] in ("spmm", "spmv"))
    return sorted({row["tile"][1] for row in rows if not layouts or row["layout"] in layouts})


def edges(*layouts):
    """Batches that fill each of these tiles, lack a column of it, and have one too many."""
    return sorted({n for width in widths(*layouts) for n in (width - 1, width, width + 1)})
