"""Spans and metrics, as OpenTelemetry's own exporters in memory have them."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from costlens_policy import DeniedError, Engine, Guard, LivePolicies
from costlens_policy.decision_log import DecisionLog
from costlens_policy.errors import SettingsError
from costlens_policy.integrations import JsonFormatter, Telemetry, otel, trace_context
from tests.conftest import ROOT
from tests.docs.walkthrough import walk
from tests.guard.company import REQUEST, TEAM, Clock, write_company

pytest.importorskip("opentelemetry.sdk")

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

USAGE = {"prompt_tokens": 1000, "completion_tokens": 100, "prompt_tokens_details": {"cached_tokens": 400}}


class Signals:
    """A telemetry, and what it has exported."""

    def __init__(self, **options: Any) -> None:
        self._spans = InMemorySpanExporter()
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self._reader = InMemoryMetricReader()
        meters = MeterProvider([self._reader], shutdown_on_exit=False)
        self.telemetry = Telemetry(tracer_provider=self.tracers, meter_provider=meters, **options)

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self._spans.get_finished_spans()

    def points(self, name: str) -> list[Any]:
        data = self._reader.get_metrics_data()
        metrics = [
            metric
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ]
        return [point for metric in metrics if metric.name == name for point in metric.data.data_points]


@pytest.fixture
def company(tmp_path: Path) -> Callable[..., Engine]:
    return lambda *texts, **more: write_company(tmp_path / "policies", *texts, **more)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def signals() -> Signals:
    return Signals()


def test_a_call_is_a_span_by_the_conventions(company: Callable[..., Engine], signals: Signals, clock: Clock) -> None:
    tracer = signals.tracers.get_tracer("app")
    guard = Guard(company(TEAM), clock=clock, log=signals.telemetry)
    with tracer.start_as_current_span("request"), guard.call(REQUEST | {"session": "s1"}, id="job") as call:
        clock.move(seconds=2)
        call.settle(USAGE)
    guard.close()
    span, around = signals.spans
    assert span.name == "chat nano"
    assert span.kind.name == "CLIENT"
    assert span.parent is not None
    assert span.parent.span_id == around.get_span_context().span_id  # type: ignore[union-attr]
    assert (span.end_time or 0) - (span.start_time or 0) == 2 * 10**9
    told = dict(span.attributes or {})
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "acme",
        "gen_ai.request.model": "nano",
        "gen_ai.request.max_tokens": 100,
        "gen_ai.conversation.id": "s1",
        "gen_ai.response.model": "nano",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 100,
        "gen_ai.usage.cache_read.input_tokens": 400,
        "costlens.decision.id": "job",
        "costlens.effect": "allow",
        "costlens.rule": "default",
        "costlens.outcome": "charged",
        "costlens.basis": "reported",
        "costlens.team": "red",
        "costlens.worst_cost_usd": 0.0012,
    }
    assert {name: told.get(name) for name in expected} == expected
    assert "Hello" not in json.dumps(told, default=str)


def test_names_are_those_of_the_conventions(company: Callable[..., Engine], signals: Signals) -> None:
    """Names, units and values, as OpenTelemetry's own package of this version has them."""
    pytest.importorskip("opentelemetry.semconv")
    from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as known
    from opentelemetry.semconv._incubating.metrics import gen_ai_metrics as metrics

    params = {"temperature": 0.5, "top_p": 0.9, "top_k": 5, "seed": 1, "n": 2, "presence_penalty": 0.1, "stop": ["x"]}
    with Guard(company(TEAM), log=signals.telemetry) as guard:
        with guard.call(REQUEST | {"params": params, "stream": True, "session": "s"}) as call:
            call.settle(USAGE | {"completion_tokens_details": {"reasoning_tokens": 50}})
        with guard.call(REQUEST | {"task": "embeddings"}) as call:
            call.settle(USAGE)
    names = {value for name, value in vars(known).items() if name.startswith("GEN_AI_")}
    told = dict(signals.spans[0].attributes or {})
    assert len([name for name in told if name.startswith("gen_ai.")]) == 17
    assert {name for name in told if name.startswith("gen_ai.")} <= names
    assert told["gen_ai.request.choice.count"] == 2
    assert told["gen_ai.request.stream"] is True
    assert "x" not in told.values()
    assert [span.name for span in signals.spans] == ["chat nano", "embeddings nano"]
    operations = {item.value for item in known.GenAiOperationNameValues}
    assert {(span.attributes or {})["gen_ai.operation.name"] for span in signals.spans} <= operations
    assert set(otel._PROVIDERS.values()) <= {item.value for item in known.GenAiProviderNameValues}
    for name in (metrics.GEN_AI_CLIENT_TOKEN_USAGE, metrics.GEN_AI_CLIENT_OPERATION_DURATION):
        for point in signals.points(name):
            assert {key for key in point.attributes if key.startswith("gen_ai.")} <= names


