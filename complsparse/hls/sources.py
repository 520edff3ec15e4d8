# SPDX-License-Identifier: BSD-3-Clause
"""The C++ of an exported folder: the configuration, the tables, the top."""

from __future__ import annotations

import textwrap

from complsparse.hls.design import Design
from complsparse.hls.tables import IntArray

SPDX = "// SPDX-License-Identifier: BSD-3-Clause\n"
GROUPS = "[complsparse::hls::Shape<Config>::groups]"


def config(design: Design) -> str:
    tables = design.tables
    constants = {
        "rows": design.rows,
        "columns": design.columns,
        "sets": tables.sets,
        "set_size": tables.set_size,
        "fullest_row": tables.fullest_row,
        "lanes": design.lanes,
        "weight_bits": 8,
        "activation_bits": 8,
        "id_bits": tables.id_bits,
        "sum_bits": tables.sum_bits,
    }
    if design.winners is not None:
        constants |= {"winners": design.winners, "index_bits": tables.index_bits}
    if design.route == "activations":
        constants |= {"turns": design.table[0].shape[3], "place_bits": design.choice_bits}
    # Of the table's memory in RTL: slots of a word, and bits of what a slot chooses.
    constants |= {"word_slots": design.slots, "choice_bits": design.choice_bits}
    activation = "Unsigned" if tables.unsigned else "Signed"
    types = {
        "weight_t": "Signed<weight_bits>",
        "activation_t": f"{activation}<activation_bits>",
        "id_t": "Unsigned<id_bits>",
        "sum_t": "Signed<sum_bits>",
    }
    types["choice_t"] = "Unsigned<choice_bits>"
    if design.winners is not None:
        types["index_t"] = "Unsigned<index_bits>"
    if design.route == "activations":
        types["place_t"] = "Unsigned<place_bits>"
    lines = [f"    static constexpr int {name} = {value};" for name, value in constants.items()]
    lines += [f"    typedef complsparse::hls::{of}::type {name};" for name, of in types.items()]
    return (
        SPDX
        + "// What the circuit is made for: every width and length in this folder follows from it.\n"
        + '#pragma once\n\n#include "complsparse/hls/layer.hpp"\n#include "complsparse/hls/selected.hpp"\n\n'
        + f"#define COMPLSPARSE_WINNERS {int(design.winners is not None)}  // activations come as winners\n"
        + f"#define COMPLSPARSE_RUNTIME {int(design.ids == 'runtime')}  // weights and ids come as arguments\n"
        + f"#define COMPLSPARSE_SELECTED {int(design.route == 'activations')}  // activations move, not products\n\n"
        + "struct Config {\n"
        + "\n".join(lines)
        + "\n};\n"
    )


def tables(design: Design) -> str:
    """Weights, ids and rows as constants. At run time the first two are arguments of the top."""
    weights, choices = design.table
    parts = [
        SPDX,
        "// The weight of each slot, the kernel id of the member that owns it, and the row of each member.\n",
        '#pragma once\n\n#include "config.hpp"\n\nnamespace tables {\n\n',
        f"const Config::weight_t weights{_lengths(design)} = {braces(weights)};\n\n",
        f"const Config::{_choice(design)} ids{_lengths(design)} = {braces(choices)};\n\n",
        f"const int rows[Config::sets][Config::set_size] = {braces(design.tables.rows)};\n\n",
        "}  // namespace tables\n",
    ]
    return "".join(parts)


def braces(array: IntArray) -> str:
    if array.ndim > 1:
        return "{" + ",\n".join(braces(part) for part in array) + "}"
    return "\n".join(textwrap.wrap("{" + ", ".join(map(str, array.tolist())) + "}", 110))


def _choice(design: Design) -> str:
    """The type of what a slot chooses."""
    return "place_t" if design.route == "activations" else "id_t"


def _lengths(design: Design) -> str:
    """Of the table in C++."""
    if design.winners is not None:
        return "[Config::columns][Config::sets]"
    slots = "[Config::sets][Config::set_size][Config::turns]"
    return GROUPS + (slots if design.route == "activations" else "[Config::lanes][Config::sets]")


def _parameters(design: Design) -> list[str]:
    if design.winners is None:
        parameters = [f"const Config::activation_t x[1]{GROUPS}[Config::lanes]"]
    else:
        beats = "complsparse::hls::Beats<Config>::value"
        parameters = [
            f"const Config::activation_t x[1][{beats}][Config::lanes]",
            f"const Config::index_t indices[1][{beats}][Config::lanes]",
        ]
    table = _lengths(design)
    if design.ids == "runtime":
        parameters += [f"const Config::weight_t weights{table}", f"const Config::{_choice(design)} ids{table}"]
    return [*parameters, "Config::sum_t y[1][Config::rows]"]


def top_header(design: Design) -> str:
    return (
        SPDX
        + '#pragma once\n\n#include "config.hpp"\n\n'
        + f'extern "C" void complsparse_layer({("," + chr(10) + " " * 34).join(_parameters(design))});\n'
    )


def top(design: Design) -> str:
    engine = "sparse_dense" if design.winners is None else "sparse_sparse"
    engine += "_selected" if design.route == "activations" else ""
    inputs = ["x"] if design.winners is None else ["x", "indices"]
    table = ["weights", "ids"] if design.ids == "runtime" else ["tables::weights", "tables::ids"]
    arguments = ", ".join([*inputs, *table, "tables::rows", "y"])
    wide = [*inputs, *(["weights", "ids"] if design.ids == "runtime" else [])]
    pragmas = [f"#pragma HLS ARRAY_RESHAPE variable = {name} complete dim = 3" for name in inputs]
    for name in wide[len(inputs) :]:
        dims = range(2, design.table[0].ndim + 1)
        pragmas += [f"#pragma HLS ARRAY_RESHAPE variable = {name} complete dim = {dim}" for dim in dims]
    pragmas.append("#pragma HLS ARRAY_PARTITION variable = y complete dim = 0")
    return (
        SPDX
        + '#include "top.hpp"\n\n#include "tables.hpp"\n\n'
        + f'extern "C" void complsparse_layer({("," + chr(10) + " " * 34).join(_parameters(design))}) {{\n'
        + "#ifdef __SYNTHESIS__\n"
        + "\n".join(pragmas)
        + "\n#endif\n"
        + f"    complsparse::hls::{engine}<Config, 1>({arguments});\n}}\n"
    )
