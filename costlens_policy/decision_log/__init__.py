"""The decision log: each decision with everything needed to make it again, and each charge.

log = DecisionLog("decisions.jsonl")
guard = Guard(load("policies/"), ledger="sqlite:///spend.db", log=log)
log.status.dropped  # how many entries did not fit into the buffer, or could not be written
"""

from __future__ import annotations

from costlens_policy.decision_log.again import Redecided, decide_again, find_entry
from costlens_policy.decision_log.files import JsonLinesFile
from costlens_policy.decision_log.log import DecisionLog, EntrySink, LogStatus
from costlens_policy.engine.mask import Mask
from costlens_policy.observers import ChargedCall, Observer

__all__ = [
    "ChargedCall", "DecisionLog", "EntrySink", "JsonLinesFile", "LogStatus", "Mask", "Observer", "Redecided",
    "decide_again", "find_entry",
]  # fmt: skip
