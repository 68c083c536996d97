"""Tools that a provider runs and bills by use: held at the most, charged by what the response counts."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from costlens_policy import DeniedError, Engine, Guard, load
from costlens_policy.ledger import MemoryStore
from tests.guard.company import CATALOGUE, REQUEST, TEAM, write_company

FEES = CATALOGUE.replace(
    "  nano: {provider: acme,",
    "  nano: {provider: acme, usd_per_tool_use: {web_search: 0.01, web_search_preview: 0.02, file_search: 0},",
)
TOKENS = Decimal("0.0012")
"""What the tokens of a request cost, all of which the answer uses."""
SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
LOOK = {"type": "file_search", "vector_store_ids": ["v"]}
OWN = {"type": "function", "function": {"name": "web_search", "parameters": {}}}
USAGE = {"input_tokens": 1000, "output_tokens": 100}
RESPONSE = {"object": "response", "model": "nano", "usage": {**USAGE, "total_tokens": 1100}}


MESSAGE = {"type": "message", "model": "nano", "usage": USAGE}
SEARCHED = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
CALLED = {"type": "web_search_call", "status": "completed"}
CHAT = {"prompt_tokens": 1000, "completion_tokens": 100}
NOBODY = "nobody reports how often `web_search` was used; it counts as 3 times"


@pytest.fixture
def guard(tmp_path: Any) -> Any:
    engine = write_company(tmp_path / "p", TEAM.replace("0.01", "1"), catalogue=FEES)
    with Guard(engine, MemoryStore(), alert_sinks=[]) as guard:
        yield guard


def offering(*tools: Any, **more: Any) -> dict[str, Any]:
    return {**REQUEST, "tools": list(tools), **more}


def held(guard: Guard) -> Decimal:
    (line,) = guard.spend("team", "red")
    return line.held


def reported(*calls: Any) -> dict[str, Any]:
    return {**RESPONSE, "output": [*calls, {"type": "message"}, {"type": "function_call"}]}


def searching(searches: Any) -> dict[str, Any]:
    return {"usage": {**USAGE, "server_tool_use": {"web_search_requests": searches}}}


@pytest.mark.parametrize(
    ("request_", "fees"),
    [
        (offering(SEARCH), "0.03"),
        (offering({"type": "web_search"}, params={"max_tool_calls": 2}), "0.02"),
        (offering(SEARCH, params={"max_tool_calls": 2}), "0.03"),
        (offering({"type": "web_search_preview_2025_03_11"}, LOOK, params={"max_tool_calls": 4}), "0.08"),
        (offering(SEARCH, SEARCH, params={"n": 2}), "0.12"),
        (offering(LOOK, OWN), "0"),
        (offering({"type": "bash_20250124", "name": "bash"}), "0"),
        (REQUEST, "0"),
    ],
)
def test_the_most_that_uses_may_cost_is_held(guard: Guard, request_: dict[str, Any], fees: str) -> None:
    call = guard.call(request_)
    tokens = TOKENS if call.decision.estimate.completions == 1 else TOKENS + Decimal("0.0002")
    assert held(guard) == tokens + Decimal(fees)
    assert call.decision.estimate.cost == tokens + Decimal(fees)


@pytest.mark.parametrize(
    ("tool", "why"),
    [
        ({"type": "web_search"}, "nothing bounds the uses of `web_search`: set `max_uses` "),
        ({"type": "web_search", "max_uses": 3}, "nothing bounds the uses of `web_search`"),
        ({"type": "web_search_20250305", "name": "web_search"}, "nothing bounds the uses of `web_search`"),
        ({"type": "web_search", "max_uses": "3"}, "nothing bounds the uses of `web_search`"),
        ({"type": "code_interpreter"}, "its catalogue entry has no fee for `code_interpreter`"),
        ({"googleSearch": {}}, "its catalogue entry has no fee for `google_search`"),
    ],
)
def test_what_nothing_bounds_is_refused(guard: Guard, tool: Any, why: str) -> None:
    with pytest.raises(DeniedError, match=why):
        guard.call(offering(tool))


def test_a_model_without_fees_is_held_as_before(company: Callable[..., Engine]) -> None:
    with (
        Guard(company(TEAM), MemoryStore(), alert_sinks=[]) as guard,
        guard.call(offering({"type": "web_search"})) as call,
    ):
        assert call.settle(searching(2)).cost == TOKENS


@pytest.mark.parametrize("by_id", [False, True])
@pytest.mark.parametrize(
    ("response", "fees", "note"),
    [
        (searching(2), "0.02", ""),
        (searching(5), "0.05", ""),
        ({"usage": USAGE}, "0.03", NOBODY),
        (USAGE, "0.03", NOBODY),
        ({**MESSAGE, "content": [{"type": "text"}, SEARCHED, {"type": "web_search_tool_result"}]}, "0.01", ""),
        ({**MESSAGE, "content": [{"type": "text"}]}, "0", ""),
        ({**MESSAGE, "content": []}, "0.03", NOBODY),
        ({**MESSAGE, "content": ["text"]}, "0.03", NOBODY),
        ({**searching(0), "content": [SEARCHED]}, "0", ""),
        ({"object": "response", "usage": USAGE, "output": [CALLED, {"type": "message"}]}, "0.01", ""),
        ({"object": "response", "usage": {**USAGE, "output_tokens_details": {}}, "output": [CALLED]}, "0.01", ""),
        (searching(-1), "0.03", NOBODY),
        (searching(1.5), "0.03", NOBODY),
        (searching("2"), "0.03", NOBODY),
        (searching(10**12), "0.03", NOBODY),
        ({"choices": [], "usage": {**CHAT, "server_tool_use": {"web_search_requests": 2}}}, "0.02", ""),
        ({"choices": [], "usage": {**CHAT, "server_tool_use": {"web_search_requests": 0}}}, "0", ""),
        ({"choices": [], "usage": {**CHAT, "server_tool_use": None}}, "0.03", NOBODY),
        (reported({"type": "web_search_call", "action": {"type": "search"}}, {"type": "file_search_call"}), "0.01", ""),
        (reported({"type": "web_search_call", "action": {"type": "search", "queries": ["a", "b"]}}), "0.01", ""),
        (reported({"type": "web_search_call", "action": {"type": "open_page"}}), "0", ""),
        (RESPONSE, "0.03", "it counts as 3 times, the most it may be"),
        (CHAT, "0.03", NOBODY),
    ],
)
def test_uses_are_charged_as_reported(
    guard: Guard, by_id: bool, response: dict[str, Any], fees: str, note: str
) -> None:
    call = guard.call(offering(SEARCH), id="job" if by_id else None)
    charged = guard.settle(call.id, response) if by_id else call.settle(response)
    assert charged.cost == TOKENS + Decimal(fees)
    assert [line.amount for line in charged.budgets] == [charged.cost]
    assert (note in " ".join(charged.notes)) if note else not charged.notes
    assert held(guard) == 0


def test_a_call_whose_usage_is_unknown_is_charged_with_its_fees(guard: Guard) -> None:
    assert guard.call(offering(SEARCH)).settle().cost == TOKENS + Decimal("0.03")
    assert guard.call(offering(SEARCH)).settle(output_text="hi").cost > Decimal("0.03")


def test_a_settled_call_by_its_id_keeps_the_fees_of_its_day(guard: Guard, tmp_path: Any) -> None:
    store = MemoryStore()
    engine = write_company(tmp_path / "a", TEAM.replace("0.01", "1"), catalogue=FEES)
    dearer = write_company(
        tmp_path / "b", TEAM.replace("0.01", "1"), catalogue=FEES.replace("web_search: 0.01", "web_search: 0.5")
    )
    with Guard(engine, store, alert_sinks=[]) as here, Guard(dearer, store, alert_sinks=[]) as there:
        here.call(offering(SEARCH), id="job")
        assert there.settle("job", searching(2)).cost == TOKENS + Decimal("0.02")


def test_a_search_that_was_not_seen_in_the_request_is_charged(guard: Guard) -> None:
    assert guard.call(REQUEST).settle(searching(2)).cost == TOKENS + Decimal("0.02")


@pytest.mark.parametrize(("ends", "fees"), [(True, "0.01"), (False, "0.03")])
def test_a_stream_of_a_response_is_charged_by_the_calls_that_it_lists(guard: Guard, ends: bool, fees: str) -> None:
    done = reported({"type": "web_search_call", "action": {"type": "search"}}) | {"status": "completed"}
    chunks: list[dict[str, Any]] = [
        {"type": "response.created", "response": {"object": "response", "model": "nano", "output": []}},
        {"type": "response.output_text.delta", "delta": "hi"},
    ]
    with guard.call(offering(SEARCH)) as call:
        list(call.stream([*chunks, {"type": "response.completed", "response": done}] if ends else chunks))
    assert call.charged is not None
    assert call.charged.cost is not None
    assert call.charged.cost >= (TOKENS if ends else 0) + Decimal(fees)
    assert call.charged.basis == "reported" or not ends
    assert not ends or call.charged.cost == TOKENS + Decimal(fees)


def test_a_stream_is_charged_by_its_count(guard: Guard) -> None:
    chunks = [
        {"type": "message_start", "message": {"model": "nano", "usage": {"input_tokens": 1000, "output_tokens": 1}}},
        {
            "type": "message_delta", "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": 100, "server_tool_use": {"web_search_requests": 1}},
        },
        {"type": "message_stop"},
    ]  # fmt: skip
    with guard.call(offering(SEARCH)) as call:
        list(call.stream(chunks))
    assert call.charged is not None
    assert call.charged.cost == TOKENS + Decimal("0.01")


@pytest.mark.parametrize(("searches", "fees"), [(0, "0"), (1, "0.01"), (2, "0.02")])
def test_a_stream_without_a_count_is_charged_by_the_blocks_that_it_showed(
    guard: Guard, searches: int, fees: str
) -> None:
    blocks = [{**SEARCHED, "id": f"srvtoolu_{number}"} for number in range(searches)]
    chunks = [
        {"type": "message_start", "message": {"model": "nano", "usage": {"input_tokens": 1000, "output_tokens": 1}}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}},
        *({"type": "content_block_start", "index": 1, "content_block": block} for block in [*blocks, *blocks[:1]]),
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 100}},
        {"type": "message_stop"},
    ]
    with guard.call(offering(SEARCH)) as call:
        list(call.stream(chunks))
    assert call.charged is not None
    assert call.charged.cost == TOKENS + Decimal(fees)


@pytest.mark.parametrize("params", [{"max_tool_calls": 1}])
@pytest.mark.parametrize("tool", [{"type": "web_search_20250305", "name": "web_search"}, {"googleSearch": {}}])
def test_the_bound_of_another_provider_is_none(guard: Guard, tool: Any, params: Any) -> None:
    with pytest.raises(DeniedError, match=r"nothing bounds the uses|has no fee"):
        guard.call(offering(tool, params=params))


def test_searches_that_nobody_offered_and_whose_count_is_unreadable_are_noted(guard: Guard) -> None:
    charged = guard.call(REQUEST).settle(searching(-1))
    assert (charged.cost, charged.basis) == (TOKENS, "reported")
    assert "how often `web_search` was used cannot be read" in " ".join(charged.notes)


@pytest.mark.parametrize("by_id", [False, True])
def test_uses_of_several_completions_are_charged_as_they_were_held(guard: Guard, by_id: bool) -> None:
    call = guard.call(offering(SEARCH, params={"n": 2}), id="job" if by_id else None)
    charged = guard.settle("job", CHAT) if by_id else call.settle(CHAT)
    assert charged.cost == TOKENS + Decimal("0.06")


def test_versions_of_a_tool_are_charged_at_the_dearer_one(guard: Guard) -> None:
    tools = [{"type": "web_search"}, {"type": "web_search_preview"}]
    charged = guard.call(offering(*tools, params={"max_tool_calls": 2})).settle(reported(CALLED))
    assert charged.cost == TOKENS + Decimal("0.02")


GROUNDED = {"webSearchQueries": ["a", "b"], "groundingChunks": []}


@pytest.mark.parametrize(
    ("candidate", "fees"),
    [
        ({"groundingMetadata": GROUNDED}, "0.07"),
        ({"grounding_metadata": {"web_search_queries": ["a"]}}, "0.035"),
        ({"groundingMetadata": {"groundingChunks": []}}, "0"),
        ({"content": {"parts": []}}, "0"),
    ],
)
def test_searches_of_gemini_are_charged_by_the_queries_that_it_lists(
    tmp_path: Any, candidate: dict[str, Any], fees: str
) -> None:
    """No request bounds them, so only limits that are not in dollars let them through."""
    catalogue = CATALOGUE.replace(
        "  nano: {provider: acme,", "  nano: {provider: acme, usd_per_tool_use: {google_search: 0.035},"
    )
    requests = "budgets: [{id: team, hard_limit_requests: 9, window: {calendar: month}}]"
    engine = write_company(tmp_path / "p", requests, catalogue=catalogue)
    response = {
        "candidates": [candidate], "usageMetadata": {"promptTokenCount": 1000, "candidatesTokenCount": 100},
        "modelVersion": "nano",
    }  # fmt: skip
    tool = {"google_search": {}, "code_execution": None, "function_declarations": None}  # as its SDK writes a tool
    with Guard(engine, MemoryStore(), alert_sinks=[]) as guard, guard.call(offering(tool)) as call:
        charged = call.settle(response)
        assert (charged.cost, charged.notes) == (TOKENS + Decimal(fees), ())


def test_a_search_of_gemini_under_a_limit_in_dollars_names_what_helps(tmp_path: Any) -> None:
    catalogue = CATALOGUE.replace(
        "  nano: {provider: acme,", "  nano: {provider: acme, usd_per_tool_use: {google_search: 0.035},"
    )
    engine = write_company(tmp_path / "p", TEAM.replace("0.01", "1"), catalogue=catalogue)
    with (
        Guard(engine, MemoryStore(), alert_sinks=[]) as guard,
        pytest.raises(DeniedError, match="Gemini takes no bound: leave the tool out, or limit requests"),
    ):
        guard.call(offering({"google_search": {}}))


def guard_of(path: Any, fees: str, *, in_dollars: bool = True) -> Guard:
    """Return a guard of a model with these fees, under a limit of dollars or of requests."""
    catalogue = CATALOGUE.replace(
        "  nano: {provider: acme,", f"  nano: {{provider: acme, usd_per_tool_use: {{{fees}}},"
    )
    requests = "budgets: [{id: team, hard_limit_requests: 9, window: {calendar: month}}]"
    write_company(path / "p", TEAM.replace("0.01", "1") if in_dollars else requests, catalogue=catalogue)
    policies = path / "p" / "policy-set.yaml"
    admitted = "admit: {params: [web_search_options, search_parameters], "
    policies.write_text(policies.read_text().replace("admit: {", admitted))
    return Guard(load(path / "p"), MemoryStore(), alert_sinks=[])


@pytest.mark.parametrize("fees", ["web_search: 0.01, web_search_preview: 0.025", "web_search_preview: 0.025"])
def test_a_chat_completion_that_searches_costs_the_highest_fee_of_a_search(tmp_path: Any, fees: str) -> None:
    """Its model decides which version it is, and OpenAI's SDK reads its answer as any other."""
    completion = pytest.importorskip("openai.types.chat").ChatCompletion.model_validate({
        "id": "c", "object": "chat.completion", "created": 1, "model": "nano",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}],
        "usage": {**CHAT, "total_tokens": 1100},
    })  # fmt: skip
    with guard_of(tmp_path, fees) as guard, guard.call({**REQUEST, "params": {"web_search_options": {}}}) as call:
        assert held(guard) == TOKENS + Decimal("0.025")
        charged = call.settle(completion)
        assert charged.cost == TOKENS + Decimal("0.025")
        assert "it counts as 1 times" in " ".join(charged.notes)


