"""Step 1, the request: checked against the declared attributes, defaults filled in, unknown names refused."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from costlens_policy.compiler.plan import Plan
from costlens_policy.errors import RequestError
from costlens_policy.expressions import Value

__all__ = ["admit_request"]


def admit_request(plan: Plan, request: Mapping[str, Any]) -> dict[str, Value]:
    """Return the request as expressions see it: a new dict of CEL values.

    An attribute that is ``None`` counts as absent. Raises ``RequestError`` with every problem.
    """
    if not isinstance(request, Mapping):
        raise RequestError((f"a request is an object with attributes, not {type(request).__name__}",))
    admitted: dict[str, Value] = {}
    problems: list[str] = []
    attributes = plan.attributes
    for name, value in request.items():
        if value is None:
            continue
        try:
            admitted[name] = attributes[name].admit(value)
        except KeyError:
            problems.append(_unknown(plan, name))
        except ValueError as problem:
            problems.append(f"`{name}` {problem}")
    for name, default in plan.filled_in:
        if name not in admitted:
            admitted[name] = default
    problems.extend(f"`{name}` is required" for name in plan.required if name not in admitted)
    if "prompt" in admitted and "messages" in admitted:
        problems.append("give `prompt` or `messages`, not both")
    if problems:
        raise RequestError(tuple(problems))
    return admitted


def _unknown(plan: Plan, name: object) -> str:
    close = difflib.get_close_matches(str(name), plan.attributes, n=1, cutoff=0.6)
    hint = f"; did you mean `{close[0]}`?" if close else "; declare it under `attributes` of the policy set"
    return f"unknown attribute `{name}`{hint}"
