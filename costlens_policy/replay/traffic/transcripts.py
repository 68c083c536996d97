"""Transcripts of coding agents: a line for each block of a message repeats its usage, and only the last state is right.

Lines of users, tools and the session itself are not calls. The final `result` of a session sums its messages, and
counts only if these are missing. The same message may stand in several files, where a session was continued, and those
of sub-agents in files of their own and in lines about their progress.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from costlens_policy.replay.traffic.sources import RawRow

__all__ = ["Transcripts"]

_MARKS: Final = frozenset({"message", "sessionId", "session_id", "uuid", "leafUuid", "messageId", "snapshot"})
_NOTES: Final = {
    "repeats": "lines repeat a message in an earlier state, and were not counted again",
    "sums": "lines summarize the messages of their session, and were not counted again",
    "lines": "lines of transcripts are not answers of a model and were skipped",
    "agents": "results report tokens of sub-agents whose messages are not in the traffic; add their transcripts",
}


@dataclass(slots=True)
class Transcripts:
    """``survey`` is given all rows first; ``rows`` then gives the calls among them."""

    counts: Counter[str] = field(default_factory=Counter)
    _last: dict[str, tuple[int, str, int]] = field(default_factory=dict)
    _with_messages: set[str] = field(default_factory=set)
    _agents: set[str] = field(default_factory=set)

    def survey(self, raw: RawRow) -> None:
        """Note the last state of each message, and which sessions have messages."""
        fields = _unwrapped(raw.fields)
        message = _message(fields)
        if message is None:
            return
        self._with_messages.add(_session(fields))
        self._agents.update(_agents_of(fields))
        if (id := message.get("id")) is not None:
            state = (_size(message["usage"]), raw.file, raw.number)
            if state[0] >= self._last.get(str(id), state)[0]:
                self._last[str(id)] = state

    def rows(self, raw: RawRow) -> Iterator[RawRow]:
        """Yield the row where it is a call, in the last state of its message."""
        fields = _unwrapped(raw.fields)
        raw = raw if fields is raw.fields else replace(raw, fields=fields)
        kind = fields.get("type")
        if raw.problem or not isinstance(kind, str) or kind == "message" or _MARKS.isdisjoint(fields):
            yield raw
            return
        message = _message(fields)
        if message is not None:
            last = self._last.get(str(message.get("id")))
            if last is None or last[1:] == (raw.file, raw.number):
                yield raw
            else:
                self.counts["repeats"] += 1
        elif _may_be_a_call(fields):
            yield raw  # an answer without usage, or usage on a line of another kind, is not passed over
        elif kind == "result" and "usage" in fields and _session(fields) not in self._with_messages:
            yield raw
        else:
            self.counts["sums" if kind == "result" else "lines"] += 1
            self.counts["agents"] += self._is_of_an_unknown_agent(fields)

    def notes(self) -> Iterator[str]:
        """Yield notes on what was skipped."""
        yield from (f"{count:,} {note}" for name, note in _NOTES.items() if (count := self.counts[name]))

    def _is_of_an_unknown_agent(self, fields: Mapping[str, Any]) -> bool:
        result = fields.get("toolUseResult")
        if not isinstance(result, Mapping) or not isinstance(result.get("usage"), Mapping):
            return False
        return self._agents.isdisjoint((str(result.get("agentId")), _session(fields)))


def _unwrapped(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the line of a sub-agent inside one about its progress, and any other line unchanged."""
    data = fields.get("data")
    inner = data.get("message") if isinstance(data, Mapping) else None
    if isinstance(inner, Mapping) and isinstance(inner.get("message"), Mapping):
        return {**{name: value for name, value in fields.items() if name != "data"}, "isSidechain": True, **inner}
    return fields


def _agents_of(fields: Mapping[str, Any]) -> Iterator[str]:
    """Yield what identifies a message of a sub-agent: its name, or else the session of its side chain."""
    if (agent := fields.get("agentId")) is not None:
        yield str(agent)
    elif fields.get("isSidechain"):
        yield _session(fields)


def _message(fields: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the message of an answer that reports usage."""
    message = fields.get("message")
    if fields.get("type") != "assistant" or not isinstance(message, Mapping) or _synthetic(message):
        return None
    return message if isinstance(message.get("usage"), Mapping) else None


def _may_be_a_call(fields: Mapping[str, Any]) -> bool:
    message, kind = fields.get("message"), fields.get("type")
    if not isinstance(message, Mapping):
        return kind != "result" and isinstance(fields.get("usage"), Mapping)
    return not _synthetic(message) and (kind == "assistant" or "usage" in message or "usage" in fields)


def _synthetic(message: Mapping[str, Any]) -> bool:
    """Return whether the agent wrote a message itself, such as one about an error; no model was asked."""
    usage = message.get("usage")
    return message.get("model") == "<synthetic>" and (not isinstance(usage, Mapping) or not _size(usage))


def _session(fields: Mapping[str, Any]) -> str:
    return str(fields.get("sessionId", fields.get("session_id")))


def _size(usage: Mapping[str, Any]) -> int:
    return sum(value for value in usage.values() if isinstance(value, int) and not isinstance(value, bool))
