"""The encoders extension."""

from __future__ import annotations

from costlens_policy.expressions.notation import function

__all__ = ["FUNCTIONS"]

FUNCTIONS = (
    function("base64.decode", "bytes from base64 text", base64_decode_string="(string) -> bytes"),
    function("base64.encode", "base64 text of bytes", base64_encode_bytes="(bytes) -> string"),
)
