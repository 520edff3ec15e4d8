# SPDX-License-Identifier: BSD-3-Clause
"""A million outputs of each of these exported layers, in C simulation of GCC and of Clang and twice in RTL simulation,
against the CPU library: ``COMPLSPARSE_DATA=DIR python tests/tools/hls_long.py [NAME]...``. Ends with status 1 where
one differs."""

import os
import pathlib
import re
import sys
import tempfile

import numpy as np
from hls_folders import make, random_matrix
from hls_speech import speech_network
from hls_tools import clang, tool

import complsparse as cs

OUTPUTS = 1_000_000


def of_speech(layer):
    net, _ = speech_network("sparse_sparse")
    return next(node.layer.W for node in net._nodes if node.name == layer)


def of_vocoder():
    """As tests/hls/test_export.py quantises it."""
    from test_data import read_lyra

    folder = pathlib.Path(os.environ["COMPLSPARSE_DATA"]) / "lyra_wavegru" / "raw"
    weights, _ = read_lyra(folder / "lyra_16khz_proj_weights.raw.gz")
    return cs.from_dense(np.rint(weights * (127 / np.abs(weights).max())).astype(np.int8))


def balanced():
    return cs.random((32, 64), density=1 / 8, dtype=np.int8, rng=0)


def unbalanced():
    return cs.from_dense(random_matrix(20, 37, 0.15), strategy="strict")


def least():
    return cs.from_dense(np.full((3, 5), -128, dtype=np.int8))


# Matrix, design, and whether its RTL is simulated too.
LAYERS = {
    **{f"balanced, {n} lanes": (balanced, {"lanes": n}, True) for n in (1, 8, 64)},
    **{f"balanced, {n} lanes, activations routed": (balanced, {"lanes": n, "route": "activations"}, True)
       for n in (8, 16, 64)},
    **{f"balanced, {n} of 9 winners": (balanced, {"winners": 9, "parallel_winners": n}, True) for n in (1, 2, 3)},
    "not balanced, 5 of 37 winners, uint8": (
        unbalanced, {"winners": 37, "parallel_winners": 5, "activations": "uint8"}, True),
    "not balanced, 8 lanes, written at run time": (unbalanced, {"lanes": 8, "ids": "runtime"}, True),
    "all -128": (least, {"lanes": 2}, True),
    "empty": (lambda: cs.from_dense(np.zeros((4, 9), dtype=np.int8)), {"lanes": 4}, True),
    "one entry": (lambda: cs.from_dense(np.array([[-128]], dtype=np.int8)), {"lanes": 1}, True),
    "vocoder, 8 lanes": (of_vocoder, {"lanes": 8}, False),
    "vocoder, 4 of 64 winners": (of_vocoder, {"winners": 64, "parallel_winners": 4}, False),
    "speech conv1, 13 lanes, uint8": (lambda: of_speech("0"), {"lanes": 13, "activations": "uint8"}, False),
    "speech conv2, 7 of 150 winners": (lambda: of_speech("3"), {"winners": 150, "parallel_winners": 7}, False),
    "speech linear, 1 of 150 winners": (lambda: of_speech("7"), {"winners": 150}, False),
    "speech output, 1 of 150 winners": (lambda: of_speech("9"), {"winners": 150}, False),
}  # fmt: skip


def run(name, folder):
    """The lines of the simulations, all of whose sums are right."""
    source, design, rtl = LAYERS[name]
    W = source()
    cs.hls.export(W, folder, vectors=-(-OUTPUTS // W.shape[0]), **design)
    printed = []
    for compiler, goal in ((tool("g++"), "csim"), (clang(), "csim"), (tool("g++"), "rtl"))[: 3 if rtl else 2]:
        make(folder, "clean")
        done = make(folder, goal, f"CLANG={clang()}", f"CXX={compiler}")
        printed += re.findall(r"^(?:C simulation|RTL).*", done.stdout, re.MULTILINE)
        if done.returncode:
            print(done.stdout[-500:], done.stderr[-500:], file=sys.stderr)
            return printed, False
    return printed, True


def main():
    right = True
    for name in sys.argv[1:] or LAYERS:
        with tempfile.TemporaryDirectory() as folder:
            lines, ended_well = run(name, pathlib.Path(folder) / "layer")
        right = right and ended_well
        print(f"{name}: {'right' if ended_well else 'WRONG'}", *lines, sep="\n  ", flush=True)
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
