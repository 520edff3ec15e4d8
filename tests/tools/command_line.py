# SPDX-License-Identifier: BSD-3-Clause
"""What the command line says where it refuses."""

from typing import Any

import pytest

from complsparse._cli.main import main


def refused(capsys: pytest.CaptureFixture[str], *words: Any) -> str:
    """Runs a command that must fail as bad input does; returns its line on stderr."""
    assert main([str(word) for word in words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("complsparse: error: ")
    assert captured.err.count("\n") == 1
    return captured.err
