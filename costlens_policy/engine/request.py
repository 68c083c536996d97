"""Step 1, the request: checked against the declared attributes, defaults filled in, unknown names refused."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from costlens_policy.compiler.attributes import RequestAttribute
from costlens_policy.compiler.plan import Plan
from costlens_policy.documents.parameters import (
    LONGEST_NAME,
    OUTPUT_LIMIT,
    OUTPUT_LIMIT_NAMES,
    advice,
    steering,
    steering_inside,
)
from costlens_policy.errors import RequestError
from costlens_policy.expressions import Value

__all__ = ["admit_request"]


def admit_request(plan: Plan, request: Mapping[str, Any]) -> dict[str, Value]:
    """Return the request as expressions see it: a new dict of CEL values.

    An attribute that is ``None`` counts as absent. Raises ``RequestError`` with every problem.
    """
    if type(request) is not dict and not isinstance(request, Mapping):
        raise RequestError((f"a request is an object with attributes, not {type(request).__name__}",))
    admitted: dict[str, Value] = {}
    problems: list[str] = []
    admit = plan.admit
    for name, value in request.items():
        if value is None:
            continue
        try:
            admitted[name if type(name) is str else str.__str__(name)] = admit[name](value)
        except KeyError:
            problems.append(_unknown(plan, name))
        except ValueError as problem:
            problems.append(_placed(name, str(problem)))
    if "params" in admitted:
        problems.extend(_examine_params(plan, admitted))
    if plan.filled_in:
        problems.extend(_fill_in(plan, admitted))
    if not plan.required <= admitted.keys():
        problems.extend(f"`{name}` is required" for name in plan.attributes if name in plan.required - admitted.keys())
    if "prompt" in admitted and "messages" in admitted:
        problems.append("give `prompt` or `messages`, not both")
    if problems:
        raise RequestError(tuple(problems))
    return admitted


def _fill_in(plan: Plan, admitted: dict[str, Value]) -> Iterator[str]:
    for name, default in plan.filled_in:
        if name not in admitted:
            admitted[name] = default
            if name == "params":
                yield from _examine_params(plan, admitted)


def _examine_params(plan: Plan, admitted: dict[str, Value]) -> Iterator[str]:
    yield from _steering_params(admitted, plan.admitted_params)
    yield from _read_limits(plan.attributes, admitted)


def _steering_params(admitted: Mapping[str, Value], open_to: frozenset[str]) -> Iterator[str]:
    """Refuse parameters that would decide again what the policies decide: they would be sent unseen."""
    params: Mapping[str, Value] = admitted["params"]
    for name, value in params.items():
        if len(name) > LONGEST_NAME:
            yield f"`params` holds a name of more than {LONGEST_NAME} characters"
            continue
        row = steering(name)
        if row is not None and name not in open_to:
            yield f"`params` must not hold `{name}`; {advice(name, row)}"
            continue
        if row is not None and row.uncounted and "prompt_tokens" not in admitted:
            yield f"`params.{name}` adds text that nobody can count; give `prompt_tokens` with it"
        if type(value) is dict or type(value) is list:
            for path, inner in steering_inside(name, value, open_to):
                yield f"`params` must not hold `{path}`; {advice(path, inner)}"


def _read_limits(attributes: Mapping[str, RequestAttribute], admitted: dict[str, Value]) -> Iterator[str]:
    """Bring the output limit, whatever its name, to the attribute that rules read, so that it passes none unseen."""
    params: Mapping[str, Value] = admitted["params"]
    for name in OUTPUT_LIMIT_NAMES:
        if params.get(name) is None:
            continue
        try:
            limit = attributes[OUTPUT_LIMIT].admit(params[name])
        except ValueError as problem:
            yield f"`params.{name}` {problem}"
        else:
            if admitted.setdefault(OUTPUT_LIMIT, limit) != limit:
                yield f"`params.{name}` is not what `{OUTPUT_LIMIT}` is; give the output limit once"


def _placed(name: str, problem: str) -> str:
    """Say what is wrong with an attribute, or at which place inside it."""
    if not problem.startswith((".", "[")):
        return f"`{name}` {problem.lstrip()}"
    place, _, rest = problem.partition(" ")
    return f"`{name}{place}` {rest}"


def _unknown(plan: Plan, name: object) -> str:
    close = difflib.get_close_matches(str(name), plan.attributes, n=1, cutoff=0.6)
    hint = f"; did you mean `{close[0]}`?" if close else "; declare it under `attributes` of the policy set"
    return f"unknown attribute `{name}`{hint}"
