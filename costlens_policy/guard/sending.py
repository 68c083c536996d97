"""What to send: the request as it was rewritten for the model in use, in the words of its provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from costlens_policy.engine.decision import Call, Decision, Estimate
from costlens_policy.guard.dialects import Spoken, speak
from costlens_policy.guard.errors import GuardError

__all__ = ["Sending"]


class Sending:
    """The request of a decision. ``model`` is the one in use."""

    __slots__ = ("_dialect", "decision", "ignores_names", "model")

    def __init__(self, decision: Decision, dialect: str, *, ignores_names: bool = False) -> None:
        assert decision.model is not None, "what is held was allowed"
        self.model: str = decision.model
        self.decision: Final = decision
        self._dialect: Final = dialect
        self.ignores_names: Final = ignores_names
        """Whether what a response says about its model means nothing."""

    @property
    def listed(self) -> tuple[str, ...]:
        """The models that the call may use, in order."""
        assert self.decision.model is not None, "what is held was allowed"
        return (self.decision.model, *self.decision.fallbacks)

    @property
    def content(self) -> Decision | Call:
        """The request as it is to be sent to the model in use."""
        return self._content_for(self.model)

    @property
    def estimate(self) -> Estimate:
        return self.estimate_of(self.model)

    def estimate_of(self, model: str) -> Estimate:
        """Return what was estimated for a listed model."""
        estimate = self._content_for(model).estimate
        assert estimate is not None, "what is held was allowed"
        return estimate

    @property
    def provider(self) -> str | None:
        """Who serves the model in use, where the catalogue names it."""
        model = self.decision.plan.catalogue.find(self.model)
        return None if model is None else model.provider

    def may_reason(self, name: str) -> bool:
        """Return whether a model may think before it answers: it can, or the catalogue does not say what it can do."""
        model = self.decision.plan.catalogue.find(name)
        return model is None or model.capabilities is None or "reasoning" in model.capabilities

    def _content_for(self, model: str) -> Decision | Call:
        if model == self.decision.model:
            return self.decision
        return next(call for call in self.decision.fallback_calls if call.model == model)

    def use(self, model: str) -> None:
        """Move to a listed model. Raises ``GuardError`` for another one."""
        name = self._own_name(model)
        if name not in self.listed:
            names = ", ".join(f"`{item}`" for item in self.listed)
            raise GuardError(f"`{model}` is not among the models that this call may use: {names}")
        self.model = name

    def spoken(self, dialect: str | None) -> Spoken:
        """Return the request in a dialect, the guard's own where none is named. Raises ``GuardError``."""
        content = self.content
        return speak(dialect or self._dialect, content.prompt, content.system, content.messages, content.params)

    def answered_by(self, model: str | None, response: Any, *, in_use: str | None = None) -> str:
        """Return who answered: the model that was named, a listed one that the response names, or the one in use.

        ``in_use`` is the one that was in use then, where that may be another than now.
        """
        if model is not None:
            return self._own_name(model)
        if self.ignores_names:
            return in_use or self.model
        try:
            is_mapping = type(response) is dict or isinstance(response, Mapping)
            said = response.get("model") if is_mapping else getattr(response, "model", None)
        except Exception:  # what an object of an SDK does when it is read is not known; its usage is charged or assumed
            said = None
        if isinstance(said, str) and (name := self._own_name(said)) in self.listed:
            return name
        return in_use or self.model  # named in the provider's own spelling

    def _own_name(self, model: object) -> str:
        name = model if isinstance(model, str) else str(model)  # what is no name is no model of the catalogue
        known = self.decision.plan.catalogue.find(name)
        return name if known is None else known.name
