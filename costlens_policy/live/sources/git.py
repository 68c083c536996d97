"""Policies in a git repository, at a branch, tag or commit."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Final

from costlens_policy.bundles.archive import MAX_BYTES
from costlens_policy.bundles.packing import compiled_in
from costlens_policy.compiler.plan import Plan
from costlens_policy.diagnostics.model import PolicyError
from costlens_policy.errors import InputError
from costlens_policy.live.source import Fetched

__all__ = ["GitSource"]

_SAFE: Final = (
    "-c",
    "protocol.ext.allow=never",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "credential.interactive=false",
)


class GitSource:
    """The policy set at ``path`` in a repository, as it is in a ``revision``: a branch or tag, by default ``main``.

    ``repository`` is a folder of this machine or a URL as ``git fetch`` takes it. One command asks for the commit that
    the revision is; only another one is fetched, without its history. Nobody is asked for a password: git finds
    credentials by its own configuration. ``timeout`` is in seconds, for each command. Raises ``InputError``.
    """

    def __init__(
        self, repository: str | os.PathLike[str], revision: str = "main", path: str = ".", *, timeout: float = 60.0
    ) -> None:
        self._repository: Final = os.fspath(repository)
        if self._repository.startswith("-") or revision.startswith("-") or not revision:
            raise InputError(f"`{self._repository}` and `{revision}` must be a repository and a revision")
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise InputError(f"`{path}` must be a path inside the repository")
        self._revision = revision
        self._path = path
        self._timeout = timeout
        self._commit = ""
        self._fetched: Fetched | None = None
        self._refused: PolicyError | None = None
        self.name: Final = f"{_without_password(self._repository)}@{revision}:{path}"

    def fetch(self) -> Fetched:
        """Return the policies of the revision as it is now. Raises ``InputError`` and ``PolicyError``."""
        commit = self._present_commit()
        if commit != self._commit:
            try:
                self._fetched, self._refused = Fetched(commit, self._read(commit)), None
            except PolicyError as error:
                self._refused = error
            self._commit = commit
        if self._refused is not None:
            raise self._refused
        assert self._fetched is not None, "it was read, or refused"
        return self._fetched

    def _present_commit(self) -> str:
        if _is_commit(self._revision):
            return self._revision
        listed = self._git("ls-remote", "--exit-code", "--", self._place, self._revision, f"{self._revision}^{{}}")
        commits: dict[str, str] = {}
        for line in listed.decode(errors="replace").splitlines():
            commit, _, name = line.partition("\t")
            commits[name] = commit
        names = (f"refs/heads/{self._revision}", f"refs/tags/{self._revision}^{{}}", f"refs/tags/{self._revision}")
        found = next((commits[name] for name in (*names, self._revision) if name in commits), None)
        if found is None or not _is_commit(found):
            raise InputError(f"`{self.name}`: the repository has no branch or tag `{self._revision}`")
        return found

    def _read(self, commit: str) -> Plan:
        with TemporaryDirectory(prefix="costlens-policy-") as folder:
            bare, files = Path(folder, "bare"), Path(os.path.realpath(folder), "files")
            self._git("init", "--quiet", "--bare", str(bare))
            wanted = ("--quiet", "--depth=1", "--no-tags", "--", self._place, self._revision)
            self._git("-C", str(bare), "fetch", *wanted)
            packed = self._git("-C", str(bare), "archive", "--format=tar", commit)
            if len(packed) > MAX_BYTES:
                raise InputError(f"`{self.name}` is larger than {MAX_BYTES // 1024**2} MiB")
            try:
                with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
                    archive.extractall(files, filter="data")
            except (tarfile.TarError, OSError) as error:  # such as a link that leads out of the repository
                raise InputError(f"`{self.name}` cannot be laid out: {error}") from error
            (files / ".git").mkdir(exist_ok=True)  # what is in the repository may not refer to what is outside
            return compiled_in(files, self._path)

    @property
    def _place(self) -> str:
        return os.path.abspath(self._repository) if os.path.isdir(self._repository) else self._repository

    def _git(self, *arguments: str) -> bytes:
        try:
            done = subprocess.run(
                ["git", *_SAFE, *arguments], capture_output=True, check=False, timeout=self._timeout, env=_environment()
            )
        except FileNotFoundError:
            raise InputError("git is not installed") from None
        except subprocess.TimeoutExpired:
            raise InputError(f"`{self.name}`: git took longer than {self._timeout:g} seconds") from None
        if done.returncode:
            said = " ".join(done.stderr.decode(errors="replace").split()).removeprefix("fatal: ")
            reason = said.replace(self._repository, _without_password(self._repository))
            raise InputError(f"`{self.name}`: {reason[:500] or 'the repository has no such revision'}")
        return done.stdout


def _is_commit(revision: str) -> bool:
    return len(revision) in (40, 64) and all(digit in "0123456789abcdef" for digit in revision)


def _environment() -> dict[str, str]:
    """Return the environment without what a git that runs this has set, and without anybody to ask."""
    kept = {name: value for name, value in os.environ.items() if name not in _OF_ANOTHER_GIT}
    return {"GIT_SSH_COMMAND": "ssh -o BatchMode=yes", **kept, "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true"}


_OF_ANOTHER_GIT: Final = frozenset(
    {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE"}
)


def _without_password(repository: str) -> str:
    scheme, separator, rest = repository.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}" if separator else repository
