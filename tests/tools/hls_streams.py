# SPDX-License-Identifier: BSD-3-Clause
"""Blocks of an exported network as circuits: the steps that are printed from the header, in engines that were written
from its description, simulated on arrays or counted by Yosys."""

import pathlib
import re
import subprocess

import numpy as np
from hls_blocks import struct
from hls_resources import counted
from hls_tools import clang, tool

from complsparse.hls.golden import _in_order
from complsparse.hls.ir_to_verilog import convert
from complsparse.hls.network_sources import INCLUDES

ENGINES = pathlib.Path(__file__).resolve().parents[1] / "hls"
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
UNROLL = [
    "-mllvm", "-inline-threshold=1000000000", "-mllvm", "-unroll-threshold=100000000", "-mllvm",
    "-unroll-full-max-count=65536", "-mllvm", "-unroll-max-upperbound=65536",
]  # fmt: skip


def engine_of(block):
    kind = block.kind.partition(" of ")[0]
    return "product" if kind in ("convolution", "linear") else block.kind


def bits_of(buffer):
    return buffer.bits * buffer.length


def packed(numbers, bits):
    """Numbers side by side, the first in the lowest bits: one integer for each row of the array."""
    mask = (1 << bits) - 1
    rows = np.asarray(numbers).reshape(len(numbers), -1).tolist()
    return [sum((number & mask) << bits * place for place, number in enumerate(row)) for row in rows]


def unpacked(word, bits, count, signed):
    mask, half = (1 << bits) - 1, 1 << (bits - 1)
    found = [(word >> bits * place) & mask for place in range(count)]
    return [number - (1 << bits) if signed and number & half else number for number in found]


