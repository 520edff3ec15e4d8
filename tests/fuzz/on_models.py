# SPDX-License-Identifier: BSD-3-Clause
"""Models of ONNX: what is damaged is refused in one line that names the file, or read, and then computed or refused."""

from __future__ import annotations

import functools
import os
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np

import complsparse as cs
from fuzz import models
from fuzz.mutate import damaged
from fuzz.protos import mutate, words
from fuzz.registry import target

MOST_ENTRIES = 20_000  # of the inputs of a network that is run
TENSORS = ("f4", "f4", "f8", "f2", "i8", "i8", "i4", "u1", "i1", "?")
LOCATIONS = ("w.bin", "w.bin", "../w.bin", "/etc/passwd", "", ".", "w.bin/x", "a\0b", "x" * 5000)


def known_words() -> list[str]:
    """Operators of the table, and names of attributes."""
    from complsparse.onnx._operators import OPERATORS

    attributes = "axis axes perm pads strides dilations group kernel_shape alpha beta transA transB keepdims to mode "
    attributes += (
        "auto_pad ceil_mode epsilon hidden_size direction activations layout blocksize value shape split equation"
    )
    return [*(kind for _, kind in OPERATORS), *attributes.split()]


def changed(rng: np.random.Generator, model: Any) -> bytes:
    """Damage to what the messages say, and then, now and then, to their bytes."""
    texts = words(model) + known_words()
    for _ in range(int(rng.integers(1, 5))):
        what = rng.random()
        if what < 0.6:
            mutate(rng, model, texts)
        elif what < 0.7:
            retyped(rng, model)
        elif what < 0.85:
            other_tensor(rng, model)
        elif what < 0.9:
            models.sparsify(rng, model)
        else:
            elsewhere(rng, model)
    data: bytes = model.SerializeToString()
    return damaged(rng, data, 3) if rng.random() < 0.05 else data


def retyped(rng: np.random.Generator, model: Any) -> None:
    """Another operator reads and writes the same."""
    from complsparse.onnx._operators import OPERATORS

    if model.graph.node:
        node = model.graph.node[int(rng.integers(len(model.graph.node)))]
        keys = list(OPERATORS)
        node.domain, node.op_type = keys[int(rng.integers(len(keys)))]


def other_tensor(rng: np.random.Generator, model: Any) -> None:
    """Another type, shape and content, which fit each other."""
    tensors = [*model.graph.initializer, *(a.t for node in model.graph.node for a in node.attribute if a.HasField("t"))]
    if tensors:
        tensor = tensors[int(rng.integers(len(tensors)))]
        shape = [int(n) for n in rng.integers(0, 5, int(rng.integers(0, 5)))]
        if rng.random() < 0.5 and tensor.dims and all(0 <= n < 100 for n in tensor.dims) and len(tensor.dims) < 4:
            shape = list(tensor.dims)
        array = rng.integers(-3, 6, shape).astype(str(rng.choice(TENSORS)))
        tensor.CopyFrom(models.onnx.numpy_helper.from_array(array, tensor.name))


def elsewhere(rng: np.random.Generator, model: Any) -> None:
    """A tensor in a file of its own."""
    if model.graph.initializer:
        tensor = model.graph.initializer[int(rng.integers(len(model.graph.initializer)))]
        tensor.ClearField("raw_data")
        tensor.data_location = models.onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=LOCATIONS[int(rng.integers(len(LOCATIONS)))])
        for key in ("offset", "length"):
            if rng.random() < 0.3:
                tensor.external_data.add(
                    key=key, value=str(rng.choice(["0", "4", "64", "-1", "9" * 18, "9" * 40, "x"]))
                )


def drawn_file(rng: np.random.Generator) -> bytes:
    model = models.drawn(rng)
    what = rng.random()
    if what < 0.05:
        return damaged(rng, model.SerializeToString())
    return changed(rng, model) if what < 0.97 else model.SerializeToString()


@functools.cache
def _folder() -> Any:
    """Where the files lie, and their external data."""
    folder = tempfile.TemporaryDirectory()
    with open(os.path.join(folder.name, "w.bin"), "wb") as stream:
        stream.write(bytes(4096))
    return folder


def read(data: bytes, entry: Callable[[str], Any]) -> Any:
    """What an entry point makes of such a file; None where it refuses it, in one line that names it."""
    path = os.path.join(_folder().name, "m.onnx")
    with open(path, "wb") as stream:
        stream.write(data)
    try:
        return entry(path)
    except (ValueError, TypeError) as error:
        said = str(error)
    assert said.startswith(f"{path}: "), said
    assert "\n" not in said, said
    return None


def ran(rng: np.random.Generator, net: Any) -> str:
    """Runs a network on inputs of its shapes, where these are small."""
    xs = []
    for node in net._nodes:
        if node.layer is None:
            shape = [int(rng.integers(1, 4)) if n is None else max(n, 0) for n in node.shape or rng.integers(1, 6, 3)]
            if max(shape, default=0) > MOST_ENTRIES or np.prod(shape, dtype=object) > MOST_ENTRIES:
                return "read, large"
            x = rng.standard_normal(shape) if node.dtype is None else rng.integers(0, 3, shape)
            xs.append(x.astype(np.float32 if node.dtype is None else node.dtype))
    try:
        with np.errstate(all="ignore"):
            net(*xs)
    except (ValueError, TypeError):
        return "read, not run"
    except MemoryError:
        return "read, too large to run"
    return "run"


@target(megabytes=1024, seconds=60, prepare=models.prepare)
def onnx_loaded(rng: np.random.Generator) -> str:
    if not models.INSTALLED:
        return "not run: onnx is not installed"
    net = read(drawn_file(rng), cs.onnx.load)
    return "refused" if net is None else ran(rng, net)


@target(megabytes=1024, seconds=60, prepare=models.prepare)
def onnx_reported(rng: np.random.Generator) -> str:
    if not models.INSTALLED:
        return "not run: onnx is not installed"
    found = read(drawn_file(rng), cs.onnx.report)
    if found is None:
        return "refused"
    assert str(found)
    return "reported"


@target(megabytes=1024, seconds=60, prepare=models.prepare)
def onnx_rewritten(rng: np.random.Generator) -> str:
    """What comes out is read again."""
    if not models.INSTALLED:
        return "not run: onnx is not installed"
    found = read(drawn_file(rng), lambda path: cs.onnx.rewrite(path, sparsity=0.5))
    if found is None:
        return "refused"
    assert read(found.SerializeToString(), cs.onnx.rewrite) is not None
    ours = [node for node in found.graph.node if node.domain == "ai.complsparse"]
    return "rewritten" if ours else "nothing to rewrite"
