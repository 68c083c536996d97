"""OpenTelemetry: spans and metrics of guarded calls, by the conventions for generative AI.

The conventions are those of https://opentelemetry.io/docs/specs/semconv/gen-ai/; what they have no name for is under
``costlens.``. Nothing here holds texts of a request.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from costlens_policy.checker.attributes import STANDARD_ATTRIBUTES
from costlens_policy.diagnostics.suggestion import did_you_mean
from costlens_policy.engine.decision import Decision
from costlens_policy.errors import InputError, SettingsError
from costlens_policy.expressions import BOOL, DOUBLE, INT, STRING
from costlens_policy.observers import ChargedCall
from costlens_policy.version import __version__

if TYPE_CHECKING:
    from costlens_policy.compiler.plan import Plan
    from costlens_policy.decision_log import DecisionLog
    from costlens_policy.guard import Event
    from costlens_policy.live import LivePolicies, PolicyStatus

__all__ = ["Telemetry", "trace_context"]

_NAME: Final = "costlens_policy"
_MOST_OPEN: Final = 10_000
"""Calls whose span is open at most; of more, the oldest span ends without its charge."""
_PROVIDERS: Final = {
    "aws": "aws.bedrock", "azure": "azure.ai.openai", "google": "gcp.gemini", "mistral": "mistral_ai", "x-ai": "x_ai",
}  # fmt: skip
"""Well-known names of providers that have another one in the catalogue; the others are the same or free."""
_ASKED: Final = {
    "temperature": "temperature", "top_p": "top_p", "top_k": "top_k", "seed": "seed", "n": "choice.count",
    "frequency_penalty": "frequency_penalty", "presence_penalty": "presence_penalty",
}  # fmt: skip
"""Parameters that are numbers, and what the conventions call them."""
_SINGLE: Final = (STRING, BOOL, INT, DOUBLE)
"""Types of attributes that can be labels."""
_TEXTS: Final = frozenset({"prompt"})
"""Standard attributes of such a type that hold what people wrote."""
_TOKEN_BUCKETS: Final = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
_DURATION_BUCKETS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_COST_BUCKETS: Final = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10)


class Telemetry:
    """An observer that makes spans and metrics. Pass it as ``log`` to a guard, beside a decision log if there is one.

    A guarded call is a span from its decision to its charge, a child of the span around it; a denial, and a decision
    without a guard, are an event of that span. Metrics have the model, the provider, the rule, and the attributes of
    requests in ``labels``: few values each, since every combination is a time series. ``alert`` is a sink for the
    alerts of a guard, ``policies_changed`` the ``on_change`` of live policies, and ``watch`` reports what a log drops.
    ``spans`` false makes metrics alone, such as where the SDK of a provider makes spans already.

    ``tracer_provider`` and ``meter_provider`` are those of the OpenTelemetry API, by default the global ones. Takes the
    extra ``otel``. Raises ``InputError`` where that is not installed, and ``SettingsError`` for a label that is not an
    attribute, or one that holds texts or no single value; a declared one is looked for once the policies are known.
    """

    def __init__(
        self,
        *,
        labels: Sequence[str] = ("team", "feature"),
        spans: bool = True,
        tracer_provider: Any = None,
        meter_provider: Any = None,
    ) -> None:
        metrics, trace = _api()
        self._trace = trace
        self._labels = _labels(labels)
        self._spans = spans
        self._tracer = trace.get_tracer(_NAME, __version__, tracer_provider)
        self._meter = metrics.get_meter(_NAME, __version__, meter_provider)
        self._open: OrderedDict[str, Any] = OrderedDict()
        self._lock = Lock()
        count, histogram = self._meter.create_counter, self._meter.create_histogram
        self._decisions = count("costlens.decisions", "{decision}", "decisions by effect and rule")
        self._denials = count("costlens.denials", "{denial}", "denials by what refused")
        self._held = count("costlens.held", "{USD}", "worst cases that were held")
        self._cost = histogram(
            "costlens.cost", "{USD}", "what calls cost", explicit_bucket_boundaries_advisory=_COST_BUCKETS
        )
        self._tokens = histogram(
            "gen_ai.client.token.usage",
            "{token}",
            "tokens of calls by type",
            explicit_bucket_boundaries_advisory=_TOKEN_BUCKETS,
        )
        self._duration = histogram(
            "gen_ai.client.operation.duration",
            "s",
            "from the decision of a call to its charge",
            explicit_bucket_boundaries_advisory=_DURATION_BUCKETS,
        )
        self._alerts = count("costlens.alerts", "{event}", "events of the guard by kind and budget")
        self._reloads = count("costlens.reloads", "{reload}", "versions of policies that were taken over or refused")

    def check(self, plan: Plan) -> None:
        """Raise ``SettingsError`` where a label is not an attribute of requests, or one without a single value."""
        known = STANDARD_ATTRIBUTES.keys() | plan.attributes.keys()
        for name in self._labels:
            if name not in known:
                hint = did_you_mean(name, known) or "declare it in the policy set"
                raise SettingsError(f"the label `{name}` of telemetry is not an attribute of requests; {hint}")
            declared = plan.attributes.get(name)
            if declared is not None and declared.type not in _SINGLE:
                raise _unfit(name)

    def decided(self, decision: Decision, id: str, held: bool) -> None:
        """Begin the span of a call, or report a decision on the span around it."""
        told = self._told(decision)
        self._decisions.add(1, told | {"costlens.effect": decision.effect})
        if not decision.allowed:
            self._denials.add(1, self._labeled(decision) | {"costlens.refused_by": _refused_by(decision)})
        if held:
            worst = decision.estimate.worst_cost if decision.estimate is not None else None
            self._held.add(float(worst or 0), told)
        if not self._spans:
            return
        if held:
            self._begin(decision, id)
        else:
            span = self._trace.get_current_span()
            if span.is_recording():
                span.add_event("costlens.decision", _outline(decision, id), _nanoseconds(decision.now))

    def charged(self, decision: Decision, charge: ChargedCall, at: datetime) -> None:
        """Count a charge, and end the span of its call."""
        told = self._told(decision) | {"gen_ai.response.model": charge.model}
        span = self._end(charge.call)
        context = None if span is None else self._trace.set_span_in_context(span)  # the exemplars of what follows
        if charge.cost is not None:
            self._cost.record(float(charge.cost), told, context)
        usage = charge.usage
        if usage is not None:
            for kind, tokens in (("input", usage.prompt_tokens), ("output", usage.answer_tokens)):
                self._tokens.record(tokens, told | {"gen_ai.token.type": kind}, context)
        self._duration.record(max(0.0, (at - decision.now).total_seconds()), told, context)
        if span is not None:
            span.set_attributes(_charge_attributes(charge))
            span.end(_nanoseconds(at))

    def released(self, decision: Decision, id: str, at: datetime) -> None:
        """End the span of a call that was given back."""
        span = self._end(id)
        if span is not None:
            span.set_attribute("costlens.outcome", "released")
            span.end(_nanoseconds(at))

    def alert(self, event: Event) -> None:
        """Count an event of the guard; a sink for ``alert_sinks``."""
        told = {"costlens.event": event.kind, "costlens.budget": event.budget, "costlens.threshold": event.threshold}
        self._alerts.add(1, {name: value for name, value in told.items() if value})

    def policies_changed(self, status: PolicyStatus) -> None:
        """Count a version that was taken over or refused; the ``on_change`` of live policies."""
        outcome = "current" if status.is_current else "refused"
        self._reloads.add(1, {"costlens.outcome": outcome, "costlens.policy_digest": status.policy_digest[:16]})

    def watch(self, *, log: DecisionLog | None = None, policies: LivePolicies | None = None) -> None:
        """Report what a decision log has written and dropped, and whether live policies are those of their source."""
        gauge = self._meter.create_observable_gauge
        if log is not None:
            gauge("costlens.log.dropped", [_observed(lambda: log.status.dropped)], "{entry}", "entries that are lost")
            gauge("costlens.log.waiting", [_observed(lambda: log.status.waiting)], "{entry}", "entries in memory")
        if policies is not None:
            current = _observed(lambda: int(policies.status.is_current))
            gauge("costlens.policies.current", [current], "1", "1 while the policies are those of their source")

    def _told(self, decision: Decision) -> dict[str, Any]:
        """Return what metrics say of a decision."""
        told = self._labeled(decision) | {"gen_ai.operation.name": _operation(decision)}
        if decision.model is not None:
            told["gen_ai.request.model"] = decision.model
            told["gen_ai.provider.name"] = _provider(decision)
        return told

    def _labeled(self, decision: Decision) -> dict[str, Any]:
        told: dict[str, Any] = {"costlens.rule": decision.rule}
        for name in self._labels:
            value = decision.request.get(name)
            if isinstance(value, str | bool | int | float):
                told[f"costlens.{name}"] = value
        return told

    def _begin(self, decision: Decision, id: str) -> None:
        span = self._tracer.start_span(
            f"{_operation(decision)} {decision.model}",
            kind=self._trace.SpanKind.CLIENT,
            attributes=self._told(decision) | _outline(decision, id) | _asked(decision),
            start_time=_nanoseconds(decision.now),
        )
        with self._lock:
            before = self._open.pop(id, None)
            self._open[id] = span
            oldest = self._open.popitem(last=False)[1] if len(self._open) > _MOST_OPEN else None
        for ended in (before, oldest):
            if ended is not None:
                ended.set_attribute("costlens.outcome", "unknown")
                ended.end()

    def _end(self, id: str) -> Any:
        with self._lock:
            return self._open.pop(id, None)


def _labels(given: Sequence[str]) -> tuple[str, ...]:
    """Return the names of labels. Raises ``SettingsError`` for what cannot be one under any policies."""
    names = () if isinstance(given, str) else tuple(given)
    if isinstance(given, str) or not all(isinstance(name, str) for name in names):
        raise SettingsError(f"`labels` must be a list of names of attributes, such as `('team',)`, got `{given!r}`")
    for name in names:
        standard = STANDARD_ATTRIBUTES.get(name)
        if standard is not None and (standard.type not in _SINGLE or name in _TEXTS):
            raise _unfit(name)
    return names


def _unfit(name: str) -> SettingsError:
    return SettingsError(
        f"`{name}` must not be a label of telemetry; a label is an attribute with a single value, no text"
    )


def trace_context() -> dict[str, Any]:
    """Return the ids of the current trace and span, for the ``context`` of a decision log; nothing outside of one."""
    _, trace = _api()
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}


def _api() -> tuple[Any, Any]:
    try:
        from opentelemetry import metrics, trace
    except ImportError:
        raise InputError("`opentelemetry-api` is not installed: pip install 'costlens-policy[otel]'") from None
    return metrics, trace


def _operation(decision: Decision) -> str:
    """Return the kind of a call, as the conventions name it; calls for vectors have a task of that name."""
    return "embeddings" if decision.request.get("task") == "embeddings" else "chat"


def _provider(decision: Decision) -> str:
    model = decision.plan.catalogue.find(decision.model or "")
    provider = "" if model is None else model.provider or ""
    return _PROVIDERS.get(provider, provider) or "unknown"


def _refused_by(decision: Decision) -> str:
    """Return the budget that refused, or the rule."""
    budgets = decision.plan.budgets
    return next((item.by for item in decision.excluded if item.by in budgets), decision.rule)


def _outline(decision: Decision, id: str) -> dict[str, Any]:
    return {
        "costlens.decision.id": id,
        "costlens.effect": decision.effect,
        "costlens.rule": decision.rule,
        "costlens.fallbacks": list(decision.fallbacks),
        "costlens.rewrites": list(decision.rewrites),
        "costlens.policy_set": decision.plan.name,
        "costlens.policy_digest": decision.policy_digest[:16],
        "costlens.catalogue_digest": decision.catalogue_digest[:16],
        **({} if decision.allowed else {"costlens.reasons": list(decision.reasons)}),
    }


def _asked(decision: Decision) -> dict[str, Any]:
    estimate = decision.estimate
    if estimate is None:
        return {}
    asked: dict[str, Any] = {"gen_ai.request.max_tokens": estimate.output_tokens}
    if estimate.worst_cost is not None:
        asked["costlens.worst_cost_usd"] = float(estimate.worst_cost)
    for name, told in _ASKED.items():
        value = decision.params.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            asked[f"gen_ai.request.{told}"] = value
    if decision.request.get("stream") is True:
        asked["gen_ai.request.stream"] = True
    session = decision.request.get("session")
    return asked | {"gen_ai.conversation.id": session} if isinstance(session, str) else asked


def _charge_attributes(charge: ChargedCall) -> Mapping[str, Any]:
    told: dict[str, Any] = {
        "gen_ai.response.model": charge.model,
        "costlens.outcome": "charged",
        "costlens.basis": charge.basis,
    }
    if charge.cost is not None:
        told["costlens.cost_usd"] = float(charge.cost)
    usage = charge.usage
    if usage is None:
        return told
    counts = {
        "gen_ai.usage.input_tokens": usage.prompt_tokens,
        "gen_ai.usage.output_tokens": usage.answer_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.cache_read + usage.cache_read_audio,
        "gen_ai.usage.cache_creation.input_tokens": usage.cache_write + usage.cache_write_1h,
        "gen_ai.usage.reasoning.output_tokens": usage.reasoning,
    }
    return told | {name: count for name, count in counts.items() if count or name.count(".") == 2}


def _observed(value: Callable[[], int]) -> Callable[[Any], Iterable[Any]]:
    def observe(_: Any) -> Iterable[Any]:
        from opentelemetry.metrics import Observation

        return [Observation(value())]

    return observe


def _nanoseconds(time: datetime) -> int:
    return int(time.timestamp() * 1_000_000) * 1000
