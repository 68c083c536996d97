"""What the specification itself says of strings: UTF-8, size, and looking for a part."""

from __future__ import annotations

from costlens_policy.expressions.runtime.errors import BAD_CONVERSION, CelError
from costlens_policy.expressions.runtime.implementations import implements

__all__ = ["utf8"]


@implements("string_to_bytes")
def utf8(text: str) -> bytes:
    """Return a string as UTF-8. Raises CelError for half of a surrogate pair, which JSON can smuggle in."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise CelError(BAD_CONVERSION, "the text holds half of a surrogate pair") from None


@implements("contains_string")
def contains(text: str, part: str) -> bool:
    return part in text


@implements("starts_with_string")
def starts_with(text: str, prefix: str) -> bool:
    return text.startswith(prefix)


@implements("ends_with_string")
def ends_with(text: str, suffix: str) -> bool:
    return text.endswith(suffix)
