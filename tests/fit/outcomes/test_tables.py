"""Tables of scores: wide, long and in an object, whatever the file type; what is counted, dropped and refused."""

from __future__ import annotations

import gzip
import io
import json
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from costlens_policy.catalogue import Catalogue
from costlens_policy.fit.outcomes import OutcomesError, OutcomeSettings, Scale, read_outcomes
from costlens_policy.replay import READY
from tests.fit.outcomes.conftest import Read

LONG = """\
id,task,prompt,model,score,cost,output_tokens,latency_ms
1,chat,Hello,large,1,0.02,40,800
1,chat,Hello,small,0.5,0.001,30,
2,code,Sort,large,1,0.03,90,900
3,code,Reverse,small,0,,,
"""
WIDE = """\
{"id": 1, "task": "chat", "scores": {"large": 1, "small": true}}
{"id": 2, "task": "code", "scores": {"large": 0}}
"""


def _notes(found: tuple[object, ...]) -> list[str]:
    return [str(item).replace(" (first: ", "|").split("|")[0] for item in found]


def test_a_row_for_each_model(read: Read) -> None:
    found = read(("long.csv", LONG))
    assert [(case.id, case.task, case.prompt) for case in found.cases] == [
        ("1", "chat", "Hello"), ("2", "code", "Sort"), ("3", "code", "Reverse"),
    ]  # fmt: skip
    assert found.scores == {"large": (1.0, 1.0, None), "small": (0.5, None, 0.0)}
    assert found.costs == {"large": (Decimal("0.02"), Decimal("0.03"), None), "small": (Decimal("0.001"), None, None)}
    assert found.output_tokens["large"] == (40, 90, None)
    assert found.latency_ms == {"large": (800.0, 900.0, None)}
    assert (found.notes.rows, found.notes.scores) == (4, 4)
    assert _notes(found.notes.unjoined) == [
        "cases without a score of `large`: 1",
        "cases without a score of `small`: 1",
    ]
    assert found.sources[0].format == "table"


def test_an_object_of_scores(read: Read) -> None:
    found = read(("wide.jsonl", WIDE))
    assert found.scores == {"large": (1.0, 0.0), "small": (1.0, None)}


def test_a_column_for_each_model_and_its_facts(read: Read) -> None:
    text = "question,gpt,gpt usd,mini\nWhy?,True,0.01,False\nHow?,False,0.02,NULL\n"
    columns = {"prompt": "question", "score.large": "gpt", "cost.large": "gpt usd", "score.small": "mini"}
    found = read(("wide.csv", text), columns=columns)
    assert found.scores == {"large": (1.0, 0.0), "small": (0.0, None)}
    assert found.costs == {"large": (Decimal("0.01"), Decimal("0.02"))}
    assert _notes(found.notes.dropped) == ["scores that are empty: 1"]


def test_columns_with_names_of_the_catalogue(read: Read, catalogue: Catalogue) -> None:
    found = read(("wide.csv", "id;tiny;openai/gpt-5-mini;note\n1;1;0;x\n"), catalogue=catalogue)
    assert found.scores == {"gpt-5-mini": (0.0,), "small": (1.0,)}
    assert _notes(found.notes.remarks)[0] == "columns with the name of a model, read as its scores: 2"


def test_columns_that_may_be_scores_are_named(read: Read, catalogue: Catalogue) -> None:
    found = read(("wide.csv", "id,tiny,gpt-5-mni,note\n1,1,0,x\n"), catalogue=catalogue)
    assert found.models == ("small",)
    assert [str(note) for note in found.notes.remarks][1] == (
        "columns that are not read, although they may be scores: 1 (first: `gpt-5-mni`; did you mean `gpt-5-mini`?)"
    )
    with pytest.raises(
        OutcomesError, match=r"for the column of each model, such as `score\.MODEL=gpt-5-mni`; the columns"
    ):
        read(("wide.csv", "id,gpt-5-mni,note\n1,0,x\n"), catalogue=catalogue)


