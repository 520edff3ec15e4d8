# SPDX-License-Identifier: BSD-3-Clause
"""What tests of exported folders have in common: matrices, designs, make, and faults that simulations must find."""

import os
import re
import shutil
import subprocess

import numpy as np

import complsparse as cs


def random_matrix(rows, columns, density, seed=0):
    rng = np.random.default_rng(seed)
    return ((rng.random((rows, columns)) < density) * rng.integers(-128, 128, (rows, columns), endpoint=False)).astype(
        np.int8
    )


MATRICES = {
    "balanced": lambda: cs.random((32, 64), density=1 / 8, dtype=np.int8, rng=0),
    "blocks": lambda: cs.random((24, 40), density=1 / 4, block=(2, 1), dtype=np.int8, rng=1),
    "not balanced": lambda: cs.from_dense(random_matrix(20, 37, 0.15), strategy="strict"),
    "split": lambda: cs.from_dense(random_matrix(20, 37, 0.3), strategy="split"),
    "full": lambda: cs.from_dense(np.full((3, 5), -128, dtype=np.int8)),
    "empty": lambda: cs.from_dense(np.zeros((4, 9), dtype=np.int8)),
    "nearly empty": lambda: cs.from_dense(np.diag(np.arange(1, 3, dtype=np.int8)) @ np.eye(2, 50, 3, dtype=np.int8)),
    "one": lambda: cs.from_dense(np.array([[-128]], dtype=np.int8)),
}
DESIGNS = {
    "dense": {"lanes": 8},
    "dense, run time": {"lanes": 5, "ids": "runtime", "activations": "uint8"},
    "all columns": {"lanes": 1000},
    "selected": {"lanes": 8, "route": "activations"},
    "selected, run time": {"lanes": 5, "route": "activations", "ids": "runtime", "activations": "uint8"},
    "selected, all columns": {"lanes": 1000, "route": "activations"},
    "winners": {"winners": 1},
    "winners, run time": {"winners": "half", "parallel_winners": 1, "ids": "runtime"},
    "winners in parallel": {"winners": "all", "parallel_winners": "some", "activations": "uint8"},
}


def options(design, W):
    columns = W.shape[1]
    numbers = {"half": max(1, columns // 2), "all": columns, "some": max(1, columns // 3)}
    return {name: numbers.get(value, value) for name, value in DESIGNS[design].items()}


def listed(folder):
    """Whether the page of a folder lists what is there, and nothing else. Of numbered files it lists the first."""
    page = (folder / "README.md").read_text().partition("## Files")[2].partition("##")[0]
    names = set(re.findall(r"`([\w/]+(?:\.\w+|/))`", page))
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    files = {re.sub(r"\d+", "0", name) for name in files} - {"Makefile", "README.md", "complsparse.json"}
    parts = {name if name in names else name.partition("/")[0] + "/" for name in files}
    return parts == names


def make(folder, goal, *variables):
    # Verilator's own sources are the same in every simulation.
    cache = {"OBJCACHE": "ccache"} if shutil.which("ccache") else {}
    return subprocess.run(
        ["make", "-s", "-C", str(folder), goal, *variables],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env={**os.environ, **cache},
    )


def table(text, name):
    """Start, end and numbers of an array in tables.hpp."""
    found = re.search(rf"\b{name}(?:\[[^\]]*\])+ = (\{{.*?\}});", text, re.DOTALL)
    return found.start(1), found.end(1), np.array(re.findall(r"-?\d+", found[1]), dtype=int)


def changed(path, name, change):
    """Writes the array with other numbers, which `change` makes of the old ones."""
    text = path.read_text()
    start, end, numbers = table(text, name)
    new = iter(change(numbers).tolist())
    path.write_text(text[:start] + re.sub(r"-?\d+", lambda _: str(next(new)), text[start:end]) + text[end:])


def flipped_id(ids):
    ids[np.flatnonzero(ids)[0]] ^= 1
    return ids


def dropped_slot(weights):
    weights[np.flatnonzero(weights)[-1]] = 0
    return weights


def swapped_lanes(weights, sets=4):
    lanes = weights.reshape(-1, sets).copy()
    lanes[[0, 1]] = lanes[[1, 0]]
    return lanes.ravel()


MUTANTS = {"flipped id": ("ids", flipped_id), "dropped slot": ("weights", dropped_slot),
           "swapped lanes": ("weights", swapped_lanes)}  # fmt: skip
