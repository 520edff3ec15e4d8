# SPDX-License-Identifier: BSD-3-Clause
"""The page in a network's folder: its blocks, their clocks and parts, its ports, what was not run."""

from __future__ import annotations

from typing import Any

import numpy as np

from complsparse.hls.estimate import network_estimate_of
from complsparse.hls.network import Buffer, Pipeline

TEXT = """\
# A network

{count} blocks, each at work on a sample of its own, and memories between them that hold two samples or more. Values of
all layers equal those of the CPU library bit for bit.

| | |
|---|---|
| clocks from sample to sample | {cycles:,}, those of the slowest block |
| samples a second at {clock:g} ns, a clock that is *assumed* | {rate:,.0f} |
| multipliers (8 bits x 8 bits) | {multipliers:,} |
| requantisers (a sum times 32 bits) | {requantisers:,} |
| bits of the memories between blocks | {buffer_bits:,} |
| and of those before the first block and behind the last | {border_bits:,} |

## Blocks

| block | layer | what it does | clocks | multipliers | requantisers | sums | table |
|---|---|---|---|---|---|---|---|
{rows}

Clocks are those of a sample. Tables are words x bits x the words that are read in a clock.

## Check it

```sh
make csim     # C++14 compiler: every block on the samples of golden/, its values compared, its clocks counted
make rtl      # Clang 15+, Python 3, Verilator 5: the whole network in Verilog on the same samples
make cells    # the same and Yosys: LUTs, FFs, DSPs, block RAM for UltraScale+, not placed; slow where blocks are wide
```

The first two end with status 1 where one value differs or a block takes other clocks. `make rtl` runs the samples
twice: back to back, where the outputs of a sample must follow those of the one before within the clocks above, and with
random stalls on both sides, where none may be lost or doubled. Its last figure is the latency: the clock in which the
first sample has left, since reset.

## Ports of `rtl/network.v`

| port of `complsparse_network` | bits | |
|---|---|---|
| `clock`, `reset` | 1 | rising edge; reset is synchronous and active high, and one clock is enough |
| `in_valid`, `in_ready` | 1 | a word is taken at an edge where both are 1; `in_ready` does not wait for `in_valid` |
| `in_word` | {in_bits} | {in_word} |
| `out_valid`, `out_ready` | 1 | a word leaves at an edge where both are 1; once valid, it stays until then |
| `out_word` | {out_bits} | {out_word} |

- A sample is {in_words}. A number q
  stands for {scale!r} * (q - {zero}).
- A result is {out_words}.
{units}

A sample may come as fast as its words; `in_ready` falls while the first memory is full. Where the
sink waits, so do, block by block, those before it; inside a sample no block ever stalls.

## Files

| file | |
|---|---|
| `blocks.hpp` | each block: its configuration, its tables, its function |
| `top.hpp`, `top.cpp` | the function `complsparse_network`, with pragmas for Vitis HLS |
| `include/` | the header-only library, C++14 with `<stdint.h>` alone |
| `testbench.cpp`, `checks.hpp`, `golden.hpp`, `golden/` | C simulation; samples, and the values of all layers |
| `rtl/network.v`, `rtl/memory.v` | the blocks joined; what lies between two of them |
| `rtl/block0.v`, ... | the engine of each block: it reads `rtl/table0.hex`, ..., from this folder (`$readmemh`) |
| `rtl/steps.cpp`, `rtl/steps.mk`, `rtl/ir_to_verilog.py` | the steps, their ports, and what prints them as Verilog |
| `rtl/simulation.cpp`, `rtl/ports.hpp`, `rtl/sizes.hpp` | the test bench of the Verilog |
| `vitis/` | project files for Vitis HLS: **not run here** |

## Not run here

No vendor tool has seen this folder: `vitis/` and the effect of the pragmas are untested, and so are timing, placement
and power, of the Verilog too: a block does in one clock what its step holds. Parts are counts of the circuit's
structure, not of a synthesis tool; `make cells` has those.
"""


def text(net: Any, pipeline: Pipeline) -> str:
    estimate = network_estimate_of(pipeline)
    rows = [
        f"| {i} | {b.layer} | {b.kind} | {b.cycles:,} | {b.multipliers or ''} | {b.requantisers or ''} | "
        + (f"{b.sums} of {b.sum_bits} bits | {b.table_words} x {b.word_bits} x {b.table_ports} |" if b.sums else "| |")
        for i, b in enumerate(estimate.blocks)
    ]
    border, last = net._nodes[pipeline.first].layer, net._nodes[pipeline.blocks[-1].node or 0].layer
    units = "  It has the numbers of the network's last layer of integers."
    if pipeline.blocks[-1].kind == "bias":
        scale = np.array2string(last.ending.units, max_line_width=100, threshold=16)
        units = f"  A number stands for itself times the scale of its row:\n  `{scale}`"
    return TEXT.format(
        count=len(rows),
        cycles=estimate.cycles_per_sample,
        clock=pipeline.clock_ns,
        rate=estimate.samples_per_second,
        multipliers=estimate.multipliers,
        requantisers=estimate.requantisers,
        buffer_bits=estimate.buffer_bits,
        border_bits=sum(
            pipeline.slots(number) * _bits(buffer) * buffer.vectors
            for number, buffer in ((0, pipeline.input), (len(rows), pipeline.output))
        ),
        rows="\n".join(rows),
        in_bits=_bits(pipeline.input),
        in_word=_word(pipeline.input),
        in_words=_words(pipeline.input),
        out_bits=_bits(pipeline.output),
        out_word=_word(pipeline.output),
        out_words=_words(pipeline.output),
        scale=border.scale,
        zero=border.zero_point,
        units=units,
    )


def _bits(buffer: Buffer) -> int:
    return buffer.bits * buffer.length


def _word(buffer: Buffer) -> str:
    signed = "signed" if buffer.kind.startswith("Signed") else "unsigned"
    if buffer.length == 1:
        return f"a {signed} number"
    return f"{buffer.length} {signed} numbers of {buffer.bits} bits, the first in the lowest bits"


def _words(buffer: Buffer) -> str:
    if buffer.vectors == 1:
        return "one word"
    return f"{buffer.vectors:,} words, the pixels of an image row by row, each with its channels"
