"""Training of learned signals: linear models that tell the task of a prompt, or its difficulty."""

from __future__ import annotations

from costlens_policy.fit.learning.assessing import HeldOut
from costlens_policy.fit.learning.labeled import Labeled, difficulty_of, labeled_difficulty, labeled_tasks, tasks_of
from costlens_policy.fit.learning.prompts import Prompts, read_prompts
from costlens_policy.fit.learning.training import Trained, train

__all__ = [
    "HeldOut", "Labeled", "Prompts", "Trained", "difficulty_of", "labeled_difficulty", "labeled_tasks", "read_prompts",
    "tasks_of", "train",
]  # fmt: skip
