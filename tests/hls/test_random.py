# SPDX-License-Identifier: BSD-3-Clause
"""Random configurations of layers and contests, sanitized, against the CPU library.

`COMPLSPARSE_HLS_CASES` says how many cases there are; 100,000 take minutes.
"""

import os

import numpy as np
import pytest
from hls_blocks import Contest, Layer, program, results
from hls_tools import integers

import complsparse as cs

CASES = int(os.environ.get("COMPLSPARSE_HLS_CASES", "2000"))
SHAPES = 24  # in one program
PER_SHAPE = 64


def random_layer(rng):
    rows, columns = int(rng.integers(1, 13)), int(rng.integers(1, 41))
    winners = int(rng.integers(1, columns + 1)) if rng.random() < 0.5 else None
    lanes = int(rng.integers(1, (winners or columns) + 1))
    return Layer(
        rows, columns, rows, rows, columns, lanes, unsigned=rng.random() < 0.5, winners=winners,
        vectors=int(rng.integers(1, 4)), selected=winners is None and rng.random() < 0.5,
    )  # fmt: skip


def random_contest(rng):
    size = int(rng.integers(1, 71))
    return Contest(
        size, int(rng.integers(1, size + 1)), unsigned=rng.random() < 0.5, relu=False,
        in_one_clock=rng.random() < 0.5, per_clock=int(rng.integers(1, size + 1)),
    )  # fmt: skip


def random_vector(rng, shape, unsigned):
    least, dtype = (0, np.uint8) if unsigned else (-128, np.int8)
    few = int(rng.choice([1, 2, 5, 256]))
    return (
        (least + rng.integers(0, 256 // few + 1, shape).clip(0, 255)).astype(dtype)
        if few > 1
        else rng.integers(least, least + 256, shape).astype(dtype)
    )


def case_of(rng, shape):
    """Operands, and the outputs of the CPU library."""
    if isinstance(shape, Contest):
        x = random_vector(rng, shape.size, shape.unsigned)
        won = cs.kwta(x, shape.winners)
        return [x], np.concatenate([won.values.astype(int), won.indices])
    mask = rng.random((shape.rows, shape.columns)) < rng.random() ** 2
    W = cs.from_dense((mask * rng.integers(-128, 128, mask.shape)).astype(np.int8))
    x = random_vector(rng, (shape.vectors, shape.columns), shape.unsigned)
    if shape.winners is None:
        return shape.operands(x, W), cs.linear(x, W)
    won = cs.kwta(x, shape.winners)
    parts = [part.reshape(shape.vectors, -1) for part in (won.values, won.indices)]
    return shape.operands(parts, W), cs.linear(won, W)


def sorted_by_place(shape, outputs):
    """Winners of a network leave in the order of their rank."""
    if not isinstance(shape, Contest):
        return outputs.ravel()
    values, places = outputs.reshape(2, -1)
    order = np.argsort(places)
    return np.concatenate([values[order], places[order]])


@pytest.mark.parametrize("seed", range(-(-CASES // (SHAPES * PER_SHAPE))))
def test_random_configurations(seed, tmp_path):
    compiler, flags = integers("sanitized")
    rng = np.random.default_rng(seed)
    shapes = [random_contest(rng) if i % 3 == 2 else random_layer(rng) for i in range(SHAPES)]
    built = program(tmp_path, shapes, compiler, flags)
    numbers = np.repeat(np.arange(SHAPES), PER_SHAPE)
    cases, wanted = zip(*(case_of(rng, shapes[number]) for number in numbers))
    found = results(built, list(zip(numbers, cases)), [w.size for w in wanted])
    for number, got, outputs in zip(numbers, found, wanted):
        np.testing.assert_array_equal(sorted_by_place(shapes[number], got), outputs.ravel(), f"{seed} {number}")
