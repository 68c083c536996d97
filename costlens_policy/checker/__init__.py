"""The checker: linking, typing and checking. It returns only bundles without errors.

The functions import the rest when they are called, so that using the types of a bundle costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from os import PathLike
from typing import TYPE_CHECKING

from costlens_policy.on_demand import on_demand

if TYPE_CHECKING:
    from costlens_policy.catalogue import Catalogue
    from costlens_policy.checker.bundle import CheckedBundle, LinkedBundle, LinkedDocument
    from costlens_policy.checker.whole import Checked

__all__ = ["CheckedBundle", "LinkedBundle", "LinkedDocument", "check", "check_all"]

_BUNDLE = "costlens_policy.checker.bundle"
__getattr__ = on_demand(__name__, {"CheckedBundle": _BUNDLE, "LinkedBundle": _BUNDLE, "LinkedDocument": _BUNDLE})


def check(
    paths: str | PathLike[str] | Iterable[str | PathLike[str]],
    *,
    on: date | None = None,
    catalogue: Catalogue | None = None,
) -> CheckedBundle:
    """Return the one policy set in files or folders, checked for a day (UTC; default: today).

    With ``catalogue`` it is checked, and decides, with those models instead of its own. Raises ``PolicyError`` with
    every diagnostic, including warnings, if there is an error, no set, or several.
    """
    from costlens_policy.checker import whole

    return whole.check(paths, on=on, catalogue=catalogue)


def check_all(paths: str | PathLike[str] | Iterable[str | PathLike[str]], *, on: date | None = None) -> Checked:
    """Check every document in files and folders: each policy set as a whole, all others on their own.

    Problems of the documents are returned, not raised.
    """
    from costlens_policy.checker import whole

    return whole.check_all(paths, on=on)
