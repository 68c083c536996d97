"""Policies that outlive a worker: what its source had last is kept for the one that takes its place."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from costlens_policy.errors import CostlensPolicyError
from costlens_policy.live import Fetched, Source

__all__ = ["WithLastGood"]

_LOG: Final = logging.getLogger("costlens_policy.service")
_LAST_GOOD: Final = "last good version"


class WithLastGood:
    """A source whose policies are kept in a file of this service, and which begins with them where it has none.

    So a worker that is replaced while the policies are wrong, or gone, serves what the others go on to serve.
    """

    def __init__(self, source: Source, path: Path) -> None:
        self._source: Final = source
        self._path: Final = path
        self._kept: Fetched | None = None
        self._has_begun = False

    @property
    def name(self) -> str:
        return self._source.name

    def fetch(self) -> Fetched:
        """Return what the source has; at first, if that fails, what it had. Raises ``CostlensPolicyError``."""
        begins, self._has_begun = not self._has_begun, True
        try:
            fetched = self._source.fetch()
        except CostlensPolicyError as error:
            last = self._last() if begins else None
            if last is None:
                raise
            _LOG.error("policies of `%s` refused; the last good version serves: %s", self.name, error)
            return last
        if fetched is not self._kept:
            self._keep(fetched)
        return fetched

    def _last(self) -> Fetched | None:
        from costlens_policy.saving.files import read_plan

        try:
            return Fetched(_LAST_GOOD, read_plan(self._path))
        except CostlensPolicyError:
            return None

    def _keep(self, fetched: Fetched) -> None:
        from costlens_policy.saving.files import write_plan

        self._kept = fetched
        try:
            write_plan(fetched.plan, self._path)
        except CostlensPolicyError as error:
            _LOG.warning("a worker that is replaced may have no policies to begin with: %s", error)
