# SPDX-License-Identifier: BSD-3-Clause
"""The C++ of a network's folder: a namespace for each block, the top that joins them, and the test bench's list."""

from __future__ import annotations

import numpy as np

from complsparse.hls.network import Block, Buffer, Pipeline
from complsparse.hls.sources import SPDX, braces

INCLUDES = "".join(
    f'#include "complsparse/hls/{name}.hpp"\n' for name in ("convolution", "kwinners", "layer", "pool", "requantise")
)


def declared(buffer: Buffer) -> str:
    return f"complsparse::hls::{buffer.kind}::type {buffer.name}[{buffer.vectors}][{buffer.length}]"


def blocks(pipeline: Pipeline) -> str:
    parts = [SPDX, "// Each block of the network: its configuration, its tables, its function.\n", "#pragma once\n\n"]
    parts += [INCLUDES, "\n", *map(_block, pipeline.blocks)]
    return "".join(parts)


def _block(block: Block) -> str:
    lines = [f"// Layer {block.layer}: {block.kind}, {block.cycles} clocks.", f"namespace block{block.number} {{"]
    lines += ["struct C {"]
    lines += [f"    static constexpr int {name} = {value};" for name, value in block.constants.items()]
    lines += [f"    typedef complsparse::hls::{of}::type {name};" for name, of in block.types.items()]
    lines += ["};"]
    for kind, name, lengths, numbers in block.tables:
        lines.append(f"const {kind} {name}{lengths} = {braces(np.asarray(numbers))};")
    parameters = [f"const {declared(buffer)}" for buffer in block.inputs] + [
        declared(buffer) for buffer in block.outputs
    ]
    lines += [f"inline void run({', '.join(parameters)}) {{", f"    complsparse::hls::{block.call};", "}"]
    return "\n".join([*lines, f"}}  // namespace block{block.number}", "", ""])


def _signature(pipeline: Pipeline) -> str:
    return f'extern "C" void complsparse_network(const {declared(pipeline.input)}, {declared(pipeline.output)})'


def top_header(pipeline: Pipeline) -> str:
    return f'{SPDX}#pragma once\n\n#include "blocks.hpp"\n\n{_signature(pipeline)};\n'


def top(pipeline: Pipeline) -> str:
    """The blocks one behind the other, each at work on a sample of its own."""
    between = [buffer for block in pipeline.blocks for buffer in block.outputs if buffer != pipeline.output]
    lines = [
        f'{SPDX}#include "top.hpp"\n',
        f"{_signature(pipeline)} {{",
        "#ifdef __SYNTHESIS__",
        "#pragma HLS DATAFLOW",
    ]
    lines += ["#endif", *(f"    {declared(buffer)};" for buffer in between)]
    for block in pipeline.blocks:
        names = ", ".join(buffer.name for buffer in (*block.inputs, *block.outputs))
        lines.append(f"    block{block.number}::run({names});")
    return "\n".join([*lines, "}", ""])


def checks(pipeline: Pipeline) -> str:
    """What the test bench runs: block by block, counting clocks, each with the values that the library found."""
    every = [buffer for block in pipeline.blocks for buffer in block.outputs]
    lines = [SPDX, '#pragma once\n\n#include "golden.hpp"\n#include "top.hpp"\n']
    lines += [f"static {declared(buffer)};" for buffer in (pipeline.input, *every)]
    lines += [
        f"static {declared(pipeline.output._replace(name='whole'))};",
        "",
        "inline void run_all(Golden& golden) {",
    ]
    lines.append(f"    golden.read({pipeline.input.name});")
    for block in pipeline.blocks:
        names = ", ".join(buffer.name for buffer in (*block.inputs, *block.outputs))
        lines.append("    clocks = 0;")
        lines.append(f"    block{block.number}::run({names});")
        lines.append(f'    golden.count({block.number}, "{block.layer}: {block.kind}", {block.cycles}, clocks);')
        lines += _comparison(pipeline, block)
    lines.append(f"    complsparse_network({pipeline.input.name}, whole);")
    lines.append(f"    golden.same(whole, {pipeline.output.name});")
    return "\n".join([*lines, "}", f"constexpr int kBlocks = {len(pipeline.blocks)};", ""])


def _comparison(pipeline: Pipeline, block: Block) -> list[str]:
    outputs = ", ".join(buffer.name for buffer in block.outputs)
    if block.node is None:
        return []
    if block.scattered is not None:
        return [f"    golden.compare_winners<{block.scattered}>({block.number}, {outputs});"]
    if block.requantiser is None:
        return [f"    golden.compare({block.number}, {outputs});"]
    # The pool stands before the requantiser, and the library has it behind: here all pixels are requantised.
    (sums,), behind, name = block.outputs, pipeline.blocks[block.requantiser], f"block{block.requantiser}"
    all_pixels = behind.outputs[0]._replace(name=f"unpooled{block.number}", vectors=sums.vectors)
    return [
        f"    static {declared(all_pixels)};",
        f"    complsparse::hls::requantise<{name}::C, {sums.vectors}>({sums.name}, {name}::bias, {name}::factors, "
        f"{name}::C::zero_point, {{{name}::C::least, {name}::C::most}}, {all_pixels.name});",
        f"    golden.compare({block.number}, {all_pixels.name});",
    ]
