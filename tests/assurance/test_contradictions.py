"""No proof that nothing meets a goal is contradicted by requests: random conditions, tried near their constants.

The values are made here from the constants alone, so that critical values are held against others than themselves.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from costlens_policy.assurance.domain import Domain, Every, Found, Goal, Holds, Not, Nothing, Undecided
from costlens_policy.compiler import compile_plan
from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.plan import Plan
from costlens_policy.engine.request import admit_request
from costlens_policy.errors import RequestError
from costlens_policy.expressions.runtime import CelError, from_python
from tests.assurance.conftest import checked

NOW: Final = datetime(2026, 1, 5, 12, 30, tzinfo=UTC)
ATTRIBUTES: Final = """\
  t: {type: string}
  n: {type: int}
  x: {type: double}
  l: {type: list(string)}
  k: {type: list(int)}
  m: {type: "map(string, string)"}
  w: {type: timestamp}
"""
_SIGNS: Final = ("<", "<=", ">", ">=", "==", "!=")
_FEW: Final = 60
"""Values of an attribute that are tried beside those of others."""

_WORDS: Final = (
    "", "\0", "\uffff", "\U0010ffff", "a", "A", "ab", "abc", "ba", "b", "other", "o", "ot", "x", "1.2", "1.3", "1.10",
    "Zz", "😀", "😁", "é", "eu-", "eu-west", "-west", "core", "CORE", "Core",
)  # fmt: skip
_INTEGERS: Final = (
    0, 1, -1, 2, 3, 7, 18, 999, 1000, 1001, 2**53, 2**53 + 1, -(2**53), 2**62, 2**63 - 1, -(2**63), 2**63 - 513,
)  # fmt: skip
_DOUBLES: Final = (
    0.0, -0.0, 0.5, 1.0, -1.5, 2.5, 1e-300, 5e-324, 1.7976931348623157e308, 2.0**53, 2.0**53 + 2, 2.0**63, -(2.0**63),
    1.7e18, 1e20, 999.5,
)  # fmt: skip
_TIMES: Final = (
    "0001-01-01T00:00:00Z", "1945-06-01T12:00:00Z", "2026-01-05T12:30:00Z", "2026-01-05T12:30:00.5Z",
    "2026-01-05T12:30:00.500001Z", "2026-01-05T12:30:00.500000002Z", "2026-01-05T13:30:00+01:00",
    "9999-12-31T23:59:59Z",
)  # fmt: skip


class Conditions:
    """Makes conditions, and keeps the constants that they are made of."""

    def __init__(self, random: Random, names: Sequence[str]) -> None:
        self._random = random
        self._names = names
        few = random.randint(1, 4)
        self.words = [self._word() for _ in range(few)]
        self.integers = random.choices(_INTEGERS, k=few)
        self.doubles = random.choices(_DOUBLES, k=few)
        self.times = random.choices(_TIMES, k=2)
        self._atoms: Mapping[str, Callable[[], str]] = {
            "t": self._text, "n": self._integer, "x": self._double, "l": self._list, "k": self._numbers,
            "m": self._map, "w": self._time,
        }  # fmt: skip

    def condition(self, depth: int = 2) -> str:
        kind = self._random.random()
        if depth == 0 or kind < 0.3:
            return self._atoms[self._random.choice(self._names)]()
        if kind < 0.8:
            sign = self._random.choice(("&&", "&&", "||"))
            return f"({self.condition(depth - 1)} {sign} {self.condition(depth - 1)})"
        if kind < 0.93:
            return f"!({self.condition(depth - 1)})"
        return f"({self.condition(depth - 1)} ? {self.condition(depth - 1)} : {self.condition(depth - 1)})"

    def _word(self) -> str:
        return "".join(self._random.choices(_WORDS, k=self._random.choice((1, 1, 1, 2))))

    def _one(self, items: Sequence[Any]) -> Any:
        return self._random.choice(items)

    def _sign(self) -> str:
        return self._one(_SIGNS)

    def _place(self, name: str, default: str) -> str:
        return self._one((f"request.{name}", f"request.?{name}.orValue({default})"))

    def _text(self) -> str:
        word = text(self._one(self.words))
        place = self._place("t", text(self._one(self.words)))
        size = self._one((0, 1, 2, 3, 4, 7))
        return self._one((
            f"{place} {self._sign()} {word}",
            f"{place} {self._sign()} {word}",
            f"{word} {self._sign()} {place}",
            f"{place}.startsWith({word})",
            f"{place}.startsWith({word})",
            f"{place}.endsWith({word})",
            f"{place}.contains({word})",
            f"{place}.lowerAscii() {self._one(('==', '!=', '<'))} {word}",
            f"{place}.upperAscii() == {word}",
            f"{place}.lowerAscii().startsWith({word})",
            f"size({place}) {self._sign()} {size}",
            f"{place}.size() {self._sign()} {size}.5",
            f"{place}.matches({self._one(QUOTED_PATTERNS)})",
            f"{place} in [{word}, {text(self._one(self.words))}]",
            f"{place} + {word} == {text(self._one(self.words))}",
            "has(request.t)",
            "request.?t.hasValue()",
            f"({place} == {word} ? {size} : 2) > 1",
        ))  # fmt: skip

    def _integer(self) -> str:
        place = self._place("n", number(self._one(self.integers)))
        value, other = number(self._one(self.integers)), number(self._one(self.integers))
        double = number(self._one(self.doubles))
        times = self._one((-3, -1, 2, 3))
        return self._one((
            f"{place} {self._sign()} {value}",
            f"{value} {self._sign()} {place}",
            f"{place} {self._sign()} {double}",
            f"{place} {self._sign()} {double}",
            f"{place} * {times} {self._sign()} {value}",
            f"{place} * {times} {self._sign()} {double}",
            f"{place} + {value} - {other} {self._sign()} {double}",
            f"{value} - {place} {self._sign()} {other}",
            f"{place} {self._sign()} {times} * 0 + 5",
            f"{place} % 3 == 1",
            f"{place} / 2 {self._sign()} {value}",
            f"{place} in [{value}, {other}]",
            f"-{place} > {value}",
            f"double({place}) {self._sign()} {double}",
            "has(request.n)",
        ))  # fmt: skip

    def _double(self) -> str:
        place = self._place("x", number(self._one(self.doubles)))
        value, integer = number(self._one(self.doubles)), number(self._one(self.integers))
        return self._one((
            f"{place} {self._sign()} {value}",
            f"{place} {self._sign()} {value}",
            f"{value} {self._sign()} {place}",
            f"{place} {self._sign()} {integer}",
            f"{place} * 2.0 {self._sign()} {value}",
            f"1.0 / {place} {self._sign()} {value}",
            f"{place} in [{value}]",
            "has(request.x)",
        ))  # fmt: skip

    def _list(self) -> str:
        one, other = text(self._one(self.words)), text(self._one(self.words))
        place = self._place("l", self._one(("[]", f"[{one}]")))
        size = self._one((0, 1, 2, 3, 4))
        return self._one((
            f"{one} in {place}",
            f"{one} in {place}",
            f"{place}.exists(i, i == {one})",
            f"{place}.all(i, i == {one} || i == {other})",
            f"{place}.all(i, i != {one})",
            f"{place}.exists(i, i != {one} && i != {other})",
            f"{place}.exists(i, i.startsWith({one}))",
            f"{place}.exists_one(i, i == {one})",
            f"size({place}) {self._sign()} {size}",
            f"{place} == [{one}]",
            f"{place} == [{one}, {other}]",
            f"{place}[0] == {one}",
            "has(request.l)",
        ))  # fmt: skip

    def _numbers(self) -> str:
        one, double = number(self._one(self.integers)), number(self._one(self.doubles))
        place = self._place("k", "[]")
        return self._one((
            f"{one} in {place}",
            f"{place}.exists(i, i == {one})",
            f"{place}.exists(i, i > {one})",
            f"{place}.all(i, i != {one})",
            f"{place}.exists(i, i == {double})",
            f"size({place}) {self._sign()} {self._one((0, 1, 2))}",
        ))  # fmt: skip

    def _map(self) -> str:
        one, other = text(self._one(self.words)), text(self._one(self.words))
        place = self._place("m", "{}")
        return self._one((
            f"{one} in {place}",
            f"request.?m[?{one}].orValue({other}) {self._sign()} {other}",
            f"{place}[{one}] {self._sign()} {other}",
            f"{place}.exists(i, i == {one})",
            f"{place}.all(i, i != {one})",
            f"size({place}) {self._sign()} {self._one((0, 1, 2))}",
            f"{place} == {{{one}: {other}}}",
            "has(request.m)",
            f"has(request.m) && has(request.m.{self._one(('a', 'x', 'core'))})",
        ))  # fmt: skip

    def _time(self) -> str:
        place = self._place("w", f"timestamp({text(self._one(self.times))})")
        value = f"timestamp({text(self._one(self.times))})"
        return self._one((
            f"{place} {self._sign()} {value}",
            f"{place} {self._sign()} {value}",
            f"{place} in [{value}]",
            f'{place} - {value} < duration("1h")',
            f'{place} < {value} + duration("90s")',
            f"{place}.getHours() == 12",
            "has(request.w)",
        ))  # fmt: skip

    def values(self, name: str) -> list[Any]:
        """Return values of an attribute, None for its absence."""
        return [None, *self._shuffled(getattr(self, f"_{name}_values")())]

    def _shuffled(self, values: Iterator[Any]) -> list[Any]:
        found = list(values)
        self._random.shuffle(found)
        return found

    def _t_values(self) -> Iterator[str]:
        words = self.words
        pairs = ["".join(pair) for pair in itertools.product((*words, "", "a", "o"), repeat=2)]
        for word in {*pairs, *words, "b", "z", "other"}:
            yield from (word, word.lower(), word.upper(), word.title(), word[:-1], word[1:])
            yield from (word + end for end in ("\0", "a", "b", "~", "\U0010ffff", "z" * 5))
            yield from (begin + word for begin in "\0aoz")
            if word:
                yield from (word[:-1] + chr(ord(word[-1]) + step) for step in (-1, 1) if 0 < ord(word[-1]) < 0x10FFFF)
                yield word[0] + "y" + word[1:]
        for one, other in itertools.product(words, repeat=2):  # the end of the one is the beginning of the other
            yield from (one + other[cut:] for cut in range(1, 3))
        yield from ("aaa", "aab", "a1", "Zzz", "1.2", "1.25", "2026-06-15")

    def _n_values(self) -> Iterator[int]:
        near = [value for one in self.integers for value in (one - 1, one, one + 1)]
        for double in self.doubles:
            edges = (double, math.nextafter(double, math.inf), math.nextafter(double, -math.inf))
            whole = [math.floor(edge) for edge in edges if math.isfinite(edge)]
            near += [edge + step for edge in whole for step in (-257, -256, -2, -1, 0, 1, 2, 3, 255, 256)]
        near += [value // step + more for value in near for step in (-3, 2, 3) for more in (0, 1)]
        near += [one - other for one, other in itertools.product(self.integers, repeat=2)]
        near += [self._random.randint(-20, 20) for _ in range(20)] + [self._random.randint(-(2**63), 2**63 - 1)]
        yield from (value for value in near if -(2**63) <= value < 2**63)

    def _x_values(self) -> Iterator[float]:
        for value in (*self.doubles, *map(float, self.integers), 1.0, 0.3):
            for one in (value, value / 2, -value, 1 / value if abs(value) > 1e-300 else 0.0):
                yield from (one, *(math.nextafter(one, to) for to in (math.inf, -math.inf)))

    def _l_values(self) -> Iterator[list[str]]:
        items = [*dict.fromkeys((*self.words, "zz", "z"))][:5]
        for size in range(5):
            yield from map(list, itertools.islice(itertools.product(items, repeat=size), 150))
        yield from (self._random.choices(items, k=self._random.randint(3, 6)) for _ in range(40))

    def _k_values(self) -> Iterator[list[int]]:
        items = [*dict.fromkeys((*self.integers, 5, 2**53))]
        for size in range(4):
            yield from map(list, itertools.islice(itertools.product(items, repeat=size), 80))

    def _m_values(self) -> Iterator[dict[str, str]]:
        keys = [*dict.fromkeys((*self.words, "a", "x", "zz"))][:5]
        for size in range(3):
            for chosen in itertools.combinations(keys, size):
                yield from (dict(zip(chosen, values, strict=True)) for values in itertools.product(keys, repeat=size))

    def _w_values(self) -> Iterator[Any]:
        for text_ in _TIMES:
            at = datetime.fromisoformat(text_)
            for step in (0, 1, 2, 500_000, 999_999, 3_600_000_000, 90_000_000):
                for sign in (1, -1):
                    try:
                        yield (at + sign * timedelta(microseconds=step)).astimezone(UTC)
                    except OverflowError:
                        continue


QUOTED_PATTERNS: Final = ('"^a+$"', '"^a"', '"b$"', '"^(a|b)c?$"', '"[0-9]"')


def text(word: str) -> str:
    """Return a text as CEL writes it, in ASCII."""
    return '"' + "".join(c if c.isascii() and c.isprintable() else f"\\U{ord(c):08x}" for c in word) + '"'


def number(value: float) -> str:
    return repr(value)


def _requests(made: Conditions, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    lists = {name: made.values(name) for name in names}
    if len(names) > 1:
        lists = {name: values[:_FEW] for name, values in lists.items()}
    for values in itertools.product(*lists.values()):
        yield {name: value for name, value in zip(names, values, strict=True) if value is not None}


def contradicted(folder: Path, seed: int) -> str:
    """Return what a proof says and a request contradicts; empty where there is no such."""
    random = Random(seed)
    names = random.choices("tnxlkmw", weights=(6, 3, 2, 3, 1, 2, 1), k=1)
    if random.random() < 0.2:
        names = [*dict.fromkeys((*names, random.choice("tnxlkmw")))]
    made = Conditions(random, names)
    bundle = checked(
        folder, routes=[f"{made.condition()} || false" for _ in range(random.randint(1, 3))], attributes=ATTRIBUTES
    )
    plan = compile_plan(bundle)
    whens = [step.when for step in plan.layers[0].routes if step.when is not None]
    domain = Domain(plan, NOW)
    holds = [Holds(domain.tree(when, 0)) for when in whens]
    seen: dict[tuple[bool | None, ...], dict[str, Any]] = {}
    for request in _requests(made, names):
        seen.setdefault(_outcomes(plan, whens, request), request)
    for outcomes, request in seen.items():
        if None in outcomes:
            continue
        for goal in _goals(holds, outcomes):
            if isinstance(domain.find(goal), Nothing):
                return f"{request} gives {outcomes} of {[when.source for when in whens]}"
    return ""


def _goals(holds: Sequence[Holds], outcomes: Sequence[bool | None]) -> Iterator[Goal]:
    signed = [hold if outcome else Not(hold) for hold, outcome in zip(holds, outcomes, strict=True)]
    yield from signed
    yield Every(signed)


def _outcomes(plan: Plan, whens: Sequence[Formula], request: Mapping[str, Any]) -> tuple[bool | None, ...]:
    try:
        values = admit_request(plan, request)
    except RequestError:
        return (None,)
    now = from_python(NOW)
    outcomes = []
    for when in whens:
        try:
            outcomes.append(when.evaluate(values, {}, {}, None, None, now) is True)
        except CelError:
            outcomes.append(False)
    return tuple(outcomes)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(min_value=0, max_value=2**32))
def test_no_proof_is_contradicted_by_a_request(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    assert not contradicted(tmp_path_factory.mktemp("p"), seed)


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ('request.t < "1.3"', Found),
        ('request.t >= "1.2" && request.t < "1.3"', Found),
        ('request.t >= "2026-06" && request.t < "2026-07" && request.t.startsWith("2026-06-1")', Found),
        ('request.t > "\\uffff" && request.t < "\\U00010000"', Found),
        ('request.t > "a" && request.t < "a\\u0000"', Nothing),
        ('request.t < ""', Nothing),
        ('request.t > "b" && request.t < "a"', Nothing),
        ('request.t.startsWith("ab") && request.t.endsWith("bc") && size(request.t) == 3', Found),
        ('request.t.startsWith("a") && size(request.t) == 2 && request.t != "ao"', Found),
        ('request.t.startsWith("ab") && size(request.t) == 1', Nothing),
        ("size(request.t) > 3.5 && size(request.t) < 4.5", Found),
        ("request.n > 9007199254740992.0 && request.n < 9007199254740994", Nothing),
        ("request.n > 9007199254740992.0", Found),
        ("request.n >= 9223372036854775807.0", Found),
        ("request.n * 2 > 7.5 && request.n * 2 < 8.5", Found),
        ("request.n > 2 * 0 && request.n < 2", Found),
        ("request.x > 9007199254740993", Found),
        ("1.0 / request.x < 0.0 && request.x == 0.0", Found),
        ('request.l == ["a", "b"]', Undecided),
        ("request.l == [] && size(request.l) == 0", Found),
        ('"a" in request.l && "b" in request.l && request.l.all(i, i == "a" || i == "b") && size(request.l) == 3',
         Found),
        ('sets.contains(["a", "b"], request.l) && size(request.l) == 3', Undecided),
        ('request.m.exists(i, i == "a")', Undecided),
        ("size(request.m) > 1000000000", Undecided),
        ('request.w > timestamp("2026-01-01T00:00:00.5Z") && request.w < timestamp("2026-01-01T00:00:00.6Z")', Found),
        ('request.w <= timestamp("0001-01-01T00:00:00Z")', Found),
        ("now.getMinutes() % 7 == 5 && now.getMinutes() > 30", Undecided),
        ('now.getHours("Europe/Berlin") == now.getHours("UTC") + 3', Found),
        ('now.getHours("Europe/Berlin") == now.getHours("UTC") + 4', Nothing),
        ('now.getDayOfYear("Europe/Berlin") == 87 && now.getHours("Europe/Berlin") == 2', Found),
        ("now.getFullYear() % 4 == 3 && now.getFullYear() % 5 == 4", Undecided),
    ],
)  # fmt: skip
def test_what_once_was_proved_wrongly(tmp_path: Path, when: str, expected: type[object]) -> None:
    """What is there may be found; it is never said that there is nothing."""
    plan = compile_plan(checked(tmp_path, routes=[f"{when} || false"], attributes=ATTRIBUTES))
    domain = Domain(plan, NOW)
    result = domain.find(Holds(domain.tree(plan.layers[0].routes[0].when, 0)))
    assert isinstance(result, expected), result
