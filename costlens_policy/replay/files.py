"""Replay or open files of traffic by the best way there is: in columns where Polars can, else row by row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from costlens_policy.compiler.plan import Plan
from costlens_policy.replay.difference import Difference, diff
from costlens_policy.replay.result import Result
from costlens_policy.replay.settings import Progress, Settings, Silent
from costlens_policy.replay.simulation import replay
from costlens_policy.replay.traffic.mapping import ColumnMapping
from costlens_policy.replay.traffic.model_columns import unknown_models, with_models
from costlens_policy.replay.traffic.places import STDIN
from costlens_policy.replay.traffic.reading import read_traffic
from costlens_policy.replay.traffic.recognition import with_requests
from costlens_policy.replay.traffic.row import StreamedTraffic, Traffic, TrafficError

__all__ = ["diff_files", "notes_on", "obstacle", "open_traffic", "replay_files"]

_WHOLE_ROWS: Final = ("prefix", "request.prompt", "request.messages", "request.prompt_tokens")
"""Fields that no batch holds."""
_SHOW_SIGNALS: Final = ("request.prompt", "request.messages", "request.signals")
_NOT_RESUMABLE: Final = (
    "this traffic is replayed row by row and cannot be resumed; resuming needs Polars, files instead of `-`, and token "
    "counts instead of texts, outcomes or prefixes"
)


def replay_files(
    plan: Plan,
    files: Sequence[str],
    mapping: ColumnMapping,
    settings: Settings,
    progress: Progress | None = None,
    checkpoint: Path | None = None,
) -> Result:
    """Replay files in time order.

    With Polars, traffic of counted tokens is replayed in columns and in bounded memory; ``checkpoint`` is then a file
    that is written during the replay, from which the same call continues after an interruption. Other traffic is read
    into memory and replayed row by row. Both give the same result. Raises ``TrafficError``.
    """
    shown = Silent() if progress is None else progress
    mapping = _completed(mapping, files, plan)
    by_rows, result = obstacle(plan, mapping, files), None
    if not by_rows:
        result, by_rows = _streamed(plan, files, mapping, settings, shown, checkpoint), _UNFIT
    if result is None and checkpoint is not None:
        raise TrafficError(_NOT_RESUMABLE)
    if result is None:
        result = _row_by_row(plan, files, mapping, settings, shown)
        result.by_rows = by_rows
    result.notes.extend(notes_on(plan, mapping))
    return result


@contextmanager
def open_traffic(
    plan: Plan, files: Sequence[str], mapping: ColumnMapping, settings: Settings, progress: Progress | None = None
) -> Iterator[Traffic | StreamedTraffic]:
    """Read files, and iterate over their rows in time order inside the block.

    With Polars, rows with token counts are on disk and not in memory. Raises ``TrafficError``.
    """
    shown = Silent() if progress is None else progress
    mapping = _completed(mapping, files, plan)
    with ExitStack() as stack:
        traffic: Traffic | StreamedTraffic | None = None
        if _in_columns(plan, mapping, files):
            from costlens_policy.replay.stream.layout import UnfitError  # needs Polars, which not everybody has
            from costlens_policy.replay.stream.reading import copied_traffic

            with suppress(UnfitError):
                copied = copied_traffic(files, mapping, plan, settings, _attributes(mapping), shown)
                traffic = stack.enter_context(copied)
        traffic = traffic or _read(plan, files, mapping, settings, shown)
        yield replace(traffic, notes=(*traffic.notes, *notes_on(plan, mapping)))


def _completed(mapping: ColumnMapping, files: Sequence[str], plan: Plan) -> ColumnMapping:
    """Return the mapping with the attributes that the files have, and the catalogue's own names of models."""
    return with_models(with_requests(mapping, files, plan.attributes), plan.catalogue.find)


def notes_on(plan: Plan, mapping: ColumnMapping) -> Iterator[str]:
    yield from _on_signals(plan, mapping)
    yield from _on_holds(plan)
    yield from unknown_models(mapping, plan.catalogue.find, plan.catalogue.suggest)


def diff_files(
    old: Plan,
    new: Plan,
    files: Sequence[str],
    mapping: ColumnMapping,
    settings: Settings,
    progress: Progress | None = None,
) -> Difference:
    """Replay files through two policy sets side by side, each with its own balances and caches.

    With Polars, traffic of counted tokens is compared in columns and in bounded memory, other traffic row by row. Both
    give the same result. Attributes are those that the new policy set declares. Raises ``TrafficError``.
    """
    shown = Silent() if progress is None else progress
    completed = _completed(mapping, files, new)
    by_rows = obstacle(new, completed, files) or obstacle(old, completed, files) or _unlike(old, new, completed)
    if not by_rows:
        found = _compared(old, new, files, completed, settings, shown)
        if found is not None:
            return replace(found, notes=(*found.notes, *notes_on(new, completed)))
        by_rows = _UNFIT
    with open_traffic(new, files, mapping, settings, shown) as traffic:
        shown.start("deciding", len(traffic.rows), "rows")
        found = diff(old, new, traffic, settings, mapping.block_tokens, lambda: shown.advance(1))
        return replace(found, by_rows=by_rows)


