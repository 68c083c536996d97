"""``frozen`` makes what ``dataclass(frozen=True, slots=True)`` makes: both make the examples, and answer the same."""

from __future__ import annotations

import copy
import inspect
import pickle
import sys
from collections.abc import Callable
from dataclasses import FrozenInstanceError, asdict, astuple, dataclass, field, fields, is_dataclass, replace
from math import nan
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import pytest

from costlens_policy import frozen as frozen_module
from costlens_policy.frozen import frozen, is_frozen

T = TypeVar("T")


def _standard(cls: type | None = None, **options: bool) -> Any:
    made = dataclass(frozen=True, slots=True, **options)  # type: ignore[call-overload]
    return made(cls) if cls is not None else made


def _examples(make: Any) -> list[type]:
    """Return the same classes, made by one decorator."""

    @make
    class Plain:
        """A point."""

        x: int
        y: int = 2

    @make
    class Undocumented:
        only: float

    @make
    class Empty:
        """Nothing."""

    @make
    class Fields:
        """All kinds of fields."""

        kind: ClassVar = "fields"
        name: str
        items: list[int] = field(default_factory=list)
        hidden: int = field(default=1, repr=False)
        aside: int = field(default=1, compare=False)
        apart: list[int] = field(default_factory=list, hash=False)
        derived: str = field(init=False)
        fixed: int = field(default=7, init=False)

        def __post_init__(self) -> None:
            object.__setattr__(self, "derived", self.name * 2)

    @make
    class Below(Plain):
        """A point in space."""

        z: int = 3

    @make
    class Own:
        """Methods of its own."""

        value: int

        def __repr__(self) -> str:
            return "own"

        def __eq__(self, other: object) -> bool:
            return True

    @make
    class Pair(Generic[T]):
        """Of any type."""

        left: T
        right: T

    @make(eq=False)
    class Single:
        """Equal to itself."""

        x: int = 0

    @make(order=True)
    class Ordered:
        """One before another."""

        major: int = 1
        minor: int = field(default=0, compare=False)

    @make(kw_only=True)
    class Named:
        """By name only."""

        x: int = 0
        y: int

    return [Plain, Undocumented, Empty, Fields, Below, Own, Pair, Single, Ordered, Named]


_OURS, _THEIRS = _examples(frozen), _examples(_standard)
_ODD = nan if sys.version_info < (3, 13) else 2.0
"""From Python 3.13 on the standard library compares field by field, so that no NaN equals itself; ours is as before."""
_GIVEN: dict[str, list[dict[str, Any]]] = {
    "Plain": [{"x": 1}, {"x": 1, "y": 3}, {"x": _ODD}],
    "Undocumented": [{"only": _ODD}, {"only": 1.0}],
    "Empty": [{}],
    "Fields": [{"name": "a"}, {"name": "a", "aside": 5}, {"name": "b", "hidden": 2, "items": [1]}],
    "Below": [{"x": 1}, {"x": 1, "z": 4}],
    "Own": [{"value": 1}, {"value": 2}],
    "Pair": [{"left": 1, "right": "b"}],
    "Single": [{}, {"x": 1}],
    "Ordered": [{"major": 1, "minor": 5}, {"major": 2}],
    "Named": [{"y": 1}, {"x": 2, "y": 1}],
}


def _outcome(asked: Callable[[], Any]) -> str:
    try:
        return str(asked())
    except (TypeError, AttributeError) as error:
        return f"{type(error).__name__}: {error}"


def _answers(cls: type) -> list[str]:
    """Return what a class and its instances answer, as texts."""
    made = [cls(**given) for given in _GIVEN[cls.__name__] for _ in range(2)]
    pairs = [(one, other) for one in made for other in made]
    questions: list[Callable[[], Any]] = [
        lambda: inspect.signature(cls),
        lambda: [(item.name, item.type, item.init, item.repr, item.compare) for item in fields(cls)],  # type: ignore[arg-type]
        lambda: cls.__match_args__,  # type: ignore[attr-defined]
        lambda: vars(cls)["__slots__"],
        lambda: [repr(item) for item in made],
        lambda: [one == other for one, other in pairs],
        lambda: [one != other for one, other in pairs],
        lambda: [one < other for one, other in pairs],
        lambda: [one >= other for one, other in pairs],
        lambda: made[0] == 1,
        lambda: made[0] < 1,
        lambda: [hash(one) == hash(other) for one, other in pairs if one == other and cls.__name__ != "Own"],
        lambda: [asdict(item) for item in made],
        lambda: [astuple(item) for item in made],
        lambda: [copy.copy(item) for item in made],
        lambda: [copy.deepcopy(item) for item in made],
        lambda: [replace(item, **_GIVEN[cls.__name__][0]) for item in made],
        lambda: cls(1, 2, 3, 4, 5, 6, 7, 8),
        lambda: cls(unknown=1),
        lambda: hasattr(made[0], "__dict__"),
        lambda: is_dataclass(cls),
    ]
    return [_outcome(question) for question in questions]


@pytest.mark.parametrize(("ours", "theirs"), list(zip(_OURS, _THEIRS, strict=True)), ids=_GIVEN)
def test_a_frozen_class_is_as_the_standard_library_makes_it(ours: type, theirs: type) -> None:
    assert [text.replace("_standard", "frozen") for text in _answers(ours)] == _answers(theirs)
    assert is_frozen(ours)
    assert not is_frozen(theirs)


@pytest.mark.parametrize("cls", _OURS, ids=_GIVEN)
def test_no_field_is_assigned_or_deleted(cls: type) -> None:
    made = cls(**_GIVEN[cls.__name__][0])
    for item in fields(cls):  # type: ignore[arg-type]
        before = getattr(made, item.name)
        with pytest.raises(FrozenInstanceError, match=f"cannot assign to field '{item.name}'"):
            setattr(made, item.name, 1)
        with pytest.raises(FrozenInstanceError, match=f"cannot delete field '{item.name}'"):
            delattr(made, item.name)
        assert getattr(made, item.name) is before
    with pytest.raises(FrozenInstanceError):
        made.other = 1


@frozen
class Node:
    """One that can hold itself."""

    name: str
    children: list[Any] = field(default_factory=list)


def test_a_value_travels_and_one_that_holds_itself_is_shown() -> None:
    node = Node("a", [Node("b")])
    again = pickle.loads(pickle.dumps(node))
    assert again == node
    assert again is not node
    node.children.append(node)
    assert repr(node) == "Node(name='a', children=[Node(name='b', children=[]), ...])"


def test_the_text_of_a_class_without_one_costs_no_signature() -> None:
    assert _OURS[1].__doc__ == "Undocumented(...)"


def test_every_frozen_class_with_slots_is_made_by_it() -> None:
    package = Path(frozen_module.__file__).parent
    slow = [str(path) for path in package.rglob("*.py") if "@dataclass(frozen=True, slots=True" in path.read_text()]
    assert slow == [], "use `@frozen`, which imports in a quarter of the time"
