"""What signals cost: each kind on a prompt of 1,000 characters, and prompts of 2 kB a second, decided and replayed.

Run ``python -m benchmarks.signals [--quick] [--json]``. The learned model knows 20 labels by 1,000 words each.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final

from benchmarks.section import Section, run_section
from costlens_policy import Engine, load
from costlens_policy.replay import ColumnMapping, Settings, replay_files
from costlens_policy.signals import Signal
from costlens_policy.signals.given import Learned
from costlens_policy.signals.languages import LANGUAGES, Language
from costlens_policy.signals.learned import LearnedModel, Training, written
from costlens_policy.signals.likeness import Likeness, Nearest
from costlens_policy.signals.measures import Length, Share
from costlens_policy.signals.signal import Kind
from costlens_policy.signals.terms import Labels, Score, Term

__all__ = ["main", "measure"]

_COLUMNS: Final = ("what", "figure", "unit")
_HEAD: Final = 'apiVersion: costlens-policy/v1\nkind: {}\nmetadata: {{name: {}, version: "1"}}\n'
_WORDS: Final = [f"{start}{middle}{end}"
                 for start in ("re", "con", "pre", "ex", "in", "de", "sub", "trans", "over", "un")
                 for middle in ("form", "port", "act", "tract", "mit", "ver", "duc", "scrib", "spect", "pos")
                 for end in ("", "s", "ed", "ing", "ion", "able", "er", "ive", "or", "al")]  # fmt: skip
_LABELS: Final = tuple(f"label-{n}" for n in range(20))
_MAPPING: Final = ColumnMapping(
    "made",
    {
        "time": "time", "model": "model", "request.prompt": "prompt", "request.prompt_tokens": "prompt_tokens",
        "prompt_tokens": "prompt_tokens", "output_tokens": "output_tokens",
    },
)  # fmt: skip
_LOOK_UP: Final = (Term(tuple(_WORDS[:200]), "", 1.0), Term((), r"(?m)^\s*def \w+\(", 2.0))


def main() -> int:
    return run_section("signals", measure, sys.argv[1:])


def measure(*, quick: bool = False) -> Section:
    """Return microseconds of CPU by kind, and decisions and replayed rows a second, on one core."""
    rounds = 200 if quick else 2_000
    short = _prompts(1_000, 50)
    signals = ((name, Signal("s", kind, "last_user_message", 20_000, 0.0, None)) for name, kind in _kinds())
    rows = [(name, _each(signal, short, rounds), "µs for 1,000 chars") for name, signal in signals]
    with tempfile.TemporaryDirectory() as folder:
        rows += _decided(Path(folder), quick=quick)
    return Section("signals", "What signals cost (CPU of one core)", _COLUMNS, tuple(rows))


def _kinds() -> Iterator[tuple[str, Kind]]:
    examples = tuple(_prompts(100, 20))
    model = _model()
    yield "labels: 400 words, 2 patterns", Labels({"a": _LOOK_UP, "b": _LOOK_UP})
    yield "score: 200 words, 1 pattern", Score(_LOOK_UP)
    yield "length in words", Length("words")
    yield "share of code", Share("code")
    yield "share of questions", Share("questions")
    yield f"language: {len(LANGUAGES)}", Language(LANGUAGES)
    yield "likeness: 20 examples", Likeness(examples)
    yield "nearest: 20 examples", Nearest({"a": examples[:10], "b": examples[10:]})
    yield "learned: 20 labels", Learned(written(model), model.labels, None)


def _model() -> LearnedModel:
    chance = random.Random(1)
    weights = {label: {"words": {word: chance.randint(-900, 900) or 1 for word in _WORDS}} for label in _LABELS}
    training = Training("2026-01-01", "made", 1, "0" * 64, dict.fromkeys(_LABELS, 100), {})
    return LearnedModel("task", _LABELS, (0,) * len(_LABELS), weights, training)


def _prompts(length: int, number: int) -> list[str]:
    """Return prompts of sentences and lines; no two are the same."""
    chance = random.Random(length)
    return [
        "".join(chance.choice(_WORDS) + chance.choice((" ", " ", " ", ", ", ". ", "?\n")) for _ in range(length))[
            :length
        ]
        for _ in range(number)
    ]


def _each(signal: Signal, prompts: list[str], rounds: int) -> float:
    for prompt in prompts:
        signal.weigh(prompt)
    start = time.process_time()
    for n in range(rounds):
        signal.weigh(prompts[n % len(prompts)])
    return round((time.process_time() - start) / rounds * 1e6, 1)


def _decided(folder: Path, *, quick: bool) -> list[tuple[str, float, str]]:
    prompts = _prompts(2_000, 1_000 if quick else 10_000)
    read, unread = _engine(folder / "read", "signals.?task"), _engine(folder / "unread", "request.?task")
    rows = [
        (name, _in_a_second(engine, prompts), "decisions a second, 2 kB")
        for name, engine in (("a rule reads a learned signal", read), ("no rule reads it", unread))
    ]
    traffic = folder / "traffic.jsonl"
    with traffic.open("w", encoding="utf-8") as file:
        for n, prompt in enumerate(prompts):
            row = {"time": f"2026-01-01T{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}Z", "prompt": prompt}
            file.write(json.dumps(row | {"prompt_tokens": 400, "output_tokens": 50, "model": "mini"}) + "\n")
    start = time.process_time()
    replay_files(read.plan, [str(traffic)], _MAPPING, Settings())
    rows.append(("replayed", _rate(len(prompts), time.process_time() - start), "rows a second, 2 kB"))
    return rows


def _in_a_second(engine: Engine, prompts: list[str]) -> float:
    requests: list[dict[str, object]] = [{"prompt": prompt, "prompt_tokens": 400} for prompt in prompts]
    engine.decide(requests[0])
    start = time.process_time()
    for request in requests:
        engine.decide(request)
    return _rate(len(requests), time.process_time() - start)


def _rate(number: int, seconds: float) -> float:
    return round(number / seconds)


def _engine(folder: Path, reads: str) -> Engine:
    model = written(_model())
    folder.mkdir()
    files: dict[str, str] = {
        "task.json": model,
        "set.yaml": _HEAD.format("PolicySet", "company")
        + "policies: [policy.yaml]\ncatalogues: [catalogue.yaml]\nsignals: [signals.yaml]\n"
        + "defaults: {access: allow, route: {model: mini}, max_output_tokens: 100}\n",
        "signals.yaml": _HEAD.format("Signals", "prompts")
        + "signals:\n  task: {learned: {model: task.json, "
        + f'digest: "sha256:{sha256(model.encode()).hexdigest()}"}}}}\n',
        "policy.yaml": _HEAD.format("Policy", "policy")
        + f'routes:\n  - {{id: a, when: \'{reads}.orValue("") == "label-1"\', model: mini}}\n',
        "catalogue.yaml": _HEAD.format("Catalogue", "models")
        + "models:\n  mini: {prices: [{usd_per_million_tokens: {input: 1, output: 4}}]}\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return load(folder, cache=False)


if __name__ == "__main__":
    sys.exit(main())
