"""Stores of objects by their URLs: S3, Google Cloud Storage, Azure, and what ``obstore`` knows besides."""

from __future__ import annotations

import os
from datetime import timedelta
from importlib.util import find_spec
from typing import Any, Final

from costlens_policy.errors import InputError

__all__ = ["open_store", "problem_of"]

_RETRIES: Final = 2


def open_store(url: str, timeout: float, options: dict[str, Any] | None = None, name: str = "") -> Any:
    """Open the store at a URL such as ``s3://bucket/folder/``, for what an error calls ``name``.

    ``options`` are those of ``obstore.store.from_url``; by default credentials, a region and an endpoint come from the
    environment, as the store's own tools read them, and for S3 from the profiles of ``boto3`` where that is installed.
    ``timeout`` is in seconds, for each of at most three attempts: by its own, a store tries for three minutes. Takes
    the extra ``objects``. Raises ``InputError``.
    """
    try:
        from obstore.store import from_url
    except ImportError:
        raise InputError("`obstore` is not installed: pip install 'costlens-policy[objects]'") from None
    given, limit = dict(options or {}), timedelta(seconds=timeout)
    client = {"timeout": limit, "connect_timeout": limit, **_http_of(given), **(given.get("client_options") or {})}
    retries = given.get("retry_config") or {"max_retries": _RETRIES, "retry_timeout": limit * (_RETRIES + 1)}
    given |= {"client_options": client, "retry_config": retries, **_profile_of(url, given)}
    try:
        return from_url(url, **given)
    except BaseException as error:
        raise problem_of(error, f"`{name or url}` cannot be opened") from error


def _http_of(options: dict[str, Any]) -> dict[str, Any]:
    """Return what allows an endpoint without TLS, such as one on this machine, where one is named."""
    named = str(options.get("endpoint") or os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("AWS_ENDPOINT") or "")
    return {"allow_http": True} if named.startswith("http://") else {}


def _profile_of(url: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return the credentials of a profile, for S3 where nothing else gives any."""
    known = "access_key_id" in options or "credential_provider" in options or options.get("skip_signature")
    if not url.startswith(("s3://", "s3a://")) or known or os.environ.get("AWS_ACCESS_KEY_ID"):
        return {}
    if find_spec("boto3") is None:
        return {}
    from obstore.auth.boto3 import Boto3CredentialProvider

    return {"credential_provider": Boto3CredentialProvider()}


def problem_of(error: BaseException, what: str) -> BaseException:
    """Return what to raise for an error: each store has its own, and options that none knows are a panic of Rust."""
    if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
        return error
    return InputError(f"{what}: {next(iter(str(error).splitlines()), '') or type(error).__name__}")
