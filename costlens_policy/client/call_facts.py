"""A call that the service holds, without the asking: what was reserved, and what to send to the model in use."""

from __future__ import annotations

from typing import Any, Final

import costlens_policy.client.wire as wire

__all__ = ["ServiceCallFacts"]


class ServiceCallFacts:
    """What the service decided and holds. ``charged`` is the charge, once the call is settled."""

    def __init__(self, reserved: wire.Reserved) -> None:
        self.reserved: Final = reserved
        self.charged: wire.Charge | None = None
        self._used: wire.Call = reserved.decision.calls[0]
        self._released = False

    @property
    def id(self) -> str:
        return self.reserved.id

    @property
    def decision(self) -> wire.Decided:
        return self.reserved.decision

    @property
    def model(self) -> str:
        """The model in use: the decided one, or the fallback that ``use`` moved to."""
        return self._used.model

    @property
    def prompt(self) -> str | None:
        return self._used.prompt

    @property
    def messages(self) -> list[Any] | None:
        return self._used.messages

    @property
    def params(self) -> dict[str, Any]:
        return self._used.params

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of the SDK whose dialect was asked for; none where none was."""
        return self._used.arguments or {}

    def use(self, model: str) -> None:
        """Move to another model that the decision lists. Raises ``ValueError`` for one that it does not."""
        found = next((item for item in self.decision.calls if item.model == model), None)
        if found is None:
            names = ", ".join(f"`{item.model}`" for item in self.decision.calls)
            raise ValueError(f"`{model}` is not among the models that this call may use: {names}")
        self._used = found

    @property
    def _is_held(self) -> bool:
        """Whether there is something to settle or to give back."""
        return self.charged is None and not self._released
