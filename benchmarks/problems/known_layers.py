# SPDX-License-Identifier: BSD-3-Clause
"""Layers of known networks: MobileNetV2, BERT, and pruned ones from the folder of data, at the sizes that they see."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.problems.convolutions import Layer
from benchmarks.problems.data import NoData, read_smtx
from benchmarks.problems.matrices import seed_of

# The 1 x 1 layers that widen a block by six, and what follows them: a depthwise layer, which stays dense.
EXPANSIONS = tuple(
    Layer(channels, 6 * channels, size, 1) for channels, size in ((24, 56), (32, 28), (64, 14), (96, 14), (160, 7))
)
DEPTHWISE = tuple(Layer(layer.filters, layer.filters, layer.size, groups=layer.filters) for layer in EXPANSIONS)


@dataclass(frozen=True)
class Linear:
    """A linear layer over the vectors of a sequence."""

    inputs: int
    outputs: int
    sequence: int

    @property
    def name(self) -> str:
        return f"{self.inputs}->{self.outputs} sequence {self.sequence}"

    def vectors(self) -> NDArray[np.float32]:
        """(sequence, inputs)."""
        return np.random.default_rng(self.sequence).standard_normal((self.sequence, self.inputs), dtype=np.float32)

    def weight(self, block: int, set_size: int) -> NDArray[np.float32]:
        """(outputs, inputs): that of a 1 x 1 layer."""
        return Layer(self.inputs, self.outputs, 1, 1).weight(block, set_size)[:, :, 0, 0]


BERT = tuple(
    Linear(inputs, outputs, sequence)
    for sequence in (128, 384)
    for inputs, outputs in ((768, 768), (768, 3072), (3072, 768))
)


@dataclass(frozen=True)
class Pruned:
    """A layer whose filters come from a file."""

    name: str
    layer: Layer
    weight: Callable[[], NDArray[np.float32]]


# --- ResNet-50 of the Deep Learning Matrix Collection ----------------------------------------------------------------

_PICK = re.compile(r"rn50__(\w+)__(0\.\d+)__(bottleneck_(\d)_block_group\w+)\.smtx\.gz")


def _filters_of_rows(path: Path, shape: tuple[int, int, int], seed: int) -> NDArray[np.float32]:
    """Columns there are (tap, channel), as TensorFlow writes them out."""
    filters, channels, kernel = shape
    dense = read_smtx(path, seed).toarray()
    return np.ascontiguousarray(dense.reshape(filters, kernel, kernel, channels).transpose(0, 3, 1, 2))


def dlmc_layers(folder: Path, percent: int) -> Iterator[Pruned]:
    """Of ResNet-50 pruned to so many percent, by any method, at the output sizes that the collection lists."""
    picks = folder / "dlmc"
    sizes = picks / "rn50_batchsizes.txt"
    if not sizes.is_file():
        raise NoData(f"{sizes} is not there")
    pixels = dict(line.split(",") for line in sizes.read_text().split())
    for path in sorted((picks / "picks").glob("rn50__*.smtx.gz")):
        match = _PICK.fullmatch(path.name)
        if match is None or round(100 * float(match[2])) != percent:
            continue
        kernel = 3 if match[4] == "2" else 1
        csr = read_smtx(path, 0)
        filters, channels = csr.shape[0], csr.shape[1] // kernel**2
        layer = Layer(channels, filters, math.isqrt(int(pixels[match[3]])), kernel)
        name = f"{match[1]} {match[3].removeprefix('bottleneck_')} {layer.name}"
        yield Pruned(
            name, layer, functools.partial(_filters_of_rows, path, (filters, channels, kernel), seed_of(path.name))
        )


# --- the sparse networks of MediaPipe --------------------------------------------------------------------------------

# The size of the images that each convolution sees, by the number in its name: up to which number, size.
_SIZES = {
    "hand_landmark": ((2, 112), (6, 56), (10, 28), (22, 14), (30, 7)),
    "face_detection_full_range": (
        *((4, 96), (10, 48), (16, 24), (22, 12), (31, 6), (32, 12), (37, 12), (43, 24), (46, 48)),
    ),
}
_OTHER_SIZES = {"face_detection_full_range": {38: 24, 44: 48}}  # branches


def _tensor(path: Path, name: str) -> NDArray[np.float32]:
    with np.load(path, allow_pickle=False) as file:
        return np.ascontiguousarray(file[name].astype(np.float32).transpose(0, 3, 1, 2))


def mediapipe_layers(folder: Path) -> Iterator[Pruned]:
    """The 1 x 1 convolutions of both networks."""
    for network, sizes in _SIZES.items():
        path = folder / "mediapipe_sparse" / f"{network}_sparse_decoded.npz"
        if not path.is_file():
            raise NoData(f"{path} is not there")
        with np.load(path, allow_pickle=False) as file:
            shapes = {name: file[name].shape for name in file.files}
        for tensor, shape in shapes.items():
            match = re.search(r"conv2d_(\d+)\|Conv2D_dequantize", tensor)
            if match is None:
                continue
            number = int(match[1])
            size = _OTHER_SIZES.get(network, {}).get(number) or next(size for last, size in sizes if number <= last)
            layer = Layer(shape[3], shape[0], size, 1)
            yield Pruned(f"{network} conv2d_{number} {layer.name}", layer, functools.partial(_tensor, path, tensor))
