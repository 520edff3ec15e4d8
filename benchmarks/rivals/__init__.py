# SPDX-License-Identifier: BSD-3-Clause
"""Ours and its rivals, each as C functions ready for the timing loop, and the race between them."""

from benchmarks.rivals.case import BATCH_MAJOR, FEATURE_MAJOR, Case, WinnersCase, aligned
from benchmarks.rivals.comparison import Comparison, checked, compare, fastest
from benchmarks.rivals.dense import MklDense, ScipyBlas, scipy_blas
from benchmarks.rivals.everybody import absent, all_peers, all_rivals, set_threads
from benchmarks.rivals.mkl import Mkl
from benchmarks.rivals.mkl_sparse import MklSparse, MklSpmmd
from benchmarks.rivals.ours import Ours, OursWinners, at_level, candidates, import_ours
from benchmarks.rivals.peer import Peer, Variant
from benchmarks.rivals.public import public_calls

__all__ = [
    "BATCH_MAJOR",
    "FEATURE_MAJOR",
    "Case",
    "Comparison",
    "Mkl",
    "MklDense",
    "MklSparse",
    "MklSpmmd",
    "Ours",
    "OursWinners",
    "Peer",
    "ScipyBlas",
    "Variant",
    "WinnersCase",
    "absent",
    "aligned",
    "all_peers",
    "all_rivals",
    "at_level",
    "candidates",
    "checked",
    "compare",
    "fastest",
    "import_ours",
    "public_calls",
    "scipy_blas",
    "set_threads",
]
