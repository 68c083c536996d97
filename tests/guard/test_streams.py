"""Streamed responses of every shape: whole, cut short, and not understood."""

from __future__ import annotations

import json
from contextlib import suppress
from copy import deepcopy
from datetime import timedelta
from decimal import Decimal
from enum import Enum, StrEnum

import pytest

from costlens_policy import Guard
from costlens_policy.guard import GuardError
from costlens_policy.guard.streams import TEXT, THOUGHT, TOOL, StreamMeter
from costlens_policy.tokens import BuiltinEstimate
from tests.guard.company import REQUEST, TEAM
from tests.guard.stream_shapes import SAID, STREAMS, as_objects

CHAT, ANTHROPIC = STREAMS["openai chat"], STREAMS["anthropic"]
REPORTED, WORST = Decimal("0.0011"), Decimal("0.0012")
COUNT = BuiltinEstimate().count
_CREATED = {"type": "raw_response_event", "data": {"type": "response.created", "response": {}}}
_NO_LIMIT = TEAM.replace("0.01", "1")


@pytest.fixture
def charged(company, clock):
    """Return a function from chunks, and how many of them are read, to the charge."""
    engines = {}

    def read(chunks, most=None, models="nano"):
        if models not in engines:
            engines[models] = company(_NO_LIMIT, models=models)
        guard = Guard(engines[models], "memory:", clock=clock, alert_sinks=[])
        with guard.call(REQUEST) as call:
            for number, _ in enumerate(call.stream(chunks), 1):
                if number == most:
                    break
        assert guard.spend()[0].held == 0
        return call.charged

    return read


@pytest.mark.parametrize("shape", STREAMS)
def test_the_usage_that_came_with_it_is_charged(charged, shape):
    charge = charged(STREAMS[shape])
    assert (charge.basis, charge.cost, charge.notes) == ("reported", REPORTED, ())


@pytest.mark.parametrize("shape", STREAMS)
def test_objects_say_what_mappings_do(charged, shape):
    charge = charged(as_objects(STREAMS[shape]))
    assert (charge.basis, charge.cost) == ("reported", REPORTED)


@pytest.mark.parametrize("shape", STREAMS)
def test_cut_short_what_arrived_is_counted(charged, shape):
    """Neither less than the text, nor twice: helpers, copies and wrappers say the same text more than once."""
    chunks = STREAMS[shape]
    for most in range(1, len(chunks) + 1):
        charge = charged(chunks, most)
        if charge.basis == "estimated":
            assert charge.usage.prompt_tokens == 1000
            assert charge.usage.output + charge.usage.reasoning <= 50
            assert charge.notes == ("the stream was left before its end; what had arrived is counted",)
        else:
            assert charge.cost in (REPORTED, WORST)


@pytest.mark.parametrize("shape", STREAMS)
def test_without_its_usage_each_text_counts_once(shape):
    """Helpers, copies and wrappers say the same text more than once."""
    meter = StreamMeter()
    for chunk in STREAMS[shape]:
        meter.see(chunk)
    meter.end("left")
    (answer,) = meter.answers
    counted = sum(answer.count(kind, COUNT) for kind in (TEXT, TOOL, THOUGHT))
    assert counted - COUNT("".join(SAID)) in range(-1, 6), "signs of JSON aside"
    assert not answer.unknown


@pytest.mark.parametrize("shape", ["openai chat", "openai responses", "anthropic"])
def test_the_service_tier_that_came_with_it(guard_of, shape):
    holders = {
        "openai chat": lambda chunk: chunk,
        "openai responses": lambda chunk: chunk.get("response", {}),
        "anthropic": lambda chunk: chunk.get("message", {}).get("usage", {}),
    }
    chunks = deepcopy(STREAMS[shape])
    for chunk in chunks:
        holders[shape](chunk)["service_tier"] = "priority"
        chunk.pop("model", None)
        chunk.get("message", {}).pop("model", None)
        chunk.get("response", {}).pop("model", None)
    with guard_of(TEAM, models="mini").call(REQUEST) as call:
        list(call.stream(chunks))
    assert call.charged.cost == Decimal("0.0048")