def port_bytes(bits):
    """Of a port in Verilator: 1, 2, 4 or 8 bytes, and whole words of 32 bits beyond."""
    return next((size for size in (1, 2, 4, 8) if bits <= 8 * size), -(-bits // 32) * 4)


class Circuit:
    """A block of the network in `folder`, in a folder of its own: step.v, the engine, its table and parameters."""

    def __init__(self, block, folder):
        self.block, self.engine = block, engine_of(block)
        self.folder = pathlib.Path(folder) / f"rtl{block.number}"
        self.folder.mkdir()
        self._write_step(pathlib.Path(folder))
        c = block.constants
        self.parameters = getattr(self, "_" + self.engine.replace(" ", "_"))(c)
        self.parameters = {name.upper(): int(value) for name, value in self.parameters.items()}
        self.source = {"product": "convolution", "contest of pixels": "sorted"}.get(self.engine, self.engine)

    def _write_step(self, folder):
        parameters, body = STEPS[self.engine]
        source = self.folder / "step.cpp"
        source.write_text(
            f"{INCLUDES}{struct('C', self.block.constants, self.block.types)}\n"
            f"using namespace complsparse;\nusing namespace complsparse::hls;\n"
            f'extern "C" void complsparse_step({parameters}) {{ {body} }}\n'
        )
        command = [clang(), "-std=c++14", "-I", str(folder), "-I", str(folder / "include"), "-DCOMPLSPARSE_BIT_INT"]
        command += ["-O2", "-fno-vectorize", "-fno-slp-vectorize", *UNROLL, "-S", "-emit-llvm", "-o", "-", str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        names = re.findall(r"\(&(\w+)\)", parameters)
        (self.folder / "step.v").write_text(convert(done.stdout, "complsparse_step", names))

    def _table(self, name, words, bits):
        digits = -(-bits // 4)
        (self.folder / name).write_text("".join(f"{word:0{digits}x}\n" for word in words))

    # --- parameters of each engine ------------------------------------------------------------------------------------

    def _product(self, c):
        block = self.block
        of_winners = block.kind.endswith("winners")
        weights, ids = (np.asarray(numbers) for _, name, _, numbers in block.tables if name in ("weights", "ids"))
        weights, ids = weights.reshape(len(weights), -1), ids.reshape(len(ids), -1)
        slots = weights.shape[1]
        self._table(
            "table.hex",
            [w | i << 8 * slots for w, i in zip(packed(weights, 8), packed(ids, c["id_bits"]), strict=True)],
            slots * (8 + c["id_bits"]),
        )
        image = block.kind.startswith("convolution")
        depth = c.get("pixel_winners", c.get("winners", c.get("channels", c["columns"])))
        names = ("height", "width", "kernel_height", "kernel_width", "stride")
        zero = int(re.search(r"<C>\(\w+, (-?\d+)", block.call)[1]) if image and not of_winners else 0
        return {
            **{name: c[name] if image else 1 for name in names}, "padding": c.get("padding", 0), "zero": zero & 255,
            "depth": depth, "channels": c["channels"] if image else c["columns"], "winners": of_winners,
            "lanes": c["lanes"], "sets": c["sets"], "id_bits": c["id_bits"],
            "sums": c["sets"] * c["set_size"] * c["sum_bits"], "table_words": len(weights),
            "channel_bits": c.get("channel_bits", c.get("index_bits", 0)),
        }  # fmt: skip

    def _pool(self, c):
        return {**c, "bits": self.block.outputs[0].bits}

    def _requantiser(self, c):
        per_clock = c["outputs_per_clock"]
        bias, factors = (numbers for _, name, _, numbers in self.block.tables)
        parts = np.stack([np.asarray(bias), *np.asarray(factors).T])  # bias, multipliers, shifts
        words = -(-c["rows"] // per_clock)
        parts = np.pad(parts, ((0, 0), (0, words * per_clock - c["rows"])))
        by_word = parts.reshape(3, words, per_clock).transpose(1, 0, 2)
        self._table("table.hex", packed(by_word, 32), 96 * per_clock)
        return {"rows": c["rows"], "per_clock": per_clock, "sum_bits": self.block.inputs[0].bits}

    def _contest_of_pixels(self, c):
        return {"size": c["size"], "winners": c["winners"], "index_bits": c["index_bits"]}

    def _contest(self, c):
        return {
            "size": c["size"], "per_clock": c["per_clock"], "index_bits": c["index_bits"],
            "count_bits": int(c["size"]).bit_length(),
        }  # fmt: skip

    # --- simulation ---------------------------------------------------------------------------------------------------

    def built(self):
        command = [
            tool("verilator"), "--cc", "--exe", "--build", "--prefix", "Vblock", "--top-module", self.source,
            "-Wno-fatal", "-Mdir", "build", "-o", "simulation", "-CFLAGS", "-O1", "--x-initial", "0",
            *(f"-G{name}={value}" for name, value in self.parameters.items()),
            str(ENGINES / f"{self.source}.sv"), "step.v", str(ENGINES / "stream.cpp"),
        ]  # fmt: skip
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        return self

    def cells(self):
        """What Yosys makes of it, for UltraScale+, by kind."""
        sizes = " ".join(f"-set {name} {value}" for name, value in self.parameters.items())
        return counted(
            self.folder, f"-sv {ENGINES / self.source}.sv step.v", self.source, f"chparam {sizes} {self.source}; "
        )

    def streamed(self, words, in_bits, out_bits, wanted, stalls=False):
        """The words that come out, and the clock of each."""
        size = port_bytes(in_bits)
        (self.folder / "in.bin").write_bytes(b"".join(word.to_bytes(size, "little") for word in words))
        done = subprocess.run(
            ["build/simulation", str(wanted), str(int(stalls))], cwd=self.folder, capture_output=True, check=False
        )
        assert done.returncode == 0, (self.block.kind, done.stderr[-1000:])
        size = port_bytes(out_bits)
        found = (self.folder / "out.bin").read_bytes()
        clocks = np.fromfile(self.folder / "clocks.bin", dtype=np.int64)
        return [int.from_bytes(found[i : i + size], "little") for i in range(0, len(found), size)], clocks

    def run(self, values, stalls=False):
        """Arrays (samples, vectors, length) by buffer, made of the block's inputs; clocks from sample to sample."""
        block = self.block
        samples = len(values[block.inputs[0].name])
        vectors = block.inputs[0].vectors
        bits = [buffer.bits for buffer in block.inputs]
        arrays = [values[buffer.name].reshape(samples * vectors, -1) for buffer in block.inputs]
        if self.engine == "product" and not block.kind.startswith("convolution"):  # one pixel has it all
            arrays = [array.reshape(samples, -1) for array in arrays]
        # Of winners, each value has its place above it.
        both = arrays[0].astype(np.int64) & ((1 << bits[0]) - 1)
        if len(arrays) > 1:
            both |= arrays[1].astype(np.int64) << bits[0]
        if self.engine in ("contest", "requantiser"):
            both = self._in_words(both)
        words = packed(both, sum(bits))
        return getattr(self, "_read_" + self.engine.replace(" ", "_"))(
            words, both.shape[1] * sum(bits), samples, stalls
        )

    def _in_words(self, x):
        per_clock = self.parameters["PER_CLOCK"]
        return np.pad(x, ((0, 0), (0, -x.shape[1] % per_clock))).reshape(-1, per_clock)

    def _read_product(self, words, in_bits, samples, stalls):
        (y,), c = self.block.outputs, self.block.constants
        rows = np.asarray(next(numbers for _, name, _, numbers in self.block.tables if name == "rows")).ravel()
        place = {int(row): i for i, row in enumerate(rows) if row >= 0}
        order = [place[row] for row in range(c["rows"])]
        found, clocks = self.streamed(words, in_bits, self.parameters["SUMS"], samples * y.vectors, stalls)
        sums = np.array([unpacked(word, c["sum_bits"], len(rows), True) for word in found])[:, order]
        return {y.name: sums.reshape(samples, y.vectors, y.length)}, clocks.reshape(samples, -1)[:, -1]

    def _read_pool(self, words, in_bits, samples, stalls):
        (y,) = self.block.outputs
        found, clocks = self.streamed(words, in_bits, bits_of(y), samples * y.vectors, stalls)
        return {y.name: self._values(found, y, samples)}, clocks.reshape(samples, -1)[:, -1]

    def _values(self, words, buffer, samples):
        signed = buffer.kind.startswith("Signed")
        found = [unpacked(word, buffer.bits, buffer.length, signed) for word in words]
        return np.array(found).reshape(samples, buffer.vectors, buffer.length)

    def _read_requantiser(self, words, in_bits, samples, stalls):
        (y,), per_clock = self.block.outputs, self.parameters["PER_CLOCK"]
        turns = -(-y.length // per_clock)
        found, clocks = self.streamed(words, in_bits, 8 * per_clock, samples * y.vectors * turns, stalls)
        parts = np.array([unpacked(word, 8, per_clock, y.kind.startswith("Signed")) for word in found])
        values = parts.reshape(samples, y.vectors, turns * per_clock)[:, :, : y.length]
        return {y.name: values}, clocks.reshape(samples, -1)[:, -1]

    def _read_contest_of_pixels(self, words, in_bits, samples, stalls):
        values, places = self.block.outputs
        k, index_bits = values.length, self.parameters["INDEX_BITS"]
        found, clocks = self.streamed(words, in_bits, k * (8 + index_bits), samples * values.vectors, stalls)
        signed = values.kind.startswith("Signed")
        v = np.array([unpacked(word, 8, k, signed) for word in found]).reshape(samples, -1, k)
        p = np.array([unpacked(word >> 8 * k, index_bits, k, False) for word in found]).reshape(samples, -1, k)
        if ", true>" in self.block.call:  # places count all pixels
            p = p + (np.arange(values.vectors) * self.block.constants["size"])[:, None]
        return {values.name: v, places.name: p}, clocks.reshape(samples, -1)[:, -1]

    def _read_contest(self, words, in_bits, samples, stalls):
        values, places = self.block.outputs
        per_clock, index_bits = self.parameters["PER_CLOCK"], self.parameters["INDEX_BITS"]
        turns = -(-self.block.constants["size"] // per_clock)
        bits = 9 + index_bits
        found, clocks = self.streamed(words, in_bits, per_clock * bits, samples * turns, stalls)
        lanes = np.array([unpacked(word, bits, per_clock, False) for word in found]).reshape(samples, -1)
        won = lanes[(lanes >> (8 + index_bits)) == 1].reshape(samples, 1, values.length)
        v = won & 255
        v = np.where(values.kind.startswith("Signed") & (v > 127), v - 256, v)
        return {values.name: v, places.name: won >> 8 & ((1 << index_bits) - 1)}, clocks.reshape(samples, -1)[:, -1]


def inputs_of(net, pipeline, samples):
    """By buffer, what the library has between the blocks: arrays (samples, vectors, length).

    Sums are dense products in 64 bits; winners stand in the order of their places.
    """
    values = net._values(samples)
    source = pipeline.input
    found = {source.name: _in_order(values[pipeline.first]).reshape(len(samples), source.vectors, source.length)}
    for block in pipeline.blocks:
        outputs = block.outputs
        if engine_of(block) == "product":
            found[outputs[0].name] = _sums(net, pipeline, block, values)
        elif block.kind == "pool" and block.node is None:
            found[outputs[0].name] = _pooled(block, found[block.inputs[0].name])
        elif block.scattered is not None:
            found |= _won(block, _in_order(values[block.node - 1]), _in_order(values[block.node]))
        elif block.kind != "bias":
            shape = (len(samples), outputs[0].vectors, outputs[0].length)
            found[outputs[0].name] = _in_order(values[block.node]).reshape(shape)
    return found


def _sums(net, pipeline, block, values):
    node = next(i for i, node in enumerate(net._nodes) if node.name == block.layer)
    layer, x, (y,) = net._nodes[node].layer, values[node - 1], block.outputs
    x = np.asarray(x.toarray() if hasattr(x, "toarray") else x).astype(np.int64)
    W = layer.W.toarray().astype(np.int64)
    if not block.kind.startswith("convolution"):
        return (x.reshape(len(x), -1) @ W.T)[:, None]
    c = block.constants
    ends = (c["padding"], c["padding"])
    x = np.pad(x, ((0, 0), (0, 0), ends, ends), constant_values=layer.ending.x_zero_point)
    windows = np.lib.stride_tricks.sliding_window_view(x, (c["kernel_height"], c["kernel_width"]), axis=(2, 3))
    windows = windows[:, :, :: c["stride"], :: c["stride"]].transpose(0, 2, 3, 1, 4, 5)
    return windows.reshape(len(x), y.vectors, -1) @ W.T


def _pooled(block, x):
    c = block.constants
    window, down, right = c["window"], c["height"] // c["window"], c["width"] // c["window"]
    x = x.reshape(len(x), c["height"], c["width"], -1)[:, : down * window, : right * window]
    return x.reshape(len(x), down, window, right, window, -1).max(axis=(2, 4)).reshape(len(x), down * right, -1)


def _won(block, before, after):
    """The first of the largest of each pixel, with the values that the library let pass."""
    values, places = block.outputs
    shape = (len(before), values.vectors, -1)
    before, after = before.reshape(shape), after.reshape(shape)
    where = np.sort(np.argsort(-before, axis=2, kind="stable")[..., : values.length], axis=2)
    won = np.take_along_axis(after, where, axis=2)
    if ", true>" in block.call:
        where = where + (np.arange(values.vectors) * block.constants["size"])[:, None]
    return {values.name: won, places.name: where}


def wrong_values(found, wanted):
    """How many numbers differ; winners are compared in the order of their places."""
    if len(found) == 2:
        order = np.argsort(found[next(name for name in found if name.startswith("places"))], axis=2)
        found = {name: np.take_along_axis(part, order, axis=2) for name, part in found.items()}
    return sum(int((part != wanted[name]).sum()) for name, part in found.items())
