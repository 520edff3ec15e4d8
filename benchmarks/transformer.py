# SPDX-License-Identifier: BSD-3-Clause
"""Encoder layers of BERT-base's sizes with sparse weights against dense ones in ONNX Runtime, on one thread:
`python benchmarks/transformer.py`, with `--profile` where the time of ours goes.

Weights are random: accuracy is not claimed. Magnitude pruning leaves unstructured weights; the other patterns are
complementary ones. Both sides read the same model, as PyTorch exports it; ours with pruned weights. Rivals are ONNX
Runtime with its default optimisation, and behind its own tool for transformers; of 8-bit numbers what
`quantize_dynamic` makes.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

if not __package__:
    import _from_file  # noqa: F401

from benchmarks import rivals, timing

WIDTH, HEADS, INNER = 768, 12, 3072
Weights = dict[str, np.ndarray]
Prune = Callable[[np.ndarray], np.ndarray]
BLOCKS = {"1x1": (1, 1), "4x1": (4, 1), "8x1": (8, 1), "1x4": (1, 4), "4x4": (4, 4), "16x1": (16, 1)}


def weights_of(layers: int) -> Weights:
    """For products x @ W."""
    rng = np.random.default_rng(0)
    made: Weights = {}
    for i in range(layers):
        for name, rows, cols in (
            *((part, WIDTH, WIDTH) for part in "qkvo"), ("up", WIDTH, INNER), ("down", INNER, WIDTH)
        ):  # fmt: skip
            made[f"{i}.{name}"] = rng.standard_normal((rows, cols), dtype=np.float32) / np.float32(rows**0.5)
            made[f"{i}.{name}.bias"] = rng.standard_normal(cols, dtype=np.float32) * np.float32(0.1)
        for name in ("first", "last"):
            made[f"{i}.{name}"], made[f"{i}.{name}.bias"] = np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.float32)
    return made


class _Model:
    """Nodes of ONNX, one behind the other."""

    def __init__(self, weights: Weights) -> None:
        import onnx

        self.onnx, self.weights, self.used = onnx, weights, dict[str, np.ndarray]()
        self.nodes: list[Any] = []

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"{kind}_{len(self.nodes)}"
        self.used.update((given, self.weights[given]) for given in inputs if given in self.weights)
        self.nodes.append(self.onnx.helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, value: Any) -> str:
        name = f"constant_{len(self.used)}"
        self.used[name] = np.asarray(value)
        return name

    def linear(self, x: str, name: str) -> str:
        return self.add("Add", self.add("MatMul", x, name), f"{name}.bias")

    def heads(self, x: str, axes: list[int]) -> str:
        return self.add("Transpose", self.add("Reshape", x, self.constant([0, -1, HEADS, WIDTH // HEADS])), perm=axes)

    def norm(self, x: str, name: str) -> str:
        return self.add("LayerNormalization", x, name, f"{name}.bias", epsilon=1e-12)

    def feed_forward(self, x: str, i: int) -> str:
        return self.linear(self.add("Gelu", self.linear(x, f"{i}.up")), f"{i}.down")

    def encoder(self, x: str, i: int) -> str:
        q, k, v = (self.linear(x, f"{i}.{part}") for part in "qkv")
        root = self.constant(np.float32((WIDTH // HEADS) ** -0.25))
        q, k = self.add("Mul", self.heads(q, [0, 2, 1, 3]), root), self.add("Mul", self.heads(k, [0, 2, 3, 1]), root)
        shares = self.add("Softmax", self.add("MatMul", q, k), axis=-1)
        y = self.add("Transpose", self.add("MatMul", shares, self.heads(v, [0, 2, 1, 3])), perm=[0, 2, 1, 3])
        y = self.linear(self.add("Reshape", y, self.constant([0, -1, WIDTH])), f"{i}.o")
        x = self.norm(self.add("Add", x, y), f"{i}.first")
        return self.norm(self.add("Add", x, self.feed_forward(x, i)), f"{i}.last")

    def proto(self, y: str, shape: tuple[int, ...]) -> Any:
        helper, of = self.onnx.helper, self.onnx.TensorProto.FLOAT
        graph = helper.make_graph(
            self.nodes,
            "encoder",
            [helper.make_tensor_value_info("x", of, shape)],
            [helper.make_tensor_value_info(y, of, shape)],
            [self.onnx.numpy_helper.from_array(value, name) for name, value in self.used.items()],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def model_of(part: str, layers: int, weights: Weights, shape: tuple[int, ...]) -> Any:
    model, x = _Model(weights), "x"
    for i in range(layers):
        x = model.feed_forward(x, i) if part == "FFN" else model.encoder(x, i)
    return model.proto(x, shape)


def pruned(weights: Weights, keep: Prune) -> Weights:
    return {name: keep(value) if value.ndim == 2 else value for name, value in weights.items()}


def by_magnitude(sparsity: float) -> Prune:
    return lambda W: np.where(np.abs(W) > np.quantile(np.abs(W), sparsity), W, 0).astype(np.float32)


def by_pattern(sparsity: float, block: tuple[int, int]) -> Prune:
    cs = rivals.import_ours()

    def keep(W: np.ndarray) -> np.ndarray:
        mask = cs.complementary_mask(W.T.shape, density=1 - sparsity, block=block, rng=0)
        return np.where(mask.T, W, 0).astype(np.float32)

    return keep


def session(model: bytes, x: np.ndarray) -> Callable[[], Any]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    made = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda: made.run(None, {"x": x})


def rivals_of(model: Any, x: np.ndarray, is_whole: bool, int8: bool) -> dict[str, Callable[[], Any]]:
    from onnxruntime.quantization import quantize_dynamic

    calls = {"ORT": session(model.SerializeToString(), x)}
    with tempfile.TemporaryDirectory() as folder:
        import onnx

        path, small = Path(folder) / "model.onnx", Path(folder) / "int8.onnx"
        onnx.save(model, path)
        if is_whole:
            from onnxruntime.transformers import optimizer

            fused = optimizer.optimize_model(str(path), "bert", num_heads=HEADS, hidden_size=WIDTH)
            calls["ORT, its tool"] = session(fused.model.SerializeToString(), x)
        if int8:
            quantize_dynamic(path, small)
            calls["ORT, int8"] = session(small.read_bytes(), x)
    return calls


def ours(model: Any, x: np.ndarray, int8: bool) -> tuple[Any, dict[str, Any]]:
    cs = rivals.import_ours()
    net = cs.onnx.load(model)
    expected, y = session(model.SerializeToString(), x)()[0], np.empty_like(x)
    plan = net.plan(x.shape)
    plan(x, out=y)
    if np.max(np.abs(y - expected)) > 2e-5 * np.max(np.abs(expected)):
        raise AssertionError(f"differs from ONNX Runtime by {np.max(np.abs(y - expected))}")
    calls: dict[str, Callable[[], Any]] = {"": lambda: plan(x, out=y)}
    if int8:
        small = net.quantize(x).plan(x.shape)
        calls[", int8"] = lambda: small(x)
    return net, calls


def main() -> None:
    parser = argparse.ArgumentParser(description="Sparse encoder layers of BERT-base's sizes.")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--sequence", nargs="+", type=int, default=[128])
    parser.add_argument("--batch", nargs="+", type=int, default=[1])
    parser.add_argument("--sparsity", nargs="+", type=float, default=[0.95])
    parser.add_argument("--patterns", nargs="+", choices=["magnitude", *BLOCKS], default=["magnitude", *BLOCKS])
    parser.add_argument("--parts", nargs="+", choices=["FFN", "layer"], default=["FFN", "layer"])
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--int8", action="store_true")
    parser.add_argument("--profile", action="store_true")
    args = parser.parse_args()
    rivals.set_threads(1)
    weights = weights_of(args.layers)
    for part in args.parts:
        for shape in ((batch, n, WIDTH) for n in args.sequence for batch in args.batch):
            x = np.random.default_rng(1).standard_normal(shape, dtype=np.float32)
            calls = rivals_of(model_of(part, args.layers, weights, shape), x, part != "FFN", args.int8)
            others = list(calls)
            for sparsity in args.sparsity:
                for pattern in args.patterns:
                    keep = by_magnitude(sparsity) if pattern == "magnitude" else by_pattern(sparsity, BLOCKS[pattern])
                    net, made = ours(model_of(part, args.layers, pruned(weights, keep), shape), x, args.int8)
                    calls |= {f"{sparsity:.0%} {pattern}{kind}": call for kind, call in made.items()}
                    if args.profile:
                        print(net.profile(x))
            report(f"{args.layers} x {part}, {shape}", calls, others, args.rounds)


def report(title: str, calls: dict[str, Callable[[], Any]], others: list[str], rounds: int) -> None:
    samples = timing.race_python(calls, rounds, 1.0, 1, alone=True)
    print(f"{title}; disturbed samples {samples.disturbed:.0%}")
    for name in calls:
        of = [other for other in others if ("int8" in other) == ("int8" in name)]
        ratios = "".join(f"  {samples.ratio(other, name):6.2f}x {other}" for other in of)
        print(f"  {name:22} {samples.median(name) / 1e6:9.3f} ms{ratios}")


if __name__ == "__main__":
    main()
