"""Learned signals: linear models over words and characters that tell the task of a text, or its difficulty."""

from __future__ import annotations

from costlens_policy.signals.learned.file import ModelError, read_model, written
from costlens_policy.signals.learned.model import LearnedModel, Training, explain, heaviest_of, weigh

__all__ = ["LearnedModel", "ModelError", "Training", "explain", "heaviest_of", "read_model", "weigh", "written"]
