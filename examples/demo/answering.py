"""Cost and accuracy of recorded answers: strong model, weak model, by policy, by a coin flip, and an oracle."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

from rich.table import Table
from shapes import table

from costlens_policy import load
from costlens_policy.replay import READY, Result, Row, Settings, Traffic, read_traffic, replay

__all__ = ["who_is_right"]

_STRONG, _WEAK = "gpt-4-1106-preview", "mixtral-8x7b"
_ANSWERS = (("GSM8K", "routellm-gsm8k", "gsm8k_responses.csv"), ("MMLU", "routellm-mmlu", "mmlu_dev_half.csv"))


def who_is_right(folder: Path, policy_set: Path) -> Table:
    """Return a line for each way to choose a model, over problems that the policy was not tuned on.

    Problems that leaked into training data are left out, as are those that the mapping leaves out.
    """
    leaked = _leaked(folder / "gsm8k_contaminated_prompts.jsonl")
    plan = load(policy_set).plan
    results: dict[str, Result] = {}
    for name, mapping, file in _ANSWERS:
        traffic = read_traffic([str(folder / file)], READY[mapping], plan, Settings().start)
        rows = tuple(row for row in traffic.rows if not _is_leaked(row, leaked))
        kept = Traffic(rows, traffic.rejects, traffic.files, traffic.notes)
        results[name] = replay(plan, kept, Settings())
    headings = [f"{name} {what}" for name in results for what in ("right", "cost")]
    sizes = " and ".join(f"{result.rows:,} problems of {name}" for name, result in results.items())
    shown = table(
        "   Without measuring: two models, and a rule by signs of several steps", ("who answers", *headings),
        numbers=headings,
        caption=f"{sizes} (RouteLLM), at catalogue prices. The policy is examples/strong-or-weak: signs that were "
        "written down beforehand. On MMLU a coin does as well, for less: measure before you route.",
    )  # fmt: skip
    ways = [_ways(result) for result in results.values()]
    for name in ways[0]:
        shown.add_row(name, *(cell for way in ways for cell in way[name]))
    return shown


def _leaked(path: Path) -> frozenset[str]:
    return frozenset(json.loads(line)["eval_prompt"] for line in path.read_text("utf-8").splitlines())


def _is_leaked(row: Row, leaked: frozenset[str]) -> bool:
    return row.attributes["prompt"] in leaked


def _ways(result: Result) -> dict[str, tuple[str, str]]:
    """Return the share of right answers and the cost. The coin flip uses the strong model as often as the policy."""
    quality = {name: (way.right / way.answered, way.cost) for name, way in result.quality.items()}
    strong, weak = quality[f"only {_STRONG}"], quality[f"only {_WEAK}"]
    share = result.models[_STRONG].requests / result.rows
    exact = Decimal(result.models[_STRONG].requests) / result.rows
    coin = weak[0] + share * (strong[0] - weak[0]), weak[1] + exact * (strong[1] - weak[1])
    ways = {
        "always the strong model": strong,
        "always the weak model": weak,
        "the policy": quality["policy"],
        "a coin flip, with the same share of the strong model": coin,
        "an oracle that knows who is right": quality["oracle"],
    }
    return {name: (f"{right:.1%}", f"${cost:,.2f}") for name, (right, cost) in ways.items()}
