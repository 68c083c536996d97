"""Why a rewrite cannot be carried out."""

from __future__ import annotations

from typing import Final

from costlens_policy.errors import CostlensPolicyError

__all__ = ["BAD_SHAPE", "NOT_A_NUMBER", "NOT_A_TEXT", "NOT_FINISHED", "RewriteError"]

NOT_A_NUMBER: Final = "CL951"
BAD_SHAPE: Final = "CL952"
NOT_A_TEXT: Final = "CL953"
NOT_FINISHED: Final = "CL954"


class RewriteError(CostlensPolicyError):
    """A rewrite cannot be carried out, so the request must not be sent as it is. ``code`` is one of CL951 to CL954."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
