# SPDX-License-Identifier: BSD-3-Clause
"""Networks: random ones against their functions one by one, and damaged files of them."""

from __future__ import annotations

import copy
import io
import json

import networks
import numpy as np

import complsparse as cs
from complsparse import nn
from fuzz.mutate import damaged
from fuzz.registry import target

# What may stand in the JSON of a file, and must not.
ODD = (None, -1, 0, 1, 2**31, 2**70, 1.5, "", "x", "Conv2d", "Net", [], [0], [[0]], {}, {"array": "n1.W"}, True, 1e308)


@target(megabytes=512, seconds=30)
def random_networks(rng: np.random.Generator) -> str:
    """Compiled, and one function at a time: the same bits."""
    dtype = np.dtype(rng.choice(["f4", "f8"]))
    net, shape = networks.random_network(rng, dtype)
    net = nn.Sequential([layer for layer in net.layers if not isinstance(layer, nn.BatchNorm)])
    x = rng.standard_normal((int(rng.integers(0, 6)), *shape)).astype(dtype)
    if rng.random() < 0.2:
        x[rng.random(x.shape) < 0.1] = rng.choice([np.nan, np.inf, -np.inf, 0.0, -0.0])
    with cs.num_threads(int(rng.integers(1, 4))):
        y, wanted = net(x), net.apply(x)
    if isinstance(wanted, cs.Winners):
        y, wanted = y.toarray(), wanted.toarray()
    assert np.array_equal(y, wanted, equal_nan=True), (net, x.shape)
    return "computed"


def _saved(rng: np.random.Generator) -> bytes:
    net, _ = networks.random_network(rng, np.float32, networks.dense_or_sparse)
    stream = io.BytesIO()
    net.save(stream)
    return stream.getvalue()


def _retold(rng: np.random.Generator, content: bytes) -> bytes:
    """The same file, with something else in its JSON."""
    with np.load(io.BytesIO(content)) as members:
        arrays = dict(members)
    document = json.loads(arrays["network"].tobytes())
    places = list(_places(document))
    for _ in range(int(rng.integers(1, 3))):
        holder, key = places[int(rng.integers(len(places)))]
        if rng.random() < 0.2:
            holder.pop(key) if isinstance(holder, dict) else holder.append(copy.deepcopy(holder[-1]))
        else:
            holder[key] = copy.deepcopy(ODD[int(rng.integers(len(ODD)))])
        places = list(_places(document)) or [([0], 0)]
    stream = io.BytesIO()
    arrays["network"] = np.frombuffer(json.dumps(document).encode(), dtype=np.uint8)
    np.savez(stream, **arrays)
    return stream.getvalue()


def _places(document: object):  # type: ignore[no-untyped-def]
    """Whatever holds a value, with the value's key."""
    for key, value in list(document.items() if isinstance(document, dict) else enumerate(document)):  # type: ignore[arg-type]
        yield document, key
        if isinstance(value, (dict, list)):
            yield from _places(value)


@target(megabytes=256, seconds=10)
def network_files(rng: np.random.Generator) -> str:
    content = _saved(rng)
    content = _retold(rng, content) if rng.random() < 0.6 else damaged(rng, content)
    words = ""
    try:
        net = nn.load(io.BytesIO(content))
    except ValueError as error:
        words = str(error)
    assert "\n" not in words, words
    if words:
        return "refused"
    repr(net)
    try:
        net(np.ones((1, 3, 4, 4), dtype=np.float32))
    except (ValueError, TypeError):
        return "read, another input"
    return "read"
