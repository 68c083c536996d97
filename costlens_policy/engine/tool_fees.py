"""Fees for tools that providers run: which of them a request offers, how often each may be used, and what that costs.

Providers bill some of their tools by use, beside tokens: Anthropic web searches (platform.claude.com, web search tool:
``max_uses`` bounds them), OpenAI web and file searches and containers (platform.openai.com, pricing: each call costs,
however many queries a search has; ``max_tool_calls`` of a response bounds the calls of all of its built-in tools). What
one provider bounds by, the other does not know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

from costlens_policy.catalogue import Model
from costlens_policy.money import ZERO, add

__all__ = ["ToolTerms", "tool_terms", "unbounded_tool", "use_of", "worst_fees"]

_DATED: Final = re.compile(r"_(?:\d{8}|\d{4}_\d{2}_\d{2})$")
_ANTHROPIC: Final = re.compile(r"_\d{8}$")
"""How the types of Anthropic's tools end, and of nobody else's."""
_OFFERED: Final = re.compile(r"_(?:preview|premium)$")
_RUN_BY_PROVIDERS: Final = frozenset({
    "code_execution", "code_interpreter", "document_library", "enterprise_web_search", "file_search", "google_maps",
    "google_search", "google_search_retrieval", "image_generation", "live_search", "url_context", "web_fetch",
    "web_search", "web_search_premium", "web_search_preview", "x_search",
})  # fmt: skip
"""Tools that run at a provider, without the dates of their versions. Others are free unless the catalogue says else."""
_BY_GOOGLE: Final = frozenset({
    "code_execution", "enterprise_web_search", "google_maps", "google_search", "google_search_retrieval", "url_context",
})  # fmt: skip
"""Tools whose uses no request of Gemini's can bound, in whichever of its shapes they are offered."""
_SEARCHES_OF_GOOGLE: Final = frozenset({"enterprise_web_search", "google_search_retrieval"})
"""What its responses count as ``google_search``."""
_MOST_CALLS: Final = "max_tool_calls"
_SEARCHING: Final = "web_search_options"
"""The parameter of OpenAI's Chat Completions with which a model searches, once for each call."""
_LIVE: Final = "search_parameters"
"""The parameter of xAI's Chat Completions, which bills each source."""
_SOURCES: Final = 20
"""How many sources it reads at most where the parameter says nothing of that."""


class ToolTerms(NamedTuple):
    """A tool that a request offers and its provider bills: US dollars for each use, None where nobody knows, and how
    often it may be used at most, None where nothing bounds it.
    """

    name: str
    fee: Decimal | None
    most: int | None


def use_of(name: str) -> str:
    """Return the word under which uses of a tool are counted, whichever version of it was offered."""
    return "google_search" if name in _SEARCHES_OF_GOOGLE else _OFFERED.sub("", name)


def tool_terms(model: Model, tools: Sequence[Any] | None, params: Mapping[str, Any]) -> tuple[ToolTerms, ...]:
    """Return the tools that a model bills by use; none where the catalogue has no fees of it."""
    fees = model.usd_per_tool_use
    if not fees or not (tools or _SEARCHING in params or _LIVE in params):
        return ()
    found: dict[str, ToolTerms] = {}
    for name, bound in (*_bounded(tools or (), params), *_searching(params, fees)):
        if name in fees or name in _RUN_BY_PROVIDERS:
            most = bound if type(bound) is int and bound >= 0 else None
            known = found.get(name)
            if known is not None:
                most = None if most is None or known.most is None else most + known.most
            found[name] = ToolTerms(name, fees.get(name), most)
    return tuple(found.values())


def worst_fees(terms: Sequence[ToolTerms], completions: int) -> Decimal | None:
    """Return the most that the tools of a call may cost in US dollars; None where nothing bounds that."""
    worst = ZERO
    for _, fee, most in terms:
        if fee is None or (fee and most is None):
            return None
        worst = add(worst, fee * (most or 0) * completions)
    return worst


def unbounded_tool(terms: Sequence[ToolTerms]) -> str:
    """Return why the most that the tools of a call may cost is not known, for people; empty where it is."""
    for name, fee, most in terms:
        if fee is None:
            return f"its catalogue entry has no fee for `{name}`"
        if fee and most is None and name in _BY_GOOGLE:
            return (
                f"nothing bounds the uses of `{name}`, and Gemini takes no bound: leave the tool out, or limit requests"
            )
        if fee and most is None:
            return f"nothing bounds the uses of `{name}`: set `max_uses` (Anthropic) or `max_tool_calls` (OpenAI)"
    return ""


def _searching(params: Mapping[str, Any], fees: Mapping[str, Decimal]) -> Iterator[tuple[str, Any]]:
    """Yield the searches that parameters ask for, with their bound: at the dearest of the fees that they may have."""
    if params.get(_SEARCHING) is not None:
        yield (
            max((name for name in fees if use_of(name) == "web_search"), key=fees.__getitem__, default="web_search"),
            1,
        )
    live = params.get(_LIVE)
    if live is not None:
        given = live if isinstance(live, Mapping) else {}
        if given.get("mode") != "off":
            most = given.get("max_search_results")
            yield "live_search", _SOURCES if most is None else most


def _bounded(tools: Sequence[Any], params: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what a provider may run by its name, with what that provider bounds its uses by.

    The name is the type of a tool or, in Gemini's shape, its keys, whose uses nothing bounds.
    """
    for tool in tools:
        if not isinstance(tool, Mapping):
            continue
        kind = tool.get("type")
        if isinstance(kind, str):
            name = _DATED.sub("", kind)
            if _ANTHROPIC.search(kind):
                yield name, tool.get("max_uses")
            else:
                yield name, None if name in _BY_GOOGLE else params.get(_MOST_CALLS)
            continue
        for key, value in tool.items():
            if value is None:  # as SDKs write what is not there
                continue
            name = re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", str(key))
            if name in _RUN_BY_PROVIDERS:
                yield name, None
