"""What an expression may name, and the values that those names have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import reduce
from pathlib import Path
from typing import Any, Final

from costlens_policy.catalogue import Model
from costlens_policy.checker import CheckedBundle, LinkedBundle, check
from costlens_policy.checker.attributes import (
    ASKED_MODEL,
    ROOT_TYPES,
    SIGNALS,
    STANDARD_ATTRIBUTES,
    model_record,
    model_values,
    request_record,
)
from costlens_policy.checker.expressions import Environments, limits_of, records_of
from costlens_policy.cli.exit_codes import RejectedError
from costlens_policy.cli.inputs import Input, bad_request, read_input
from costlens_policy.clock import system_now
from costlens_policy.compiler.attributes import request_attributes
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.diagnostics.suggestion import did_you_mean, listed
from costlens_policy.engine.signals import SignalValues
from costlens_policy.expressions import (
    DEFAULT_LIMITS,
    DYN,
    Environment,
    Field,
    Limits,
    Type,
    TypedExpr,
    Value,
    list_of,
    map_of,
    optional_of,
)
from costlens_policy.expressions.compile import compile_expression
from costlens_policy.expressions.functions.costs import Sizes
from costlens_policy.expressions.limits import DEFAULT_RUN_LIMITS, RunLimits
from costlens_policy.expressions.runtime import AdmissionError, CelError, admit, from_python
from costlens_policy.expressions.runtime.collections import value_of_key
from costlens_policy.expressions.runtime.equality import kind_of
from costlens_policy.expressions.values import OptionalValue
from costlens_policy.frozen import frozen

__all__ = ["Surroundings", "of_values", "surroundings", "type_by_shape"]


@frozen
class Surroundings:
    """``values`` has what is known of the environment's variables; ``run_limits`` are those of one evaluation."""

    environment: Environment
    values: Mapping[str, Value]
    limits: Limits = DEFAULT_LIMITS
    run_limits: RunLimits = DEFAULT_RUN_LIMITS


def of_values(values: Mapping[str, Value]) -> Surroundings:
    """Return surroundings in which every variable has a value, and the type that the value shows."""
    return Surroundings(Environment({name: type_by_shape(value) for name, value in values.items()}), values)


def type_by_shape(value: Value) -> Type:
    """Return the type that a value shows; lists and maps of unlike parts, and empty ones, hold ``dyn``."""
    if isinstance(value, list | tuple):
        return list_of(_common(map(type_by_shape, value)))
    if isinstance(value, dict):
        keys = _common(type_by_shape(value_of_key(key)) for key in value)
        return map_of(keys, _common(map(type_by_shape, value.values())))
    if isinstance(value, OptionalValue):
        return optional_of(DYN)
    return DYN if value is None else Type(kind_of(value))


def _common(types: Iterable[Type]) -> Type:
    """Return the type of all; where they differ, of the parts that agree."""
    return reduce(_meet, dict.fromkeys(types), None) or DYN


def _meet(known: Type | None, other: Type) -> Type:
    if known is None or known == other:
        return other
    if known.name != other.name or not known.parameters:
        return DYN
    return Type(known.name, tuple(map(_meet, known.parameters, other.parameters)))


_NAME: Final = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*")
_ROOTS: Final = ("request", "model", "estimate", "budgets", "now")


def surroundings(values_path: str | None, policy_set: Path | None, *, types_only: bool = False) -> Surroundings:
    """Return what expressions may name. Raises ``PolicyError`` and ``RejectedError``.

    With neither values nor a policy set, types are those that every policy set starts from.
    """
    if types_only and values_path is None and policy_set is None:
        environments = Environments((request_record(STANDARD_ATTRIBUTES, Sizes(DEFAULT_LIMITS)), model_record()))
        return Surroundings(environments.of(_ROOTS), {})
    given = None if values_path is None else read_input(values_path, "object of variables")
    if given is not None and not isinstance(given.content, dict):
        problem = bad_request("variables must be an object of names and values", given.place(()), "write `name: value`")
        raise RejectedError([problem], (given.source,))
    if policy_set is None:
        return of_values({} if given is None else _Reader(given).values())
    return _declared(check(policy_set), given)


class _Reader:
    """Turns given values into those of expressions, and collects what is wrong with any."""

    def __init__(self, given: Input) -> None:
        self.given = given
        self.content: Mapping[str, Any] = given.content
        self._problems: list[Diagnostic] = []

    def values(self) -> dict[str, Value]:
        """Return values by their names, whatever they are. Raises ``RejectedError``."""
        found = dict(self._each())
        self.finish()
        return found

    def report(self, message: str, path: tuple[str, ...], help: str = "", *, key: bool = False) -> None:
        place = self.given.key_place(path) if key else self.given.place(path)
        self._problems.append(bad_request(message, place, help))

    def finish(self) -> None:
        if self._problems:
            raise RejectedError(self._problems, (self.given.source,))

    def _each(self) -> Iterator[tuple[str, Value]]:
        for name, value in self.content.items():
            if not _NAME.fullmatch(name):
                self.report(f"`{name}` cannot be a name in an expression", (name,), _NAMES_ARE, key=True)
                continue
            try:
                yield name, from_python(value)
            except AdmissionError as problem:
                self.report(f"`{name}` {problem}", (name,))


