# SPDX-License-Identifier: BSD-3-Clause
"""The command line: ``python -m complsparse demo | info | pack | bench``.

Bad input ends in one line on stderr and exit status 2; an interrupt in status 130. Tables are drawn with rich where it
is installed and as plain text elsewhere; `--json` prints one document for programs.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import math
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np

from complsparse._progress import progress

BATCHES = (1, 16, 64)
ROUNDS, QUICK_ROUNDS = 15, 5
# Below this many non-zeros a product takes less time than its call: shown, but left out of the means.
COUNTED_NNZ = 5000
PROGRAM = "complsparse"
WIDTH = 160  # of tables that go to a file or a pipe
NAME_WIDTH = 30


class BadInput(Exception):
    """What the user gave cannot be worked with; the message is one line."""


# --- output -----------------------------------------------------------------------------------------------------------


class Column(NamedTuple):
    title: str
    text: bool = False  # aligned to the left


class Table(NamedTuple):
    title: str
    columns: list[Column]
    rows: list[list[str]]
    sections: set[int]  # rows with a rule above them


def _has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _ratio_style(cell: str) -> str:
    """Colours a ratio: who is faster."""
    try:
        ratio = float(cell.rstrip("x"))
    except ValueError:
        return cell
    return f"[green]{cell}[/green]" if ratio >= 1 else f"[yellow]{cell}[/yellow]"


def _print_table(table: Table) -> None:
    if _has("rich"):
        _print_rich(table)
    else:
        print(_plain(table))


def _print_rich(table: Table) -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table as RichTable

    terminal = sys.stdout.isatty()
    console = Console(highlight=False, width=None if terminal else WIDTH)
    drawn = RichTable(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    for column in table.columns:
        drawn.add_column(
            column.title, justify="left" if column.text else "right", no_wrap=not column.text, overflow="fold"
        )
    for i, row in enumerate(table.rows):
        if i in table.sections:
            drawn.add_section()
        drawn.add_row(*(_ratio_style(cell) if cell.endswith("x") else escape(cell) for cell in row))
    console.print(table.title, style="bold", markup=False, soft_wrap=True)
    console.print(drawn)


def _plain(table: Table) -> str:
    heads = [column.title.split("\n") for column in table.columns]
    depth = max(map(len, heads))
    head = [[lines[i] if i < len(lines) else "" for lines in heads] for i in range(depth)]
    widths = [max(len(row[i]) for row in [*head, *table.rows]) for i in range(len(table.columns))]

    def line(row: list[str]) -> str:
        padded = (
            cell.ljust(width) if column.text else cell.rjust(width)
            for cell, width, column in zip(row, widths, table.columns, strict=True)
        )
        return "  ".join(padded).rstrip()

    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    lines = [table.title, rule, *map(line, head), rule]
    for i, row in enumerate(table.rows):
        lines += [""] if i in table.sections else []
        lines.append(line(row))
    return "\n".join([*lines, rule])


def _print_json(document: dict[str, Any]) -> None:
    print(json.dumps(_finite(document), indent=2, allow_nan=False))


def _finite(value: Any) -> Any:
    """JSON knows no NaN: None stands for it."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value


def _duration(seconds: float) -> str:
    for scale, unit in ((1e-6, "us"), (1e-3, "ms")):
        if seconds < 1000 * scale:
            return f"{seconds / scale:.3g} {unit}" if seconds < 999.5 * scale else f"{seconds / scale:.0f} {unit}"
    return f"{seconds:.3g} s"


def _times(ratio: float | None) -> str:
    if ratio is None:
        return "-"
    return f"{ratio:.0f}x" if ratio >= 100 else f"{ratio:.1f}x" if ratio >= 9.95 else f"{ratio:.2f}x"


def _machine() -> dict[str, Any]:
    from complsparse import _config

    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as stream:
        names = (line.partition(":")[2].strip() for line in stream if line.startswith("model name"))
        model = next(names, model)
    configuration = _config.show_config(mode="dicts")
    return {"cpu": model, "cores": os.cpu_count(), "isa": configuration["isa"]["selected"], **configuration["version"]}


