"""The suite of laws that every store obeys, for whoever writes one. It needs pytest and hypothesis.

A subclass of ``StoreLaws`` with a fixture ``store`` is a test class: each test gets a ledger that nobody has used::

    class TestMyStore(StoreLaws):
        @pytest.fixture
        def store(self) -> Iterator[Store]:
            store = open_ledger(f"mine://127.0.0.1/{uuid4()}")
            yield store
            store.close()

The fixture may also stand in the module or in ``conftest.py``. The stores of this package are tested by the same class.
A law that is overridden in the subclass is not tested, so that what a store does not promise is written down there.
What the suite cannot know is the store's own to test: that other processes may be killed at any time, that what was
acknowledged survives, and what is reported when a server is gone.
"""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(
    *(f"{__name__}.{module}" for module in ("calls", "carrying", "records", "sequences", "shares", "sums", "windows"))
)

from costlens_policy.ledger.laws.calls import LeaseLaws, ReserveLaws, SettleLaws, VoidLaws  # noqa: E402
from costlens_policy.ledger.laws.carrying import CarryLaws  # noqa: E402
from costlens_policy.ledger.laws.records import AdjustmentLaws, AlertLaws, ApprovalLaws, HistoryLaws  # noqa: E402
from costlens_policy.ledger.laws.sequences import SequenceLaws, ThreadLaws  # noqa: E402
from costlens_policy.ledger.laws.shares import ShareLaws  # noqa: E402
from costlens_policy.ledger.laws.sums import ExactnessLaws, RollingLaws  # noqa: E402
from costlens_policy.ledger.laws.windows import FirstUseLaws  # noqa: E402

__all__ = [
    "AdjustmentLaws", "AlertLaws", "ApprovalLaws", "CarryLaws", "ExactnessLaws", "FirstUseLaws", "HistoryLaws",
    "LeaseLaws", "ReserveLaws", "RollingLaws", "SequenceLaws", "SettleLaws", "ShareLaws", "StoreLaws", "ThreadLaws",
    "VoidLaws",
]  # fmt: skip


class StoreLaws(
    ReserveLaws, VoidLaws, SettleLaws, LeaseLaws, HistoryLaws, AdjustmentLaws, ApprovalLaws, AlertLaws, RollingLaws,
    FirstUseLaws, CarryLaws, ShareLaws, ExactnessLaws, SequenceLaws, ThreadLaws,
):  # fmt: skip
    """All laws, for a fixture ``store``."""
