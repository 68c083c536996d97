"""What ``deploy/`` has: that it names what there is. ``tests/integration/deploy`` asks the programs that read it."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from itertools import combinations

import pytest
import yaml

from costlens_policy.cli.commands.serve import command as serve
from tests.conftest import ROOT
from tests.guard.company import REQUEST, TEAM, write_company

DEPLOY = ROOT / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana" / "costlens-policy.json").read_text())
RULES = yaml.safe_load((DEPLOY / "prometheus" / "costlens-policy.rules.yaml").read_text())["groups"][0]["rules"]
EXPRESSIONS = {
    **{f"{panel['title']}/{item['refId']}": item["expr"] for panel in DASHBOARD["panels"] for item in panel["targets"]},
    **{rule["alert"]: rule["expr"] for rule in RULES},
}
_SELECTOR = re.compile(r"(costlens_policy_\w+)(?:\{(.*?)\})?")
_ADDED = {"instance", "job"}
"""Labels that Prometheus adds to each metric."""


@pytest.fixture(scope="module")
def metrics(tmp_path_factory) -> dict[str, set[str]]:
    """Return the labels of each series of a service that has decided, held, charged, alerted and reloaded."""
    if not all(map(importlib.util.find_spec, ("msgspec", "prometheus_client", "uvicorn"))):
        pytest.skip("the extra `serve` is not installed")
    from prometheus_client.parser import text_string_to_metric_families

    from tests.service.asking import Asked

    folder = tmp_path_factory.mktemp("deploy")
    write_company(folder / "policies", TEAM)
    with Asked(folder / "policies") as asked:
        asked.post("/v1/reserve", {"request": REQUEST, "id": "job"})
        asked.post("/v1/settle", {"id": "job", "usage": {"prompt_tokens": 1000, "completion_tokens": 100}})
        assert asked.post("/v1/reserve", {"request": REQUEST | {"max_output_tokens": 90_000}}).status == 402
        application = asked.application
        application._metrics.turned_away()
        application._metrics.log_dropped(1)
        asked.loop.run_until_complete(application._serving.guard.flush())
        text = asked.get("/metrics").body.decode()
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def _selected(expression: str) -> Iterator[tuple[str, set[str]]]:
    for name, matchers in _SELECTOR.findall(expression):
        yield name, set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))


@pytest.mark.parametrize("title", EXPRESSIONS)
def test_expressions_name_metrics_and_labels_that_there_are(metrics, title):
    expression = EXPRESSIONS[title]
    selected = list(_selected(expression))
    assert selected
    for name, labels in selected:
        assert name in metrics, name
        assert labels <= metrics[name] | _ADDED, name
        for group in re.findall(r"by \((.*?)\)", expression):
            assert set(group.split(", ")) <= metrics[name] | _ADDED, group


def test_every_metric_is_shown(metrics):
    shown = {name for expression in EXPRESSIONS.values() for name, _ in _selected(expression)}
    plain = {name for name in metrics if not name.endswith(("_created", "_count", "_sum"))}
    assert shown == plain


def test_texts_name_labels_that_are_left(metrics):
    for panel in DASHBOARD["panels"]:
        for item in panel["targets"]:
            groups = re.findall(r"by \((.*?)\)", item["expr"])
            left = set(groups[0].split(", ")) if groups else set()
            assert set(re.findall(r"{{(\w+)}}", item["legendFormat"])) <= left, panel["title"]
    for rule in RULES:
        left = set(re.findall(r"by \((.*?)\)", rule["expr"])[0].split(", "))
        assert set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"]))) <= left, rule["alert"]


def test_panels_have_a_place_of_their_own():
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    for one, other in combinations([panel["gridPos"] for panel in DASHBOARD["panels"]], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert one["x"] + one["w"] <= 24


def test_containers_call_serve_with_options_that_it_has():
    lines = re.sub(r"\\\n", "", (DEPLOY / "Containerfile").read_text()).splitlines()
    given = {line.split()[0]: json.loads(line.partition(" ")[2]) for line in lines if line[:4] in {"CMD ", "ENTR"}}
    assert given["ENTRYPOINT"] == ["costlens-policy", "serve"]
    serve.make_context("serve", given["CMD"])
    (container,) = _pod()["containers"]
    serve.make_context("serve", list(container["args"]))
    port = container["ports"][0]["containerPort"]
    assert all(f"--listen=0.0.0.0:{port}" in text or text[:9] != "--listen=" for text in container["args"])


def _pod():
    deployment = next(
        item for item in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()) if item["kind"] == "Deployment"
    )
    return deployment["spec"]["template"]["spec"]


def test_a_mounted_config_map_is_read_once_and_replaced(tmp_path):
    """Kubernetes mounts files as links into a hidden folder, and replaces them by turning one link."""
    from costlens_policy.live import FolderSource

    for number, models in enumerate(("nano", "mini")):
        write_company(tmp_path / f"..{number}", TEAM, models=models)
    mounted = tmp_path
    (mounted / "..data").symlink_to("..0")
    for path in (mounted / "..0").iterdir():
        (mounted / path.name).symlink_to(f"..data/{path.name}")
    source = FolderSource(mounted, cache=False)
    first = source.fetch()
    (mounted / "..new").symlink_to("..1")
    (mounted / "..new").rename(mounted / "..data")
    second = source.fetch()
    assert first.version != second.version
    assert first.plan.policy_digest != second.plan.policy_digest