@pytest.mark.parametrize("first", ["NaN", "n/a", "ERROR", "-", "", "7"])
def test_a_model_whose_first_score_is_none_is_read_all_the_same(read: Read, catalogue: Catalogue, first: str) -> None:
    text = f"id,tiny,gpt-5-mini\n1,{first},1\n2,0,1\n3,1,1\n"
    if first == "7":
        with pytest.raises(OutcomesError, match="scores outside 0 to 1: 1"):
            read(("wide.csv", text), catalogue=catalogue)
        return
    found = read(("wide.csv", text), catalogue=catalogue)
    assert found.scores == {"gpt-5-mini": (1.0, 1.0, 1.0), "small": (None, 0.0, 1.0)}
    assert sum(note.count for note in found.notes.dropped) == 1, "what is left out is counted"


def test_a_model_that_a_later_line_has_first_is_read(read: Read, catalogue: Catalogue) -> None:
    rows = [{"id": at, "gpt-5-mini": at % 2} for at in range(1_500)]
    rows[3]["tiny"] = rows[1_400]["haiku"] = 1
    found = read(("wide.jsonl", "\n".join(map(json.dumps, rows))), catalogue=catalogue)
    assert found.models == ("claude-haiku-4-5", "gpt-5-mini", "small")
    assert (found.scores["small"][3], found.scores["claude-haiku-4-5"][1_400]) == (1.0, 1.0)
    assert _notes(found.notes.remarks) == ["columns with the name of a model, read as its scores: 3"]


def test_a_column_of_a_model_without_any_score_is_counted(read: Read, catalogue: Catalogue) -> None:
    found = read(("wide.csv", "id,tiny,gpt-5-mini\n1,1,failed to answer\n2,0,failed to answer\n"), catalogue=catalogue)
    assert found.models == ("small",)
    assert _notes(found.notes.dropped) == ["values that are not scores: 2"]


def test_models_beside_those_that_are_mapped_are_noted(read: Read, catalogue: Catalogue) -> None:
    text = ("wide.csv", "id,tiny,gpt-5-mini\n1,1,0\n")
    found = read(text, catalogue=catalogue, columns={"score.small": "tiny"})
    assert found.models == ("small",)
    assert str(found.notes.remarks[0]) == (
        "columns with the name of a model that are not read, as others are mapped: 1 (first: `gpt-5-mini`)"
    )


@pytest.mark.parametrize("kind", ["gz", "tsv", "parquet", "utf-16", "bom", "array"])
def test_file_types_give_the_same(read: Read, kind: str) -> None:
    frame = pl.read_csv(io.StringIO(LONG))
    parquet = io.BytesIO()
    frame.write_parquet(parquet)
    name, data = {
        "gz": ("long.csv.gz", gzip.compress(LONG.encode())),
        "tsv": ("long.tsv", LONG.replace(",", "\t").encode()),
        "parquet": ("long.parquet", parquet.getvalue()),
        "utf-16": ("long.csv", LONG.encode("utf-16")),
        "bom": ("long.csv", LONG.encode("utf-8-sig")),
        "array": ("long.json", frame.write_json().encode()),
    }[kind]
    assert read((name, data)).digest == read(("plain.csv", LONG)).digest


def test_files_join_by_id(read: Read) -> None:
    prompts = "id,prompt,model,score\n1,Hello,large,1\n"
    found = read(("a.csv", prompts), ("b.jsonl", '{"id": "1", "task": "chat", "model": "small", "score": 0}\n'))
    assert [(case.id, case.task, case.prompt) for case in found.cases] == [("1", "chat", "Hello")]
    assert found.scores == {"large": (1.0,), "small": (0.0,)}


