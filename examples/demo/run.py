"""The demo: real policies decide real requests.

1. The reference policies decide requests of our own: model, prompt, allowed or denied, cost, and why.
2. A routing policy decides the GSM8K problems for which two models' answers are on record, and we count who was right.
   Without that data, the reference policies are compared with one model for everything, by the catalogue's quality.
3. Two versions of a policy are compared over sample traffic: what changes, what it costs, and why.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from costlens_policy import Decision, Engine, load
from costlens_policy.catalogue import Usage
from costlens_policy.engine.decision import Estimate
from costlens_policy.money import format_usd
from costlens_policy.replay import READY, Settings, read_traffic
from costlens_policy.replay.difference import diff
from costlens_policy.replay.report import difference_tables, difference_verdict

ROOT = Path(__file__).resolve().parents[2]
GSM8K = ROOT.parent / "shared" / "data" / "routellm"
STRONG, WEAK = "gpt-4-1106-preview", "mixtral-8x7b"
COLUMNS = {STRONG: "gpt-4-1106-preview", WEAK: "mistralai/Mixtral-8x7B-Instruct-v0.1"}


def main() -> None:
    console = Console(width=None if Console().is_terminal else 140)
    engine = load(ROOT / "policies")
    samples = [json.loads(line) for line in (ROOT / "examples/demo/requests.jsonl").read_text("utf-8").splitlines()]
    decisions = [engine.decide(sample["request"]) for sample in samples]
    console.print(_decisions([sample["name"] for sample in samples], decisions))
    if (GSM8K / "gsm8k_responses.csv").is_file():
        console.print(_accuracy(load(ROOT / "examples/strong-or-weak"), list(_problems())))
    else:
        console.print(_expected_quality(engine, samples, decisions))
    for table in _policy_change(ROOT / "examples/replay"):
        console.print(table)


def _policy_change(folder: Path) -> Iterator[Table]:
    """Yield what a change of policy does to sample traffic: without prompt caches, and with them."""
    old, new = load(folder / "before").plan, load(folder / "after").plan
    mapping = READY["plain"].with_columns({"request.expected_output_tokens": "output_tokens"}, {})
    traffic = read_traffic([str(folder / "traffic.jsonl")], mapping, new, Settings().start)
    for cached in (False, True):
        difference = diff(old, new, traffic, Settings(cache=cached))
        table = Table(
            title=f"\nShort turns of an agent to a cheaper model, prompt caches {'modelled' if cached else 'ignored'}",
            title_justify="left", title_style="bold", min_width=90,
            caption=difference_verdict(difference), caption_justify="left",
        )  # fmt: skip
        causes = next(difference_tables(difference))
        for heading in causes.headings:
            table.add_column(heading)
        for row in causes.rows:
            table.add_row(*row)
        yield table


def _decisions(names: Sequence[str], decisions: Sequence[Decision]) -> Table:
    table = Table(title="The reference policies decide", title_justify="left", title_style="bold")
    for heading in ("request", "decision", "at most", "rule", "what else happened"):
        table.add_column(heading, overflow="fold")
    for name, decision in zip(names, decisions, strict=True):
        table.add_row(name, _outcome(decision), _cost(decision), decision.rule, _notes(decision))
    return table


def _outcome(decision: Decision) -> str:
    return f"[green]{decision.model}[/]" if decision.allowed else "[red]denied[/]"


def _cost(decision: Decision) -> str:
    estimate = decision.estimate
    return "" if estimate is None or estimate.cost is None else format_usd(estimate.cost)


def _notes(decision: Decision) -> str:
    if not decision.allowed:
        return decision.reasons[-1] if not decision.excluded else decision.excluded[0].reason
    notes = [f"{change.operation}: {change.detail}" for change in decision.changes]
    if any(change.operation == "redact" for change in decision.changes):
        notes.append(f"sent: {decision.prompt}")
    return escape("; ".join(notes))


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem on record, and which of the models solved it."""

    prompt: str
    solved: dict[str, bool]


