"""A plugin of pytest: suites of policies (``*_test.yaml``) are collected, and each of their cases is a test.

It is active wherever the package is installed; ``-p no:costlens_policy`` switches it off.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from costlens_policy.testing import CaseResult

__all__ = ["CaseItem", "CoverageItem", "SuiteFile", "pytest_collect_file"]

_NAMES: Final = ("_test.yaml", "_test.yml")
_SUITE: Final = re.compile(r"^kind:\s*[\"']?Suite\b", re.MULTILINE)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> SuiteFile | None:
    """Collect a file that has a suite; other YAML files of such names are left alone."""
    if not file_path.name.endswith(_NAMES):
        return None
    text = file_path.read_text(encoding="utf-8", errors="replace")
    return SuiteFile.from_parent(parent, path=file_path) if _SUITE.search(text) else None


class SuiteFile(pytest.File):
    """A file of suites. Its cases run when it is collected, in microseconds each; each item reports one of them."""

    def collect(self) -> Iterator[pytest.Item]:
        from costlens_policy.testing import run_suites
        from costlens_policy.testing.formats import render
        from costlens_policy.testing.formats.sentences import shortfall_sentence

        here = Path.cwd()
        run = run_suites([self.path.relative_to(here) if self.path.is_relative_to(here) else self.path])
        if run.exit_code not in (0, 4, 5):
            raise self.CollectError(render(run).rstrip())
        for suite in run.suites:
            for result in suite.cases:
                yield CaseItem.from_parent(self, name=result.case.name, result=result)
        if run.shortfalls:
            sentences = tuple(map(shortfall_sentence, run.shortfalls))
            yield CoverageItem.from_parent(self, name="coverage", sentences=sentences)


class CaseItem(pytest.Item):
    """A case of a suite."""

    def __init__(self, *, result: CaseResult, **given: Any) -> None:
        super().__init__(**given)
        self._result = result

    def runtest(self) -> None:
        if not self._result.passed:
            raise _NotPassedError

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        from costlens_policy.testing.formats.pretty import case_lines

        if not isinstance(excinfo.value, _NotPassedError):
            return super().repr_failure(excinfo, style)
        return "\n".join((f"{self._result.outcome}: {self._result.case.name}", *case_lines(self._result)))

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self._result.case.span.start.line - 1, self.name


class CoverageItem(pytest.Item):
    """The coverage that a suite demands, where it is not reached."""

    def __init__(self, *, sentences: tuple[str, ...], **given: Any) -> None:
        super().__init__(**given)
        self._sentences = sentences

    def runtest(self) -> None:
        raise _NotPassedError

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> str:
        return "\n".join(self._sentences)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, self.name


class _NotPassedError(Exception):
    """A case did not pass; its item says why."""
