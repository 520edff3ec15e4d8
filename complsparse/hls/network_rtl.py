# SPDX-License-Identifier: BSD-3-Clause
"""The Verilog of a network's folder: an engine and a step for each block, and the memories that join them."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from complsparse.hls.network import Block, Buffer, Pipeline
from complsparse.hls.sources import SPDX
from complsparse.hls.tables import IntArray
from complsparse.hls.wrapper import by_row

TEMPLATES = pathlib.Path(__file__).parent / "templates"
# The step of each engine in C++, parameters and call: `C` is the block's configuration.
STEPS = {
    "product": (
        "const C::activation_t (&x)[C::lanes], const C::weight_t (&weights)[C::lanes][C::sets], "
        "const C::id_t (&ids)[C::lanes][C::sets], const C::sum_t (&sums)[C::sets][C::set_size], "
        "C::sum_t (&next)[C::sets][C::set_size]",
        "accumulate<C>(x, weights, ids, sums, next);",
    ),
    "pool": (
        "const C::value_t (&so_far)[C::channels], const C::value_t (&pixel)[C::channels], "
        "const Unsigned<1>::type (&first)[1], C::value_t (&most)[C::channels]",
        "see_pixel<C>(so_far, pixel, first[0] != Unsigned<1>::type(0), most);",
    ),
    "requantiser": (
        "const C::sum_t (&sums)[C::outputs_per_clock], const int32_t (&bias)[C::outputs_per_clock], "
        "const int32_t (&multipliers)[C::outputs_per_clock], const int32_t (&shifts)[C::outputs_per_clock], "
        "C::value_t (&y)[C::outputs_per_clock]",
        "for (int i = 0; i < C::outputs_per_clock; ++i) y[i] = requantised<C>(sums[i], bias[i], "
        "{multipliers[i], shifts[i]}, C::zero_point, {C::value_t(C::least), C::value_t(C::most)});",
    ),
    "contest of pixels": (
        "const C::value_t (&x)[C::size], C::value_t (&values)[C::winners], C::index_t (&indices)[C::winners]",
        "sorted_winners<C>(x, values, indices);",
    ),
    "contest": (
        "const C::value_t (&x)[C::per_clock], const Unsigned<1>::type (&there)[C::per_clock], "
        "const Contest<C>::count_t (&counts)[256], const Unsigned<8>::type (&bin)[1], "
        "const Contest<C>::count_t (&seen)[1], const Contest<C>::count_t (&above)[1], "
        "const Contest<C>::count_t (&ties)[1], const Unsigned<8>::type (&value)[1], "
        "Contest<C>::count_t (&next_counts)[256], Contest<C>::count_t (&next_above)[1], "
        "Contest<C>::count_t (&found_ties)[1], Unsigned<8>::type (&found_value)[1], "
        "Contest<C>::count_t (&ties_left)[1], Unsigned<1>::type (&wins)[C::per_clock], "
        "C::value_t (&kept_x)[C::per_clock]",
        "Unsigned<8>::type bin_of[C::per_clock]; "
        "const int least = C::value_t(-1) < C::value_t(0) ? -128 : 0; "
        "for (int i = 0; i < C::per_clock; ++i) bin_of[i] = Unsigned<8>::type(int(x[i]) - least); "
        "count_values<C>(bin_of, there, counts, next_counts); "
        "Threshold<C> found = {above[0], ties[0], value[0]}; see_bin<C>(bin[0], seen[0], found); "
        "next_above[0] = found.above; found_ties[0] = found.ties; found_value[0] = found.value; "
        "Contest<C>::count_t left; choose<C>(bin_of, there, value[0], ties[0], wins, left); ties_left[0] = left; "
        "for (int i = 0; i < C::per_clock; ++i) kept_x[i] = kept<C>(x[i]);",
    ),
}


class Engine(NamedTuple):
    """A block in Verilog: the template and its parameters, the table that it reads, and how many numbers of its
    vectors a word has that comes in or goes out; `joined`: its vector is the whole sample."""

    template: str
    parameters: dict[str, int]
    table: tuple[list[int], int] | None = None  # words, and their bits
    takes: int | None = None  # by default all of a vector
    gives: int | None = None
    joined: bool = False


def kind_of(block: Block) -> str:
    """Which engine computes it: linear layers are convolutions of one pixel."""
    kind = block.kind.partition(" of ")[0]
    return "product" if kind in ("convolution", "linear") else block.kind


def engine_of(block: Block) -> Engine:
    c = block.constants
    match kind_of(block):
        case "product":
            return _product(block)
        case "pool":
            return Engine("pool", {**c, "bits": block.outputs[0].bits})
        case "requantiser":
            return _requantiser(block)
        case "bias":
            ((_, _, _, bias),) = block.tables
            table = packed(np.asarray(bias)[:, None], 32)
            return Engine("bias", {**c, "sum_bits": block.inputs[0].bits}, (table, 32), takes=1, gives=1)
        case "contest of pixels":
            places = block.outputs[1]
            names = {name: c[name] for name in ("size", "winners", "index_bits")}
            flat = {"flat": int(", true>" in block.call), "vectors": places.vectors, "place_bits": places.bits}
            return Engine("sorted", names | flat)
    names = {name: c[name] for name in ("size", "winners", "per_clock", "index_bits")}
    return Engine("contest", {**names, "count_bits": int(c["size"]).bit_length()}, takes=c["per_clock"])


def _product(block: Block) -> Engine:
    c, of_winners, image = block.constants, block.kind.endswith("winners"), block.kind.startswith("convolution")
    weights, ids = (np.asarray(numbers) for _, name, _, numbers in block.tables if name in ("weights", "ids"))
    weights, ids = weights.reshape(len(weights), -1), ids.reshape(len(ids), -1)
    slots = weights.shape[1]
    words = [w | i << 8 * slots for w, i in zip(packed(weights, 8), packed(ids, c["id_bits"]), strict=True)]
    depth = c.get("pixel_winners", c.get("winners", c.get("channels", c["columns"])))
    names = ("height", "width", "kernel_height", "kernel_width", "stride")
    padding = re.search(r"<C>\(\w+, (-?\d+)", block.call)
    parameters = {
        **{name: c[name] if image else 1 for name in names}, "padding": c.get("padding", 0),
        "zero": int(padding[1]) & 255 if padding and image and not of_winners else 0, "depth": depth,
        "channels": c["channels"] if image else c["columns"], "winners": int(of_winners), "lanes": c["lanes"],
        "sets": c["sets"], "id_bits": c["id_bits"], "sums": c["sets"] * c["set_size"] * c["sum_bits"],
        "table_words": len(weights), "channel_bits": c.get("channel_bits", c.get("index_bits", 0)),
    }  # fmt: skip
    return Engine("convolution", parameters, (words, slots * (8 + c["id_bits"])), joined=not image)


def _requantiser(block: Block) -> Engine:
    c, per_clock = block.constants, block.constants["outputs_per_clock"]
    bias, factors = (numbers for _, _, _, numbers in block.tables)
    parts = np.stack([np.asarray(bias), *np.asarray(factors).T])  # bias, multipliers, shifts
    words = -(-c["rows"] // per_clock)
    parts = np.pad(parts, ((0, 0), (0, words * per_clock - c["rows"])))
    table = packed(parts.reshape(3, words, per_clock).transpose(1, 0, 2), 32)
    parameters = {"rows": c["rows"], "per_clock": per_clock, "sum_bits": block.inputs[0].bits}
    return Engine("requantiser", parameters, (table, 96 * per_clock), takes=per_clock, gives=per_clock)


def packed(numbers: Any, bits: int) -> list[int]:
    """Numbers side by side, the first in the lowest bits: one integer for each row of the array."""
    mask = (1 << bits) - 1
    rows = np.asarray(numbers).reshape(len(numbers), -1).tolist()
    return [sum((number & mask) << bits * place for place, number in enumerate(row)) for row in rows]


def texts(pipeline: Pipeline) -> dict[str, str]:
    """The files that differ from network to network."""
    found = {
        "rtl/network.v": network(pipeline),
        "rtl/steps.cpp": _steps(pipeline.blocks),
        "rtl/steps.mk": _ports(pipeline.blocks),
        "rtl/sizes.hpp": _sizes(pipeline),
    }
    for block in pipeline.blocks:
        engine, number = engine_of(block), block.number
        text = (TEMPLATES / f"{engine.template}.v").read_text()
        text = text.replace(f"module {engine.template} ", f"module block{number} ").replace("table.hex", _table(number))
        found[f"rtl/block{number}.v"] = text.replace("complsparse_step", f"complsparse_step{number}")
        if engine.table is not None:
            words, bits = engine.table
            found[_table(number)] = "".join(f"{word:0{-(-bits // 4)}x}\n" for word in words)
    return found


def _table(number: int) -> str:
    return f"rtl/table{number}.hex"


def _steps(blocks: Iterable[Block]) -> str:
    lines = [SPDX, "// The step of each block as a function of its own, from which Verilog is printed."]
    lines += ['#include "blocks.hpp"', "", "using namespace complsparse;", "using namespace complsparse::hls;"]
    for block in blocks:
        if kind_of(block) not in STEPS:
            continue
        parameters, body = STEPS[kind_of(block)]
        lines += ["", f"namespace block{block.number} {{", f"// Layer {block.layer}: {block.kind}."]
        lines += [f'extern "C" void complsparse_step{block.number}({parameters}) {{', f"    {body}", "}"]
        lines.append(f"}}  // namespace block{block.number}")
    return "\n".join([lines[0] + lines[1], *lines[2:], ""])


def _ports(blocks: Iterable[Block]) -> str:
    lines = [SPDX.strip().replace("//", "#"), "# The ports of each block's step, and the blocks that have one."]
    of_block = {block.number: STEPS[kind_of(block)][0] for block in blocks if kind_of(block) in STEPS}
    lines += [f"PORTS_{number} = {' '.join(re.findall(r'[(]&(.+?)[)]', text))}" for number, text in of_block.items()]
    return "\n".join([*lines, f"STEPS = {' '.join(map(str, of_block))}", ""])


def _sizes(pipeline: Pipeline) -> str:
    text = [SPDX, "// What the simulation of rtl/network.v knows of it.\n#pragma once\n\nnamespace sizes {\n"]
    for name, of in (("in", pipeline.input), ("out", pipeline.output)):
        signed = "true" if of.kind.startswith("Signed") else "false"
        for what, number in (("words", of.vectors), ("length", of.length), ("bits", of.bits)):
            text.append(f"constexpr int {name}_{what} = {number};\n")
        text.append(f"constexpr bool {name}_signed = {signed};\n")
    text.append(f"constexpr long clocks = {pipeline.cycles};  // from sample to sample\n}}  // namespace sizes\n")
    return "".join(text)


# --- the network ------------------------------------------------------------------------------------------------------

HEAD = """\
// SPDX-License-Identifier: BSD-3-Clause
// The network: blocks, and the memories before and behind them. A word is taken at a rising edge where in_valid and
// in_ready are 1, and leaves where out_valid and out_ready are 1.
"""


def network(pipeline: Pipeline) -> str:
    """The module complsparse_network."""
    first, last, blocks = pipeline.input, pipeline.output, pipeline.blocks
    in_bits, out_bits = first.bits * first.length, last.bits * last.length
    engines = [engine_of(block) for block in blocks]
    lines = [HEAD + "module complsparse_network ("]
    lines += ["  input clock, input reset, input in_valid, output in_ready,", f"  input [{in_bits - 1}:0] in_word,"]
    lines += [f"  output out_valid, input out_ready, output [{out_bits - 1}:0] out_word", ");"]
    # Of memory i: written{i} and value{i} come in, offered{i}, taken{i} and word{i} go out.
    wires = ("begun", "room", "written", "offered", "taken")
    count = len(blocks)
    lines.append(f"  wire {', '.join(f'{name}{i}' for name in wires for i in range(count + 1))};")
    lines += [
        f"  assign out_valid = offered{count}, taken{count} = out_ready, out_word = word{count};",
        "  assign written0 = in_valid & in_ready;", f"  wire [{in_bits - 1}:0] value0 = in_word;",
        f"  entry #(.WORDS({first.vectors})) entry (",
        "    .clock(clock), .reset(reset), .in_valid(in_valid), .in_ready(in_ready), .room(room0), .begins(begun0)",
        "  );",
    ]  # fmt: skip
    writer: Engine | None = None
    for number, engine in enumerate([*engines, None]):
        buffers = blocks[number].inputs if engine else (last,)
        lines += _memory(number, pipeline.slots(number), buffers, writer, engine)
        if engine:
            lines += _instance(blocks[number], engine)
        writer = engine
    return "\n".join([*lines, "endmodule", ""])


def _memory(
    number: int, slots: int, buffers: tuple[Buffer, ...], writer: Engine | None, reader: Engine | None
) -> list[str]:
    """The one before block `number`, or behind the last one. Of winners, each value has its place above it."""
    vectors, length, bits = buffers[0].vectors, buffers[0].length, sum(buffer.bits for buffer in buffers)
    joined = reader is not None and reader.joined
    in_words = length if writer is None or writer.gives is None else writer.gives
    out_words = vectors * length if joined else length
    out_words = out_words if reader is None or reader.takes is None else reader.takes
    sizes = {"VECTORS": vectors, "LENGTH": length, "BITS": bits, "IN": in_words, "OUT": out_words}
    sizes |= {"JOINED": int(joined), "SLOTS": slots}
    following = (f"room{number + 1}", f"begun{number + 1}") if reader is not None else ("1'b1", "")
    return [
        "",
        f"  wire [{out_words * bits - 1}:0] word{number};",
        f"  memory #({', '.join(f'.{name}({value})' for name, value in sizes.items())}) memory{number} (",
        f"    .clock(clock), .reset(reset), .begun(begun{number}), .room(room{number}), .in_valid(written{number}),",
        f"    .in_word(value{number}), .next_room({following[0]}), .begins({following[1]}),",
        f"    .out_valid(offered{number}), .out_ready(taken{number}), .out_word(word{number})",
        "  );",
    ]


def _instance(block: Block, engine: Engine) -> list[str]:
    number, following = block.number, block.number + 1
    bits = sum(buffer.bits for buffer in block.outputs)
    given = (engine.gives or block.outputs[0].length) * bits
    sizes = ", ".join(f".{name.upper()}({value})" for name, value in engine.parameters.items())
    lines = [f"  // Layer {block.layer}: {block.kind}, {block.cycles} clocks."]
    result = f"value{following}"
    if engine.template == "convolution":
        result = f"sums{number}"
        lines.append(f"  wire [{engine.parameters['sums'] - 1}:0] {result};")
        ordered = by_row(rows_of(block), block.constants["sum_bits"], result)
        lines.append(f"  wire [{given - 1}:0] value{following} = {{{ordered}}};")
    else:
        lines.append(f"  wire [{given - 1}:0] value{following};")
    return [
        *lines,
        f"  block{number} #({sizes}) layer{number} (",
        f"    .clock(clock), .reset(reset), .in_valid(offered{number}), .in_ready(taken{number}),",
        f"    .in_word(word{number}), .out_valid(written{following}), .out_word({result})",
        "  );",
    ]


def rows_of(block: Block) -> IntArray:
    """Of a product: the row of each member."""
    return np.asarray(next(numbers for _, name, _, numbers in block.tables if name == "rows"))
