"""The file of a learned model: JSON that a person can read, and data alone.

Under ``weights`` each label has its features, the heaviest first. ``digest`` is the SHA-256 of everything else, so that
a file that was damaged or edited is refused: a model is trained anew, not touched up.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from costlens_policy.signals.learned.features import FAMILIES, VERSION
from costlens_policy.signals.learned.model import DIFFICULTY, HEAVIEST, LearnedModel, Training, Weights

__all__ = ["FORMAT", "LARGEST", "ModelError", "digest_of", "read_model", "written"]

FORMAT: Final = "costlens-policy/learned-signal/v1"
LARGEST: Final = 4_000_000
"""Characters that a file may have; training writes far fewer."""

_KEYS: Final = ("format", "digest", "features", "tells", "classes", "biases", "training", "weights")
_FACTS: Final = ("date", "source", "seed", "data", "cases", "facts")
_MOST_CLASSES: Final = 500
_MOST_IN_A_LANE: Final = (1 << 31) - 1


class ModelError(ValueError):
    """The text is not a learned model that this version evaluates. The message begins with the place."""


def written(model: LearnedModel) -> str:
    """Return the file of a model. The same model gives the same text."""
    content = _content(model)
    head = {"format": content.pop("format"), "digest": digest_of(model)}
    weights = content.pop("weights")
    lines = [f"{_text(key)}: {_text(value)}" for key, value in (head | content).items()]
    labels = [
        f"    {_text(label)}: {{\n"
        + ",\n".join(f"      {_text(family)}: {_text(found)}" for family, found in families.items())
        + "\n    }"
        for label, families in weights.items()
    ]
    return "{\n  " + ",\n  ".join(lines) + ',\n  "weights": {\n' + ",\n".join(labels) + "\n  }\n}\n"


def digest_of(model: LearnedModel) -> str:
    """Return the SHA-256 of all that is in a model, in hexadecimal."""
    return _digest(_content(model))


def read_model(content: str) -> LearnedModel:
    """Return the model of a file. Raises ``ModelError`` where it is damaged, was edited, or is of another version."""
    if len(content) > LARGEST:
        raise ModelError(f"a model file must have at most {LARGEST:,} characters, got {len(content):,}")
    try:
        found = json.loads(content, object_pairs_hook=_unique, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise ModelError(f"line {error.lineno}, column {error.colno}: the file is not readable as JSON") from None
    except ModelError:
        raise
    except (ValueError, RecursionError):
        raise ModelError("the file has a number that is too long, or is nested too deeply") from None
    top = _object(found, "the file", _KEYS, first="format")
    if top["format"] != FORMAT:
        _refuse("format", f"must be `{FORMAT}`, got `{str(top['format'])[:60]}`")
    if _integer(top["features"], "features") != VERSION:
        _refuse("features", f"must be {VERSION}, the version of features of this program, got {top['features']}")
    if _digest({key: value for key, value in top.items() if key != "digest"}) != top["digest"]:
        _refuse("digest", "does not match the content: the file was damaged, or edited after training")
    return _model(top)


def _model(top: Mapping[str, Any]) -> LearnedModel:
    if top["tells"] not in ("task", "difficulty"):
        _refuse("tells", f"must be `task` or `difficulty`, got `{str(top['tells'])[:60]}`")
    classes = tuple(_string(name, f"classes[{at}]") for at, name in enumerate(_list(top["classes"], "classes")))
    if not 2 <= len(classes) <= _MOST_CLASSES or len(set(classes)) != len(classes):
        _refuse("classes", f"must be 2 to {_MOST_CLASSES} different classes, got {len(classes)}")
    if top["tells"] == "difficulty" and classes != DIFFICULTY:
        _refuse("classes", f"must be {list(DIFFICULTY)} for a difficulty")
    biases = _list(top["biases"], "biases")
    if len(biases) != len(classes):
        _refuse("biases", f"must be {len(classes)} numbers, one for each class, got {len(biases)}")
    return LearnedModel(
        top["tells"],
        classes,
        tuple(_weight(bias, f"biases[{at}]") for at, bias in enumerate(biases)),
        _weights(top["weights"], classes),
        _training(top["training"]),
    )


def _weights(value: Any, classes: tuple[str, ...]) -> Weights:
    by_label = _object(value, "weights", classes)
    found: dict[str, dict[str, dict[str, int]]] = {}
    for label in classes:
        place = f"weights.{label}"
        families = _object(by_label[label], place, FAMILIES, needed=False)
        found[label] = {
            family: {
                feature: _weight(weight, f"{place}.{family}.{feature}")
                for feature, weight in _object(weights, f"{place}.{family}").items()
            }
            for family, weights in families.items()
        }
        if sum(abs(weight) for weights in found[label].values() for weight in weights.values()) > _MOST_IN_A_LANE:
            _refuse(place, "weighs too much for exact sums")
    return found


def _training(value: Any) -> Training:
    facts = _object(value, "training", _FACTS)
    cases = _object(facts["cases"], "training.cases")
    return Training(
        _string(facts["date"], "training.date"),
        _string(facts["source"], "training.source"),
        _integer(facts["seed"], "training.seed"),
        _string(facts["data"], "training.data"),
        {label: _integer(count, f"training.cases.{label}") for label, count in cases.items()},
        _object(facts["facts"], "training.facts"),
    )


def _content(model: LearnedModel) -> dict[str, Any]:
    training = model.training
    return {
        "format": FORMAT,
        "features": VERSION,
        "tells": model.tells,
        "classes": list(model.classes),
        "biases": list(model.biases),
        "training": {name: getattr(training, name) for name in _FACTS},
        "weights": {label: model.weights.get(label, {}) for label in model.classes},
    }


def _digest(content: Mapping[str, Any]) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        _refuse(next(name for name in names if names.count(name) > 1), "stands twice in one object")
    return found


def _no_number(text: str) -> NoReturn:
    raise ModelError(f"every number must be finite, got `{text}`")


def _object(
    value: Any, place: str, keys: tuple[str, ...] = (), *, first: str = "", needed: bool = True
) -> dict[str, Any]:
    """Return an object whose keys are among ``keys``, and where ``needed`` all of them; without ``keys``, any."""
    if not isinstance(value, dict):
        _refuse(place, f"must be an object, got {_named(value)}")
    if first and first not in value:
        _refuse(place, f"is not a model: it has no `{first}`")
    missing = [key for key in keys if key not in value] if needed else []
    unknown = [key for key in value if key not in keys] if keys else []
    if missing or unknown:
        _refuse(place, f"lacks `{missing[0]}`" if missing else f"has the unknown key `{unknown[0][:60]}`")
    return value


def _list(value: Any, place: str) -> list[Any]:
    return value if isinstance(value, list) else _refuse(place, f"must be a list, got {_named(value)}")


def _string(value: Any, place: str) -> str:
    return value if isinstance(value, str) else _refuse(place, f"must be a string, got {_named(value)}")


def _integer(value: Any, place: str) -> int:
    return value if type(value) is int else _refuse(place, f"must be an integer, got {_named(value)}")


def _weight(value: Any, place: str) -> int:
    if abs(_integer(value, place)) > HEAVIEST:
        _refuse(place, f"must be an integer from -{HEAVIEST} to {HEAVIEST}, got {value}")
    return int(value)


def _named(value: Any) -> str:
    return {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}.get(
        type(value), f"`{str(value)[:30]}`"
    )


def _refuse(place: str, problem: str) -> NoReturn:
    raise ModelError(f"`{place}` {problem}" if place != "the file" else f"{place} {problem}")
