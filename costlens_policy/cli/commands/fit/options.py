"""What `fit` is asked, word for word: how outcomes are read, and what is wanted of the choice."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from costlens_policy.cli.commands.fit.files import PROGRAM
from costlens_policy.cli.options import Day, Number, gathered
from costlens_policy.frozen import frozen

if TYPE_CHECKING:
    from costlens_policy.fit.target import Target

__all__ = ["MAX_LOSS", "Reading", "Wanted", "command_line", "reading_options", "target_of", "target_options"]

_SHARE: Final = "0.2"
_REFUSE: Final = "refuse"
_OUTPUT_TOKENS: Final = 200
MAX_LOSS: Final = 0.01


@frozen
class Reading:
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

    def given(self) -> Iterator[tuple[str, object]]:
        """Yield each option that decides something, once for each of its values."""
        for option, values in (
            ("--mapping", self.mapping), ("--column", self.columns), ("--set", self.constants), ("--only", self.only),
            ("--model", self.named), ("--models", self.models), ("--scale", self.scale),
            ("--conflicts", None if self.conflicts == _REFUSE else self.conflicts), ("--drop", self.drop),
            ("--prices", self.prices), ("--on", self.day),
            ("--output-tokens", None if self.output_tokens == _OUTPUT_TOKENS else self.output_tokens),
        ):  # fmt: skip
            for value in values if isinstance(values, tuple) else () if values is None else (values,):
                yield option, value


reading_options = gathered(
    "reading",
    Reading,
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
class Wanted:
    """What is asked of the choice, word for word."""

    max_loss: float | None
    max_spend: float | None
    calls: int | None
    strong_share: float | None
    holdout: str
    signal: str | None
    seed: int

    def given(self) -> Iterator[tuple[str, object]]:
        """Yield each option that decides something."""
        for option, value in (
            ("--max-loss", self.max_loss), ("--max-spend", self.max_spend), ("--calls", self.calls),
            ("--strong-share", self.strong_share), ("--holdout", None if self.holdout == _SHARE else self.holdout),
            ("--signal", self.signal), ("--seed", self.seed or None),
        ):  # fmt: skip
            if value is not None:
                yield option, value


target_options = gathered(
    "wanted",
    Wanted,
    (
        click.option(
            "--max-loss", type=Number(0, 1), metavar="SCORE",
            help=f"Spend as little as possible, but lose at most this much score to the best single model. Default, "
            f"without another target: {MAX_LOSS}, one point.",
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


def target_of(wanted: Wanted) -> Target:
    from costlens_policy.fit.target import Target

    if (wanted.max_spend is None) != (wanted.calls is None):
        raise click.UsageError("`--max-spend` and `--calls` go together: an amount, and how many calls it is for")
    max_loss = wanted.max_loss
    if max_loss is None and wanted.max_spend is None and wanted.strong_share is None:
        max_loss = MAX_LOSS
    max_cost = None if wanted.max_spend is None or wanted.calls is None else wanted.max_spend / wanted.calls
    return Target(max_loss, max_cost, wanted.strong_share)


def command_line(files: Sequence[str], reading: Reading, wanted: Wanted) -> str:
    """Return the command that makes the documents: the files, and every option that decides what is in them."""
    words = [*PROGRAM.split(), *files]
    for option, value in (*reading.given(), *wanted.given()):
        words += [option, f"{value:g}" if isinstance(value, float) else str(value)]
    return shlex.join(words)
