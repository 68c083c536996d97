"""Alerts: raised once, delivered at least once."""

from __future__ import annotations

from datetime import timedelta

import pytest

from costlens_policy.ledger import AlertClaim, AmountError, Store
from tests.ledger.build import LEASE, NOW

CLAIM = AlertClaim("teams/monthly", "research", "month:2026-11-01:UTC", "0.8", {"text": "80 % are spent", "n": [1]})


def test_one_claimer_for_each_budget_key_period_and_threshold(store: Store) -> None:
    others = [
        AlertClaim("teams/daily", "research", CLAIM.period, "0.8"),
        AlertClaim(CLAIM.budget, "ops", CLAIM.period, "0.8"),
        AlertClaim(CLAIM.budget, "research", "month:2026-12-01:UTC", "0.8"),
        AlertClaim(CLAIM.budget, "research", CLAIM.period, "1"),
    ]
    for claim in (CLAIM, *others):
        assert store.claim_alert(claim, NOW, LEASE)
    for claim in (CLAIM, *others):
        assert not store.claim_alert(claim, NOW, LEASE)


def test_a_claimer_that_dies_leaves_the_alert_to_another(store: Store) -> None:
    store.claim_alert(CLAIM, NOW, LEASE)
    assert store.pending_alerts(NOW + LEASE - timedelta(microseconds=1), LEASE) == ()
    (pending,) = store.pending_alerts(NOW + LEASE, LEASE)
    assert (pending.claim, pending.claimed_at, pending.attempts, pending.problem) == (CLAIM, NOW, 1, "")
    assert store.pending_alerts(NOW + LEASE, LEASE) == (), "it was taken"
    (again,) = store.pending_alerts(NOW + 2 * LEASE, LEASE)
    assert again.attempts == 2


def test_a_delivered_alert_is_never_pending_and_never_claimed_again(store: Store) -> None:
    store.claim_alert(CLAIM, NOW, LEASE)
    store.alert_delivered(CLAIM, NOW)
    assert store.pending_alerts(NOW + 9 * LEASE, LEASE) == ()
    assert not store.claim_alert(CLAIM, NOW + 9 * LEASE, LEASE)
    store.alert_failed(CLAIM, NOW, "too late to fail")
    assert store.pending_alerts(NOW + 9 * LEASE, LEASE) == ()


def test_a_failed_delivery_is_tried_again_when_it_says(store: Store) -> None:
    store.claim_alert(CLAIM, NOW, LEASE)
    store.alert_failed(CLAIM, NOW + timedelta(seconds=5), "the webhook answered 503")
    assert store.pending_alerts(NOW + timedelta(seconds=4), LEASE) == ()
    (pending,) = store.pending_alerts(NOW + timedelta(seconds=5), LEASE)
    assert pending.problem == "the webhook answered 503"


def test_pending_alerts_are_taken_the_oldest_first_up_to_a_number(store: Store) -> None:
    claims = [AlertClaim("b", str(number), "lifetime", "1") for number in range(5)]
    for number, claim in enumerate(claims):
        store.claim_alert(claim, NOW + timedelta(seconds=number), LEASE)
    late = NOW + 2 * LEASE
    assert [alert.claim.key for alert in store.pending_alerts(late, LEASE, 2)] == ["0", "1"]
    assert [alert.claim.key for alert in store.pending_alerts(late, LEASE, 9)] == ["2", "3", "4"]


def test_alerts_that_nobody_claimed_are_left_alone(store: Store) -> None:
    store.alert_delivered(CLAIM, NOW)
    store.alert_failed(CLAIM, NOW, "never there")
    assert store.pending_alerts(NOW, LEASE) == ()
    assert store.claim_alert(CLAIM, NOW, LEASE)


def test_names_that_no_store_can_keep_are_refused() -> None:
    with pytest.raises(AmountError, match="control character"):
        AlertClaim("a\x1fb", "", "lifetime", "1")
    with pytest.raises(AmountError, match="the name of an alert"):
        AlertClaim("a", "\x00", "lifetime", "1")
