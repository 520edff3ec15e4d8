# SPDX-License-Identifier: BSD-3-Clause
"""Who is there, and one number of threads for all."""

from __future__ import annotations

from threadpoolctl import threadpool_limits

from benchmarks.rivals.dense import MklDense, ScipyBlas, scipy_blas
from benchmarks.rivals.mkl import find_mkl, mkl
from benchmarks.rivals.mkl_sparse import MklSparse
from benchmarks.rivals.ours import Ours, import_ours
from benchmarks.rivals.peer import Peer


def dense_rivals() -> list[Peer]:
    """MKL dense and the BLAS that scipy brought; once, where both are the same library."""
    return [MklDense()] if scipy_blas()[0] == "MKL" else [MklDense(), ScipyBlas()]


def all_rivals(dense: bool = True) -> list[Peer]:
    return [MklSparse(), *(dense_rivals() if dense else [])]


def all_peers() -> list[Peer]:
    return [Ours(), *all_rivals()]


def absent(peers: list[Peer] | None = None) -> dict[str, str]:
    """The peers that cannot run here, with the reason."""
    found = {}
    for peer in peers or all_peers():
        there, why = peer.available()
        if not there:
            found[peer.name] = why
    return found


def set_threads(threads: int) -> None:
    """One setting for ours and every rival, for the whole process. Call before anything is prepared."""
    threadpool_limits(limits=threads, user_api="blas")
    if find_mkl()[0] is not None:
        mkl(threads)
    if Ours().available()[0]:
        import_ours().set_num_threads(threads)
