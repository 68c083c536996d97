"""``fit --check``: whether what is deployed still holds, by newer outcomes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from costlens_policy.cli.commands.fit.options import MAX_LOSS, Reading, Wanted
from costlens_policy.cli.commands.fit.page import FORMATS, Page
from costlens_policy.cli.commands.fit.recorded import assumed_of, day_of, notes_of, read
from costlens_policy.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from costlens_policy.checker.bundle import LinkedBundle
    from costlens_policy.fit.outcomes import Case

__all__ = ["check_deployed"]


def check_deployed(files: tuple[str, ...], reading: Reading, wanted: Wanted, policies: Path, output: str) -> ExitCode:
    """Print whether deployed policies still hold. Returns ``GATE`` where they do not."""
    from costlens_policy.api import load
    from costlens_policy.checker import check
    from costlens_policy.documents.policy import FIT_DATA
    from costlens_policy.fit.drift import compare
    from costlens_policy.fit.summary import summary_of_drift

    for option, _ in wanted.given():
        if option != "--max-loss":
            raise click.UsageError(f"`--check` chooses nothing; leave `{option}` out")
    linked, engine = check(policies).linked, load(policies)
    outcomes = read(files, reading, linked.catalogue)
    now = datetime.combine(day_of(reading), time(12), UTC)

    def decide(case: Case) -> str | None:
        """Return the model that serves a case; raises ``RequestError`` where the policy set asks for more."""
        request = {"task": case.task, "prompt": case.prompt, "prompt_tokens": case.input_tokens}
        return engine.decide({name: value for name, value in request.items() if value is not None}, now=now).model

    drift = compare(outcomes, linked.catalogue, decide, _max_loss(wanted, linked), assumed_of(reading))
    notes = [*notes_of(outcomes), *drift.notes]
    if f"sha256:{outcomes.digest}" in _labels(linked, FIT_DATA):
        notes.insert(0, "these are the outcomes that the policies were fitted to, and no news of them")
    FORMATS.print(Page(None, summary_of_drift(drift, str(policies), notes)), output)
    return ExitCode.OK if drift.holds else ExitCode.GATE


def _max_loss(wanted: Wanted, linked: LinkedBundle) -> float:
    """Return the loss that is asked for, else the one that the policies were fitted to, else the usual one."""
    from costlens_policy.fit.documents import MAX_LOSS_LABEL

    if wanted.max_loss is not None:
        return wanted.max_loss
    return next(map(float, _labels(linked, MAX_LOSS_LABEL)), MAX_LOSS)


def _labels(linked: LinkedBundle, label: str) -> Iterator[str]:
    """Yield what policies have as a label."""
    for policy in linked.policies:
        if label in policy.document.metadata.labels:
            yield policy.document.metadata.labels[label]
