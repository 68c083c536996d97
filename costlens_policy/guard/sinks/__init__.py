"""Where events can go. A sink is any function of an event; these are the usual ones."""

from __future__ import annotations

from costlens_policy.guard.sinks.json_lines import JsonLinesSink
from costlens_policy.guard.sinks.log import LoggingSink
from costlens_policy.guard.sinks.webhook import WebhookSink, sign

__all__ = ["JsonLinesSink", "LoggingSink", "WebhookSink", "sign"]
