"""What the parts of a chunk mean, whoever's SDK made it: one row for each key.

Every key that is not listed here, and holds something, makes the chunk one that was not understood. Sources: the API
references of OpenAI (chat completions, completions, responses), Anthropic (messages), Google
(``GenerateContentResponse``), Amazon Bedrock (``ConverseStream``, ``InvokeModelWithResponseStream``), Cohere (chat v1
and v2), Mistral, Ollama and OpenRouter; the streaming helpers of OpenAI's and Anthropic's SDKs; ``AIMessageChunk`` of
LangChain and ``ModelResponseStream`` of LiteLLM.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from costlens_policy.guard.streams.answer import TEXT, THOUGHT, TOOL, Answer
from costlens_policy.guard.streams.events import DELTA, EVENTS, LIFE, MESSAGE, OVER, RESPONSES, STARTS, WHOLE, Event
from costlens_policy.guard.streams.wire import fields_of

__all__ = ["AnotherAnswer", "note_unreadable", "read_chunk"]

_Fields: TypeAlias = Mapping[str, Any]
_Place: TypeAlias = tuple[str, str]
"""Kind of output, and channel."""
_Role: TypeAlias = Callable[[Answer, Any, _Place], None]


class AnotherAnswer(Exception):  # noqa: N818 - no error
    """A chunk belongs to another response, which may have an id. Nothing was noted of it."""

    def __init__(self, id: str = "") -> None:
        super().__init__(id)
        self.id = id


_DEEPEST: Final = 40
_NUMBERS: Final = (int, float)
_SCALARS: Final = (str, int, float)
_LISTS: Final = (list, tuple)
"""Kinds of values. They are asked for several times in each chunk, so that no union of types is made each time."""


def _check_run(answer: Answer, fields: _Fields) -> None:
    """Raise ``AnotherAnswer`` for a chunk of another run of LangChain's: a graph may stream several at once."""
    run = _id_of(fields)
    if run.startswith(("run-", "lc_run-")):
        if answer.id and answer.id != run:
            raise AnotherAnswer(run)
        answer.id = run


def _begins_anew(fields: _Fields, finished: Answer) -> bool:
    """Whether a chunk belongs to another response than the one that is finished."""
    if fields.get("type") in STARTS:
        return True
    name = _id_of(fields)
    return bool(name and finished.id and name != finished.id and (fields.get("choices") or fields.get("candidates")))


def read_chunk(answer: Answer, chunk: Any) -> None:
    """Note what a chunk says. What is not understood is noted as that, or raises whatever it may raise.

    Raises ``AnotherAnswer`` for a chunk of another response.
    """
    fields = fields_of(chunk)
    if answer.is_final and _begins_anew(fields, answer):
        raise AnotherAnswer
    answer.begin_chunk()
    named = fields.get("type") or fields.get("event_type") or fields.get("event_kind")
    if type(named) is not str and isinstance(named, str):
        named = str.__str__(named)  # an enumeration, as LiteLLM has them
    if named is None:
        _untyped(answer, fields)
    elif isinstance(named, str) and named.startswith(RESPONSES):
        _response_event(answer, named, fields)
    elif (event := EVENTS.get(named) if isinstance(named, str) else None) is not None:
        _typed(answer, str(named), event, fields)
    else:
        _strange(answer, str(named), fields)


def note_unreadable(answer: Answer, what: str) -> None:
    """Note a chunk of which nobody knows what it says."""
    answer.begin_chunk()
    answer.lacks(what)
    answer.text_came = True
    answer.end_chunk(firm=False)


