# SPDX-License-Identifier: BSD-3-Clause
"""Blocks of an exported network one by one, as its Verilog has them: simulated on arrays, or counted by Yosys."""

import pathlib
import subprocess

import numpy as np
from hls_folders import make
from hls_resources import counted
from hls_tools import clang, tool

from complsparse.hls.golden import _in_order
from complsparse.hls.network_rtl import STEPS, engine_of, kind_of, packed, rows_of
from complsparse.hls.wrapper import places_of_rows

STREAM = pathlib.Path(__file__).resolve().parents[1] / "hls" / "stream.cpp"


def unpacked(word, bits, count):
    return [(word >> bits * place) & ((1 << bits) - 1) for place in range(count)]


def port_bytes(bits):
    """Of a port in Verilator: 1, 2, 4 or 8 bytes, and whole words of 32 bits beyond."""
    return next((size for size in (1, 2, 4, 8) if bits <= 8 * size), -(-bits // 32) * 4)


class Circuit:
    """A block of the exported network in `folder`, as its Verilog has it: alone."""

    def __init__(self, block, folder):
        self.block, self.engine, self.folder = block, engine_of(block), pathlib.Path(folder)
        self.top = f"block{block.number}"
        self.files = [f"rtl/{self.top}.v"]
        (self.folder / "build").mkdir(exist_ok=True)  # Verilator makes one folder, not the one above it
        self.table = self.folder / "rtl" / f"table{block.number}.hex"
        self.step = self.folder / "build" / f"step{block.number}.v"
        if kind_of(block) in STEPS:
            self.files.append(f"build/{self.step.name}")
            done = make(folder, self.files[-1], f"CLANG={clang()}")
            assert done.returncode == 0, done.stderr[-3000:]
        self.parameters = {name.upper(): value for name, value in self.engine.parameters.items()}

    def built(self):
        command = [
            tool("verilator"), "--cc", "--exe", "--build", "--prefix", "Vblock", "--top-module", self.top,
            "-Wno-WIDTH", "-Mdir", f"build/{self.top}", "-o", "simulation", "-CFLAGS", "-O1", "--x-initial", "0",
            *(f"-G{name}={value}" for name, value in self.parameters.items()), *self.files, str(STREAM),
        ]  # fmt: skip
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        return self

    def cells(self):
        """What Yosys makes of it, for UltraScale+, by kind."""
        sizes = " ".join(f"-set {name} {value}" for name, value in self.parameters.items())
        return counted(self.folder, " ".join(self.files), self.top, f"chparam {sizes} {self.top}; ")

    def streamed(self, words, in_bits, out_bits, wanted, stalls=False):
        """The words that come out, and the clock of each."""
        size = port_bytes(in_bits)
        (self.folder / "in.bin").write_bytes(b"".join(word.to_bytes(size, "little") for word in words))
        done = subprocess.run(
            [f"build/{self.top}/simulation", str(wanted), str(int(stalls))],
            cwd=self.folder,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, (self.block.kind, done.stderr[-1000:])
        size = port_bytes(out_bits)
        found = (self.folder / "out.bin").read_bytes()
        clocks = np.fromfile(self.folder / "clocks.bin", dtype=np.int64)
        return [int.from_bytes(found[i : i + size], "little") for i in range(0, len(found), size)], clocks

    def run(self, values, stalls=False):
        """Arrays (samples, vectors, length) by buffer, made of the block's inputs; clocks from sample to sample."""
        block, engine = self.block, self.engine
        samples = len(values[block.inputs[0].name])
        x = together([values[buffer.name] for buffer in block.inputs], block.inputs)
        x = x.reshape(samples, 1, -1) if engine.joined else x
        takes = engine.takes or x.shape[2]
        bits = takes * sum(buffer.bits for buffer in block.inputs)
        words = packed(in_words(x, takes), bits // takes)
        first = block.outputs[0]
        gives = engine.gives or first.length
        each = sum(buffer.bits for buffer in block.outputs)
        numbers = self.parameters["SUMS"] // each if "SUMS" in self.parameters else gives
        turns = first.vectors * -(-first.length // gives)
        found, clocks = self.streamed(words, bits, numbers * each, samples * turns, stalls)
        y = np.array([unpacked(word, each, numbers) for word in found])
        if "SUMS" in self.parameters:  # in the order of the sets
            y = y[:, [place for _, place in sorted(places_of_rows(rows_of(block)).items())]]
        y = y.reshape(samples, first.vectors, -1)[:, :, : first.length]
        return apart(y, block.outputs), clocks.reshape(samples, -1)[:, -1]


def together(arrays, buffers):
    """Of winners, each value has its place above it."""
    found = arrays[0].astype(np.int64) & ((1 << buffers[0].bits) - 1)
    return found if len(arrays) == 1 else found | arrays[1].astype(np.int64) << buffers[0].bits


def apart(numbers, buffers):
    found = {}
    for buffer in buffers:
        here = numbers & ((1 << buffer.bits) - 1)
        negative = buffer.kind.startswith("Signed") & (here >> (buffer.bits - 1) == 1)
        found[buffer.name] = np.where(negative, here - (1 << buffer.bits), here)
        numbers = numbers >> buffer.bits
    return found


def in_words(x, takes):
    """The numbers of a word in a row each; the last word of a vector is filled up."""
    return np.pad(x, ((0, 0), (0, 0), (0, -x.shape[2] % takes))).reshape(-1, takes)


def inputs_of(net, pipeline, samples):
    """By buffer, what the library has between the blocks: arrays (samples, vectors, length).

    Sums are dense products in 64 bits; winners stand in the order of their places.
    """
    values = net._values(samples)
    source = pipeline.input
    found = {source.name: _in_order(values[pipeline.first]).reshape(len(samples), source.vectors, source.length)}
    for block in pipeline.blocks:
        outputs = block.outputs
        if kind_of(block) == "product":
            found[outputs[0].name] = _sums(net, pipeline, block, values)
        elif block.kind == "pool" and block.node is None:
            found[outputs[0].name] = _pooled(block, found[block.inputs[0].name])
        elif block.scattered is not None:
            found |= _won(block, _in_order(values[block.node - 1]), _in_order(values[block.node]))
        elif block.kind == "bias":
            found[outputs[0].name] = found[block.inputs[0].name] + np.asarray(block.tables[0][3])
        else:
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
