"""The handle of one call, for code that waits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, TypeVar

from costlens_policy.engine.decision import Decision
from costlens_policy.guard.held_call import HeldCall
from costlens_policy.guard.outcome import Charged
from costlens_policy.guard.streams import StreamMeter
from costlens_policy.guard.streams.meter import Ending
from costlens_policy.guard.unwrapping import check_not_over, close_stream, opened

__all__ = ["Call", "CallFacts"]

_Chunk = TypeVar("_Chunk")


class CallFacts:
    """What to send, for the model in use."""

    def __init__(self, held: HeldCall) -> None:
        self._held = held

    def __repr__(self) -> str:
        return f"{type(self).__name__}(id={self.id!r}, model={self.model!r}, {self._held.state})"

    @property
    def id(self) -> str:
        """The id of the call: asked for again with it, the guard gives the same hold."""
        return self._held.asked.id

    @property
    def decision(self) -> Decision:
        return self._held.decision

    @property
    def model(self) -> str:
        """The model in use: the decided one, or the fallback that ``use`` moved to."""
        return self._held.sending.model

    @property
    def provider(self) -> str | None:
        """The provider of the model in use, where the catalogue names it."""
        return self._held.sending.provider

    @property
    def fallbacks(self) -> tuple[str, ...]:
        """Models for the case that the call fails, in order."""
        return self._held.decision.fallbacks

    @property
    def prompt(self) -> str | None:
        """The prompt as the policies rewrote it; None for a request with messages."""
        return self._held.sending.content.prompt

    @property
    def system(self) -> str | None:
        """The system text that the policies gave to a request with a prompt."""
        return self._held.sending.content.system

    @property
    def messages(self) -> Any:
        """The messages in the guard's dialect, system text included; a prompt is one message of the user."""
        return self._held.sending.spoken(None).messages

    @property
    def params(self) -> dict[str, Any]:
        """All other parameters of the policies in the guard's dialect, the output limit among them."""
        return self._held.sending.spoken(None).params

    @property
    def arguments(self) -> dict[str, Any]:
        """Model, messages and parameters in one, as the SDK of the guard's dialect takes them."""
        return self.arguments_for(None)

    @property
    def charged(self) -> Charged | None:
        """The charge, once the call is settled."""
        return self._held.charged

    @property
    def expires_at(self) -> datetime | None:
        """When the hold ends by itself; None where nothing is held in a ledger."""
        return self._held.expires_at

    def messages_for(self, dialect: str) -> Any:
        return self._held.sending.spoken(dialect).messages

    def params_for(self, dialect: str) -> dict[str, Any]:
        return self._held.sending.spoken(dialect).params

    def arguments_for(self, dialect: str | None) -> dict[str, Any]:
        spoken = self._held.sending.spoken(dialect)
        return {**spoken.params, spoken.model_name: self.model, spoken.messages_name: spoken.messages}

    def use(self, model: str) -> None:
        """Move to another model that the decision lists: what to send is then what was rewritten for that one.

        Raises ``GuardError`` for a model that it does not list.
        """
        self._held.sending.use(model)

    def add(self, usage: Any, *, model: str | None = None, shape: str | None = None) -> None:
        """Count the usage of an attempt that failed and was charged by its provider nevertheless.

        It goes on top of what the call is settled with. Raises ``GuardError`` for what is no usage.
        """
        self._held.add(usage, model, shape)


class Call(CallFacts):
    """A call whose worst case is held. As a context manager it gives back what is not settled at its end."""

    def settle(
        self,
        response: Any = None,
        *,
        model: str | None = None,
        output_text: str | Iterable[str] | None = None,
        shape: str | None = None,
    ) -> Charged:
        """Charge the call, once; asked again, the first charge is returned.

        ``response`` is the usage that the provider reports, or the response that carries it; ``shape`` names its
        shape where that cannot be told. ``model`` is who answered, where that is not the model in use. Without usage,
        ``output_text`` (one text for each answer) estimates it; without either, all that was held is charged. The
        charge says which of the three it is. Nothing raises for a usage that cannot be read: it counts as none.
        """
        return self._held.settle(response, model, output_text, shape)

    def release(self) -> None:
        """Give back what is held: the provider has not charged for the call. A settled call stays settled."""
        self._held.release()

    def extend(self, lease: timedelta | None = None) -> None:
        """Let the lease begin anew, for a call that takes longer than it. Raises ``LedgerUnavailableError``."""
        self._held.extend(lease)

    def stream(self, chunks: Iterable[_Chunk]) -> Iterator[_Chunk]:
        """Pass on the chunks of a streamed response, then settle the call with the usage that came with them.

        Read it within the block of the call; its end charges what had arrived, and closes the stream. The lease is
        extended on the way. A stream that is not understood, or that ends without its usage, is charged at its worst;
        one that is cut short by what arrived. See ``docs/guard.md``. Raises ``GuardError`` once the call is settled.
        """
        return self._passed_on(chunks, self._held.open_stream(chunks))

    def _passed_on(self, chunks: Iterable[_Chunk], meter: StreamMeter) -> Iterator[_Chunk]:
        ending: Ending = "ended"
        try:
            with opened(chunks) as source:
                for chunk in source:
                    meter.see(chunk)
                    self._held.extend_in_time()
                    yield chunk
                    check_not_over(meter)
        except Exception:
            ending = "failed"
            raise
        except BaseException:  # the reader has left
            ending = "left"
            raise
        finally:
            self._held.end_stream(meter, ending)

    def __enter__(self) -> Call:
        self._held.enter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._held.leave(error)
        for source in self._held.open_sources:
            close_stream(source)
