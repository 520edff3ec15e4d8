# SPDX-License-Identifier: BSD-3-Clause
"""What comes back from pickles."""

from __future__ import annotations

import numpy as np

import complsparse as cs
from complsparse._matrix.matrix import _restore
from fuzz.registry import target

# fmt: off
ODD = (
    None, -1, 0, 2**63, 2**70, 1.5, float("nan"), "strict", "", b"x", (), (1, 2, 3), [1], {}, True, np.inf,
    np.ones((2, 2)), np.ones(()), (2**62, 2**62), (-1, 2),
)
# fmt: on


def small_matrix(rng: np.random.Generator, dtype: str = "f8") -> cs.ComplementaryMatrix:
    shape = tuple(int(size) for size in rng.integers(0, 12, 2))
    dense = np.where(rng.random(shape) < rng.random(), rng.integers(1, 9, shape), 0).astype(dtype)
    W = cs.from_dense(dense, strategy=str(rng.choice(["auto", "strict", "split"])))
    return W.T if rng.random() < 0.3 else W


DTYPES = ("i1", "i4", "i8", "u8", "f4", "f8", ">i8", ">f4", "O", "S3", "c16", "m8[s]")


def _damaged_array(rng: np.random.Generator, array: np.ndarray) -> np.ndarray:
    changed = array.copy()
    at = int(rng.integers(max(array.size, 1)))
    what = int(rng.integers(5))
    if what == 0 and changed.ndim == 1 and changed.size:
        changed[at] = int(rng.choice([0, 1, 2, 3, 5, 100, 127]))
    elif what == 1 and changed.ndim == 1 and changed.size:
        changed = np.delete(changed, at)
    elif what == 2:
        changed = np.append(changed, changed.reshape(-1)[:1])
    elif what == 3:
        changed = changed.reshape(-1)[::-1]
    else:
        changed = changed.astype("f8").astype(DTYPES[int(rng.integers(len(DTYPES)))])
    return changed


@target(megabytes=128)
def pickle_state(rng: np.random.Generator) -> str:
    """The state of a matrix with some of its parts damaged: refused in words, or a matrix that multiplies rightly."""
    state = dict(small_matrix(rng, str(rng.choice(["f8", "f4", "i1"])))._state())
    for _ in range(int(rng.integers(1, 4))):
        key = list(state)[int(rng.integers(len(state)))]
        if isinstance(state[key], np.ndarray) and rng.random() < 0.7:
            state[key] = _damaged_array(rng, state[key])
        elif rng.random() < 0.1:
            del state[key]
        elif rng.random() < 0.1:
            state[str(rng.integers(3))] = 1
        else:
            state[key] = ODD[int(rng.integers(len(ODD)))]
        if not state:
            break
    try:
        W = _restore(state)
    except (ValueError, TypeError):
        return "refused"
    x = np.ones(W.shape[1])
    np.testing.assert_allclose(W.toarray().astype(float) @ x, np.asarray(W @ x), equal_nan=True)
    return "accepted"
