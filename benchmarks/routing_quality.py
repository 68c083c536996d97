"""What routing saves on public tables, at which loss: fitted on one part of each, reported on another.

``python -m benchmarks.routing_quality [--quick] [--json]``. Beside the policy that ``costlens-policy fit`` writes,
decided by the engine, stand the best single model, the cheapest, a coin with the same shares, an oracle, and two
routers that learn each model's score from the words of the prompt, as learned routers do (scikit-learn). All are fitted
to the same cases for the same target, a loss of at most one point, and judged on the same others.

The tables are those of ``../shared/data``: nine models on fourteen tasks (LLMRouter, MIT), and GPT-4 with Mixtral on
MMLU and GSM8K (RouteLLM, Apache-2.0). Without them there is nothing to measure.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from statistics import NormalDist
from typing import Any, Final

import numpy as np

from benchmarks.section import Cell, Section, show
from costlens_policy import load
from costlens_policy.catalogue import Catalogue, Model, Period, Rates
from costlens_policy.fit.bootstrap import Bootstrap
from costlens_policy.fit.choosing import folds_of
from costlens_policy.fit.documents import Origin, documents_of
from costlens_policy.fit.fitting import Fitted, fit, parts_of
from costlens_policy.fit.measurements import Assumed, Measurements, gather
from costlens_policy.fit.outcomes import OutcomeSettings, read_outcomes
from costlens_policy.fit.target import SURE, Target
from costlens_policy.fit.told import told_of
from costlens_policy.intervals import Estimate

__all__ = ["TABLES", "measure", "read"]

DATA: Final = Path(__file__).resolve().parents[2] / "shared" / "data"
DAY: Final = date(2026, 11, 30)
MAX_LOSS: Final = 0.01
_STRONG, _WEAK = "gpt-4-1106-preview", "mixtral-8x7b"
_COLUMNS: Final = {
    "prompt": "prompt", f"score.{_STRONG}": _STRONG, f"score.{_WEAK}": "mistralai/Mixtral-8x7B-Instruct-v0.1",
}  # fmt: skip
_ROUTELLM: Final = {_STRONG: ("10", "30"), _WEAK: ("0.6", "0.6")}
_NINE: Final = {
    "codegemma-7b": "0.2", "gemma-2-9b-it": "0.1", "llama-3.1-8b-instruct": "0.2",
    "llama-3.1-nemotron-51b-instruct": "0.9", "llama-3.3-nemotron-super-49b-v1": "0.9", "llama3-chatqa-1.5-70b": "0.9",
    "llama3-chatqa-1.5-8b": "0.2", "mistral-7b-instruct-v0.3": "0.2", "qwen2.5-7b-instruct": "0.2",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Published:
    """A public table: its file, how it is read, the prices of its models in dollars per million tokens, and what to
    leave out: prompts that leaked, or a task; whether a signal learns to tell its tasks."""

    title: str
    file: str
    columns: Mapping[str, str]
    prices: Mapping[str, tuple[str, str]]
    drop: tuple[str, ...] = ()
    without: str = ""
    signal: bool = False


TABLES: Final = {
    "nine models on fourteen tasks (LLMRouter)": Published(
        "nine", "llmrouter/train.jsonl.gz", {}, {name: (price, price) for name, price in _NINE.items()}, signal=True,
    ),
    "GPT-4 and Mixtral on MMLU (RouteLLM)": Published(
        "mmlu", "routellm/mmlu_dev_half.csv", {**_COLUMNS, "task": "domain"}, _ROUTELLM,
        without="high_school_mathematics",
    ),
    "GPT-4 and Mixtral on GSM8K (RouteLLM)": Published(
        "gsm8k", "routellm/gsm8k_responses.csv", _COLUMNS, _ROUTELLM,
        drop=("routellm/gsm8k_contaminated_prompts.jsonl",),
    ),
}  # fmt: skip


def read(table: Published, folder: Path = DATA) -> tuple[Measurements, Catalogue]:
    """Return a table's scores, with the costs of 200 tokens of answer for each prompt, and its models."""
    catalogue = Catalogue.of(
        Model(name, periods=(Period(None, Rates({"input": Decimal(read), "output": Decimal(written)})),))
        for name, (read, written) in table.prices.items()
    )
    settings = OutcomeSettings(columns=table.columns, drop=tuple(str(folder / name) for name in table.drop))
    found = gather(read_outcomes([str(folder / table.file)], settings, catalogue), catalogue, Assumed(200, DAY))
    if table.without:
        found = found.part(~found.of_task(found.tasks.index(table.without)))
    return found, catalogue


