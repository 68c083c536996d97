"""Whose bundles are used, and that none is used again once a later one was: configuration of whoever loads them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

from costlens_policy.bundles.bundle import Bundle
from costlens_policy.bundles.errors import BundleError
from costlens_policy.bundles.signing import Signature, public_keys, verified
from costlens_policy.compiler.plan import Plan
from costlens_policy.errors import InputError
from costlens_policy.frozen import frozen
from costlens_policy.saving.files import replace_file

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

__all__ = ["KEYS_SETTING", "STATE_SETTING", "Trust", "plan_of"]

KEYS_SETTING: Final = "COSTLENS_POLICY_TRUSTED_KEYS"
"""Environment variable: files of public keys, separated as in ``PATH``. With it, every bundle must be signed."""
STATE_SETTING: Final = "COSTLENS_POLICY_BUNDLE_STATE"
"""Environment variable: the file that remembers the last revision."""


class Trust:
    """Says which bundles are used: signed with one of some keys, of one policy set, and none after a later one.

    ``keys`` are files of public keys in PEM. ``name`` is the policy set that bundles must hold; without it, that of the
    first one. ``state`` is a file that remembers the highest revision that was used: an older bundle, or another one of
    the same revision, is refused although it was signed. ``allow_older`` uses it nevertheless, and goes on from there.
    Without ``state`` the revision is remembered as long as this object lives. Safe for threads, and for processes that
    share the file (a lock beside it, ``STATE.lock``, makes them take turns).
    """

    def __init__(
        self,
        *keys: str | os.PathLike[str],
        name: str | None = None,
        state: str | os.PathLike[str] | None = None,
        allow_older: bool = False,
    ) -> None:
        self._keys: Final[list[Ed25519PublicKey]] = [key for path in keys for key in public_keys(path)]
        if not self._keys:
            raise InputError("trust needs at least one file of public keys")
        self._name = name
        self._state = None if state is None else Path(state)
        self._allow_older = allow_older
        self._last: _Used | None = None
        self._lock = Lock()

    @classmethod
    def of_environment(cls) -> Trust | None:
        """Return what ``COSTLENS_POLICY_TRUSTED_KEYS`` and ``COSTLENS_POLICY_BUNDLE_STATE`` demand; None if nothing."""
        given = os.environ.get(KEYS_SETTING)
        if given is None:
            return None
        return cls(*filter(None, given.split(os.pathsep)), state=os.environ.get(STATE_SETTING) or None)

    def verify(self, bundle: Bundle) -> Signature:
        """Return the signature of a bundle that may be used; nothing is remembered. Raises ``BundleError``."""
        found = verified(bundle, self._keys)
        self._check(_Used(bundle.manifest.name, found.revision, bundle.digest), bundle.source, self._before())
        return found

    def admit(self, bundle: Bundle, plan: Plan | None = None) -> Plan:
        """Return the plan of a bundle that may be used, and remember its revision. Raises ``BundleError``.

        ``plan`` is that of a bundle with the same digest, where it is known already.
        """
        with self._lock:
            found = verified(bundle, self._keys)
            used, before = _Used(bundle.manifest.name, found.revision, bundle.digest), self._before()
            self._check(used, bundle.source, before)
            plan = plan or bundle.packed_plan() or bundle.plan()
            if used != before:
                self._remember(used, bundle.source)
            return plan

    def _check(self, used: _Used, source: str, before: _Used | None) -> None:
        name = self._name or (None if before is None else before.name)
        if name is not None and used.name != name:
            raise BundleError(f"`{source}` holds the policy set `{used.name}`, not `{name}`")
        if before is None or self._allow_older or used == before:
            return
        if used.revision < before.revision:
            raise BundleError(
                f"`{source}` has revision {used.revision}, and revision {before.revision} was used before;"
                f" sign what is to be used with a higher one"
            )
        if used.revision == before.revision:
            raise BundleError(
                f"`{source}` has revision {used.revision}, as another bundle that was used before; give each its own"
            )

    def _before(self) -> _Used | None:
        if self._state is None:
            return self._last
        try:
            content = json.loads(self._state.read_bytes())
            found = _Used(content["name"], content["revision"], content["digest"])
            if [str, int, str] != [type(found.name), type(found.revision), type(found.digest)]:
                raise ValueError
        except FileNotFoundError:
            return self._last
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise BundleError(f"`{self._state}` does not say which revision was used last; repair it") from error
        return found

    def _remember(self, used: _Used, source: str) -> None:
        """Keep what is used, unless another process has used a later one in the meantime."""
        if self._state is None:
            self._last = used
            return
        try:
            with _alone_with(self._state):
                self._check(used, source, self._before())
                content = {"name": used.name, "revision": used.revision, "digest": used.digest}
                replace_file(self._state, json.dumps(content, indent=1).encode() + b"\n", sync=True)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise BundleError(f"`{self._state}` cannot be written, and must keep the revision: {reason}") from error
        self._last = used


@contextmanager
def _alone_with(state: Path) -> Iterator[None]:
    """Hold the lock that processes with the same state share: the file beside it, since the state is replaced."""
    try:
        import fcntl
    except ImportError:  # Windows has no such locks
        yield
        return
    handle = os.open(f"{state}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@frozen
class _Used:
    name: str
    revision: int
    digest: str


def plan_of(bundle: Bundle, trust: Trust | None, plan: Plan | None = None) -> Plan:
    """Return the plan of a bundle for whoever loads it. Raises ``BundleError`` and ``PolicyError``.

    Without ``trust`` the one of the environment holds; where there is none, the policies are compiled anew. ``plan`` is
    that of a bundle with the same digest, where it is known already: who signed this one is verified all the same.
    """
    trust = trust or Trust.of_environment()
    return (plan or bundle.plan()) if trust is None else trust.admit(bundle, plan)
