# SPDX-License-Identifier: BSD-3-Clause
"""Compiles blocks of the HLS header for configurations, and runs them on arrays."""

import pathlib
import subprocess

import numpy as np

import complsparse as cs
from complsparse.hls.tables import bits_up_to, tables_of

HARNESS = pathlib.Path(__file__).resolve().parents[1] / "hls" / "harness.hpp"
WARNINGS = ["-Wall", "-Wextra", "-Werror"]
FLAGS = ["-std=c++14", "-fno-exceptions", "-fno-rtti", *WARNINGS]


def struct(name, constants, types):
    lines = [f"static constexpr int {key} = {int(value)};" for key, value in constants.items()]
    lines += [f"typedef complsparse::hls::{of}::type {key};" for key, of in types.items()]
    return f"struct {name} {{ {' '.join(lines)} }};"


def whole(bits, unsigned=False):
    return f"{'Unsigned' if unsigned else 'Signed'}<{bits}>"


class Layer:
    """A configuration of layers: matrices of at most this many sets and members, and what else the header asks for."""

    def __init__(self, rows, columns, sets, set_size, fullest_row, lanes, *, unsigned=False, vectors=1, winners=None,
                 image=None, selected=False):  # fmt: skip
        self.rows, self.columns, self.sets, self.set_size, self.lanes = rows, columns, sets, set_size, lanes
        self.unsigned, self.vectors, self.winners, self.image = unsigned, vectors, winners, image
        self.groups = -(-columns // lanes)
        self.constants = {
            "rows": rows, "columns": columns, "sets": sets, "set_size": set_size, "fullest_row": fullest_row,
            "lanes": lanes, "weight_bits": 8, "activation_bits": 8, "id_bits": bits_up_to(set_size - 1),
            "sum_bits": 16 + (bits_up_to(fullest_row - 1) if fullest_row > 1 else 0),
        }  # fmt: skip
        self.types = {
            "weight_t": whole(8), "activation_t": whole(8, unsigned), "id_t": "Unsigned<id_bits>",
            "sum_t": "Signed<sum_bits>",
        }  # fmt: skip
        self.call = f"dense_case<{{name}}, {vectors}>()"
        self.selected = selected
        if selected:
            self.constants |= {"turns": lanes, "place_bits": bits_up_to(lanes - 1)}
            self.types["place_t"] = "Unsigned<place_bits>"
            self.call = f"selected_case<{{name}}, {vectors}>()"
        if winners is not None:
            self.constants |= {"winners": winners, "index_bits": bits_up_to(columns - 1)}
            self.types["index_t"] = "Unsigned<index_bits>"
            self.call = f"winners_case<{{name}}, {vectors}>()"
        if image is not None:
            self.constants |= image
            self.call = "convolution_case<{name}>()"
        if image is not None and "pixel_winners" in image:
            self.constants["channel_bits"] = bits_up_to(image["channels"] - 1)
            self.types["channel_t"] = "Unsigned<channel_bits>"
            self.call = "convolution_of_winners_case<{name}>()"

    def table(self, W):
        """Weights, ids and rows, with empty slots and sets up to the configuration's."""
        found = tables_of(W, "int8")
        assert found.sets <= self.sets
        assert found.set_size <= self.set_size
        columns = self.columns if self.winners is not None else self.groups * self.lanes
        weights, ids = (np.pad(part, ((0, 0), (0, self.sets - found.sets))) for part in found.padded(columns))
        rows = np.full((self.sets, self.set_size), -1)
        rows[: found.sets, : found.set_size] = found.rows
        if self.selected:
            weights, ids = np.zeros((2, self.groups, self.sets, self.set_size, self.lanes), dtype=int)
            for to, of in zip((weights, ids), found.by_member(self.lanes)):
                to[tuple(map(slice, of.shape))] = of
        return [weights, ids, rows]

    def operands(self, x, W):
        """x: vectors, or pixels and their zero, or (values, indices)."""
        if self.image is not None:
            return [*x, *self.table(W)]
        if self.winners is None:
            filled = np.full((self.vectors, self.groups * self.lanes), 99)
            filled[:, : self.columns] = x
            return [filled, *self.table(W)]
        beats = -(-self.winners // self.lanes)
        more = ((0, 0), (0, beats * self.lanes - self.winners))
        return [np.pad(x[0], more), np.pad(x[1], more), *self.table(W)]


class Contest:
    def __init__(self, size, winners, *, relu=False, unsigned=False, in_one_clock=True, per_clock=1):
        self.constants = {
            "size": size, "winners": winners, "relu": relu, "value_bits": 8, "index_bits": bits_up_to(size - 1),
            "per_clock": per_clock,
        }  # fmt: skip
        self.types = {"value_t": whole(8, unsigned), "index_t": "Unsigned<index_bits>"}
        self.size, self.winners, self.relu, self.unsigned = size, winners, relu, unsigned
        self.call = f"contest_case<{{name}}, {'true' if in_one_clock else 'false'}>()"


class Pool:
    def __init__(self, height, width, channels, window):
        self.constants = {"height": height, "width": width, "channels": channels, "window": window}
        self.types = {"value_t": whole(8)}
        self.call = "pool_case<{name}>()"


class Requantise:
    def __init__(self, rows, outputs_per_clock, *, unsigned=False, sum_bits=24):
        self.constants = {"rows": rows, "outputs_per_clock": outputs_per_clock}
        self.types = {"sum_t": whole(sum_bits), "value_t": whole(8, unsigned)}
        self.rows, self.sum_bits, self.call = rows, sum_bits, "requantise_case<{name}>()"
        self.limits = (0, 255) if unsigned else (-128, 127)


def program(folder, configurations, compiler="g++", flags=()):
    """An executable for these configurations."""
    lines = [f'#include "{HARNESS}"']
    lines += [struct(f"C{i}", c.constants, c.types) for i, c in enumerate(configurations)]
    lines += ["int main() {", "    for (int number = 0; next_number(number);) {", "        switch (number) {"]
    lines += [f"            case {i}: {c.call.format(name=f'C{i}')}; break;" for i, c in enumerate(configurations)]
    lines += ["            default: return 1;", "        }", "    }", "    return 0;", "}"]
    source, built = pathlib.Path(folder) / "cases.cpp", pathlib.Path(folder) / "cases"
    source.write_text("\n".join(lines) + "\n")
    include = ["-I", cs.hls.get_include()]
    run([compiler, "-O1", *FLAGS, *flags, *include, "-o", str(built), str(source)])
    return built


def run(command, **how):
    """What a program printed; its errors become the test's."""
    done = subprocess.run(command, capture_output=True, check=False, **how)
    assert done.returncode == 0, (command, done.stdout[-2000:], done.stderr[-4000:])
    return done.stdout


def results(built, cases, sizes):
    """The outputs of cases (number of a configuration, operands); `sizes`: how many each has."""
    stream = [np.concatenate([[number], *(np.ravel(part) for part in parts)]) for number, parts in cases]
    found = np.frombuffer(run([str(built)], input=np.concatenate(stream).astype(np.int32).tobytes()), dtype=np.int32)
    assert len(found) == sum(sizes)
    return np.split(found, np.cumsum(sizes)[:-1])
