# SPDX-License-Identifier: BSD-3-Clause
"""Networks of sparse and dense layers, run in one call.

Layers are put into a `Sequential` or a `Graph`, which is compiled for the shape of its input on first use: batch norms
and activations become part of the products before them, images go through convolutions and pools one at a time, and
k-winners hand their winners on, so that weight and activation sparsity multiply.
"""

from complsparse.nn._compare import Comparison, LayerNoise
from complsparse.nn._convolution import Conv1d, Conv2d
from complsparse.nn._elementwise import (
    GELU,
    Add,
    BatchNorm,
    HardSwish,
    LeakyReLU,
    Mul,
    ReLU,
    ReLU6,
    SiLU,
    Softmax,
)
from complsparse.nn._gsc import gsc_network
from complsparse.nn._integers import Dequantize, QClip, Quantize
from complsparse.nn._layer import Layer
from complsparse.nn._linear import Linear
from complsparse.nn._loaded import load
from complsparse.nn._network import Graph, Net, Sequential
from complsparse.nn._plan import NetPlan
from complsparse.nn._pools import AvgPool2d, GlobalAvgPool2d, MaxPool2d
from complsparse.nn._qproducts import QConv2d, QLinear
from complsparse.nn._report import LayerProfile, Profile
from complsparse.nn._shapes import Concat, Flatten
from complsparse.nn._winners import KWinners

__all__ = [
    "GELU",
    "Add",
    "AvgPool2d",
    "BatchNorm",
    "Comparison",
    "Concat",
    "Conv1d",
    "Conv2d",
    "Dequantize",
    "Flatten",
    "GlobalAvgPool2d",
    "Graph",
    "HardSwish",
    "KWinners",
    "Layer",
    "LayerNoise",
    "LayerProfile",
    "LeakyReLU",
    "Linear",
    "MaxPool2d",
    "Mul",
    "Net",
    "NetPlan",
    "Profile",
    "QClip",
    "QConv2d",
    "QLinear",
    "Quantize",
    "ReLU",
    "ReLU6",
    "Sequential",
    "SiLU",
    "Softmax",
    "gsc_network",
    "load",
]
