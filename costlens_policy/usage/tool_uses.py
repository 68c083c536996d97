"""How often providers ran their tools in a call, as their responses tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from costlens_policy.usage.numbers import Fields, count, fields_of, has_fields, snake
from costlens_policy.usage.reported import Reported, ToolUses, UsageError

__all__ = ["BESIDE", "COUNTING", "uses_in"]

_Ask: TypeAlias = Callable[[str], Any]

_HOLDERS: Final = {
    "server_tool_use": "_requests", "serverToolUse": "_requests",
    "server_side_tool_usage_details": "_calls", "connectors": "",
}  # fmt: skip
"""Objects of counts by tool (Anthropic's, xAI's, Mistral's), with what their names end in after that of the tool."""
BESIDE: Final = {
    "web_search_requests": "web_search", "webSearchRequests": "web_search",
    "web_fetch_requests": "web_fetch", "webFetchRequests": "web_fetch",
    "num_search_queries": "web_search", "num_sources_used": "live_search",
}  # fmt: skip
"""The tool whose uses each count is of, that stands in a usage by itself (Anthropic's, Perplexity's, xAI's)."""
COUNTING: Final = frozenset((*_HOLDERS, *BESIDE))
"""Names in a usage under which uses of tools are counted, as gateways and SDKs take them over, too."""
_MOST_USES: Final = 10_000
"""More than any call makes: what a usage counts above that is no count."""
_CALL: Final = "_call"
_SERVER_TOOL: Final = "server_tool_use"
_CODE: Final = "code_execution"
_FREE_ACTIONS: Final = frozenset({"open_page", "find", "find_in_page"})
"""Of OpenAI's web searches only the searches cost, each call once (API reference, ``web_search_call``)."""
_GOOGLE: Final = "google_search"
_GROUNDING: Final = ("groundingMetadata", "grounding_metadata")
_QUERIES: Final = (("webSearchQueries", "web_search_queries"), ("imageSearchQueries", "image_search_queries"))
_CHUNKS: Final = ("groundingChunks", "grounding_chunks")
_ENTRY: Final = ("searchEntryPoint", "search_entry_point")
_WIDGET: Final = ("googleMapsWidgetContextToken", "google_maps_widget_context_token")
_PAGES: Final = ("urlContextMetadata", "url_context_metadata")
_FETCHED: Final = ("urlMetadata", "url_metadata")
_AROUND: Final = ("response", "body", "message")


def uses_in(value: Any, fields: Fields, reported: Reported, asking: Callable[[Any], _Ask]) -> ToolUses | None:
    """Return the uses of each tool by its name; None where a response tells of none.

    Anthropic counts some in the usage, and each of its tools has a block in the ``content``; OpenAI's responses list
    each call in their ``output``. A count of the usage goes before the blocks: searches that fail are not billed.
    ``fields`` are those of the usage, ``asking`` gives a field of whatever holds it.
    """
    listed = _listed(value, reported, asking)
    counts = dict(_counted(fields))
    counts = {**_grounded(value, asking), **counts}
    if not counts and reported.web_searches:  # of usages by model
        counts["web_search"] = _uses(reported.web_searches)
    if listed is None:
        return ToolUses(counts, is_all=False) if counts else None
    return ToolUses({**listed, **counts}, is_all=True)


def _grounded(value: Any, asking: Callable[[Any], _Ask]) -> dict[str, int]:
    """Return the uses of Gemini's tools that a response lists beside its candidates; none for any other response.

    Newer models bill each query once, empty ones never, older ones each response that is grounded: what is listed, and
    one where nothing is, is the most that is billed (Gemini API, *Grounding with Google Search*, *… Google Maps*).
    """
    for _ in range(3):
        if not has_fields(value):
            return {}
        ask = asking(value)
        candidates = ask("candidates")
        if isinstance(candidates, list):
            return _of_candidates([asking(item) for item in candidates if has_fields(item)], asking)
        value = next((inner for name in _AROUND if (inner := ask(name)) is not None), None)
    return {}


def _of_candidates(candidates: list[_Ask], asking: Callable[[Any], _Ask]) -> dict[str, int]:
    grounds = [asking(held) for ask in candidates if has_fields(held := _first(ask, _GROUNDING))]
    chunks = [asking(chunk) for ask in grounds for chunk in _list(ask, _CHUNKS) if has_fields(chunk)]
    queries = {query for ask in grounds for names in _QUERIES for query in _list(ask, names) if isinstance(query, str)}
    asked = len(queries - {""})
    maps = any(ask("maps") is not None for ask in chunks) or any(_first(ask, _WIDGET) for ask in grounds)
    found = any(ask(kind) is not None for ask in chunks for kind in ("web", "image"))
    found = found or any(_first(ask, _ENTRY) for ask in grounds) or (asked > 0 and not maps)
    pages = [asking(held) for ask in candidates if has_fields(held := _first(ask, _PAGES))]
    return {
        _GOOGLE: max(asked, 1) if found else 0,
        "google_maps": max(asked, 1) if maps else 0,
        "url_context": sum(len(_list(ask, _FETCHED)) for ask in pages),
    }


def _first(ask: _Ask, names: tuple[str, ...]) -> Any:
    return next((held for name in names if (held := ask(name)) is not None), None)


def _list(ask: _Ask, names: tuple[str, ...]) -> list[Any]:
    found = _first(ask, names)
    return found if isinstance(found, list) else []


def _counted(fields: Fields) -> Mapping[str, int | None]:
    """Return what a usage counts; None for a count that cannot be read."""
    found: dict[str, int | None] = {BESIDE[name]: _uses(fields[name]) for name in BESIDE if _is_there(fields, name)}
    for holder, ending in _HOLDERS.items():
        if not has_fields(held := fields.get(holder)):
            continue
        inner = fields_of(held)
        for name in inner:
            word = snake(str(name))
            if word.endswith(ending) and _is_there(inner, name):
                found[word.removesuffix(ending)] = _uses(inner[name])
    return found


def _is_there(fields: Fields, name: str) -> bool:
    return fields.get(name) is not None


def _uses(number: Any) -> int | None:
    try:
        uses = count("uses", number)
    except UsageError:
        return None
    return uses if uses <= _MOST_USES else None


def _listed(value: Any, reported: Reported, asking: Callable[[Any], _Ask]) -> dict[str, int] | None:
    """Return the uses that a response lists; None where it does not list all that it holds."""
    for _ in range(3):
        if not has_fields(value):
            return None
        ask = asking(value)
        output, content = ask("output"), ask("content")
        if isinstance(output, list):
            return _of_items(output, reported, asking, _of_output)
        if isinstance(content, list):
            return _of_items(content, reported, asking, _of_block) if reported.shape == "anthropic" else None
        value = next((inner for name in _AROUND if (inner := ask(name)) is not None), None)
    return None


def _of_items(
    items: list[Any], reported: Reported, asking: Callable[[Any], _Ask], use: Callable[[str, _Ask], str]
) -> dict[str, int] | None:
    if not items and reported.usage.answer_tokens:  # what was written is not there
        return None
    uses: dict[str, int] = {}
    for item in items:
        if not has_fields(item):
            return None
        ask = asking(item)
        kind = ask("type")
        if not isinstance(kind, str):
            return None
        if name := use(kind, ask):
            uses[name] = uses.get(name, 0) + 1
    return uses


def _of_output(kind: str, ask: _Ask) -> str:
    """Return the tool that an item of OpenAI's output is a use of; empty for one that costs nothing."""
    if not kind.endswith(_CALL):
        return ""
    action = ask("action")
    is_free = has_fields(action) and fields_of(action).get("type") in _FREE_ACTIONS
    return "" if is_free else kind.removesuffix(_CALL)


def _of_block(kind: str, ask: _Ask) -> str:
    """Return the tool that a block of Anthropic's content is a use of. Code runs under several names."""
    name = ask("name") if kind == _SERVER_TOOL else None
    if not isinstance(name, str):
        return ""
    return _CODE if name.endswith(_CODE) else name
