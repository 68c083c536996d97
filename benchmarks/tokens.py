"""How far token counts are off: the built-in estimate and characters divided by four, against o200k.

Run ``python -m benchmarks.tokens``. It needs the extra ``tokenizer``. Kinds whose data is not there are left out.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import inspect
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import click

from benchmarks.token_texts import TEXTS
from costlens_policy.tokens import ESTIMATE, BpeOpenai, Tokenizer

__all__ = ["main", "samples"]

Samples: TypeAlias = dict[str, list[str]]
"""Texts by kind."""

_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def samples() -> Samples:
    """Return the texts to measure on: of the project, of the standard library, and real ones where they are there."""
    kinds = {kind: [text] for kind, text in TEXTS.items()}
    kinds["Python"] = [inspect.getsource(module) for module in (json.decoder, csv, inspect, base64)]
    kinds |= _made()
    for kind, read in _FILES.items():
        if (_DATA / kind).is_file():
            kinds[kind] = list(read(_DATA / kind))
    return kinds


def _made() -> Samples:
    noise = b"".join(hashlib.sha256(bytes([number])).digest() for number in range(60))
    record = {
        "id": 17,
        "name": "Ada",
        "tags": ["a", "b"],
        "price": {"input": 0.05, "output": 0.4},
        "active": True,
        "note": None,
    }
    return {
        "JSON, compact": [json.dumps([record] * 20, separators=(",", ":"))],
        "JSON": [json.dumps([record] * 20)],
        "JSON, indented": [json.dumps([record] * 20, indent=2)],
        "base64": [base64.b64encode(noise).decode()],
        "hexadecimal": [noise.hex()],
        "numbers": [" ".join(str(int.from_bytes(noise[at : at + 3])) for at in range(0, 900, 3))],
    }


def _prompts(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from (row["prompt"] for row in csv.DictReader(file))


def _usages(path: Path) -> Iterator[str]:
    yield from (json.dumps(usage) for usage in json.loads(path.read_text(encoding="utf-8")))


def _whole(path: Path) -> Iterator[str]:
    yield path.read_text(encoding="utf-8")


_FILES: dict[str, Callable[[Path], Iterator[str]]] = {
    "routellm/gsm8k_responses.csv": _prompts,
    "routellm/mmlu_dev_half.csv": _prompts,
    "provider_usage/usages_even.json": _usages,
    "azure_llm_2023/AzureLLMInferenceTrace_code.csv": _whole,
}


@click.command()
def main() -> None:
    """Print the error of each kind of text, and the time that 100 characters take."""
    real = BpeOpenai()
    kinds = samples()
    click.echo(f"{'kind':<48}{'characters':>12}{'o200k':>10}{'estimate':>10}{'chars/4':>10}")
    for kind, texts in kinds.items():
        characters = sum(map(len, texts))
        tokens = sum(map(real.count, texts))
        estimated = sum(map(ESTIMATE.count, texts))
        errors = f"{estimated / tokens - 1:>+10.1%}{characters / 4 / tokens - 1:>+10.1%}"
        click.echo(f"{kind:<48}{characters:>12,}{tokens:>10,}{errors}")
    everything = [text for texts in kinds.values() for text in texts]
    for tokenizer in (ESTIMATE, real):
        click.echo(f"{tokenizer.name}: {_speed(tokenizer, everything):.2f} µs for 100 characters")


def _speed(tokenizer: Tokenizer, texts: list[str]) -> float:
    start = time.perf_counter()
    for text in texts:
        tokenizer.count(text)
    return (time.perf_counter() - start) * 1e6 / (sum(map(len, texts)) / 100)


if __name__ == "__main__":
    main()
