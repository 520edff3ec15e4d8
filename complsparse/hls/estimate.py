# SPDX-License-Identifier: BSD-3-Clause
"""What a circuit takes: clocks, counted from its schedule, and parts, counted from its structure."""

from __future__ import annotations

from dataclasses import dataclass, fields

from complsparse.hls.design import Design
from complsparse.hls.network import Pipeline


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


@dataclass(frozen=True)
class BlockEstimate:
    """Clocks and parts of one block of a network's circuit.

    Attributes
    ----------
    layer, kind : str
        The layer that it belongs to, and what it does.
    cycles : int
        Clocks that it takes for a sample: exact, the C simulation counts them.
    multipliers : int
        Products of 8 bits and 8 bits, a clock each.
    requantisers : int
        Products of a sum and a multiplier of 32 bits, a clock each.
    sums, sum_bits, table_words, word_bits, table_ports : int
        As in `Estimate`.
    """

    layer: str
    kind: str
    cycles: int
    multipliers: int
    requantisers: int
    sums: int
    sum_bits: int
    table_words: int
    word_bits: int
    table_ports: int


@dataclass(frozen=True)
class NetworkEstimate:
    """Clocks and parts of a network's circuit, whose blocks all work at a time, each on a sample of its own.

    Attributes
    ----------
    cycles_per_sample : int
        Clocks from one sample to the next: those of the slowest block.
    samples_per_second : float
        At the clock that was asked for, which is an assumption.
    multipliers, requantisers : int
        Of all blocks.
    buffer_bits : int
        Of the values between blocks, each of which exists twice, because one is written while the other is read; more
        often where neighbours are both about as slow as the slowest block.
    blocks : tuple of BlockEstimate
    """

    cycles_per_sample: int
    samples_per_second: float
    multipliers: int
    requantisers: int
    buffer_bits: int
    blocks: tuple[BlockEstimate, ...]


def network_estimate_of(pipeline: Pipeline) -> NetworkEstimate:
    names = [field.name for field in fields(BlockEstimate)]
    blocks = tuple(BlockEstimate(**{name: getattr(block, name) for name in names}) for block in pipeline.blocks)
    return NetworkEstimate(
        cycles_per_sample=pipeline.cycles,
        samples_per_second=1e9 / (pipeline.clock_ns * pipeline.cycles),
        multipliers=sum(block.multipliers for block in blocks),
        requantisers=sum(block.requantisers for block in blocks),
        buffer_bits=sum(
            pipeline.slots(block.number + 1) * buffer.bits * buffer.vectors * buffer.length
            for block in pipeline.blocks[:-1]
            for buffer in block.outputs
        ),
        blocks=blocks,
    )
