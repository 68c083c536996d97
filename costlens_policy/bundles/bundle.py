"""A bundle that was opened: what its manifest says, and the policies in it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final

from costlens_policy.bundles.archive import FIRST, MAX_BYTES, problem_of_name, unpack
from costlens_policy.bundles.errors import BundleError
from costlens_policy.compiler.plan import Plan
from costlens_policy.errors import InputError
from costlens_policy.frozen import frozen

__all__ = ["PLAN", "SIGNATURE", "Bundle", "Manifest", "manifest_of", "open_bundle"]

FORMAT: Final = 1
"""Counts up whenever bundles of before can no longer be read."""
PLAN: Final = "plan"
SIGNATURE: Final = "signature.json"
_MOST_MANIFEST: Final = 4 * 1024**2
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@frozen
class Manifest:
    """What a bundle contains: the policy set, and the SHA-256 of each file by its path.

    ``program`` is the version of this program that built it, ``policy_set`` the path of the policy set.
    """

    name: str
    version: str
    program: str
    policy_set: str
    policy_digest: str
    catalogue_digest: str
    files: Mapping[str, str]

    def to_bytes(self) -> bytes:
        """Return the one text of the manifest."""
        content = {name: getattr(self, name) for name in _TEXTS} | {"format": FORMAT, "files": dict(self.files)}
        return json.dumps(content, sort_keys=True, indent=1, ensure_ascii=True).encode("ascii") + b"\n"


_TEXTS: Final = ("name", "version", "program", "policy_set", "policy_digest", "catalogue_digest")


def manifest_of(text: bytes) -> Manifest:
    """Read a manifest. Raises ``BundleError`` for what ``Manifest.to_bytes`` does not write."""
    if len(text) > _MOST_MANIFEST:
        raise BundleError(f"its manifest is larger than {_MOST_MANIFEST // 1024**2} MiB")
    try:
        content = json.loads(text)
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise BundleError("its manifest is of another version of this program")
        manifest = Manifest(**{name: content[name] for name in _TEXTS}, files=content["files"])
        right = _is_right(manifest)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        right = False
    if not right or manifest.to_bytes() != text:
        raise BundleError("its manifest is damaged")
    return manifest


def _is_right(manifest: Manifest) -> bool:
    return (
        all(isinstance(getattr(manifest, name), str) for name in _TEXTS)
        and all(isinstance(digest, str) and _DIGEST.fullmatch(digest) for digest in manifest.files.values())
        and not any(map(problem_of_name, manifest.files))
        and manifest.policy_set in manifest.files
    )


@frozen(eq=False)
class Bundle:
    """A policy set in one file. All that its manifest lists is there, as it was built; whose it is says ``Trust``.

    ``source`` names it to people. ``digest`` identifies its content, ``packed`` are all its bytes.
    """

    source: str
    manifest: Manifest
    digest: str
    packed: bytes
    files: Mapping[str, bytes]

    @property
    def policies(self) -> dict[str, bytes]:
        """The documents: all but the manifest, the plan and the signature."""
        return {name: text for name, text in self.files.items() if name not in (FIRST, PLAN, SIGNATURE)}

    def plan(self) -> Plan:
        """Compile the policies. Raises ``PolicyError`` where this version of the program refuses them."""
        from costlens_policy.bundles.unpacked import compiled

        return compiled(self.policies, self.manifest.policy_set)

    def packed_plan(self) -> Plan | None:
        """Return the plan that the bundle carries, None where another version wrote it or it is damaged.

        It is as right as whoever put it there is honest: see ``Trust``.
        """
        from costlens_policy.saving.encoding import UnusablePlan
        from costlens_policy.saving.files import parse

        try:
            return parse(self.files[PLAN]).plan()
        except UnusablePlan:
            return None

    @contextmanager
    def laid_out(self) -> Iterator[Path]:
        """Give a folder with the documents, for as long as it is needed."""
        from costlens_policy.bundles.unpacked import laid_out

        with laid_out(self.policies) as folder:
            yield folder


def open_bundle(content: bytes | str | os.PathLike[str], source: str = "") -> Bundle:
    """Open a bundle, given as its bytes or its path. Raises ``BundleError``, and ``InputError`` for a file's faults.

    This says nothing about who made it.
    """
    if not isinstance(content, bytes):
        source = source or os.fspath(content)
        content = _read(content)
    source = source or "<bundle>"
    try:
        return _opened(content, source)
    except BundleError as error:
        raise BundleError(f"`{source}` cannot be used: {error}") from None


def _opened(content: bytes, source: str) -> Bundle:
    files = unpack(content)
    manifest = manifest_of(files[FIRST])
    expected = [FIRST, *manifest.files, *([SIGNATURE] if SIGNATURE in files else [])]
    if list(files) != expected or PLAN not in files or list(manifest.files) != sorted(manifest.files):
        raise BundleError("its files are not those that its manifest lists")
    for name, digest in manifest.files.items():
        if sha256(files[name]).hexdigest() != digest:
            raise BundleError(f"`{name}` is not what the manifest lists")
    return Bundle(source, manifest, sha256(files[FIRST]).hexdigest(), content, files)


def _read(path: str | os.PathLike[str]) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise InputError(f"`{os.fspath(path)}` cannot be read: {reason}") from error
