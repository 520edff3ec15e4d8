# SPDX-License-Identifier: BSD-3-Clause
"""``complsparse run``: a model of ONNX as a network, timed beside ONNX Runtime, and their outputs compared."""

from __future__ import annotations

import argparse
import contextlib
import os
from typing import Any

import numpy as np
import threadpoolctl
from numpy.typing import NDArray

from complsparse import nn, onnx
from complsparse._cli.dense_networks import ONNXRUNTIME, bound_session, present
from complsparse._cli.measure import PROGRAM, machine
from complsparse._cli.parser import BadInput, Parser, whole_number
from complsparse._cli.rivals import MOST_PAUSED_ROUNDS, PAUSE_SECONDS, interleaved_medians
from complsparse._config import num_threads
from complsparse._files.trust import printable
from complsparse._tables import Column, Table, duration, print_json, print_table, times

TOLERANCE = 1e-4  # of an output's largest entry
ROUNDS = 15

Arrays = dict[str, NDArray[Any]]


def arguments(sub: Parser) -> None:
    sub.epilog = "Exit status 1: outputs are not those of ONNX Runtime, to within 1e-4 of the largest."
    sub.add_argument("file", metavar="FILE.onnx")
    sub.add_argument("--input", nargs="+", default=[], metavar="FILE.npy",
                     help="the model's inputs in order, or NAME=FILE.npy (default: numbers at random)")  # fmt: skip
    sub.add_argument("--size", type=whole_number(1, 2**20), default=1, metavar="N",
                     help="of axes that the model leaves open, where inputs are random (default: 1)")  # fmt: skip
    sub.add_argument("--threads", type=whole_number(1, 1024), nargs="+", default=[1], help="of each side (default: 1)")
    sub.add_argument("--sparsity", type=float, default=0.7, metavar="S",
                     help="the share of zeros from which a layer runs on a sparse kernel (default: 0.7)")  # fmt: skip
    sub.add_argument("--fallback", action="store_true", help="let ONNX Runtime run operators that are not known here")
    sub.add_argument("--rounds", type=whole_number(1, 1001), default=ROUNDS, help=f"of times (default: {ROUNDS})")


def run(args: argparse.Namespace) -> int:
    try:
        fallback: Any = "onnxruntime" if args.fallback else None
        net = onnx.load(args.file, sparsity=args.sparsity, fallback=fallback)
        from complsparse.onnx._timed import inputs_of
    except ImportError as error:
        raise BadInput(str(error)) from None
    xs = inputs_of(net, _given(net, args.input), args.size)
    records = [_measured(args.file, net, xs, threads, args.rounds) for threads in dict.fromkeys(args.threads)]
    with _on(1):
        profile = net.profile(*xs.values(), seconds=0.3)
    wrong = [record for record in records if not record["equal"]]
    if args.json:
        document = {
            "version": 1, "machine": machine(), "file": args.file,
            "inputs": {name: {"shape": list(x.shape), "dtype": str(x.dtype)} for name, x in xs.items()},
            "runs": records, "layers": [row._asdict() for row in profile.rows],
        }  # fmt: skip
        print_json(document)
        return 1 if wrong else 0
    profile.print()
    print_table(_table(args.file, xs, records))
    for record in records:
        if record["absent"]:
            print(printable(f"{ONNXRUNTIME}: {record['absent']}"))
            break
    if wrong:
        print(f"WRONG: outputs are not those of {ONNXRUNTIME}, to within {TOLERANCE:g} of the largest")
    return 1 if wrong else 0


def _given(net: nn.Graph, words: list[str]) -> Arrays:
    """What --input names."""
    inputs = [node.name for node in net._nodes if node.layer is None]
    found: Arrays = {}
    for i, word in enumerate(words):
        name, _, path = word.rpartition("=")
        if not name:
            if i >= len(inputs):
                raise BadInput(f"--input: {len(words)} files for {len(inputs)} inputs")
            name = inputs[i]
        if name in found:
            raise BadInput(f"--input: two files for {name!r}")
        found[name] = _array(path)
    return found


def _array(path: str) -> NDArray[Any]:
    """Of a file of .npy, with any number of axes."""
    if not path.lower().endswith(".npy"):
        raise BadInput(f"--input {path}: the name must end in .npy")
    with open(path, "rb") as stream:
        try:
            found: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
        except (ValueError, EOFError, MemoryError) as error:
            raise BadInput(f"{path}: not a file of an array: {' '.join(str(error).split())}") from None
    if found.dtype.kind not in "fiub":
        raise BadInput(f"{path}: an array of {found.dtype}; networks take real numbers")
    return found


@contextlib.contextmanager
def _on(threads: int) -> Any:
    with num_threads(threads), threadpoolctl.threadpool_limits(threads, user_api="blas"):
        yield


def _measured(path: str, net: nn.Graph, xs: Arrays, threads: int, rounds: int) -> dict[str, Any]:
    """Of so many threads: seconds of a call, and how far the outputs are from ONNX Runtime's."""
    from complsparse.onnx._timed import largest_difference

    with _on(threads):
        arrays, dtype = net._arrays(tuple(xs.values()))
        plan = net._plan(tuple(x.shape for x in arrays), dtype)
        found = plan(*arrays)
        several = found if isinstance(found, tuple) else (found,)
        calls: dict[str, Any] = {PROGRAM: lambda: plan(*arrays, out=several)}
        absent, difference = None, None
        if ONNXRUNTIME not in present():
            absent = "not installed (pip install onnxruntime)"
        else:
            try:
                call, outputs = bound_session(path, xs, threads)
            except Exception as error:  # of classes of its own, without a common base
                absent = f"does not run it: {' '.join(str(error).split())}"
            else:
                calls[ONNXRUNTIME] = call
                difference = largest_difference(several, outputs())
        paused = (min(rounds, MOST_PAUSED_ROUNDS), PAUSE_SECONDS) if threads > 1 else (rounds,)
        seconds = interleaved_medians(calls, *paused)
    theirs = seconds.get(ONNXRUNTIME)
    return {
        "threads": threads,
        "seconds": seconds[PROGRAM],
        "onnxruntime_seconds": theirs,
        "ratio": None if theirs is None else theirs / seconds[PROGRAM],
        "largest_difference": difference,
        "equal": difference is None or difference <= TOLERANCE,
        "absent": absent,
    }


def _table(path: str, xs: Arrays, records: list[dict[str, Any]]) -> Table:
    columns = [Column("threads"), Column(PROGRAM), Column(ONNXRUNTIME), Column(f"{ONNXRUNTIME} /\n{PROGRAM}"),
               Column("largest difference\nof outputs")]  # fmt: skip
    rows = []
    for record in records:
        theirs, difference = record["onnxruntime_seconds"], record["largest_difference"]
        rows.append(
            [
                str(record["threads"]),
                duration(record["seconds"]),
                "-" if theirs is None else duration(theirs),
                times(record["ratio"]),
                "-" if difference is None else f"{difference:.1e}",
            ]
        )
    shapes = ", ".join(f"{name} {'x'.join(map(str, x.shape))}" for name, x in xs.items())
    return Table(f"{printable(os.path.basename(path))} of {printable(shapes)}", columns, rows, set())
