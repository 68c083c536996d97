"""The request in the words of each provider."""

from __future__ import annotations

import pytest

from costlens_policy.guard import GuardError
from costlens_policy.guard.dialects import DIALECTS, speak

PARAMS = {"max_output_tokens": 50, "temperature": 0.5, "stop": "END"}
TALK = (
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
    {"role": "assistant", "content": "Yes?"},
)


@pytest.mark.parametrize(
    ("dialect", "messages", "params"),
    [
        (
            "openai-chat",
            [{"role": "system", "content": "S"}, {"role": "user", "content": "P"}],
            {"temperature": 0.5, "stop": "END", "max_completion_tokens": 50},
        ),
        (
            "openai-responses",
            [{"role": "user", "content": "P"}],
            {"temperature": 0.5, "stop": "END", "max_output_tokens": 50, "instructions": "S"},
        ),
        (
            "anthropic",
            [{"role": "user", "content": "P"}],
            {"temperature": 0.5, "stop": "END", "max_tokens": 50, "system": "S"},
        ),
        (
            "gemini",
            [{"role": "user", "parts": [{"text": "P"}]}],
            {
                "config": {
                    "temperature": 0.5,
                    "stop_sequences": ["END"],
                    "max_output_tokens": 50,
                    "system_instruction": "S",
                }
            },
        ),
        (
            "bedrock",
            [{"role": "user", "content": [{"text": "P"}]}],
            {
                "inferenceConfig": {"temperature": 0.5, "stopSequences": ["END"], "maxTokens": 50},
                "system": [{"text": "S"}],
            },
        ),
    ],
)
def test_a_prompt_with_a_system_text(dialect, messages, params):
    spoken = speak(dialect, "P", "S", None, PARAMS)
    assert (spoken.messages, spoken.params) == (messages, params)


def test_system_messages_stay_or_move():
    limit = {"max_output_tokens": 50}
    assert speak("openai-chat", None, None, TALK, limit).messages == list(TALK)
    assert speak("openai-responses", None, None, TALK, limit).messages == list(TALK)
    anthropic = speak("anthropic", None, None, TALK, limit)
    assert (anthropic.messages, anthropic.params["system"]) == (list(TALK[1:]), "Be brief.")
    gemini = speak("gemini", None, None, TALK, limit)
    assert gemini.messages == [
        {"role": "user", "parts": [{"text": "Hi"}]},
        {"role": "model", "parts": [{"text": "Yes?"}]},
    ]
    bedrock = speak("bedrock", None, None, TALK, {**limit, "top_k": 5})
    assert bedrock.messages[1] == {"role": "assistant", "content": [{"text": "Yes?"}]}
    assert bedrock.params["additionalModelRequestFields"] == {"top_k": 5}
    assert (bedrock.model_name, gemini.messages_name) == ("modelId", "contents")


def test_anthropics_own_system_parameter():
    own = {"max_output_tokens": 5, "system": [{"type": "text", "text": "Own", "cache_control": {"type": "ephemeral"}}]}
    spoken = speak("anthropic", None, None, TALK, own)
    assert [part["text"] for part in spoken.params["system"]] == ["Be brief.", "Own"]
    assert speak("anthropic", None, None, TALK, {**own, "system": "Own"}).params["system"] == "Be brief.\n\nOwn"


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "max_output_tokens"])
def test_the_output_limit_is_there_once(dialect, name):
    spoken = speak(dialect, "P", None, None, {"max_output_tokens": 50, name: 50})
    text = repr(spoken.params)
    assert text.count("50") == 1
    if dialect == "openai-chat":
        assert spoken.params == ({"max_tokens": 50} if name == "max_tokens" else {"max_completion_tokens": 50})


def test_nothing_of_the_request_is_changed():
    speak("bedrock", None, None, TALK, PARAMS)
    assert len(TALK) == 3
    assert PARAMS["stop"] == "END"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_service_tiers(dialect):
    flex = speak(dialect, "P", None, None, {"max_output_tokens": 50, "service_tier": "flex"}).params
    assert "flex" in repr(flex)
    assert flex.get("serviceTier") == ({"type": "flex"} if dialect == "bedrock" else None)
    batch = speak(dialect, "P", None, None, {"max_output_tokens": 50, "service_tier": "batch"})
    assert "batch" not in repr(batch)


def test_an_unknown_dialect():
    with pytest.raises(GuardError, match="unknown dialect `latin`"):
        speak("latin", "P", None, None, PARAMS)


def test_a_guard_speaks_its_dialect(guard_of):
    guard = guard_of("", dialect="anthropic")
    with guard.call({"messages": list(TALK)}) as call:
        assert call.arguments == {
            "model": "nano", "messages": list(TALK[1:]), "max_tokens": 100, "system": "Be brief.",
        }  # fmt: skip
        assert call.params_for("openai-responses") == {"max_output_tokens": 100}
        assert call.messages_for("openai-chat") == list(TALK)
        assert set(call.arguments_for("bedrock")) == {"modelId", "messages", "inferenceConfig", "system"}


