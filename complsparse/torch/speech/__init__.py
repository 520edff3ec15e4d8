# SPDX-License-Identifier: BSD-3-Clause
"""Training of the GSC speech network on real speech; `python -m complsparse train-gsc` runs it."""

from complsparse.torch.speech._augment import Augmentation, Images
from complsparse.torch.speech._features import WORDS, Clips, read_clips
from complsparse.torch.speech._model import speech_model
from complsparse.torch.speech._training import Recipe, Trainer, decisions

__all__ = ["WORDS", "Augmentation", "Clips", "Images", "Recipe", "Trainer", "decisions", "read_clips", "speech_model"]
