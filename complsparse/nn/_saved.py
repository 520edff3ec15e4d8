# SPDX-License-Identifier: BSD-3-Clause
"""Networks into files.

An ``.npz`` file of plain arrays: the member ``network`` is JSON, which says how the network is built; what of it are
matrices and arrays stands there as the name of further members.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from complsparse import _core
from complsparse._files.saved import members_of, write_members
from complsparse.nn._compiled import Compiled
from complsparse.nn._layer import Layer

FORMAT_NAME, FORMAT_VERSION = "complsparse.nn", 1


def save(path: Any, net: Compiled) -> None:
    members: dict[str, Any] = {}
    nodes = []
    for i, node in enumerate(net._nodes):
        entry: dict[str, Any] = {"name": node.name, "inputs": list(node.inputs)}
        if node.layer is None:
            entry["shape"] = node.shape
            if node.dtype is not None:
                entry["dtype"] = node.dtype.name
        else:
            kind = type(node.layer)
            if not is_ours(kind):
                raise TypeError(f"layer {node.name} is a {kind.__name__}, which files cannot hold")
            entry["layer"] = kind.__name__
            entry["arguments"] = {
                name: _described(value, f"n{i}.{name}", members) for name, value in node.layer.arguments().items()
            }
        nodes.append(entry)
    document = {
        "format": FORMAT_NAME,
        "version": FORMAT_VERSION,
        "kind": type(net).__name__,
        "nodes": nodes,
        "outputs": net._outputs,
    }
    text = json.dumps(document).encode()
    write_members(path, {"network": np.frombuffer(text, dtype=np.uint8), **members})


def is_ours(kind: type[Layer]) -> bool:
    """Whether files may name it."""
    return kind.in_files and kind.__module__.startswith("complsparse.nn.") and not kind.__name__.startswith("_")


def _described(value: Any, name: str, members: dict[str, Any]) -> Any:
    """An argument as JSON; matrices and arrays go to members."""
    if isinstance(value, _core.Operand):
        members.update({f"{name}.{key}": array for key, array in members_of(value).items()})  # type: ignore[arg-type]
        return {"matrix": name}
    if isinstance(value, np.ndarray):
        members[name] = value
        return {"array": name}
    return value.item() if isinstance(value, np.generic) else value
