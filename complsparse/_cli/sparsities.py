# SPDX-License-Identifier: BSD-3-Clause
"""What the demo shows of two sparsities: weights alone, activations too, and what there is to conclude."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from complsparse._cli.examples import COMPLEMENTARY, SPARSITY, Example, name_of
from complsparse._cli.measure import PROGRAM
from complsparse._cli.rivals import MKL_DENSE, NUMPY, Call, Reference, Rivals
from complsparse._core import kwta, matmul
from complsparse._tables import Column, Table, duration, times

ALIVE = 0.1  # of the activations
DENSE = (NUMPY, MKL_DENSE)
WEIGHTS, BOTH, CONTEST = "weights alone", "both", "both, contest counted"


def _measured(example: Example, dtype: str | None, rivals: Rivals, rounds: int) -> dict[str, Any]:
    W = example.build()
    W = W if dtype is None else W.astype(dtype)
    k = round(ALIVE * W.shape[1])
    x = np.random.default_rng(0).uniform(0.1, 1, W.shape[1]).astype(W.dtype)
    winners = kwta(x, k)
    alive = winners.toarray()
    csr = W.tocsr()
    reference = Reference(csr, alive)
    calls, _ = rivals.calls(csr, alive, reference)
    y = np.empty(W.shape[0], W.dtype)
    ours: dict[str, Call] = {
        WEIGHTS: lambda: matmul(W, x, out=y),
        BOTH: lambda: matmul(W, winners, out=y),
        CONTEST: lambda: matmul(W, kwta(x, k), out=y),
    }
    correct = {}
    for name, product in ours.items():
        product()
        correct[name] = (Reference(csr, x) if name == WEIGHTS else reference).agrees(y)
    seconds = rivals.medians({**ours, **{name: call for name, call in calls.items() if name in DENSE}}, rounds)
    dense = min((seconds[name] for name in DENSE if name in seconds), default=None)
    return {
        "name": example.name,
        "shape": list(W.shape),
        "winners": k,
        "seconds": seconds,
        "ratios_to_dense": {name: dense / seconds[name] for name in ours} if dense else {},
        "correct": all(correct.values()),
    }


def measured(examples: Sequence[Example], dtype: str | None, rivals: Rivals, rounds: int) -> list[dict[str, Any]]:
    """One record for each complementary matrix: a vector of which all, or the winners alone, are alive."""
    with rivals.limited():
        return [
            _measured(example, dtype, rivals, rounds) for example in examples if example.name.startswith(COMPLEMENTARY)
        ]


def table(records: list[dict[str, Any]]) -> Table:
    columns = [Column("matrix", True), *(Column(f"W @ {what}") for what in ("x", "winners", "kwta(x, k)"))]
    columns += [Column(f"dense /\n{name}") for name in ("weights alone", "both", "with contest")]
    rows = [
        [
            record["name"],
            *(duration(record["seconds"][name]) for name in (WEIGHTS, BOTH, CONTEST)),
            *(times(record["ratios_to_dense"].get(name)) for name in (WEIGHTS, BOTH, CONTEST)),
        ]
        for record in records
    ]
    k, of = records[0]["winners"], records[0]["shape"][1]
    return Table(f"two sparsities: W @ x with one vector, all of it or its {k} winners of {of}", columns, rows, set())


def _best_dense(record: dict[str, Any]) -> float | None:
    first = record["products"][0]
    return min((first["seconds"][name] for name in DENSE if name in first["seconds"]), default=None)


def conclusion(records: list[dict[str, Any]], two: list[dict[str, Any]]) -> str:
    """One sentence, of what was measured at the first batch size: what zeros are worth, and what their order is."""
    best = two[-1]
    random = next(r for r in records if r["name"] == name_of("bernoulli", SPARSITY) and r["shape"] == best["shape"])
    packed = next(r for r in records if r["name"] == best["name"])
    worth = []
    for record in (random, packed):
        dense = _best_dense(record)
        if dense is None:
            return ""
        worth.append(dense / record["products"][0]["seconds"][PROGRAM])
    n = random["products"][0]["n"]
    vectors = "one vector" if n == 1 else f"{n} vectors"
    return (
        f"In short: beside the best dense product of {vectors}, random zeros ({random['name']}) are worth "
        f"{times(worth[0])}, as many in a complementary pattern of (16, 1) blocks {times(worth[1])}, and for one "
        f"vector with a tenth of it alive {times(best['ratios_to_dense'][CONTEST])}, the choice of the winners counted."
    )
