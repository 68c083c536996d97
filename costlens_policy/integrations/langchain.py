"""LangChain: a chat model whose every answer is decided, held and settled.

A wrapper of chat models, not a callback: LangChain logs what callbacks raise and goes on, so that a callback can refuse
nothing. Needs ``langchain-core``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, convert_to_messages, convert_to_openai_messages
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.utils.function_calling import convert_to_openai_tool

from costlens_policy.errors import CostlensPolicyError
from costlens_policy.frozen import frozen
from costlens_policy.guard import AsyncCall, AsyncGuard, Call, Guard, GuardError
from costlens_policy.guard.guard import CallFacts
from costlens_policy.integrations.identity import check_who, who_asks

__all__ = ["GuardedChatModel"]

_LIMITS: Final = ("max_output_tokens", "max_tokens", "max_completion_tokens")
_UNTRACED: Final[Any] = {"callbacks": []}
"""The model that answers is part of this one's run: as a run of its own, its usage would be traced twice."""
_UNREACHABLE: Final = frozenset({"APIConnectionError", "TransportError", "ConnectionError", "TimeoutError"})
"""Classes of errors, by the names of their bases, after which another model may answer."""


class GuardedChatModel(BaseChatModel):
    """Asks the model that the policies decide on, of those that it is given, as the policies rewrote the messages.

    ``models`` are the chat models by their names in the catalogue; None for one that is passed over as a fallback. Each
    must leave repeating to the guard (``max_retries=0``). ``guard`` is a ``Guard``, or an ``AsyncGuard`` for what is
    awaited. ``model`` is the name that the caller asks for, as ``request.model``. ``asking`` gives attributes of every
    request; the blocks ``asking(…)`` around a call add to them.

    Fallbacks of the decision are asked where one cannot be reached, or answers with 408, 429 or 5xx. Raises
    ``DeniedError``, ``RequestError``, and ``GuardError`` for a model that the policies name and ``models`` lack.
    """

    models: Mapping[str, BaseChatModel | None]
    guard: Any
    model: str | None = None
    asking: Mapping[str, Any] | Callable[[], Mapping[str, Any]] | None = None

    def model_post_init(self, context: Any, /) -> None:
        if not isinstance(self.guard, Guard | AsyncGuard):
            raise GuardError(f"`guard` must be a `Guard` or an `AsyncGuard`, got `{type(self.guard).__name__}`")
        for name, model in self.models.items():
            if getattr(model, "max_retries", 0) != 0:
                raise GuardError(f"the model `{name}` repeats calls unseen; make it with `max_retries=0`")

    @property
    def _llm_type(self) -> str:
        return "costlens-policy"

    def bind_tools(self, tools: Sequence[Any], *, tool_choice: Any = None, **kwargs: Any) -> Any:
        """Bind tools, for whichever model will be asked."""
        if tool_choice is not None:
            kwargs["tool_choice"] = tool_choice
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)

    def _generate(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        asked = _Asked.read(self, messages, stop, kwargs, stream=False)
        while True:
            call, (inner, given, options) = self._open(asked)
            try:
                with call:
                    message = inner.invoke(given, _UNTRACED, **options)
                    call.settle(message)
                return ChatResult(generations=[ChatGeneration(message=message)])
            except Exception as error:
                asked.give_up(call, error)

    def _stream(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        asked = _Asked.read(self, messages, stop, kwargs, stream=True)
        begun = False
        while True:
            call, (inner, given, options) = self._open(asked)
            try:
                with call:
                    for chunk in call.stream(inner.stream(given, _UNTRACED, **options)):
                        begun = True
                        yield ChatGenerationChunk(message=chunk)
                return
            except Exception as error:
                if begun:
                    raise
                asked.give_up(call, error)

    async def _agenerate(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        if isinstance(self.guard, Guard):
            return await super()._agenerate(messages, stop, run_manager, **kwargs)
        asked = _Asked.read(self, messages, stop, kwargs, stream=False)
        while True:
            call, (inner, given, options) = await self._aopen(asked)
            try:
                async with call:
                    message = await inner.ainvoke(given, _UNTRACED, **options)
                    await call.settle(message)
                return ChatResult(generations=[ChatGeneration(message=message)])
            except Exception as error:
                asked.give_up(call, error)

    async def _astream(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        if isinstance(self.guard, Guard):
            async for chunk in super()._astream(messages, stop, run_manager, **kwargs):
                yield chunk
            return
        asked = _Asked.read(self, messages, stop, kwargs, stream=True)
        begun = False
        while True:
            call, (inner, given, options) = await self._aopen(asked)
            try:
                async with call:
                    async for message in call.stream(inner.astream(given, _UNTRACED, **options)):
                        begun = True
                        yield ChatGenerationChunk(message=message)
                return
            except Exception as error:
                if begun:
                    raise
                asked.give_up(call, error)

    def _open(self, asked: _Asked) -> tuple[Call, _Chosen]:
        """Decide and hold an attempt; return it with what to ask. Nothing stays held where nothing can be asked."""
        if not isinstance(self.guard, Guard):
            raise GuardError("an `AsyncGuard` serves `ainvoke` and `astream`; give a `Guard` for `invoke` and `stream`")
        call = self.guard.call(asked.request)
        try:
            return call, asked.choose(self.models, call)
        except BaseException:
            call.release()
            raise

    async def _aopen(self, asked: _Asked) -> tuple[AsyncCall, _Chosen]:
        call: AsyncCall = await self.guard.call(asked.request)
        try:
            return call, asked.choose(self.models, call)
        except BaseException:
            await call.release()
            raise


_Chosen: TypeAlias = tuple[Any, list[BaseMessage], dict[str, Any]]
"""A model, the messages that it gets, and its arguments."""


@frozen(eq=False)
class _Asked:
    """One request: its messages as LangChain has them and as the guard sees them, and what has failed so far."""

    messages: list[BaseMessage]
    request: dict[str, Any]
    options: dict[str, Any]
    """What is passed on as it is: the format of the answer, and words to stop at."""
    failed: dict[str, Exception]

    @classmethod
    def read(
        cls, model: GuardedChatModel, messages: list[BaseMessage], stop: Any, given: dict[str, Any], *, stream: bool
    ) -> _Asked:
        params = {name: value for name, value in given.items() if value is not None and not name.startswith("ls_")}
        request: dict[str, Any] = {"messages": convert_to_openai_messages(messages), "stream": stream}
        if "tools" in params:
            request["tools"] = params.pop("tools")
        options: dict[str, Any] = {"stop": stop} if stop else {}
        if (form := params.pop("response_format", None)) is not None:
            options["response_format"] = form
            request["response_format"] = {"type": "json_schema"} if isinstance(form, type) else form
        if params:
            request["params"] = params
        if model.model is not None:
            request["model"] = model.model
        who = who_asks(model.asking)
        check_who(who)
        return cls(messages, {**request, **who}, options, {})

    def choose(self, models: Mapping[str, BaseChatModel | None], call: CallFacts) -> _Chosen:
        """Move a call to the first of its models that has not failed; return it, its messages and its arguments.

        Messages that no policy changed are given as they came, with what LangChain alone knows of them. Raises what
        the last model failed with where there is none, ``GuardError`` where a model is not among the given ones.
        """
        _check_given(models, call)
        left = (name for name in (call.model, *call.fallbacks) if name not in self.failed and models[name] is not None)
        name = next(left, None)
        if name is None:
            raise list(self.failed.values())[-1]
        call.use(name)
        inner: Any = models[name]
        params = call.params_for("openai-chat")
        params["max_tokens"] = next(params.pop(name) for name in _LIMITS if name in params)
        if call.tools:
            choice = {"tool_choice": params.pop("tool_choice")} if "tool_choice" in params else {}
            inner = inner.bind_tools(list(call.tools), **choice)
        messages = call.messages_for("openai-chat")
        same = messages == self.request["messages"]
        return inner, self.messages if same else convert_to_messages(messages), {**params, **self.options}

    def give_up(self, call: CallFacts, error: Exception) -> None:
        """Note that a model failed. Raises the error where no other one is left, or would do better."""
        self.failed[call.model] = error
        bases = {base.__name__ for base in type(error).__mro__}
        status = getattr(error, "status_code", None)
        unavailable = bool(bases & _UNREACHABLE) or (
            isinstance(status, int) and (status in (408, 429) or status >= 500)
        )
        listed = {call.decision.model, *call.fallbacks}
        if isinstance(error, CostlensPolicyError) or not unavailable or listed <= self.failed.keys():
            raise error


def _check_given(models: Mapping[str, BaseChatModel | None], call: CallFacts) -> None:
    """Raise ``GuardError`` for a model that nobody gave: a fallback is not lost in silence."""
    if models.get(call.model) is None:
        raise GuardError(f"the policies decide on `{call.model}`, which is not among `models`")
    for name in call.fallbacks:
        if name not in models:
            raise GuardError(
                f"the policies list the fallback `{name}`, which is not among `models`; None passes it over"
            )