def test_metrics_count_decisions_money_and_tokens(company: Callable[..., Engine], signals: Signals) -> None:
    with Guard(company(TEAM), log=signals.telemetry, alert_sinks=[signals.telemetry.alert]) as guard:
        for _ in range(2):
            with guard.call(REQUEST) as call:
                call.settle(USAGE)
        with pytest.raises(DeniedError):
            guard.call(REQUEST | {"max_output_tokens": 90_000})
        guard.flush()
    decisions = {point.attributes["costlens.effect"]: point.value for point in signals.points("costlens.decisions")}
    assert decisions == {"allow": 2, "deny": 1}
    (denial,) = signals.points("costlens.denials")
    assert (denial.value, denial.attributes["costlens.refused_by"]) == (1, "p/team")
    (cost,) = signals.points("costlens.cost")
    assert (cost.count, round(cost.sum, 6)) == (2, 0.0024)
    tokens = {point.attributes["gen_ai.token.type"]: point.sum for point in signals.points("gen_ai.client.token.usage")}
    assert tokens == {"input": 2000, "output": 200}
    (duration,) = signals.points("gen_ai.client.operation.duration")
    assert duration.count == 2
    (held,) = signals.points("costlens.held")
    assert round(held.value, 6) == 0.0024
    assert [point.attributes["costlens.event"] for point in signals.points("costlens.alerts")] == ["denied"]


def test_an_exemplar_leads_to_the_span_and_the_log(company: Callable[..., Engine], signals: Signals) -> None:
    entries: list[dict[str, Any]] = []
    with DecisionLog(entries.extend, context=trace_context) as log:
        tracer = signals.tracers.get_tracer("app")
        guard = Guard(company(TEAM), log=[signals.telemetry, log])
        with tracer.start_as_current_span("request"), guard.call(REQUEST) as call:
            call.settle(USAGE)
        guard.close()
    span, _ = signals.spans
    (cost,) = signals.points("costlens.cost")
    (exemplar,) = cost.exemplars
    context = span.get_span_context()
    assert context is not None
    assert (exemplar.trace_id, exemplar.span_id) == (context.trace_id, context.span_id)
    assert {entry["id"] for entry in entries} == {(span.attributes or {})["costlens.decision.id"]}
    assert {entry["context"]["trace_id"] for entry in entries} == {f"{context.trace_id:032x}"}
    assert trace_context() == {}


def test_denials_and_bare_decisions_are_events(company: Callable[..., Engine], signals: Signals) -> None:
    tracer = signals.tracers.get_tracer("app")
    engine = Engine(company(TEAM).plan, log=signals.telemetry)
    with Guard(engine) as guard, tracer.start_as_current_span("request"):
        engine.decide(REQUEST)
        with pytest.raises(DeniedError):
            guard.call(REQUEST | {"max_output_tokens": 90_000})
    (around,) = signals.spans
    assert [event.attributes["costlens.effect"] for event in around.events if event.attributes] == ["allow", "deny"]
    engine.decide(REQUEST)  # outside of any span


