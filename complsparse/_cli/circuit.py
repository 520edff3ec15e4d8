# SPDX-License-Identifier: BSD-3-Clause
"""``complsparse hls``: the circuit of a matrix or of a network, written into a folder."""

from __future__ import annotations

import argparse
import dataclasses
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

from complsparse import hls
from complsparse._cli.measure import pack
from complsparse._cli.parser import BadInput, Parser, whole_number
from complsparse._files.npz import member_names
from complsparse._files.trust import printable
from complsparse._progress import progress
from complsparse._tables import print_json

OF_LAYERS = {"lanes": None, "winners": None, "parallel_winners": None, "ids": "static", "route": "products",
             "activations": "int8"}  # fmt: skip
OF_NETWORKS = {"samples": None, "cycles": 10_000}


def arguments(sub: Parser) -> None:
    counts = whole_number(1, 65536)
    sub.add_argument("file", metavar="FILE")
    sub.add_argument("-o", "--output", metavar="DIR", required=True, help="the folder: new, empty or of an earlier run")
    sub.add_argument("--tensor", metavar="NAME", help="the matrix of this name, where a file holds several")
    sub.add_argument("--lanes", type=counts, help="columns in a clock (default: 8)")
    sub.add_argument("--winners", type=counts, help="winners of a vector of activations (default: they are dense)")
    sub.add_argument("--parallel-winners", type=counts, help="winners in a clock (default: 1)")
    sub.add_argument("--ids", choices=("static", "runtime"), help="default: static")
    sub.add_argument("--route", choices=("products", "activations"), help="default: products")
    sub.add_argument("--clock", type=float, default=4.0, metavar="NS", help="assumed clock in ns (default: 4)")
    sub.add_argument("--activations", choices=("int8", "uint8"), help="default: int8")
    sub.add_argument("--samples", metavar="FILE.npy", help="of a network: inputs (N, ...), which its test bench runs")
    sub.add_argument("--cycles", type=whole_number(1, 10**9), help="of a network: clocks of a sample (default: 10000)")


def run(args: argparse.Namespace, matrices: Callable[[], dict[str, Any]]) -> int:
    """`matrices` reads the file, where it holds no network."""
    with progress("circuit:", 3) as step:
        step("read")
        network = _is_network(args.file)
        given = _options(args, OF_NETWORKS if network else OF_LAYERS, OF_LAYERS if network else OF_NETWORKS)
        source = _network(args) if network else _matrix(args, matrices())
        if network:
            given["samples"] = _samples(given["samples"])
        step("write")
        estimate = hls.export(source, args.output, clock_ns=args.clock, **given)
    if args.json:
        print_json({"version": 1, "file": args.file, "output": args.output, **dataclasses.asdict(estimate)})
        return 0
    print(f"{printable(args.output)}: {_in_short(estimate)}")
    print(
        f"make -C {printable(args.output)} csim rtl    simulations in C and in Verilog; README.md has clocks and ports"
    )
    return 0


def _options(args: argparse.Namespace, own: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
    """Those of this kind of file, with their defaults; one of the other kind is an error."""
    what, whom = ("network", "a matrix") if "samples" in own else ("matrix", "a network")
    for name in others:
        if getattr(args, name) is not None:
            raise BadInput(f"--{name.replace('_', '-')} is for {whom}, and {args.file} holds a {what}")
    return {name: default if (value := getattr(args, name)) is None else value for name, default in own.items()}


def _is_network(path: str) -> bool:
    try:
        with open(path, "rb") as stream:
            return "network" in member_names(stream)
    except (zipfile.BadZipFile, NotImplementedError):
        return False


def _network(args: argparse.Namespace) -> Any:
    from complsparse import nn

    if args.tensor:
        raise BadInput(f"--tensor is for files of matrices, and {args.file} holds a network")
    return nn.load(args.file)


def _matrix(args: argparse.Namespace, matrices: dict[str, Any]) -> Any:
    if len(matrices) > 1:
        raise BadInput(f"{args.file} holds {len(matrices)} matrices: choose one with --tensor NAME")
    (matrix,) = matrices.values()
    return pack(matrix)[0]


def _samples(path: str | None) -> Any:
    if path is None:
        raise BadInput("--samples is missing: a .npy file of inputs of the network, which its test bench runs")
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError):
        raise BadInput(f"--samples {path}: is no .npy file of numbers") from None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
        raise BadInput(f"--samples {path}: is no .npy file of numbers")
    return array


def _in_short(estimate: Any) -> str:
    if isinstance(estimate, hls.NetworkEstimate):
        return (
            f"{estimate.cycles_per_sample} clocks a sample, {len(estimate.blocks)} blocks, {estimate.multipliers} "
            f"multipliers, {estimate.requantisers} requantisers"
        )
    return (
        f"{estimate.cycles_per_vector} clocks a vector, {estimate.multipliers} multipliers, {estimate.sums} sums of "
        f"{estimate.sum_bits} bits"
    )
