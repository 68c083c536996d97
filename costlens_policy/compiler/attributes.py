"""Request attributes as the engine admits them: one function for each attribute, and one for each shape of a request.

A service asks with the same few attributes again and again. For each such shape a function is generated that admits all
of their values, in half of the time that walking over them takes. It answers for requests in which everything is as it
should be; what is wrong with others is found by walking over them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from costlens_policy.checker.attributes import WARM_TOKENS
from costlens_policy.expressions import BOOL, DOUBLE, INT, STRING, Type, Value
from costlens_policy.expressions.runtime import admitter, of_library
from costlens_policy.frozen import frozen, rebuilt
from costlens_policy.money import usd
from costlens_policy.runs import RUN, run_problem

if TYPE_CHECKING:
    from costlens_policy.checker.attributes import DeclaredAttribute
    from costlens_policy.signals import Signal

__all__ = ["MOST_TOKENS", "Admit", "RequestAttribute", "Shapes", "request_attributes"]


Admit: TypeAlias = Callable[[Any], Value]

_INT_MAX: Final = 2**63 - 1
_SURELY_EXACT_FROM: Final = 1e-12
_SURELY_EXACT_TO: Final = 1e14
"""Doubles between these, which have at most 17 digits, are amounts of money; others are examined digit by digit."""
MOST_TOKENS: Final = 10**9
"""Of a prompt or an output; with more, a cost could be beyond what any ledger holds."""
_TOKENS: Final = frozenset({"prompt_tokens", "max_output_tokens"})


@rebuilt
@frozen
class RequestAttribute:
    """A declared attribute, whose values are checked for type, range and, where declared, membership and size.

    ``admit`` turns a caller's value into a CEL value or raises ``ValueError`` with what is wrong; ``default`` may be
    given as either. ``check`` is Python for the values that are admitted as they are, as far as that is said quickly:
    ``{value}`` stands for the value and ``{values}`` for those that are declared. The flags are those of
    ``DeclaredAttribute``.
    """

    name: str
    type: Type
    required: bool = False
    default: Value | None = None
    values: tuple[str, ...] = ()
    max_size: int | None = None
    label: bool = False
    recorded: bool = False
    engine_reads: bool = False
    never_negative: bool = False
    signals: tuple[Signal, ...] = ()
    admit: Admit = field(init=False, repr=False, compare=False)
    check: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        admit = _admission(self)
        object.__setattr__(self, "admit", admit)
        object.__setattr__(self, "check", _quick_check(self))
        object.__setattr__(self, "default", None if self.default is None else admit(self.default))


def request_attributes(declared: Mapping[str, DeclaredAttribute]) -> dict[str, RequestAttribute]:
    """Return all attributes of a policy set by their names."""
    return {
        name: RequestAttribute(
            name,
            attribute.type,
            attribute.required,
            attribute.default,
            attribute.values,
            attribute.max_size,
            attribute.label,
            attribute.recorded,
            attribute.engine_reads,
            attribute.never_negative,
            attribute.signals,
        )
        for name, attribute in declared.items()
    }


_Copy: TypeAlias = Callable[[Mapping[str, Any]], dict[str, Value] | None]
"""Returns a request admitted, without defaults. Returns None, or raises ``ValueError``, for one to be walked over."""

_MOST_SHAPES: Final = 64
"""Shapes that are kept: more than the services of one policy set have."""


class Shapes(dict[tuple[str, ...], _Copy]):
    """The functions by the names of the attributes, in the order of the request. Each is made when it first comes up;
    two threads may do so at once, to the same effect.
    """

    __slots__ = ("_attributes", "_required")

    def __init__(self, attributes: Mapping[str, RequestAttribute], required: Collection[str]) -> None:
        super().__init__()
        self._attributes = attributes
        self._required = frozenset(required)

    def __missing__(self, names: tuple[str, ...]) -> _Copy:
        made = self._made(names)
        if len(self) < _MOST_SHAPES:
            self[names] = made
        return made

    def _made(self, names: tuple[str, ...]) -> _Copy:
        given = frozenset(names)
        if len(self) >= _MOST_SHAPES or not self._required <= given <= self._attributes.keys() or given >= _EITHER:
            return _walked_over
        return _generated([self._attributes[name] for name in names])


_EITHER: Final = frozenset({"prompt", "messages"})
"""A request has one of these at most."""


def _walked_over(_: Mapping[str, Any]) -> None:
    """Admit nothing: there is something wrong with the names already."""


def _generated(attributes: list[RequestAttribute]) -> _Copy:
    """Return a function of one line for each attribute, and one that makes the copy.

    That is, for the attribute ``team``: ``v0 = request["team"]``, ``if not (type(v0) is str): v0 = admit0(v0)``.
    """
    known: dict[str, Any] = {"inf": math.inf}
    lines = ["def copy(request):"]
    for index, attribute in enumerate(attributes):
        value = f"v{index}"
        known[f"admit{index}"], known[f"values{index}"] = attribute.admit, frozenset(attribute.values)
        lines.append(f"    {value} = request[{attribute.name!r}]")
        if attribute.check:
            lines.append(f"    if not ({attribute.check.format(value=value, values=f'values{index}')}):")
        else:
            lines += [f"    if {value} is None:", "        return None", "    else:"]
        lines.append(f"        {value} = admit{index}({value})")
    entries = ", ".join(f"{attribute.name!r}: v{index}" for index, attribute in enumerate(attributes))
    exec(compile("\n".join([*lines, f"    return {{{entries}}}"]), "<shape>", "exec"), known)
    copy: _Copy = known["copy"]
    return copy


def _admission(attribute: RequestAttribute) -> Admit:
    if attribute.signals:
        return _signals({item.name: item for item in attribute.signals})
    check = _SCALARS.get(attribute.type) or admitter(attribute.type)
    if attribute.max_size is not None:
        check = _no_larger(check, attribute.max_size)
    if attribute.values:
        check = _one_of(check, frozenset(attribute.values))
    if attribute.name in _TOKENS:
        check = _tokens(check)
    elif attribute.name == RUN:
        check = _run(check)
    elif attribute.name == WARM_TOKENS:
        check = _tokens_by_model(check)
    elif attribute.never_negative:
        check = _not_negative(check)
    return _money(check) if attribute.name == "cost_budget" else check


def _quick_check(attribute: RequestAttribute) -> str:
    """Return a condition that holds for no other values than ``admit`` returns unchanged; empty where there is none."""
    name, kind = attribute.name, attribute.type
    if name == RUN:
        return ""
    if kind == STRING:
        size = "" if attribute.max_size is None else f" and len({{value}}) <= {attribute.max_size}"
        return "type({value}) is str" + size + (" and {value} in {values}" if attribute.values else "")
    if kind == BOOL:
        return "type({value}) is bool"
    if kind == INT:
        low = 0 if name in _TOKENS or attribute.never_negative else -_INT_MAX - 1
        return f"type({{value}}) is int and {low} <= {{value}} <= {MOST_TOKENS if name in _TOKENS else _INT_MAX}"
    if kind == DOUBLE and name == "cost_budget":
        return f"type({{value}}) is float and {_SURELY_EXACT_FROM} <= {{value}} <= {_SURELY_EXACT_TO}"
    if kind == DOUBLE:
        return "type({value}) is float and " + (
            "0 <= {value} < inf" if attribute.never_negative else "-inf < {value} < inf"
        )
    return ""


def _string(value: Any) -> str:
    if type(value) is str:
        return value
    if isinstance(value, str):
        return str.__str__(value)  # a subclass could compare or hash as no text does
    return _otherwise(_string, "a string", value)  # type: ignore[no-any-return]  # what it returns itself


def _int(value: Any) -> int:
    if type(value) is int and -_INT_MAX - 1 <= value <= _INT_MAX:
        return value
    if not isinstance(value, int) or isinstance(value, bool):
        return _otherwise(_int, "an integer", value)  # type: ignore[no-any-return]  # what it returns itself
    number = int.__index__(value)
    if type(value) is int or not -_INT_MAX - 1 <= number <= _INT_MAX:
        raise ValueError("is outside the range of 64-bit integers")
    return number


def _double(value: Any) -> float:
    if type(value) is float and -math.inf < value < math.inf:
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return _otherwise(_double, "a number", value)  # type: ignore[no-any-return]  # what it returns itself
    try:
        number = float.__float__(value) if isinstance(value, float) else float(value)
    except (OverflowError, ValueError):  # a signaling NaN
        number = math.inf
    if not math.isfinite(number):
        raise ValueError("must be a finite number")
    return number


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    return _otherwise(_bool, "true or false", value)  # type: ignore[no-any-return]  # what it returns itself


def _otherwise(admit: Admit, expected: str, value: Any) -> Value:
    """Admit what a value of another library, such as numpy, stands for."""
    plain = of_library(value)
    if plain is value:
        raise ValueError(f"must be {expected}, not {_kind(value)}")
    return admit(plain)


def _one_of(check: Admit, values: frozenset[str]) -> Admit:
    def member(value: Any) -> Value:
        admitted = check(value)
        if admitted not in values:
            raise ValueError(f"must be one of {', '.join(f'`{item}`' for item in sorted(values))}")
        return admitted

    return member


def _no_larger(check: Admit, size: int) -> Admit:
    def sized(value: Any) -> Value:
        admitted = check(value)
        if len(admitted) > size:
            what = "characters" if isinstance(admitted, str) else "elements"
            raise ValueError(f"may have {size:,} {what}, and this has {len(admitted):,}")
        return admitted

    return sized


def _signals(known: Mapping[str, Signal]) -> Admit:
    """Return what admits the values of signals: of their types and within their ranges; None where one is absent."""

    def admit(value: Any) -> Value:
        if not isinstance(value, Mapping):
            raise ValueError(f"must be an object of signals, not {_kind(value)}")
        return {str(name): _signal(known, name, given) for name, given in value.items()}

    return admit


def _signal(known: Mapping[str, Signal], name: Any, value: Any) -> Value:
    signal = known.get(name) if isinstance(name, str) else None
    if signal is None:
        from costlens_policy.diagnostics.suggestion import did_you_mean

        near = did_you_mean(str(name), known)
        raise ValueError(f".{name} is not a signal of the policy set" + (f"; {near}" if near else ""))
    if value is None:
        return None
    try:
        return _within(signal, _SIGNALS[signal.type](value))
    except ValueError as problem:
        raise ValueError(f".{name} {problem}") from None


def _within(signal: Signal, value: Value) -> Value:
    if signal.labels and value not in signal.labels:
        raise ValueError(f"must be one of {', '.join(f'`{item}`' for item in sorted(signal.labels))}")
    if signal.range is not None and not signal.range[0] <= value <= signal.range[1]:
        raise ValueError(f"must be from {signal.range[0]:g} to {signal.range[1]:g}")
    return value


def _tokens(check: Admit) -> Admit:
    def count(value: Any) -> Value:
        if type(value) is int and 0 <= value <= MOST_TOKENS and check is _int:
            return value
        admitted = check(value)
        if admitted < 0:
            raise ValueError("must not be negative")
        if admitted > MOST_TOKENS:
            raise ValueError(f"must be at most {MOST_TOKENS:,}")
        return admitted

    return count


def _tokens_by_model(check: Admit) -> Admit:
    def counts(value: Any) -> Value:
        admitted = check(value)
        for model, tokens in admitted.items():
            if not 0 <= tokens <= MOST_TOKENS:
                raise ValueError(f".{model} must be from 0 to {MOST_TOKENS:,} tokens, got `{tokens}`")
        return admitted

    return counts


def _run(check: Admit) -> Admit:
    def path(value: Any) -> Value:
        admitted = check(value)
        if problem := run_problem(admitted):
            raise ValueError(problem)
        return admitted

    return path


def _not_negative(check: Admit) -> Admit:
    def bounded(value: Any) -> Value:
        admitted = check(value)
        if admitted < 0:
            raise ValueError("must not be negative")
        return admitted

    return bounded


def _money(check: Admit) -> Admit:
    def amount(value: Any) -> Value:
        if type(value) is float and _SURELY_EXACT_FROM <= value <= _SURELY_EXACT_TO:
            return value
        admitted = check(value)
        try:
            usd(admitted)
        except ValueError as problem:
            raise ValueError(f"must be an amount of US dollars: {problem}") from None
        return admitted

    return amount


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, Mapping):
        return "an object"
    names = {str: "a string", bool: "a boolean", int: "an integer", float: "a number", list: "a list", tuple: "a list"}
    return names.get(type(value), f"a value of type {type(value).__name__}")


_SIGNALS: Final[Mapping[str, Admit]] = {"string": _string, "int": _int, "double": _double, "bool": _bool}
_SCALARS: Final[dict[Type, Admit]] = {STRING: _string, INT: _int, DOUBLE: _double, BOOL: _bool}