@pytest.mark.parametrize(
    "chunks",
    [
        [{"piece": "some words"}] * 5,
        [{"type": "speech", "text": "some words"}] * 5,
        [{"event_kind": "part_start", "part": {"content": "some words"}}],
        [{"event": "on_chat_model_stream", "data": {"chunk": {"type": "AIMessageChunk", "content": "word"}}}],
        [{"choices": [{"delta": {"content": "word", "hologram": "AAAA"}}]}],
        [{"choices": [{"delta": {"audio": {"data": "AAAA"}}}]}],
        [object(), 5, 1.5, True],
        [b"\x00\x00\x01\x9f binary"],
        ["data: not JSON", ""],
        [{"usage": {"prompt_tokens": 0, "completion_tokens": None}}],
        [{"choices": [{"delta": {"content": "word"}}]}, {"choices": [], "usage": {"prompt_tokens": 0}}],
        [{"usage": {"prompt_tokens": 1000, "completion_tokens": 50}}, *CHAT[1:3]],
        [{**CHAT[1], "usage": {"prompt_tokens": 1000, "completion_tokens": 5}}, {"piece": "some words"}],
        [{**CHAT[1], "usage": {"prompt_tokens": 1000, "completion_tokens": 5}}, object()],
        [*CHAT[1:3], {"choices": [], "usage": {"prompt_tokens": 1000, "completion_tokens": 0, "total_tokens": 1000}}],
        [{"choices": [{"delta": {"content": "some words " * 500}}]}, CHAT[-1]],
        [{"spent": {"total_tokens": 90_000}}, *CHAT],
        [ANTHROPIC[0], *ANTHROPIC[3:5]],
        ["plain ", "text"],
        CHAT[:-1],
    ],
    ids=lambda chunks: str([type(chunk).__name__ for chunk in chunks] if "object at" in str(chunks) else chunks)[:40],
)
def test_what_is_not_understood_is_charged_at_its_worst(charged, chunks):
    charge = charged(chunks)
    assert (charge.basis, charge.cost) == ("assumed", WORST)
    assert charge.notes


def test_a_final_usage_is_trusted_whatever_else_there_is(charged):
    odd = [{"type": "brand-new", "words": "some"}, {"novel": 7}, object(), None, {}]
    assert charged([*odd, *ANTHROPIC, *odd]).cost == REPORTED


_TOLD = {"input_tokens": 1000, "output_tokens": 50, "total_tokens": 1050}
_ENDED = {
    "image": [
        {"type": "image_generation.partial_image", "b64_json": "AAAA", "partial_image_index": 0, "quality": "low"},
        {"type": "image_generation.completed", "b64_json": "AAAA", "usage": _TOLD, "created_at": 1},
    ],
    "speech": [{"type": "speech.audio.delta", "audio": "AAAA"}, {"type": "speech.audio.done", "usage": _TOLD}],
    "transcription": [
        {"type": "transcript.text.delta", "delta": "word "},
        {"type": "transcript.text.segment", "id": "s", "start": 0.5, "end": 1.5, "text": "word", "speaker": "A"},
        {"type": "transcript.text.done", "text": "word", "usage": {"type": "tokens", **_TOLD}},
    ],
    "conversation of Mistral": [
        {
            "event": "conversation.response.started",
            "data": {"type": "conversation.response.started", "conversation_id": "c"},
        },
        {
            "event": "message.output.delta",
            "data": {"type": "message.output.delta", "content": "word ", "agent_id": "a"},
        },
        {"event": "conversation.response.done", "data": {"type": "conversation.response.done", "usage": _TOLD}},
    ],
    "kinds that are enumerations": [
        {"type": StrEnum("Kind", {"A": "response.output_text.delta"}).A, "delta": "word "},
        {"type": Enum("Kind", {"B": "response.completed"}, type=str).B, "response": {"usage": _TOLD}},
    ],
}


@pytest.mark.parametrize("shape", _ENDED)
def test_events_that_say_that_they_are_the_last(charged, shape):
    whole, cut = charged(_ENDED[shape]), charged(_ENDED[shape][:-1])
    assert (whole.basis, whole.cost, whole.notes) == ("reported", REPORTED, ())
    assert (cut.basis, cut.cost) == ("assumed", WORST)


def test_what_tools_of_the_provider_used_is_charged(charged):
    tools = {"image_gen": {"input_tokens": 20, "output_tokens": 80, "total_tokens": 100}}
    response = {"usage": {"input_tokens": 1000, "output_tokens": 50}, "tool_usage": tools}
    charge = charged([{"type": "response.completed", "response": response}])
    assert (charge.basis, charge.cost) == ("reported", REPORTED + 100 * Decimal("0.000002"))
    assert "`tool_usage.image_gen`" in charge.notes[0]


