# SPDX-License-Identifier: BSD-3-Clause
"""Gated recurrent units of speech networks that were pruned and shipped, as cells of ONNX: gates update, reset,
candidate, one behind the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.problems.data import NoData, read_lyra

Array = NDArray[np.float32]


class Cell(NamedTuple):
    """One layer: W (3 * H, inputs), R (3 * H, H), and their biases."""

    W: Array
    R: Array
    bias: Array
    recurrent_bias: Array

    @property
    def width(self) -> int:
        return self.R.shape[1]


def rnnoise_little(folder: Path) -> list[Cell]:
    """Three layers of 384: int8 weights in blocks of 8 x 4, a third of which is kept, times a scale for each row; of
    states a diagonal besides. The data has no biases: they are zeros here."""
    path = folder / "sparse_networks" / "rnnoise_little" / "rnnoise_little_int8.npz"
    if not path.is_file():
        raise NoData(f"{path} is not here")
    cells = []
    with np.load(path, allow_pickle=False) as file:
        for i in (1, 2, 3):
            W, R = (
                file[f"gru{i}_{part}"].astype(np.float32) * file[f"gru{i}_{part}_scale"][:, None]
                for part in ("input", "recurrent")
            )
            rows = np.arange(len(R))
            R[rows, rows % R.shape[1]] += file[f"gru{i}_recurrent_diag"]
            cells.append(Cell(W, R, *np.zeros((2, len(R)), np.float32)))
    return cells


def lyra(folder: Path) -> list[Cell]:
    """One layer of 1024: blocks of 4 x 4, 92% zeros of inputs, 93.75% of states. Which gate is which is not in the
    data, and is taken to be as in ONNX."""
    raw = folder / "lyra_wavegru" / "raw"
    if not raw.is_dir():
        raise NoData(f"{raw} is not here")
    (W, b), (R, r) = (read_lyra(raw, f"lyra_16khz_{layer}") for layer in ("conv_to_gates", "gru_layer"))
    return [Cell(W, R, b, r)]


VOICES: dict[str, Callable[[Path], list[Cell]]] = {"RNNoise little": rnnoise_little, "Lyra": lyra}


def inputs_of(cells: Sequence[Cell], steps: int = 1, samples: int = 1) -> dict[str, Array]:
    """Sequences `x`, and the states `h0`, `h1`, ... to begin with."""
    rng = np.random.default_rng(0)
    found = {"x": rng.uniform(-1, 1, (steps, samples, cells[0].W.shape[1])).astype(np.float32)}
    for i, cell in enumerate(cells):
        found[f"h{i}"] = rng.uniform(-1, 1, (samples, cell.width)).astype(np.float32)
    return found


class _Model:
    def __init__(self) -> None:
        import onnx

        self.onnx, self.nodes, self.arrays = onnx, list[Any](), dict[str, NDArray[Any]]()

    def add(self, kind: str, *inputs: Any, outputs: int = 1, **attributes: Any) -> Any:
        """A node of values, by name, and of arrays."""
        names = []
        for given in inputs:
            if not isinstance(given, str):
                self.arrays[given_name := f"array{len(self.arrays)}"] = given
                given = given_name
            names.append(given)
        made = [f"{kind.lower()}{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(self.onnx.helper.make_node(kind, names, made, **attributes))
        return made[0] if outputs == 1 else made

    def proto(self, inputs: dict[str, Array], outputs: dict[str, tuple[int, ...]]) -> Any:
        helper, of = self.onnx.helper, self.onnx.TensorProto.FLOAT
        graph = helper.make_graph(
            self.nodes,
            "voice",
            [helper.make_tensor_value_info(name, of, x.shape) for name, x in inputs.items()],
            [helper.make_tensor_value_info(name, of, shape) for name, shape in outputs.items()],
            [self.onnx.numpy_helper.from_array(array, name) for name, array in self.arrays.items()],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def model_of(cells: Sequence[Cell], inputs: dict[str, Array]) -> Any:
    """Layers one behind the other, each a GRU of ONNX: all states of the last one, then the last states of all."""
    model, x = _Model(), "x"
    steps, samples, _ = inputs["x"].shape
    outputs: dict[str, tuple[int, ...]] = {}
    for i, cell in enumerate(cells):
        both = np.concatenate([cell.bias, cell.recurrent_bias])[None]
        h = model.add("Unsqueeze", f"h{i}", np.array([0]))
        given = cell.W[None], cell.R[None], both, "", h
        x, last = model.add("GRU", x, *given, outputs=2, hidden_size=cell.width, linear_before_reset=1)
        x = model.add("Squeeze", x, np.array([1]))
        outputs[model.add("Squeeze", last, np.array([0]))] = (samples, cell.width)
    return model.proto(inputs, {x: (steps, samples, cells[-1].width)} | outputs)


def written_out(cells: Sequence[Cell], inputs: dict[str, Array]) -> Any:
    """A step of the same in products of matrices, which tools make products of 8-bit numbers: only the last states."""
    model = _Model()
    x = model.add("Squeeze", "x", np.array([0]))
    outputs: dict[str, tuple[int, ...]] = {}
    for i, cell in enumerate(cells):
        h = f"h{i}"
        of_x = model.add("Add", model.add("MatMul", x, np.ascontiguousarray(cell.W.T)), cell.bias)
        of_h = model.add("Add", model.add("MatMul", h, np.ascontiguousarray(cell.R.T)), cell.recurrent_bias)
        cut = np.array([2 * cell.width, cell.width])
        (both_x, new_x), (both_h, new_h) = (model.add("Split", v, cut, outputs=2, axis=1) for v in (of_x, of_h))
        update, reset = model.add(
            "Split", model.add("Sigmoid", model.add("Add", both_x, both_h)), cut // [2, 1], outputs=2, axis=1
        )
        new = model.add("Tanh", model.add("Add", new_x, model.add("Mul", reset, new_h)))
        x = model.add("Add", new, model.add("Mul", update, model.add("Sub", h, new)))
        outputs[x] = inputs[h].shape
    return model.proto(inputs, outputs)
