"""What streams are charged by: their usage, their texts if they were cut short, or the most that they can cost."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from costlens_policy.catalogue import Usage
from costlens_policy.engine.decision import Estimate
from costlens_policy.guard.charging import (
    Basis,
    Bill,
    Portion,
    at_least,
    bill_assumed,
    bill_estimated,
    bill_reported,
    portions_of,
    read_reported,
    who_answered,
)
from costlens_policy.guard.sending import Sending
from costlens_policy.guard.streams import TEXT, THOUGHT, TOOL, Answer, StreamMeter
from costlens_policy.usage import Reported

__all__ = ["Verdict", "bill_of_streams", "doubtful", "judge", "judge_streams", "portions_so_far"]

_NO_USAGE: Final = (
    "the stream ended without its usage: it was cut short, or not asked for it, as OpenAI's chat completions are by "
    "`stream_options={'include_usage': True}`, or its texts were read in the place of its events"
)
_HALF_A_USAGE: Final = "the stream ended before it reported all of its usage"
_LONGEST_TOKEN: Final = 20
"""How many characters a token of ordinary text has at most, on average."""
_RUN: Final = re.compile(r"(.)\1{7,}", re.DOTALL)
_LONGEST_RUN: Final = 128
"""How many times a token repeats one character at most: rules, indentation and empty lines are few tokens."""
_FAR_OFF: Final = 4
"""How many times as many tokens may be counted here as a provider reports: estimates are not that wrong."""

_LOG: Final = logging.getLogger("costlens_policy.guard")

Count: TypeAlias = Callable[[str], int]


class Verdict(NamedTuple):
    """What one response of a stream is charged by.

    ``used`` is what it used, or at least used where the most is assumed. ``note`` says why it is not ``reported``.
    ``asked`` is the model that was asked, ``model`` the one at whose prices it counts.
    """

    basis: Basis
    used: Reported
    note: str = ""
    asked: str = ""
    model: str = ""

    @property
    def portions(self) -> tuple[Portion, ...]:
        portions = portions_of(self.model, self.used)
        reported = self.basis == "reported"
        if reported:
            return tuple(portions)
        return tuple(portion._replace(is_reported=False, tool_uses=None) for portion in portions)  # more may have come


def bill_of_streams(sending: Sending, verdicts: Sequence[Verdict], others: Iterable[Portion], hold: str) -> Bill:
    """Bill every response of every stream; one that is assumed to cost the most goes before the last one."""
    decision = sending.decision
    assumed = [item for item in verdicts if item.basis == "assumed"]
    main = (assumed or verdicts[::-1])[0]
    rest = [portion for item in verdicts if item is not main for portion in item.portions]
    rest += others
    if main.basis == "reported":
        bill = bill_reported(decision, main.asked, main.used, rest)
    else:
        bill = bill_estimated(decision, [*main.portions, *rest])
    if main.basis == "assumed":
        _LOG.warning("call `%s` is charged the most that it may have cost: %s", hold, main.note)
        bill = at_least(bill_assumed(decision, main.model, main.note, rest), bill)
    notes = (item.note for item in verdicts if item.note and item.note not in bill.notes)
    return bill._replace(notes=(*bill.notes, *dict.fromkeys(notes)))


def judge_streams(
    sending: Sending, meters: Iterable[StreamMeter], *, charge_hold: bool, failed: bool = False
) -> Iterator[Verdict]:
    """Judge each response of each stream. ``failed``: the block of the call was left by an exception.

    ``charge_hold``: a stream that broke off counts as all that it may have cost.
    """
    decision = sending.decision
    count = decision.plan.tokenizer.count
    for meter in meters:
        cut = charge_hold and (failed or meter.ending == "failed")
        for answer in meter.answers if meter.may_have_cost else ():
            asked = sending.answered_by(None, {"model": answer.model}, in_use=meter.model)
            may_reason = sending.may_reason(meter.model) or sending.may_reason(asked)
            estimate = sending.estimate_of(meter.model)
            verdict = judge(meter, answer, estimate, count, charge_hold=cut, may_reason=may_reason)
            if sending.ignores_names:
                verdict = verdict._replace(used=verdict.used._replace(answered=None))
            name, note = who_answered(decision, asked, verdict.used)
            said = "; ".join(text for text in (verdict.note, note) if text and verdict.basis != "reported")
            yield verdict._replace(asked=asked, model=name, note=said)


def judge(
    meter: StreamMeter, answer: Answer, estimate: Estimate, count: Count, *, charge_hold: bool, may_reason: bool
) -> Verdict:
    """Say what a response is charged by. ``charge_hold``: a stream that broke off counts as all that it may have cost.

    ``may_reason``: its model may think, or nobody knows, so that what arrived may not be all that was written.

    A stream is charged by its usage where that came as a whole; by an estimate where it was cut short and all of it was
    understood; and else at its worst.
    """
    reported, problem = read_reported(answer.usage, None)
    if reported is not None and meter.is_whole(answer):
        problem = _doubt(answer, reported, count)
        if not problem:
            return Verdict("reported", reported)
    secret = may_reason and not answer.shows_thinking
    problem = problem or _gap(meter, answer, reported, charge_hold=charge_hold, secret=secret)
    base = reported or Reported(Usage(input=estimate.prompt_tokens), "", answered=answer.model or None)
    if not base.usage.prompt_tokens:
        base = base._replace(usage=base.usage._replace(input=estimate.prompt_tokens))
    usage = _at_worst(base.usage, estimate) if problem else _with_texts(base.usage, answer, estimate, count)
    used = base._replace(usage=usage)
    if problem:
        return Verdict("assumed", used, problem)
    how = "broke off" if meter.ending == "failed" else "was left before its end"
    return Verdict("estimated", used, f"the stream {how}; what had arrived is counted")


def portions_so_far(sending: Sending, meter: StreamMeter) -> Iterator[Portion]:
    """Yield what a stream has reported by now: it cost no less, whatever its call is settled with."""
    for answer in meter.answers:
        reported, _ = read_reported(answer.usage, None)
        if reported is not None:
            asked = sending.answered_by(None, {"model": answer.model}, in_use=meter.model)
            yield from portions_of(asked, reported)


def doubtful(reported: Reported, response: object, texts: Sequence[str], count: Count) -> str:
    """Return what is wrong with the usage of a response that was not streamed; an empty text where nothing is.

    ``texts`` are those that were given beside it.
    """
    usage = reported.usage
    if reported.shape == "anthropic" and _is_unfinished(response):
        return "the message was not complete when it was handed over"
    if reported.unknown or reported.other_models:
        return ""
    if not usage.answer_tokens:
        meter = StreamMeter()
        meter.see(response)
        if meter.answers[-1].has_text or any(texts):
            return "the usage reports no output, but some came with it"
        return ""
    characters = sum(map(len, texts))
    if characters > _LONGEST_TOKEN * usage.answer_tokens:
        tokens = sum(_fewest_of(text, count) for text in texts)
        if tokens > _FAR_OFF * usage.answer_tokens:
            return f"the usage reports {usage.answer_tokens} output tokens, but about {tokens} came with it"
    return ""


def _is_unfinished(response: object) -> bool:
    """Whether a message is what Anthropic's helper has of it so far: its usage is that of the start."""
    if isinstance(response, Mapping):
        kind, is_open = response.get("type"), response.get("stop_reason", "") is None
    else:
        kind = getattr(response, "type", None)
        is_known = "stop_reason" in getattr(response, "model_fields_set", ())
        is_open = is_known and getattr(response, "stop_reason", "") is None
    return kind == "message_start" or (kind == "message" and is_open)