def test_prompts_and_tasks_may_be_in_a_file_of_their_own(read: Read) -> None:
    prompts = ("prompts.csv", "id,task,prompt\n1,chat,Hello\n9,chat,Bye\n")
    found = read(("a.csv", "id,model,score\n1,large,1\n2,large,0\n"), prompts)
    assert [(case.id, case.task, case.prompt) for case in found.cases] == [("1", "chat", "Hello"), ("2", None, None)]
    assert _notes(found.notes.unjoined) == ["cases without any score: 1"]
    assert _notes(found.notes.remarks)[:2] == [
        "files without scores, read for what others score by id: 1", "cases without a task: 1"
    ]  # fmt: skip
    assert "cases without a prompt: 1" in _notes(found.notes.remarks)
    with pytest.raises(OutcomesError, match=r"`.*prompts\.csv` has no scores; map"):
        read(prompts)


def test_ratings_join_the_calls_of_a_log(read: Read) -> None:
    log = "id,model,task,cost\na,large,chat,0.02\nb,small,chat,0.01\nc,small,code,0.01\nc,large,code,0.02\n"
    ratings = "request,stars\na,5\nb,3\nz,1\n"
    columns = {"id": "id|request", "score": "stars"}
    for files in ((("log.csv", log), ("r.csv", ratings)), (("r.csv", ratings), ("log.csv", log))):
        found = read(*files, columns=columns, scale=Scale.parse("1..5"))
        assert [(case.id, case.task) for case in found.cases] == [("a", "chat"), ("b", "chat")]
        assert found.scores == {"large": (1.0, None), "small": (None, 0.5)}
        assert found.costs == {"large": (Decimal("0.02"), None), "small": (None, Decimal("0.01"))}
        assert _notes(found.notes.dropped) == ["calls with the id of an earlier one: 1"]
        assert _notes(found.notes.unjoined)[:2] == ["scores of calls that no file has: 1", "cases without any score: 1"]
    with pytest.raises(OutcomesError, match=r"r\.csv` has scores of no model; map `model`, or set it with"):
        read(("r.csv", ratings), columns=columns)


def test_a_log_describes_the_cases_that_others_score(read: Read) -> None:
    log = ("log.csv", "id,model,task,prompt\n1,large,chat,Hello\n")
    found = read(("a.csv", "id,model,score\n1,large,1\n1,small,0\n"), log)
    assert [(case.task, case.prompt) for case in found.cases] == [("chat", "Hello")]
    assert found.scores == {"large": (1.0,), "small": (0.0,)}


def test_a_column_that_one_of_several_files_has(read: Read) -> None:
    files = ("a.csv", "id,kind,model,score\n1,chat,large,1\n"), ("b.csv", "id,model,score\n1,small,1\n")
    found = read(*files, columns={"task": "kind"})
    assert found.tasks == ("chat",)
    assert _notes(found.notes.remarks)[0] == "files without the column that `task` is mapped to: 1"


