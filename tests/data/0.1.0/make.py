# SPDX-License-Identifier: BSD-3-Clause
"""What version 0.1.0 wrote: ``python make.py FOLDER`` with that version installed made the files of this folder.

tests/test_old_files.py reads them with today's version and compares them with the arrays that stand here as formulas.
"""

import pathlib
import pickle
import sys

import numpy as np


def dense(dtype):
    """(12, 20) Every value survives in each dtype."""
    rows, cols = np.indices((12, 20))
    return np.where((5 * rows + 3 * cols) % 7 == 0, (rows + 2 * cols) % 13 - 6, 0).astype(dtype)


def matrices(cs):
    """Name to (matrix, its dense form, strategy)."""
    import ml_dtypes

    found = {}
    for name, dtype in (("f32", np.float32), ("f64", np.float64), ("i8", np.int8), ("bf16", ml_dtypes.bfloat16)):
        for strategy in ("strict", "split"):
            found[f"{name}_{strategy}"] = cs.from_dense(dense(dtype), strategy=strategy), dense(dtype), strategy
    W, A, strategy = found["f32_strict"]
    return {**found, "f32_transposed": (W.T, A.T, strategy)}


def winners(cs):
    """Name to (winners, their dense form)."""
    x = np.arange(24).reshape(2, 3, 4) % 7 - 3
    largest = np.where(x == x.max(axis=1, keepdims=True), x, 0)
    return {
        "winners_f32": (cs.Winners.from_dense(x.astype(np.float32)), x.astype(np.float32)),
        "winners_i8": (cs.Winners.from_dense(largest.astype(np.int8), axis=1), largest.astype(np.int8)),
        "winners_f64_axes": (cs.Winners.from_dense(x.astype(np.float64), axis=(1, 2)), x.astype(np.float64)),
    }


def main(folder):
    import complsparse as cs

    assert cs.__version__ == "0.1.0"
    for name, (W, _, _) in matrices(cs).items():
        cs.save(folder / f"{name}.npz", W)
        (folder / f"{name}.pickle").write_bytes(pickle.dumps(W, protocol=4))
    for name, (w, _) in winners(cs).items():
        (folder / f"{name}.pickle").write_bytes(pickle.dumps(w, protocol=4))
    W, report = cs.prune(dense(np.float32)[:, :8] + 1, set_size=4)
    everything = {"matrix": W, "report": report, "class": type(W), "winners": winners(cs)["winners_i8"][0]}
    (folder / "together.pickle").write_bytes(pickle.dumps(everything, protocol=2))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
