# SPDX-License-Identifier: BSD-3-Clause
"""Spoken words as log-mel spectrograms, computed once from a folder of clips and kept in a file."""

from __future__ import annotations

import csv
import hashlib
import os
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.fft
import scipy.io.wavfile
from numpy.typing import NDArray

from complsparse._files.saved import write_members
from complsparse._progress import progress

RATE = 16_000
WINDOW = 1024  # 64 ms
STEP = 128  # between stored frames
STRIDE = 4  # stored frames between those of an image
BANDS = FRAMES = 32  # of an image
LOWEST, HIGHEST = 60.0, 8000.0  # Hz
FLOOR = 1e-7  # added to the power of a band before the logarithm
WORDS = ("_silence_", "_unknown_", "yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
LABELS = {word: label for label, word in enumerate(WORDS)}
_VERSION = 1  # of what is kept; a new one where the numbers above change


class Clips(NamedTuple):
    """Spectrograms of clips, and what was said.

    Attributes
    ----------
    log_mel : ndarray of float16, shape (N, 126, 32)
        By frame, 8 ms apart, and band; an image of the network is every fourth frame.
    labels : ndarray of uint8, shape (N,)
        Indices of `WORDS`.
    folds : ndarray of uint8, shape (N,)
        Of the speaker; no speaker is in two.
    """

    log_mel: NDArray[np.float16]
    labels: NDArray[np.uint8]
    folds: NDArray[np.uint8]

    def chosen(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> Clips:
        return Clips(self.log_mel[which], self.labels[which], self.folds[which])

    def split(self, fold: int) -> tuple[Clips, Clips]:
        """Those of the other folds, to learn from, and those of this one, to test on."""
        if not (self.folds == fold).any() or (self.folds == fold).all():
            raise ValueError(f"fold={fold} is none of {', '.join(map(str, np.unique(self.folds)))}, or the only one")
        return self.chosen(self.folds != fold), self.chosen(self.folds == fold)


@cache
def mel_bank() -> NDArray[np.float32]:
    """Triangles of equal width in mel, shape (BANDS, WINDOW // 2 + 1)."""
    mel = np.linspace(_mel(LOWEST), _mel(HIGHEST), BANDS + 2)
    hertz = 700 * (10 ** (mel / 2595) - 1)
    bins = np.arange(WINDOW // 2 + 1) * RATE / WINDOW
    left, centre, right = (hertz[i : i + BANDS, None] for i in range(3))
    rising, falling = (bins - left) / (centre - left), (right - bins) / (right - centre)
    return np.maximum(np.minimum(rising, falling), 0).astype(np.float32)


def _mel(hertz: float) -> float:
    return 2595 * np.log10(1 + hertz / 700)  # type: ignore[no-any-return]


def log_mel(samples: NDArray[np.float32]) -> NDArray[np.float16]:
    """Of one clip, cut or filled with silence to a second: shape (126, BANDS)."""
    second = np.zeros(RATE + WINDOW, np.float32)
    samples = samples[:RATE]
    second[WINDOW // 2 : WINDOW // 2 + len(samples)] = samples
    frames = np.lib.stride_tricks.sliding_window_view(second, WINDOW)[::STEP]
    spectra = scipy.fft.rfft(frames * np.hanning(WINDOW).astype(np.float32), axis=1)
    power = spectra.real**2 + spectra.imag**2
    of_bands: NDArray[np.float32] = np.log(power @ mel_bank().T + np.float32(FLOOR * WINDOW))
    return of_bands.astype(np.float16)


def read_clips(folder: str | os.PathLike[str], kept: str | os.PathLike[str] | None = None, *, every: int = 1) -> Clips:
    """The clips that a folder's ``index.csv`` lists, as features.

    Parameters
    ----------
    folder : path
        With ``index.csv`` (columns file, label, fold5), or with a ``gsc_v2_test_flac`` or ``speech/gsc_v2_test_flac``
        that has it. The files are ``.wav``, or others that the package soundfile reads.
    kept : path, optional
        The file that features are kept in, as ``.npz``. By default one in the user's cache folder, named after the
        index.
    every : int
        Only every so many rows of the index, which are not kept.

    Raises
    ------
    FileNotFoundError
        No index there.
    ValueError
        A label or a fold that is unknown; audio that is not at 16 kHz.
    ImportError
        soundfile is needed, and not installed.
    """
    root = _root(Path(folder))
    index = (root / "index.csv").read_bytes()
    if every > 1:
        return _computed(root, index.decode(), every)
    path = _cache_path(index) if kept is None else Path(kept)
    key = hashlib.sha256(index + bytes([_VERSION])).hexdigest()
    if path.exists():
        with np.load(path, allow_pickle=False) as found:
            if "key" in found and str(found["key"]) == key:
                return Clips(found["log_mel"], found["labels"], found["folds"])
    clips = _computed(root, index.decode(), 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_members(path, {**clips._asdict(), "key": np.array(key)})
    return clips


def _root(folder: Path) -> Path:
    for place in (folder, folder / "gsc_v2_test_flac", folder / "speech" / "gsc_v2_test_flac"):
        if (place / "index.csv").exists():
            return place
    raise FileNotFoundError(f"{folder}: no index.csv here, nor in gsc_v2_test_flac or speech/gsc_v2_test_flac")


def _cache_path(index: bytes) -> Path:
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return caches / "complsparse" / f"speech-{hashlib.sha256(index).hexdigest()[:12]}-{_VERSION}.npz"


def _computed(root: Path, index: str, every: int) -> Clips:
    rows = list(csv.DictReader(index.splitlines()))[::every]
    if not rows or not {"file", "label", "fold5"} <= set(rows[0]):
        raise ValueError(f"{root / 'index.csv'}: rows with columns file, label and fold5 are expected")
    for row in rows:
        if row["label"] not in LABELS or not str(row["fold5"]).isdecimal():
            raise ValueError(f"{row['file']}: label {row['label']!r} or fold {row['fold5']!r} is unknown")
    features = []
    with progress("features of", len(rows)) as step:
        for row in rows:
            step(row["file"])
            features.append(log_mel(_samples(root / row["file"])))
    labels, folds = [LABELS[row["label"]] for row in rows], [int(row["fold5"]) for row in rows]
    return Clips(np.stack(features), np.array(labels, np.uint8), np.array(folds, np.uint8))


def _samples(path: Path) -> NDArray[np.float32]:
    """Of the first channel, from -1 to 1."""
    if path.suffix == ".wav":
        rate, integers = scipy.io.wavfile.read(path)
        if integers.dtype != np.int16:
            raise ValueError(f"{path.name} has samples of {integers.dtype}; int16 is expected")
        samples = integers.astype(np.float32) / 2**15
    else:
        try:
            import soundfile
        except ImportError as error:
            raise ImportError(f"{path.name} needs soundfile: pip install 'complsparse[speech]' ({error})") from error
        samples, rate = soundfile.read(path, dtype="float32")
    if rate != RATE:
        raise ValueError(f"{path.name} has {rate} samples a second; {RATE} are expected")
    return samples if samples.ndim == 1 else samples[:, 0]  # type: ignore[no-any-return]
