# SPDX-License-Identifier: BSD-3-Clause
"""What a circuit takes: clocks, counted from its schedule, and parts, counted from its structure."""

from __future__ import annotations

from dataclasses import dataclass

from complsparse.hls.design import Design


@dataclass(frozen=True)
class Estimate:
    """Clocks and parts of a circuit.

    Attributes
    ----------
    cycles_per_vector : int
        Clocks from one vector to the next: exact, with a source and a sink that never wait.
    latency_cycles : int
        Clocks from the edge that takes the first word of a vector to the edge at which its sums leave: exact.
    vectors_per_second : float
        At the clock that was asked for, which is an assumption.
    multipliers : int
        Products of 8 bits and 8 bits, a clock each.
    comparators : int
        Comparisons of a kernel id with a member, which route the products; 0 where activations are routed.
    sums, sum_bits : int
        Accumulators, and their width.
    id_bits : int
        Width of a kernel id; of a place among the lanes, where activations are routed.
    table_words, word_bits, table_ports : int
        The memory of weights and ids: words, bits of a word, words read in a clock.
    fill : float
        Slots with a weight other than 0 over all slots.
    """

    cycles_per_vector: int
    latency_cycles: int
    vectors_per_second: float
    multipliers: int
    comparators: int
    sums: int
    sum_bits: int
    id_bits: int
    table_words: int
    word_bits: int
    table_ports: int
    fill: float


def estimate_of(design: Design) -> Estimate:
    tables = design.tables
    sums = tables.sets * tables.set_size
    return Estimate(
        cycles_per_vector=design.beats,
        latency_cycles=design.beats + 1,
        vectors_per_second=1e9 / (design.clock_ns * design.beats),
        multipliers=design.multipliers,
        comparators=design.lanes * sums if design.route == "products" else 0,
        sums=sums,
        sum_bits=tables.sum_bits,
        id_bits=design.choice_bits,
        table_words=design.groups,
        word_bits=design.word_bits,
        table_ports=design.ports,
        fill=float((tables.weights != 0).sum() / tables.weights.size),
    )
