"""Each format as its provider writes it: amounts, days, models, kinds of tokens, keys."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest

from costlens_policy.catalogue import Usage
from costlens_policy.invoice import InvoiceError, Table, read_invoice
from costlens_policy.invoice.lines import model_stem
from costlens_policy.periods import zone_of
from tests.invoice.conftest import DAY, costs_page, usage_of

CONSOLE = (
    "usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,list_price_usd,cost_type,"
    "inference_geo,speed\n"
    "2026-06-03,Claude Haiku 4.5,Default,demo,message,≤ 200k,input_no_cache,0.05,0.05,token,global,\n"
    "2026-06-03,Claude Haiku 4.5,Default,demo,batch,≤ 200k,input_cache_write_5m,1.20,1.20,token,global,\n"
)
CONSOLE_USAGE = (
    "usage_date_utc,model_version,api_key,workspace,usage_type,context_window,usage_input_tokens_no_cache,"
    "usage_input_tokens_cache_write_5m,usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,"
    "usage_output_tokens,web_search_count,inference_geo,speed\n"
    "2026-06-03,claude-haiku-4-5-20251001,demo,Default,standard,≤ 200k,10,3,4,2,5,0,not_available,\n"
)
CUR = (
    "line_item_usage_start_date,line_item_usage_end_date,line_item_line_item_type,line_item_product_code,product,"
    "line_item_usage_type,line_item_usage_amount,pricing_unit,line_item_currency_code,line_item_unblended_cost,"
    "line_item_usage_account_id\n"
    '2026-06-03T10:00:00Z,2026-06-03T11:00:00Z,Usage,9xyz,"{""product_name"": ""Claude Haiku 4.5 (Amazon Bedrock '
    'Edition)""}",USE1-MP:USE1_CacheReadInputTokenCount-Units,2.5,1M tokens,USD,0.25,111122223333\n'
    "2026-06-03T10:00:00Z,2026-06-03T11:00:00Z,Usage,AmazonBedrock,,USE1-NovaLite-output-tokens,7,1K tokens,USD,"
    "0.01,1\n"
    "2026-06-03T10:00:00Z,2026-06-03T11:00:00Z,Credit,AmazonBedrock,,USE1-NovaLite-output-tokens,1,,USD,-0.5,1\n"
    "2026-06-03T10:00:00Z,2026-06-03T11:00:00Z,Usage,AmazonS3,,TimedStorage,1,GB-Mo,USD,9,1\n"
)
FOCUS = (
    "BilledCost,BillingAccountId,BillingCurrency,ChargeCategory,ChargePeriodStart,ChargePeriodEnd,ConsumedQuantity,"
    "ConsumedUnit,ProviderName,ResourceName,ServiceCategory,ServiceName,SkuMeter,SubAccountId\n"
    "1.5,b,USD,Usage,2026-06-03T00:00:00Z,2026-06-04T00:00:00Z,3,1K Tokens,Microsoft,gpt-5,AI and Machine Learning,"
    "Azure OpenAI,,s\n"
    "0.3,b,USD,Tax,2026-06-03T00:00:00Z,2026-06-04T00:00:00Z,,,Microsoft,,,Tax,,s\n"
    "8,b,USD,Usage,2026-06-03T00:00:00Z,2026-06-04T00:00:00Z,1,Hours,Microsoft,vm,Compute,Virtual Machines,,s\n"
)
ANTHROPIC_COSTS = {
    "data": [{
        "starting_at": "2026-06-03T00:00:00Z", "ending_at": "2026-06-04T00:00:00Z",
        "results": [{
            "currency": "USD", "amount": "123.456", "workspace_id": "w", "description": "Claude Sonnet 4 Usage - Input",
            "cost_type": "tokens", "context_window": "0-200k", "model": "claude-sonnet-4-20250514",
            "service_tier": "standard", "token_type": "cache_creation.ephemeral_1h_input_tokens",
        }, {
            "currency": "USD", "amount": "300", "workspace_id": "w", "cost_type": "web_search", "model": None,
        }],
    }],
    "has_more": False, "next_page": None,
}  # fmt: skip
ANTHROPIC_USAGE = {
    "data": [{
        "starting_at": "2026-06-03T00:00:00Z", "ending_at": "2026-06-04T00:00:00Z",
        "results": [{
            "uncached_input_tokens": 10, "cache_creation": {"ephemeral_5m_input_tokens": 3,
            "ephemeral_1h_input_tokens": 4}, "cache_read_input_tokens": 2, "output_tokens": 5, "api_key_id": "k",
            "model": "claude-haiku-4-5-20251001", "service_tier": "batch", "workspace_id": None,
        }],
    }],
    "has_more": False, "next_page": None,
}  # fmt: skip


def test_openai_counts_dollars_by_line_item(write):
    items = [
        (DAY, "priority | gpt-5.4-mini-2026-03-17, cached input, long context", "0.25"),
        (DAY, "gpt-audio-mini-2025-12-15 audio, output", "0.5"),
        (DAY, "web search tool calls", "0.01"),
    ]
    lines = read_invoice([write(costs_page(*items))]).lines
    assert [(line.model, line.kind, line.kind_of_token, line.tier) for line in lines] == [
        ("gpt-5.4-mini-2026-03-17", "usage", "cache_read", "priority"),
        ("gpt-audio-mini-2025-12-15", "usage", "output_audio", ""),
        ("", "tool", "", ""),
    ]
    assert [line.amount for line in lines] == [Decimal("0.25"), Decimal("0.5"), Decimal("0.01")]
    assert (lines[0].start, lines[0].end, lines[0].keys) == (DAY, DAY + timedelta(days=1), {"project": "proj_1"})


def test_openai_dashboard_exports_have_empty_days(write):
    text = (
        "start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item,project_id\n"
        "1780444800,1780531200,2026-06-03T00:00:00+00:00,2026-06-04T00:00:00+00:00,0.895,usd,,\n"
        "1780531200,1780617600,2026-06-04T00:00:00+00:00,2026-06-05T00:00:00+00:00,,,,\n"
    )
    invoice = read_invoice([write(text, "costs.csv")])
    (line,) = invoice.lines
    assert (line.start, line.amount, line.model) == (DAY, Decimal("0.895"), "")
    assert invoice.end == DAY + timedelta(days=2)
    with pytest.raises(InvoiceError, match=r"costs.csv:3`: `amount_value` is empty: the line has no amount"):
        read_invoice([write(text.replace(",,,,", ',,usd,"gpt-5, input",'), "costs.csv")])


def test_openai_usage_is_disjoint(write):
    result = {
        "object": "organization.usage.completions.result", "num_model_requests": 3, "model": "gpt-5", "batch": True,
        "input_tokens": 100, "input_cached_tokens": 30, "input_audio_tokens": 5, "output_tokens": 50,
        "output_audio_tokens": 8,
    }  # fmt: skip
    page = {"data": [{"start_time": 1780444800, "end_time": 1780531200, "results": [result]}], "has_more": False}
    (line,) = read_invoice([write(page)]).lines
    assert line.usage == Usage(input=65, cache_read=30, output=42, input_audio=5, output_audio=8)
    assert (line.requests, line.tier, line.amount) == (3, "batch", None)
    result["input_cached_tokens"] = 300
    with pytest.raises(InvoiceError, match="must include cached and audio tokens, got 100 with 305"):
        read_invoice([write(page)])


def test_anthropic_counts_cents(write):
    tokens, search = read_invoice([write(ANTHROPIC_COSTS)]).lines
    assert (tokens.amount, tokens.kind_of_token) == (Decimal("1.23456"), "cache_write_1h")
    assert (search.amount, search.kind, search.model) == (Decimal(3), "tool", "")


@pytest.mark.parametrize("usage", [ANTHROPIC_USAGE, CONSOLE_USAGE], ids=["api", "console"])
def test_anthropic_usage(write, usage):
    (line,) = read_invoice([write(usage, "usage.csv" if isinstance(usage, str) else "usage.json")]).lines
    assert line.usage == Usage(input=10, cache_read=2, cache_write=3, cache_write_1h=4, output=5)
    assert (line.start, model_stem(line.model)) == (DAY, "claude-haiku-4-5")


def test_the_console_rounds_to_cents(write):
    plain, written = read_invoice([write(CONSOLE, "costs.csv")]).lines
    assert (plain.amount, plain.digits, plain.tier, plain.kind_of_token) == (Decimal("0.05"), 2, "", "input")
    assert (written.tier, written.kind_of_token, written.keys["api_key"]) == ("batch", "cache_write", "demo")


def test_aws_bills_bedrock_among_others(write):
    invoice = read_invoice([write(CUR, "cur.csv")])
    read, own, credit = invoice.lines
    assert (model_stem(read.model), read.usage, read.amount) == (
        "claude-haiku-4-5", Usage(cache_read=2_500_000), Decimal("0.25"),
    )  # fmt: skip
    assert (own.model, own.usage, own.keys) == ("NovaLite", Usage(output=7000), {"account": "1"})
    assert (credit.kind, credit.amount, credit.model) == ("credit", Decimal("-0.5"), "")
    assert any("1 rows of" in note and "bill no models" in note for note in invoice.notes)


def test_focus_of_any_provider_as_csv_and_parquet(write, tmp_path):
    csv = write(FOCUS, "focus.csv")
    pl.read_csv(csv).write_parquet(tmp_path / "focus.parquet")
    for file in (csv, str(tmp_path / "focus.parquet")):
        usage, tax = read_invoice([file]).lines
        assert (usage.provider, usage.model, usage.amount, usage.keys["account"]) == (
            "azure", "gpt-5", Decimal("1.5"), "s",
        )  # fmt: skip
        assert (tax.kind, tax.amount) == ("tax", Decimal("0.3"))


def test_openrouter_and_litellm_are_known(write):
    openrouter = "Date,Slug,Usage,BYOK Usage,Requests,Prompt Tokens,Completion Tokens,Reasoning Tokens\n" \
        "2026-06-03,openai/gpt-5,1.25,0,7,100,50,20\n"  # fmt: skip
    (line,) = read_invoice([write(openrouter, "or.csv")]).lines
    assert (line.provider, line.requests, line.usage) == ("openrouter", 7, Usage(input=100, output=30, reasoning=20))
    spend = {
        "request_id": "r", "startTime": "2026-06-03T09:00:00Z", "model": "gpt-5", "spend": 0.5, "prompt_tokens": 9,
        "completion_tokens": 3, "custom_llm_provider": "openai", "metadata": {"user_api_key_alias": "search"},
    }  # fmt: skip
    (line,) = read_invoice([write(json.dumps(spend), "spend.jsonl")]).lines
    assert (line.provider, line.requests, line.amount, line.keys) == (
        "openai", 1, Decimal("0.5"), {"api_key": "search"},
    )  # fmt: skip


def test_a_plain_table_is_described(write):
    text = "Date,Meter,Cost,Cur,Cat\n06/2026,x,1,EUR,AI\n"
    table = Table.of({"time": "Date", "amount": "Cost", "currency": "Cur", "model": "Meter"}, {"provider": "azure"}, {})
    with pytest.raises(InvoiceError, match=r"az.csv:2`: `Date`: `06/2026` is not a timestamp"):
        read_invoice([write(text, "az.csv")], table)
    text = "Date,Meter,Cost,Cur,Cat\n2026-06-03,gpt-5,2,EUR,AI\n2026-06-03,vm,5,EUR,Compute\n"
    with pytest.raises(InvoiceError, match=r"is in EUR, the ledger in US dollars; .*--rate EUR=1.08"):
        read_invoice([write(text, "az.csv")], table)
    table = Table.of(dict(table.columns), dict(table.constants), {"Cat": "AI"})
    invoice = read_invoice([write(text, "az.csv")], table, {"EUR": Decimal("1.1")}, zone_of("America/Los_Angeles"))
    (line,) = invoice.lines
    assert (line.amount, line.start) == (Decimal("2.2"), datetime(2026, 6, 3, 7, tzinfo=UTC))
    assert "1 lines in EUR count at 1.1 US dollars, the rate that was given" in invoice.notes


@pytest.mark.parametrize(
    ("columns", "constants", "message"),
    [
        ({"tme": "Date"}, {}, "unknown field `tme` of an invoice; did you mean `time`?"),
        ({"time": "Date", "amount": "Cost"}, {}, "a table needs the field `provider`"),
        ({"time": "Date", "amount": "Price"}, {"provider": "x"}, r"there is no column `Price`; the columns are `Date`"),
    ],
)
def test_a_description_must_fit(write, columns, constants, message):
    with pytest.raises(InvoiceError, match=message):
        read_invoice([write("Date,Cost\n2026-06-03,1\n", "t.csv")], Table.of(columns, constants, {}))


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("", "costs.csv", "no line of an invoice in"),
        ("a,b\n1,2\n", "costs.csv", r"costs.csv:2`: no known format has the columns `a` and `b`"),
        ("{}\n", "costs.jsonl", r"costs.jsonl:1`: this is no line of an invoice, as it has no fields"),
        (CONSOLE.replace("0.05", "five"), "costs.csv", r"costs.csv:2`: `cost_usd` must be a number, got `five`"),
        (CONSOLE.replace(",0.05,0.05", ",,0.05"), "costs.csv", "`cost_usd` is empty"),
        (CONSOLE.replace("2026-06-03", "June", 1), "costs.csv", "`June` is not a timestamp"),
        (CONSOLE + "2026-06-03,Claude\n", "costs.csv", r"costs.csv:4`: 2 columns where the header has 12"),
        ('{"data": [{"start_time": 1,', "costs.json", "ends in the middle"),
        (FOCUS.replace("USD", ""), "focus.csv", "`BillingCurrency` is empty"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_place(write, content, name, message):
    with pytest.raises(InvoiceError, match=message):
        read_invoice([write(content, name)])


class TestSeveralFiles:
    def test_what_is_in_two_files_counts_once(self, write):
        one = write(costs_page((DAY, "gpt-5, input", "1"), (DAY + timedelta(days=1), "gpt-5, input", "2")), "a.json")
        other = write(costs_page((DAY + timedelta(days=1), "gpt-5, input", "2")), "b.json")
        invoice = read_invoice([one, other])
        assert [line.amount for line in invoice.lines] == [1, 2]
        assert "1 lines are in several files and count once" in invoice.notes

    def test_what_contradicts_itself_is_refused(self, write):
        one = write(costs_page((DAY, "gpt-5, input", "1")), "a.json")
        other = write(costs_page((DAY, "gpt-5, input", "1.5")), "b.json")
        with pytest.raises(InvoiceError, match=r"a.json:1` and `.*b.json:1` count the same differently .*1.0 and 1.5"):
            read_invoice([one, other])

    def test_buckets_of_two_widths_overlap(self, write):
        one = write(costs_page((DAY, "gpt-5, input", "1")), "a.json")
        hour = costs_page((DAY + timedelta(hours=3), "gpt-5, input", "1"))
        hour["data"][0]["end_time"] = hour["data"][0]["start_time"] + 3600
        with pytest.raises(InvoiceError, match="overlap in time"):
            read_invoice([one, write(hour, "b.json")])

    def test_a_last_page_makes_it_whole(self, write):
        first = write(costs_page((DAY, "gpt-5, input", "1"), more=True), "a.json")
        last = write(costs_page((DAY + timedelta(days=1), "gpt-5, input", "1")), "b.json")
        assert not read_invoice([first]).is_whole
        assert read_invoice([first, last]).is_whole


@pytest.mark.parametrize(
    "name",
    ["Claude Haiku 4.5", "claude-haiku-4-5-20251001", "us.anthropic.claude-haiku-4-5-20251001-v1:0",
     "anthropic/claude-haiku-4.5", "Claude Haiku 4.5 (Amazon Bedrock Edition)"],
)  # fmt: skip
def test_one_model_under_many_names(name):
    assert model_stem(name) == "claude-haiku-4-5"


def test_maps_of_parquet_are_read(tmp_path):
    row = {
        "line_item_usage_start_date": "2026-06-03T10:00:00Z", "line_item_usage_end_date": "2026-06-03T11:00:00Z",
        "line_item_line_item_type": "Usage", "line_item_product_code": "x", "line_item_unblended_cost": 0.25,
        "line_item_usage_type": "USE1-MP:USE1_OutputTokenCount-Units", "line_item_currency_code": "USD",
        "product": [{"key": "product_name", "value": "Claude Haiku 4.5 (Amazon Bedrock Edition)"}],
    }  # fmt: skip
    pl.DataFrame([row]).write_parquet(tmp_path / "cur.parquet")
    (line,) = read_invoice([str(tmp_path / "cur.parquet")]).lines
    assert (model_stem(line.model), line.amount, line.kind_of_token) == ("claude-haiku-4-5", Decimal("0.25"), "output")


def dashboard(page):
    """Return a page of costs as the dashboard exports it, with the organization that the API leaves out."""
    head = ["start_time", "end_time", "amount_value", "amount_currency", "line_item", "project_id", "organization_id"]
    rows = [
        [bucket["start_time"], bucket["end_time"], result["amount"]["value"], "usd", f'"{result["line_item"]}"',
         result["project_id"] or "", "org_1"]
        for bucket in page["data"] for result in bucket["results"]
    ]  # fmt: skip
    return "".join(",".join(map(str, row)) + "\n" for row in [head, *rows])


class TestOnePeriodTwice:
    COSTS = costs_page((DAY, "gpt-5, input", "1"), (DAY + timedelta(days=1), "gpt-5, output", "2"))

    def test_the_api_and_the_dashboard_count_once(self, write):
        files = [write(self.COSTS, "a.json"), write(dashboard(self.COSTS), "b.csv")]
        for order in (files, files[::-1]):
            invoice = read_invoice(order)
            assert [line.amount for line in invoice.lines] == [1, 2]
            assert "2 lines are in several files and count once" in invoice.notes
        assert {line.keys["account"] for line in read_invoice(files[1:]).lines} == {"org_1"}

    @pytest.mark.parametrize(("dropped", "named"), [("project_id", "line item"), ("line_item", "project")])
    def test_costs_grouped_in_two_ways_are_refused(self, write, dropped, named):
        other = json.loads(json.dumps(self.COSTS))
        for bucket in other["data"]:
            bucket["results"][0][dropped] = None
        with pytest.raises(InvoiceError, match=rf"one by line item and project, the other by {named}; name exports of"):
            read_invoice([write(self.COSTS, "a.json"), write(other, "b.json")])

    def test_usage_grouped_in_two_ways_is_refused_but_not_that_of_other_models(self, write):
        by_model = usage_of(DAY, "gpt-5", 3)
        by_project = usage_of(DAY, "gpt-5", 3)
        by_project["data"][0]["results"][0]["project_id"] = "p"
        with pytest.raises(InvoiceError, match="one by model, the other by model and project"):
            read_invoice([write(by_model, "a.json"), write(by_project, "b.json")])
        by_project["data"][0]["results"][0]["model"] = "text-embedding-3-small"
        assert len(read_invoice([write(by_model, "a.json"), write(by_project, "b.json")]).lines) == 2

    def test_two_formats_of_one_provider_are_refused_where_they_overlap(self, write):
        api = write(ANTHROPIC_COSTS, "a.json")
        with pytest.raises(InvoiceError, match="in two formats, `anthropic-costs` and `anthropic-console-costs`"):
            read_invoice([api, write(CONSOLE, "b.csv")])
        other = write(CONSOLE.replace("2026-06-03", "2026-06-04"), "b.csv")
        assert len(read_invoice([api, other, write(CONSOLE_USAGE, "c.csv")]).lines) == 5


def test_a_day_for_which_nothing_is_billed_belongs_to_the_invoice(write):
    openai = costs_page(*((DAY + timedelta(days=day), "gpt-5, input", "1") for day in range(3)))
    openai["data"][0]["results"] = openai["data"][2]["results"] = []
    invoice = read_invoice([write(openai)])
    assert (invoice.start, invoice.end, len(invoice.lines)) == (DAY, DAY + timedelta(days=3), 1)
    later = {"starting_at": "2026-06-04T00:00:00Z", "ending_at": "2026-06-05T00:00:00Z", "results": []}
    anthropic = {"data": [*ANTHROPIC_COSTS["data"], later], "has_more": False}
    assert read_invoice([write(anthropic, "b.json")]).end == DAY + timedelta(days=2)


class TestTwiceInOneFile:
    def test_a_bucket_counts_once(self, write):
        page = costs_page((DAY, "gpt-5, input", "1"))
        for content in (json.dumps([page, page]), json.dumps(page) + "\n" + json.dumps(page)):
            invoice = read_invoice([write(content, "a.json")])
            assert [line.amount for line in invoice.lines] == [1]
            assert any("1 lines are in" in note and "count once" in note for note in invoice.notes)

    def test_a_line_of_a_report_is_noted(self, write):
        invoice = read_invoice([write(CUR + CUR.splitlines()[2] + "\n", "cur.csv")])
        assert [line.amount for line in invoice.lines].count(Decimal("0.01")) == 2
        assert any("1 lines of" in note and "equal to earlier ones in every cell" in note for note in invoice.notes)


def test_buckets_are_read_as_json_lines(write):
    page = costs_page((DAY, "gpt-5, input", "1"), (DAY + timedelta(days=1), "gpt-5, input", "2"))
    page["data"].append({**page["data"][0], "start_time": page["data"][1]["end_time"], "results": []})
    page["data"][2]["end_time"] = page["data"][2]["start_time"] + 86400
    for buckets in (page["data"], page["data"][:1], page["data"][::-1]):
        invoice = read_invoice([write("".join(json.dumps(bucket) + "\n" for bucket in buckets), "a.jsonl")])
        assert (invoice.start, len(invoice.lines)) == (DAY, min(len(buckets), 2))
        assert invoice.end == DAY + timedelta(days=len(buckets))


def test_credits_of_models_stand_apart_in_focus_and_unknown_categories_are_refused(write):
    line = FOCUS.splitlines()[1]
    credit = line.replace("1.5,", "-0.1,").replace("Usage", "credit")
    usage, apart, *_ = read_invoice([write(FOCUS.replace(line, f"{line}\n{credit}"), "focus.csv")]).lines
    assert (usage.kind, apart.kind, apart.amount, apart.model) == ("usage", "credit", Decimal("-0.1"), "")
    with pytest.raises(InvoiceError, match=r"`ChargeCategory` must be one of Usage, Purchase, .*, got `Foo`"):
        read_invoice([write(FOCUS.replace(",Usage,", ",Foo,"), "focus.csv")])


def test_a_currency_is_named_or_noted(write):
    page = costs_page((DAY, "gpt-5, input", "1"))
    page["data"][0]["results"][0]["amount"]["currency"] = None
    with pytest.raises(InvoiceError, match=r"`amount.currency` is empty: the line has no currency"):
        read_invoice([write(page)])
    with pytest.raises(InvoiceError, match="`line_item_currency_code` is empty"):
        read_invoice([write(CUR.replace(",USD,", ",,"), "cur.csv")])
    table = Table.of({"time": "Date", "amount": "Cost"}, {"provider": "azure"}, {})
    notes = read_invoice([write("Date,Cost\n2026-06-03,1\n", "t.csv")], table, {"EUR": Decimal(2)}).notes
    assert notes == ("no line is in EUR, so its rate is not used", "1 lines name no currency and count as US dollars")


def test_unknown_kinds_of_lines_are_refused(write):
    with pytest.raises(InvoiceError, match=r"`line_item_line_item_type` must be one of Usage, .*, got `Foo`"):
        read_invoice([write(CUR.replace(",Credit,", ",Foo,"), "cur.csv")])
    table = Table.of({"time": "Date", "amount": "Cost", "kind": "Kind"}, {"provider": "azure"}, {})
    with pytest.raises(InvoiceError, match=r"the kind must be one of usage, .*, got `foo`"):
        read_invoice([write("Date,Cost,Kind\n2026-06-03,1,foo\n", "t.csv")], table)
