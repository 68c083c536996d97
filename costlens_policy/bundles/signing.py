"""Signatures of bundles: Ed25519 (RFC 8032) over the digest of the manifest, with a revision that only grows."""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from costlens_policy.bundles.archive import pack
from costlens_policy.bundles.bundle import PLAN, SIGNATURE, Bundle, open_bundle
from costlens_policy.bundles.errors import BundleError
from costlens_policy.errors import InputError
from costlens_policy.frozen import frozen
from costlens_policy.saving.encoding import UnusablePlan
from costlens_policy.saving.files import parse

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

__all__ = [
    "MAX_REVISION",
    "Signature",
    "SigningKey",
    "check_plan",
    "id_of_key",
    "public_keys",
    "sign",
    "signature_of",
    "verified",
]

MAX_REVISION: Final = 2**53
_DOMAIN: Final = b"costlens-policy bundle signature 1\n"
"""Begins what is signed, so that a signature of this is one of nothing else."""
_KEYS: Final = {"digest", "key", "revision", "signature"}
_MOST: Final = 4096


@frozen
class Signature:
    """What stands beside a manifest: who says to have signed it, and as which revision. Nothing here is verified."""

    digest: str
    key: str
    revision: int
    signature: bytes

    @property
    def signed(self) -> bytes:
        """The bytes that the signature is of."""
        return _DOMAIN + _canonical({"digest": self.digest, "revision": self.revision})

    def to_bytes(self) -> bytes:
        """Return the one text of the signature."""
        text = b64encode(self.signature).decode()
        return _canonical({"digest": self.digest, "key": self.key, "revision": self.revision, "signature": text})


