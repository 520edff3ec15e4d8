# SPDX-License-Identifier: BSD-3-Clause
"""The command line: ``python -m complsparse demo | info | pack | bench | report | run | gsc | train-gsc | hls``.

Bad input ends in one line on stderr and exit status 2; an interrupt in status 130. Tables are drawn with rich where it
is installed and as plain text elsewhere; `--json` prints one document for programs.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from complsparse._cli import circuit, gsc, report, run_model, sparsities, train_gsc
from complsparse._cli.examples import from_folder, generated, packed_picture
from complsparse._cli.measure import PROGRAM, benchmark, details, facts, machine, means, pack
from complsparse._cli.parser import SHELLS, BadInput, Parser, block, completion, real_dtype, whole_number
from complsparse._cli.rivals import Rivals
from complsparse._cli.tables import results_table, strategies_table, tensors_table
from complsparse._config import __version__
from complsparse._files import readers
from complsparse._files.saved import save
from complsparse._files.trust import printable
from complsparse._pictures import packing as picture
from complsparse._tables import has, print_json, print_table

BATCHES = (1, 16, 64)
ROUNDS, QUICK_ROUNDS = 15, 5


def _matrices(path: str, tensor: str | None, dtype: str | None = None) -> dict[str, Any]:
    """`dtype`: what the caller converts the values to, so that text is read as precisely as it is written."""
    if os.path.isdir(path):
        raise BadInput(f"{path}: is a folder, not a file")
    return readers.read_matrix(path, tensor=tensor, narrow=dtype is None)


def _report(
    title: str,
    records: list[dict[str, Any]],
    rivals: Any,
    args: argparse.Namespace,
    two: list[dict[str, Any]] | None = None,
) -> int:
    """`two`: what was measured of two sparsities."""
    two = two or []
    wrong = [f"{r['name']} at N = {p['n']}" for r in records for p in r["products"] if not p["correct"]]
    wrong += [f"{r['name']} with winners" for r in two if not r["correct"]]
    in_short = sparsities.conclusion(records, two) if two else ""
    if args.json:
        of_two = {"two_sparsities": two, "conclusion": in_short} if two else {}
        print_json(
            {
                "version": 1,
                "machine": machine(),
                "threads": rivals.threads,
                "how": "medians of interleaved calls from Python, call overhead included",
                "rivals": rivals.present,
                "absent": rivals.absent,
                "matrices": records,
                "means": means(records, rivals.names, args.n),
                **of_two,
                "wrong": wrong,
            }
        )
        return 1 if wrong else 0
    here = machine()
    threads = f"{rivals.threads} thread{'s' if rivals.threads > 1 else ''}"
    print_table(results_table(title, records, rivals.names, args.n))
    if two:
        print_table(sparsities.table(two))
    n_products = sum(len(record["products"]) for record in records) + 3 * len(two)
    print(f"{here['cpu']}, {threads}, micro-kernels up to {here['isa']}")
    print(f"Columns with an x: their time over ours; above 1 {PROGRAM} is faster. All sides are called from Python, in")
    print("turn, with row-major arrays; times are medians and include the call, which is most of a small product.")
    print("compared with: " + ", ".join(dict.fromkeys(rivals.present.values())))
    for name, reason in rivals.absent.items():
        print(f"not compared with {name}: {reason}")
    if wrong:
        print(
            f"WRONG: {len(wrong)} of {n_products} products are outside the error bound: {printable('; '.join(wrong))}"
        )
        return 1
    print(f"checked: all {n_products} products are within the error bound gamma_k |A| |B| of scipy's in float64")
    if in_short:
        print(in_short)
    return 0


# --- commands ---------------------------------------------------------------------------------------------------------


def _demo(args: argparse.Namespace) -> int:
    folder = args.data or os.environ.get("COMPLSPARSE_DATA")
    examples = generated(args.quick)
    real = from_folder(folder, args.all) if folder else []
    if args.plot:
        _check_drawable(args.plot)
    rivals = Rivals(args.threads)
    rounds = QUICK_ROUNDS if args.quick else ROUNDS
    records = benchmark([*examples, *real], args.n, args.dtype, rivals, rounds)
    two = sparsities.measured(examples, args.dtype, rivals, rounds)
    title = f"W @ X in {args.dtype}, X with N columns" if args.dtype else "W @ X, X with N columns, in W's own type"
    status = _report(title, records, rivals, args, two)
    if args.plot:
        picture.save(packed_picture(), args.plot)
        if not args.json:
            print(f"picture: {args.plot}")
    elif not args.json and not folder:
        print("--data DIR adds real pruned matrices, --plot FILE.png draws a packing")
    return status


def _check_writable(option: str, path: str, suffixes: tuple[str, ...]) -> None:
    """What can fail about a file to write, before the long work."""
    if not path.lower().endswith(suffixes):
        raise BadInput(f"{option} {path}: the name must end in {' or '.join(suffixes)}")
    folder = os.path.dirname(path) or "."
    if os.path.isdir(path) or not os.path.isdir(folder) or not os.access(folder, os.W_OK):
        raise BadInput(f"{option} {path}: cannot be written")


def _check_drawable(path: str) -> None:
    if not has("matplotlib"):
        raise BadInput("--plot needs matplotlib: pip install 'complsparse[plot]'")
    _check_writable("--plot", path, (".png", ".svg", ".pdf"))


def _report_command(args: argparse.Namespace) -> int:
    if args.plot:
        _check_drawable(args.plot)
    return report.run(args)


def _info(args: argparse.Namespace) -> int:
    if args.file.lower().endswith(".onnx"):
        if args.tensor or args.dtype:
            raise BadInput(f"{args.file}: --tensor and --dtype are for files of matrices")
        return _report_command(report.usual(args))
    if args.plot:
        _check_drawable(args.plot)
    matrices = _matrices(args.file, args.tensor, args.dtype)
    packed = {name: pack(matrix, dtype=args.dtype)[0] for name, matrix in matrices.items()}
    single = len(packed) == 1
    if args.plot and not single:
        raise BadInput(f"{args.file} holds {len(packed)} matrices: choose one with --tensor NAME to draw it")
    if args.json:
        documents = [{"name": name, **facts(W), **details(W)} for name, W in packed.items()]
        print_json({"version": 1, "file": args.file, "matrices": documents})
    elif single:
        ((name, W),) = packed.items()
        print(printable(f"{name} of {args.file}"))
        W.describe()
        print_table(strategies_table(W))
    else:
        print_table(tensors_table(args.file, packed))
    if args.plot:
        (W,) = packed.values()
        picture.save(W, args.plot)
    return 0


def _pack_command(args: argparse.Namespace) -> int:
    _check_writable("--output", args.output, (".npz",))
    matrices = _matrices(args.file, args.tensor, args.dtype)
    if len(matrices) > 1:
        raise BadInput(f"{args.file} holds {len(matrices)} matrices: choose one with --tensor NAME")
    (matrix,) = matrices.values()
    W, seconds = pack(matrix, args.strategy, args.block, args.dtype)
    save(args.output, W)
    if args.json:
        document = {"version": 1, "file": args.file, "output": args.output, **facts(W), "pack_seconds": seconds}
        print_json(document)
    else:
        rows, cols = W.shape
        fill = f"{W.strategy}, {W.n_sets} sets, {100 * W.packing_efficiency:.1f}% full"
        print(printable(args.output) + f": {rows} x {cols}, {W.dtype}, {W.nnz} entries, {fill}")
    return 0


def _bench(args: argparse.Namespace) -> int:
    examples = []
    for file in args.files:
        for name, matrix in _matrices(file, args.tensor, args.dtype).items():
            examples.append((name, file, lambda matrix=matrix: matrix))
    rivals = Rivals(args.threads)
    records = benchmark(examples, args.n, args.dtype, rivals, args.rounds)
    return _report("W @ X, X with N columns", records, rivals, args)


def _gsc(args: argparse.Namespace) -> int:
    if args.winners == ["global"]:
        args.winners = "global"
    elif all(word.isdecimal() for word in args.winners):
        args.winners = tuple(map(int, args.winners))
    else:
        raise BadInput(f"--winners {' '.join(args.winners)}: three numbers, or global")
    if args.plot:
        _check_drawable(args.plot)
    return gsc.run(args, QUICK_ROUNDS if args.quick else ROUNDS)


def _hls(args: argparse.Namespace) -> int:
    return circuit.run(args, lambda: _matrices(args.file, args.tensor))


# --- arguments --------------------------------------------------------------------------------------------------------

FILES = (
    "Files: .npz (of `pack`, of scipy.sparse.save_npz, or of arrays), .npy, .mtx, .smtx, .safetensors, also with .gz."
)


def _parsers() -> list[Parser]:
    """That of the program, and those of its commands."""
    parser = Parser(
        prog=PROGRAM,
        description="Pack sparse matrices into complementary sets and multiply them.",
        epilog="Exit status: 0 done, 1 a product was wrong, 2 bad input, 130 interrupted.",
    )
    parser.add_argument("-V", "--version", action="version", version=f"{PROGRAM} {__version__}")
    parser.add_argument(
        "--completion", choices=SHELLS, metavar="SHELL", help=f"print a completion script for {', '.join(SHELLS)}"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    parsers = [parser]

    def command(name: str, run: Callable[[argparse.Namespace], int], text: str) -> Parser:
        sub = commands.add_parser(name, help=text, description=f"{text}.", epilog=FILES)
        sub.set_defaults(run=run, parser=sub)
        sub.add_argument("--json", action="store_true", help="print one JSON document instead of tables")
        parser.words.append(name)
        parsers.append(sub)
        return sub

    def measuring(sub: Parser) -> None:
        batch = whole_number(1, 4096)
        sub.add_argument("--n", type=batch, nargs="+", default=list(BATCHES), help="columns of X (default: 1 16 64)")
        sub.add_argument("--threads", type=whole_number(1, 1024), default=1, help="for every side (default: 1)")
        sub.add_argument(
            "--dtype", choices=("float32", "float64"), help="default: float32 for floats up to 32 bits, else float64"
        )

    demo = command("demo", _demo, "pack, multiply, check and compare example matrices")
    demo.add_argument("--data", metavar="DIR", help="add real matrices from this folder (default: $COMPLSPARSE_DATA)")
    demo.add_argument("--all", action="store_true", help="all matrices of the folder, not a few of each collection")
    demo.add_argument("--plot", metavar="FILE.png", help="also draw a picture of a packing")
    demo.add_argument("--quick", action="store_true", help="fewer and smaller matrices, fewer rounds")
    measuring(demo)

    info = command("info", _info, "show how a matrix packs")
    info.add_argument("file", metavar="FILE")
    info.add_argument("--tensor", metavar="NAME", help="the matrix of this name, where a file holds several")
    info.add_argument(
        "--dtype", type=real_dtype, metavar="NAME", help="convert the values (default: the file's own type)"
    )
    info.add_argument("--plot", metavar="FILE.png", help="also draw a picture of the packing")

    packing = command("pack", _pack_command, "pack a matrix into a file that complsparse.load reads")
    packing.add_argument("file", metavar="FILE")
    packing.add_argument("-o", "--output", metavar="OUT.npz", required=True, help="the file to write")
    packing.add_argument("--tensor", metavar="NAME", help="the matrix of this name, where a file holds several")
    packing.add_argument(
        "--dtype", type=real_dtype, metavar="NAME", help="convert the values (default: the file's own type)"
    )
    packing.add_argument("--strategy", choices=("auto", "strict", "split"), default="auto", help="default: auto")
    packing.add_argument("--block", type=block, default="auto", metavar="RxC", help="force a block (default: auto)")

    bench = command("bench", _bench, "time products with the matrices of files, beside others")
    bench.add_argument("files", metavar="FILE", nargs="+")
    bench.add_argument("--tensor", metavar="NAME", help="only the matrix of this name")
    bench.add_argument("--rounds", type=whole_number(1, 1001), default=ROUNDS, help=f"default: {ROUNDS}")
    measuring(bench)

    report.arguments(command("report", _report_command, "say what sparsity brings a model, layer by layer"))
    run_model.arguments(command("run", run_model.run, "run a model of ONNX, and time it beside ONNX Runtime"))

    speech = command("gsc", _gsc, "time the GSC speech network, dense and sparse, beside others")
    speech.epilog = None
    batch = whole_number(1, 4096)
    speech.add_argument("--n", type=batch, nargs="+", default=list(BATCHES), help="words of a batch (default: 1 16 64)")
    speech.add_argument("--threads", type=whole_number(1, 1024), nargs="+", default=gsc.usual_threads(),
                        help="for every side (default: 1, and 2 where there are two cores)")  # fmt: skip
    speech.add_argument("--masks", choices=("speed", "fine", "quads"), default="speed", help="default: speed")
    speech.add_argument("--order", choices=("pool_first", "published"), default="pool_first",
                        help="of pools and k-winners (default: pool_first)")  # fmt: skip
    speech.add_argument("--winners", nargs="+", default=["6", "6", "150"], metavar="K",
                        help="three numbers, or global (default: 6 6 150)")  # fmt: skip
    speech.add_argument("--plot", metavar="FILE.png", help="also draw the words a second")
    speech.add_argument("--quick", action="store_true", help="fewer rounds")
    train_gsc.arguments(command("train-gsc", train_gsc.run, "train the GSC speech network on real speech"))
    circuit.arguments(command("hls", _hls, "write the circuit of a matrix of int8 weights, or of a network, for FPGAs"))
    return parsers


def _one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
    if isinstance(error, MemoryError):
        return f"not enough memory: {error}"
    lines = str(error).split("\n")  # names of tensors may hold other ends of lines, which are escaped
    return lines[0] or type(error).__name__


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit status."""
    try:
        parsers = _parsers()
        args = parsers[0].parse(argv)
        if args.completion:
            print(completion(parsers, args.completion))
        elif args.command is None:
            parsers[0].print_help()
        status: int = args.run(args) if args.command else 0
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone; Python's own flush at exit must not complain about it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (BadInput, OSError, ValueError, TypeError, MemoryError) as error:
        print(f"{PROGRAM}: error: {printable(_one_line(error))}", file=sys.stderr)
        return 2
