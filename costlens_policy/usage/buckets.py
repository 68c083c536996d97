"""From the numbers of a usage object to tokens in disjoint buckets, held against the provider's own total.

Providers disagree on what is part of what: a cached token is part of the prompt (OpenAI) or stands beside it
(Anthropic), a thought is part of the answer (OpenAI) or stands beside it (xAI, Gemini). What a provider's total shows
goes before what is usual for the names; what does not fit into its whole stands beside it; and of two readings that
cannot be distinguished the larger counts, with a note.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Final, NamedTuple

from costlens_policy.catalogue import Usage
from costlens_policy.usage.names import BESIDE, REPEATED, role_of
from costlens_policy.usage.numbers import MOST_TOKENS, count, shown
from costlens_policy.usage.reported import UsageError

__all__ = ["Bucketed", "Counts", "counts_of", "settled"]

_OF_BASE: Final = ("input_tokens", "input_token_count", "total_input_tokens")
"""Names of a prompt that counts caches beside it, where they have names that say so."""
_CACHES: Final = frozenset({"cache_read", "cache_write", "cache_write_1h", "cache_write_5m"})
_MANY: Final = 6
_PLAIN: Final = frozenset({"prompt", "answer", "total"})


@dataclass(slots=True)
class Counts:
    """Tokens by role, the largest of those that share one; and all that has no role.

    ``beside`` are roles whose names say that they are no part of their whole. ``apart`` has a price, but not by tokens.
    """

    roles: dict[str, int] = field(default_factory=dict)
    beside: set[str] = field(default_factory=set)
    unknown: dict[str, int] = field(default_factory=dict)
    odd: list[str] = field(default_factory=list)
    apart: dict[str, Any] = field(default_factory=dict)
    contradictions: list[str] = field(default_factory=list)

    def __getitem__(self, role: str) -> int:
        return self.roles.get(role, 0)


class Bucketed(NamedTuple):
    """``usage`` in buckets, ``unknown`` tokens beyond it, and notes about them."""

    usage: Usage
    unknown: int
    notes: tuple[str, ...]


def counts_of(found: Mapping[str, Any], *, inside: bool = False) -> Counts:
    """Sort numbers by what they are. With ``inside``, caches are part of the prompt whatever their names say.

    Raises ``UsageError`` for a number of tokens that is none.
    """
    counts = Counts()
    roles = counts.roles
    for path, value in found.items():
        role = role_of(path)
        if role is None:
            if not path.startswith(REPEATED):
                _add_unknown(counts, path, value)
        elif role == "apart":
            if value:
                counts.apart[path] = value
        elif role != "none":
            tokens = value if type(value) is int and 0 <= value <= MOST_TOKENS else count(path, value)
            if role in roles:
                _add(counts, role, path, tokens)
            else:
                roles[role] = tokens
    if not inside and not BESIDE.isdisjoint(found):
        based = any(name in found for name in _OF_BASE)
        named = (path for path in found if path in BESIDE and (based or "token_count" in path or "thought" in path))
        counts.beside.update(role_of(path) or "" for path in named)
    return counts


def _add(counts: Counts, role: str, path: str, tokens: int) -> None:
    before = counts.roles[role]
    if before and tokens and before != tokens and role in ("prompt", "answer", "total"):
        counts.contradictions.append(f"`{shown(path)}` is {tokens:,}, but another name for it reports {before:,}")
    counts.roles[role] = max(before, tokens)


def _add_unknown(counts: Counts, path: str, value: Any) -> None:
    """Keep a number that nobody knows: as tokens where it can be some."""
    if not value or isinstance(value, bool):
        return
    try:
        tokens = count(path, float(value) if isinstance(value, str) else value)
    except (UsageError, ValueError):
        if _may_be_tokens(value):
            raise UsageError(f"`{shown(path)}` is not a readable number") from None
        counts.odd.append(path)
    else:
        if tokens:
            counts.unknown[path] = tokens


def _may_be_tokens(value: Any) -> bool:
    """Return whether a number may stand for tokens, though it is not one: too large for any call, or infinite."""
    try:
        return not float(value) < MOST_TOKENS
    except (TypeError, ValueError, OverflowError):
        return True


def settled(counts: Counts, empty: Iterable[str] = ()) -> Bucketed:
    """Return the buckets. ``empty`` are paths that hold nothing.

    Zeros are read as zeros. Raises ``UsageError`` where no tokens are reported, none of the prompt though there is an
    answer, or where a whole is null that no total makes up for.
    """
    total = counts.roles.get("total") or None
    if counts.apart and not any(counts.roles.values()) and not counts.unknown:
        raise UsageError(_only_apart(counts))
    _refuse_nulls(counts, total, empty)
    notes = list(counts.contradictions)
    usage, _, whole, _ = _chosen(counts, total, notes)
    beyond = _beyond(counts, total, whole, notes)
    if usage.tokens and not usage.prompt_tokens and not beyond:
        raise UsageError("the usage reports no prompt tokens")
    return Bucketed(usage, beyond, (*notes, *_remarks(counts)))


def _only_apart(counts: Counts) -> str:
    names = ", ".join(f"`{shown(name)}`" for name in counts.apart)
    return f"the usage reports no tokens, only {names}, which has no price by tokens"


def _refuse_nulls(counts: Counts, total: int | None, empty: Iterable[str]) -> None:
    if total is not None:
        return
    for path in empty:
        role = role_of(path)
        if role in ("prompt", "answer") and role not in counts.roles:
            raise UsageError(f"`{shown(path)}` is null, and no total makes up for it")


class _Reading(NamedTuple):
    """One way to read counts. ``fits`` says whether the parts fit into their wholes; ``sum`` are all tokens.

    ``extra`` are tokens that a total may leave out without contradicting itself.
    """

    usage: Usage
    fits: bool
    sum: int
    extra: int


def _chosen(counts: Counts, total: int | None, notes: list[str]) -> _Reading:
    """Return the usual reading, or the one that the total shows; where neither is sure, a larger one, and a note."""
    plain = _plain(counts.roles)
    if plain is not None and (total is None or total == plain.sum):
        return plain
    cache, reasoning = not _CACHES.isdisjoint(counts.beside), _reasons_beside(counts)
    usual = _reading(counts, cache, reasoning)
    if usual.fits and (total is None or total in (usual.sum, usual.sum - usual.extra)):
        return usual
    others = [other for pair in product((False, True), repeat=2) if (other := _reading(counts, *pair)).fits]
    if total is not None:
        for other in others:
            # A total below what the names themselves say is a contradiction, and the larger counts.
            if other.sum == total and (other.sum >= usual.sum or not usual.fits or not counts.beside):
                return other
        overlapping = _reading(counts, False, reasoning, overlapping=True)
        if not usual.fits and overlapping.fits and overlapping.sum == total:
            notes.append("its cached tokens and those of sound or images overlap; the more expensive ones count")
            return overlapping
    if not usual.fits:
        usual = others[0] if others else usual
        notes.append("its parts exceed the whole that they belong to; they are counted on top")
    if total is not None and total < usual.sum:
        notes.append(f"its total is {total:,} tokens and the sum of its parts is {usual.sum:,}; the larger counts")
    return usual


def _plain(roles: Mapping[str, int]) -> _Reading | None:
    """Return the only reading of a prompt and an answer without parts, which most calls have; None where parts are."""
    if "prompt" not in roles or "answer" not in roles:
        return None
    for role, tokens in roles.items():
        if tokens and role not in _PLAIN:
            return None
    prompt, answer = roles["prompt"], roles["answer"]
    return _Reading(Usage(input=prompt, output=answer), True, prompt + answer, 0)


def _reasons_beside(counts: Counts) -> bool:
    """Return whether reasoning is known to stand beside the answer, as with Gemini's thoughts, and with Perplexity."""
    return "reasoning" in counts.beside or "citations" in counts.roles or "num_search_queries" in counts.apart