def _unlike(old: Plan, new: Plan, mapping: ColumnMapping) -> str:
    """Return why no batch can be the requests of both policy sets; empty if it can."""
    names = (*_attributes(mapping), "session")
    unlike = [name for name in names if old.attributes[name].type != new.attributes[name].type]
    return f"`request.{unlike[0]}` has different types in the two policy sets" if unlike else ""


def _compared(
    old: Plan, new: Plan, files: Sequence[str], mapping: ColumnMapping, settings: Settings, progress: Progress
) -> Difference | None:
    from costlens_policy.replay.columns.comparing import Comparing  # needs Polars, which not everybody has
    from costlens_policy.replay.columns.step import Job
    from costlens_policy.replay.stream.layout import UnfitError
    from costlens_policy.replay.stream.reading import Files
    from costlens_policy.replay.stream.run import walk

    names = tuple(files)
    jobs = [Job(plan, settings, _attributes(mapping), names) for plan in (old, new)]
    reading = Files(names, mapping, new, settings, jobs[1].attributes)
    try:
        comparing, notes = walk(reading, lambda: Comparing(*jobs), progress)
    except (UnfitError, OverflowError):
        return None
    return comparing.result(notes)


def _on_signals(plan: Plan, mapping: ColumnMapping) -> Iterator[str]:
    """Report that rules read signals of which the traffic shows nothing."""
    fields = {*mapping.columns, *mapping.constants}
    if fields.intersection(_SHOW_SIGNALS):
        return
    unknown = [name for name in sorted(plan.reads_signals) if f"request.signals.{name}" not in fields]
    if unknown:
        names = ", ".join(f"`signals.{name}`" for name in unknown)
        yield f"rules read {names}, and the traffic has no texts: each of them is absent, or has its default"


def _on_holds(plan: Plan) -> Iterator[str]:
    """Report from what budgets that hold a quantile know what calls have cost."""
    if plan.stages.quantiles:
        names = ", ".join(f"`{step.id}`" for step in plan.stages.quantiles)
        yield f"{names}: the quantile is that of the replayed calls so far, each of which is known at once"


def _read(plan: Plan, files: Sequence[str], mapping: ColumnMapping, settings: Settings, progress: Progress) -> Traffic:
    progress.start("reading", None, "rows")
    return read_traffic(files, mapping, plan, settings.start, lambda: progress.advance(1))


def _in_columns(plan: Plan, mapping: ColumnMapping, files: Sequence[str]) -> bool:
    """Return whether batches can hold what the mapping reads, and what its policy set remembers."""
    return not obstacle(plan, mapping, files)


def obstacle(plan: Plan, mapping: ColumnMapping, files: Sequence[str]) -> str:
    """Return why traffic has to be replayed row by row; empty where it can be in columns."""
    if find_spec("polars") is None:
        return "Polars is not installed"
    if STDIN in files:
        return "standard input can be read only once"
    if mapping.outcomes or mapping.answers:
        return "outcomes and answers are of single rows"
    names = [name for name in (*mapping.columns, *mapping.constants) if name in _WHOLE_ROWS]
    if names:
        return f"`{names[0]}` is read, of which batches know nothing"
    return next(_of_budgets(plan), "") or _of_attributes(plan, mapping)


def _of_budgets(plan: Plan) -> Iterator[str]:
    """Yield what budgets remember that only the balances of rows know."""
    for _, step in plan.budgets.values():
        if step.unit == "runs":
            yield f"`{step.id}` counts runs, each of them once"
        if step.recent:
            yield f"`{step.id}` depends on what was charged lately"
        if step.carry_over is not None:
            yield f"`{step.id}` carries over what earlier periods left"
        if step.reserved_from:
            yield f"`{step.id}` is reserved from `{step.reserved_from}`, as long as its calls go on"
    for step in plan.stages.quantiles:
        yield f"`{step.id}` holds a quantile of what calls have come to"


def _of_attributes(plan: Plan, mapping: ColumnMapping) -> str:
    from costlens_policy.replay.columns.batch import scalar_attributes  # needs Polars, which not everybody has

    for name in (*_attributes(mapping), "session"):
        if not scalar_attributes(plan, (name,)):
            return f"`request.{name}` is not declared as a text, a number or a boolean"
    return ""


_UNFIT: Final = "a row has values that batches cannot hold"


def _attributes(mapping: ColumnMapping) -> tuple[str, ...]:
    fields = dict.fromkeys((*mapping.columns, *mapping.constants))
    return tuple(name.removeprefix("request.") for name in fields if name.startswith("request."))


def _streamed(
    plan: Plan, files: Sequence[str], mapping: ColumnMapping, settings: Settings, progress: Progress, path: Path | None
) -> Result | None:
    from costlens_policy.replay.stream.layout import UnfitError
    from costlens_policy.replay.stream.run import Checkpoint, StreamedReplay, identity_of  # as above

    checkpoint = None if path is None else Checkpoint(path, identity_of(plan, mapping, settings, files))
    try:
        return StreamedReplay(plan, files, mapping, settings, _attributes(mapping), progress, checkpoint).run()
    except UnfitError:
        return None


def _row_by_row(
    plan: Plan, files: Sequence[str], mapping: ColumnMapping, settings: Settings, progress: Progress
) -> Result:
    traffic = _read(plan, files, mapping, settings, progress)
    progress.start("deciding", len(traffic.rows), "rows")
    return replay(plan, traffic, settings, mapping.block_tokens, lambda: progress.advance(1))
