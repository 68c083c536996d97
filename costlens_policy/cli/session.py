"""What one run of the program was told about itself."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import click

__all__ = ["Session", "debug_option"]


@dataclass(slots=True)
class Session:
    """``debug`` shows the traceback of an unexpected error."""

    debug: bool = field(default_factory=lambda: os.environ.get("COSTLENS_DEBUG", "") not in ("", "0"))


def debug_option() -> click.Option:
    """Return ``--debug``, which every command takes so that it can be put at the end of a line that failed."""

    def remember(context: click.Context, _: click.Parameter, given: bool) -> None:
        session = context.find_object(Session)
        if given and session is not None:
            session.debug = True

    return click.Option(
        ["--debug"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=remember,
        help="Show the traceback of an unexpected error; COSTLENS_DEBUG=1 does the same.",
    )
