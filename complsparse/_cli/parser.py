# SPDX-License-Identifier: BSD-3-Clause
"""The parser of the command line: errors in one line, suggestions for misspelt words, completion for shells."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from complsparse._matrix.csr import check_dtype

SHELLS = ("bash", "zsh")  # shtab completes no options of commands for others
PATHS = ("FILE", "DIR", "OUT")  # how metavars of paths begin
WRONG_WORD = re.compile(r"(?:invalid choice: '?|unrecognized arguments: )(?P<word>[^\s',]+)")


class BadInput(Exception):
    """What the user gave cannot be worked with; the message is one line."""


class Parser(argparse.ArgumentParser):
    """Raises `BadInput` where argparse would print a usage, and knows all words that could have been meant."""

    def __init__(self, **kwargs: Any) -> None:
        self.words: list[str] = []
        self.arguments: list[argparse.Action] = []
        super().__init__(allow_abbrev=False, **kwargs)

    def add_argument(self, *names: Any, **how: Any) -> argparse.Action:
        action = super().add_argument(*names, **how)
        self.arguments.append(action)
        self.words += [*action.option_strings, *map(str, action.choices or ())]
        return action

    def parse(self, args: Sequence[str] | None) -> argparse.Namespace:
        found, unknown = self.parse_known_args(args)
        if unknown:  # the command's own parser knows what could have been meant
            getattr(found, "parser", self).error(f"unrecognized arguments: {' '.join(unknown)}")
        return found

    def error(self, message: str) -> NoReturn:
        raise BadInput(f"{message}{self._suggestion(message)} ({self.prog} --help shows the usage)")

    def _suggestion(self, message: str) -> str:
        wrong = WRONG_WORD.search(message)
        meant = difflib.get_close_matches(wrong["word"].partition("=")[0], self.words, n=1) if wrong else []
        return f": did you mean {meant[0]!r}?" if meant else ""


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """The type of an argument that is a number between these."""

    def convert(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {least} to {most}")
        return int(text)

    return convert


def block(text: str) -> Any:
    """The type of an argument that is a block."""
    sizes = text.lower().split("x")
    if text == "auto":
        return text
    if len(sizes) != 2 or not all(size.isdecimal() and int(size) > 0 for size in sizes):
        raise argparse.ArgumentTypeError(f"{text!r} is not 'auto' or ROWSxCOLUMNS, such as 4x1")
    return int(sizes[0]), int(sizes[1])


def real_dtype(text: str) -> str:
    try:
        return check_dtype(text).name
    except TypeError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a dtype of real numbers, such as float32 or int8") from None


def completion(parsers: Sequence[Parser], shell: str) -> str:
    """The script that completes commands, options and file names in a shell; the first parser has the others."""
    try:
        import shtab
    except ImportError:
        raise BadInput("--completion needs shtab: pip install 'complsparse[completion]'") from None
    for parser in parsers:
        for action in parser.arguments:
            if isinstance(action.metavar, str) and action.metavar.startswith(PATHS):
                action.complete = shtab.DIRECTORY if action.metavar == "DIR" else shtab.FILE  # type: ignore[attr-defined]
    return str(shtab.complete(parsers[0], shell))
