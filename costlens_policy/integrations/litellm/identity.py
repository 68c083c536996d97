"""Who is asking: from LiteLLM's keys, which it has authenticated; from the client only where that is configured."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from costlens_policy.compiler.attributes import RequestAttribute
from costlens_policy.diagnostics.suggestion import did_you_mean
from costlens_policy.expressions import STRING
from costlens_policy.frozen import frozen
from costlens_policy.guard.errors import GuardError

__all__ = ["TRUSTED", "Caller", "Identity"]

TRUSTED: Final[Mapping[str, tuple[str, ...]]] = {
    "team": ("key.team_alias", "key.team_id"),
    "user": ("key.user_id",),
    "organization": ("key.organization_alias", "key.org_id"),
    "key_alias": ("key.key_alias",),
}
"""Where attributes come from unless configured otherwise; ``key_alias`` is filled where the policy set declares it."""


@frozen
class Caller:
    """What is known of a request's sender: ``key`` and its ``key_metadata`` by LiteLLM, all else by the client."""

    key: Any
    metadata: Mapping[str, Any]
    headers: Mapping[str, str]


_READERS: Final[Mapping[str, Callable[[Caller, str], Any]]] = {
    "key": lambda caller, name: getattr(caller.key, name, None),
    "key_metadata": lambda caller, name: _mapping(getattr(caller.key, "metadata", None)).get(name),
    "team_metadata": lambda caller, name: _mapping(getattr(caller.key, "team_metadata", None)).get(name),
    "metadata": lambda caller, name: caller.metadata.get(name),
    "header": lambda caller, name: caller.headers.get(name.lower()),
}
"""The kinds of source: fields of the key, what its creator noted on it or its team; metadata and headers of clients."""


class Identity:
    """Reads the attributes of a request from its sources, the first that has a value."""

    def __init__(self, declared: Mapping[str, RequestAttribute], configured: Mapping[str, Iterable[str]]) -> None:
        for name in configured:
            if name not in declared:
                meant = did_you_mean(name, sorted(declared))
                raise GuardError(f"`attributes.{name}` is not an attribute of the policy set; {meant}".rstrip("; "))
        sources = {**TRUSTED, **configured}
        self._rows: Final = [
            (name, declared[name], [_source(name, text) for text in texts])
            for name, texts in sources.items()
            if name in declared
        ]

    def of(self, caller: Caller) -> dict[str, Any]:
        """Return the attributes that have a value."""
        values = {}
        for name, declared, sources in self._rows:
            for read, field in sources:
                value = read(caller, field)
                if value is not None and value != "":
                    values[name] = _typed(value, declared)
                    break
        return values


def _source(attribute: str, text: str) -> tuple[Callable[[Caller, str], Any], str]:
    kind, _, field = text.partition(".")
    if kind not in _READERS or not field:
        kinds = ", ".join(f"`{name}.…`" for name in _READERS)
        raise GuardError(f"`attributes.{attribute}` must be one of {kinds}, got `{text}`")
    return _READERS[kind], field


def _typed(value: Any, declared: RequestAttribute) -> Any:
    """Return what a header says as the type that its attribute has; what is not that is for the engine to refuse."""
    if not isinstance(value, str) or declared.type == STRING:
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
