# SPDX-License-Identifier: BSD-3-Clause
"""A network in integers as the blocks of a pipeline, each as narrow as its clocks allow."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from complsparse.hls.tables import Tables, bits_up_to, tables_of

HANDING_OVER = 8  # clocks at most from the last word taken by a block to the first one offered to the next, and back


class Buffer(NamedTuple):
    """What one block writes and the next one reads: so many `vectors` of `length` numbers."""

    name: str
    kind: str  # Signed<bits> or Unsigned<bits>
    vectors: int
    length: int

    @property
    def bits(self) -> int:
        return int(self.kind.partition("<")[2].rstrip(">"))


class Form(NamedTuple):
    """A value between layers: an image, or, of one pixel, a vector; whole, or as winners of each pixel or of all."""

    height: int
    width: int
    channels: int
    dtype: np.dtype[Any]
    buffers: tuple[Buffer, ...]
    winners: int | None = None
    is_flat: bool = False

    @property
    def pixels(self) -> int:
        return self.height * self.width

    @property
    def size(self) -> int:
        return self.pixels * self.channels


@dataclass(frozen=True)
class Block:
    """One loop of the pipeline.

    `constants` and `types` are its configuration in C++, `tables` its constant arrays (type, name, lengths, numbers),
    `call` the function of the header with what it takes. `node` is the value of the network that it computes, if any.
    """

    number: int
    layer: str
    kind: str
    cycles: int
    inputs: tuple[Buffer, ...]
    outputs: tuple[Buffer, ...]
    call: str
    constants: dict[str, int]
    types: dict[str, str]
    tables: tuple[tuple[str, str, str, Any], ...] = ()
    node: int | None = None
    requantiser: int | None = None  # of `node`, where a pool lies between: the number of its block
    scattered: str | None = None  # winners are compared in vectors of this length; whether all share one
    multipliers: int = 0
    requantisers: int = 0
    sums: int = 0
    sum_bits: int = 0
    table_words: int = 0
    word_bits: int = 0
    table_ports: int = 0


@dataclass(frozen=True)
class Pipeline:
    blocks: tuple[Block, ...]
    input: Buffer
    output: Buffer
    first: int  # the node whose value comes in
    clock_ns: float

    @property
    def cycles(self) -> int:
        return max(block.cycles for block in self.blocks)

    def slots(self, number: int) -> int:
        """Samples that the memory before this block holds, or, of their count, the one behind the last.

        One is written while another is read, so that there are two; more where both together take longer than two turns
        of the slowest block.
        """
        writes = self.blocks[number - 1].cycles if number else self.input.vectors
        reads = self.blocks[number].cycles if number < len(self.blocks) else self.output.vectors
        return max(2, -(-(writes + HANDING_OVER + reads) // self.cycles))


def pipeline_of(net: Any, shape: tuple[int, ...], cycles: int, clock_ns: float) -> Pipeline:
    """The blocks of a chain of quantised layers, none of which takes more than `cycles` clocks for a sample."""
    return _Builder(net, shape, cycles).pipeline(clock_ns)


def _type(dtype: np.dtype[Any]) -> str:
    return "Signed<8>" if dtype == np.int8 else "Unsigned<8>"


class _Builder:
    def __init__(self, net: Any, shape: tuple[int, ...], cycles: int) -> None:
        from complsparse.nn import Dequantize, Quantize

        self.net, self.cycles = net, cycles
        self.blocks: list[Block] = []
        nodes = net._nodes
        for i, node in enumerate(nodes):
            if (node.layer is None) != (i == 0) or (i and node.inputs != (i - 1,)):
                raise ValueError(f"{node.name}: a circuit is made of a chain of layers, each behind the one before")
        self.last = len(nodes) - 1 - isinstance(nodes[-1].layer, Dequantize)
        if len(nodes) < 3 or not isinstance(nodes[1].layer, Quantize):
            raise ValueError("a circuit is made of a quantised network: net.quantize(calibration) gives one")
        self.shapes = [shape]
        spec = _spec(shape)
        for node in nodes[1:]:
            spec = node.layer.infer(spec)
            self.shapes.append(spec.shape)

    def pipeline(self, clock_ns: float) -> Pipeline:
        nodes = self.net._nodes
        form = self._input(nodes[1].layer)
        source = form.buffers[0]
        i = 2
        while i <= self.last:
            form, i = self._layer(form, i)
        if form.winners is not None or not self.blocks:
            raise ValueError("the last layer of a circuit is a product or a pool, not a contest")
        return Pipeline(tuple(self.blocks), source, form.buffers[0], 1, clock_ns)

    def _input(self, layer: Any) -> Form:
        shape = self.shapes[1]
        if len(shape) not in (1, 3):
            raise ValueError(f"a sample of a circuit is a vector or an image (C, H, W), not of shape {shape}")
        channels, height, width = shape if len(shape) == 3 else (shape[0], 1, 1)
        buffer = Buffer("x", _type(layer.dtype), height * width, channels)
        return Form(height, width, channels, layer.dtype, (buffer,))

    def _layer(self, form: Form, i: int) -> tuple[Form, int]:
        """The blocks of node i, and of the pool behind a convolution, which comes before the requantiser."""
        from complsparse import nn

        layer = self.net._nodes[i].layer
        following = self.net._nodes[i + 1].layer if i < self.last else None
        match layer:
            case nn.ScaledQLinear() | nn.ScaledQConv2d():
                pass  # circuits have integer factors
            case nn.QConv2d():
                form = self._convolution(form, layer, i)
                if isinstance(following, nn.MaxPool2d) and layer.ending.dtype != np.float32:
                    number = len(self.blocks) - 1
                    self.blocks[number] = dataclasses.replace(self.blocks[number], node=i, requantiser=number + 2)
                    return self._requantised(self._pool(form, following, i + 1, None), layer, i + 1), i + 2
                return self._requantised(form, layer, i), i + 1
            case nn.QLinear():
                return self._requantised(self._linear(form, layer, i), layer, i), i + 1
            case nn.MaxPool2d():
                return self._pool(form, layer, i, i), i + 1
            case nn.KWinners():
                return self._contest(form, layer, i), i + 1
            case nn.Flatten():
                return self._flat(form), i + 1
        raise ValueError(
            f"{self._name(i)}: {type(layer).__name__} has no circuit; QConv2d, QLinear, MaxPool2d, KWinners and "
            "Flatten have"
        )

    def _name(self, i: int) -> str:
        return f"layer {self.net._nodes[i].name!r}"

    def _add(self, i: int, kind: str, cycles: int, form: Form, outputs: tuple[Buffer, ...], **how: Any) -> None:
        if cycles > self.cycles:
            raise ValueError(
                f"{self._name(i)}: the {kind} takes {cycles} clocks for a sample however wide it is, and "
                f"cycles={self.cycles}"
            )
        name = self.net._nodes[i].name
        self.blocks.append(Block(len(self.blocks), name, kind, cycles, form.buffers, outputs, **how))

    def _new(self, kind: str, count: int, length: int, name: str = "value") -> Buffer:
        return Buffer(f"{name}{len(self.blocks)}", kind, count, length)

    # --- products -----------------------------------------------------------------------------------------------------

    def _add_product(
        self, i: int, kind: str, form: Form, tables: Tables, lanes: int, cycles: int, outputs: int, call: str,
        **constants: int,
    ) -> Form:  # fmt: skip
        """A product whose table has words of lanes, or, of winners, of columns; columns in the order of activations."""
        if form.winners is None:
            groups = -(-tables.shape[1] // lanes)
            weights, ids = (part.reshape(groups, lanes, tables.sets) for part in tables.padded(groups * lanes))
            lengths, words, ports = "[complsparse::hls::Shape<C>::groups][C::lanes][C::sets]", groups, 1
        else:
            weights, ids = tables.weights, tables.ids
            lengths, words, ports = "[C::columns][C::sets]", tables.shape[1], lanes
        slots = int(weights[0].size)
        sums = self._new(f"Signed<{tables.sum_bits}>", outputs, tables.shape[0], "sums")
        self._add(
            i, kind, cycles, form, (sums,), call=call.replace("@", f"weights, ids, rows, {sums.name}"),
            constants={
                "rows": tables.shape[0], "columns": tables.shape[1], "sets": tables.sets, "set_size": tables.set_size,
                "fullest_row": tables.fullest_row, "weight_bits": 8, "activation_bits": 8, "id_bits": tables.id_bits,
                "sum_bits": tables.sum_bits, "lanes": lanes, **constants,
            },
            types={
                "weight_t": "Signed<8>", "activation_t": _type(form.dtype), "id_t": f"Unsigned<{tables.id_bits}>",
                "sum_t": f"Signed<{tables.sum_bits}>", **{
                    f"{name.removesuffix('_bits')}_t": f"Unsigned<{bits}>"
                    for name, bits in constants.items() if name in ("index_bits", "channel_bits")
                },
            },
            tables=(
                ("C::weight_t", "weights", lengths, weights), ("C::id_t", "ids", lengths, ids),
                ("int", "rows", "[C::sets][C::set_size]", tables.rows),
            ),
            multipliers=slots * ports, sums=tables.sets * tables.set_size, sum_bits=tables.sum_bits,
            table_words=words, word_bits=slots * (8 + tables.id_bits), table_ports=ports,
        )  # fmt: skip
        return form._replace(channels=tables.shape[0], buffers=(sums,), winners=None, is_flat=False)

    def _widths(self, work: int, words: int) -> tuple[int, int]:
        """Lanes, and the words that they make of so much work, which may be `words` at most."""
        lanes = -(-work // max(words, 1))
        return lanes, -(-work // lanes)

    def _convolution(self, form: Form, layer: Any, i: int) -> Form:
        bound, _ = layer._bound(self.shapes[i - 1])
        geometry = bound.geometry
        padding, stride, (down, right) = geometry.before[0], geometry.stride[0], geometry.kernel
        square = {*geometry.before, *geometry.after} == {padding} and set(geometry.stride) == {stride}
        if not square or geometry.dilation != (1, 1) or bound.groups != 1 or bound.channels_last:
            raise ValueError(
                f"{self._name(i)}: convolutions of circuits have one padding and one stride for all sides, no dilation "
                "and no groups, and images (C, H, W)"
            )
        outputs = geometry.out[0] * geometry.out[1]
        pixels = (form.height + 2 * padding) * (form.width + 2 * padding)
        tables = tables_of(layer.W, form.dtype.name)
        taps = down * right
        most = 1 + (self.cycles - pixels) // outputs if self.cycles > pixels else 1
        lanes, words = self._widths(taps * (form.winners or form.channels), most)
        image = {
            "height": form.height, "width": form.width, "channels": form.channels, "kernel_height": down,
            "kernel_width": right, "stride": stride, "padding": padding,
        }  # fmt: skip
        zero = layer.ending.x_zero_point
        call, kind = f"convolution<C>({form.buffers[0].name}, {zero}, @)", "convolution"
        if form.winners is not None:
            if zero and padding:
                raise ValueError(f"{self._name(i)}: padding of winners is 0, and the zero point {zero}")
            by_tap = np.arange(taps * form.channels).reshape(form.channels, taps).T.ravel()
            tables = dataclasses.replace(tables, weights=tables.weights[by_tap], ids=tables.ids[by_tap])
            image |= {"pixel_winners": form.winners, "channel_bits": bits_up_to(form.channels - 1)}
            values, channels = (buffer.name for buffer in form.buffers)
            call, kind = f"convolution_of_winners<C>({values}, {channels}, @)", "convolution of winners"
        found = self._add_product(i, kind, form, tables, lanes, pixels + outputs * (words - 1), outputs, call, **image)
        return found._replace(height=geometry.out[0], width=geometry.out[1])

    def _linear(self, form: Form, layer: Any, i: int) -> Form:
        if form.pixels > 1 and not form.is_flat:
            raise ValueError(f"{self._name(i)}: an image is flattened before a linear layer")
        tables = tables_of(layer.W, form.dtype.name)
        # Pixels arrive one after the other, with their channels; W has a column for each channel's pixels in turn.
        order = np.arange(form.size).reshape(form.channels, form.pixels).T.ravel()
        tables = dataclasses.replace(tables, weights=tables.weights[order], ids=tables.ids[order])
        count = form.buffers[0].vectors
        if form.winners is None:
            lanes, words = self._widths(form.size, self.cycles)
            call, kind, more = f"linear<C, {count}>({form.buffers[0].name}, @)", "linear", {}
        else:
            winners = count * form.winners
            lanes, words = self._widths(winners, self.cycles)
            values, indices = (buffer.name for buffer in form.buffers)
            call, kind = f"linear_of_winners<C, {count}>({values}, {indices}, @)", "linear of winners"
            more = {"winners": winners, "index_bits": bits_up_to(form.size - 1)}
        found = self._add_product(i, kind, form, tables, lanes, words, 1, call, **more)
        return found._replace(height=1, width=1)

    def _requantised(self, form: Form, layer: Any, i: int) -> Form:
        ending, (sums,) = layer.ending, form.buffers
        bias = ("int32_t", "bias", "[C::rows]", ending.bias)
        constants, types = {"rows": form.channels}, {"sum_t": sums.kind}
        if ending.dtype == np.float32:
            if i < self.last:
                raise ValueError(f"{self._name(i)}: results of real numbers stand at the end of a circuit")
            if form.pixels > 1:
                raise ValueError(f"{self._name(i)}: a convolution of a circuit has results of 8 bits")
            y = self._new("Signed<32>", 1, form.channels)
            call = f"with_bias<C>({sums.name}, bias, {y.name})"
            self._add(i, "bias", form.channels, form, (y,), call=call, constants=constants, types=types, tables=(bias,),
                      node=i)  # fmt: skip
            return form._replace(buffers=(y,))
        per_clock, words = self._widths(form.channels, self.cycles // form.pixels)
        y = self._new(_type(ending.dtype), form.pixels, form.channels)
        factors = np.stack([ending.multipliers, ending.shifts], axis=1)
        self._add(
            i, "requantiser", form.pixels * words, form, (y,),
            call=f"requantise<C, {form.pixels}>({sums.name}, bias, factors, C::zero_point, {{C::least, C::most}}, "
            f"{y.name})",
            constants={
                **constants, "outputs_per_clock": per_clock, "zero_point": ending.zero_point, "least": ending.least,
                "most": ending.most,
            }, types={**types, "value_t": y.kind},
            tables=(bias, ("complsparse::arith::Factor", "factors", "[C::rows]", factors)), node=i,
            requantisers=per_clock,
        )  # fmt: skip
        return form._replace(buffers=(y,), dtype=ending.dtype)

    # --- the others ---------------------------------------------------------------------------------------------------

    def _pool(self, form: Form, layer: Any, i: int, node: int | None) -> Form:
        if form.winners is not None:
            raise ValueError(f"{self._name(i)}: a pool of a circuit stands before the contest")
        geometry = layer._geometry(self.shapes[i - 1])
        window = geometry.kernel[0]
        plain = geometry.kernel == geometry.stride == (window, window) and not any((*geometry.before, *geometry.after))
        whole = geometry.out == (form.height // window, form.width // window)
        if not plain or not whole or geometry.dilation != (1, 1) or layer.layout != "NCHW":
            raise ValueError(f"{self._name(i)}: windows of circuits are squares that do not overlap, without padding")
        (x,) = form.buffers
        y = self._new(x.kind, geometry.out[0] * geometry.out[1], form.channels, x.name.rstrip("0123456789"))
        constants = {"height": form.height, "width": form.width, "channels": form.channels, "window": window}
        self._add(i, "pool", form.pixels, form, (y,), call=f"max_pool<C>({x.name}, {y.name})", constants=constants,
                  types={"value_t": x.kind}, node=node)  # fmt: skip
        return form._replace(height=geometry.out[0], width=geometry.out[1], buffers=(y,))

    def _contest(self, form: Form, layer: Any, i: int) -> Form:
        spec = layer.infer(_spec(self.shapes[i - 1]))
        if form.winners is not None or (form.pixels > 1 and (form.is_flat or spec.axis != 1)):
            raise ValueError(
                f"{self._name(i)}: a contest of a circuit is among the channels of a pixel, or of a vector"
            )
        (x,), k = form.buffers, spec.most
        flat = isinstance(self.net._nodes[min(i + 1, self.last)].layer, _flatten())
        of_all = flat or form.pixels == 1
        place_bits = bits_up_to((form.size if of_all else form.channels) - 1)
        values = self._new(x.kind, form.pixels, k, "winners")
        places = self._new(f"Unsigned<{place_bits}>", form.pixels, k, "places")
        constants = {
            "size": form.channels, "winners": k, "relu": int(layer.relu), "value_bits": 8,
            "index_bits": bits_up_to(form.channels - 1),
        }  # fmt: skip
        types = {"value_t": x.kind, "index_t": f"Unsigned<{constants['index_bits']}>"}
        names = f"{x.name}, {values.name}, {places.name}"
        scattered = f"{form.size}, true" if of_all else f"{form.channels}, false"
        if form.pixels > 1:
            types["place_t"] = places.kind
            call, cycles = f"pixel_winners<C, {form.pixels}, {'true' if flat else 'false'}>({names})", form.pixels
            self._add(i, "contest of pixels", cycles, form, (values, places), call=call, constants=constants,
                      types=types, node=i, scattered=scattered)  # fmt: skip
        else:
            per_clock, words = self._widths(form.channels, (self.cycles - 256) // 2)
            names = f"{x.name}[0], {values.name}[0], {places.name}[0]"
            self._add(i, "contest", 2 * words + 256, form, (values, places), call=f"histogram_winners<C>({names})",
                      constants={**constants, "per_clock": per_clock}, types=types, node=i,
                      scattered=scattered)  # fmt: skip
        return form._replace(buffers=(values, places), winners=k, is_flat=flat)

    def _flat(self, form: Form) -> Form:
        return form._replace(is_flat=True)


def _flatten() -> Any:
    from complsparse.nn import Flatten

    return Flatten


def _spec(shape: tuple[int, ...]) -> Any:
    from complsparse.nn._values import Spec

    return Spec(shape)