def _typed(answer: Answer, name: str, event: Event, fields: _Fields) -> None:
    begun = name == "message_start" or (name == MESSAGE and fields.get("stop_reason", name) is None)
    if event.channel is not None:
        if name in ("AIMessageChunk", "ai"):
            _check_run(answer, fields)
            answer.adds_up = True
        answer.is_start = begun
        answer.is_frank = answer.is_frank or begun
        if name == "tool_calls.function.arguments.delta":  # `arguments` are those of all events so far
            _tool(answer, fields.get("arguments_delta"), (TOOL, event.channel))
        else:
            _walk(answer, fields, (THOUGHT if name == "thinking" else TEXT, event.channel))
    answer.end_chunk(firm=event.firm and not begun)


def _untyped(answer: Answer, fields: _Fields) -> None:
    event = fields.get("event")
    if isinstance(event, str) and event.startswith("on_"):  # LangChain reports each step at several levels
        _strange(answer, event, fields)
        return
    choices = fields.get("choices")
    _walk(answer, fields, (TEXT, WHOLE if fields.get("object") == "chat.completion" else DELTA))
    if answer.usage_came:
        answer.id = _id_of(fields) or answer.id
    answer.end_chunk(firm=choices is not None and not choices)


def _id_of(fields: _Fields) -> str:
    name = fields.get("id") or fields.get("responseId") or fields.get("response_id")
    return name if isinstance(name, str) else ""


def _response_event(answer: Answer, name: str, fields: _Fields) -> None:
    """Read an event of OpenAI's responses. Events without a row of their own have telling names."""
    tail = name[len(RESPONSES) :]
    if tail in LIFE:
        response = fields_of(fields.get("response"))
        for key in ("model", "service_tier", "usage", "tool_usage"):
            if (value := response.get(key)) is not None:
                _ROLES[key](answer, value, (TEXT, WHOLE))
        if tail in OVER and isinstance(output := response.get("output"), list):
            answer.output = output
        answer.end_chunk(firm=tail in OVER)
        if tail in OVER and not answer.usage_came:
            answer.hidden = answer.hidden or f"`{name}` reports no usage"
        return
    if tail in ("audio.delta", "output_audio.delta") or tail.startswith("shell_call_output"):
        answer.hidden = answer.hidden or name
        return
    part, _, when = tail.rpartition(".")
    kind = TEXT
    if part.startswith("reasoning"):
        kind = THOUGHT
        answer.reasons = answer.reasons or part.startswith("reasoning_summary")
    elif any(word in part for word in ("arguments", "input", "code", "command")):
        kind = TOOL
    _walk(answer, fields, (kind, DELTA if when == "delta" else tail))
    answer.end_chunk(firm=False)


def _strange(answer: Answer, name: str, fields: _Fields) -> None:
    """Note an event of an unknown kind. A usage in it may be that of a part, so it is no usage."""
    note_unreadable(answer, name)
    _claim(answer, fields)


def _walk(answer: Answer, fields: _Fields, place: _Place) -> None:
    for key, value in fields.items():
        if not value:
            continue
        role = _ROLES.get(key, _UNKNOWN)
        if role is _PLAIN:
            if not isinstance(value, _SCALARS):
                _unknown(answer, key, value)
        elif role is _UNKNOWN:
            _unknown(answer, key, value)
        elif role is not _IGNORED:
            role(answer, value, place)


def _unknown(answer: Answer, key: Any, value: Any) -> None:
    if str(key).startswith("_"):  # an SDK's own
        return
    answer.lacks(str(key))
    answer.text_came = True  # for all that is known
    _claim(answer, {key: value})


def _claim(answer: Answer, value: Any, name: str = "", depth: int = 0) -> None:
    """Note the largest number of tokens in what was not understood."""
    if type(value) in (int, float):
        if "token" in name.lower() and value > answer.claimed:
            answer.claimed = int(value)
    elif depth > _DEEPEST or isinstance(value, str | bytes | bool) or value is None:
        return
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            _claim(answer, item, name, depth + 1)
    else:
        for key, item in fields_of(value).items():
            _claim(answer, item, str(key), depth + 1)


# What a key holds.


