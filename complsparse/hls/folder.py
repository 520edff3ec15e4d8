# SPDX-License-Identifier: BSD-3-Clause
"""The exported folder: all its files, written beside its place and moved there when they are whole."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import secrets
import shutil
from typing import Any

from complsparse._config import __version__
from complsparse.hls import golden, network_page, network_rtl, network_sources, readme, sources, wrapper
from complsparse.hls.design import Design
from complsparse.hls.estimate import estimate_of, network_estimate_of
from complsparse.hls.network import Pipeline

TEMPLATES = pathlib.Path(__file__).parent / "templates"
FACTS = "complsparse.json"  # what tells an exported folder from others
BUILT = {"build", "build_vitis"}
PART = "xczu3eg-sbva484-1-e"


def get_include() -> str:
    """The folder that a compiler's ``-I`` needs for ``#include "complsparse/hls/layer.hpp"``.

    Examples
    --------
    >>> import os
    >>> import complsparse as cs
    >>> os.path.isfile(os.path.join(cs.hls.get_include(), "complsparse", "hls", "layer.hpp"))
    True
    """
    here = pathlib.Path(__file__).resolve().parent
    for folder in (here.parent / "include", here.parents[1] / "src" / "include"):  # installed; a checkout
        if (folder / "complsparse" / "hls").is_dir():
            return str(folder)
    raise FileNotFoundError(f"the headers of complsparse are missing beside {here}: install the package again")


def write(texts: dict[str, str], folder: str) -> None:
    """Writes files into the folder, or leaves what is there as it was."""
    target = os.path.realpath(folder)
    _check_replaceable(target, folder, {name.partition("/")[0] for name in texts})
    parent = os.path.dirname(target)
    beside = os.path.join(parent, f".complsparse-{secrets.token_hex(8)}")
    try:
        os.makedirs(parent, exist_ok=True)
        os.mkdir(beside)
    except OSError as error:  # which names the folder beside, and not the one that was asked for
        raise type(error)(error.errno, error.strerror, folder) from None
    try:
        for name, text in texts.items():
            path = os.path.join(beside, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as stream:
                stream.write(text)
        _move(beside, target)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _check_replaceable(target: str, named: str, names: set[str]) -> None:
    """Only what an export wrote is replaced, and what its Makefile and projects build."""
    if os.path.lexists(target) and not os.path.isdir(target):
        raise ValueError(f"{named} is a file, and the circuit takes a folder")
    parent = os.path.dirname(target)
    if os.path.lexists(parent) and not os.path.isdir(parent):
        raise ValueError(f"{named} is to be in {parent}, which is no folder")
    there = set(os.listdir(target)) if os.path.isdir(target) else set()
    foreign = sorted(there - names - BUILT) if FACTS in there else sorted(there)
    if foreign:
        raise ValueError(f"{named} holds {foreign[0]!r}, which no export wrote: name another folder, or an empty one")


def _move(new: str, target: str) -> None:
    old = new + "-old"
    if os.path.isdir(target):
        os.rename(target, old)
    try:
        os.rename(new, target)
    except OSError:
        with contextlib.suppress(OSError):
            os.rename(old, target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def layer_texts(W: Any, design: Design, vectors: int) -> dict[str, str]:
    """The files of a layer's folder."""
    estimate = dataclasses.asdict(estimate_of(design))
    facts = {"version": 1, "complsparse": __version__, "clock_ns": design.clock_ns, "ids": design.ids, **estimate}
    texts = {
        FACTS: json.dumps(facts, indent=2) + "\n",
        "README.md": readme.text(design),
        "config.hpp": sources.config(design),
        "tables.hpp": sources.tables(design),
        "top.hpp": sources.top_header(design),
        "top.cpp": sources.top(design),
        "golden/vectors.txt": golden.text(W, design, vectors),
        "rtl/layer.v": wrapper.layer(design),
    }
    for name in ("Makefile", "testbench.cpp", "golden.hpp", "rtl/step.cpp", "rtl/simulation.cpp", "rtl/ports.hpp"):
        texts[name] = (TEMPLATES / os.path.basename(name)).read_text()
    return texts | _common("complsparse_layer", design.clock_ns)


def network_texts(net: Any, pipeline: Pipeline, samples: Any) -> dict[str, str]:
    """The files of a network's folder."""
    estimate = network_estimate_of(pipeline)
    facts = {"version": 1, "complsparse": __version__, "clock_ns": pipeline.clock_ns, **dataclasses.asdict(estimate)}
    texts = {
        FACTS: json.dumps(facts, indent=2) + "\n",
        "README.md": network_page.text(net, pipeline),
        "blocks.hpp": network_sources.blocks(pipeline),
        "top.hpp": network_sources.top_header(pipeline),
        "top.cpp": network_sources.top(pipeline),
        "checks.hpp": network_sources.checks(pipeline),
        "golden/samples.txt": golden.of_network(net, pipeline, samples),
    }
    for name in ("Makefile", "testbench.cpp", "golden.hpp", "rtl/simulation.cpp"):
        texts[name] = (TEMPLATES / f"network_{os.path.basename(name)}").read_text()
    for name in ("ports.hpp", "memory.v"):
        texts[f"rtl/{name}"] = (TEMPLATES / name).read_text()
    texts |= network_rtl.texts(pipeline)
    return texts | _common("complsparse_network", pipeline.clock_ns)


def _common(top: str, clock_ns: float) -> dict[str, str]:
    """Project files for synthesis, the headers, and what prints Verilog."""
    texts = {"rtl/ir_to_verilog.py": pathlib.Path(__file__).with_name("ir_to_verilog.py").read_text()}
    for name in ("run_hls.tcl", "hls_config.cfg"):
        text = (TEMPLATES / name).read_text()
        for mark, value in {"@PART@": PART, "@CLOCK@": f"{clock_ns:g}", "@TOP@": top}.items():
            text = text.replace(mark, value)
        texts[f"vitis/{name}"] = text
    headers = pathlib.Path(get_include())
    for path in sorted(headers.rglob("*.hpp")):
        texts[f"include/{path.relative_to(headers).as_posix()}"] = path.read_text()
    return texts