def measure(*, quick: bool, seed: int = 0) -> Iterator[Section]:
    """Yield a section for each table; ``quick`` leaves out all that learns from words."""
    for title, table in TABLES.items():
        if not (DATA / table.file).exists():
            yield Section("routing_quality", f"{title}: not measured", (), (), (f"{DATA / table.file} is not there",))
            continue
        yield _section(title, *read(table), quick, table.signal and not quick, seed)


def _section(
    title: str, measurements: Measurements, catalogue: Catalogue, quick: bool, by_signal: bool, seed: int
) -> Section:
    inside, aside = parts_of(measurements, 0.2, seed)
    told = told_of(inside, aside, title, DAY.isoformat(), seed) if by_signal else None
    fitted = fit(inside, aside, Target(max_loss=MAX_LOSS), seed, told)
    best = fitted.means.best
    chosen: dict[str, Any] = {"the policy that fit writes": _by_engine(fitted, catalogue)}
    if told is not None:
        chosen["the same, tasks told by the signal alone"] = _by_engine(fitted, catalogue, named=False)
    if not quick:
        chosen |= {f"{name} on words": _learned(make, inside, aside, best, seed) for name, make in _ROUTERS.items()}
    rows = [_row(name, *_beside(aside, served, best)) for name, served in chosen.items()]
    rows += [_row(way.name, way.gain, way.saving) for way in fitted.ways[1:5]]
    coin = _coin_at(fitted, MAX_LOSS)
    rows.append(("a coin that loses one point", f"{-100 * MAX_LOSS:+.1f}", "", f"{coin:.1%}", ""))
    finding = "supported" if fitted.supported else f"nothing to save: {fitted.reasons[0]}"
    return Section(
        "routing_quality",
        f"{title}: {len(aside):,} cases kept aside of {len(measurements):,}, beside always `{inside.models[best]}`",
        ("way to choose", "points", "95% interval", "saved", "95% interval"),
        tuple(rows),
        (f"fit at a loss of one point: {finding}",),
    )


def _row(name: str, gain: Estimate, saving: Estimate) -> tuple[Cell, ...]:
    return (
        name, f"{100 * gain.value:+.1f}", f"{100 * gain.low:+.1f} to {100 * gain.high:+.1f}", f"{saving.value:.1%}",
        f"{saving.low:.1%} to {saving.high:.1%}",
    )  # fmt: skip


def _by_engine(fitted: Fitted, catalogue: Catalogue, *, named: bool = True) -> Any:
    """Write the documents, load them, and return the model that the engine takes for each case kept aside.

    Unless ``named``, requests do not name their tasks.
    """
    aside = fitted.aside
    origin = Origin(("published outcomes",), "0" * 64, DAY, "python -m benchmarks.routing_quality")
    with tempfile.TemporaryDirectory() as folder:
        for name, text in documents_of(fitted, catalogue, origin).items():
            Path(folder, name).write_text(text, encoding="utf-8")
        engine = load(folder, cache=False)
    now = datetime(DAY.year, DAY.month, DAY.day, tzinfo=UTC)
    requests = ({"prompt": case.prompt, **({"task": case.task} if case.task and named else {})} for case in aside.cases)
    return np.array([aside.models.index(engine.decide(request, now=now).model or "") for request in requests])