def _struct(answer: Answer, value: Any, place: _Place) -> None:
    """A part with keys of its own, or several of them; or plainly the text."""
    if isinstance(value, str):
        answer.say(*place, value)
    elif isinstance(value, _LISTS):
        for item in value:
            _struct(answer, item, place)
    elif isinstance(value, _NUMBERS):
        answer.lacks(str(value))
    else:
        _walk(answer, fields_of(value), place)


def _block(answer: Answer, value: Any, place: _Place) -> None:
    """A block of content or an item of output, whose ``type`` says what it is; or several of them; or the text."""
    if isinstance(value, _LISTS):
        for item in value:
            _block(answer, item, place)
        return
    if isinstance(value, _SCALARS):
        _struct(answer, value, place)
        return
    fields = fields_of(value)
    name = fields.get("type")
    if not isinstance(name, str):
        _walk(answer, fields, place)
    elif name.endswith(("_tool_result", "_call_output")) or name in ("tool_search_output", "program_output"):
        return  # what a tool answered is no output of the model
    elif name in _HIDDEN_BLOCKS:
        answer.hidden = answer.hidden or name
        answer.text_came = True
        if name == "server_tool_use":
            answer.tools_run[str(fields.get("id") or len(answer.tools_run))] = fields
    else:
        answer.reasons = answer.reasons or _is_veiled(answer, name, fields)
        _walk(answer, fields, (THOUGHT, place[1]) if name in _THOUGHTS else place)


def _is_veiled(answer: Answer, name: str, fields: _Fields) -> bool:
    """Whether a block is thinking of which a summary is shown at most, or, so far, nothing at all."""
    if name == "thinking":
        return "thinking" in fields and not fields["thinking"] and not answer.has_said(THOUGHT)
    return name == "reasoning.summary" or (name == "reasoning" and "summary" in fields)


_HIDDEN_BLOCKS: Final = frozenset({
    "redacted_thinking", "reasoning.encrypted", "compaction",
    "server_tool_use", "mcp_tool_use", "mcp_tool_listing", "web_search_call", "file_search_call",
    "code_interpreter_call", "mcp_call", "mcp_list_tools", "mcp_approval_response",
    "tool_search_call", "additional_tools", "program",
    "fallback", "container_upload", "image_generation_call", "image", "image_url", "output_image", "audio",
    "output_audio", "input_audio", "video", "file",
})  # fmt: skip
"""Encrypted thinking, tools that the provider runs, and media: their tokens do not show in the stream."""
_THOUGHTS: Final = frozenset({"thinking", "reasoning", "reasoning_text", "summary_text"})


def _tool(answer: Answer, value: Any, place: _Place) -> None:
    """Arguments of a tool: JSON as text, whole or in pieces, or what it stands for; and the names of tools."""
    if value:
        answer.say(TOOL, place[1], value if isinstance(value, str) else _json(value))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=lambda item: dict(fields_of(item)))


def _thought(suffix: str) -> _Role:
    """Thinking that is shown; ``suffix`` sets copies of it apart, which some providers send beside it."""

    def note(answer: Answer, value: Any, place: _Place) -> None:
        _block(answer, value, (THOUGHT, place[1] + suffix))

    return note


def _copy(suffix: str) -> _Role:
    """What another key of the same chunk may say, too."""

    def note(answer: Answer, value: Any, place: _Place) -> None:
        _block(answer, value, (place[0], place[1] + suffix))

    return note


def _part(answer: Answer, value: Any, place: _Place) -> None:
    """A part of a message of Gemini's, which may be a thought."""
    for item in value if isinstance(value, list | tuple) else (value,):
        thought = not isinstance(item, str) and fields_of(item).get("thought") is True
        answer.reasons = answer.reasons or thought  # a summary, by Google's word
        _struct(answer, item, (THOUGHT, place[1]) if thought else place)


def _signature(answer: Answer, value: Any, place: _Place) -> None:
    """The seal of a thought: where none was shown, there is one all the same."""
    if not answer.has_said(THOUGHT):
        answer.hidden = answer.hidden or "thinking that is not shown"


