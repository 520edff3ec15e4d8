# SPDX-License-Identifier: BSD-3-Clause
"""The GSC speech network over the best dense one, and over a narrow dense one of equal work."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from benchmarks import rivals, timing
from benchmarks.rivals import speech
from benchmarks.targets.target import Figure, Record, Records, Run, Target, at_least, of_section
from benchmarks.timing import Samples

SECTION = "gsc"
BATCHES = (1, 16, 64)
# Over dense: network, bounds at batch 1, and at batches 16 and 64.
OVER_DENSE = (
    ("sparse-sparse", 13, 10),
    ("sparse-sparse, 8 of 64", 11, 9),
    ("sparse-sparse, (1,1)", 6.5, 5),
    ("sparse-sparse, published order", 6.5, 5),
    ("sparse", 8, 6.5),
    ("sparse, (1,1)", 4.8, 5),
)
OVER_NARROW = 3
TWO_THREADS = {1: 1.5, 16: 1.8, 64: 1.8}


def measure(n: int, threads: int = 1, rounds: int = 15, sample_ms: float = 2.0) -> tuple[Samples, Record]:
    samples = timing.race_python(speech.calls(n, threads), rounds, sample_ms, min_calls=1, alone=threads == 1)
    ns = {name: samples.median(name) for name in samples.names}
    best = {
        kind: min((name for name in ns if name.startswith(f"{kind}, ")), key=ns.__getitem__, default=None)
        for kind in speech.DENSE
    }
    record = {
        "kind": "speech",
        "problem": "GSC",
        "n": n,
        "threads": threads,
        "ns": ns,
        "words_per_second": {name: n / time * 1e9 for name, time in ns.items()},
        "best": best,
        **{
            f"over_{kind}": {} if rival is None else {name: samples.ratio(rival, name) for name in speech.OURS}
            for kind, rival in best.items()
        },
        "disturbed": samples.disturbed,
    }
    return samples, record


def cases(run: Run) -> Iterator[Record]:
    for n in BATCHES:
        _, record = measure(n, 1, *((3, 0.5) if run.quick else ()))
        yield {**record, "section": SECTION}


def scaling(rounds: int) -> Iterator[Record]:
    """Ours with one and with two threads in turn, in a process that has two cores."""
    cs = rivals.import_ours()
    for n in BATCHES:
        call = speech.planned("sparse_sparse", {}, speech.words(n))
        ns: dict[int, list[float]] = {1: [], 2: []}
        for r in range(rounds):
            for threads in (1, 2) if r % 2 == 0 else (2, 1):
                cs.set_num_threads(threads)
                ns[threads].append(timing.race_python({"ours": call}, 3, 20.0, min_calls=1).median("ours"))
        speedup = float(np.median(np.array(ns[1]) / np.array(ns[2])))
        yield {"kind": "scaling", "section": f"{SECTION}, threads", "problem": "GSC", "n": n, "speedup": speedup,
               "ns": {str(threads): float(np.median(values)) for threads, values in ns.items()}}  # fmt: skip


# --- targets ----------------------------------------------------------------------------------------------------------


def _of(records: Records, section: str, n: int) -> Record | None:
    return next((record for record in of_section(records, section) if record["n"] == n), None)


def _over(records: Records, network: str, kind: str, n: int) -> Figure | None:
    record = _of(records, SECTION, n)
    if record is None:
        return None
    rival = record["best"][kind]
    if rival is None:
        return Figure("not measured: no dense rival is installed")
    ratio = record[f"over_{kind}"][network]
    return Figure(f"{ratio:.2f}", ratio, f"{rival} {record['ns'][rival] / n / 1e3:.1f} us a word, "
                  f"ours {record['ns'][network] / n / 1e3:.1f}")  # fmt: skip


def _speedup(records: Records, n: int) -> Figure | None:
    record = _of(records, f"{SECTION}, threads", n)
    return None if record is None else Figure(f"{record['speedup']:.2f}", record["speedup"])


TARGETS = (
    *(
        Target(f"dense / GSC {network}, batch {n}", at_least(one if n == 1 else many),
               partial(_over, network=network, kind="dense", n=n))
        for network, one, many in OVER_DENSE
        for n in BATCHES
    ),
    *(
        Target(f"narrow / GSC sparse-sparse, batch {n}", at_least(OVER_NARROW),
               partial(_over, network="sparse-sparse", kind="narrow", n=n))
        for n in BATCHES
    ),
    *(
        Target(f"two threads, GSC sparse-sparse, batch {n}", at_least(bound), partial(_speedup, n=n))
        for n, bound in TWO_THREADS.items()
    ),
)  # fmt: skip