# --- matrices ---------------------------------------------------------------------------------------------------------


def _matrices(path: str, tensor: str | None) -> dict[str, Any]:
    from complsparse import _readers

    if os.path.isdir(path):
        raise BadInput(f"{path}: is a folder, not a file")
    return _readers.read_matrix(path, tensor=tensor)


def _pack(matrix: Any, strategy: str = "auto", block: Any = "auto") -> tuple[Any, float]:
    """A ComplementaryMatrix and the seconds it took to make it."""
    from complsparse import ComplementaryMatrix

    if isinstance(matrix, ComplementaryMatrix) and strategy == "auto" and block == "auto":
        return matrix, matrix._packing.seconds
    start = time.perf_counter()
    packed = ComplementaryMatrix(matrix, strategy=strategy, block=block)
    return packed, time.perf_counter() - start


def _facts(W: Any) -> dict[str, Any]:
    rows, cols = W.shape
    return {
        "shape": [rows, cols],
        "dtype": str(W.dtype),
        "nnz": int(W.nnz),
        "density": W.nnz / (rows * cols) if rows and cols else 0.0,
        "strategy": W.strategy,
        "n_sets": W.n_sets,
        "lower_bound": W.lower_bound,
        "packing_efficiency": W.packing_efficiency,
        "set_size": W.set_size,
        "slots": W.slots,
        "block": list(W.block),
        "balanced": W.balanced,
        "nbytes": W.nbytes,
    }


def _compare_strategies(W: Any) -> dict[str, dict[str, Any]]:
    found = {}
    for strategy in ("strict", "split"):
        packed, seconds = _pack(W, strategy, W.block)
        found[strategy] = {
            "n_sets": packed.n_sets,
            "packing_efficiency": packed.packing_efficiency,
            "set_size": packed.set_size,
            "seconds": seconds,
        }
    return found


# --- measuring --------------------------------------------------------------------------------------------------------


def _operand(shape: tuple[int, ...], dtype: Any) -> Any:
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(dtype)


def _measure(W: Any, batches: Iterable[int], rivals: Any, rounds: int) -> list[dict[str, Any]]:
    """One record per batch size: times of all sides, and whether ours is right."""
    from complsparse import _rivals, matmul

    csr = W.tocsr()
    found = []
    for n in batches:
        x = _operand((W.shape[1],) if n == 1 else (W.shape[1], n), W.dtype)
        reference = _rivals.Reference(csr, x)
        y = np.empty((W.shape[0], *x.shape[1:]), dtype=W.dtype)
        calls, without = rivals.calls(csr, x, reference)
        matmul(W, x, out=y)
        correct = reference.agrees(y)
        everybody = {PROGRAM: lambda x=x, y=y: matmul(W, x, out=y), **calls}
        seconds = rivals.medians(everybody, rounds)
        ours = seconds[PROGRAM]
        found.append(
            {
                "n": n,
                "correct": correct,
                "seconds": seconds,
                "gflops": 2 * W.nnz * n / ours / 1e9,
                "ratios": {name: seconds[name] / ours for name in calls},
                "not_measured": without,
            }
        )
    return found


def _measured_dtype(dtype: Any) -> Any:
    """What a matrix is multiplied in when nobody says; every rival has float32 and float64."""
    return np.dtype(np.float32 if dtype.kind not in "biu" and dtype.itemsize <= 4 else np.float64)


def _benchmark(
    examples: Sequence[tuple[str, str, Callable[[], Any]]], args: argparse.Namespace, rivals: Any, rounds: int
) -> list[dict[str, Any]]:
    """One record per matrix."""
    records = []
    with progress("measuring", len(examples)) as step, rivals.limited():
        for name, group, build in examples:
            step(name)
            matrix = build()
            if matrix is None:
                continue
            W, seconds = _pack(matrix)
            W = W.astype(np.dtype(args.dtype) if args.dtype else _measured_dtype(W.dtype), copy=False)
            record = {"name": name, "group": group, **_facts(W), "pack_seconds": seconds}
            records.append({**record, "products": _measure(W, args.n, rivals, rounds)})
    return records