@pytest.mark.parametrize("text", ["=" * 9000, "\n" * 9000, ("-" * 80 + "\n") * 60], ids=["=", "lines", "rules"])
def test_runs_of_one_character_are_few_tokens(charged, text):
    stream = [{"choices": [{"delta": {"content": text}}]}, CHAT[-1]]
    assert charged(stream).basis == "reported"
    told = {"choices": [], "usage": {"prompt_tokens": 1000, "completion_tokens": 1}}
    assert charged([stream[0], told]).basis == "assumed"


def test_a_final_usage_stays(charged):
    """Whatever comes after it, even a usage of a part."""
    again = {"type": "message_stop", "message": {"usage": {"input_tokens": 9, "output_tokens": 1}}}
    assert charged([*ANTHROPIC, again, {"type": "ping"}]).cost == REPORTED


def test_two_responses_in_one_stream_are_both_charged(charged):
    second = [{**chunk, "id": "another"} for chunk in CHAT]
    assert charged([*CHAT, *second]).cost == 2 * REPORTED
    assert charged([*ANTHROPIC, *ANTHROPIC]).cost == 2 * REPORTED
    assert charged([*STREAMS["openai agents"][:3], _CREATED, *STREAMS["openai agents"]]).cost == 2 * REPORTED


def test_runs_that_are_streamed_at_once_are_told_apart(charged):
    """One that tells no usage is charged at its worst beside the other."""
    runs = [[{**chunk, "id": f"run-{name}"} for chunk in STREAMS["langgraph, by runs"]] for name in "ab"]
    both = [chunk for pair in zip(*runs, strict=True) for chunk in pair]
    assert charged(both).cost == 2 * REPORTED
    without = charged(both[:-1])
    assert (without.basis, without.cost) == ("assumed", REPORTED + WORST)


def test_a_summary_of_reasoning_counts_as_what_it_shows(charged):
    summary = {"type": "response.reasoning_summary_text.delta", "delta": "word " * 20}
    item = {"type": "response.output_item.added", "item": {"type": "reasoning", "summary": []}}
    shown = charged([item, summary, *CHAT], most=2)
    assert shown.basis == "estimated"
    assert 20 <= shown.usage.reasoning <= 25
    assert charged([item, *CHAT], most=1).basis == "assumed"


_SHOWN = {
    "openai chat": [*CHAT[:2]],
    "responses": STREAMS["openai responses"][:-1],
    "responses, summary": [
        {"type": "response.output_item.added", "item": {"type": "reasoning", "summary": []}},
        {"type": "response.reasoning_summary_text.delta", "delta": "word "},
    ],
    "openrouter, summary": [
        {
            "choices": [
                {
                    "delta": {
                        "reasoning": "word",
                        "reasoning_details": [{"type": "reasoning.summary", "summary": "word"}],
                    }
                }
            ]
        }
    ],
    "gemini, summary": [{"candidates": [{"content": {"parts": [{"text": "word", "thought": True}]}}]}],
    "gemini, only the prompt so far": [
        {
            "candidates": [{"content": {"parts": [{"text": "word"}]}}],
            "usageMetadata": {"promptTokenCount": 1000, "totalTokenCount": 1000},
        }
    ],
    "plain text": ["word ", "word "],
}
_ALL_SHOWN = {
    "anthropic": ANTHROPIC[:-2],
    "deepseek": [{"choices": [{"delta": {"reasoning_content": "word "}}]}, *CHAT[:2]],
    "ollama": [{"message": {"role": "assistant", "content": "", "thinking": "word"}, "done": False}],
    "responses, in full": [{"type": "response.reasoning_text.delta", "delta": "word "}],
    "gemini, usage so far": [
        {
            "candidates": [{"content": {"parts": [{"text": "word"}]}}],
            "usageMetadata": {"promptTokenCount": 1000, "candidatesTokenCount": 1, "thoughtsTokenCount": 10},
        }
    ],
}


@pytest.mark.parametrize("models", ["nano", "thinker", "stranger"])
@pytest.mark.parametrize("shape", [*_SHOWN, *_ALL_SHOWN])
def test_thinking_in_secret_counts_where_it_may_be(charged, shape, models):
    """Of a stream that is cut short: where the catalogue rules thinking out, or all of it is shown, texts count."""
    chunks = {**_SHOWN, **_ALL_SHOWN}[shape]
    charge = charged([*chunks, *CHAT], most=len(chunks), models=models)
    if models == "nano" or shape in _ALL_SHOWN:
        assert charge.basis == "estimated"
        assert charge.cost < WORST
    else:
        assert (charge.basis, charge.cost) == ("assumed", WORST)
        assert "reason" in charge.notes[0]
    whole = charged(CHAT, models=models)
    assert (whole.basis, whole.cost) == ("reported", REPORTED), "what tells its usage is not doubted"