WEB = {"groundingChunks": [{"web": {"uri": "u"}}]}
PLACES = {"groundingChunks": [{"maps": {"uri": "u"}}]}
GOOGLE = "google_search: 0.035, enterprise_web_search: 0.045, google_maps: 0.025, url_context: 0.001"


@pytest.mark.parametrize(
    ("tool", "candidate", "fees"),
    [
        ("google_search", {"groundingMetadata": WEB}, "0.035"),
        ("google_search", {"groundingMetadata": {"searchEntryPoint": {"renderedContent": "x"}}}, "0.035"),
        ("google_search", {"groundingMetadata": {"imageSearchQueries": ["a"]}}, "0.035"),
        ("google_search", {"groundingMetadata": {**WEB, "webSearchQueries": ["", "a", "b", "a"]}}, "0.07"),
        ("enterpriseWebSearch", {"groundingMetadata": {**WEB, "webSearchQueries": ["a"]}}, "0.045"),
        ("google_maps", {"groundingMetadata": PLACES}, "0.025"),
        ("google_maps", {"groundingMetadata": {**PLACES, "webSearchQueries": ["a", "b"]}}, "0.05"),
        ("google_maps", {}, "0"),
        (
            "url_context",
            {"urlContextMetadata": {"urlMetadata": [{"retrievedUrl": "a"}, {"retrievedUrl": "b"}]}},
            "0.002",
        ),
    ],
)
@pytest.mark.parametrize("streams", [False, True])
def test_what_gemini_grounds_an_answer_in_is_charged(
    tmp_path: Any, tool: str, candidate: dict[str, Any], fees: str, streams: bool
) -> None:
    usage = {"promptTokenCount": 1000, "candidatesTokenCount": 100, "totalTokenCount": 1100}
    text = {"content": {"role": "model", "parts": [{"text": "hi"}]}}
    last = {
        "candidates": [{**text, **candidate, "finishReason": "STOP"}], "usageMetadata": usage, "modelVersion": "nano",
    }  # fmt: skip
    with guard_of(tmp_path, GOOGLE, in_dollars=False) as guard, guard.call(offering({tool: {}})) as call:
        if streams:
            list(call.stream([{"candidates": [text], "modelVersion": "nano"}, last]))
        charged = call.charged if streams else call.settle(last)
        assert charged is not None
        assert charged.cost == TOKENS + Decimal(fees)
        assert not charged.notes or (streams and not candidate)


