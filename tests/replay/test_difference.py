"""What a change of policy does, group by group."""

from __future__ import annotations

from decimal import Decimal

from costlens_policy.replay import Settings
from costlens_policy.replay.difference import diff
from costlens_policy.replay.settings import assumptions
from costlens_policy.replay.tables import Summary, difference_tables, difference_verdict, markdown
from tests.replay.conftest import call

CHEAP = "routes:\n  - {id: cheap, model: small}\n"
CLOSED = "access:\n  - {id: closed, when: '!(\"open\" in request.?tags.orValue([]))', effect: deny, reason: closed}\n"


def test_another_model(plan_of, traffic_of):
    old, new = plan_of(), plan_of(CHEAP, "new")
    difference = diff(old, new, traffic_of(old, [call(), call("10:00:01")]), Settings())
    assert (difference.changed, difference.delta, difference.increase) == (2, Decimal("-0.012"), Decimal("-0.8"))
    ((sides, group),) = difference.groups.items()
    assert [(side.rule, side.model, side.effect) for side in sides] == [
        ("default", "large", "allow"), ("p/cheap", "small", "allow"),
    ]  # fmt: skip
    assert (group.requests, group.delta, len(group.examples)) == (2, Decimal("-0.012"), 2)
    assert list(difference.causes) == ["another model"]


def test_a_rule_of_another_name_costs_nothing(plan_of, traffic_of):
    old, new = plan_of(CHEAP, "old"), plan_of(CHEAP.replace("cheap", "renamed"), "new")
    traffic = traffic_of(old, [call()])
    difference = diff(old, new, traffic, Settings())
    assert (difference.changed, difference.delta) == (1, 0)
    assert list(difference.causes) == ["same model by another rule"]


def test_denials_and_the_way_back(plan_of, traffic_of):
    old, new = plan_of(), plan_of(CLOSED, "new")
    traffic = traffic_of(old, [call()])
    assert (diff(old, new, traffic, Settings()).newly_denied, diff(new, old, traffic, Settings()).newly_allowed) == (
        1,
        1,
    )
    back = diff(new, old, traffic, Settings())
    assert back.increase is None, "from nothing"
    assert back.worst[0].delta == Decimal("0.0075")


def test_equal_policies_differ_in_nothing(plan_of, traffic_of):
    plan = plan_of()
    rows = [call(f"10:00:{second:02}", session="s", prompt_tokens=5_000 + second) for second in range(20)]
    difference = diff(plan, plan, traffic_of(plan, rows), Settings())
    assert (difference.changed, difference.delta, difference.groups, difference.causes) == (0, 0, {}, {})
    assert list(difference_tables(difference)) == []


def test_prices_that_get_lost_are_no_saving(plan_of, traffic_of):
    old, new = plan_of(), plan_of("routes:\n  - {id: r, model: free-of-price}\n", "new")
    difference = diff(old, new, traffic_of(old, [call()]), Settings())
    assert (difference.unpriced, difference.newly_unpriced, difference.delta) == (1, 1, 0)


def test_markdown_cannot_be_broken_out_of(plan_of, traffic_of):
    old, new = plan_of(), plan_of(CLOSED.replace("reason: closed", "reason: '| <b>@everyone</b> `x`'"), "new")
    difference = diff(old, new, traffic_of(old, [call()]), Settings())
    tables = difference_tables(difference)
    text = markdown(Summary("Change", difference_verdict(difference), tables, [], assumptions(Settings())))
    assert "<b>" not in text
    assert "@everyone" not in text
    assert "1 newly denied" in text
    widths = {line.replace("\\|", "").count("|") for line in text.splitlines() if line.startswith("| ")}
    assert widths <= {4, 5, 6}
