# SPDX-License-Identifier: BSD-3-Clause
"""Weights that a report is about, and those of files without a network."""

from __future__ import annotations

from typing import Any, NamedTuple

from complsparse._files.readers import read_matrix


class Weighted(NamedTuple):
    """Weights as the matrix that multiplies."""

    name: str
    operator: str  # "": not known
    shape: tuple[int, ...]  # as the file has them
    matrix: Any
    columns: int  # that the matrix multiplies at a time, 1 for each size that is not known
    calls: int
    known: bool  # whether all sizes are
    groups: int


class Found(NamedTuple):
    """What a file holds."""

    layers: list[Weighted]
    other_multiplications: int  # of activations with each other
    runners: dict[str, tuple[bool, str | None]] | None  # by name: is it packed, and the kernel; None: no network
    refused: str | None  # why there is none


def layers_of_file(path: Any) -> Found:
    """Every matrix of a file, times one column."""
    layers = [
        Weighted(name, "", tuple(matrix.shape), matrix, 1, 1, True, 1) for name, matrix in read_matrix(path).items()
    ]
    return Found(layers, 0, None, None)
