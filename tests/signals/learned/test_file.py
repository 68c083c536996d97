"""Files of learned models: what is written is read, and nothing else is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from costlens_policy.signals.learned import ModelError, read_model, written
from costlens_policy.signals.learned.file import LARGEST, _digest
from tests.signals.learned.models import DIFFICULTY, TASKS


def _changed(path: tuple[str | int, ...], value: Any, *, sealed: bool = True) -> str:
    """Return the file of the tasks with one change; sealed, its digest is right."""
    top = json.loads(written(TASKS))
    place = top
    for key in path[:-1]:
        place = place[key]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    if sealed:
        top["digest"] = _digest({key: item for key, item in top.items() if key != "digest"})
    return json.dumps(top)


@pytest.mark.parametrize("model", [TASKS, DIFFICULTY])
def test_what_is_written_is_read(model: Any) -> None:
    text = written(model)
    assert read_model(text) == model
    assert written(read_model(text)) == text
    assert read_model(json.dumps(json.loads(text))) == model  # formatting means nothing


def test_the_file_shows_the_features_of_each_label() -> None:
    assert '      "words": {"function": 320, "def": 400, "_": 120}' in written(TASKS).splitlines()[10]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "line 1, column 1: the file is not readable as JSON"),
        ('{"format": ', "line 1, column 12"),
        ("[]", "the file must be an object, got a list"),
        ("{}", "the file is not a model: it has no `format`"),
        ('{"format": 1, "format": 2}', "`format` stands twice"),
        ('{"format": NaN}', "`NaN`"),
        ('{"format": ' + "9" * 5000 + "}", "too long"),
        ("[" * 100_000, "nested too deeply"),
        (" " * (LARGEST + 1), "at most 4,000,000 characters"),
    ],
)
def test_what_is_no_model_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ModelError, match=problem.replace("[", r"\[")):
        read_model(text)


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        (("format",), "other/v2", "`format` must be `costlens-policy/learned-signal/v1`, got `other/v2`"),
        (("features",), 99, "`features` must be 1, the version of features of this program, got 99"),
        (("features",), True, "`features` must be an integer, got a boolean"),
        (("tells",), "mood", "`tells` must be `task` or `difficulty`, got `mood`"),
        (("tells",), "difficulty", "`classes` must be"),
        (("classes",), ["a"], "`classes` must be 2 to 500 different classes, got 1"),
        (("classes", 0), 3, "`classes\\[0\\]` must be a string"),
        (("biases",), [1], "`biases` must be 3 numbers"),
        (("biases", 1), 0.5, "`biases\\[1\\]` must be an integer, got `0.5`"),
        (("weights", "code", "words", "def"), 99_999, "`weights.code.words.def` must be an integer from -32767"),
        (("weights", "code", "sounds"), {}, "`weights.code` has the unknown key `sounds`"),
        (("weights", "code"), None, "`weights` lacks `code`"),
        (("training", "seed"), None, "`training` lacks `seed`"),
        (("training", "cases", "code"), "3", "`training.cases.code` must be an integer, got a string"),
        (("more",), 1, "the file has the unknown key `more`"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_refused_with_its_place(path: tuple[str, ...], value: Any, problem: str) -> None:
    with pytest.raises(ModelError, match=problem):
        read_model(_changed(path, value))


def test_an_edited_file_is_refused() -> None:
    with pytest.raises(ModelError, match="`digest` does not match the content"):
        read_model(_changed(("weights", "code", "words", "def"), 1, sealed=False))


def test_weights_beyond_exact_sums_are_refused() -> None:
    many = {f"w{at}": 32_767 for at in range(70_000)}
    with pytest.raises(ModelError, match=r"`weights\.code` weighs too much"):
        read_model(_changed(("weights", "code", "words"), many))