def test_an_answer_of_geminis_sdk_is_charged_its_searches(tmp_path: Any) -> None:
    types = pytest.importorskip("google.genai.types")
    response = types.GenerateContentResponse.model_validate({
        "candidates": [{"content": {"parts": [{"text": "hi"}]}, "groundingMetadata": GROUNDED}],
        "usageMetadata": {"promptTokenCount": 1000, "candidatesTokenCount": 100}, "modelVersion": "nano",
    })  # fmt: skip
    tool = types.Tool(google_search=types.GoogleSearch()).model_dump()
    with guard_of(tmp_path, GOOGLE, in_dollars=False) as guard, guard.call(offering(tool)) as call:
        assert call.settle(response).cost == TOKENS + Decimal("0.07")


@pytest.mark.parametrize("tool", [{"type": "google_search"}, {"google_search": {}}, {"code_execution": {}}])
def test_no_parameter_bounds_tools_of_gemini(tmp_path: Any, tool: dict[str, Any]) -> None:
    with (
        guard_of(tmp_path, "google_search: 0.014, code_execution: 0.01") as guard,
        pytest.raises(DeniedError, match="Gemini takes no bound"),
    ):
        guard.call(offering(tool, params={"max_tool_calls": 3}))


@pytest.mark.parametrize(
    ("search", "fees"),
    [({}, "0.5"), ({"max_search_results": 4}, "0.1"), ({"mode": "off"}, "0")],
)
def test_sources_of_a_live_search_are_held(tmp_path: Any, search: dict[str, Any], fees: str) -> None:
    with guard_of(tmp_path, "live_search: 0.025") as guard:
        guard.call({**REQUEST, "params": {"search_parameters": search}})
        assert held(guard) == TOKENS + Decimal(fees)


@pytest.mark.parametrize(
    ("usage", "fees"),
    [
        ({**CHAT, "num_sources_used": 3}, "0.075"),
        ({**CHAT, "num_search_queries": 2, "citation_tokens": 0}, "0.02"),
        ({**CHAT, "connectors": {"web_search": 2}}, "0.02"),
        ({**CHAT, "num_server_side_tools_used": 2, "server_side_tool_usage_details": {"x_search_calls": 2}}, "0.01"),
    ],
)
def test_uses_that_other_providers_count_are_charged(tmp_path: Any, usage: dict[str, Any], fees: str) -> None:
    with guard_of(tmp_path, "web_search: 0.01, live_search: 0.025, x_search: 0.005") as guard:
        charged = guard.call(REQUEST).settle({"object": "chat.completion", "model": "nano", "usage": usage})
        assert (charged.cost, charged.notes) == (TOKENS + Decimal(fees), ())