def test_the_prompt_is_known_from_the_start(charged):
    """Of a stream that is cut short, too: with what was read from the cache at its price."""
    start = {"input_tokens": 100, "cache_read_input_tokens": 900, "output_tokens": 1}
    charge = charged([{"type": "message_start", "message": {"usage": start}}, ANTHROPIC[3]], most=2, models="large")
    assert (charge.usage.input, charge.usage.cache_read) == (100, 900)


@pytest.mark.parametrize(
    "hidden",
    [
        {"type": "content_block_delta", "delta": {"type": "signature_delta", "signature": "c2VhbA=="}},
        {"type": "content_block_start", "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
        {"type": "content_block_start", "content_block": {"type": "redacted_thinking", "data": "AAAA"}},
        {
            "type": "content_block_start",
            "content_block": {"type": "server_tool_use", "name": "web_search", "input": {}},
        },
        {"type": "response.output_item.added", "item": {"type": "reasoning", "summary": [], "encrypted_content": "A"}},
        {"type": "response.audio.delta", "delta": "AAAA"},
        {"choices": [{"delta": {"reasoning_details": [{"type": "reasoning.encrypted", "data": "AAAA"}]}}]},
        {"candidates": [{"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]}}]},
    ],
    ids=str,
)
def test_cut_short_after_output_that_does_not_show(charged, hidden):
    charge = charged([ANTHROPIC[0], hidden, ANTHROPIC[3], ANTHROPIC[4]], most=3)
    assert (charge.basis, charge.cost) == ("assumed", WORST)


def test_a_usage_that_grows_with_the_stream_counts_what_does_not_show(charged):
    """Gemini tells it in every chunk, with the thoughts that it keeps to itself."""
    chunk = {
        "candidates": [{"content": {"parts": [{"text": "word", "thoughtSignature": "c2VhbA=="}]}}],
        "usageMetadata": {"promptTokenCount": 1000, "candidatesTokenCount": 1, "thoughtsTokenCount": 40},
    }
    charge = charged([chunk, chunk], most=1)
    assert (charge.basis, charge.usage.reasoning) == ("estimated", 40)
    assert charged([{**chunk, "usageMetadata": None}] * 2, most=1).basis == "assumed"


def test_what_is_estimated_stays_within_the_limit_of_output(charged):
    charge = charged([{"choices": [{"delta": {"content": "word " * 5000}}]}, *CHAT], most=1)
    assert (charge.basis, charge.cost) == ("estimated", WORST)


def test_more_prompt_than_was_held_is_charged(charged):
    start = {"type": "message_start", "message": {"usage": {"input_tokens": 5000, "output_tokens": 1}}}
    charge = charged([start, {"type": "content_block_delta", "delta": {"type": "odd", "hologram": "AAAA"}}])
    assert charge.basis == "assumed"
    assert charge.cost == Decimal("0.0052")


@pytest.mark.parametrize(("on_exception", "basis"), [("release", "estimated"), ("charge_hold", "assumed")])
def test_broken_off(guard_of, on_exception, basis):
    def broken():
        yield from CHAT[:2]
        raise ConnectionResetError

    guard = guard_of(TEAM, on_exception=on_exception)
    with pytest.raises(ConnectionResetError), guard.call(REQUEST) as call:
        list(call.stream(broken()))
    assert call.charged.basis == basis


@pytest.mark.parametrize("told", [{"output_text": "x"}, {"response": {"prompt_tokens": 10, "completion_tokens": 1}}])
def test_what_a_stream_reported_is_the_least_that_is_charged(guard_of, told):
    with guard_of(TEAM).call(REQUEST) as call:
        for chunk in call.stream([*CHAT, CHAT[-1]]):
            if chunk.get("usage"):
                call.settle(**told)
                break
    assert call.charged.cost == REPORTED
    assert "a stream of the call has reported more" in call.charged.notes[-1]


def test_its_own_usage_is_not_charged_twice(guard_of):
    with guard_of(TEAM).call(REQUEST) as call:
        for chunk in call.stream(CHAT):
            if chunk.get("usage"):
                call.settle(chunk)
                break
    assert (call.charged.basis, call.charged.cost) == ("reported", REPORTED)


@pytest.mark.parametrize(("error", "basis"), [(ValueError, "assumed"), (GeneratorExit, "estimated")])
def test_a_block_that_fails_under_charge_hold(guard_of, error, basis):
    call = guard_of(TEAM, on_exception="charge_hold").call(REQUEST)

    def read():
        with call:
            for number, _ in enumerate(call.stream(CHAT)):
                if number == 1:
                    raise error

    with pytest.raises(error):
        read()
    assert call.charged.basis == basis


def test_a_fallback_after_one_that_broke_off(guard_of):
    """Both are charged, each at the prices of its model, whether the fallback streams or not."""

    def broken():
        yield from CHAT[:3]
        raise ConnectionResetError

    for stream in (True, False):
        with guard_of(_NO_LIMIT, models="nano, mini").call(REQUEST) as call:
            with pytest.raises(ConnectionResetError):
                list(call.stream(broken()))
            call.use("mini")
            if stream:
                list(call.stream([{**CHAT[-1], "model": "mini"}]))
            else:
                call.settle({"prompt_tokens": 1000, "completion_tokens": 50})
        assert call.charged.model == "mini"
        assert call.charged.cost == Decimal("0.0024") + Decimal("0.001") + 2 * Decimal("0.000001") * COUNT(
            "".join(SAID)
        )


@pytest.mark.parametrize("chunks", [[], [": ping\n\n"], ["data: [DONE]\n\n"], [b""]], ids=str)
def test_one_that_told_nothing_is_charged_at_its_worst(charged, chunks):
    charge = charged(chunks)
    assert (charge.basis, charge.cost) == ("assumed", WORST)
    assert "ended without its usage" in charge.notes[0]


def test_one_that_could_not_be_opened_is_given_back(guard_of):
    def refused():
        raise ConnectionRefusedError
        yield

    guard = guard_of(TEAM)
    with pytest.raises(ConnectionRefusedError), guard.call(REQUEST) as call:
        list(call.stream(refused()))
    assert call.charged is None
    assert guard.spend()[0].held == 0


def test_one_that_nobody_read_before_the_block_failed_is_charged_at_its_worst(guard_of):
    call = guard_of(TEAM).call(REQUEST)
    with suppress(ValueError), call:
        call.stream(iter(CHAT))
        raise ValueError
    assert (call.charged.basis, call.charged.cost) == ("assumed", WORST)


def test_one_that_nobody_read_is_charged_at_its_worst(guard_of):
    guard = guard_of(TEAM)
    with guard.call(REQUEST) as call:
        stream = call.stream(iter(CHAT))
    assert (call.charged.basis, call.charged.cost) == ("assumed", WORST)
    assert "not read" in call.charged.notes[0]
    with pytest.raises(GuardError):
        list(stream)


def test_one_that_is_kept_is_charged_at_the_end_of_the_block(guard_of):
    guard, closed = guard_of(TEAM), []

    def chunks():
        try:
            yield from CHAT
        finally:
            closed.append(True)

    with guard.call(REQUEST) as call:
        stream = call.stream(chunks())
        next(stream), next(stream)
    assert call.charged.basis == "estimated"
    assert closed, "the provider is told to stop"
    with pytest.raises(GuardError, match="within the block"):
        next(stream)
    assert guard.spend()[0].used == call.charged.cost


@pytest.mark.parametrize("most", [1, None])
@pytest.mark.parametrize("chunks", [CHAT[:3], SAID, [{"odd": 1}]])
def test_after_a_stream_that_told_no_usage_the_whole_answer_may_be_told(guard_of, chunks, most):
    with guard_of(TEAM).call(REQUEST) as call:
        for number, _ in enumerate(call.stream(chunks), 1):
            if number == most:
                break
        call.settle({"prompt_tokens": 1000, "completion_tokens": 50})
    assert (call.charged.basis, call.charged.cost) == ("reported", REPORTED)


def test_read_past_the_meter(guard_of):
    """As `get_final_message` does: the helper's stream keeps what came."""

    class Helper:
        current_message_snapshot = None

        def __iter__(self):
            yield ANTHROPIC[0]
            Helper.current_message_snapshot = {
                "type": "message",
                "content": [{"type": "text", "text": "".join(SAID)}],
                "usage": {"input_tokens": 1000, "output_tokens": 50},
            }
            yield ANTHROPIC[3]

    with guard_of(TEAM).call(REQUEST) as call:
        events = call.stream(Helper())
        next(events), next(events)
    assert (call.charged.basis, call.charged.cost) == ("reported", REPORTED)


@pytest.mark.parametrize("reason", [None, "end_turn"])
def test_what_a_helper_keeps_of_a_message_that_is_under_way_is_no_usage(guard_of, reason):
    """Its count of output is that of the start, until the message is whole."""
    message = {
        "type": "message",
        "content": [{"type": "text", "text": "word"}],
        "stop_reason": reason,
        "usage": {"input_tokens": 1000, "output_tokens": 1 if reason is None else 50},
    }

    class Helper:
        current_message_snapshot = message

        def __iter__(self):
            yield from ANTHROPIC[:4]
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError), guard_of(_NO_LIMIT).call(REQUEST) as call:
        list(call.stream(Helper()))
    assert call.charged.basis == ("estimated" if reason is None else "reported")
    settled = guard_of(_NO_LIMIT).call(REQUEST).settle(message)
    assert settled.basis == ("assumed" if reason is None else "reported")
    begun = guard_of(_NO_LIMIT).call(REQUEST).settle({"type": "message_start", "message": message})
    assert begun.basis == "assumed"


def test_without_a_block_a_left_stream_is_charged_at_once(guard_of):
    call = guard_of(TEAM).call(REQUEST)
    for number, _ in enumerate(call.stream(iter(CHAT))):
        if number == 1:
            break
    assert call.charged.basis == "estimated"


def test_a_settled_call_streams_no_more(guard_of):
    with guard_of(TEAM).call(REQUEST) as call:
        list(call.stream(CHAT))
        with pytest.raises(GuardError, match="settled"):
            call.stream(CHAT)


def test_a_manager_is_entered_and_a_raw_response_parsed(guard_of):
    class Manager:
        left = False

        def __enter__(self):
            return iter(CHAT)

        def __exit__(self, *_):
            self.left = True

    class Raw:
        def parse(self):
            return list(CHAT)

    manager = Manager()
    for chunks in (manager, Raw()):
        with guard_of(TEAM).call(REQUEST) as call:
            assert list(call.stream(chunks)) == CHAT
        assert call.charged.cost == REPORTED
    assert manager.left


def test_raw_responses(guard_of):
    """Of an SDK, of httpx and requests, and the body alone; what cannot be taken out of one is charged at its worst."""

    class Raw:
        headers = None

        def __init__(self, **methods):
            self.__dict__.update(methods)

    async def later():
        raise AssertionError("never awaited")

    said = {"usage": {"prompt_tokens": 1000, "completion_tokens": 50}}
    body = json.dumps(said)
    for raw in (Raw(parse=lambda: said), Raw(json=lambda: said), body, body.encode()):
        charge = guard_of(_NO_LIMIT).call(REQUEST).settle(raw)
        assert (charge.basis, charge.cost) == ("reported", REPORTED)
    for raw in (Raw(parse=later), Raw(json=lambda: 1 / 0), "no JSON", b"\xff", "[" * 100_000):
        assert guard_of(_NO_LIMIT).call(REQUEST).settle(raw).basis == "assumed"


def test_the_lease_is_extended_on_the_way(guard_of, clock):
    def slow():
        for _ in range(10):
            clock.move(seconds=40)
            yield CHAT[1]
        yield CHAT[-1]

    guard = guard_of(TEAM)
    with guard.call(REQUEST, lease=timedelta(seconds=60)) as call:
        list(call.stream(slow()))
    assert not call.charged.late


def test_a_stream_of_another_model_is_charged_at_the_dearer_and_noted(charged):
    other = [{**chunk, "model": "large"} for chunk in CHAT]
    whole, cut = charged(other), charged(other, most=3)
    assert (whole.model, whole.basis, whole.cost) == ("large", "reported", Decimal("0.00575"))
    assert (cut.model, cut.basis) == ("large", "estimated")
    assert cut.cost > Decimal("0.005")
    worst = charged(other[:-1])
    assert (worst.model, worst.basis, worst.cost) == ("large", "assumed", Decimal("0.0065"))
    assert all("large" in note for charge in (whole, worst) for note in charge.notes[-1:])


def test_a_response_with_text_and_no_output_is_doubted(guard_of):
    usage = {"prompt_tokens": 1000, "completion_tokens": 0}
    said = {"choices": [{"message": {"role": "assistant", "content": "word"}}], "usage": usage}
    assert guard_of(_NO_LIMIT).call(REQUEST).settle(said).basis == "assumed"
    assert guard_of(_NO_LIMIT).call(REQUEST).settle({**said, "choices": []}).basis == "reported"
