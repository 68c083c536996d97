"""What a report looks like: text, JSON, CSV, and the page."""

from __future__ import annotations

import csv
import io
import json
import pickle
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from costlens_policy.diagnostics.text import safe
from costlens_policy.report import Settings, summarize
from costlens_policy.report.export import as_csv, export_report
from costlens_policy.report.html import as_html
from costlens_policy.report.html.charts import shortened
from costlens_policy.report.text import sparkline, text_parts
from costlens_policy.report.words import shown_count, shown_ms, shown_usd

GOLDEN = Path(__file__).parent / "golden"
EVIL = "<script>alert(1)</script>\"'&{{x}}\\u0041\x1b[31m\u202e"
MODELS = ("gpt-5", "gpt-5-mini", "claude-sonnet-4-6")
TEAMS = ("search", "billing", EVIL)
START = datetime(2026, 10, 5, tzinfo=UTC)


def rows():
    """Six weeks of calls with stated costs, one dear day, some denials, and a team with an odd name."""
    for number in range(43 * 8):
        at = START + timedelta(hours=3 * number)
        dear = 9 if at.date().isoformat() == "2026-11-04" else 1
        row = {
            "time": at.isoformat(), "id": f"c{number}", "model": MODELS[number % 3], "team": TEAMS[number % 3],
            "prompt_tokens": 900 + number, "cached_tokens": number, "output_tokens": 40 + number % 7,
            "cost": str((Decimal(100 + number % 10) * dear).scaleb(-4)),
            "latency_ms": 300 + number * 7 % 900,
        }  # fmt: skip
        if number % 50 == 49:
            row = {"time": row["time"], "id": row["id"], "team": row["team"], "denied": True}
        yield row


@pytest.fixture
def report(read_log):
    read = read_log(list(rows()), by=("model", "team", "user"), baseline="gpt-5")
    report = summarize(read, Settings(by=("model", "team", "user"), now=datetime(2026, 11, 16, 21, tzinfo=UTC)))
    return type(report)(**{name: getattr(report, name) for name in report.__slots__} | {"source": "calls.jsonl"})


def _text(report) -> str:
    console = Console(file=io.StringIO(), width=160, highlight=False, emoji=False)
    for part in text_parts(report):
        console.print(part, markup=not isinstance(part, str))
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


def test_text(report, golden):
    shown = _text(report)
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    golden(GOLDEN / "report.txt", shown)


def test_json(report, golden):
    data = export_report(report)
    assert sum(Decimal(item["cost_usd"] or 0) for item in data["timeline"]) == Decimal(data["totals"]["cost_usd"])
    golden(GOLDEN / "report.json", json.dumps(data, indent=2, ensure_ascii=True) + "\n")


def test_csv_has_a_line_for_everything(report):
    lines = list(csv.DictReader(io.StringIO(as_csv(report))))
    whole = lines[0]
    assert whole["by"] == "total"
    assert whole["denied"] == "6"
    for by in ("model", "team", "day"):
        parts = [line for line in lines if line["by"] == by]
        assert sum(Decimal(line["cost_usd"] or 0) for line in parts) == Decimal(whole["cost_usd"])
        assert sum(int(line["requests"]) for line in parts) == int(whole["requests"])
    assert safe(EVIL) in {line["value"] for line in lines}


