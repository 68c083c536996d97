"""Files of outcomes, and a catalogue that knows some of their models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from costlens_policy.catalogue import Catalogue, Model
from costlens_policy.fit.outcomes import Outcomes, OutcomeSettings, read_outcomes

FILES = Path(__file__).with_name("files")
Read = Callable[..., Outcomes]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Return a function that reads texts, each a file of the name given, as outcomes."""

    def read_texts(*texts: tuple[str, str | bytes], catalogue: Catalogue | None = None, **settings: Any) -> Outcomes:
        for name, text in texts:
            (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        names = [str(tmp_path / name) for name, _ in texts]
        return read_outcomes(names, OutcomeSettings(**settings), catalogue)

    return read_texts


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue.of(
        Model(name, provider, aliases=(*aliases, f"{provider}/{name}"))
        for name, provider, aliases in (
            ("gpt-5-mini", "openai", ()), ("claude-haiku-4-5", "anthropic", ("haiku",)), ("small", "p", ("tiny",)),
        )
    )  # fmt: skip