def test_folders_are_read_and_what_is_not_read_is_noted(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(LONG)
    (tmp_path / "notes.txt").write_text("hello")
    found = read_outcomes([str(tmp_path)])
    assert _notes(found.notes.remarks)[0] == "files that are not read: 1"


def test_a_model_without_a_case_that_is_left_is_not_measured(read: Read, tmp_path: Path) -> None:
    (tmp_path / "known.csv").write_text("prompt\nHello\n")
    text = "prompt,model,score\nHello,large,1\nBye,small,1\n"
    assert read(("a.csv", text), drop=(str(tmp_path / "known.csv"),)).models == ("small",)


def test_rows_without_ids_join_by_their_prompts(read: Read) -> None:
    found = read(("a.csv", "prompt,model,score\nHello,large,1\nhello ,small,0\n"))
    assert found.scores == {"large": (1.0,), "small": (0.0,)}


def test_an_id_that_several_tasks_have_is_a_case_of_each(read: Read) -> None:
    found = read(("a.csv", "id,task,model,score\n1,chat,large,1\n1,code,large,0\n1,chat,small,1\n1,,small,1\n"))
    assert [case.id for case in found.cases] == ["chat/1", "code/1"]
    assert found.scores == {"large": (1.0, 0.0), "small": (1.0, None)}
    assert _notes(found.notes.dropped) == ["rows without a task, and with an id that several tasks have: 1"]


def test_runs_of_a_case_are_averaged_because_the_file_says_that_they_are_runs(read: Read) -> None:
    found = read(("a.csv", "id,model,run,score,cost\n1,large,1,1,0.01\n1,large,2,0,0.03\n2,large,1,1,0.02\n"))
    assert found.scores == {"large": (0.5, 1.0)}
    assert found.costs == {"large": (Decimal("0.02"), Decimal("0.02"))}
    assert _notes(found.notes.remarks) == ["runs that repeat a case, whose mean counts: 1"]


def test_equal_rows_count_once(read: Read) -> None:
    found = read(("a.csv", "id,model,score\n1,large,1\n1,large,1\n"))
    assert found.notes.scores == 1
    assert _notes(found.notes.remarks) == ["scores that are there twice, counted once: 1"]


def test_contradictions_are_refused_with_their_place(read: Read) -> None:
    text = "id,model,score\n1,large,1\n2,large,1\n1,large,0\n"
    with pytest.raises(
        OutcomesError, match=r"earlier one of the same case and model: 1 \(first: .*a\.csv:4\); correct"
    ):
        read(("a.csv", text))
    repeated = read(("b.csv", f"{text}1,large,1\n1,large,0\n"), conflicts="mean")
    assert repeated.scores == {"large": (0.5, 1.0)}  # of the different scores, however often each is there
    mean = read(("a.csv", text), conflicts="mean")
    assert mean.scores == {"large": (0.5, 1.0)}
    assert "whose mean counts" in str(mean.notes.remarks[0])
    dropped = read(("a.csv", text), conflicts="drop")
    assert dropped.scores == {"large": (1.0,)}
    assert "none counts" in str(dropped.notes.dropped[0])


def test_a_prompt_under_the_id_of_another_one_is_refused(read: Read) -> None:
    with pytest.raises(OutcomesError, match="another prompt than an earlier row of the same id: 1"):
        read(("a.csv", "id,prompt,model,score\n1,Hello,large,1\n1,Goodbye,small,1\n"))


def test_rows_of_all_models_that_repeat_a_prompt_are_cases_of_one_group(read: Read) -> None:
    text = "prompt,l,s\nHello,1,0\nHello,1,0\nHello,0,0\n"
    found = read(("a.csv", text), columns={"score.large": "l", "score.small": "s"})
    assert [case.group for case in found.cases] == [found.cases[0].group] * 2
    assert found.scores["large"] == (1.0, 0.0)
    assert [str(note).partition(":")[0] for note in found.notes.remarks] == [
        "rows that repeat another one, counted once",
        "rows that repeat a prompt with other scores, cases of one group",
    ]


def test_a_prompt_of_two_tasks_is_a_case_of_each(read: Read) -> None:
    found = read(("a.csv", "task,prompt,model,score\nchat,Hello,large,1\ncode,Hello,large,0\n"))
    (first, second), group = found.cases, found.cases[0].group
    assert (first.id, second.id) == (f"chat/{group}", f"code/{group}")
    assert second.group == group


def test_rows_of_some_models_each_join_by_their_prompt(read: Read) -> None:
    text = "prompt,l,s\nHello,1,\nHello,1,0\n"
    found = read(("a.csv", text), columns={"score.large": "l", "score.small": "s"})
    assert found.scores == {"large": (1.0,), "small": (0.0,)}


@pytest.mark.parametrize("text", ["id,model,score\n1,large,83\n2,large,1\n", "id,model,score\n1,large,-0.5\n"])
def test_scores_outside_the_scale_are_refused(read: Read, text: str) -> None:
    with pytest.raises(OutcomesError, match=r"scores outside 0 to 1: 1 \(first: .*a\.csv:2: .+\); set `--scale`"):
        read(("a.csv", text))


def test_scales(read: Read) -> None:
    text = "id,model,score\n1,large,80\n2,large,0\n3,large,100\n"
    assert read(("a.csv", text), scale=Scale.parse("0..100")).scores == {"large": (0.8, 0.0, 1.0)}
    text = "id,model,score\n1,large,5\n2,large,1\n3,large,4\n"
    assert read(("a.csv", text), scale=Scale.parse("1..5")).scores == {"large": (1.0, 0.0, 0.75)}
    text = "id,model,score\n1,large,thumbs_up\n2,large,Down\n"
    assert read(("a.csv", text), scale=Scale.parse("thumbs")).scores == {"large": (1.0, 0.0)}


@pytest.mark.parametrize("text", ["", "5", "1..1", "5..1", "a..b", "0..inf", "0..nan"])
def test_what_is_no_scale(text: str) -> None:
    with pytest.raises(OutcomesError, match="a scale must be"):
        Scale.parse(text)


def test_what_is_not_a_score_is_counted(read: Read) -> None:
    lines = ['{"id": 1, "model": "large", "score": NaN}', '{"id": 2, "model": "large", "score": "n/a"}',
             '{"id": 3, "model": "large", "score": null}', '{"id": 4, "model": "large", "score": [1]}',
             '{"id": 5, "score": 1}', '{"id": 6, "model": "large", "score": 1}', '{"id": 7, "mod']  # fmt: skip
    found = read(("a.jsonl", "\n".join(lines)))
    assert found.scores == {"large": (1.0,)}
    assert [(note.what.partition(" (")[0], note.count) for note in found.notes.dropped] == [
        ("rows that cannot be read", 1), ("scores that are NaN", 1), ("values that are not scores", 2),
        ("scores that are empty", 1), ("rows that name no model", 1),
    ]  # fmt: skip


def test_unknown_models_are_named_with_the_one_that_is_near(read: Read, catalogue: Catalogue) -> None:
    text = "id,model,score\n1,gpt-5-mni,1\n1,small,1\n2,gpt-5-mni,1\n"
    found = read(("a.csv", text), catalogue=catalogue)
    assert _notes(found.notes.dropped) == [
        "scores of `gpt-5-mni`, which is not a model of the catalogue (did you mean `gpt-5-mini`?): 2"
    ]
    renamed = read(("a.csv", text), catalogue=catalogue, models={"gpt-5-mni": "openai/gpt-5-mini"})
    assert renamed.models == ("gpt-5-mini", "small")
    assert not any("in no file" in str(note) for note in renamed.notes.remarks)
    unused = read(("a.csv", text), catalogue=catalogue, models={"foo": "small"})
    assert "names of models that are in no file: 1 (first: `foo`)" in map(str, unused.notes.remarks)
    with pytest.raises(OutcomesError, match="none of 1 rows has a score that can be used: scores of `x`, which is not"):
        read(("b.csv", "id,model,score\n1,x,1\n"), catalogue=catalogue)


def test_two_names_of_one_model_contradict_each_other(read: Read, catalogue: Catalogue) -> None:
    with pytest.raises(OutcomesError, match="scores that differ"):
        read(("a.csv", "id,model,score\n1,tiny,1\n1,small,0\n"), catalogue=catalogue)


def test_columns_that_are_mapped_have_to_be_there(read: Read) -> None:
    with pytest.raises(OutcomesError, match=r"no column `kin`, which `task` is mapped to; did you mean `kind`\?"):
        read(("a.csv", "id,kind,model,score\n1,x,large,1\n"), columns={"task": "kin"})
    with pytest.raises(OutcomesError, match=r"unknown field `tsk`; did you mean `task`\?"):
        read(("a.csv", "id,kind,model,score\n1,x,large,1\n"), columns={"tsk": "kind"})


def test_fields_have_the_words_of_replay(read: Read) -> None:
    messages = [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Hi"}]
    text = json.dumps({"meta": {"kind": "chat"}, "q": messages, "s": 1})
    columns = {"request.task": "meta.topic|meta.kind", "request.prompt": "q", "score": "s"}
    found = read(("a.jsonl", text), columns=columns, constants={"model": "large"})
    assert [(case.task, case.prompt) for case in found.cases] == [("chat", "Hi")]


def test_rows_are_chosen_by_a_value(read: Read) -> None:
    text = "id,model,score,judge\n1,large,1,a\n1,large,0,b\n"
    found = read(("a.csv", text), only={"judge": "a"})
    assert found.scores == {"large": (1.0,)}
    assert _notes(found.notes.dropped) == ["rows without `a` in `judge`: 1"]
    left = read(("a.csv", text), without={"judge": ("b",)})
    assert left.scores == found.scores


def test_tasks_that_are_small_missing_or_share_prompts_are_noted(read: Read) -> None:
    rows = "id,task,prompt,model,score\n1,chat,Hello,large,1\n2,code,hello,large,1\n3,,Bye,large,1\n"
    found = read(("a.csv", rows), few=2)
    assert [str(note) for note in found.notes.remarks] == [
        f"cases with a prompt that is a case of another task, too: 1 (first: {found.sources[0].name}:3)",
        f"cases without a task: 1 (first: {found.sources[0].name}:4)",
        "tasks with fewer than 2 cases: 2 (first: chat (1), code (1))",
    ]


def test_blanks_around_the_names_of_tasks_are_no_part_of_them(read: Read) -> None:
    found = read(("a.csv", "id,task,model,score\n1,chat ,small,1\n2,chat,small,1\n3,\u00a0chat,small,0\n"))
    assert found.tasks == ("chat",)
    assert any(note.startswith("tasks with blanks around their names, read without these: 2") for note in
               _notes(found.notes.remarks))  # fmt: skip


@pytest.mark.parametrize(
    ("task", "says"),
    [
        ("a\u202eb", "tasks with a character that cannot be seen: 1 (first: PATH:2: U+202E, right-to-left override)"),
        ("a\u2028b", "U+2028, line separator"),
        ("a\u00a0b", "U+00A0, no-break space"),
        ("a\x7fb", "U+007F, a control character"),
        ("x" * 1_001, "tasks with names of more than 1,000 characters: 1 (first: PATH:2)"),
    ],
)
def test_tasks_that_no_policy_can_compare_are_named(read: Read, tmp_path: Path, task: str, says: str) -> None:
    with pytest.raises(OutcomesError) as caught:
        read(("a.csv", f"id,task,model,score\n1,{task},small,1\n"))
    assert says.replace("PATH", str(tmp_path / "a.csv")) in str(caught.value)


def test_prompts_are_left_out(read: Read, tmp_path: Path) -> None:
    known = tmp_path / "known.jsonl"
    known.write_text('{"train_prompt": "HELLO", "eval_prompt": "Good  bye"}\n')
    text = "prompt,model,score\nHello,large,1\ngood bye,large,1\nSort,large,1\n"
    found = read(("a.csv", text), drop=(str(known),))
    assert [case.prompt for case in found.cases] == ["Sort"]
    assert _notes(found.notes.dropped) == ["cases with a prompt that was to be left out: 2"]
    known.write_text('{"a": "x", "b": "y"}\n')
    with pytest.raises(OutcomesError, match=r"known\.jsonl:1` is not a prompt to leave out: it has no column `prompt`"):
        read(("a.csv", text), drop=(str(known),))


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.csv", "a,b\n1,2\n", r"has no scores; map `model` and `score`.* the columns are `a` and `b`"),
        ("a.json", '{"x": {"y": 1}}', r"has no scores; map .* the columns are `x`"),
        ("a.csv", "", "the files contain no rows"),
        ("a.csv", "id,model,score\n", "the files contain no rows"),
        ("a.csv.gz", gzip.compress(LONG.encode() * 9, mtime=0)[:60], "cannot be read: compressed file ended"),
        ("a.zip", b"PK\x03\x04", "cannot be read: file is not a zip file"),
        ("a.xls", b"\xd0\xcf\x11\xe0", "is an Excel file; convert it"),
    ],
)
def test_files_that_cannot_be_read(read: Read, name: str, data: str | bytes, message: str) -> None:
    with pytest.raises(OutcomesError, match=message):
        read((name, data))


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(OutcomesError, match=r"there is no file `missing\.csv`; check the path"):
        read_outcomes(["missing.csv"], OutcomeSettings())
    with pytest.raises(OutcomesError, match=r"there is no file `.*test_table\.py`; did you mean `test_tables\.py`\?"):
        read_outcomes([str(Path(__file__).with_name("test_table.py"))], OutcomeSettings())
    with pytest.raises(OutcomesError, match=r"no outcomes in `missing/\*\.csv`"):
        read_outcomes(["missing/*.csv"], OutcomeSettings())


