# SPDX-License-Identifier: BSD-3-Clause
"""Networks from files, which are not trusted."""

from __future__ import annotations

import json
import os
import re
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from complsparse._files.npz import read_members
from complsparse._files.saved import MEMBERS, matrix_of, read_with
from complsparse.nn._layer import layer_types
from complsparse.nn._network import Graph, Net, Sequential
from complsparse.nn._passes import Node
from complsparse.nn._saved import FORMAT_NAME, FORMAT_VERSION, is_ours

_MEMBER = re.compile(r"network|n[0-9]{1,9}\.[A-Za-z_]{1,40}(\.(" + "|".join(MEMBERS) + r"))?")

_INTEGERS = {"bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"}  # dtypes of inputs


class _Members:
    """The names that a file may have."""

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and _MEMBER.fullmatch(name) is not None


def load(path: str | os.PathLike[str] | IO[bytes]) -> Any:
    """Reads a network that ``net.save`` wrote. Nothing in the file is trusted.

    Parameters
    ----------
    path : path or binary file object

    Returns
    -------
    Sequential or Graph

    Raises
    ------
    ValueError
        A malformed file: one line that names it and the reason.
    OSError
        The file cannot be read.

    Examples
    --------
    >>> import os, tempfile
    >>> import complsparse as cs
    >>> net = cs.nn.Sequential([cs.nn.Linear(cs.random((8, 16), density=0.25, rng=0)), cs.nn.ReLU()])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     net.save(os.path.join(folder, "net.npz"))
    ...     len(cs.nn.load(os.path.join(folder, "net.npz")))
    2
    """
    return read_with(path, _read)


def _read(stream: IO[bytes], n_bytes: int) -> Net:
    members = read_members(stream, n_bytes, only=_Members())
    text = members.pop("network", None)
    if text is None or text.dtype != np.uint8 or text.ndim != 1:
        raise ValueError("there is no network in the file")
    document = _checked(json.loads(text.tobytes().decode()), dict, "the network")
    if document.get("format") != FORMAT_NAME or document.get("version") != FORMAT_VERSION:
        raise ValueError(
            f"format {document.get('format')!r} in version {document.get('version')!r} is not known; "
            f"this is {FORMAT_NAME!r} in version {FORMAT_VERSION}"
        )
    nodes = [_node(entry, i, members) for i, entry in enumerate(_checked(document.get("nodes"), list, "nodes"))]
    if members:
        raise ValueError(f"members that no layer names: {', '.join(sorted(members)[:5])}")
    if document.get("kind") == "Sequential":
        return _sequential(nodes)
    if document.get("kind") != "Graph":
        raise ValueError(f"kind {document.get('kind')!r} is not known")
    return _graph(nodes, _checked(document.get("outputs"), list, "outputs"))


def _checked(value: Any, kind: type, what: str) -> Any:
    if type(value) is not kind:
        raise ValueError(f"{what} is a {type(value).__name__}, not a {kind.__name__}")
    return value


def _node(entry: Any, number: int, members: dict[str, NDArray[Any]]) -> Node:
    entry = _checked(entry, dict, f"node {number}")
    name = _checked(entry.get("name"), str, f"the name of node {number}")
    inputs = tuple(_checked(i, int, "an input") for i in _checked(entry.get("inputs"), list, "inputs"))
    if not all(0 <= i < number for i in inputs):
        raise ValueError(f"node {number} reads nodes {inputs}, which are not all before it")
    kind = entry.get("layer")
    if kind is None:
        shape = entry.get("shape")
        if shape is not None and not all(n is None or type(n) is int for n in _checked(shape, list, "shape")):
            raise ValueError(f"the shape of input {number} is {shape}")
        dtype = entry.get("dtype")
        if dtype is not None and dtype not in _INTEGERS:
            raise ValueError(f"the dtype of input {number} is {dtype!r}")
        wanted = None if shape is None else tuple(shape)
        return Node(name, None, (), wanted, None if dtype is None else np.dtype(dtype))
    if kind not in layer_types or not is_ours(layer_types[kind]):
        raise ValueError(f"layer {kind!r} is not known")
    given = _checked(entry.get("arguments"), dict, "arguments")
    arguments = {key: _argument(value, members) for key, value in given.items()}
    return Node(name, layer_types[kind](**arguments), inputs)


def _argument(value: Any, members: dict[str, NDArray[Any]]) -> Any:
    if isinstance(value, list):
        return tuple(_argument(item, members) for item in value)
    if not isinstance(value, dict):
        return value
    if len(value) != 1 or not isinstance(next(iter(value.values())), str):
        raise ValueError(f"an argument is {value!r}")
    ((kind, name),) = value.items()
    if kind == "array" and name in members:
        return members.pop(name)
    found = {key.removeprefix(f"{name}."): key for key in members if key.startswith(f"{name}.")}
    if kind != "matrix" or not found:
        raise ValueError(f"an argument is {kind} {name!r}, which is not in the file")
    return matrix_of({key: members.pop(member) for key, member in found.items()})


def _sequential(nodes: list[Node]) -> Sequential:
    layers = [node.layer for node in nodes[1:]]
    if not nodes or nodes[0].layer is not None or any(
        layer is None or node.inputs != (i,) for i, (layer, node) in enumerate(zip(layers, nodes[1:], strict=True))
    ):  # fmt: skip
        raise ValueError("a Sequential is one input, and layers one behind the other")
    return Sequential(layers)  # type: ignore[arg-type]


def _graph(nodes: list[Node], outputs: list[Any]) -> Graph:
    graph = Graph()
    handles: list[Any] = []
    for node in nodes:
        if node.layer is None:
            handles.append(graph.input(node.name, node.shape, node.dtype))
        else:
            handles.append(graph._append(node.layer, node.inputs, node.name))
    for output in outputs:
        if type(output) is not list or len(output) != 2 or type(output[0]) is not str or type(output[1]) is not int:
            raise ValueError(f"an output is {output!r}")
        if not 0 <= output[1] < len(handles):
            raise ValueError(f"output {output[0]!r} is node {output[1]} of {len(handles)}")
        of = graph._nodes[output[1]].layer
        if of is not None and of.n_outputs > 1:
            raise ValueError(f"output {output[0]!r} is all results of node {output[1]}")
        graph.output(handles[output[1]], output[0])
    return graph