def _reading(counts: Counts, cache_beside: bool, reasoning_beside: bool, *, overlapping: bool = False) -> _Reading:
    """Read counts one way; ``overlapping``: cached tokens that do not fit into the prompt are of another kind, too."""
    tokens = counts.roles.get
    for_an_hour = tokens("cache_write_1h", 0)
    written = max(tokens("cache_write", 0), for_an_hour + tokens("cache_write_5m", 0))
    cached_audio, cached_images = tokens("cached_audio", 0), tokens("cached_image", 0)
    cached = max(tokens("cache_read", 0), cached_audio + cached_images, tokens("within_cache", 0))
    audio = max(tokens("input_audio", 0) - cached_audio, 0)
    images = max(tokens("input_image", 0) - cached_images, 0)
    whole = max(tokens("prompt", 0), tokens("within_prompt", 0))
    if overlapping and cached <= whole:
        cached = min(cached, whole - written - audio - images)
    inside = audio + images + (0 if cache_beside else cached + written)
    if "prompt" not in counts.roles:
        whole += inside
    of_tools = tokens("tool_audio", 0) + tokens("tool_image", 0) + tokens("within_tools", 0)
    tools = max(tokens("tool_prompt", 0), of_tools)
    answer = max(tokens("answer", 0), tokens("within_answer", 0))
    sound, pictures, thought = tokens("output_audio", 0), tokens("output_image", 0), tokens("reasoning", 0)
    shown_inside = sound + pictures + (0 if reasoning_beside else thought)
    if "answer" not in counts.roles:
        answer += shown_inside
    text, answered = whole - inside, answer - shown_inside
    usage = Usage(
        input=max(text, 0) + tools - tokens("tool_audio", 0) - tokens("tool_image", 0) + tokens("citations", 0),
        cache_read=max(cached - cached_audio, 0),
        cache_read_audio=cached_audio,
        cache_write=written - for_an_hour,
        cache_write_1h=for_an_hour,
        input_audio=audio + tokens("tool_audio", 0),
        input_image=images + tokens("tool_image", 0),
        output=max(answered, 0),
        reasoning=thought,
        output_audio=sound,
        output_image=pictures,
    )
    extra = tokens("citations", 0) + (thought if _reasons_beside(counts) and "reasoning" not in counts.beside else 0)
    if cache_beside and cached + written + audio + images > whole:  # so a total without them says nothing else
        extra += cached + written
    fits = text >= 0 and answered >= 0 and cached >= cached_audio
    return _Reading(usage, fits, usage.tokens, extra)