class _Page(HTMLParser):
    """Collects tags with their attributes, and what is inside of ``title``."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def test_the_page(report, golden):
    page = as_html(report)
    golden(GOLDEN / "report.html", re.sub(r"<svg.*?</svg>", "<svg/>", page, flags=re.DOTALL))
    assert len(page) < 500_000


def test_the_page_needs_nothing_else(report):
    page = as_html(report)
    assert re.findall(r"https?:|//[a-z]|url\((?!#)|@import|javascript:", page) == []
    parsed = _Page()
    parsed.feed(page)
    assert not {"script", "link", "img", "iframe", "object", "embed", "use", "image", "foreignobject"} & {
        tag for tag, _ in parsed.tags
    }
    for _, attributes in parsed.tags:
        assert not {name for name in attributes if name.startswith("on") or name.endswith("href") or name == "src"}
    policy = next(attributes["content"] for tag, attributes in parsed.tags if "http-equiv" in attributes)
    assert policy.startswith("default-src 'none'")


def test_names_of_users_are_text(report):
    page = as_html(report)
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "onerror=" not in page


def test_every_chart_has_a_name_and_its_own_ids(report):
    page = as_html(report)
    parsed = _Page()
    parsed.feed(page)
    charts = [attributes for tag, attributes in parsed.tags if tag == "svg"]
    assert len(charts) >= 12
    assert all(chart["role"] == "img" and chart["aria-label"] for chart in charts)
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"url\(#([^)]+)\)", page)) <= set(ids)
    assert re.search(r"<title>2026-11-04, gpt-5: \$0\.\d+</title>", page)
    assert "prefers-color-scheme: dark" in page
    assert not re.search(r'fill="#', page), "a color that no style sheet can change"


def test_the_page_is_the_same_whenever_and_wherever_it_is_drawn(report, tmp_path):
    page = as_html(report)
    assert page == as_html(report)
    code = (
        "import pickle, sys; from costlens_policy.report.html import as_html; "
        "sys.stdout.reconfigure(encoding='utf-8'); sys.stdout.write(as_html(pickle.load(open(sys.argv[1], 'rb'))))"
    )
    saved = tmp_path / "report.pickle"
    saved.write_bytes(pickle.dumps(report))
    elsewhere = {"TZ": "Asia/Tokyo", "PATH": "", "LANG": "C", "PYTHONHASHSEED": "7"}
    found = subprocess.run([sys.executable, "-c", code, saved], env=elsewhere, capture_output=True, check=True)
    assert found.stdout.decode() == page


def test_a_page_where_nearly_nothing_is_known(read_log):
    read = read_log([{"time": "2026-11-02T09:00:00Z", "prompt_tokens": 5, "output_tokens": 1}])
    page = as_html(summarize(read, Settings()))
    assert "not known" in page
    assert "no cost of any call is known" in page
    assert "<svg" not in page


@pytest.mark.parametrize(
    ("amount", "shown"),
    [("1234.567", "$1,234.57"), ("0.0049", "$0.0049"), ("0.000123456", "$0.00012"), ("0", "$0.00"), ("-2", "-$2.00")],
)
def test_money_in_short(amount, shown):
    assert shown_usd(Decimal(amount)) == shown


def test_counts_and_latencies_in_short():
    assert [shown_count(number) for number in (9_999, 12_345, 1_234_567, 98_700_000_000)] == [
        "9,999", "12.3k", "1.23M", "98.7B",
    ]  # fmt: skip
    assert [shown_ms(Decimal(value)) for value in (870, 12_400)] == ["870 ms", "12.4 s"]


def test_sparklines():
    assert sparkline([Decimal(value) for value in range(8)]) == "▁▂▃▄▅▆▇█"
    assert len(sparkline([Decimal(1)] * 1000)) == 100
    assert sparkline([Decimal(0)] * 3) == "   "


def test_names_that_mean_something_to_other_languages_are_drawn(read_log):
    hostile = ["constructor", "__proto__", "toString", "", "\ufffe\x1b", "all others", "\U0001d11e" * 60, "</svg>"]
    calls = [
        {
            "time": f"2026-11-{1 + number // 2:02}T00:00:00Z", "prompt_tokens": 5, "output_tokens": 1,
            "cost": 1 + number, "model": name, "team": name,
        }
        for number, name in enumerate(hostile)
    ]  # fmt: skip
    page = as_html(summarize(read_log(calls), Settings(by=("model", "team"))))
    assert page.count("<svg") == page.count("</svg>") >= 6
    for name in ("constructor", "__proto__", "toString", "&lt;/svg&gt;"):
        assert f">{name}</text>" in page
    assert "\x1b" not in page


def test_long_names_are_shortened_by_whole_characters():
    assert shortened("short", 10) == "short"
    assert shortened("\U0001d11e" * 30, 10) == "\U0001d11e" * 9 + "…"
