# SPDX-License-Identifier: BSD-3-Clause
"""What can be fuzzed. A target is a function that does one case, drawn from the generator that it is given."""

from __future__ import annotations

import importlib
import pkgutil
import zlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Case = Callable[[np.random.Generator], "str | None"]


def nothing() -> None:
    """Before the first case."""


class Target(NamedTuple):
    name: str
    run: Case
    megabytes: int  # that a case may take, beside what the process had before
    seconds: float  # of a processor, after which a case counts as hanging
    prepare: Callable[[], None] = nothing


TARGETS: dict[str, Target] = {}


def target(
    *, megabytes: int = 256, seconds: float = 20.0, prepare: Callable[[], None] = nothing
) -> Callable[[Case], Case]:
    """Registers a function under its own name.

    It does one case and returns a word that is counted ("read", "refused"), or None. Any exception that leaves it is a
    finding, and so are the end of its process, silence for `seconds` and a need for more than `megabytes`; `prepare`
    runs once before the first case, and its memory and time count for none.
    """

    def register(run: Case) -> Case:
        name = run.__name__
        if name in TARGETS:
            raise ValueError(f"two targets are called {name!r}")
        TARGETS[name] = Target(name, run, megabytes, seconds, prepare)
        return run

    return register


def generator(seed: int, name: str, case: int) -> np.random.Generator:
    """The same case has the same numbers in every run, whatever ran before it."""
    return np.random.default_rng([seed, zlib.crc32(name.encode()), case])


def load_targets() -> dict[str, Target]:
    """All targets: those of every module `on_*.py` beside this one."""
    package = __name__.rpartition(".")[0]
    folder = importlib.import_module(package).__path__
    for module in pkgutil.iter_modules(folder):
        if module.name.startswith("on_"):
            importlib.import_module(f"{package}.{module.name}")
    return TARGETS
