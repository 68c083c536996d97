"""How often providers ran their tools in a call, as their responses tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from costlens_policy.usage.numbers import fields_of, has_fields
from costlens_policy.usage.reported import Reported

__all__ = ["uses_in"]

_CALL: Final = "_call"
_FREE_ACTIONS: Final = frozenset({"open_page", "find", "find_in_page"})
"""Of OpenAI's web searches only the searches cost (API reference, ``web_search_call``)."""


def uses_in(value: Any, reported: Reported) -> Mapping[str, int] | None:
    """Return the uses of each tool by its name, where a response counts all of them; None where it does not tell.

    Anthropic counts them in the usage; OpenAI's responses list each call among their output.
    """
    if reported.shape == "anthropic":
        return {"web_search": reported.web_searches, "web_fetch": reported.web_fetches}
    output = _output_of(value)
    if output is None:
        return None
    uses: dict[str, int] = {}
    for item in output:
        fields = fields_of(item) if has_fields(item) else {}
        kind = fields.get("type")
        if isinstance(kind, str) and kind.endswith(_CALL):
            name = kind.removesuffix(_CALL)
            uses[name] = uses.get(name, 0) + _uses(fields.get("action"))
    return uses


def _output_of(value: Any) -> list[Any] | None:
    """Return the output of a response of OpenAI's, also of one that an event or a line of a batch holds."""
    for _ in range(3):
        if not has_fields(value):
            return None
        fields = fields_of(value)
        output = fields.get("output")
        if isinstance(output, list):
            return output
        value = fields.get("response") or fields.get("body")
    return None


def _uses(action: Any) -> int:
    """Return for how many uses a call is billed: one search may be several."""
    fields = fields_of(action) if has_fields(action) else {}
    if fields.get("type") in _FREE_ACTIONS:
        return 0
    queries = fields.get("queries")
    return max(1, len(queries)) if isinstance(queries, list) else 1