def _concealed(what: str) -> _Role:
    def note(answer: Answer, value: Any, place: _Place) -> None:
        answer.hidden = answer.hidden or what
        answer.text_came = True

    return note


def _usage(answer: Answer, value: Any, place: _Place) -> None:
    if isinstance(value, str | int | float | list | tuple):
        answer.lacks("usage")
    else:
        answer.report(value)


def _usage_of_meta(answer: Answer, value: Any, place: _Place) -> None:
    """``meta`` of Cohere's first API, which is a usage when it says what is billed."""
    fields = fields_of(value)
    if "billed_units" in fields or "tokens" in fields:
        answer.report(fields)


def _usage_of_tools(answer: Answer, value: Any, place: _Place) -> None:
    """What OpenAI's responses report of images and searches, beside the usage of the model."""
    answer.of_tools = value


def _ground(name: str) -> _Role:
    """What Gemini says of its searches, under its name for it."""

    def note(answer: Answer, value: Any, place: _Place) -> None:
        answer.grounds.append({name: value})

    return note


def _metadata(answer: Answer, value: Any, place: _Place) -> None:
    """The last event of Bedrock's, with the usage."""
    fields = fields_of(value)
    if (usage := fields.get("usage")) is not None:
        _usage(answer, usage, place)
        answer.finished = True
        fields = {name: item for name, item in fields.items() if name in ("serviceTier",)}
        _walk(answer, fields, place)
    else:
        _unknown(answer, "metadata", value)


def _count(name: str) -> _Role:
    """A count that stands beside the text, as Ollama and Bedrock's models report them, under OpenAI's name for it."""

    def note(answer: Answer, value: Any, place: _Place) -> None:
        answer.report({name: value})

    return note


def _metrics(answer: Answer, value: Any, place: _Place) -> None:
    """What Bedrock adds to the last chunk of any model."""
    fields = fields_of(value)
    names = {
        "inputTokenCount": "inputTokens",
        "outputTokenCount": "outputTokens",
        "cacheReadInputTokenCount": "cacheReadInputTokens",
        "cacheWriteInputTokenCount": "cacheWriteInputTokens",
    }
    own = {names[name]: count for name, count in fields.items() if name in names}
    if own and answer.usage is None:
        answer.report(own)
        answer.finished = True


def _finish(answer: Answer, value: Any, place: _Place) -> None:
    answer.finished = True
    if isinstance(value, Mapping):  # Bedrock
        _walk(answer, value, place)


def _model(answer: Answer, value: Any, place: _Place) -> None:
    if isinstance(value, str):
        answer.model = value
    else:
        _unknown(answer, "model", value)


def _tier(answer: Answer, value: Any, place: _Place) -> None:
    answer.tier = value


def _data(answer: Answer, value: Any, place: _Place) -> None:
    """What is wrapped whole: an event of the wire or of Mistral's SDK, a chunk in an event of OpenAI's helper."""
    if not isinstance(value, bytes | str) and isinstance(inner := fields_of(value).get("bytes"), bytes | str):
        value = inner  # Bedrock, from a model of its own
    if isinstance(value, bytes | str):
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        if text.strip() == "[DONE]":
            return
        value = json.loads(text)
    came, finished = answer.usage_came, answer.finished
    read_chunk(answer, value)
    answer.usage_came, answer.finished = answer.usage_came or came, answer.finished or finished


_UNKNOWN: Final[Any] = object()
_PLAIN: Final[Any] = object()
"""A name, a number or a state, which says nothing; anything more in its place was not expected."""
_IGNORED: Final[Any] = None

