"""Every event and every field that the SDKs of OpenAI and Anthropic can stream is known, down to the last level."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator
from typing import Any

import pytest

from costlens_policy.guard.streams import StreamMeter

pytest.importorskip("openai", reason="its types say what it can stream")
pytest.importorskip("anthropic", reason="its types say what it can stream")

from anthropic.lib.streaming import BetaMessageStreamEvent, MessageStreamEvent
from anthropic.types import RawMessageStreamEvent
from anthropic.types.beta import BetaRawMessageStreamEvent
from openai.lib.streaming.chat import ChatCompletionStreamEvent
from openai.lib.streaming.responses import ResponseStreamEvent as ResponseHelperEvent
from openai.types import Completion
from openai.types.chat import ChatCompletionChunk
from openai.types.responses import ResponseStreamEvent
from pydantic import BaseModel

_UNIONS: tuple[Any, ...] = (
    ResponseStreamEvent, ResponseHelperEvent, ChatCompletionStreamEvent, ChatCompletionChunk, Completion,
    RawMessageStreamEvent, BetaRawMessageStreamEvent, MessageStreamEvent, BetaMessageStreamEvent,
)  # fmt: skip
_DEEPEST = 6
_NOT_WRITTEN = ("response.completed", "response.incomplete", "response.failed")
"""Without a usage these are not understood, and rightly so."""


def _classes(annotation: Any) -> Iterator[type[BaseModel]]:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in typing.get_args(annotation):
        yield from _classes(inner)


def _samples(annotation: Any, depth: int) -> Iterator[Any]:
    """Yield values that fit an annotation: one for each class and word that it allows."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield from _filled(annotation, depth + 1) if depth < _DEEPEST else ()
    elif origin is typing.Literal:
        yield inner[0]
    elif origin in (list, dict):
        yield from ([item] for item in _samples(inner[-1], depth))
    elif origin is typing.Annotated:
        yield from _samples(inner[0], depth)
    elif inner:
        for item in inner:
            yield from _samples(item, depth)
    elif annotation in (str, object):
        yield "word"
    elif annotation in (int, float, bool):
        yield annotation(1)


def _filled(kind: type[BaseModel], depth: int = 0) -> Iterator[dict[str, Any]]:
    """Yield objects of a class in which every field holds something, each sample of each field once."""
    samples = {
        field.alias or name: list(_samples(field.annotation, depth)) for name, field in kind.model_fields.items()
    }
    for number in range(max(map(len, samples.values()), default=0)):
        yield {name: values[min(number, len(values) - 1)] for name, values in samples.items() if values}


_EVENTS = {event.__name__: event for union in _UNIONS for event in _classes(union)}


@pytest.mark.parametrize("name", sorted(_EVENTS))
def test_every_event_is_understood(name):
    kind = _EVENTS[name]
    samples = list(_filled(kind))
    assert samples
    for sample in samples:
        if sample.get("type") in _NOT_WRITTEN:
            sample["response"] = {"usage": {"input_tokens": 1, "output_tokens": 1}}
        for chunk in (sample, kind.model_construct(**sample)):
            meter = StreamMeter()
            meter.see(chunk)
            (answer,) = meter.answers
            assert not answer.unknown or answer.hidden, (answer.unknown, sample)


def test_fields_that_an_sdk_does_not_know_are_seen():
    around = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    choice = {"index": 0, "finish_reason": None, "delta": {"hologram": "AAAA"}}
    meter = StreamMeter()
    meter.see(ChatCompletionChunk.model_validate({**around, "choices": [choice]}))
    assert meter.answers[0].unknown == "hologram"
