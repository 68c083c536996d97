"""What one streamed response has reported so far: its usage, its texts, and whatever was not understood."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from costlens_policy.usage import usage_fields

__all__ = ["TEXT", "THOUGHT", "TOOL", "Answer"]

TEXT: Final = "text"
THOUGHT: Final = "thought"
TOOL: Final = "tool"
"""The kinds of output: what the model says, what it shows of its thinking, and calls of tools with their arguments."""


class Answer:
    """One response. Its texts come in channels, since helpers of SDKs repeat the same text several times.

    ``start`` is the usage reported before any output; ``is_final`` says that ``usage`` covers the whole response;
    ``unknown`` names the first thing that was not understood, ``hidden`` output or input that the stream does not show;
    ``reasons`` says that there is thinking of which at most a summary is shown, ``is_frank`` that thinking never hides;
    ``claimed`` is the largest number of tokens that stood in what was not understood. ``output`` are the parts that the
    whole response lists at its end, None where it does not; ``tools_run`` the uses of Anthropic's own tools, by
    their ids, ``grounds`` what Gemini says of its searches.
    """

    __slots__ = (
        "_firm", "_stale", "_texts", "_usage", "adds_up", "claimed", "finished", "grounds", "hidden", "id", "is_final",
        "is_frank", "is_start", "model", "of_tools", "output", "reasons", "text_came", "tier", "tools_run", "unknown",
        "usage_came",
    )  # fmt: skip

    def __init__(self) -> None:
        self.id = self.model = self.unknown = self.hidden = ""
        self.tier: Any = None
        self.of_tools: Any = None
        self.output: list[Any] | None = None
        self.tools_run: dict[str, Any] = {}
        self.grounds: list[dict[str, Any]] = []
        self.claimed = 0
        self.is_final = self.is_frank = self.adds_up = self.reasons = False
        self.is_start = self.usage_came = self.text_came = self.finished = False
        self._firm = self._stale = False
        self._usage: dict[str, Any] = {}
        self._texts: dict[str, dict[str, list[str]]] = {}

    @property
    def usage(self) -> dict[str, Any] | None:
        """All usage that the chunks reported, as a response that carries it; None where they reported none."""
        if not self._usage:
            return None
        around = {"model": self.model, "service_tier": self.tier, "tool_usage": self.of_tools}
        return {**{name: value for name, value in around.items() if value}, **self._listed(), "usage": self._usage}

    def _listed(self) -> dict[str, list[Any]]:
        """Return what the response lists of its parts, as far as uses of tools show in them."""
        if self.output is not None:
            return {"output": self.output}
        if self.grounds:
            return {"candidates": self.grounds}
        if not self.is_frank:  # not Anthropic's, which shows each block as it begins
            return {}
        texts = [{"type": "text"}] if self.has_text else []
        return {"content": [*texts, *self.tools_run.values()]}

    @property
    def is_up_to_date(self) -> bool:
        """Whether no text came after the usage that was reported last."""
        return bool(self._usage) and not self._stale

    @property
    def shows_thinking(self) -> bool:
        """Whether no thinking stays out of sight: the provider shows all of it, or did so in this very stream."""
        return self.is_frank or (self.has_said(THOUGHT) and not self.reasons)

    @property
    def has_text(self) -> bool:
        return bool(self._texts)

    def begin_chunk(self) -> None:
        """Forget what was noticed of the chunk before."""
        self.usage_came = self.text_came = self.finished = self.is_start = False

    def end_chunk(self, *, firm: bool) -> None:
        """Take stock of a chunk. ``firm``: its kind says that its usage, if any, is that of the whole response."""
        if self.usage_came:
            self._stale = self.is_start
            if firm or (self.finished and not self.is_start):
                self.is_final = True
                self._firm = self._firm or firm
        elif self.text_came:
            self._stale = True
            self.is_final = self._firm  # it was not the end, after all

    def say(self, kind: str, channel: str, text: str) -> None:
        """Note some output."""
        self.text_came = True
        channels = self._texts.get(kind)
        if channels is None:
            channels = self._texts[kind] = {}
        said = channels.get(channel)
        if said is None:
            channels[channel] = [text]
        else:
            said.append(text)

    def has_said(self, kind: str) -> bool:
        return kind in self._texts

    def report(self, usage: Any) -> None:
        """Note a usage. Counts only ever grow, so that an event which repeats a part of them undoes nothing."""
        fields = usage_fields(usage)
        if any(_counts(value) for value in fields.values()):
            self.usage_came = True
            _merge(self._usage, fields, _sum if self.adds_up else max)

    def lacks(self, what: str) -> None:
        """Note something that was not understood; the first one is reported."""
        self.unknown = self.unknown or what[:60] or "a name of no letters"

    def characters(self) -> int:
        """Return how long the texts are, copies left out."""
        return sum(max(sum(map(len, said)) for said in channels.values()) for channels in self._texts.values())

    def count(self, kind: str, count: Callable[[str], int]) -> int:
        """Return the tokens of one kind of output: of the channel that has the most of it."""
        return max((count("".join(said)) for said in self._texts.get(kind, {}).values()), default=0)


def _counts(value: Any) -> bool:
    """Whether there is a number above zero in a field of a usage."""
    if isinstance(value, Mapping):
        return any(_counts(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(_counts(item) for item in value)
    if isinstance(value, bool | str) or value is None:
        return False
    return value > 0 if isinstance(value, int | float) else hasattr(value, "__dict__")


def _sum(before: int, now: int) -> int:
    return before + now


def _merge(into: dict[str, Any], fields: Mapping[str, Any], unite: Callable[[int, int], int]) -> None:
    for name, value in fields.items():
        before = into.get(name)
        if isinstance(value, Mapping):
            inner = into[name] = dict(before) if isinstance(before, Mapping) else {}
            _merge(inner, value, unite)
        elif type(value) is int and type(before) is int:
            into[name] = unite(before, value)
        elif value is not None and (value or before is None):
            into[name] = value
