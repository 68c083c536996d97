"""How well a learned signal recognizes tasks, and what that takes, beside scikit-learn on hashed features.

Run ``python -m benchmarks.learned_signals [--quick] [--json]``. It needs ``../shared/data/llmrouter`` and the extras
``fit`` and ``bench``. Both learn from the same four fifths of the prompts and are tried on the last one. The peer is
what one would write in five lines: ``HashingVectorizer`` on words and pairs, and ``LogisticRegression``.
"""

from __future__ import annotations

import gzip
import json
import pickle
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.section import Section, run_section
from benchmarks.timing import FULL, QUICK, microseconds
from costlens_policy.fit.learning import labeled_tasks, train
from costlens_policy.fit.outcomes import group_of
from costlens_policy.signals.learned import read_model, weigh, written

__all__ = ["main", "measure"]

_DATA: Final = Path(__file__).resolve().parents[2] / "shared" / "data" / "llmrouter" / "train.jsonl.gz"
_COLUMNS: Final = ("", "right", "trained in s", "size in kB", "µs for 1,000 characters", "prompts of 2 kB a second")
_TITLE: Final = "The task of prompts that were not seen, by learned signals (CPU of one core)"

Pairs = list[tuple[str, str]]
Recognize = Callable[[str], Any]


def measure(*, quick: bool = False) -> Section:
    """Return a row for ours and one for the peer, and the ratios."""
    if not _DATA.is_file():
        return Section("learned_signals", f"{_TITLE}: `{_DATA.name}` is not there", _COLUMNS, ())
    inside, aside = _parts(quick=quick)
    rows = [_row("ours", *_ours(inside), aside, quick=quick)]
    notes = [f"{len(inside):,} prompts to learn from, {len(aside):,} others to try"]
    try:
        rows.append(_row("scikit-learn, hashed", *_peer(inside), aside, quick=quick))
    except ImportError:
        notes.append("scikit-learn is not installed; pip install 'costlens-policy[bench]'")
    if len(rows) == 2:
        rows.append(("ratio", *(_ratio(a, b) for a, b in zip(rows[0][1:], rows[1][1:], strict=True))))
    return Section("learned_signals", _TITLE, _COLUMNS, tuple(rows), tuple(notes))


def main() -> int:
    return run_section("learned_signals", measure, sys.argv[1:])


def _parts(*, quick: bool) -> tuple[Pairs, Pairs]:
    """Return what is learned from and what is tried, divided by the digest of the prompt."""
    with gzip.open(_DATA, "rt", encoding="utf-8") as file:
        pairs = [(row["prompt"], row["task"]) for row in map(json.loads, file)]
    pairs = pairs[:: 4 if quick else 1]
    aside = [int(group_of(prompt), 16) % 5 == 0 for prompt, _ in pairs]
    return [p for p, a in zip(pairs, aside, strict=True) if not a], [p for p, a in zip(pairs, aside, strict=True) if a]


def _ours(pairs: Pairs) -> tuple[Recognize, float, int]:
    start = time.process_time()
    text = written(train(labeled_tasks(pairs, _DATA.name), "2026-01-01").model)
    seconds = time.process_time() - start
    model = read_model(text)
    return lambda prompt: weigh(model, prompt)[0], seconds, len(text.encode())


def _peer(pairs: Pairs) -> tuple[Recognize, float, int]:
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    start = time.process_time()
    found = make_pipeline(
        HashingVectorizer(ngram_range=(1, 2), n_features=1 << 16), LogisticRegression(C=30, max_iter=500)
    )
    found.fit([prompt for prompt, _ in pairs], [task for _, task in pairs])
    return lambda prompt: found.predict([prompt])[0], time.process_time() - start, len(pickle.dumps(found))


def _row(name: str, recognize: Recognize, seconds: float, size: int, aside: Pairs, *, quick: bool) -> tuple[Any, ...]:
    effort = QUICK if quick else FULL
    right = sum(recognize(prompt) == task for prompt, task in aside) / len(aside)
    short = microseconds(recognize, _of_length(aside, 1_000), effort)
    long = microseconds(recognize, _of_length(aside, 2_000), effort)
    return name, round(right, 4), round(seconds, 1), round(size / 1_000), round(short, 1), round(1e6 / long)


def _of_length(pairs: Pairs, length: int) -> Sequence[str]:
    """Return prompts of some length: long ones cut, and where there are too few, several in one."""
    whole = "\n".join(prompt for prompt, _ in pairs)
    long = [prompt[:length] for prompt, _ in pairs if len(prompt) >= length][:100]
    return [*long, *(whole[at : at + length] for at in range(0, length * 50, length))]


def _ratio(ours: float, peer: float) -> float:
    return round(ours / peer, 2)


if __name__ == "__main__":
    sys.exit(main())
