"""A refusal as LiteLLM passes it on to the client."""

from __future__ import annotations

from typing import Any, Final

from costlens_policy.errors import CostlensPolicyError
from costlens_policy.integrations.refusals import Refusal, refusal_of

__all__ = ["RefusedError", "refused_in"]

_UNKNOWN: Final = Refusal(500, "api_error", "policy_error", "the policies could not be applied; see the gateway's log")
_DEEPEST: Final = 20


class RefusedError(Exception):
    """A request or an attempt that the policies do not allow. ``reason`` is the error of this package.

    LiteLLM's router reads ``status_code`` to know that another attempt is useless.
    """

    def __init__(self, reason: CostlensPolicyError) -> None:
        super().__init__(str(reason))
        self.reason = reason
        self.refusal: Final = refusal_of(reason) or _UNKNOWN
        self.status_code: Final = self.refusal.status

    def to_http(self) -> Any:
        """Return what LiteLLM's proxy answers with: its body has the refusal under ``provider_specific_fields``."""
        from fastapi import HTTPException  # the proxy has it, and the SDK need not

        refusal = self.refusal
        return HTTPException(refusal.status, refusal.body["error"], dict(refusal.headers))


def refused_in(error: BaseException | None) -> RefusedError | None:
    """Return the refusal that an error is, or was raised for."""
    for _ in range(_DEEPEST):
        if error is None or isinstance(error, RefusedError):
            return error
        error = error.__cause__ or error.__context__
    return None
