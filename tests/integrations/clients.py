"""Bare clients of the SDKs for a provider of this machine, policies for them, and what they cost."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import anthropic
import openai

from costlens_policy import Guard
from tests.guard.company import TEAM
from tests.integrations.provider import FaultyProvider

__all__ = ["FULL", "ROOMY", "async_bare", "bare", "cost_of", "spent"]

ROOMY: Final = TEAM.replace("hard_limit_usd: 0.01", "hard_limit_usd: 1")
FULL: Final = TEAM.replace("hard_limit_usd: 0.01", "hard_limit_usd: 0.000001")
_RATES: Final = {"nano": (1, 2), "mini": (2, 8), "thinker": (1, 2)}


def bare(sdk: str, provider: FaultyProvider, **options: Any) -> Any:
    module: Any = openai if sdk == "openai" else anthropic
    kind = openai.OpenAI if sdk == "openai" else anthropic.Anthropic
    http = module.DefaultHttpxClient(verify=False)  # reading the certificates of the system takes a tenth of a second
    return kind(**{"api_key": "none", "base_url": provider.url, "max_retries": 0, "http_client": http, **options})


def async_bare(sdk: str, provider: FaultyProvider, **options: Any) -> Any:
    module: Any = openai if sdk == "openai" else anthropic
    kind = openai.AsyncOpenAI if sdk == "openai" else anthropic.AsyncAnthropic
    http = module.DefaultAsyncHttpxClient(verify=False)
    return kind(**{"api_key": "none", "base_url": provider.url, "max_retries": 0, "http_client": http, **options})


def cost_of(provider: FaultyProvider) -> Decimal:
    """Return what the provider would bill for what it served."""
    micros = sum(_RATES[item.model][0] * item.input + _RATES[item.model][1] * item.output for item in provider.served)
    return Decimal(micros) / 1_000_000


def spent(guard: Guard) -> tuple[Decimal, Decimal]:
    """Return what all keys have used and what is held for them."""
    spends = guard.spend()
    return sum((item.used for item in spends), Decimal(0)), sum((item.held for item in spends), Decimal(0))
