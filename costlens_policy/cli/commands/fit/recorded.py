"""The outcomes that `fit` is given, read as its options ask, with the models and days that they are of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from costlens_policy.cli.commands.fit.files import referable
from costlens_policy.cli.commands.fit.options import Reading, Wanted, command_line
from costlens_policy.clock import system_now
from costlens_policy.errors import InputError

if TYPE_CHECKING:
    from costlens_policy.catalogue import Catalogue
    from costlens_policy.fit.documents import Origin
    from costlens_policy.fit.measurements import Assumed, Measurements
    from costlens_policy.fit.outcomes import Outcomes, OutcomeSettings

__all__ = [
    "assumed_of", "catalogue_of", "day_of", "listed", "measured", "notes_of", "origin_of", "parts", "read",
    "settings_of",
]  # fmt: skip


def catalogue_of(reading: Reading) -> Catalogue | None:
    """Return the catalogue with the prices, or None for the installed price list."""
    from costlens_policy.cli.sources import load_models

    return load_models(reading.prices) if reading.prices else None


def listed(names: Sequence[str]) -> Catalogue:
    """Return the models of the installed price list that these names mean, under these names."""
    from dataclasses import replace

    from costlens_policy.catalogue import Catalogue
    from costlens_policy.catalogue.price_list import listed_model, meant_by

    meant = {name: meant_by(name) for name in names}
    return Catalogue.of(
        replace(listed_model(full), name=name, aliases=()) for name, full in meant.items() if full is not None
    )


def settings_of(reading: Reading) -> OutcomeSettings:
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


def read(files: Sequence[str], reading: Reading, catalogue: Catalogue | None) -> Outcomes:
    """Read outcomes, of some models where these are named. Raises ``OutcomesError``."""
    from costlens_policy.fit.measurements import of_models
    from costlens_policy.fit.outcomes import read_outcomes

    return of_models(read_outcomes(files, settings_of(reading), catalogue), reading.models)


def parts(
    outcomes: Outcomes, reading: Reading, wanted: Wanted, catalogue: Catalogue
) -> tuple[Measurements, Measurements, list[str]]:
    """Return what is fitted to, what is reported on, and what a reader should know of the latter."""
    from costlens_policy.fit.fitting import parts_of
    from costlens_policy.fit.measurements import alike, gather

    assumed, share = assumed_of(reading), _share(wanted.holdout)
    measurements = gather(outcomes, catalogue, assumed)
    if share is not None:
        return *parts_of(measurements, share, wanted.seed), []
    other = read([wanted.holdout], reading, catalogue).apart_from(outcomes)
    inside, aside = alike(measurements, gather(other, catalogue, assumed))
    return inside, aside, [f"kept aside: {text}" for text in (*notes_of(other), *aside.notes)]


def assumed_of(reading: Reading) -> Assumed:
    from costlens_policy.fit.measurements import Assumed

    return Assumed(reading.output_tokens, day_of(reading))


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


def day_of(reading: Reading) -> date:
    return reading.day or _today()


def _today() -> date:
    return system_now().astimezone(UTC).date()


def measured(newest: date | None, reading: Reading) -> date:
    """Return the day of the scores: the newest that a file gives, else that of the prices, unless it has not come.

    Raises ``InputError`` where scores are of the future; a day that has begun elsewhere counts as today.
    """
    today = _today()
    if newest is not None and newest > today + timedelta(days=1):
        raise InputError(
            f"scores must not be of the future, got the day `{newest}`; correct `time`, or map another column"
        )
    return min(newest or day_of(reading), today)


def notes_of(outcomes: Outcomes) -> Iterator[str]:
    """Yield what became of the rows that were read."""
    yield f"{outcomes.notes.rows:,} rows gave {outcomes.notes.scores:,} scores of {len(outcomes.cases):,} cases"
    yield from (f"dropped: {tally}" for tally in outcomes.notes.dropped)
    yield from (f"not joined: {tally}" for tally in outcomes.notes.unjoined)
    yield from map(str, outcomes.notes.remarks)


def origin_of(files: Sequence[str], outcomes: Outcomes, reading: Reading, wanted: Wanted, folder: Path) -> Origin:
    from costlens_policy.fit.documents import Origin

    return Origin(
        tuple(source.name for source in outcomes.sources),
        outcomes.digest,
        measured(outcomes.measured, reading),
        command_line(files, reading, wanted),
        referable(reading.prices, folder),
    )