_NAMES_ARE: Final = "a name consists of letters, digits and `_`, and does not start with a digit"


def _declared(bundle: CheckedBundle, given: Input | None) -> Surroundings:
    linked = bundle.linked
    document = linked.policy_set.document
    limits = limits_of(document.limits)
    variables = {
        str(path[1]): typed for path, typed in bundle.typed_of(linked.policy_set).items() if path[0] == "variables"
    }
    fields = {name: Field(typed.type) for name, typed in variables.items()}
    roots = (*_ROOTS, "variables") if variables else _ROOTS
    environment = Environments(records_of(linked), linked.data, shared=fields).of(roots)
    values = _Admission(bundle.linked, environment, given).values()
    if "variables" in values:
        types = {**environment.variables, "variables": type_by_shape(values["variables"])}
        environment = replace(environment, variables=types)
    elif variables:
        values["variables"] = _evaluated(variables, values)
    return Surroundings(environment, values, limits, RunLimits(document.limits.iterations, document.limits.value_size))


def _evaluated(variables: Mapping[str, TypedExpr], values: Mapping[str, Value]) -> dict[str, Value]:
    """Return the variables of the policy set for given values; one that fails is absent."""
    found: dict[str, Value] = {}
    known = {root: values.get(root) for root in ROOT_TYPES} | {"variables": found}
    for name, typed in variables.items():
        with suppress(CelError):
            found[name] = compile_expression(typed, tuple(known))(*known.values())
    return found


def _ignored(_name: str, _problem: str) -> None:
    """Take note of a signal that failed; it is absent."""


class _Admission:
    """Holds given values to what the policy set declares. A request may leave out what is required."""

    def __init__(self, linked: LinkedBundle, environment: Environment, given: Input | None) -> None:
        self._attributes = request_attributes(linked.attributes)
        self._linked = linked
        self._environment = environment
        self._reader = None if given is None else _Reader(given)

    def values(self) -> dict[str, Value]:
        defaults = {name: item.default for name, item in self._attributes.items() if item.default is not None}
        values: dict[str, Value] = {"request": defaults, "now": from_python(system_now())}
        if self._reader is not None:
            for name, value in self._reader.content.items():
                self._root(self._reader, name, value, values)
            self._reader.finish()
        asked = self._linked.catalogue.find(values["request"].get("model", ""))
        if asked is not None:
            values["request"][ASKED_MODEL] = self._facts(asked)
        if signals := self._linked.signals.by_name:
            values["request"][SIGNALS] = SignalValues(signals, dict(values["request"]), _ignored)
        return values

    def _root(self, reader: _Reader, name: str, value: Any, values: dict[str, Value]) -> None:
        if name == "request" and isinstance(value, Mapping):
            values[name] |= dict(self._request(reader, value))
        elif name == "model" and isinstance(value, str):
            values |= self._model(reader, value)
        elif name == "data":
            reader.report("`data` is read from the data documents of the policy set", (name,), key=True)
        elif name in ROOT_TYPES:
            self._other_root(reader, name, value, values)
        else:
            reader.report(f"unknown name `{name}`", (name,), f"a policy set declares {listed(ROOT_TYPES)}", key=True)

    def _other_root(self, reader: _Reader, name: str, value: Any, values: dict[str, Value]) -> None:
        declared = Type("dyn") if name == "variables" else ROOT_TYPES[name]
        try:
            values[name] = admit(value, declared, self._environment.records)
        except AdmissionError as problem:
            reader.report(f"`{name}` {problem}", (name,))

    def _request(self, reader: _Reader, request: Mapping[str, Any]) -> Iterator[tuple[str, Value]]:
        known = self._attributes
        for name, value in request.items():
            if name not in known:
                help = did_you_mean(name, known) or "declare it under `attributes` of the policy set"
                reader.report(f"unknown attribute `{name}`", ("request", name), help, key=True)
            elif value is not None:
                try:
                    yield name, known[name].admit(value)
                except ValueError as problem:
                    reader.report(f"`{name}` {problem}", ("request", name))

    def _model(self, reader: _Reader, name: str) -> dict[str, Value]:
        """Return the record ``model`` of a model of the catalogue."""
        catalogue = self._linked.catalogue
        model = catalogue.find(name)
        if model is None:
            help = did_you_mean(name, catalogue.models)
            reader.report(f"the catalogue has no model `{name}`", ("model",), help)
            return {}
        return {"model": self._facts(model)}

    def _facts(self, model: Model) -> dict[str, Value]:
        """Return the facts of a model on the day of ``now``."""
        given = None if self._reader is None else self._reader.content.get("now")
        day = (given if isinstance(given, datetime) else system_now()).date()
        return model_values(model, model.period_on(day), day)
