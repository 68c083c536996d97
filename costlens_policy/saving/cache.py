"""The automatic cache: the plans of policy sets that were loaded before, by what they were loaded from."""

from __future__ import annotations

import codecs
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from costlens_policy.clock import system_now
from costlens_policy.compiler.plan import Plan
from costlens_policy.diagnostics.model import PolicyError
from costlens_policy.frozen import frozen
from costlens_policy.saving.encoding import NotSavable, UnusablePlan
from costlens_policy.saving.files import FORMAT, Folder, chosen_folder, content_of, parse
from costlens_policy.source.read import repository_of, yaml_files
from costlens_policy.version import __version__

if TYPE_CHECKING:
    from costlens_policy.checker import LinkedBundle

__all__ = ["KeptPlan", "PoliciesRead", "inputs_of", "installation", "read_policies", "still_hold"]


@frozen(eq=False)
class PoliciesRead:
    """A plan and what it was made from, as ``inputs_of`` says; None where that is not all that decided."""

    plan: Plan
    inputs: Mapping[str, Any] | None


def read_policies(paths: Sequence[Path], *, cache: bool = True) -> PoliciesRead:
    """Read, check and compile the policy set in files or folders, unless the cache has its plan.

    What ``check`` refuses although it can be compiled is logged. Raises ``PolicyError``.
    """
    kept = KeptPlan.of(paths) if cache else None
    found = kept.find() if kept is not None else None
    return _compiled(paths, kept) if found is None else found


def _compiled(paths: Sequence[Path], kept: KeptPlan | None) -> PoliciesRead:
    from costlens_policy.checker import check
    from costlens_policy.compiler import compile_plan

    bundle = check(paths)
    made = PoliciesRead(compile_plan(bundle), inputs_of(paths, bundle.linked))
    mistakes = [item for item in bundle.warnings if item.is_error]
    if mistakes:  # and no plan is kept: it would be found without a word
        import logging

        logging.getLogger("costlens_policy").warning("%s", PolicyError(mistakes))
    elif kept is not None:
        kept.keep(made)
    return made


class KeptPlan:
    """The entry of one policy set in the cache.

    If anything fails here, the policies are read as if there were no cache.
    """

    __slots__ = ("_folder", "_name", "_paths")

    def __init__(self, folder: Folder, name: str, paths: Sequence[Path]) -> None:
        self._folder = folder
        self._name = name
        self._paths = paths

    @classmethod
    def of(cls, paths: Sequence[Path]) -> KeptPlan | None:
        """Return the entry for the policy set in some paths, None without a cache.

        The day is part of its key, since checks depend on dates: a model that retires tomorrow is an error tomorrow.
        """
        folder = chosen_folder()
        if folder is None or _could_be_brought_along(folder, paths):
            return None
        try:
            seen = [installation(), str(system_now().date()), os.getcwd(), *map(str, paths)]
        except OSError:  # the working folder is gone
            return None
        return cls(folder, sha256(json.dumps(seen).encode()).hexdigest()[:40], paths)

    def find(self) -> PoliciesRead | None:
        """Return the plan with what it was made from, or None if there is no valid one."""
        content = self._folder.read(self._name)
        if content is None:
            return None
        try:
            file = parse(content)
            return PoliciesRead(file.plan(), file.remarks) if still_hold(file.remarks, self._paths) else None
        except UnusablePlan:
            return None

    def keep(self, made: PoliciesRead) -> None:
        """Save the plan of a set that was just read."""
        if made.inputs is None:
            return
        try:
            content = content_of(made.plan, made.inputs)
        except NotSavable:
            return
        self._folder.write(self._name, content)


def _could_be_brought_along(folder: Folder, paths: Sequence[Path]) -> bool:
    """Return whether the cache is inside the repository of the policies, which could then plant a plan."""
    place = Path(os.path.realpath(folder.path))
    return any(place.is_relative_to(_repository(Path(os.path.realpath(path)), paths)) for path in paths)


def _repository(path: Path, paths: Sequence[Path]) -> Path:
    return repository_of(path / "PolicySet" if path.is_dir() else path, paths)


