# SPDX-License-Identifier: BSD-3-Clause
"""``complsparse hls``: the circuit of a matrix, written into a folder."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from complsparse import hls
from complsparse._cli.measure import pack
from complsparse._cli.parser import BadInput, Parser, whole_number
from complsparse._files.trust import printable
from complsparse._tables import print_json


def arguments(sub: Parser) -> None:
    counts = whole_number(1, 65536)
    sub.add_argument("file", metavar="FILE")
    sub.add_argument("-o", "--output", metavar="DIR", required=True, help="the folder: new, empty or of an earlier run")
    sub.add_argument("--tensor", metavar="NAME", help="the matrix of this name, where a file holds several")
    sub.add_argument("--lanes", type=counts, default=8, help="columns in a clock (default: 8)")
    sub.add_argument("--winners", type=counts, help="winners of a vector of activations (default: they are dense)")
    sub.add_argument("--parallel-winners", type=counts, default=1, help="winners in a clock (default: 1)")
    sub.add_argument("--ids", choices=("static", "runtime"), default="static", help="default: static")
    sub.add_argument("--route", choices=("products", "activations"), default="products", help="default: products")
    sub.add_argument("--clock", type=float, default=4.0, metavar="NS", help="assumed clock in ns (default: 4)")
    sub.add_argument("--activations", choices=("int8", "uint8"), default="int8", help="default: int8")


def run(args: argparse.Namespace, matrices: dict[str, Any]) -> int:
    if len(matrices) > 1:
        raise BadInput(f"{args.file} holds {len(matrices)} matrices: choose one with --tensor NAME")
    (matrix,) = matrices.values()
    W, _ = pack(matrix)
    estimate = hls.export(
        W,
        args.output,
        lanes=args.lanes,
        parallel_winners=args.parallel_winners,
        winners=args.winners,
        ids=args.ids,
        clock_ns=args.clock,
        activations=args.activations,
        route=args.route,
    )
    if args.json:
        print_json({"version": 1, "file": args.file, "output": args.output, **dataclasses.asdict(estimate)})
        return 0
    print(
        f"{printable(args.output)}: {estimate.cycles_per_vector} clocks a vector, {estimate.multipliers} multipliers, "
        f"{estimate.sums} sums of {estimate.sum_bits} bits"
    )
    print(f"make -C {printable(args.output)} csim    C simulation; README.md has the ports")
    return 0
