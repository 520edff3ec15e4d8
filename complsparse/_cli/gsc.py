# SPDX-License-Identifier: BSD-3-Clause
"""The GSC speech network, dense and sparse, timed beside other people's dense ones."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import threadpoolctl
from numpy.typing import NDArray

from complsparse import nn
from complsparse._cli import dense_networks, quantized_networks
from complsparse._cli.measure import PROGRAM, machine
from complsparse._cli.rivals import MOST_PAUSED_ROUNDS, PAUSE_SECONDS, interleaved_medians
from complsparse._config import get_num_threads, num_threads
from complsparse._pictures.bars import Bar, draw_bars
from complsparse._progress import progress
from complsparse._tables import Column, Table, duration, print_json, print_table, times
from complsparse.nn._compare import decibels
from complsparse.nn._gsc import GSC_IMAGE, GSC_WORDS, Kind

NETWORKS: tuple[Kind, ...] = ("dense", "narrow", "sparse", "sparse_sparse")
DENSE = ("dense", "narrow")
PROFILED = ("sparse", "sparse_sparse")
FLOAT32, INT8 = "float32", "int8"
RIVALS = {"dense": "dense", "narrow": "narrow", "dense_int8": "dense int8"}  # what ratios are over, and their columns
RIVAL_SIDES = {"dense": ("dense", FLOAT32), "narrow": ("narrow", FLOAT32), "dense_int8": ("dense", INT8)}
TOLERANCE = 1e-4  # of a layer's largest output, in float32
LEAST_DECIBELS = 20.0  # signal to noise of dense networks in int8
CALIBRATION = 256  # words that say how far activations reach
PUBLISHED = (
    "Published: on an FPGA (Alveo U250), Numenta reports more than 50 times the throughput of the dense network with\n"
    "sparse weights, and 112 times with sparse activations too; a chip full of 8-bit networks, not one core in float32."
)

Words = NDArray[np.float32]


class Side(NamedTuple):
    """A network, the numbers that it computes with, and who runs it."""

    network: str
    numbers: str
    runs_in: str


def usual_threads() -> list[int]:
    return [1, 2] if get_num_threads() > 1 else [1]


def words(n: int) -> Words:
    """Noise: k-winners leave as many activations alive whatever they are given."""
    return np.random.default_rng(n).standard_normal((n, *GSC_IMAGE), dtype=np.float32)


def networks(args: argparse.Namespace) -> dict[str, nn.Sequential]:
    options: Any = {"masks": args.masks, "order": args.order, "winners": args.winners, "rng": 0}
    return {kind: nn.gsc_network(kind, **options) for kind in NETWORKS}


def quantized(nets: dict[str, nn.Sequential]) -> dict[str, nn.Graph]:
    """The sparse ones in integers."""
    return {kind: nets[kind].quantize(words(CALIBRATION)) for kind in PROFILED}


# --- checks -----------------------------------------------------------------------------------------------------------


def _dense(x: Any) -> NDArray[Any]:
    return x if isinstance(x, np.ndarray) else np.asarray(x.toarray())


def _is_right(net: nn.Sequential, x: Words) -> bool:
    """Whether each layer gives what it does with every zero stored, in float64, and the network what its layers do."""
    y: Any = x
    for layer in net.layers:
        given, y = y, layer(y)
        if layer.multiplications and not _are_near(y, layer.to_dense()(_dense(given).astype(np.float64))):
            return False
    return _are_near(net(x), y)


def _is_exact(net: nn.Graph, x: Words) -> bool:
    """Whether a network in integers gives the bits of its functions, one by one."""
    return bool(np.array_equal(net(x), net.apply(x)))


def _are_near(y: NDArray[Any], exact: NDArray[Any]) -> bool:
    return bool(np.allclose(y, exact, rtol=0, atol=TOLERANCE * float(np.max(np.abs(exact)))))


# --- times ------------------------------------------------------------------------------------------------------------


def _bound(net: Any, x: Words) -> dense_networks.Runner:
    """A network of ours, with a plan and its output."""
    plan = net.plan(x.shape)
    y = np.empty((len(x), GSC_WORDS), dtype=np.float32)
    return dense_networks.Runner(lambda: plan(x, out=y), lambda: y)


def _runners(
    nets: dict[str, nn.Sequential], small: dict[str, nn.Graph], x: Words, threads: int
) -> Iterator[tuple[Side, dense_networks.Runner]]:
    """A rival whose answer is another one is left out."""
    for kind, net in nets.items():
        ours = _bound(net, x)
        yield Side(kind, FLOAT32, PROGRAM), ours
        if kind in small:
            yield Side(kind, INT8, PROGRAM), _bound(small[kind], x)
        if kind not in DENSE:
            continue
        y = np.array(ours.call())
        for name, runner in dense_networks.runners(net, x, threads):
            runner.call()
            if _are_near(runner.result(), y):
                yield Side(kind, FLOAT32, name), runner
        for name, runner in quantized_networks.runners(net, x, words(CALIBRATION), threads):
            runner.call()
            if decibels(y, runner.result()) >= LEAST_DECIBELS:
                yield Side(kind, INT8, name), runner


def _record(threads: int, n: int, seconds: dict[Side, float]) -> dict[str, Any]:
    """Of one batch size: a row for each side; ratios are over the best of the dense ones."""
    best = {
        name: min((time for side, time in seconds.items() if side[:2] == which), default=None)
        for name, which in RIVAL_SIDES.items()
    }
    rows = [
        {
            **side._asdict(),
            "seconds": time,
            "words_per_second": n / time,
            **{f"over_{name}": None if least is None else least / time for name, least in best.items()},
        }
        for side, time in seconds.items()
    ]
    return {"threads": threads, "n": n, "rows": rows}


def measured(
    nets: dict[str, nn.Sequential],
    small: dict[str, nn.Graph],
    batches: Sequence[int],
    threads: Sequence[int],
    rounds: int,
) -> list[dict[str, Any]]:
    """One record for each number of threads and batch size."""
    records = []
    cases = list(itertools.product(threads, batches))
    with progress("measuring", len(cases)) as step:
        for n_threads, n in cases:
            step(f"{n} words, {n_threads} threads")
            with num_threads(n_threads), threadpoolctl.threadpool_limits(n_threads, user_api="blas"):
                runners = dict(_runners(nets, small, words(n), n_threads))
                calls = {" ".join(side): runner.call for side, runner in runners.items()}
                paused = (min(rounds, MOST_PAUSED_ROUNDS), PAUSE_SECONDS) if n_threads > 1 else (rounds,)
                seconds = interleaved_medians(calls, *paused)
            records.append(_record(n_threads, n, dict(zip(runners, seconds.values(), strict=True))))
    return records


def profiles(small: dict[str, nn.Graph]) -> dict[str, Any]:
    """Of one word, on one thread: networks in integers, beside what they were made of."""
    with num_threads(1), threadpoolctl.threadpool_limits(1, user_api="blas"):
        return {kind: small[kind].profile(words(1), seconds=0.2) for kind in PROFILED}


# --- what is shown ----------------------------------------------------------------------------------------------------


def _side(row: dict[str, Any]) -> Side:
    return Side(*(row[field] for field in Side._fields))


def _speeds(records: list[dict[str, Any]], threads: int) -> Table:
    chosen = [record for record in records if record["threads"] == threads]
    columns = [Column("network", True), Column("numbers", True), Column("runs in", True)]
    for record in chosen:
        head = f"N = {record['n']}\n"
        columns += [
            Column(f"{head}time"),
            *(Column(f"\n{name}") for name in ("words/s", *(f"/ {name}" for name in RIVALS.values()))),
        ]
    rows = []
    sections = set()
    keys = [_side(row) for row in chosen[0]["rows"]]
    for i, key in enumerate(keys):
        if i and key[0] != keys[i - 1][0]:
            sections.add(i)
        cells = []
        for record in chosen:
            row = next((r for r in record["rows"] if _side(r) == key), None)
            if row is None:
                cells += ["wrong", *[""] * (1 + len(RIVALS))]
                continue
            ratios = ["" if row[f"over_{name}"] is None else times(row[f"over_{name}"]) for name in RIVALS]
            cells += [duration(row["seconds"]), f"{row['words_per_second']:,.0f}", *ratios]
        rows.append([key.network.replace("_", "-"), key.numbers, key.runs_in, *cells])
    many = "one thread" if threads == 1 else f"{threads} threads"
    return Table(f"GSC speech network, batches of N words, {many}", columns, rows, sections)


def _bars(records: list[dict[str, Any]]) -> list[Bar]:
    """Of the first number of threads and the first batch size."""
    record = records[0]
    return [
        Bar(
            f"{row['network'].replace('_', '-')} {row['numbers']}, {row['runs_in']}",
            row["words_per_second"],
            f"{row['words_per_second']:,.0f}   ({row['over_dense']:.1f}x)",
            row["runs_in"] == PROGRAM and row["network"] in PROFILED,
        )
        for row in sorted(record["rows"], key=lambda row: row["words_per_second"])
    ]


def draw(records: list[dict[str, Any]], cpu: str, path: str) -> None:
    n, threads = records[0]["n"], records[0]["threads"]
    each = "one word at a time" if n == 1 else f"{n} words at a time"
    many = "one thread" if threads == 1 else f"{threads} threads"
    title = f"GSC speech network, {each}, {many}, {cpu}"
    draw_bars(_bars(records), title, "words a second (times the best dense one)", path)


def run(args: argparse.Namespace, rounds: int) -> int:
    nets = networks(args)
    small = quantized(nets)
    wrong = [kind for kind, net in nets.items() if not _is_right(net, words(2))]
    wrong += [f"{kind} {INT8}" for kind, net in small.items() if not _is_exact(net, words(2))]
    records = measured(nets, small, args.n, args.threads, rounds)
    of_layers = profiles(small)
    if args.plot:
        draw(records, machine()["cpu"], args.plot)
    if args.json:
        print_json(
            {
                "version": 1,
                "machine": machine(),
                "how": "medians of interleaved calls from Python, call overhead included",
                "masks": args.masks,
                "order": args.order,
                "winners": args.winners,
                "parameters": {kind: sum(layer.parameters for layer in net.layers) for kind, net in nets.items()},
                "rivals": dense_networks.present(),
                "absent": dense_networks.absent(),
                "speeds": records,
                "layers": {
                    name: [row._asdict() for row in found.rows]
                    for kind, both in of_layers.items()
                    for name, found in ((kind, both.float_network), (f"{kind} {INT8}", both))
                },
                "published": {"sparse": 50, "sparse_sparse": 112, "hardware": "FPGA, Alveo U250"},
                "wrong": wrong,
            }
        )
        return 1 if wrong else 0
    for threads in args.threads:
        print_table(_speeds(records, threads))
    for kind, found in of_layers.items():
        print(f"{kind.replace('_', '-')} in {INT8}, one word, one thread:")
        found.print()
    here = machine()
    print(f"{here['cpu']}, micro-kernels up to {here['isa']}; masks {args.masks!r}, order {args.order!r}, "
          f"winners {args.winners!r}")  # fmt: skip
    print(
        "Times are medians of interleaved calls from Python; ratios are over the fastest that runs the dense network."
    )
    for name, reason in dense_networks.absent().items():
        print(f"not compared with {name}: {reason}")
    print(PUBLISHED)
    if args.plot:
        print(f"picture: {args.plot}")
    if wrong:
        print(f"WRONG: {', '.join(wrong)}")
        return 1
    print(
        "checked: all layers give what they give with every zero stored, in float64; networks in int8 give the bits of "
        "their functions"
    )
    return 0
