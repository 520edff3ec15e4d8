# SPDX-License-Identifier: BSD-3-Clause
"""The page in a network's folder: its blocks, their clocks and parts, what comes in and out, what was not run."""

from __future__ import annotations

from typing import Any

import numpy as np

from complsparse.hls.estimate import network_estimate_of
from complsparse.hls.network import Pipeline

TEXT = """\
# A network

{count} blocks, joined by memories that exist twice: each block works on a sample of its own. Values of all layers equal
those of the CPU library bit for bit.

| | |
|---|---|
| clocks from sample to sample | {cycles:,}, those of the slowest block |
| samples a second at {clock:g} ns, a clock that is *assumed* | {rate:,.0f} |
| multipliers (8 bits x 8 bits) | {multipliers:,} |
| requantisers (a sum times 32 bits) | {requantisers:,} |
| bits between blocks | {buffer_bits:,} |

## Blocks

| layer | block | clocks | multipliers | requantisers | sums | table |
|---|---|---|---|---|---|---|
{rows}

Tables are words x bits x the words that are read in a clock.

## Check it

```sh
make csim    # C++14 compiler: every block on the samples of golden/, its values compared, its clocks counted
```

It ends with status 1 where one value or one clock differs.

## What comes in and out of `complsparse_network`

- in: `{input_count}` pixels, row by row, with their {input_length} channels; a number q stands for {scale} * (q -
  {zero}).
- out: {output_length} numbers of {output_bits} bits. {units}

## Files

| file | |
|---|---|
| `blocks.hpp` | each block: its configuration, its tables, its function |
| `top.hpp`, `top.cpp` | the function `complsparse_network`, with pragmas for Vitis HLS |
| `include/` | the header-only library, C++14 with `<stdint.h>` alone |
| `testbench.cpp`, `checks.hpp`, `golden.hpp`, `golden/` | C simulation; samples, and the values of all layers |
| `vitis/` | project files for Vitis HLS: **not run here** |

## Not run here

No vendor tool has seen this folder: `vitis/` and the effect of the pragmas are untested, and so are timing, placement
and power. Clocks are those of the loops at one turn in each clock.
"""


def text(net: Any, pipeline: Pipeline) -> str:
    estimate = network_estimate_of(pipeline)
    rows = [
        f"| {b.layer} | {b.kind} | {b.cycles:,} | {b.multipliers or ''} | {b.requantisers or ''} | "
        + (f"{b.sums} of {b.sum_bits} bits | {b.table_words} x {b.word_bits} x {b.table_ports} |" if b.sums else "| |")
        for b in estimate.blocks
    ]
    border, last = net._nodes[pipeline.first].layer, net._nodes[pipeline.blocks[-1].node or 0].layer
    units = "They have the numbers of the network's last layer of integers."
    if pipeline.blocks[-1].kind == "bias":
        scale = np.array2string(last.ending.units, max_line_width=100, threshold=16)
        units = f"A number stands for itself times the scale of its row:\n  `{scale}`"
    return TEXT.format(
        count=len(rows),
        cycles=estimate.cycles_per_sample,
        clock=pipeline.clock_ns,
        rate=estimate.samples_per_second,
        multipliers=estimate.multipliers,
        requantisers=estimate.requantisers,
        buffer_bits=estimate.buffer_bits,
        rows="\n".join(rows),
        input_count=pipeline.input.vectors,
        input_length=pipeline.input.length,
        scale=border.scale,
        zero=border.zero_point,
        output_length=pipeline.output.vectors * pipeline.output.length,
        output_bits=pipeline.output.bits,
        units=units,
    )