def _geometric_mean(values: Sequence[float]) -> float | None:
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def _means(records: list[dict[str, Any]], names: list[str], batches: Iterable[int]) -> list[dict[str, Any]]:
    """Geometric means over the matrices that are large enough to count, by batch size."""
    found = []
    for n in batches:
        products = [p for r in records if r["nnz"] >= COUNTED_NNZ for p in r["products"] if p["n"] == n]
        ratios = {name: _geometric_mean([p["ratios"][name] for p in products if name in p["ratios"]]) for name in names}
        found.append({"n": n, "matrices": len(products), "ratios": ratios})
    return found


def _lines_of(record: dict[str, Any]) -> list[str]:
    """What the table says of a matrix, in lines beside its products."""
    name = record["name"] if len(record["name"]) <= NAME_WIDTH else f"...{record['name'][3 - NAME_WIDTH :]}"
    rows, cols = record["shape"]
    fill = f"{100 * record['packing_efficiency']:.0f}%, {_duration(record['pack_seconds'])}"
    return [
        name,
        f"{rows}x{cols}, {100 * (1 - record['density']):.1f}% sparse",
        f"{record['strategy']} {record['n_sets']} sets, {fill}",
    ]


def _results_table(title: str, records: list[dict[str, Any]], names: list[str], batches: Sequence[int]) -> Table:
    columns = [Column("matrix\nsets, fill, time to pack", True), *map(Column, ("N", "time", "GFLOP/s"))]
    columns += [Column("\n".join(name.split(" ", 1))) for name in names]
    rows: list[list[str]] = []
    sections = set()

    def add(lines: list[str], cells: list[list[str]]) -> None:
        sections.add(len(rows))
        for i in range(max(len(lines), len(cells))):
            line = lines[i] if i < len(lines) else ""
            rows.append([line, *(cells[i] if i < len(cells) else [""] * (len(columns) - 1))])

    for record in records:
        cells = []
        for product in record["products"]:
            speed = f"{product['gflops']:.1f}" if product["correct"] else "WRONG"
            ratios = [_times(product["ratios"].get(name)) for name in names]
            cells.append([str(product["n"]), _duration(product["seconds"][PROGRAM]), speed, *ratios])
        add(_lines_of(record), cells)
    means = _means(records, names, batches)
    if means[0]["matrices"] > 1:
        cells = [[str(mean["n"]), "", "", *(_times(mean["ratios"][name]) for name in names)] for mean in means]
        counted = means[0]["matrices"]
        add(
            ["geometric means over", f"{counted} of {len(records)} matrices", f"({COUNTED_NNZ} non-zeros or more)"],
            cells,
        )
    return Table(title, columns, rows, sections - {0})


def _report(title: str, records: list[dict[str, Any]], rivals: Any, args: argparse.Namespace) -> int:
    wrong = [f"{r['name']} at N = {p['n']}" for r in records for p in r["products"] if not p["correct"]]
    if args.json:
        _print_json(
            {
                "version": 1,
                "machine": _machine(),
                "threads": rivals.threads,
                "how": "medians of interleaved calls from Python, call overhead included",
                "rivals": rivals.present,
                "absent": rivals.absent,
                "matrices": records,
                "means": _means(records, rivals.names, args.n),
                "wrong": wrong,
            }
        )
        return 1 if wrong else 0
    machine = _machine()
    threads = f"{rivals.threads} thread{'s' if rivals.threads > 1 else ''}"
    _print_table(_results_table(title, records, rivals.names, args.n))
    n_products = sum(len(record["products"]) for record in records)
    print(f"{machine['cpu']}, {threads}, micro-kernels up to {machine['isa']}")
    print(f"Columns with an x: their time over ours; above 1 {PROGRAM} is faster. All sides are called from Python, in")
    print("turn, with row-major arrays; times are medians and include the call, which is most of a small product.")
    print("compared with: " + ", ".join(dict.fromkeys(rivals.present.values())))
    for name, reason in rivals.absent.items():
        print(f"not compared with {name}: {reason}")
    if wrong:
        print(f"WRONG: {len(wrong)} of {n_products} products are outside the error bound: {'; '.join(wrong)}")
        return 1
    print(f"checked: all {n_products} products are within the error bound gamma_k |A| |B| of scipy's in float64")
    return 0


