"""A small model of tasks, written by hand, and one of difficulty."""

from __future__ import annotations

from typing import Final

from costlens_policy.signals.learned import LearnedModel, Training

TRAINING: Final = Training(
    "2026-11-30", "by hand", 0, "0" * 64, {"code": 3, "math": 2}, {"held_out": {"accuracy": 0.5}}
)

TASKS: Final = LearnedModel(
    "task",
    ("code", "math", "talk"),
    (0, -4, 8),
    {
        "code": {
            "words": {"function": 320, "def": 400, "_": 120},
            "pairs": {"a function": 160},
            "endings": {"ing": -40},
            "form": {"code 3": 96},
        },
        "math": {"words": {"solve": 320, "0": 96, "=": 160}, "beginnings": {"equa": 320}, "last": {"?": 10}},
        "talk": {"first": {"hello": 640}, "words": {"weather": 320, "天": 320}, "pairs": {"天 气": 160}},
    },
    TRAINING,
)

DIFFICULTY: Final = LearnedModel(
    "difficulty",
    ("easy", "hard"),
    (0, 0),
    {"easy": {"words": {"hello": 320}}, "hard": {"words": {"prove": 640}, "form": {"length 13": 64}}},
    TRAINING,
)
