"""The automatic cache: the plans of policy sets that were loaded before, by what they were loaded from."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from costlens_policy.clock import system_now
from costlens_policy.compiler.plan import Plan
from costlens_policy.saving.errors import NotSavable, UnusablePlan
from costlens_policy.saving.files import content_of, parse
from costlens_policy.saving.folder import Folder, chosen_folder
from costlens_policy.saving.inputs import inputs_of, still_hold
from costlens_policy.saving.installation import installation
from costlens_policy.source.read import repository_of

if TYPE_CHECKING:
    from costlens_policy.checker import LinkedBundle

__all__ = ["KeptPlan"]


class KeptPlan:
    """The place of one policy set in the cache. Whatever goes wrong here, the policies are read as if it were not."""

    __slots__ = ("_folder", "_name", "_paths")

    def __init__(self, folder: Folder, name: str, paths: Sequence[Path]) -> None:
        self._folder = folder
        self._name = name
        self._paths = paths

    @classmethod
    def of(cls, paths: Sequence[Path]) -> KeptPlan | None:
        """Return the place for the policy set in some paths, None where there is no cache.

        The day is part of it, since checks look at dates: a model that retires tomorrow makes an error tomorrow.
        """
        folder = chosen_folder()
        if folder is None or _could_be_brought_along(folder, paths):
            return None
        try:
            seen = [installation(), str(system_now().date()), os.getcwd(), *map(str, paths)]
        except OSError:  # the working folder is gone
            return None
        return cls(folder, sha256(json.dumps(seen).encode()).hexdigest()[:40], paths)

    def find(self) -> Plan | None:
        """Return the plan, None where there is none that still holds."""
        content = self._folder.read(self._name)
        if content is None:
            return None
        try:
            file = parse(content)
            return file.plan() if still_hold(file.remarks, self._paths) else None
        except UnusablePlan:
            return None

    def keep(self, bundle: LinkedBundle, plan: Plan) -> None:
        """Save the plan of a set that was just read."""
        inputs = inputs_of(self._paths, bundle)
        if inputs is None:
            return
        try:
            content = content_of(plan, inputs)
        except NotSavable:
            return
        self._folder.write(self._name, content)


def _could_be_brought_along(folder: Folder, paths: Sequence[Path]) -> bool:
    """Say whether the cache lies where the policies come from, which could then bring their own plan along."""
    place = Path(os.path.realpath(folder.path))
    return any(place.is_relative_to(_repository(Path(os.path.realpath(path)), paths)) for path in paths)


def _repository(path: Path, paths: Sequence[Path]) -> Path:
    return repository_of(path / "PolicySet" if path.is_dir() else path, paths)