_ROWS: Final[tuple[tuple[Any, str], ...]] = (
    (
        _PLAIN,
        """
        id object type event event_type role index status created createTime item_id output_index content_index
        summary_index command_index annotation_index partial_image_index sequence_number contentBlockIndex
        chunk_position call_id tool_call_id tool_use_id toolUseId event_id response_id responseId request_id
        generation_id approval_request_id system_fingerprint fingerprint obfuscation p native_finish_reason
        stop_sequence stopReason namespace phase execution server_label example format thought async async_
        toolset_name agent_id conversation_id approve background output_format quality size total_duration load_duration
        prompt_eval_duration
        eval_duration language will_continue willContinue token_count tokenCount is_search_required tool_name
        """,
    ),
    # states of more than a word
    (
        _IGNORED,
        """
        created_at create_time expires_at created_by caller provider provider_metadata incomplete_details stop_details
        additionalModelResponseFields container diagnostics context_management input_transformations environment
        context prompt_token_ids token_ids finish_message finishMessage model_status modelStatus
        """,
    ),
    # what was judged, looked up or measured, and is not written by the model
    (
        _IGNORED,
        """
        logprobs logprobs_result logprobsResult avgLogprobs avg_logprobs annotations annotation citations citation
        citationMetadata citation_metadata safetyRatings safety_ratings promptFeedback prompt_feedback
        prompt_filter_results
        content_filter_results content_filter_result content_filter_offsets content_filters moderation search_results
        codeExecutionResult code_execution_result functionResponse function_response outputs sdk_http_response
        automatic_function_calling_history chat_history documents pending_safety_checks prompt_logprobs trace
        """,
    ),
    # what a helper adds up, parses, or repeats
    (_IGNORED, "snapshot parsed parsed_arguments parsed_output response_metadata invalid_tool_calls"),
    (
        _struct,
        """
        choices candidates delta message response start x_groq messageStart contentBlockStart contentBlockDelta
        contentBlockStop toolUse tool_calls tool_call_delta function function_call functionCall custom
        custom_tool_call search_queries executable_code executableCode
        """,
    ),
    (_block, "content content_block item part output"),
    (_part, "parts"),
    (_data, "data chunk"),
    (_struct, "text refusal tool_plan transcript command commands queries query"),
    (
        _tool,
        """
        arguments arguments_delta partial_json input args parameters code name action actions operation partial_args
        partialArgs
        """,
    ),
    (_thought(""), "thinking reasoningContent reasoningText summary"),
    *(
        (_thought(f" {name}"), name)
        for name in ("reasoning", "reasoning_content", "reasoning_details", "thinking_blocks")
    ),
    *((_copy(f" {name}"), name) for name in ("tool_call_chunks", "additional_kwargs", "provider_specific_fields")),
    # what a stream does not show
    (_signature, "signature thoughtSignature thought_signature"),
    (_concealed("a tool that the provider runs"), "tool_call toolCall tool_response toolResponse"),
    (_concealed("encrypted thinking"), "redactedContent encrypted_content encrypted"),
    (_concealed("thinking of which only an estimate is shown"), "estimated_tokens"),
    (
        _concealed("media"),
        "inlineData inline_data partial_image_b64 b64_json images image audio fileData file_data video",
    ),
    # usage, and who answered
    (_usage, "usage usage_metadata usageMetadata token_usage"),
    (_usage_of_meta, "meta"),
    (_usage_of_tools, "tool_usage"),
    (_ground("groundingMetadata"), "groundingMetadata grounding_metadata"),
    (_ground("urlContextMetadata"), "urlContextMetadata url_context_metadata"),
    (_metadata, "metadata"),
    (_count("prompt_tokens"), "prompt_eval_count"),
    (_count("completion_tokens"), "eval_count"),
    (_metrics, "amazon-bedrock-invocationMetrics"),
    (_finish, "finish_reason finishReason stop_reason done done_reason is_finished messageStop"),
    (_model, "model modelVersion model_version"),
    (_tier, "service_tier serviceTier"),
)
_ROLES: Final[dict[Any, Any]] = {key: role for role, keys in _ROWS for key in keys.split()}
"""What each key means, wherever it stands."""