def inputs_of(paths: Sequence[Path], bundle: LinkedBundle) -> Mapping[str, Any] | None:
    """Return, as JSON, the files that were read for a policy set; None where that is not all that decided.

    ``files`` has the digest of each text by the name it was read under, ``folders`` the YAML files of each folder that
    was searched, ``links`` where each name leads, and ``repository`` which folder references may not leave.
    """
    texts = {name: _digest(source.text.encode()) for name, source in bundle.sources.items()}
    folders = {str(path): _listed(path) for path in paths if os.path.isdir(path)}
    read = {os.path.realpath(name) for name in texts}
    if any(os.path.realpath(name) not in read for names in folders.values() for name in names):
        return None  # a file that could not be read, or that came to be meanwhile
    origin = bundle.policy_set.located.source.name
    return {
        "files": texts,
        "folders": folders,
        "links": {name: os.path.realpath(name) for name in (*texts, *_references(bundle, origin))},
        "origin": origin,
        "repository": str(_repository_of_origin(origin, paths)),
    }


def still_hold(inputs: Mapping[str, Any], paths: Sequence[Path]) -> bool:
    """Return whether reading the policies again would read the same."""
    try:
        return (
            all(os.path.realpath(name) == where for name, where in inputs["links"].items())
            and inputs["repository"] == str(_repository_of_origin(inputs["origin"], paths))
            and inputs["folders"] == {str(path): _listed(path) for path in paths if os.path.isdir(path)}
            and all(_digest_of_file(name) == digest for name, digest in inputs["files"].items())
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _references(bundle: LinkedBundle, origin: str) -> Iterator[str]:
    """Yield the names under which the policy set knows its files, before links on the way are followed."""
    document = bundle.policy_set.document
    return (
        os.path.join(os.path.dirname(origin), text)
        for text in (*document.policies, *document.catalogues, *document.data, *document.signals)
    )


def _repository_of_origin(origin: str, paths: Sequence[Path]) -> Path:
    return repository_of(Path(os.path.realpath(origin)), paths)


def _listed(folder: Path) -> list[str]:
    return list(yaml_files(folder))


def _digest_of_file(name: str) -> str:
    with open(name, "rb") as stream:
        return _digest(stream.read().removeprefix(codecs.BOM_UTF8))


def _digest(text: bytes) -> str:
    return sha256(text).hexdigest()


_METADATA: Final = (".dist-info", ".egg-info")
_PACKAGE: Final = Path(__file__).parent.parent


@cache
def installation() -> str:
    """Return a digest that changes when any of it does.

    The price list that catalogues import from is one of the libraries. Their versions are read off the names of the
    folders beside them, which takes a hundredth of the time that asking for each takes.
    """
    parts = (str(FORMAT), __version__, sys.version, *_own_code(), *_libraries(), *_time_zones())
    return sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


def _own_code() -> Iterator[str]:
    """Yield what identifies the code of this package: the record of its installation, or each file of a checkout."""
    record = _PACKAGE.parent / f"costlens_policy-{__version__}.dist-info" / "RECORD"
    if record.is_file():
        yield _stamp(record)
        return
    for here, folders, files in os.walk(_PACKAGE):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(files):
            yield _stamp(os.path.join(here, name))


def _libraries() -> Iterator[str]:
    for place in sys.path:
        try:
            names = os.listdir(place or ".")
        except OSError:  # an archive, or nothing
            yield _stamp(place)
        else:
            yield from sorted(name for name in names if name.endswith(_METADATA))


_ZONES: Final = "/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/usr/share/lib/zoneinfo", "/etc/zoneinfo"
"""Where Python looks for time zones by default. Importing `zoneinfo` would take as long as everything else here."""


def _time_zones() -> Iterator[str]:
    return (_stamp(place) for place in (*_ZONES, *os.environ.get("PYTHONTZPATH", "").split(os.pathsep)))


def _stamp(path: str | os.PathLike[str]) -> str:
    """Return path, size and time of the last change; of what is not there, that it is not."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return f"{path}: none"
    return f"{path}: {found.st_size} {found.st_mtime_ns}"
