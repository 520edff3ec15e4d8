# SPDX-License-Identifier: BSD-3-Clause
"""``complsparse report``: what sparsity brings a model, layer by layer."""

from __future__ import annotations

import argparse

from complsparse import onnx
from complsparse._cli.parser import BadInput, Parser
from complsparse._files.trust import printable
from complsparse._tables import print_json, print_table


def arguments(sub: Parser) -> None:
    sub.epilog = "Files: .onnx, .safetensors, .npz and other files of matrices."
    sub.add_argument("file", metavar="FILE")
    sub.add_argument("--sparsity", type=float, default=0.7, metavar="S",
                     help="the share of zeros from which a layer runs on a sparse kernel (default: 0.7)")  # fmt: skip
    sub.add_argument("--measure", action="store_true", help="also time each product beside the dense one")
    sub.add_argument("--plot", metavar="FILE.png", help="also draw the multiplications of the layers")


def usual(args: argparse.Namespace) -> argparse.Namespace:
    """Of another command that has a file, with the defaults of this one."""
    return argparse.Namespace(file=args.file, json=args.json, plot=args.plot, sparsity=0.7, measure=False)


def run(args: argparse.Namespace) -> int:
    try:
        found = onnx.report(args.file, sparsity=args.sparsity, measure=args.measure, plot=args.plot)
    except ImportError as error:
        raise BadInput(str(error)) from None
    if args.json:
        print_json({"version": 1, **found.to_dict()})
        return 0
    print_table(found.table())
    for note in found.notes():
        print(printable(note))
    if args.plot:
        print(f"picture: {printable(args.plot)}")
    return 0
