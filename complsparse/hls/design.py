# SPDX-License-Identifier: BSD-3-Clause
"""A circuit before it is written: what was asked for, checked, and what follows from it."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from complsparse.hls.tables import IntArray, Tables, bits_up_to, tables_of

MOST_MULTIPLIERS = 65_536
LANES = 8  # of a sparse-dense layer, where nobody says how many


@dataclass(frozen=True)
class Design:
    """A sparse-dense layer (`winners` is None) or a sparse-sparse one.

    `lanes` are the columns, or the winners, that the circuit takes in a clock.
    """

    tables: Tables
    lanes: int
    winners: int | None
    ids: str
    clock_ns: float
    route: str

    @property
    def rows(self) -> int:
        return self.tables.shape[0]

    @property
    def columns(self) -> int:
        return self.tables.shape[1]

    @property
    def beats(self) -> int:
        """Clocks from one vector to the next."""
        return -(-(self.columns if self.winners is None else self.winners) // self.lanes)

    @property
    def groups(self) -> int:
        """Words of the table: groups of columns, or, where each lane reads the column of its winner, columns."""
        return self.beats if self.winners is None else self.columns

    @cached_property
    def table(self) -> tuple[IntArray, IntArray]:
        """By word and slot: weights, and what they choose: the member that takes a product, or the lane of x."""
        if self.route == "activations":
            return self.tables.by_member(self.lanes)
        lanes = (self.lanes,) if self.winners is None else ()
        shape = (self.groups, *lanes, self.tables.sets)
        weights, ids = self.tables.padded(self.groups * self.lanes if lanes else self.columns)
        return weights.reshape(shape), ids.reshape(shape)

    @property
    def choice_bits(self) -> int:
        return bits_up_to(self.lanes - 1) if self.route == "activations" else self.tables.id_bits

    @property
    def slots(self) -> int:
        """Of one word of the table."""
        return int(self.table[0][0].size)

    @property
    def word_bits(self) -> int:
        """Of one word of the table."""
        return self.slots * (8 + self.choice_bits)

    @property
    def ports(self) -> int:
        """Words of the table that are read in a clock."""
        return 1 if self.winners is None else self.lanes

    @property
    def multipliers(self) -> int:
        return self.slots * self.ports


def design_of(
    W: Any, lanes: Any, parallel_winners: Any, winners: Any, ids: str, clock_ns: Any, activations: str, route: str
) -> Design:
    tables = tables_of(W, activations)
    columns = tables.shape[1]
    in_a_clock = checked_count("lanes", LANES if lanes is None else lanes)
    parallel_winners = checked_count("parallel_winners", 1 if parallel_winners is None else parallel_winners)
    if winners is None:
        if parallel_winners != 1:
            raise ValueError(
                f"parallel_winners={parallel_winners} without winners: say how many winners a vector of activations has"
            )
        lanes = min(in_a_clock, columns)
    else:
        if lanes is not None:
            raise ValueError(f"lanes={lanes} with winners: parallel_winners says how many a clock takes")
        winners = checked_count("winners", winners)
        if winners > columns:
            raise ValueError(f"winners={winners} is more than the {columns} columns of W")
        if parallel_winners > winners:
            raise ValueError(f"parallel_winners={parallel_winners} is more than winners={winners}")
        lanes = parallel_winners
    if ids not in ("static", "runtime"):
        raise ValueError(f"ids={ids!r} is neither 'static' nor 'runtime'")
    if route not in ("products", "activations"):
        raise ValueError(f"route={route!r} is neither 'products' nor 'activations'")
    if route == "activations" and winners is not None:
        raise ValueError(
            "route='activations' with winners: a winner's column has one slot in each set, which is routed"
        )
    clock = checked_clock(clock_ns)
    if tables.sum_bits > 32:
        raise ValueError(
            f"the fullest row of W has {tables.fullest_row} entries, whose sum needs {tables.sum_bits} bits: "
            "sums are at most 32 bits wide, as those of the CPU library are"
        )
    design = Design(tables, lanes, winners, ids, clock, route)
    if tables.sets * lanes > MOST_MULTIPLIERS or design.multipliers > MOST_MULTIPLIERS:
        raise ValueError(
            f"{tables.sets} sets with {lanes} lanes need {design.multipliers} multipliers, more than "
            f"{MOST_MULTIPLIERS}: take fewer lanes"
        )
    return design


def checked_count(name: str, value: Any) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is a whole number, not {value!r}") from None
    if isinstance(value, bool) or number < 1:
        raise ValueError(f"{name}={value!r} is not a number from 1 on")
    return number


def checked_clock(value: Any) -> float:
    try:
        clock = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"clock_ns is a number of nanoseconds, not {value!r}") from None
    if not 0.1 <= clock <= 1000:
        raise ValueError(f"clock_ns={value!r} is not between 0.1 and 1000 nanoseconds")
    return clock
