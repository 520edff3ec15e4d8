# SPDX-License-Identifier: BSD-3-Clause
"""k-winners-take-all against NumPy's partial sorts, and torch.topk where it is installed: `python benchmarks/kwta.py`.

`loop` figures are the bound calls in the compiled loop; all others are calls from Python.
"""

from __future__ import annotations

import argparse

if not __package__:
    import _from_file  # noqa: F401

from benchmarks import rivals
from benchmarks.problems.vectors import BATCHES, ONE_VECTOR
from benchmarks.rivals import sorts
from benchmarks.targets import contests
from benchmarks.targets.target import judged


def main() -> None:
    parser = argparse.ArgumentParser(description="k-winners-take-all against partial sorts.")
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    rivals.set_threads(1)
    records = {task: contests.measure(task, rounds)[1] for task in (*ONE_VECTOR, *BATCHES)}
    for task, record in records.items():
        print(task.name)
        for name, ns in record["ns"].items():
            ratio = record["over"]["np.argpartition"].get(name)
            print(f"  {name:18} {ns:12,.0f} ns" + (f"   {ratio:6.1f}x np.argpartition" if ratio else ""))
        for name, ns in record.get("loop_ns", {}).items():
            print(f"  {name + ', loop':18} {ns:12,.0f} ns")
        if record["disturbed"]:
            print(f"  disturbed samples: {record['disturbed']:.0%}")
    print(f"torch.topk: {sorts.torch()[1]}")
    for verdict in judged(contests.TARGETS, list(records.values())):
        print(f"{'met' if verdict.met else 'MISSED'}: {verdict.what}: {verdict.figure.text}, {verdict.bound}")


if __name__ == "__main__":
    main()
