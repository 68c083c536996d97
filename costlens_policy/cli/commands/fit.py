"""``fit``: choose models by task from recorded outcomes, for a target, as a policy that is reviewed."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from costlens_policy.cli.command import Command
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.fitted_files import PROGRAM, note_earlier, referable, write_documents
from costlens_policy.cli.formats import Formats
from costlens_policy.cli.options import Day, Number, gathered
from costlens_policy.cli.output import note, write_file
from costlens_policy.clock import system_now
from costlens_policy.errors import InputError
from costlens_policy.frozen import frozen

if TYPE_CHECKING:
    from rich.table import Table

    from costlens_policy.catalogue import Catalogue
    from costlens_policy.checker.bundle import LinkedBundle
    from costlens_policy.fit.documents import Origin
    from costlens_policy.fit.fitting import Fitted
    from costlens_policy.fit.measurements import Assumed, Measurements
    from costlens_policy.fit.outcomes import Case, Outcomes, OutcomeSettings, UnscoredError
    from costlens_policy.fit.target import Target
    from costlens_policy.fit.told import Told
    from costlens_policy.replay.tables import Summary

__all__ = ["command"]

_FORMATS: Final = Formats(
    text="costlens_policy.cli.commands.fit:as_text",
    json="costlens_policy.cli.commands.fit:as_json",
    markdown="costlens_policy.cli.commands.fit:as_markdown",
)
_SHARE: Final = "0.2"
_REFUSE: Final = "refuse"
_OUTPUT_TOKENS: Final = 200
_MAX_LOSS: Final = 0.01


@frozen
class _Reading:
    """How outcomes are read, word for word."""

    mapping: str | None
    columns: tuple[str, ...]
    constants: tuple[str, ...]
    only: tuple[str, ...]
    named: tuple[str, ...]
    models: tuple[str, ...]
    scale: str | None
    conflicts: str
    drop: tuple[str, ...]
    prices: tuple[Path, ...]
    day: date | None
    output_tokens: int


_reading_options = gathered(
    "reading",
    _Reading,
    (
        click.option(
            "--mapping", metavar="NAME|FILE",
            help="A mapping of `replay`, whose `outcomes` are columns of scores by model.",
        ),
        click.option(
            "--column", "columns", multiple=True, metavar="FIELD=COLUMN",
            help="Read a field from a column, such as task=kind or score.gpt-5=correct.",
        ),
        click.option(
            "--set", "constants", multiple=True, metavar="FIELD=VALUE",
            help="Set a field that has no column, such as task=chat.",
        ),
        click.option(
            "--only", multiple=True, metavar="COLUMN=VALUE",
            help="Read only rows with this value in a column, such as split=test.",
        ),
        click.option(
            "--model", "named", multiple=True, metavar="NAME=MODEL",
            help="Which model of the catalogue a name in the files means.",
        ),
        click.option(
            "--models", multiple=True, metavar="MODEL",
            help="Compare only these models; may be repeated. Default: all that were measured.",
        ),
        click.option(
            "--scale", metavar="LOW..HIGH|thumbs", help="What scores lie between, if not 0 and 1, such as 0..100.",
        ),
        click.option(
            "--conflicts", type=click.Choice([_REFUSE, "mean", "drop"]), default=_REFUSE, show_default=True,
            metavar="refuse|mean|drop", help="What to do with different scores of one model on one case.",
        ),
        click.option(
            "--drop", multiple=True, metavar="FILE", help="Leave out the prompts of a file, such as a known test set.",
        ),
        click.option(
            "--prices", multiple=True, type=click.Path(path_type=Path), metavar="PATH",
            help="A policy set, or catalogues, with models and prices. Default: the installed price list.",
        ),
        click.option(
            "--on", "day", metavar="DAY", type=Day(),
            help="Day of the prices, and of scores that no `time` dates. Default: today.",
        ),
        click.option(
            "--output-tokens", type=click.IntRange(min=0), default=_OUTPUT_TOKENS, show_default=True, metavar="N",
            help="Tokens of an answer whose length is not recorded.",
        ),
    ),
)  # fmt: skip


@frozen
class _Wanted:
    """What is asked of the choice, word for word."""

    max_loss: float | None
    max_spend: float | None
    calls: int | None
    strong_share: float | None
    holdout: str
    signal: str | None
    seed: int


_target_options = gathered(
    "wanted",
    _Wanted,
    (
        click.option(
            "--max-loss", type=Number(0, 1), metavar="SCORE",
            help=f"Spend as little as possible, but lose at most this much score to the best single model. Default, "
            f"without another target: {_MAX_LOSS}, one point.",
        ),
        click.option(
            "--max-spend", type=Number(min=0, min_open=True), metavar="USD",
            help="Score as much as possible, but spend at most this for --calls.",
        ),
        click.option(
            "--calls", type=click.IntRange(min=1), metavar="N",
            help="How many calls --max-spend is for, such as those of a month.",
        ),
        click.option(
            "--strong-share", type=Number(0, 1), metavar="SHARE",
            help="Score as much as possible, but send at most this share of calls to the best single model.",
        ),
        click.option(
            "--holdout", default=_SHARE, show_default=True, metavar="SHARE|FILE",
            help="Keep this share of the cases aside to report on, or report on the outcomes in a FILE.",
        ),
        click.option(
            "--signal", type=click.Choice(["task", "difficulty"]), metavar="task|difficulty",
            help="Learn a signal from the prompts: the task of a request which names none, or how much better the best "
            "model is likely to answer than the cheapest, by which the policy then chooses.",
        ),
        click.option(
            "--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N",
            help="Decides which cases are kept aside, and the folds. The same seed gives the same result.",
        ),
    ),
)  # fmt: skip


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
@_reading_options
@_target_options
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
@_FORMATS.option
def command(
    files: tuple[str, ...], reading: _Reading, wanted: _Wanted, folder: Path | None, force: bool, html: Path | None,
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
        for option, given in (
            ("--max-spend", wanted.max_spend is not None), ("--calls", wanted.calls is not None),
            ("--strong-share", wanted.strong_share is not None), ("--holdout", wanted.holdout != _SHARE),
            ("--signal", wanted.signal is not None), ("--seed", wanted.seed != 0),
        ):  # fmt: skip
            if given:
                raise click.UsageError(f"`--check` chooses nothing; leave `{option}` out")
        return _check(files, reading, wanted, policies, output)
    if html is not None and (find_spec("vl_convert") is None or find_spec("jinja2") is None):
        raise InputError(
            "`vl-convert-python` and `Jinja2` are needed for a page; pip install 'costlens-policy[report]'"
        )
    _fit(files, reading, wanted, folder, force, html, output)
    return ExitCode.OK


def _fit(
    files: tuple[str, ...], reading: _Reading, wanted: _Wanted, folder: Path | None, force: bool, html: Path | None,
    output: str,
) -> None:  # fmt: skip
    from costlens_policy.fit.fitting import fit
    from costlens_policy.fit.outcomes import UnscoredError
    from costlens_policy.fit.summary import summary_of
    from costlens_policy.fit.words import headline

    target, catalogue = _target(wanted), _catalogue(reading)
    try:
        outcomes = _read(files, reading, catalogue)
    except UnscoredError as error:
        if wanted.signal != "task":
            raise
        _refuse_unscored(error, files, reading, wanted, html)
        _learn(files, reading, wanted, folder, force, output)
        return
    if outcomes.paired and len(outcomes.models) > 2:
        _show_strengths(outcomes, _origin(files, outcomes, reading, wanted, folder or Path()), folder, force, output)
        return
    catalogue = _listed(outcomes.models) if catalogue is None else catalogue
    inside, aside, notes = _parts(outcomes, reading, wanted, catalogue)
    chosen_for, kept_aside, told = _told(outcomes, inside, aside, reading, wanted)
    more = [] if told is None else [f"signal: {text}" for text in told.signal.labeled.notes]
    fitted = fit(chosen_for, kept_aside, target, wanted.seed, told)
    if told is not None and told.edges and fitted.against_signal and set(inside.tasks) != {None}:
        by_task = fit(inside, aside, target, wanted.seed)
        if by_task.supported:
            notes.insert(0, f"the policy goes by the task, and is without the signal of difficulty: {headline(fitted)}")
            fitted = by_task
    summary = summary_of(fitted, [*_notes(outcomes), *notes, *more])
    if html is not None:
        from costlens_policy.fit.html import page_of_fit

        write_file(html, page_of_fit(fitted, summary).encode())
        note(f"wrote `{html}`")
    if folder is not None:
        from costlens_policy.fit.documents import documents_of

        documents = documents_of(fitted, catalogue, _origin(files, outcomes, reading, wanted, folder))
        write_documents(documents, folder, force)
        note_earlier(documents, folder)
    _FORMATS.print(_Page(fitted, summary), output)  # at the end: who reads it may stop after a line


def _refuse_unscored(
    error: UnscoredError, files: Sequence[str], reading: _Reading, wanted: _Wanted, html: Path | None
) -> None:
    """Raise the error that files have no scores where something was asked for that needs them."""
    from costlens_policy.cli.traffic import fields_of, mapping_for
    from costlens_policy.fit.outcomes.mapping import BY_MODEL

    fields = {name.partition(".")[0] for name in (*fields_of(reading.columns), *fields_of(reading.constants))}
    scored = reading.mapping is not None and mapping_for(reading.mapping, (), {}, {}).outcomes
    for option, given in (
        ("--max-loss", wanted.max_loss is not None), ("--max-spend", wanted.max_spend is not None),
        ("--strong-share", wanted.strong_share is not None), ("--holdout", wanted.holdout != _SHARE),
        ("--html", html is not None), ("--models", reading.models), ("--model", reading.named),
        ("--prices", reading.prices), ("--scale", reading.scale), ("--column", fields & {"scores", *BY_MODEL}),
        ("--mapping", scored),
    ):  # fmt: skip
        if given:
            raise InputError(f"{error}; to learn the signal from prompts alone, leave `{option}` out") from None
    if any(name == "-" or Path(name).is_fifo() for name in files):
        raise InputError("prompts are read from files, not from standard input or a pipe; name a file")


def _learn(
    files: Sequence[str], reading: _Reading, wanted: _Wanted, folder: Path | None, force: bool, output: str
) -> None:
    """Learn the signal of the task from prompts that nobody has scored, and choose no model."""
    from costlens_policy.cli.traffic import mapping_for
    from costlens_policy.fit.documents import Origin, signal_documents
    from costlens_policy.fit.learning import labeled_tasks, read_prompts, train
    from costlens_policy.fit.signal_summary import summary_of_signal

    mapping = None if reading.mapping is None else mapping_for(reading.mapping, (), {}, {})
    prompts = read_prompts(files, _settings(reading), mapping)
    names = tuple(source.name for source in prompts.sources)
    day = _measured(None, reading)
    signal = train(labeled_tasks(prompts.pairs, ", ".join(names)), str(day), wanted.seed)
    against = signal.held_out.verdict
    if folder is not None and not against:
        origin = Origin(names, signal.labeled.digest, day, _command(files, reading, wanted))
        write_documents(signal_documents(signal.model, origin), folder, force)
    _FORMATS.print(_Page(None, summary_of_signal(signal, prompts.notes)), output)
    if folder is not None and against:
        raise InputError(f"nothing was written, since {against}")


def _told(
    outcomes: Outcomes, inside: Measurements, aside: Measurements, reading: _Reading, wanted: _Wanted
) -> tuple[Measurements, Measurements, Told | None]:
    """Return the signal that was asked for, and the cases: by bands where it is a difficulty."""
    if wanted.signal is None:
        return inside, aside, None
    from costlens_policy.fit.told import by_difficulty, told_of

    source = ", ".join(item.name for item in outcomes.sources)
    day = str(_measured(outcomes.measured, reading))
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
    _FORMATS.print(_Page(None, summary_of_strengths(found, [*_notes(outcomes)])), output)


def _check(files: tuple[str, ...], reading: _Reading, wanted: _Wanted, policies: Path, output: str) -> ExitCode:
    """Print whether deployed policies still hold. Returns ``GATE`` where they do not."""
    from costlens_policy.api import load
    from costlens_policy.checker import check
    from costlens_policy.documents.policy import FIT_DATA
    from costlens_policy.fit.drift import compare
    from costlens_policy.fit.summary import summary_of_drift

    linked, engine = check(policies).linked, load(policies)
    outcomes = _read(files, reading, linked.catalogue)
    now = datetime.combine(_day(reading), time(12), UTC)

    def decide(case: Case) -> str | None:
        """Return the model that serves a case; raises ``RequestError`` where the policy set asks for more."""
        request = {"task": case.task, "prompt": case.prompt, "prompt_tokens": case.input_tokens}
        return engine.decide({name: value for name, value in request.items() if value is not None}, now=now).model

    drift = compare(outcomes, linked.catalogue, decide, _max_loss(wanted, linked), _assumed(reading))
    notes = [*_notes(outcomes), *drift.notes]
    if f"sha256:{outcomes.digest}" in _labels(linked, FIT_DATA):
        notes.insert(0, "these are the outcomes that the policies were fitted to, and no news of them")
    _FORMATS.print(_Page(None, summary_of_drift(drift, str(policies), notes)), output)
    return ExitCode.OK if drift.holds else ExitCode.GATE


def _max_loss(wanted: _Wanted, linked: LinkedBundle) -> float:
    """Return the loss that is asked for, else the one that the policies were fitted to, else the usual one."""
    from costlens_policy.fit.documents import MAX_LOSS_LABEL

    if wanted.max_loss is not None:
        return wanted.max_loss
    return next(map(float, _labels(linked, MAX_LOSS_LABEL)), _MAX_LOSS)


def _labels(linked: LinkedBundle, label: str) -> Iterator[str]:
    """Yield what policies have as a label."""
    for policy in linked.policies:
        if label in policy.document.metadata.labels:
            yield policy.document.metadata.labels[label]


@frozen(eq=False)
class _Page:
    """What is printed, and the fit that a chart is drawn of."""

    fitted: Fitted | None
    summary: Summary


def as_text(page: _Page) -> Iterator[str | Table]:
    """Yield a fit for the terminal, with its curve under the finding."""
    from costlens_policy.cli.formats import summary_text
    from costlens_policy.fit.summary import curve_chart

    first, *rest = summary_text(page.summary)
    yield from (first, *([] if page.fitted is None else [curve_chart(page.fitted)]), *rest)


def as_json(page: _Page) -> str:
    from costlens_policy.replay.tables import as_json

    return as_json(page.summary)


def as_markdown(page: _Page) -> str:
    from costlens_policy.replay.tables import markdown

    return markdown(page.summary)


def _target(wanted: _Wanted) -> Target:
    from costlens_policy.fit.target import Target

    if (wanted.max_spend is None) != (wanted.calls is None):
        raise click.UsageError("`--max-spend` and `--calls` go together: an amount, and how many calls it is for")
    max_loss = wanted.max_loss
    if max_loss is None and wanted.max_spend is None and wanted.strong_share is None:
        max_loss = _MAX_LOSS
    max_cost = None if wanted.max_spend is None or wanted.calls is None else wanted.max_spend / wanted.calls
    return Target(max_loss, max_cost, wanted.strong_share)


def _catalogue(reading: _Reading) -> Catalogue | None:
    """Return the catalogue with the prices, or None for the installed price list."""
    from costlens_policy.cli.sources import load_models

    return load_models(reading.prices) if reading.prices else None


def _listed(names: Sequence[str]) -> Catalogue:
    """Return the models of the installed price list that these names mean, under these names."""
    from dataclasses import replace

    from costlens_policy.catalogue import Catalogue
    from costlens_policy.catalogue.price_list import listed_model, meant_by

    meant = {name: meant_by(name) for name in names}
    return Catalogue.of(
        replace(listed_model(full), name=name, aliases=()) for name, full in meant.items() if full is not None
    )


def _settings(reading: _Reading) -> OutcomeSettings:
    from costlens_policy.cli.traffic import fields_of, mapping_for
    from costlens_policy.fit.outcomes import OutcomeSettings, Scale
    from costlens_policy.fit.outcomes.mapping import fields_by_name

    settings = OutcomeSettings(
        columns=fields_by_name(fields_of(reading.columns)),
        constants=fields_by_name(fields_of(reading.constants)),
        only=fields_of(reading.only),
        scale=Scale() if reading.scale is None else Scale.parse(reading.scale),
        models=fields_of(reading.named),
        conflicts=reading.conflicts,  # type: ignore[arg-type]  # click has checked it
        drop=reading.drop,
    )
    return settings if reading.mapping is None else settings.with_mapping(mapping_for(reading.mapping, (), {}, {}))


def _read(files: Sequence[str], reading: _Reading, catalogue: Catalogue | None) -> Outcomes:
    """Read outcomes, of some models where these are named. Raises ``OutcomesError``."""
    from costlens_policy.fit.measurements import of_models
    from costlens_policy.fit.outcomes import read_outcomes

    return of_models(read_outcomes(files, _settings(reading), catalogue), reading.models)


def _parts(
    outcomes: Outcomes, reading: _Reading, wanted: _Wanted, catalogue: Catalogue
) -> tuple[Measurements, Measurements, list[str]]:
    """Return what is fitted to, what is reported on, and what a reader should know of the latter."""
    from costlens_policy.fit.fitting import parts_of
    from costlens_policy.fit.measurements import alike, gather

    assumed, share = _assumed(reading), _share(wanted.holdout)
    measurements = gather(outcomes, catalogue, assumed)
    if share is not None:
        return *parts_of(measurements, share, wanted.seed), []
    other = _read([wanted.holdout], reading, catalogue).apart_from(outcomes)
    inside, aside = alike(measurements, gather(other, catalogue, assumed))
    return inside, aside, [f"kept aside: {text}" for text in (*_notes(other), *aside.notes)]


def _assumed(reading: _Reading) -> Assumed:
    from costlens_policy.fit.measurements import Assumed

    return Assumed(reading.output_tokens, _day(reading))


def _share(text: str) -> float | None:
    """Return the share to keep aside, or None where the text names a file. Raises ``click.BadParameter``."""
    try:
        share = float(text)
    except ValueError:
        return None
    if not 0 < share < 1:
        raise click.BadParameter(
            f"a share must be more than 0 and less than 1, got `{text}`; write it as --holdout 0.2"
        )
    return share


def _day(reading: _Reading) -> date:
    return reading.day or _today()


def _today() -> date:
    return system_now().astimezone(UTC).date()


def _measured(newest: date | None, reading: _Reading) -> date:
    """Return the day of the scores: the newest that a file gives, else that of the prices, unless it has not come.

    Raises ``InputError`` where scores are of the future; a day that has begun elsewhere counts as today.
    """
    today = _today()
    if newest is not None and newest > today + timedelta(days=1):
        raise InputError(
            f"scores must not be of the future, got the day `{newest}`; correct `time`, or map another column"
        )
    return min(newest or _day(reading), today)


def _notes(outcomes: Outcomes) -> Iterator[str]:
    """Yield what became of the rows that were read."""
    yield f"{outcomes.notes.rows:,} rows gave {outcomes.notes.scores:,} scores of {len(outcomes.cases):,} cases"
    yield from (f"dropped: {tally}" for tally in outcomes.notes.dropped)
    yield from (f"not joined: {tally}" for tally in outcomes.notes.unjoined)
    yield from map(str, outcomes.notes.remarks)


def _origin(files: Sequence[str], outcomes: Outcomes, reading: _Reading, wanted: _Wanted, folder: Path) -> Origin:
    from costlens_policy.fit.documents import Origin

    return Origin(
        tuple(source.name for source in outcomes.sources),
        outcomes.digest,
        _measured(outcomes.measured, reading),
        _command(files, reading, wanted),
        referable(reading.prices, folder),
    )


def _command(files: Sequence[str], reading: _Reading, wanted: _Wanted) -> str:
    """Return the command that makes the documents: the files, and every option that decides what is in them."""
    words = [*PROGRAM.split(), *files]
    for option, given in (
        ("--mapping", reading.mapping), ("--column", reading.columns), ("--set", reading.constants),
        ("--only", reading.only), ("--model", reading.named), ("--models", reading.models),
        ("--scale", reading.scale), ("--conflicts", None if reading.conflicts == _REFUSE else reading.conflicts),
        ("--drop", reading.drop), ("--prices", reading.prices), ("--on", reading.day),
        ("--output-tokens", None if reading.output_tokens == _OUTPUT_TOKENS else reading.output_tokens),
        ("--max-loss", wanted.max_loss), ("--max-spend", wanted.max_spend), ("--calls", wanted.calls),
        ("--strong-share", wanted.strong_share), ("--holdout", None if wanted.holdout == _SHARE else wanted.holdout),
        ("--signal", wanted.signal), ("--seed", wanted.seed or None),
    ):  # fmt: skip
        values = () if given is None else given if isinstance(given, tuple) else (given,)
        for value in values:
            words += [option, f"{value:g}" if isinstance(value, float) else str(value)]
    return shlex.join(words)
