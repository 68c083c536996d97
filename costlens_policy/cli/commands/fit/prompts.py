"""``fit --signal task`` on prompts with their tasks and no scores: the signal is learned, and no model chosen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from costlens_policy.cli.commands.fit.files import write_documents
from costlens_policy.cli.commands.fit.options import Reading, Wanted, command_line
from costlens_policy.cli.commands.fit.page import FORMATS, Page
from costlens_policy.cli.commands.fit.recorded import measured, settings_of
from costlens_policy.errors import InputError

if TYPE_CHECKING:
    from costlens_policy.fit.outcomes import UnscoredError

__all__ = ["learn", "refuse_unscored"]


def refuse_unscored(
    error: UnscoredError, files: Sequence[str], reading: Reading, wanted: Wanted, html: Path | None
) -> None:
    """Raise the error that files have no scores where something was asked for that needs them."""
    from costlens_policy.cli.traffic import fields_of, mapping_for
    from costlens_policy.fit.outcomes.mapping import BY_MODEL

    fields = {name.partition(".")[0] for name in (*fields_of(reading.columns), *fields_of(reading.constants))}
    scored = reading.mapping is not None and mapping_for(reading.mapping, (), {}, {}).outcomes
    of_scores = {"--models", "--model", "--prices", "--scale", *(["--mapping"] if scored else [])}
    if fields & {"scores", *BY_MODEL}:
        of_scores.add("--column")
    given = [option for option, _ in wanted.given() if option not in ("--signal", "--seed")]
    given += ["--html"] if html is not None else []
    given += [option for option, _ in reading.given() if option in of_scores]
    if given:
        raise InputError(f"{error}; to learn the signal from prompts alone, leave `{given[0]}` out") from None
    if any(name == "-" or Path(name).is_fifo() for name in files):
        raise InputError("prompts are read from files, not from standard input or a pipe; name a file")


def learn(
    files: Sequence[str], reading: Reading, wanted: Wanted, folder: Path | None, force: bool, output: str
) -> None:
    """Learn the signal of the task from prompts that nobody has scored, and choose no model."""
    from costlens_policy.cli.traffic import mapping_for
    from costlens_policy.fit.documents import Origin, signal_documents
    from costlens_policy.fit.learning import labeled_tasks, read_prompts, train
    from costlens_policy.fit.signal_summary import summary_of_signal

    mapping = None if reading.mapping is None else mapping_for(reading.mapping, (), {}, {})
    prompts = read_prompts(files, settings_of(reading), mapping)
    names = tuple(source.name for source in prompts.sources)
    day = measured(None, reading)
    signal = train(labeled_tasks(prompts.pairs, ", ".join(names)), str(day), wanted.seed)
    against = signal.held_out.verdict
    if folder is not None and not against:
        origin = Origin(names, signal.labeled.digest, day, command_line(files, reading, wanted))
        write_documents(signal_documents(signal.model, origin), folder, force)
    FORMATS.print(Page(None, summary_of_signal(signal, prompts.notes)), output)
    if folder is not None and against:
        raise InputError(f"nothing was written, since {against}")