def _gap(meter: StreamMeter, answer: Answer, reported: Reported | None, *, charge_hold: bool, secret: bool) -> str:
    """Return what keeps the response from being counted by its texts; an empty text where nothing does.

    ``secret``: thinking may have come before, or between, which the texts do not show.
    """
    if not meter.started and meter.ending is None:
        return "the stream was not read within the block of its call"
    if answer.unknown:
        return f"the stream has parts that are not understood, such as `{answer.unknown}`"
    if meter.ending == "ended":
        return _NO_USAGE if answer.usage is None else _HALF_A_USAGE
    if charge_hold:
        return "the stream broke off"
    if answer.is_up_to_date and not (secret and (reported is None or not reported.usage.answer_tokens)):
        return ""  # a usage that grows with the stream counts what it does not show
    if answer.hidden:
        return f"the stream was cut short, and does not show all that it used: {answer.hidden}"
    if answer.reasons and not answer.has_said(THOUGHT):
        return "the stream was cut short, and does not show its reasoning"
    if answer.usage is None and not answer.has_text:  # Anthropic reports the prompt at the start
        return "the stream was cut short before it reported anything"
    if secret:
        return "the stream was cut short, and its model may have reasoned without showing it"
    return ""


def _doubt(answer: Answer, reported: Reported, count: Count) -> str:
    """Return what is wrong with a usage in the light of the stream that it came with."""
    usage = reported.usage
    counted = usage.tokens + reported.unknown
    written = counted - usage.prompt_tokens
    if not usage.prompt_tokens:
        return "the usage of the stream does not count its prompt"
    if not written and (answer.unknown or answer.has_text):
        return "the usage of the stream reports no output, but some arrived"
    if answer.claimed > counted + sum(other.tokens for _, other in reported.other_models):
        return f"the stream counts {answer.claimed} tokens in `{answer.unknown}` that are not in its usage"
    if answer.characters() > _LONGEST_TOKEN * written and (tokens := _fewest(answer, count)) > _FAR_OFF * written:
        return f"the usage of the stream reports {written} output tokens, but about {tokens} arrived"
    return ""


def _fewest(answer: Answer, count: Count) -> int:
    """Return about how many tokens the texts are, were each run of one character as few as it can be."""
    return sum(answer.count(kind, lambda text: _fewest_of(text, count)) for kind in (TEXT, TOOL, THOUGHT))


def _fewest_of(text: str, count: Count) -> int:
    return count(_RUN.sub(lambda run: run[1] * (len(run[0]) // _LONGEST_RUN + 1), text))


def _with_texts(usage: Usage, answer: Answer, estimate: Estimate, count: Count) -> Usage:
    """Return a usage with the texts that arrived, where they are more than it reports, up to the limit of output."""
    known = usage.answer_tokens
    thought = answer.count(THOUGHT, count)
    written = answer.count(TEXT, count) + answer.count(TOOL, count) + thought
    more = max(0, min(written, max(known, estimate.output_tokens)) - known)
    thoughts = min(more, max(0, thought - usage.reasoning))
    return usage._replace(reasoning=usage.reasoning + thoughts, output=usage.output + more - thoughts)


def _at_worst(usage: Usage, estimate: Estimate) -> Usage:
    known = usage.answer_tokens
    return usage._replace(output=usage.output + max(0, estimate.output_tokens - known))