def _coin_at(fitted: Fitted, loss: float) -> float:
    """Return what a coin between the best and the cheapest model saves when it loses so much score."""
    cheapest = fitted.ways[2]
    return min(1.0, loss / -cheapest.gain.value) * cheapest.saving.value if cheapest.gain.value < 0 else 1.0


def _beside(aside: Measurements, served: Any, best: int) -> tuple[Estimate, Estimate]:
    rows = np.arange(len(aside))
    columns = (aside.scores[rows, served], aside.costs[rows, served], aside.scores[:, best], aside.costs[:, best])
    drawn = Bootstrap(columns, aside.group_of, seed=0)
    gain = drawn.estimate(lambda means: means[..., 0] - means[..., 2])
    return gain, drawn.estimate(lambda means: 1 - means[..., 1] / means[..., 3])


_Predict = Callable[[Sequence[str], Any, Sequence[str]], Any]
"""From prompts with scores of each model, and other prompts, to the scores of each model on these."""


def _neighbours(prompts: Sequence[str], scores: Any, others: Sequence[str]) -> Any:
    from sklearn.neighbors import KNeighborsRegressor

    known, asked = _words(prompts, others)
    found = KNeighborsRegressor(n_neighbors=30, metric="cosine", algorithm="brute").fit(known, scores)
    return found.predict(asked)


def _ridge(prompts: Sequence[str], scores: Any, others: Sequence[str]) -> Any:
    from sklearn.linear_model import Ridge

    known, asked = _words(prompts, others)
    return Ridge(alpha=3.0, solver="sparse_cg").fit(known, scores).predict(asked)


def _words(prompts: Sequence[str], others: Sequence[str]) -> tuple[Any, Any]:
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True, max_features=60_000)
    known = words.fit_transform(prompts)
    return known, words.transform(others)


_ROUTERS: Final[Mapping[str, _Predict]] = {"k nearest neighbours": _neighbours, "ridge": _ridge}


def _learned(predict: _Predict, inside: Measurements, aside: Measurements, best: int, seed: int) -> Any:
    """Return the models that a learned router takes, at the worth that meets the target by cross-validation."""
    prompts, others = ([case.prompt or "" for case in part.cases] for part in (inside, aside))
    folds, guessed = folds_of(inside, 5, seed), np.zeros(inside.scores.shape)
    for fold in range(5):
        left_out = folds == fold
        known = [prompt for prompt, is_out in zip(prompts, left_out, strict=True) if not is_out]
        asked = [prompt for prompt, is_out in zip(prompts, left_out, strict=True) if is_out]
        guessed[left_out] = predict(known, inside.scores[~left_out], asked)
    worth = _worth(guessed, inside, best)
    if worth is None:
        return np.full(len(aside), best)
    return (aside.costs - worth * predict(prompts, inside.scores, others)).argmin(axis=1)


def _worth(guessed: Any, inside: Measurements, best: int) -> float | None:
    rows, room = np.arange(len(inside)), NormalDist().inv_cdf(SURE)
    cheapest: tuple[float, float | None] = (inside.costs[:, best].mean(), None)
    for worth in np.geomspace(1e-6, 100, 160):
        served = (inside.costs - worth * guessed).argmin(axis=1)
        gains = inside.scores[rows, served] - inside.scores[:, best]
        if gains.mean() - room * gains.std() / np.sqrt(len(gains)) >= -MAX_LOSS:
            cheapest = min(cheapest, (inside.costs[rows, served].mean(), float(worth)), key=lambda item: item[0])
    return cheapest[1]


def main(arguments: Sequence[str]) -> int:
    if not set(arguments) <= {"--quick", "--json"}:
        print("usage: python -m benchmarks.routing_quality [--quick] [--json]", file=sys.stderr)  # noqa: T201 (a command)
        return 2
    for section in measure(quick="--quick" in arguments):
        show(section, as_json="--json" in arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