# --- commands ---------------------------------------------------------------------------------------------------------


def _demo(args: argparse.Namespace) -> int:
    from complsparse import _examples, _rivals

    folder = args.data or os.environ.get("COMPLSPARSE_DATA")
    examples = _examples.generated(args.quick)
    if folder:
        examples += _examples.from_folder(folder, args.all)
    if args.plot:
        _check_drawable(args.plot)
    rivals = _rivals.Rivals(args.threads)
    records = _benchmark(examples, args, rivals, QUICK_ROUNDS if args.quick else ROUNDS)
    title = f"W @ X in {args.dtype}, X with N columns" if args.dtype else "W @ X, X with N columns, in W's own type"
    status = _report(title, records, rivals, args)
    if args.plot:
        from complsparse import _picture

        _picture.draw(_picture.example(), args.plot)
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
    if not _has("matplotlib"):
        raise BadInput("--plot needs matplotlib: pip install 'complsparse[demo]'")
    _check_writable("--plot", path, (".png", ".svg", ".pdf"))


def _info(args: argparse.Namespace) -> int:
    from complsparse import _describe

    if args.plot:
        _check_drawable(args.plot)
    packed = {name: _pack(matrix)[0] for name, matrix in _matrices(args.file, args.tensor).items()}
    single = len(packed) == 1
    if args.plot and not single:
        raise BadInput(f"{args.file} holds {len(packed)} matrices: choose one with --tensor NAME to draw it")
    if args.json:
        documents = []
        for name, W in packed.items():
            document = {"name": name, **_facts(W), "strategies": _compare_strategies(W)}
            documents.append({**document, "microkernels": _choices(W)})
        _print_json({"version": 1, "file": args.file, "matrices": documents})
    elif single:
        (W,) = packed.values()
        print(_describe.report(W))
        _print_table(_strategies_table(W))
    else:
        _print_table(_tensors_table(args.file, packed))
    if args.plot:
        from complsparse import _picture

        (W,) = packed.values()
        _picture.draw(W, args.plot)
    return 0


def _choices(W: Any) -> list[dict[str, Any]]:
    try:
        return list(W._choices())
    except (TypeError, ValueError):  # a type that does not multiply
        return []


def _strategies_table(W: Any) -> Table:
    columns = [Column("strategy", True), *map(Column, ("sets", "lower bound", "full", "largest set", "packed in"))]
    rows = [
        [
            f"{name} (chosen)" if name == W.strategy else name,
            str(found["n_sets"]),
            str(W.lower_bound),
            f"{100 * found['packing_efficiency']:.1f}%",
            f"{found['set_size']} rows",
            _duration(found["seconds"]),
        ]
        for name, found in _compare_strategies(W).items()
    ]
    return Table("strategies", columns, rows, set())


def _tensors_table(file: str, packed: dict[str, Any]) -> Table:
    columns = [Column(text) for text in ("shape", "dtype", "stored", "sparse", "block", "sets", "lower bound", "full")]
    columns += [Column("packing", True), Column("matrix", True)]
    rows = []
    for name, W in packed.items():
        facts = _facts(W)
        pattern = [str(W.nnz), f"{100 * (1 - facts['density']):.1f}%", f"{W.block[0]}x{W.block[1]}"]
        packing = [str(W.n_sets), str(W.lower_bound), f"{100 * W.packing_efficiency:.0f}%", W.strategy]
        rows.append([f"{W.shape[0]}x{W.shape[1]}", str(W.dtype), *pattern, *packing, name])
    return Table(f"{file}: {len(packed)} matrices (--tensor NAME shows one in detail)", columns, rows, set())


