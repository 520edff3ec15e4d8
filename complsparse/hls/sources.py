# SPDX-License-Identifier: BSD-3-Clause
"""The C++ of an exported folder: the configuration, the tables, the top."""

from __future__ import annotations

import textwrap

from complsparse.hls.design import Design
from complsparse.hls.tables import IntArray

SPDX = "// SPDX-License-Identifier: BSD-3-Clause\n"


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
    activation = "Unsigned" if tables.unsigned else "Signed"
    types = {
        "weight_t": "Signed<weight_bits>",
        "activation_t": f"{activation}<activation_bits>",
        "id_t": "Unsigned<id_bits>",
        "sum_t": "Signed<sum_bits>",
    }
    if design.winners is not None:
        types["index_t"] = "Unsigned<index_bits>"
    lines = [f"    static constexpr int {name} = {value};" for name, value in constants.items()]
    lines += [f"    typedef complsparse::hls::{of}::type {name};" for name, of in types.items()]
    return (
        SPDX
        + "// What the circuit is made for: every width and length in this folder follows from it.\n"
        + '#pragma once\n\n#include "complsparse/hls/layer.hpp"\n\n'
        + f"#define COMPLSPARSE_WINNERS {int(design.winners is not None)}  // activations come as winners\n"
        + f"#define COMPLSPARSE_RUNTIME {int(design.ids == 'runtime')}  // weights and ids come as arguments\n\n"
        + "struct Config {\n"
        + "\n".join(lines)
        + "\n};\n"
    )


def tables(design: Design) -> str:
    """Weights, ids and rows as constants. At run time the first two are arguments of the top."""
    padded = design.groups * design.lanes if design.winners is None else design.columns
    weights, ids = design.tables.padded(padded)
    if design.winners is None:
        shape: tuple[int, ...] = (design.groups, design.lanes, design.tables.sets)
        lengths = "[complsparse::hls::Shape<Config>::groups][Config::lanes][Config::sets]"
    else:
        shape = (design.columns, design.tables.sets)
        lengths = "[Config::columns][Config::sets]"
    parts = [
        SPDX,
        "// The weight of each slot, the kernel id of the member that owns it, and the row of each member.\n",
        '#pragma once\n\n#include "config.hpp"\n\nnamespace tables {\n\n',
        f"const Config::weight_t weights{lengths} = {_braces(weights.reshape(shape))};\n\n",
        f"const Config::id_t ids{lengths} = {_braces(ids.reshape(shape))};\n\n",
        f"const int rows[Config::sets][Config::set_size] = {_braces(design.tables.rows)};\n\n",
        "}  // namespace tables\n",
    ]
    return "".join(parts)


def _braces(array: IntArray) -> str:
    if array.ndim > 1:
        return "{" + ",\n".join(_braces(part) for part in array) + "}"
    return "\n".join(textwrap.wrap("{" + ", ".join(map(str, array.tolist())) + "}", 110))


def _parameters(design: Design) -> list[str]:
    groups = "complsparse::hls::Shape<Config>::groups"
    if design.winners is None:
        parameters = [f"const Config::activation_t x[1][{groups}][Config::lanes]"]
        table = f"[{groups}][Config::lanes][Config::sets]"
    else:
        beats = "complsparse::hls::Beats<Config>::value"
        parameters = [
            f"const Config::activation_t x[1][{beats}][Config::lanes]",
            f"const Config::index_t indices[1][{beats}][Config::lanes]",
        ]
        table = "[Config::columns][Config::sets]"
    if design.ids == "runtime":
        parameters += [f"const Config::weight_t weights{table}", f"const Config::id_t ids{table}"]
    return [*parameters, "Config::sum_t y[1][Config::rows]"]


def top_header(design: Design) -> str:
    return (
        SPDX
        + '#pragma once\n\n#include "config.hpp"\n\n'
        + f'extern "C" void complsparse_layer({("," + chr(10) + " " * 34).join(_parameters(design))});\n'
    )


def top(design: Design) -> str:
    engine = "sparse_dense" if design.winners is None else "sparse_sparse"
    inputs = ["x"] if design.winners is None else ["x", "indices"]
    table = ["weights", "ids"] if design.ids == "runtime" else ["tables::weights", "tables::ids"]
    arguments = ", ".join([*inputs, *table, "tables::rows", "y"])
    wide = [*inputs, *(["weights", "ids"] if design.ids == "runtime" else [])]
    pragmas = [f"#pragma HLS ARRAY_RESHAPE variable = {name} complete dim = 3" for name in inputs]
    for name in wide[len(inputs) :]:
        dims = (2, 3) if design.winners is None else (2,)
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
