"""The encoders extension: base64."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from costlens_policy.expressions.runtime.errors import BAD_CONVERSION, CelError
from costlens_policy.expressions.runtime.implementations import implements
from costlens_policy.expressions.runtime.limits import check_size

__all__: list[str] = []

_BASE64: Final = re.compile(r"[A-Za-z0-9+/]*={0,2}", re.ASCII)


@implements("base64_decode_string")
def decode(text: str) -> bytes:
    """Read base64 of the standard alphabet, with or without its padding. Raises CelError."""
    bare = text.rstrip("=")
    if _BASE64.fullmatch(text) and (bare == text or len(text) % 4 == 0):
        try:
            return base64.b64decode(f"{bare}{'=' * (-len(bare) % 4)}")
        except binascii.Error:
            pass  # a lone last digit
    raise CelError(BAD_CONVERSION, "the text is not base64")


@implements("base64_encode_bytes")
def encode(value: bytes) -> str:
    check_size(len(value) * 4 // 3)
    return base64.b64encode(value).decode("ascii")
