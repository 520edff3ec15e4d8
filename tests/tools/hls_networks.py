# SPDX-License-Identifier: BSD-3-Clause
"""Quantised networks whose circuits are tested."""

import numpy as np
from networks import nn, sparse_weights


def images(rng, n, shape):
    return rng.standard_normal((n, *shape), dtype=np.float32)


def sparse_sparse(rng, relu=False):
    return [
        nn.Conv2d(sparse_weights(rng, (16, 2, 3, 3)), bias=rng.standard_normal(16), padding=1),
        nn.MaxPool2d(2), nn.KWinners(4, axis=1, relu=relu),
        nn.Conv2d(sparse_weights(rng, (12, 16, 2, 2)), padding=1), nn.KWinners(3, axis=1, relu=relu), nn.Flatten(),
        nn.Linear(sparse_weights(rng, (24, 300))), nn.KWinners(7, relu=relu),
        nn.Linear(sparse_weights(rng, (5, 24)), bias=rng.standard_normal(5)),
    ]  # fmt: skip


def sparse_dense(rng):
    return [
        nn.Conv2d(sparse_weights(rng, (8, 2, 3, 3)), stride=2, activation="relu"), nn.MaxPool2d(3), nn.Flatten(),
        nn.Linear(sparse_weights(rng, (6, 8)), activation="relu"), nn.Linear(sparse_weights(rng, (5, 6))),
    ]  # fmt: skip


def padded(rng):
    """Windows that see padding alone."""
    return [
        nn.Conv2d(sparse_weights(rng, (4, 2, 1, 1)), padding=1, activation="relu"), nn.Flatten(),
        nn.Linear(sparse_weights(rng, (3, 144))),
    ]  # fmt: skip


NETWORKS = {
    "sparse-sparse": (sparse_sparse, (2, 8, 8), 700),
    "sparse-sparse, narrow": (sparse_sparse, (2, 8, 8), 3000),
    "sparse-sparse, relu": (lambda rng: sparse_sparse(rng, True), (2, 8, 8), 330),
    "sparse-dense": (sparse_dense, (2, 9, 8), 90),
    "padding alone": (padded, (2, 4, 4), 60),
    "a vector": (lambda rng: [nn.Linear(sparse_weights(rng, (3, 9)))], (9,), 4),
}


def quantised(name):
    layers, shape, cycles = NETWORKS[name]
    rng = np.random.default_rng(3)
    return nn.Sequential(layers(rng)).quantize(images(rng, 30, shape)), images(rng, 6, shape), cycles
