"""``fit``: choose models by task from recorded outcomes, for a target, as a policy that is reviewed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from costlens_policy.cli.command import Command
from costlens_policy.cli.commands.fit.deployed import check_deployed
from costlens_policy.cli.commands.fit.files import note_earlier, write_documents
from costlens_policy.cli.commands.fit.options import Reading, Wanted, reading_options, target_of, target_options
from costlens_policy.cli.commands.fit.page import FORMATS, Page
from costlens_policy.cli.commands.fit.prompts import learn, refuse_unscored
from costlens_policy.cli.commands.fit.recorded import catalogue_of, listed, measured, notes_of, origin_of, parts, read
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.output import note, write_file
from costlens_policy.errors import InputError

if TYPE_CHECKING:
    from costlens_policy.fit.documents import Origin
    from costlens_policy.fit.measurements import Measurements
    from costlens_policy.fit.outcomes import Outcomes
    from costlens_policy.fit.told import Told

__all__ = ["command"]


@click.command(
    "fit",
    cls=Command,
    short_help="Choose models by task from recorded outcomes, for a target.",
    examples=[
        ("what can be saved with a loss of one point", "fit evals/answers.csv --prices policies/catalogue.yaml"),
        (
            "the same as a policy with its evidence and its tests",
            "fit evals/answers.csv --prices policies/catalogue.yaml --write policies/fitted",
        ),
        ("at most $500 a month for a million calls", "fit evals/*.jsonl --max-spend 500 --calls 1000000"),
        ("at most 30% of calls to the best model", "fit results.json --strong-share 0.3"),
        (
            "a table with a column for each model",
            "fit answers.csv --column task=kind --column score.gpt-5=large_ok --column score.gpt-5-nano=small_ok",
        ),
        (
            "the same for requests that do not name their task",
            "fit evals/answers.jsonl --signal task --write policies/fitted",
        ),
        (
            "only the signal, from prompts with their tasks and no scores",
            "fit --signal task prompts.jsonl --column task=kind --write signals",
        ),
        ("with the curve of cost against quality as a page", "fit evals/answers.csv --html fit.html"),
        ("whether a fit still holds, for CI", "fit evals/this_week.csv --check policies/measured"),
        ("scores of 1 to 5, reported on other cases", "fit ratings.csv --scale 1..5 --holdout last_week.csv"),
    ],
    exits=[ExitCode.INVALID, ExitCode.GATE],
)
@click.argument("files", metavar="OUTCOMES...", nargs=-1, required=True)
@reading_options
@target_options
@click.option(
    "--write", "folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False),
    help="Write a policy set with its policy, measured quality and suite into DIR.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Replace files in DIR that were edited after `fit` wrote them, too.")
@click.option(
    "--html", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
    help="Also write an HTML page with the curve of cost against quality.",
)  # fmt: skip
@click.option(
    "--check", "policies", metavar="PATH", type=click.Path(path_type=Path, exists=True),
    help="Compare OUTCOMES with the deployed policy set in PATH: whether its quality and savings still hold.",
)  # fmt: skip
@FORMATS.option
def command(
    files: tuple[str, ...], reading: Reading, wanted: Wanted, folder: Path | None, force: bool, html: Path | None,
    policies: Path | None, output: str,
) -> ExitCode:  # fmt: skip
    """Choose, for each task, the model that is good enough, by scores of models on recorded cases.

    OUTCOMES are files of scores: a table with a row for each case, or for each case and model, as CSV, JSON lines or
    Parquet, or results of promptfoo, lm-evaluation-harness, OpenAI evals or Inspect. Thresholds are chosen by
    cross-validation; what is reported, with 95% intervals, comes from cases that took no part in that, beside the best
    single model, the cheapest, a coin and an oracle. Where the data does not support a saving, that is the result.

    With --signal task, OUTCOMES may be prompts with their tasks and no scores, or recorded traffic by a --mapping: then
    only the signal is learned, reported on prompts that it has not seen, and written.

    With --check nothing is chosen: OUTCOMES, newer than the fit, are compared with what the policy set in PATH does and
    with the quality that its catalogue states. The exit code is 7 where either no longer holds.
    """
    if find_spec("numpy") is None:
        raise InputError("`numpy` is not installed; pip install 'costlens-policy[fit]'")
    if policies is not None:
        if folder is not None or html is not None or force:
            raise click.UsageError("`--check` writes nothing; leave `--write`, `--html` and `--force` out")
        return check_deployed(files, reading, wanted, policies, output)
    if html is not None and (find_spec("vl_convert") is None or find_spec("jinja2") is None):
        raise InputError(
            "`vl-convert-python` and `Jinja2` are needed for a page; pip install 'costlens-policy[report]'"
        )
    _fit(files, reading, wanted, folder, force, html, output)
    return ExitCode.OK


def _fit(
    files: tuple[str, ...], reading: Reading, wanted: Wanted, folder: Path | None, force: bool, html: Path | None,
    output: str,
) -> None:  # fmt: skip
    from costlens_policy.fit.fitting import fit
    from costlens_policy.fit.outcomes import UnscoredError
    from costlens_policy.fit.summary import summary_of
    from costlens_policy.fit.words import headline

    target, catalogue = target_of(wanted), catalogue_of(reading)
    try:
        outcomes = read(files, reading, catalogue)
    except UnscoredError as error:
        if wanted.signal != "task":
            raise
        refuse_unscored(error, files, reading, wanted, html)
        learn(files, reading, wanted, folder, force, output)
        return
    if outcomes.paired and len(outcomes.models) > 2:
        _show_strengths(outcomes, origin_of(files, outcomes, reading, wanted, folder or Path()), folder, force, output)
        return
    catalogue = listed(outcomes.models) if catalogue is None else catalogue
    inside, aside, notes = parts(outcomes, reading, wanted, catalogue)
    chosen_for, kept_aside, told = _told(outcomes, inside, aside, reading, wanted)
    more = [] if told is None else [f"signal: {text}" for text in told.signal.labeled.notes]
    fitted = fit(chosen_for, kept_aside, target, wanted.seed, told)
    if told is not None and told.edges and fitted.against_signal and set(inside.tasks) != {None}:
        by_task = fit(inside, aside, target, wanted.seed)
        if by_task.supported:
            notes.insert(0, f"the policy goes by the task, and is without the signal of difficulty: {headline(fitted)}")
            fitted = by_task
    summary = summary_of(fitted, [*notes_of(outcomes), *notes, *more])
    if html is not None:
        from costlens_policy.fit.html import page_of_fit

        write_file(html, page_of_fit(fitted, summary).encode())
        note(f"wrote `{html}`")
    if folder is not None:
        from costlens_policy.fit.documents import documents_of

        documents = documents_of(fitted, catalogue, origin_of(files, outcomes, reading, wanted, folder))
        write_documents(documents, folder, force)
        note_earlier(documents, folder)
    FORMATS.print(Page(fitted, summary), output)  # at the end: who reads it may stop after a line


def _told(
    outcomes: Outcomes, inside: Measurements, aside: Measurements, reading: Reading, wanted: Wanted
) -> tuple[Measurements, Measurements, Told | None]:
    """Return the signal that was asked for, and the cases: by bands where it is a difficulty."""
    if wanted.signal is None:
        return inside, aside, None
    from costlens_policy.fit.told import by_difficulty, told_of

    source = ", ".join(item.name for item in outcomes.sources)
    day = str(measured(outcomes.measured, reading))
    if wanted.signal == "difficulty":
        return by_difficulty(inside, aside, source, day, wanted.seed)
    return inside, aside, told_of(inside, aside, source, day, wanted.seed)


def _show_strengths(outcomes: Outcomes, origin: Origin, folder: Path | None, force: bool, output: str) -> None:
    """Print what pairwise preferences show of several models, and write it as measured quality."""
    from costlens_policy.fit.documents import quality_of
    from costlens_policy.fit.preferred import estimates_of, summary_of_strengths
    from costlens_policy.fit.strengths import strengths

    found = strengths(outcomes)
    if folder is not None:
        estimates = estimates_of(found)
        if not estimates:
            raise InputError("no model has a quality to write; comparisons need a task, such as `--set task=chat`")
        description = f"Shares of wins by task, from {len(outcomes.cases):,} comparisons, with 95% intervals."
        write_documents({"quality.yaml": quality_of(estimates, description, origin)}, folder, force)
    FORMATS.print(Page(None, summary_of_strengths(found, [*notes_of(outcomes)])), output)
