# SPDX-License-Identifier: BSD-3-Clause
"""What is multiplied: matrices by name, vectors, networks."""

from benchmarks.problems.data import REAL, NoData, data_folder, read_smtx, real_problems
from benchmarks.problems.matrices import (
    COUNTED_NNZ,
    CROSSOVER_SETS,
    SHAPES,
    SWEEP_SETS,
    Problem,
    balanced,
    balanced_problems,
    bernoulli,
    generated,
    large_problems,
    network_problems,
    random_problems,
    rounded_to_bfloat16,
)
from benchmarks.problems.names import get

__all__ = [
    "COUNTED_NNZ",
    "CROSSOVER_SETS",
    "REAL",
    "SHAPES",
    "SWEEP_SETS",
    "NoData",
    "Problem",
    "balanced",
    "balanced_problems",
    "bernoulli",
    "data_folder",
    "generated",
    "get",
    "large_problems",
    "network_problems",
    "random_problems",
    "read_smtx",
    "real_problems",
    "rounded_to_bfloat16",
]