def _pack_command(args: argparse.Namespace) -> int:
    from complsparse import save

    _check_writable("--output", args.output, (".npz",))
    matrices = _matrices(args.file, args.tensor)
    if len(matrices) > 1:
        raise BadInput(f"{args.file} holds {len(matrices)} matrices: choose one with --tensor NAME")
    (matrix,) = matrices.values()
    W, seconds = _pack(matrix, args.strategy, args.block)
    save(args.output, W)
    if args.json:
        document = {"version": 1, "file": args.file, "output": args.output, **_facts(W), "pack_seconds": seconds}
        _print_json(document)
    else:
        rows, cols = W.shape
        fill = f"{W.strategy}, {W.n_sets} sets, {100 * W.packing_efficiency:.1f}% full"
        print(f"{args.output}: {rows} x {cols}, {W.dtype}, {W.nnz} entries, {fill}")
    return 0


def _bench(args: argparse.Namespace) -> int:
    from complsparse import _rivals

    examples = []
    for file in args.files:
        for name, matrix in _matrices(file, args.tensor).items():
            examples.append((name, file, lambda matrix=matrix: matrix))
    rivals = _rivals.Rivals(args.threads)
    records = _benchmark(examples, args, rivals, args.rounds)
    return _report("W @ X, X with N columns", records, rivals, args)


# --- arguments --------------------------------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BadInput(f"{message} ({self.prog} --help shows the usage)")


def _count(least: int, most: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {least} to {most}")
        return int(text)

    return convert


def _block(text: str) -> Any:
    sizes = text.lower().split("x")
    if text == "auto":
        return text
    if len(sizes) != 2 or not all(size.isdecimal() and int(size) > 0 for size in sizes):
        raise argparse.ArgumentTypeError(f"{text!r} is not 'auto' or ROWSxCOLUMNS, such as 4x1")
    return int(sizes[0]), int(sizes[1])


FILES = (
    "Files: .npz (of `pack`, of scipy.sparse.save_npz, or of arrays), .npy, .mtx, .smtx, .safetensors, also with .gz."
)


def _parser() -> argparse.ArgumentParser:
    from complsparse import __version__

    parser = _Parser(
        prog=PROGRAM,
        description="Pack sparse matrices into complementary sets and multiply them.",
        epilog="Exit status: 0 done, 1 a product was wrong, 2 bad input, 130 interrupted.",
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=f"{text}.", epilog=FILES)
        sub.set_defaults(run=run)
        sub.add_argument("--json", action="store_true", help="print one JSON document instead of tables")
        return sub

    def measuring(sub: argparse.ArgumentParser) -> None:
        batch = _count(1, 4096)
        sub.add_argument("--n", type=batch, nargs="+", default=list(BATCHES), help="columns of X (default: 1 16 64)")
        sub.add_argument("--threads", type=_count(1, 1024), default=1, help="for every side (default: 1)")
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
    info.add_argument("--plot", metavar="FILE.png", help="also draw a picture of the packing")

    pack = command("pack", _pack_command, "pack a matrix into a file that complsparse.load reads")
    pack.add_argument("file", metavar="FILE")
    pack.add_argument("-o", "--output", metavar="OUT.npz", required=True, help="the file to write")
    pack.add_argument("--tensor", metavar="NAME", help="the matrix of this name, where a file holds several")
    pack.add_argument("--strategy", choices=("auto", "strict", "split"), default="auto", help="default: auto")
    pack.add_argument("--block", type=_block, default="auto", metavar="RxC", help="force a block (default: auto)")

    bench = command("bench", _bench, "time products with the matrices of files, beside others")
    bench.add_argument("files", metavar="FILE", nargs="+")
    bench.add_argument("--tensor", metavar="NAME", help="only the matrix of this name")
    bench.add_argument("--rounds", type=_count(1, 1001), default=ROUNDS, help=f"default: {ROUNDS}")
    measuring(bench)
    return parser


def _one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
    if isinstance(error, MemoryError):
        return f"not enough memory: {error}"
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit status."""
    try:
        args = _parser().parse_args(argv)
        status: int = args.run(args)
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
        print(f"{PROGRAM}: error: {_one_line(error)}", file=sys.stderr)
        return 2