@pytest.mark.parametrize("own", ["Be kind.", [{"type": "text", "text": "Be kind."}]])
def test_a_system_text_among_the_parameters_goes_where_the_api_wants_it(own):
    params = {"max_output_tokens": 50, "system": own}
    for dialect in DIALECTS:
        spoken = speak(dialect, "P", "S", None, params)
        sent = str([spoken.messages, spoken.params])
        assert sent.index("S") < sent.index("Be kind.")
        assert ("system" in spoken.params) == (dialect in ("anthropic", "bedrock"))
    assert speak("openai-chat", "P", "S", None, params).messages[0] == {"role": "system", "content": "S\n\nBe kind."}


def test_the_number_of_answers_has_the_name_of_the_api():
    params = {"max_output_tokens": 50, "n": 2}
    assert speak("openai-chat", "P", None, None, params).params["n"] == 2
    assert speak("gemini", "P", None, None, params).params["config"] == {"max_output_tokens": 50, "candidate_count": 2}


def test_messages_that_are_geminis_own_stay():
    own = [{"role": "user", "parts": [{"text": "hi"}]}, {"role": "model", "parts": [{"functionCall": {"name": "f"}}]}]
    spoken = speak("gemini", None, None, [*own, {"role": "assistant", "content": "yes"}], {"max_output_tokens": 5})
    assert spoken.messages == [*own, {"role": "model", "parts": [{"text": "yes"}]}]


CALLS = [
    {"role": "user", "content": "Q"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
            {"id": "2", "type": "function", "function": {"name": "g", "arguments": ""}},
        ],
    },
    {"role": "tool", "tool_call_id": "1", "content": "R"},
    {"role": "tool", "tool_call_id": "2", "content": [{"type": "text", "text": "S"}]},
]


def test_calls_of_tools_for_gemini():
    contents = speak("gemini", None, None, CALLS, {"max_output_tokens": 5}).messages
    assert contents[1:] == [
        {
            "role": "model",
            "parts": [
                {"function_call": {"id": "1", "name": "f", "args": {"a": 1}}},
                {"function_call": {"id": "2", "name": "g", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"function_response": {"id": "1", "name": "f", "response": {"result": "R"}}},
                {"function_response": {"id": "2", "name": "g", "response": {"result": "S"}}},
            ],
        },
    ]


def test_calls_of_tools_for_bedrock():
    turns = speak("bedrock", None, None, CALLS, {"max_output_tokens": 5}).messages
    assert turns[1]["content"][0] == {"toolUse": {"toolUseId": "1", "name": "f", "input": {"a": 1}}}
    assert turns[2] == {
        "role": "user",
        "content": [
            {"toolResult": {"toolUseId": "1", "content": [{"text": "R"}]}},
            {"toolResult": {"toolUseId": "2", "content": [{"text": "S"}]}},
        ],
    }


def test_calls_of_tools_for_anthropic_and_from_there():
    turns = speak("anthropic", None, None, CALLS, {"max_output_tokens": 5}).messages
    assert turns[1]["content"][0] == {"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1}}
    assert turns[2]["content"][1] == {"type": "tool_result", "tool_use_id": "2", "content": "S"}
    for dialect in ("gemini", "bedrock"):
        direct, through = (
            speak(dialect, None, None, talk, {"max_output_tokens": 5}).messages for talk in (CALLS, turns)
        )
        assert direct == through


@pytest.mark.parametrize("dialect", ["gemini", "bedrock"])
@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}]},
        {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}]},
        {"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]},
        {"role": "user", "content": [{"type": "document", "source": {"type": "text", "data": "D"}}]},
        {"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]},
        {"role": "user", "content": "x", "name": "ann"},
        {"role": "user", "content": "x", "images": ["AAAA"]},
        {"role": "user", "content": "x", "whatever": "y"},
        {"role": "assistant", "content": None, "refusal": "no"},
        {"role": "assistant", "content": "x", "reasoning_content": "y"},
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "assistant", "tool_calls": [{"id": "1", "type": "custom", "custom": {"name": "f", "input": "x"}}]},
        {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{"}}]},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "x", "signature": "s"}]},
        {"role": "tool", "content": "x"},
        {"role": "tool", "tool_call_id": "9", "content": [{"type": "image", "source": {}}]},
        {"role": "system", "content": "in the middle"},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "x"}]},
        {"type": "function_call_output", "call_id": "1", "output": "x"},
        {"role": "user", "content": 5},
    ],
)
def test_what_a_dialect_cannot_express_is_refused(dialect, message):
    with pytest.raises(GuardError, match=r"cannot express `messages\[1\]"):
        speak(dialect, None, None, [{"role": "user", "content": "Q"}, message], {"max_output_tokens": 5})


SAFE = 'rewrites: [{id: safe, apply: [{remove_tools: {names: ["delete_*"]}}]}]'


@pytest.mark.parametrize(
    ("dialect", "holder"),
    [
        ("openai-chat", ()),
        ("openai-responses", ()),
        ("anthropic", ()),
        ("gemini", ("config",)),
        ("bedrock", ("toolConfig",)),
    ],
)
def test_the_tools_that_are_left_are_among_the_arguments(guard_of, dialect, holder):
    guard, request = guard_of(SAFE), {"prompt": "Hello."}
    given = [{"name": "delete_a", "input_schema": {}}, {"name": "b", "input_schema": {}}]
    with guard.call({**request, "tools": given}) as call:
        place = call.arguments_for(dialect)
        for key in holder:
            place = place[key]
        assert place["tools"] == list(call.tools) == given[1:]
    with guard.call(request) as call:
        assert call.tools is None
        assert "tools" not in str(call.arguments_for(dialect))
