"""Numbers as people read them: the same in the terminal and on the page."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from costlens_policy.money import subtract
from costlens_policy.replay.judged import all_judged
from costlens_policy.replay.tables import estimate_text
from costlens_policy.report.calls import shown_calls
from costlens_policy.report.figures import Figures
from costlens_policy.report.summarize import Report

__all__ = [
    "NOT_KNOWN", "NOT_RECORDED", "forecast_sentence", "judged_line", "no_anomalies", "shown_cost", "shown_count",
    "shown_ms", "shown_percent", "shown_usd", "tiles", "title_of",
]  # fmt: skip

NOT_RECORDED: Final = "not recorded"
NOT_KNOWN: Final = "not known"
_SIZES: Final = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k"))


def shown_usd(amount: Decimal, *, sign: bool = False) -> str:
    """Return dollars to the cent, or to two significant digits where that is less than a cent."""
    digits = Decimal("0.01")
    if amount and abs(amount) < digits:
        digits = Decimal(1).scaleb(amount.adjusted() - 1)
    rounded = amount.copy_abs().quantize(digits, ROUND_HALF_UP)
    before = "-" if amount < 0 else "+" if sign and amount else ""
    return f"{before}${rounded:,f}"


def shown_cost(figures: Figures) -> str:
    """Return what calls cost; that is not known where there are calls and none of them has a price."""
    return NOT_KNOWN if figures.unpriced and not figures.priced else shown_usd(figures.cost)


def shown_count(number: int) -> str:
    """Return a count in full up to 9,999, else to three digits, such as ``1.24M``."""
    for size, name in _SIZES:
        if number >= max(size, 10_000):
            value = Decimal(number) / size
            digits = 2 if value < 10 else 1 if value < 100 else 0
            return f"{value:.{digits}f}{name}"
    return f"{number:,}"


def shown_percent(share: Decimal | None, *, sign: bool = False) -> str:
    """Return a share as per cent; nothing where it is not known."""
    if share is None:
        return ""
    return f"{share * 100:{'+' if sign else ''},.1f} %"


def shown_ms(milliseconds: Decimal) -> str:
    """Return a latency such as ``870 ms`` or ``12.4 s``."""
    return f"{milliseconds:,.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:,.1f} s"


def title_of(report: Report) -> str:
    """Return which time a report is about."""
    first, last = (instant.astimezone(report.zone) for instant in (report.first, report.last))
    if last - first < timedelta(days=2):
        return f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} ({report.zone.key})"
    return f"{first:%Y-%m-%d} to {last:%Y-%m-%d} ({report.zone.key})"


def tiles(report: Report) -> Iterator[tuple[str, str, str]]:
    """Yield the headline figures: name, amount, and remark."""
    totals = report.totals
    unpriced = f"{shown_calls(totals.unpriced)} without a known cost" if totals.unpriced else "every call priced"
    yield "spend", shown_cost(totals), unpriced
    average = totals.cost / totals.priced if totals.priced else None
    each = "" if average is None else f"{shown_usd(average)} a call"
    yield "requests", f"{totals.requests:,}", each
    tokens = f"{shown_count(totals.input_tokens)} in, {shown_count(totals.output_tokens)} out"
    yield "tokens", shown_count(totals.tokens), tokens
    yield _cache(totals)
    yield _latency(totals)
    denied = f"{totals.denied:,}" if report.denials_known else NOT_RECORDED
    share = Decimal(totals.denied) / totals.requests
    yield "denied", denied, f"{shown_percent(share)} of requests" if report.denials_known else ""
    if totals.savings is not None:
        versus = f"{shown_percent(totals.savings_share)} against {report.baseline}"
        yield "savings", shown_usd(totals.savings), versus
    if totals.reserved:
        yield _held(totals)
    yield _expected(report)


def no_anomalies(report: Report) -> str:
    """Return why a report names no anomaly."""
    anomalies = report.anomalies
    if not report.priced:
        return "not judged, no cost of any call is known"
    if not anomalies.judged:
        return f"not judged, there are too few {anomalies.unit}s"
    return f"none in {anomalies.judged} series by {anomalies.unit}"


def _cache(totals: Figures) -> tuple[str, str, str]:
    rate = totals.cache_hit_rate
    if rate is None:
        return "cache hit rate", NOT_RECORDED, ""
    return "cache hit rate", shown_percent(rate), f"{shown_count(totals.cached_tokens)} cached input tokens"


def _held(totals: Figures) -> tuple[str, str, str]:
    left = subtract(totals.held, totals.charged)
    much = f"{shown_usd(left)} too much" if left >= 0 else f"{shown_usd(-left)} too little"
    return "held for calls", shown_usd(totals.held), f"{shown_percent(totals.used_share)} of it was charged, {much}"


def _latency(totals: Figures) -> tuple[str, str, str]:
    latency = totals.latency
    if latency is None:
        return "latency p95", NOT_RECORDED, ""
    return "latency p95", shown_ms(latency.p95), f"p50 {shown_ms(latency.p50)}, p99 {shown_ms(latency.p99)}"


def _expected(report: Report) -> tuple[str, str, str]:
    forecast = report.forecast
    name = f"forecast, end of the {forecast.window.unit}"
    if forecast.expected is None or forecast.low is None or forecast.high is None:
        unit = "hour" if forecast.window.unit == "day" else "day"
        few = f"{forecast.steps} whole {unit}{'' if forecast.steps == 1 else 's'} are too few"
        return name, "none", few if report.priced else "no cost is known"
    return name, shown_usd(forecast.expected), f"{shown_usd(forecast.low)} to {shown_usd(forecast.high)}"


def forecast_sentence(report: Report) -> str:
    """Return the forecast as a sentence, and how it was made."""
    forecast, window = report.forecast, report.forecast.window
    if not report.priced:
        return "no cost of any call is known, so none can be forecast"
    starts, ends = (instant.astimezone(report.zone) for instant in (window.starts_at, window.ends_at))
    spent = f"{shown_usd(forecast.spent)} spent in the {window.unit} from {starts:%Y-%m-%d}"
    if forecast.expected is None or forecast.low is None or forecast.high is None:
        return f"{spent}; {forecast.method}"
    return (
        f"{spent}, {shown_usd(forecast.expected)} expected by {ends:%Y-%m-%d} "
        f"({shown_usd(forecast.low)} to {shown_usd(forecast.high)}); {forecast.method}"
    )


def judged_line(report: Report) -> str:
    """Return the recorded quality of the calls that have one, and how many these are."""
    whole = all_judged(report.judged)
    calls = report.totals.requests - report.totals.denied
    return f"quality by recorded outcomes: {estimate_text(whole.mean)}, for {whole.answered:,} of {shown_calls(calls)}"