def test_percent_signs_and_decimal_commas_are_named(read: Read, catalogue: Catalogue) -> None:
    percent, comma = "id,small,gpt-5-mini\n1,94%,83.5 %\n", 'id,small,gpt-5-mini\n1,"0,3","0,8"\n'
    assert read(("a.csv", percent), catalogue=catalogue, scale=Scale(0, 100)).scores["small"] == (0.94,)
    with pytest.raises(OutcomesError, match=r"`94%` is not a score, as percent need `--scale 0\.\.100`"):
        read(("a.csv", percent), catalogue=catalogue)
    with pytest.raises(OutcomesError, match=r"`0,3` is not a score, as decimals are written with a point"):
        read(("a.csv", comma), catalogue=catalogue)


def test_columns_of_models_that_the_catalogue_lacks(read: Read, catalogue: Catalogue) -> None:
    with pytest.raises(OutcomesError, match="none of these is a model of the catalogue, which has `claude-haiku-4-5`"):
        read(("a.csv", "id,llama,qwen\n1,0.5,1\n"), catalogue=catalogue)


def test_rows_with_neither_id_nor_prompt_are_the_same_in_any_order(read: Read) -> None:
    rows = ["chat,1,0", "chat,1,0", "chat,0,1", "code,1,1"]
    columns = {"score.large": "large", "score.small": "small"}
    first, again = (
        read(("a.csv", "\n".join(["task,large,small", *lines])), columns=columns) for lines in (rows, rows[::-1])
    )
    assert first.digest == again.digest
    assert len({case.group for case in first.cases}) == 4
    assert "rows with neither id nor prompt, each a case of its own: 4" in _notes(first.notes.remarks)


