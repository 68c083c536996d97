"""What a caller may put into `params`: nothing that decides again what was decided, under no name of any provider."""

from __future__ import annotations

import string
from typing import Any, Final

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from costlens_policy import Engine, PolicyError, RequestError
from costlens_policy.documents.parameters import LONGEST_NAME, NO_TEXTS, OUTPUT_LIMIT_NAMES, PASSING, steering
from tests.engine.conftest import Write, writer

ANY = "on_error: skip\n"
STEERS: Final = {
    "the model": [
        "model", "modelId", "model_id", "model_name", "models", "engine", "deployment_id", "azure_deployment", "route",
        "fallbacks", "provider", "custom_llm_provider", "agent_id", "preset",
        "routing_config", "modelSelectionConfig", "auto_router_default_model", "my_fallback",
    ],
    "the texts": [
        "messages", "prompt", "input", "inputs", "inputText", "instructions", "contents", "system_instruction",
        "systemInstruction", "prediction", "documents", "preamble", "chat_history", "suffix", "prompt_variables",
        "promptVariables", "system_prompt", "System", "chat_template", "images",
        "user_continue_message", "house_instructions", "image",
    ],
    "tools": ["tools", "functions", "toolConfig", "tool_config", "mcp_servers", "plugins", "connectors"],
    "the output limit": [
        "maxOutputTokens", "maxTokens", "MAX_TOKENS", "num_predict", "max_new_tokens", "max_tokens_to_sample",
        "max_gen_len", "maxTokenCount", "n_predict", "max_length", "max_tokens_to_generate", "max_output",
        "response_max_tokens", "output_max_tokens", "max_completion_length", "maxGeneratedTokens", "num_tokens",
    ],
    "the number of answers": [
        "N", "best_of", "bestOf", "candidate_count", "candidateCount", "num_generations", "num_return_sequences",
        "n_completions", "num_choices", "numberOfAnswers", "return_sequences",
    ],
    "context": [
        "previous_response_id", "conversation", "cached_content", "cachedContent", "container", "data_sources",
        "web_search_options", "search_parameters",
    ],
    "how the call is sent": [
        "extra_headers", "extra_query", "headers", "http_options", "api_base", "base_url", "api_key", "mock_response",
        "mock_anything", "issuer_url", "clientSecret", "aws_region_name", "litellm_params",
        "num_retries", "request_options", "provider_specific_header", "_router_weights", "arize_api_key",
        "organization", "project", "user_config",
    ],
    "what holds parameters": [
        "extra_body", "extraBody", "Extra-Body", "EXTRA_BODY", "config", "generation_config", "generationConfig",
        "inferenceConfig", "options", "parameters", "additionalModelRequestFields", "model_kwargs",
    ],
    "the tier": ["serviceTier"],
    "what multiplies prices": ["inferenceGeo", "Speed", "performance_config"],
    "what is written to a cache": ["cacheControl"],
    "what looks like one of these": [
        "m\u043edel", "\uff4d\uff4f\uff44\uff45\uff4c", "m\u0430x_tokens", "\U0001d426odel", "\u0455eed",
    ],
}  # fmt: skip
NAMES: Final = [name for names in STEERS.values() for name in names]
ROWS: Final = "".join(f" {row.names} " for row in map(steering, NAMES) if row is not None)
SPELLED: Final = [name for name in NAMES if f" {''.join(filter(str.isalnum, name)).lower()} " in ROWS]
"""Without those that are told by one of their words."""
VALUES: Final = ("x", 100_000, {"a": 1}, ["x"], True)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return writer(tmp_path_factory.mktemp("company"))(ANY)