def _canonical(content: dict[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii") + b"\n"


def signature_of(bundle: Bundle) -> Signature | None:
    """Return what a bundle says about its signature; None where it has none. Raises ``BundleError``."""
    text = bundle.files.get(SIGNATURE)
    if text is None:
        return None
    try:
        content = json.loads(text) if len(text) <= _MOST else None
        if not isinstance(content, dict) or content.keys() != _KEYS:
            raise ValueError
        found = Signature(
            digest=content["digest"],
            key=content["key"],
            revision=content["revision"],
            signature=b64decode(content["signature"], validate=True),
        )
        right = type(found.revision) is int and 0 < found.revision <= MAX_REVISION and found.to_bytes() == text
    except (ValueError, TypeError, AttributeError, RecursionError):
        right = False
    if not right:
        raise BundleError(f"`{bundle.source}` cannot be used: its signature is damaged")
    return found


def verified(bundle: Bundle, keys: Iterable[Ed25519PublicKey]) -> Signature:
    """Return the signature of a bundle, if one of some keys has made it. Raises ``BundleError``.

    Every key is tried: the id in the bundle only says in the message who may be missing.
    """
    from cryptography.exceptions import InvalidSignature

    found = signature_of(bundle)
    if found is None:
        raise BundleError(f"`{bundle.source}` is not signed; sign it with a trusted key")
    if found.digest == bundle.digest:
        for key in keys:
            try:
                key.verify(found.signature, found.signed)
            except InvalidSignature:
                continue
            return found
    named = found.key if len(found.key) <= 64 and found.key.isalnum() else "unknown"
    raise BundleError(f"`{bundle.source}` is signed by no trusted key; its signature names the key `{named}`")


class SigningKey:
    """A private key. ``id`` names it: the first 16 hexadecimal digits of the SHA-256 of the public key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.id: Final = id_of_key(key.public_key())

    @classmethod
    def generate(cls) -> SigningKey:
        """Return a new key."""
        return cls(_ed25519().Ed25519PrivateKey.generate())

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> SigningKey:
        """Read a key in PEM (PKCS 8), without a password. Raises ``InputError``."""
        _ed25519()
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        text = _file(path)
        try:
            key = load_pem_private_key(text, password=None)
        except (ValueError, TypeError):
            key = None
        if not isinstance(key, _ed25519().Ed25519PrivateKey):
            raise InputError(f"`{os.fspath(path)}` is not a private Ed25519 key in PEM without a password")
        return cls(key)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the private key to a new file that only its owner may read, and the public one to ``PATH.pub``."""
        from cryptography.hazmat.primitives import serialization as forms

        private = self._key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption())
        public = self._key.public_key().public_bytes(forms.Encoding.PEM, forms.PublicFormat.SubjectPublicKeyInfo)
        _create(path, private, 0o600)
        try:
            _create(f"{os.fspath(path)}.pub", public, 0o644)
        except InputError:
            os.unlink(path)
            raise

    def sign(self, text: bytes) -> bytes:
        return bytes(self._key.sign(text))


def sign(bundle: Bundle, key: SigningKey, revision: int) -> Bundle:
    """Return a bundle with a signature in place of any that it has.

    Whoever signs vouches for the plan, too: it is compiled anew from the policies and must be the same. Raises
    ``BundleError`` where it is not, ``PolicyError`` where the policies are not right.
    """
    if not 0 < revision <= MAX_REVISION:
        raise BundleError(f"a revision must be a number from 1 to {MAX_REVISION}, got `{revision}`")
    check_plan(bundle, "signed")
    plain = Signature(bundle.digest, key.id, revision, b"")
    made = Signature(bundle.digest, key.id, revision, key.sign(plain.signed))
    files = {name: text for name, text in bundle.files.items() if name != SIGNATURE}
    return open_bundle(pack(files | {SIGNATURE: made.to_bytes()}), bundle.source)


def check_plan(bundle: Bundle, use: str) -> None:
    """Compile the policies of a bundle and compare the plan. Raises ``BundleError`` where it is another one."""
    from costlens_policy.saving.files import content_of

    try:
        parse(bundle.files[PLAN])
    except UnusablePlan as error:
        raise BundleError(f"`{bundle.source}` cannot be {use}: {error}; build it again with this version") from error
    plan = bundle.plan()
    said = bundle.manifest
    same = (plan.name, plan.version, plan.policy_digest, plan.catalogue_digest) == (
        said.name, said.version, said.policy_digest, said.catalogue_digest,
    )  # fmt: skip
    if not same or content_of(plan, {}) != bundle.files[PLAN]:
        raise BundleError(f"`{bundle.source}` cannot be {use}: its plan is not that of its policies; build it again")


def public_keys(path: str | os.PathLike[str]) -> list[Ed25519PublicKey]:
    """Read the public keys of a PEM file, one or several. Raises ``InputError``."""
    _ed25519()
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    begin, text = b"-----BEGIN PUBLIC KEY-----", _file(path)
    keys = []
    for part in text.split(begin)[1:]:
        try:
            key = load_pem_public_key(begin + part)
        except (ValueError, TypeError):
            key = None
        if not isinstance(key, _ed25519().Ed25519PublicKey):
            raise InputError(f"`{os.fspath(path)}` has a public key that is not Ed25519")
        keys.append(key)
    if not keys or b"PRIVATE KEY" in text:
        raise InputError(f"`{os.fspath(path)}` must hold public Ed25519 keys in PEM, and nothing else")
    return keys


def id_of_key(key: Ed25519PublicKey) -> str:
    """Return the id of a public key."""
    from cryptography.hazmat.primitives import serialization as forms

    return sha256(key.public_bytes(forms.Encoding.Raw, forms.PublicFormat.Raw)).hexdigest()[:16]


def _ed25519() -> Any:
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError:
        raise InputError("`cryptography` is not installed: pip install 'costlens-policy[bundles]'") from None
    return ed25519


def _file(path: str | os.PathLike[str]) -> bytes:
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise InputError(f"`{os.fspath(path)}` cannot be read: {reason}") from error


def _create(path: str | os.PathLike[str], text: bytes, mode: int) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(handle, "wb") as stream:
            stream.write(text)
    except FileExistsError:
        raise InputError(f"`{os.fspath(path)}` exists; a key is never overwritten") from None
    except OSError as error:
        raise InputError(f"`{os.fspath(path)}` cannot be written: {(error.strerror or str(error)).lower()}") from error