def test_a_prompt_under_several_ids_is_noted(read: Read) -> None:
    found = read(("a.csv", "id,prompt,model,score\n1,Hi,large,1\n2,hi ,large,0\n3,Ho,large,0\n"))
    assert "cases with the prompt of an earlier case under another id, one group with it: 1" in _notes(
        found.notes.remarks
    )


def test_mappings_of_replay_are_read(shared_data: Path) -> None:
    for name, cases, tasks in (("routellm-gsm8k", 1319, 1), ("routellm-mmlu", 6969, 1)):
        file = {"routellm-gsm8k": "gsm8k_responses.csv", "routellm-mmlu": "mmlu_dev_half.csv"}[name]
        settings = OutcomeSettings().with_mapping(READY[name])
        found = read_outcomes([str(shared_data / "routellm" / file)], settings)
        assert (len(found.cases), len(found.tasks), found.models) == (
            cases,
            tasks,
            ("gpt-4-1106-preview", "mixtral-8x7b"),
        )


def test_the_table_of_nine_models(shared_data: Path) -> None:
    found = read_outcomes([str(shared_data / "llmrouter" / "train.jsonl.gz")])
    assert (len(found.cases), len(found.models), len(found.tasks)) == (5488, 9, 14)
    assert found.notes.scores == 5488 * 9
    assert not found.notes.dropped
    assert not found.notes.unjoined
