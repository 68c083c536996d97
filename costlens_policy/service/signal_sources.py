"""Sources of external signals, named as ``risk=moderation:risk``: a function of a module of the operator's own."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from importlib import import_module
from importlib.util import find_spec
from operator import attrgetter
from pathlib import Path
from typing import Any

from costlens_policy.compiler.plan import Plan
from costlens_policy.diagnostics.suggestion import did_you_mean
from costlens_policy.errors import SettingsError
from costlens_policy.frozen import frozen
from costlens_policy.signals.given import External

__all__ = ["SourceName", "check_sources", "load_sources"]


@frozen
class SourceName:
    """The name of a signal, and where its source is: a module, and a function in it."""

    signal: str
    module: str
    function: str

    @classmethod
    def parse(cls, text: str) -> SourceName:
        """Read ``NAME=MODULE:FUNCTION``. Raises ``SettingsError``."""
        signal, _, place = text.partition("=")
        module, _, function = place.partition(":")
        if not signal or not module or not function:
            raise SettingsError(f"a source of a signal must be written as `risk=moderation:risk`, got `{text}`")
        return cls(signal.strip(), module.strip(), function.strip())

    def load(self) -> Any:
        """Import the function. Raises ``SettingsError`` where there is none, or its module fails."""
        try:
            return attrgetter(self.function)(import_module(self.module))
        except Exception as error:
            raise SettingsError(
                f"the source `{self.module}:{self.function}` of the signal `{self.signal}` cannot be imported: "
                f"`{type(error).__name__}: {error}`"
            ) from error


def check_sources(names: Iterable[SourceName], plan: Plan) -> None:
    """Check that the signals are external ones, and that there are such modules. Nothing is imported yet.

    Raises ``SettingsError``.
    """
    external = {name for name, signal in plan.signals.items() if isinstance(signal.kind, External)}
    _see_current_folder()
    for name in names:
        if name.signal not in external:
            meant = did_you_mean(name.signal, external) or "declare it as `external` in a document of signals"
            raise SettingsError(f"there is no external signal `{name.signal}`; {meant}")
        top = name.module.partition(".")[0]
        if find_spec(top) is None:
            raise SettingsError(f"there is no module `{top}`, which the source of the signal `{name.signal}` is in")


def load_sources(names: Iterable[SourceName]) -> Mapping[str, Any]:
    """Import the sources, by the names of their signals. Raises ``SettingsError``."""
    _see_current_folder()
    return {name.signal: name.load() for name in names}


def _see_current_folder() -> None:
    """Let modules of the current folder be found, as they are when Python itself is started there."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
