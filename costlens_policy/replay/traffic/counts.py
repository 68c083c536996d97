"""Counts of tokens in columns of their own, as disjoint kinds: what is inside of what, and what only a total shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from costlens_policy.catalogue import Usage

__all__ = ["COUNTS", "PARTS", "Counted", "counted"]

COUNTS: Final = (
    "prompt_tokens", "uncached_tokens", "cached_tokens", "cache_write_tokens", "cache_write_1h_tokens",
    "output_tokens", "reasoning_tokens", "total_tokens",
)  # fmt: skip
"""The fields of a row that hold counts."""
PARTS: Final = ("uncached_tokens", "cached_tokens", "cache_write_tokens", "cache_write_1h_tokens", "reasoning_tokens")
"""Those that say more than how long the prompt and the answer are."""


@dataclass(frozen=True, slots=True)
class Counted:
    """The counts of one row.

    ``prompt`` includes what was read from and written to caches, ``output`` the reasoning; each is None where it is
    not known. ``recorded`` is None where the row tells nothing but the two. ``beyond`` are tokens that only the total
    shows, part of ``output``; ``contradicted`` says that the total is less than what it should include.
    """

    prompt: int | None
    output: int | None
    recorded: Usage | None = None
    cache_known: bool = False
    beyond: int = 0
    contradicted: bool = False


def counted(counts: Mapping[str, int | None]) -> Counted:
    """Return what the counts of a row say. Raises ``ValueError`` where they contradict each other.

    Reasoning lies inside the output, unless there is more of it or the total shows that it came on top. What the total
    shows beyond everything else may be anything, and is counted as output, the dearest kind of text.
    """
    prompt, output, reasoning = _prompt(counts), counts.get("output_tokens"), counts.get("reasoning_tokens") or 0
    if prompt is None or output is None:
        return Counted(prompt, output)
    total = counts.get("total_tokens")
    if reasoning > output or (total is not None and total == prompt + output + reasoning):
        output += reasoning
    beyond = 0 if total is None else max(total - prompt - output, 0)
    contradicted = total is not None and total < prompt + output
    output += beyond
    cache_known = counts.get("cached_tokens") is not None
    if all(counts.get(name) is None for name in PARTS):
        return Counted(prompt, output, None, cache_known, beyond, contradicted)
    read, short, long = (counts.get(name) or 0 for name in PARTS[1:4])
    usage = Usage(
        input=prompt - read - short - long, cache_read=read, cache_write=short, cache_write_1h=long,
        output=output - reasoning, reasoning=reasoning,
    )  # fmt: skip
    return Counted(prompt, output, usage, cache_known, beyond, contradicted)


def _prompt(counts: Mapping[str, int | None]) -> int | None:
    prompt, uncached = counts.get("prompt_tokens"), counts.get("uncached_tokens")
    parts = sum(counts.get(name) or 0 for name in PARTS[1:4])
    if uncached is not None:
        if prompt is not None and prompt != uncached + parts:
            raise ValueError(f"{prompt} prompt tokens, but their parts add up to {uncached + parts}")
        return uncached + parts
    if prompt is not None and parts > prompt:
        raise ValueError(
            f"{parts} cached tokens of a prompt of {prompt}; a count without them is `uncached_tokens`, not "
            "`prompt_tokens`"
        )
    return prompt
