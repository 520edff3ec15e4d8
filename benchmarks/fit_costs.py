# SPDX-License-Identifier: BSD-3-Clause
"""Fits the constants of the cost model (src/layouts/costs.hpp) to this machine, and judges constants by records:

python benchmarks/fit_costs.py [--json benchmarks/costs/CPU.json] [--also RECORD ...] [--quick]
python benchmarks/fit_costs.py --fit RECORD ... [--json OUT]
python benchmarks/fit_costs.py --judge benchmarks/costs/*.json
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

if not __package__:
    import _from_file  # noqa: F401

from benchmarks import problems, rivals, timing
from benchmarks.reports import machine
from benchmarks.targets import cost_fit, costs, regret
from benchmarks.targets.cost_fit import Constants, Model, Regret

HEADER = Path(__file__).resolve().parents[1] / "src/layouts/costs.hpp"


def struct_text(values: Constants) -> str:
    """`CostConstants` as it stands in costs.hpp, with these values."""
    declaration = re.search(r"^struct CostConstants \{.*?^\};", HEADER.read_text(), re.DOTALL | re.MULTILINE)
    if declaration is None:
        raise ValueError(f"{HEADER} declares no CostConstants")
    return re.sub(r"(\w+) = [\d.]+", lambda found: f"{found[1]} = {values[found[1]]:g}", declaration[0])


def percent(ratio: float) -> str:
    return f"{100 * (ratio - 1):.2f}%"


def _line(name: str, before: Sequence[Regret], after: Sequence[Regret]) -> str:
    cells = []
    for regrets in map(cost_fit.known, (before, after)):
        cells.append(
            f"{percent(1 + cost_fit.mean(regrets)):>8} {percent(cost_fit.worst(regrets).ratio):>8}"
            if regrets
            else " " * 17
        )
    return f"{name:14} {len(before):4}   {cells[0]}   {cells[1]}"


def print_regret(before: Sequence[Regret], after: Sequence[Regret]) -> None:
    print(f"{'regret':14} {'of':>4}   {'mean':>8} {'worst':>8}   {'mean':>8} {'worst':>8}   (before, after)")
    print(_line("all", before, after))
    for key in (lambda r: r.of.product.kind, lambda r: f"N = {r.of.product.n}"):
        parts = cost_fit.by(after, key)
        for name, regrets in cost_fit.by(before, key).items():
            print(_line(name, regrets, parts[name]))
    for when, regrets in (("before", before), ("after", after)):
        print(f"worst {when}:")
        for r in sorted(cost_fit.known(regrets), key=lambda r: -r.ratio)[:5]:
            print(f"  {percent(r.ratio):>8} {r.of.product}: {r.chosen}, best {r.best}")


def model_of(found: dict[str, Any], folder: Path | None) -> Model:
    """ValueError where this machine cannot tell what the library would choose on that of the record."""
    core = rivals.import_ours()._core
    if found["isa"] not in [level["name"] for level in core.isa_levels() if level["supported"]]:
        raise ValueError(f"a record of {found['isa']}, which this CPU does not have")
    if found["caches"]["l2"] != core.cache_sizes()["l2"]:
        raise ValueError(f"a record of a CPU with {found['caches']['l2'] >> 10} KiB of L2, which choices depend on")
    return Model(costs.measured_of(found), found["isa"], folder)


def judge(paths: Sequence[Path], folder: Path | None) -> None:
    """Each known struct over each record: those in use, and those that were fitted on a record's machine."""
    records = {path: costs.read(path) for path in paths}
    structs = {"in use": rivals.import_ours()._core.cost_constants()}
    structs |= {path.stem: found["fitted"] for path, found in records.items() if "fitted" in found}
    width = max(map(len, structs))
    for path, found in records.items():
        print(f"{path.stem}: {found['cpu']}, {found['isa']}, {found['date']}")
        try:
            model = model_of(found, folder)
        except ValueError as error:
            print(f"  not judged here: {error}")
            continue
        for name, values in structs.items():
            regrets = model.regrets(values)
            worst, unknown = cost_fit.worst(regrets), len(regrets) - len(cost_fit.known(regrets))
            print(f"  {name:{width}}  mean {percent(1 + cost_fit.mean(regrets)):>7}  worst {percent(worst.ratio):>7}  "
                  f"{worst.of.product}: {worst.chosen}, best {worst.best}"
                  + (f"; of {unknown} of {len(regrets)} choices no time is on record" if unknown else ""))  # fmt: skip


def fit(models: Sequence[Model]) -> Constants:
    from complsparse._progress import progress

    start = rivals.import_ours()._core.cost_constants()
    with progress("fitting", cost_fit.MOST_SWEEPS * len(start)) as step:
        values = cost_fit.fitted(models, start, step)
    print(struct_text(values))
    for model in models:
        print_regret(model.regrets(start), model.regrets(values))
    return values


def measure(path: Path | None, folder: Path | None, quick: bool) -> dict[str, Any]:
    """The fixed list, as far as the record at `path` does not have it."""
    timing.pin(1)
    rivals.set_threads(1)
    measured = regret.measured(regret.resumed(path), folder, regret.QUICK_MATRICES if quick else None)
    return costs.record(measured, machine.record(1))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Fit the cost model's constants, or judge them.")
    parser.add_argument(
        "--json",
        type=Path,
        help="a record to go on with; what was measured (or the first record) is kept in it, and the constants",
    )
    parser.add_argument("--also", nargs="+", type=Path, default=[], help="fit to these records too")
    parser.add_argument("--fit", nargs="+", type=Path, metavar="RECORD", help="fit to records; measure nothing")
    parser.add_argument(
        "--judge", nargs="+", type=Path, metavar="RECORD", help="regret of each struct over each record"
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the matrices")
    parser.add_argument("--data", type=Path)
    chosen = parser.parse_args(arguments)
    folder = problems.data_folder(chosen.data)
    if chosen.judge:
        judge(chosen.judge, folder)
        return 0
    records = [costs.read(path) for path in chosen.fit or chosen.also]
    if not chosen.fit:
        records.insert(0, measure(chosen.json, folder, chosen.quick))
        if chosen.json:
            costs.write(chosen.json, records[0])  # before the fit: it takes minutes
    values = fit([model_of(found, folder) for found in records])
    if chosen.json:
        costs.write(chosen.json, {**records[0], "fitted": values})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
