"""Spans: every instrumentation's names, no sum counted twice, no call lost."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.catalogue import Usage
from costlens_policy.replay import READY, Settings, read_traffic
from costlens_policy.replay.traffic.sources import RawRow
from costlens_policy.replay.traffic.span_tokens import tokens_in
from costlens_policy.replay.traffic.spans import TOKENS, Spans

G, L = "gen_ai.usage.", "llm.token_count."


@pytest.mark.parametrize(
    ("names", "usage"),
    [
        ({G + "input_tokens": 100, G + "output_tokens": 9}, Usage(input=100, output=9)),
        ({G + "prompt_tokens": 100, G + "completion_tokens": 9, "llm.usage.total_tokens": 109}, Usage(100, output=9)),
        *(
            ({G + "input_tokens": 100, G + name: 80, G + "output_tokens": 9}, Usage(20, cache_read=80, output=9))
            for name in (
                "cache_read.input_tokens",
                "cache_read_input_tokens",
                "details.cache_read_tokens",
                "details.cache_read_input_tokens",
                "cached_input_tokens",
                "input_tokens.cached",
                "cached_tokens",
                "details.cached_tokens",
                "input_tokens_details.cached_tokens",
                "prompt_tokens_details.cached_tokens",
                "cache_read_tokens",
                "input_cached_tokens",
                "prompt_cache_hit_tokens_read".replace("_hit", ""),
            )
        ),
        *(
            ({G + "input_tokens": 100, G + name: 80, G + "output_tokens": 9}, Usage(20, cache_write=80, output=9))
            for name in (
                "cache_creation.input_tokens",
                "cache_creation_input_tokens",
                "details.cache_write_tokens",
                "input_tokens.cache_write",
                "cache_write_tokens",
                "cache_write.input_tokens",
            )
        ),
        *(
            ({G + "input_tokens": 100, G + "output_tokens": 9, G + name: 4}, Usage(100, output=5, reasoning=4))
            for name in (
                "reasoning.output_tokens",
                "reasoning_tokens",
                "details.reasoning_tokens",
                "thoughts_tokens",
                "output_tokens.reasoning",
                "completion_tokens_details.reasoning_tokens",
            )
        ),
        (
            {
                L + "prompt": 100,
                L + "completion": 9,
                L + "total": 109,
                L + "prompt_details.cache_read": 50,
                L + "prompt_details.cache_write": 10,
                L + "prompt_details.audio": 5,
                L + "completion_details.reasoning": 2,
            },
            Usage(35, cache_read=50, cache_write=10, input_audio=5, output=7, reasoning=2),
        ),
        (
            {
                G + "input_tokens": "100",
                G + "output_tokens": 9.0,
                G + "cache_creation.ephemeral_1h_input_tokens": 30,
                G + "cache_creation_input_tokens": 50,
            },
            Usage(50, cache_write=20, cache_write_1h=30, output=9),
        ),
        # more cached than input, or a total that shows it: on top
        ({G + "input_tokens": 5, G + "cache_read_input_tokens": 80, G + "output_tokens": 9}, Usage(5, 80, output=9)),
        (
            {
                G + "input_tokens": 90,
                G + "cache_read_input_tokens": 80,
                G + "output_tokens": 9,
                G + "total_tokens": 179,
            },
            Usage(90, 80, output=9),
        ),
        # reasoning on top, tokens that only the total shows, and kinds that nobody knows
        ({G + "input_tokens": 5, G + "output_tokens": 9, G + "reasoning_tokens": 70}, Usage(5, output=9, reasoning=70)),
        ({G + "input_tokens": 5, G + "output_tokens": 9, G + "total_tokens": 100}, Usage(5, output=95)),
        ({G + "input_tokens": 5, G + "output_tokens": 9, G + "video_tokens": 100}, Usage(5, output=109)),
        (
            {G + "input_tokens": 5, G + "output_tokens": 9, G + "video_tokens": 4, G + "total_tokens": 14},
            Usage(5, output=9),
        ),
        # an SDK's own details repeat what the totals say
        (
            {
                G + "input_tokens": 100,
                G + "output_tokens": 9,
                G + "details.input_tokens": 20,
                G + "details.output_tokens": 9,
                G + "details.cache_read_input_tokens": 80,
                G + "cost": 0.2,
            },
            Usage(20, 80, output=9),
        ),
        (
            {
                "langfuse.observation.usage_details.input": 20,
                "langfuse.observation.usage_details.output": 9,
                "langfuse.observation.usage_details.input_cached_tokens": 80,
            },
            Usage(20, 80, output=9),
        ),
        ({"ai.usage.promptTokens": 7, "ai.usage.completionTokens": 2}, Usage(7, output=2)),
        ({"ai.usage.tokens": 7}, Usage(7)),
        # what no cache gave is no cached part
        *(
            (
                {
                    "ai.usage.inputTokens": 100,
                    f"ai.usage.{fresh}": 60,
                    "ai.usage.inputTokenDetails.cacheReadTokens": 40,
                    "ai.usage.outputTokens": 9,
                },
                Usage(60, cache_read=40, output=9),
            )
            for fresh in (
                "inputTokenDetails.noCacheTokens",
                "input_tokens.non_cached",
                "uncached_input_tokens",
                "prompt_cache_miss_tokens",
                "inputTokens.notCached",
            )
        ),
        (
            {G + "uncached_input_tokens": 60, G + "cached_input_tokens": 40, G + "output_tokens": 9},
            Usage(60, cache_read=40, output=9),
        ),
        (
            {G + "input_tokens": 60, G + "no_cache_tokens": 60, G + "cached_tokens": 40, G + "output_tokens": 9},
            Usage(60, cache_read=40, output=9),
        ),
        # Langfuse with a provider's own kinds: the total shows that the cached part and the reasoning lie inside
        (
            {
                "langfuse.observation.usage_details.prompt_tokens": 100,
                "langfuse.observation.usage_details.completion_tokens": 9,
                "langfuse.observation.usage_details.total_tokens": 109,
                "langfuse.observation.usage_details.prompt_tokens_details.cached_tokens": 40,
                "langfuse.observation.usage_details.completion_tokens_details.reasoning_tokens": 4,
            },
            Usage(60, cache_read=40, output=5, reasoning=4),
        ),
        (
            {
                "langfuse.observation.usage_details.input": 60,
                "langfuse.observation.usage_details.output": 5,
                "langfuse.observation.usage_details.output_reasoning_tokens": 4,
                "langfuse.observation.usage_details.input_cached_tokens": 40,
                "langfuse.observation.usage_details.total": 109,
            },
            Usage(60, cache_read=40, output=5, reasoning=4),
        ),
        # others put counts beside numbers of other things
        (
            {
                "gen_ai.response.prompt_tokens": 7,
                "gen_ai.response.completion_tokens": 2,
                "gen_ai.response.finish_reasons": 1,
                "cpu.usage.percent": 90,
            },
            Usage(7, output=2),
        ),
        (
            {
                "braintrust.metrics.prompt_tokens": 100,
                "braintrust.metrics.completion_tokens": 9,
                "braintrust.metrics.tokens": 109,
                "braintrust.metrics.prompt_cached_tokens": 40,
                "braintrust.metrics.time_to_first_token": 0.5,
                "braintrust.metrics.start": 1780300800.5,
            },
            Usage(60, cache_read=40, output=9),
        ),
        ({"usage.prompt_tokens": 7, "usage.completion_tokens": 2}, Usage(7, output=2)),
        ({"mlflow.chat.tokenUsage.input_tokens": 7, "mlflow.chat.tokenUsage.output_tokens": 2}, Usage(7, output=2)),
    ],
)
def test_names_of_instrumentations(names, usage):
    assert tokens_in(names).counted.recorded == usage


def test_a_cache_that_no_span_tells_of_is_not_known():
    assert not tokens_in({G + "input_tokens": 100, G + "output_tokens": 9}).counted.cache_known
    assert tokens_in({G + "input_tokens": 100, G + "output_tokens": 9, G + "cached_tokens": 0}).counted.cache_known


@pytest.mark.parametrize("value", ["many", -1, 1.5])
def test_what_is_no_count_is_told(value):
    with pytest.raises(ValueError, match="input_tokens"):
        tokens_in({G + "input_tokens": value, G + "output_tokens": 9})


def span(id, parent="", operation="", tokens=None, trace="t", **more):
    attributes = {"gen_ai.operation.name": operation} if operation else {}
    if tokens is not None:
        attributes |= {G + "input_tokens": tokens[0], G + "output_tokens": tokens[1]}
    return {"traceId": trace, "spanId": id, "parentSpanId": parent, "attributes": {**attributes, **more}}


def calls(*spans):
    """Return the tokens of the calls among spans, and what is said of them."""
    reader, raws = Spans(), [RawRow("f", number, fields) for number, fields in enumerate(spans)]
    for raw in raws:
        reader.survey(raw)
    rows = [row for raw in raws for row in reader.rows(raw)]
    totals = [(row.fields[TOKENS].counted.prompt, row.fields[TOKENS].counted.output) for row in rows if not row.problem]
    return totals, [row.problem for row in rows if row.problem], list(reader.notes())


CHATS = (span("b", "a", "chat", (100, 10)), span("c", "a", "chat", (200, 20)))


@pytest.mark.parametrize(
    "above",
    [
        span("a", "", "invoke_agent", (300, 30)),
        span("a", "", "", (300, 30)),
        span("a", "", "chat", (300, 30)),
        span("a", "", "", (300, 30), **{"openinference.span.kind": "AGENT"}),
        span("a", "", "", (300, 30), **{"openinference.span.kind": "CHAIN"}),
        span("a", "", "", (300, 30), **{"traceloop.span.kind": "workflow"}),
        span("a", "", "execute_tool", (40, 3)),
        span("a", "", "invoke_agent"),
    ],
)
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_sum_is_not_counted_again(above, order):
    spans = (above, *CHATS)
    totals, problems, _ = calls(*(spans[place] for place in order))
    assert (sorted(totals), problems) == ([(100, 10), (200, 20)], [])


def test_sums_of_sums_and_spans_between_that_count_nothing():
    spans = (
        span("r", "", "invoke_agent", (300, 30)),
        span("s", "r", "", None),
        span("a", "s", "invoke_agent", (300, 30)),
        *CHATS,
        span("x", "c", "execute_tool"),
    )
    assert calls(*spans)[0] == [(100, 10), (200, 20)]


def test_an_agent_counts_what_lies_not_below_it():
    totals, _, notes = calls(span("a", "", "invoke_agent", (1000, 100)), *CHATS)
    assert sorted(totals) == [(100, 10), (200, 20), (700, 70)]
    assert "1 spans have more tokens than their child spans; the difference was counted as a call" in notes
    assert calls(span("a", "", "invoke_agent", (1000, 100)))[0] == [(1000, 100)]


def test_a_call_inside_of_a_call_is_counted_as_well():
    assert calls(span("a", "", "chat", (1000, 100)), *CHATS)[0] == [(1000, 100), (100, 10), (200, 20)]


def test_ids_mean_something_inside_of_their_trace_only():
    other = [span("b", "", "chat", (100, 10), "u"), span("a", "b", "chat", (100, 10), "v")]
    assert len(calls(*CHATS, *other)[0]) == 4


def test_other_spans_failures_and_silence():
    spans = [
        {"span_id": "1", "attributes": {"http.route": "/"}},
        span("2", "", "execute_tool"),
        span("3", "", "chat", **{"error.type": "timeout"}),
        span("4", "", "chat"),
        *CHATS,
        CHATS[0],
    ]
    totals, problems, notes = calls(*spans)
    assert len(totals) == 2
    assert problems == ["the span of a call that reports no tokens"]
    assert [note.partition(" ")[0] for note in notes] == ["2", "1", "1"]


def test_a_silent_call_is_covered_by_a_span_above_that_counts_more():
    silent = span("d", "a", "chat")
    assert calls(span("a", "", "invoke_agent", (300, 30)), silent)[:2] == ([(300, 30)], [])
    assert len(calls(span("a", "", "invoke_agent", (300, 30)), *CHATS, silent)[1]) == 1


def test_other_numbers_that_look_like_tokens_are_named():
    more = {"my.tokens": 5, "gen_ai.request.max_tokens": 9, "ai.response.avgCompletionTokensPerSecond": 3.5}
    _, _, notes = calls(span("a", "", "chat", (5, 5), **more), span("b", "", "", **{"x.token_count": 7}))
    assert [note.partition(" ")[0] for note in notes if "looks like tokens" in note] == [
        "`my.tokens`",
        "`x.token_count`",
    ]


@pytest.mark.parametrize("counts", [(5, 5), (1, 1)])
def test_parents_that_go_round_in_a_circle_lose_no_call(counts):
    assert len(calls(span("a", "b", "chat", counts), span("b", "a", "chat", (5, 5)))[0]) == 2
    assert len(calls(span("a", "b", "", counts), span("b", "c", "", None), span("c", "a", "", (5, 5)))[0]) == 2


@pytest.mark.parametrize(
    "usage",
    [
        {"gen_ai.usage.input_token_details": '{"cache_read": 40}'},
        {"gen_ai.usage.prompt_tokens_details": "{'cached_tokens': 40, 'audio_tokens': None}"},
        {"langsmith.usage_metadata": '{"input_tokens": 100, "input_token_details": {"cache_read": 40}}'},
        {"x.usage": "{'prompt_tokens': 100, 'prompt_tokens_details': {'cached_tokens': 40}}"},
    ],
)
def test_a_usage_that_stands_as_a_text_is_read(usage):
    reader, raw = Spans(), RawRow("f", 1, span("a", "", "chat", (100, 9), **usage))
    reader.survey(raw)
    (row,) = reader.rows(raw)
    assert row.fields[TOKENS].counted.recorded == Usage(60, cache_read=40, output=9)


@pytest.mark.parametrize(
    ("attributes", "problems"),
    [
        ({"gen_ai.request.model": "m"}, 1),
        ({"llm.model_name": "m"}, 1),
        ({"gen_ai.request.model": "m", "gen_ai.operation.name": "chat.completions"}, 1),
        ({"gen_ai.request.model": "m", "gen_ai.operation.name": "create_agent"}, 0),
        ({"gen_ai.request.model": "m", "error.type": "timeout"}, 0),
        ({"db.system": "x"}, 0),
    ],
)
def test_a_span_that_names_a_model_is_a_call(attributes, problems):
    assert len(calls(span("a", **attributes))[1]) == problems
    assert not calls(span("a", **attributes), span("b", "a", "chat", (5, 5)))[1], "what lies below counts for it"


def test_counts_in_texts_that_nobody_reads_are_named():
    answer = json.dumps({"usage": {"prompt_tokens": 100}})
    assert "its `out`" in calls(span("a", "", "chat", out=answer))[1][0]
    assert not any("`out`" in note for note in calls(span("a", "", "", out=answer), *CHATS)[2]), "counted below"
    assert any("`out` (1 spans" in note for note in calls(span("x", "", "", out=answer), *CHATS)[2])


@given(
    st.lists(
        st.tuples(st.integers(-1, 6), st.integers(0, 40), st.sampled_from(["chat", "invoke_agent", ""])), max_size=8
    )
)
def test_no_leaf_is_lost(tree):
    """Whatever the tree: what spans without others below them count is counted."""
    spans = [
        span(str(n), str(above) if 0 <= above < n else "", op, (tokens + 1, tokens))
        for n, (above, tokens, op) in enumerate(tree)
    ]
    parents = {item["parentSpanId"] for item in spans}
    leaves = [item["attributes"][G + "input_tokens"] for item in spans if item["spanId"] not in parents]
    totals = [prompt for prompt, _ in calls(*spans)[0]]
    assert sum(totals) >= sum(leaves)
    for leaf in leaves:
        assert leaf in totals


VALUE = {int: lambda item: {"intValue": str(item)}, str: lambda item: {"stringValue": item}}


def otlp(attributes, resource, **fields):
    listed = [
        [{"key": key, "value": VALUE[type(item)](item)} for key, item in items.items()]
        for items in (attributes, resource)
    ]
    spans = [
        {"traceId": "aa", "spanId": "01", "startTimeUnixNano": "1780308000000000000", "attributes": listed[0], **fields}
    ]
    return {"resourceSpans": [{"resource": {"attributes": listed[1]}, "scopeSpans": [{"scope": {}, "spans": spans}]}]}


ATTRIBUTES = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "large",
    G + "input_tokens": 500,
    G + "output_tokens": 7,
}
RESOURCE = {"team": "support", "service.name": "bot"}
FORMS = {
    "OTLP": json.dumps(otlp(ATTRIBUTES, RESOURCE)),
    "pretty OTLP": json.dumps(otlp(ATTRIBUTES, RESOURCE), indent=2),
    "the console": json.dumps(
        {
            "name": "chat",
            "context": {"trace_id": "0xaa", "span_id": "0x01"},
            "parent_id": None,
            "start_time": "2026-06-01T10:00:00.000000Z",
            "attributes": ATTRIBUTES,
            "resource": {"attributes": RESOURCE},
        },
        indent=4,
    ),
    "flat": json.dumps(
        {"span_id": "01", "start_time_unix_nano": 1780308000000000000, "attributes": ATTRIBUTES, "resource": RESOURCE}
    ),
    "nested": json.dumps(
        {
            "span_id": "01",
            "start_time": "2026-06-01T10:00:00Z",
            "resource": {"attributes": {"team": "support"}},
            "attributes": {
                "gen_ai": {
                    "operation": {"name": "chat"},
                    "request": {"model": "large"},
                    "usage": {"input_tokens": 500, "output_tokens": 7},
                }
            },
        }
    ),
    "columns": json.dumps({"span_id": "01", "start_time": "2026-06-01T10:00:00Z", "resource": RESOURCE, **ATTRIBUTES}),
    "Jaeger": json.dumps(
        {
            "data": [
                {
                    "traceID": "aa",
                    "spans": [
                        {
                            "traceID": "aa",
                            "spanID": "01",
                            "startTime": 1780308000000000,
                            "duration": 5,
                            "tags": [
                                {"key": key, "type": "string", "value": value}
                                for key, value in {**ATTRIBUTES, "resource.team": "support"}.items()
                            ],
                        }
                    ],
                }
            ]
        }
    ),
    "Zipkin": json.dumps(
        [
            {
                "traceId": "aa",
                "id": "01",
                "timestamp": 1780308000000000,
                "tags": {**ATTRIBUTES, "resource.team": "support"},
            }
        ]
    ),
    "Phoenix": json.dumps(
        {
            "context.span_id": "01",
            "context.trace_id": "aa",
            "span_kind": "LLM",
            "start_time": "2026-06-01T10:00:00Z",
            "attributes.llm.model_name": "large",
            "attributes.llm.token_count.prompt": 500,
            "attributes.llm.token_count.completion": 7,
            "resource": RESOURCE,
        }
    ),
    "texts": json.dumps(
        {
            "SpanId": "01",
            "TraceId": "aa",
            "Timestamp": "2026-06-01T10:00:00Z",
            "SpanAttributes": json.dumps(ATTRIBUTES),
            "ResourceAttributes": json.dumps(RESOURCE),
        }
    ),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("column", ["resource.attributes.team", "resource.team"])
def test_every_form_of_export_and_its_resource(plan_of, tmp_path, form, column):
    if form in ("Jaeger", "Zipkin"):  # these have no resources; their tags are attributes
        column = "attributes.resource.team"
    path = tmp_path / "spans.json"
    path.write_text(FORMS[form])
    mapping = READY["otel"].with_columns({"request.team": column}, {})
    traffic = read_traffic([str(path)], mapping, plan_of(), Settings().start)
    assert not traffic.rejects
    (row,) = traffic.rows
    assert (row.model, row.prompt_tokens, row.output_tokens) == ("large", 500, 7)
    assert row.time.isoformat() == "2026-06-01T10:00:00+00:00"
    assert row.attributes["team"] == "support"


def test_what_holds_no_spans_is_told():
    for fields in ({"resourceMetrics": [{}]}, {"resourceLogs": [{}]}, {"some": "row"}, {"prompt_tokens": 5}):
        totals, problems, _ = calls(fields)
        assert totals == []
        assert len(problems) == 1


def test_attributes_of_the_spans_above(plan_of, tmp_path):
    path = tmp_path / "spans.jsonl"
    at = {"start_time": "2026-06-01T10:00:00Z"}
    spans = [
        {**span("a", "", "invoke_agent", None, team="far", user="ann"), **at},
        {**span("b", "a", "", None, team="near"), **at},
        {**span("c", "b", "chat", (5, 5)), **at},
    ]
    path.write_text("".join(json.dumps(item) + "\n" for item in spans))
    columns = {"request.team": "parent.attributes.team", "request.user": "parent.attributes.user"}
    (row,) = read_traffic([str(path)], READY["otel"].with_columns(columns, {}), plan_of(), Settings().start).rows
    assert (row.attributes["team"], row.attributes["user"]) == ("near", "ann")