@pytest.fixture(scope="module")
def verifying(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return writer(tmp_path_factory.mktemp("verifying"))(ANY, more="prompt_tokens: verified")


@pytest.mark.parametrize("name", NAMES)
def test_what_steers_is_refused_whatever_its_value(engine: Engine, name: str) -> None:
    for value in VALUES:
        with pytest.raises(RequestError) as caught:
            engine.decide({"prompt": "x", "params": {name: value}})
        assert f"`params` must not hold `{name}`; " in str(caught.value)


def test_null_is_a_value_like_any_other(engine: Engine) -> None:
    with pytest.raises(RequestError):
        engine.decide({"prompt": "x", "params": {"extra_body": None}})


@given(
    name=st.sampled_from(SPELLED),
    separators=st.lists(st.sampled_from(["", "_", "-", " ", "."]), min_size=30),
)
def test_case_and_separators_make_no_difference(name: str, separators: list[str]) -> None:
    plain = [character for character in name if character.isalnum()]
    for form in (str.upper, str.lower, str.title):
        spelled = "".join(form(one) + between for one, between in zip(plain, separators, strict=False))
        assume(spelled not in PASSING)
        assert steering(spelled) is not None, spelled


@pytest.mark.parametrize("name", sorted(PASSING - set(OUTPUT_LIMIT_NAMES) - {"n"}))
def test_what_is_known_passes_with_whatever_is_in_it(engine: Engine, name: str) -> None:
    value = {"type": "object", "model": "x", "max_tokens": 5, "n": 3}
    assert engine.decide({"prompt": "x", "params": {name: value}}).params[name] == value


@pytest.mark.parametrize("name", ["responseSchema", "thinkingConfig", "stopSequences", "Response-Json-Schema", "topK"])
def test_known_names_are_known_in_every_case(engine: Engine, name: str) -> None:
    value = {"properties": {"model": {"type": "string"}, "n": {"type": "integer"}}}
    assert engine.decide({"prompt": "x", "params": {name: value}}).params[name] == value


@given(name=st.text(string.ascii_lowercase, min_size=12, max_size=20), value=st.sampled_from([3, 0.5, True, "low"]))
def test_what_nobody_knows_passes(engine: Engine, name: str, value: Any) -> None:
    assume(steering(name) is None)
    assert engine.decide({"prompt": "x", "params": {name: value}}).params[name] == value


@pytest.mark.parametrize("name", ["model", "models", "messages", "tools", "max_tokens", "maxTokens", "n", "best_of"])
@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: {"a": v}, lambda v: [v], lambda v: {"options": {"b": [v]}}])
def test_nothing_steers_inside_of_it(engine: Engine, name: str, wrap: Any) -> None:
    with pytest.raises(RequestError, match=f"`params` must not hold `invented.*{name}`"):
        engine.decide({"prompt": "x", "params": {"invented": wrap({name: 5})}})


def test_a_name_has_an_end(engine: Engine) -> None:
    with pytest.raises(RequestError, match="name of more than 100 characters"):
        engine.decide({"prompt": "x", "params": {"x" * (LONGEST_NAME + 1): 1}})


@pytest.mark.parametrize("value", ["text " * 2000, ["text " * 2000], {"a": [{"b": "text " * 2000}]}])
@pytest.mark.parametrize("name", ["invented", "text", "response_schema"])
def test_texts_in_it_are_counted(engine: Engine, name: str, value: Any) -> None:
    counted = engine.decide({"prompt": "x", "params": {name: value}}).estimate
    assert counted is not None
    assert counted.prompt_tokens >= 2000
    assert counted.basis == "estimate"


def test_texts_that_a_rewrite_puts_there_are_counted(company: Write) -> None:
    engine = company(ANY + f"rewrites: [{{id: r, apply: [{{set_params: {{invented: {'text ' * 500}}}}}]}}]")
    before, after = (engine.decide({"prompt": "x", "prompt_tokens": n}).estimate for n in (1, 1000))
    assert before is not None
    assert after is not None
    assert before.prompt_tokens >= 500
    assert after.prompt_tokens >= 1500


def test_switches_and_numbers_are_not(engine: Engine) -> None:
    plain = engine.decide({"prompt": "hello"}).estimate
    params = {**dict.fromkeys(sorted(NO_TEXTS - set(OUTPUT_LIMIT_NAMES) - {"n"}), "some words"), "invented": 3}
    with_params = engine.decide({"prompt": "hello", "params": params}).estimate
    assert plain is not None
    assert with_params is not None
    assert with_params.prompt_tokens == plain.prompt_tokens


def test_defaults_of_a_policy_set_keep_to_it(company: Write) -> None:
    with pytest.raises(PolicyError, match=r"CL426.*`extra_body`"):
        company(ANY, attributes="  params: {type: 'map(string, dyn)', default: {temperature: 0.1, extra_body: {a: 1}}}")
    engine = company(ANY, attributes="  params: {type: 'map(string, dyn)', default: {temperature: 0.1, max_tokens: 7}}")
    assert engine.decide({"prompt": "x"}).params == {"temperature": 0.1, "max_tokens": 7, "max_output_tokens": 7}


