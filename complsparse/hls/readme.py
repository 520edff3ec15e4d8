# SPDX-License-Identifier: BSD-3-Clause
"""The page in an exported folder: what the circuit computes, its ports, its clocks, and what was not run."""

from __future__ import annotations

from complsparse.hls.design import Design
from complsparse.hls.estimate import estimate_of
from complsparse.hls.tables import bits_up_to

TEXT = """\
# {title}

`y = W x` of a {rows} x {columns} matrix of int8 weights and {activations} activations. Sums have {sum_bits} bits and
equal those of the CPU library bit for bit. {packing}

| | |
|---|---|
| clocks from vector to vector | {cycles} (`{formula}`) |
| clocks from the first word to the sums | {latency} |
| vectors a second at {clock:g} ns, a clock that is *assumed* | {rate:,.0f} |
| multipliers (8 bits x 8 bits) | {multipliers} |
| {route} |
| accumulators | {sums} of {sum_bits} bits |
| table: 8 bits of weight and {id_bits} of {choice} a slot | {words} words of {word_bits} bits, {ports} read a clock |
| slots that hold a weight other than 0 | {fill:.1%} |

## Check it

```sh
make csim     # C++14 compiler: top.cpp on the vectors of golden/
make rtl      # Clang 15+, Python 3, Verilator 5: Verilog of the step, in rtl/layer.v, on the same vectors
make cells    # the same and Yosys: LUTs, FFs, DSPs, block RAM for UltraScale+, not placed
```

The first two end with status 1 where one sum differs. `make rtl` runs the vectors twice, back to back (every word must
be taken in the clock that it is offered) and with random stalls on both sides (none may be lost or doubled).

## Ports of `rtl/layer.v`

| port | bits | |
|---|---|---|
| `clock`, `reset` | 1 | rising edge; reset is synchronous and active high, and one clock is enough |
| `in_valid`, `in_ready` | 1 | a word is taken at an edge where both are 1; `in_ready` does not wait for `in_valid` |
{in_ports}
| `out_valid`, `out_ready` | 1 | the sums leave at an edge where both are 1; once valid, they stay until then |
| `out_y` | {out_bits} | sums in the order of the rows, {sum_bits} bits each, row 0 in the lowest bits |

{vector}
Its sums go to a register of their own, so the next vector follows without a gap; `in_ready` falls only
while the last word of a vector waits for the sums of the one before to leave.
{ids}

## Files

| file | |
|---|---|
| `config.hpp`, `tables.hpp` | sizes and types; weights, kernel ids and rows as constants |
| `top.hpp`, `top.cpp` | the function `complsparse_layer`, with pragmas for Vitis HLS |
| `include/` | the header-only library, C++14 with `<stdint.h>` alone |
| `testbench.cpp`, `golden.hpp`, `golden/` | C simulation; vectors, and their sums by the CPU library |
| `rtl/step.cpp`, `rtl/ir_to_verilog.py` | the step, and what prints Clang's code for it as Verilog |
| `rtl/layer.v` | registers, table and handshake around the step |
| `rtl/simulation.cpp`, `rtl/ports.hpp` | its test bench |
| `vitis/` | project files for Vitis HLS: **not run here** |

## Not run here

No vendor tool has seen this folder: `vitis/` and the effect of the pragmas are untested, and so are timing, placement
and power. Parts are counts of the circuit's structure, not of a synthesis tool; `make cells` has those. All products
of a clock are added up in that clock: many lanes will want registers in between. C simulation is native; with
`-DCOMPLSPARSE_AP_INT` the same files take `ap_int` of your tool.
"""


def text(design: Design) -> str:
    tables, estimate = design.tables, estimate_of(design)
    winners = design.winners
    many = f"{design.lanes} activations of 8 bits, the first in the lowest bits"
    in_ports = f"| `in_x` | {8 * design.lanes} | {many if design.lanes > 1 else 'an activation'} |"
    if winners is None:
        title, formula = "A sparse-dense layer", f"ceil({design.columns} columns / {design.lanes} lanes)"
        packing = f"Of each clock's {design.lanes} columns every set has one slot."
    else:
        title, formula = "A sparse-sparse layer", f"ceil({winners} winners / {design.lanes} in parallel)"
        packing = (
            f"A vector has {winners} winners, whose columns alone are read; activations come as values and columns."
        )
        in_ports += (
            f"\n| `in_index` | {design.lanes * tables.index_bits} | the column of each, {tables.index_bits} bits; "
            "winners come in any order |"
        )
    if design.route == "activations":
        turns = design.table[0].shape[3]
        packing = f"Of each clock's {design.lanes} activations every row selects up to {turns}."
    ids = "Weights and kernel ids are constants of the circuit."
    if design.ids == "runtime":
        in_ports += (
            f"\n| `write`, `write_address`, `write_word` | 1, {bits_up_to(design.groups - 1)}, "
            f"{design.word_bits} | a word of weights and ids is stored at an edge where `write` is 1 |"
        )
        ids = (
            "Weights and kernel ids are written before the first vector, as `rtl/simulation.cpp` does: in a word, the "
            "weights of the slots\nin the order of `tables.hpp`, and above them the ids in the same order. Another "
            "matrix with the same sets and rows\nneeds no new circuit."
        )
    return TEXT.format(
        title=title,
        rows=design.rows,
        columns=design.columns,
        activations="uint8" if tables.unsigned else "int8",
        packing=f"{design.rows} rows are overlaid in {tables.sets} sets of up to {tables.set_size}.\n{packing}",
        cycles=estimate.cycles_per_vector,
        formula=formula,
        latency=estimate.latency_cycles,
        clock=design.clock_ns,
        rate=estimate.vectors_per_second,
        multipliers=estimate.multipliers,
        route=_route(design),
        choice="its lane" if design.route == "activations" else "kernel id",
        vector=_vector(design),
        id_bits=tables.id_bits,
        sums=estimate.sums,
        sum_bits=tables.sum_bits,
        words=estimate.table_words,
        word_bits=estimate.word_bits,
        ports=estimate.table_ports,
        fill=estimate.fill,
        in_ports=in_ports,
        out_bits=design.rows * tables.sum_bits,
        ids=ids,
    )


def _route(design: Design) -> str:
    """A row of the table of parts: what routing takes."""
    estimate = estimate_of(design)
    if design.route == "products":
        return f"comparators of a kernel id with a member | {estimate.comparators:,}"
    return f"selections of one of {design.lanes} activations | {estimate.multipliers:,}"


def _vector(design: Design) -> str:
    """What a vector's words are."""
    words = f"A vector is {design.beats} words." if design.beats > 1 else "A vector is one word."
    numbers = design.columns if design.winners is None else design.winners
    empty = design.beats * design.lanes - numbers
    if not empty:
        return words
    filled = "what stands there is multiplied by 0" if design.winners is None else "value 0, and any column"
    return f"{words} Places of the last one that are empty ({empty}): {filled}."