def _problems() -> Iterator[Problem]:
    """Yield the GSM8K problems, without those that leaked into training data."""
    leaked = {
        json.loads(line)["eval_prompt"]
        for line in (GSM8K / "gsm8k_contaminated_prompts.jsonl").open("r", encoding="utf-8")
    }
    with (GSM8K / "gsm8k_responses.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["prompt"] not in leaked:
                yield Problem(row["prompt"], {model: row[column] == "True" for model, column in COLUMNS.items()})


def _accuracy(engine: Engine, problems: Sequence[Problem]) -> Table:
    decisions = [engine.decide({"prompt": problem.prompt}) for problem in problems]
    routed = [decision.model or "" for decision in decisions]
    cheapest = [WEAK if problem.solved[WEAK] or not problem.solved[STRONG] else STRONG for problem in problems]
    table = Table(
        title=f"\n{len(problems)} GSM8K problems: strong, weak, or by policy", title_justify="left", title_style="bold",
        caption="Cost: estimated prompt and 300 output tokens, catalogue prices. Right: recorded answers (RouteLLM).",
        caption_justify="left",
    )  # fmt: skip
    for heading in ("who answers", "to the strong model", "estimated cost", "right"):
        table.add_column(heading, justify="left" if heading == "who answers" else "right")
    rows = {
        "always the strong model": [STRONG] * len(problems),
        "always the weak model": [WEAK] * len(problems),
        "the policy examples/strong-or-weak": routed,
        "an oracle that knows who is right": cheapest,
    }
    for name, models in rows.items():
        right = sum(problem.solved[model] for problem, model in zip(problems, models, strict=True))
        share = Counter(models)[STRONG] / len(models)
        cost = _total(engine, decisions, models)
        table.add_row(name, f"{share:.1%}", format_usd(cost.quantize(Decimal("0.01"))), f"{right / len(models):.1%}")
    return table


def _price(engine: Engine, model: str, estimate: Estimate, now: datetime) -> Decimal:
    """Return what a call of the same size costs with another model of the catalogue."""
    period = engine.plan.catalogue.models[model].period_on(now.date())
    assert period is not None, f"{model} has no price"
    usage = Usage(input=estimate.prompt_tokens, output=estimate.output_tokens)
    return period.rates_for(estimate.prompt_tokens).cost(usage)


def _total(engine: Engine, decisions: Sequence[Decision], models: Sequence[str]) -> Decimal:
    """Return what all calls cost with the given models."""
    priced = (
        _price(engine, model, decision.estimate, decision.now)
        for decision, model in zip(decisions, models, strict=True)
        if decision.estimate is not None
    )
    return sum(priced, Decimal(0))


def _expected_quality(engine: Engine, samples: Sequence[dict[str, Any]], decisions: Sequence[Decision]) -> Table:
    """Return the reference policies beside one model for everything, by the quality that the catalogue states."""
    table = Table(
        title="\nThe same requests with one model for everything", title_justify="left", title_style="bold",
        caption="Quality: as policies/catalogue.yaml states it, not measured; allowed requests whose task it knows.",
        caption_justify="left",
    )  # fmt: skip
    for heading in ("who answers", "estimated cost", "expected quality"):
        table.add_column(heading, justify="left" if heading == "who answers" else "right")
    always = ("gpt-5-nano", "gpt-5-mini", "claude-sonnet-5-5")
    judged = [
        (sample["request"]["task"], decision)
        for sample, decision in zip(samples, decisions, strict=True)
        if decision.model
        and all(_stated(engine, name, sample["request"]["task"]) for name in (decision.model, *always))
    ]
    rows = {"the reference policies": [decision.model or "" for _, decision in judged]}
    rows |= {f"always {name}": [name] * len(judged) for name in always}
    for name, models in rows.items():
        cost = _total(engine, [decision for _, decision in judged], models)
        stated = [_stated(engine, model, task) for (task, _), model in zip(judged, models, strict=True)]
        table.add_row(name, format_usd(cost.quantize(Decimal("0.0001"))), f"{sum(stated) / len(stated):.1%}")
    return table


def _stated(engine: Engine, model: str, task: str) -> float:
    """Return the quality that the catalogue states for a task, 0.0 where it states none."""
    return engine.plan.catalogue.models[model].quality.get(task, 0.0)


if __name__ == "__main__":
    main()