class TestAdmitting:
    def test_lets_named_ones_through(self, company: Write) -> None:
        engine = company(ANY, more="admit: {params: [extra_headers, functions]}")
        params = {"extra_headers": {"a": "b"}, "functions": [{"name": "f", "description": "text " * 500}]}
        decision = engine.decide({"prompt": "x", "params": params})
        assert decision.params.items() >= params.items()
        assert decision.estimate is not None
        assert decision.estimate.prompt_tokens > 500
        with pytest.raises(RequestError):
            engine.decide({"prompt": "x", "params": {"extra_query": {}}})

    @pytest.mark.parametrize("inside", ["model", "messages", "max_tokens", "n", "system", "tools", "service_tier"])
    def test_looks_into_maps_of_parameters(self, company: Write, inside: str) -> None:
        engine = company(ANY, more="admit: {params: [extra_body]}")
        assert engine.decide({"prompt": "x", "params": {"extra_body": {"top_k": 3, "deep": {"a": [1]}}}}).allowed
        for path, value in {inside: 1, "a": [{inside: 1}], "b": {"c": {inside: 1}}, "options": {inside: 1}}.items():
            with pytest.raises(RequestError, match=f"`params` must not hold `extra_body.{path}"):
                engine.decide({"prompt": "x", "params": {"extra_body": {path: value}}})

    @pytest.mark.parametrize("name", ["model", "messages", "max_output_tokens", "maxTokens", "best_of", "temperature"])
    def test_stops_at_what_is_decided(self, company: Write, name: str) -> None:
        with pytest.raises(PolicyError, match=name):
            company(ANY, more=f"admit: {{params: [{name}]}}")


@pytest.mark.parametrize("name", ["prompt_tokens", "max_output_tokens"])
@pytest.mark.parametrize("value", [-1, True, 1.5, "9", 10**9 + 1, 2**62, 2**200])
def test_counts_of_tokens_are_counts(engine: Engine, name: str, value: Any) -> None:
    with pytest.raises(RequestError, match=f"`{name}`"):
        engine.decide({"prompt": "x", name: value})


@given(claim=st.integers(0, 3000), words=st.integers(0, 1500), system=st.booleans())
def test_a_verified_claim_never_lowers_the_count(verifying: Engine, claim: int, words: int, system: bool) -> None:
    content: dict[str, Any] = {"prompt": "word " * words}
    if system:
        content = {"messages": [{"role": "user", "content": "word " * words}], "params": {"system": "word " * 50}}
    counted = verifying.decide(content).estimate
    claimed = verifying.decide({**content, "prompt_tokens": claim}).estimate
    assert counted is not None
    assert claimed is not None
    assert claimed.prompt_tokens == max(claim, counted.prompt_tokens)
    assert claimed.basis == ("request" if claim > counted.prompt_tokens else counted.basis)


@pytest.mark.parametrize(
    "name",
    [
        "max_thinking_tokens", "max_reasoning_tokens", "max_prompt_tokens", "truncate_prompt_tokens", "min_tokens",
        "max_tool_calls", "length_penalty", "num_ctx", "num_beams", "top_n", "logprobs", "document_image_limit",
        "additionalModelResponseFieldPaths", "num_speculative_tokens", "max_search_results",
    ],
)  # fmt: skip
def test_what_bounds_something_else_passes(engine: Engine, name: str) -> None:
    assert engine.decide({"prompt": "x", "params": {name: 5}}).params[name] == 5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("thinking", {"text": "word " * 400}), ("reasoning", {"instructions": "word " * 400}),
        ("stop", ["word " * 400]),
        ("tool_choice", {"type": "tool", "name": "word " * 400}), ("user", "word " * 400),
        ("thinking", {f"key {number}": "some words" for number in range(100)}),
    ],
)  # fmt: skip
def test_long_texts_count_in_known_parameters_too(engine: Engine, name: str, value: Any) -> None:
    assert engine.decide({"prompt": "x", "params": {name: value}}).estimate.prompt_tokens >= 300


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("metadata", {"model": "x"}), ("labels", {"model": "x"}), ("moderation", {"model": "omni-moderation-latest"}),
        ("tool_choice", {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]}),
        ("reasoning", {"max_tokens": 2000}), ("prompt_cache_options", {"mode": "implicit", "ttl": "30m"}),
    ],
)  # fmt: skip
def test_what_providers_have_in_them_passes(engine: Engine, name: str, value: Any) -> None:
    assert engine.decide({"prompt": "x", "params": {name: value}}).params[name] == value
