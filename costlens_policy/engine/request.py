"""Step 1, the request: checked against the declared attributes, defaults filled in, unknown names refused."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from costlens_policy.compiler.attributes import RequestAttribute
from costlens_policy.compiler.plan import Plan
from costlens_policy.documents.targets import OUTPUT_LIMIT, OUTPUT_LIMIT_NAMES
from costlens_policy.errors import RequestError
from costlens_policy.expressions import Value

__all__ = ["admit_request"]

_BESIDE: Final = ("model", "prompt", "messages", "tools", "modalities", "response_format")
"""Attributes that rules and estimates look at. Hidden among the parameters they would be sent unseen."""


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
            admitted[name] = admit[name](value)
        except KeyError:
            problems.append(_unknown(plan, name))
        except ValueError as problem:
            problems.append(f"`{name}` {problem}")
    if "params" in admitted:
        problems.extend(_examine_params(plan.attributes, admitted))
    for name, default in plan.filled_in:
        if name not in admitted:
            admitted[name] = default
    if not plan.required <= admitted.keys():
        problems.extend(f"`{name}` is required" for name in plan.attributes if name in plan.required - admitted.keys())
    if "prompt" in admitted and "messages" in admitted:
        problems.append("give `prompt` or `messages`, not both")
    if problems:
        raise RequestError(tuple(problems))
    return admitted


def _examine_params(attributes: Mapping[str, RequestAttribute], admitted: dict[str, Value]) -> Iterator[str]:
    """Bring the output limit, whatever its name, to the attribute that rules read, so that it passes none unseen."""
    params: Mapping[str, Value] = admitted["params"]
    for name in _BESIDE:
        if name in params:
            yield f"`params` must not hold `{name}`; give it beside `params`"
    for name in OUTPUT_LIMIT_NAMES:
        if params.get(name) is None:
            continue
        try:
            limit = attributes[OUTPUT_LIMIT].admit(params[name])
        except ValueError as problem:
            yield f"`params` .{name} {problem}"
        else:
            if admitted.setdefault(OUTPUT_LIMIT, limit) != limit:
                yield f"`params` .{name} is not what `{OUTPUT_LIMIT}` is; give the output limit once"


def _unknown(plan: Plan, name: object) -> str:
    close = difflib.get_close_matches(str(name), plan.attributes, n=1, cutoff=0.6)
    hint = f"; did you mean `{close[0]}`?" if close else "; declare it under `attributes` of the policy set"
    return f"unknown attribute `{name}`{hint}"