def test_what_is_given_back_or_forgotten_ends_its_span(
    company: Callable[..., Engine], signals: Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(otel, "_MOST_OPEN", 2)
    with Guard(company(TEAM.replace("0.01", "1")), log=signals.telemetry) as guard:
        guard.call(REQUEST).release()
        calls = [guard.call(REQUEST) for _ in range(3)]
        assert [dict(span.attributes or {})["costlens.outcome"] for span in signals.spans] == ["released", "unknown"]
        for call in calls:
            call.settle(USAGE)
    assert len(signals.spans) == 4


def test_metrics_without_spans(company: Callable[..., Engine]) -> None:
    signals = Signals(spans=False, labels=())
    with Guard(company(TEAM), log=signals.telemetry) as guard, guard.call(REQUEST) as call:
        call.settle(USAGE)
    assert signals.spans == ()
    (cost,) = signals.points("costlens.cost")
    assert "costlens.team" not in cost.attributes


def test_reloads_and_logs_are_watched(company: Callable[..., Engine], signals: Signals, tmp_path: Path) -> None:
    company("routes: []")
    live = LivePolicies(tmp_path / "policies", interval=None, on_change=signals.telemetry.policies_changed)
    log = DecisionLog(lambda _: 1 / 0, buffer=1)
    signals.telemetry.watch(log=log, policies=live)
    assert [point.value for point in signals.points("costlens.policies.current")] == [1]
    (tmp_path / "policies" / "p.yaml").write_text("nothing")
    live.refresh()
    Engine(live.plan, log=log).decide(REQUEST)
    log.close()
    assert [point.value for point in signals.points("costlens.policies.current")] == [0]
    assert [point.value for point in signals.points("costlens.log.dropped")] == [1]
    (reload,) = signals.points("costlens.reloads")
    assert reload.attributes["costlens.outcome"] == "refused"


def test_logs_are_lines_of_json(signals: Signals) -> None:
    formatter = JsonFormatter()
    record = logging.LogRecord("x", logging.ERROR, "f", 1, "a %s\nb", ("é",), None)
    record.budget = "p/team"
    line = json.loads(formatter.format(record))
    assert (line["level"], line["logger"], line["message"], line["budget"]) == ("error", "x", "a é\nb", "p/team")
    assert "trace_id" not in line
    with signals.tracers.get_tracer("app").start_as_current_span("request"):
        try:
            raise ValueError("wrong")
        except ValueError as error:
            record.exc_info = (type(error), error, error.__traceback__)
        line = json.loads(formatter.format(record))
    assert len(line["trace_id"]) == 32
    assert "ValueError: wrong" in line["exception"]
    assert "\n" not in formatter.format(record)


def test_no_record_is_lost_for_what_it_holds() -> None:
    record = logging.LogRecord("x", logging.INFO, "f", 1, "half \ud83d", (), None)
    around: dict[Any, Any] = {}
    around["self"] = around
    for value in ({(1, 2): 3}, around, b"\xff", object()):
        record.value = value
        text = JsonFormatter().format(record)
        assert json.loads(text.encode("utf-8"))["message"] == "half \ud83d"


def test_the_page(tmp_path: Path) -> None:
    write_company(tmp_path / "policies", TEAM)
    walk((ROOT / "docs" / "telemetry.md").read_text(encoding="utf-8"), tmp_path)
    entries = (tmp_path / "decisions.jsonl").read_text().splitlines()
    assert [json.loads(line)["kind"] for line in entries] == ["hold", "charge"]


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ("team", "must be a list of names"),
        ((1,), "must be a list of names"),
        (("prompt",), "`prompt` must not be a label"),
        (("messages",), "`messages` must not be a label"),
        (("params",), "`params` must not be a label"),
        (("tags",), "`tags` must not be a label"),
    ],
)
def test_a_label_that_holds_texts_or_several_values_is_refused(labels: Any, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        Signals(labels=labels)


def test_a_label_that_no_attribute_has_is_refused_with_a_near_name(company: Callable[..., Engine]) -> None:
    engine, telemetry = company(TEAM), Signals(labels=("tem",)).telemetry
    with pytest.raises(SettingsError, match="did you mean `team`"):
        Guard(engine, log=telemetry)
    with pytest.raises(SettingsError, match="did you mean `team`"):
        Engine(engine.plan, log=[telemetry])
    Guard(engine, log=Signals(labels=("user", "model", "stream", "prompt_tokens")).telemetry).close()