def _beyond(counts: Counts, total: int | None, whole: int, notes: list[str]) -> int:
    """Return the tokens that may be beyond what was read."""
    if total is None or total < whole:
        beyond = sum(counts.unknown.values())
    else:  # what is more than the total is no part of it
        beyond = total - whole + sum(tokens for tokens in counts.unknown.values() if tokens > total)
    if not counts.unknown:
        if beyond:
            notes.append(f"its total shows {beyond:,} tokens that nothing names; they count at the highest rate")
        return beyond
    names = ", ".join(f"`{shown(name)}` ({tokens:,})" for name, tokens in list(counts.unknown.items())[:_MANY])
    more = f" and {len(counts.unknown) - _MANY} more" if len(counts.unknown) > _MANY else ""
    if beyond:
        notes.append(f"{names}{more} is unknown; {beyond:,} tokens count at the highest rate")
    else:
        notes.append(f"{names}{more} is unknown; its total shows that it is part of what was read")
    return beyond


def _remarks(counts: Counts) -> Iterator[str]:
    for path, value in list(counts.apart.items())[:_MANY]:
        yield f"`{shown(path)}` is {str(value)[:20]}, which has no price by tokens"
    if counts.odd:
        yield f"{', '.join(f'`{shown(path)}`' for path in counts.odd[:_MANY])} is unknown, and not a number of tokens"
