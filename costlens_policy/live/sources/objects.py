"""A bundle in an object store: S3, Google Cloud Storage, Azure and what ``obstore`` knows besides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from costlens_policy.bundles.archive import MAX_BYTES
from costlens_policy.errors import InputError
from costlens_policy.live.sources.packed import BundleSource, Packed
from costlens_policy.object_stores import open_store, problem_of

if TYPE_CHECKING:
    from costlens_policy.bundles import Trust

__all__ = ["ObjectSource"]


class ObjectSource(BundleSource):
    """The policies of a bundle at a URL such as ``s3://bucket/policies.bundle``, ``gs://…`` or ``az://…``.

    ``options`` are those of ``obstore.store.from_url``: credentials, a region, an endpoint; by default they come from
    the environment, as the store's own tools read them. ``timeout`` is in seconds, for each of at most three attempts.
    Takes the extra ``objects``. Raises ``InputError``.
    """

    def __init__(self, url: str, *, trust: Trust | None = None, timeout: float = 10.0, **options: Any) -> None:
        super().__init__(_ObjectTransport(url, timeout, options), trust)


class _ObjectTransport:
    def __init__(self, url: str, timeout: float, options: dict[str, Any]) -> None:
        folder, _, self._key = url.rpartition("/")
        if not urlsplit(url).scheme or not self._key:
            raise InputError(
                f"a bundle in an object store must have a URL such as `s3://bucket/policies.bundle`, got `{url}`"
            )
        self.name: Final = url
        self._store: Any = open_store(f"{folder}/", timeout, options, name=url)

    def get(self, tag: str) -> Packed | None:
        from obstore.exceptions import NotModifiedError

        try:
            answer = self._store.get(self._key, options={"if_none_match": tag} if tag else None)
            if answer.meta["size"] > MAX_BYTES:
                raise InputError(f"`{self.name}` is larger than {MAX_BYTES // 1024**2} MiB")
            return Packed(answer.meta.get("e_tag") or "", bytes(answer.bytes()))
        except NotModifiedError:
            return None
        except InputError:
            raise
        except BaseException as error:
            raise problem_of(error, f"`{self.name}` cannot be fetched") from error
