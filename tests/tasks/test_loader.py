"""Files become tasks, or one error that names the file and the place."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from altlas_agent.core.errors import Exit, NotFoundError, TaskError
from altlas_agent.core.records import Case, Constraints, Kind, Limits, Param, Pattern, Signature, Task
from altlas_agent.tasks.loader import load_suite, read_entry, shipped_suites, suite_folders
from tests.tasks.examples import changed, family, function_task, stdout_task, write

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import JsonValue

    from tests.tasks.examples import Tree


def _refused(path: Path) -> str:
    with pytest.raises(TaskError) as caught:
        read_entry(path, "here")
    assert caught.value.exit_code == Exit.SETTINGS_REFUSED
    assert "altlas task schema" in caught.value.message
    return caught.value.message


def test_a_stdout_task_becomes_a_record(tmp_path: Path) -> None:
    tree = stdout_task(
        difficulty=2,
        rung=3,
        limits={"cpu_s": 0.5, "output_kb": 8},
        patterns=[{"regex": r"print\(.*\)", "ignore_case": True}],
    )
    assert read_entry(write(tmp_path, tree), "here").instance() == Task(
        id="here/sum",
        suite="here",
        name="sum",
        description="Print the sum of 5 and 3.",
        target_language="python",
        kind=Kind.STDOUT,
        cases=(Case(expected='"8"', hidden=True),),
        difficulty=2.0,
        rung=3,
        constraints=Constraints(require_operators=("+",), require_numbers=(5.0, 3.0), max_tokens=8),
        patterns=(Pattern(regex=r"print\(.*\)", ignore_case=True),),
        limits=Limits(cpu_s=0.5, output_kb=8),
        numbers=(5, 3),
        reference="print(5 + 3)\n",
        cheats=("print(8)\n",),
        tokens="OUTPUT ADD NUM_0 NUM_1 END",
    )


def test_a_function_task_has_its_signature_and_its_calls(tmp_path: Path) -> None:
    task = read_entry(write(tmp_path, function_task()), "here").instance()
    assert task.signature == Signature(name="double", params=(Param(name="n", type="num"),), returns="num")
    assert task.cases == (
        Case(args="[3]", expected="6"),
        Case(args="[0]", expected="0", hidden=True),
        Case(args="[-4]", expected="-8", hidden=True),
        Case(args="[21]", expected="", hidden=True),
    )


def test_a_plain_task_has_one_instance(tmp_path: Path) -> None:
    entry = read_entry(write(tmp_path, stdout_task()), "here")
    assert entry.instance("train", 5) == entry.instance("unseen", 9) == entry.instance()


def test_texts_travel_unchanged(tmp_path: Path) -> None:
    tree = stdout_task(
        description="Print 'h\u00e4' and '\u65e5\u672c'.", tests={"hidden": [{"expected": 'a"\u00e4\n'}]}
    )
    task = read_entry(write(tmp_path, tree), "here").instance()
    assert task.strings == ("h\u00e4", "\u65e5\u672c")
    assert json.loads(task.cases[0].expected) == 'a"\u00e4\n'


def test_a_suite_is_a_folder_in_order_of_rung_difficulty_and_name(tmp_path: Path) -> None:
    write(
        tmp_path / "mine",
        stdout_task(name="c", rung=1, difficulty=2),
        stdout_task(name="b", rung=1, difficulty=2),
        stdout_task(name="a", rung=2, difficulty=0),
        stdout_task(name="d", rung=1, difficulty=1),
    )
    (tmp_path / "mine" / ".hidden.json").write_text("no task")
    (tmp_path / "mine" / "notes.txt").write_text("no task")
    suite = load_suite(tmp_path / "mine")
    assert suite.name == "mine"
    assert [entry.key for entry in suite.entries] == ["mine/d", "mine/b", "mine/c", "mine/a"]
    assert suite.entry("c").name == "c"
    with pytest.raises(NotFoundError, match=r"no task 'mine/x'; see: altlas task list mine"):
        suite.entry("x")


def test_one_file_is_a_suite_named_after_its_folder(tmp_path: Path) -> None:
    path = write(tmp_path / "my tasks!", stdout_task())
    assert [entry.key for entry in load_suite(path).entries] == ["my-tasks/sum"]


def test_shipped_suites_are_found_by_name_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "quickstart", stdout_task())
    assert shipped_suites() == ("ladder", "quickstart")
    assert len(load_suite("quickstart").entries) == 12
    assert len(load_suite("./quickstart").entries) == 1


@pytest.mark.parametrize("name", ["quickstar", "no/such/folder", "", "a\x00b", "x" * 5000])
def test_an_unknown_suite_is_told_with_those_that_exist(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotFoundError, match="there are: ladder, quickstart") as caught:
        load_suite(name or "nothing")
    assert caught.value.exit_code == Exit.FAILED


def test_a_folder_without_tasks_says_what_a_suite_is(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"one \.json file for each task"):
        load_suite(tmp_path)


def test_suites_are_found_below_a_folder(tmp_path: Path) -> None:
    for folder in ("b/two", "a", ".git/hooks", "b/.cache"):
        write(tmp_path / folder, stdout_task())
    assert suite_folders(tmp_path) == (tmp_path / "a", tmp_path / "b" / "two")


def test_two_tasks_of_one_name_are_refused(tmp_path: Path) -> None:
    write(tmp_path, stdout_task())
    (tmp_path / "other.json").write_text(json.dumps(stdout_task()))
    with pytest.raises(TaskError, match=r"sum\.json: name: 'sum' is also the name of .*other\.json"):
        load_suite(tmp_path)


def test_all_broken_files_of_a_suite_are_told_at_once(tmp_path: Path) -> None:
    write(
        tmp_path,
        stdout_task(name="good"),
        stdout_task(name="one", kind="none"),
        stdout_task(name="two", rung=0),
    )
    with pytest.raises(TaskError) as caught:
        load_suite(tmp_path)
    lines = caught.value.message.splitlines()
    assert lines[0] == f"{tmp_path}: 2 broken files"
    assert lines[1].startswith(f"  {tmp_path / 'one.json'}: kind: must be 'stdout' or 'function'")
    assert lines[2].startswith(f"  {tmp_path / 'two.json'}: rung: must be greater than or equal to 1")


UNREADABLE = {
    "nothing": (b"", r":1:1: is not JSON"),
    "a broken bracket": (b'{"name": "x",\n  "kind" 1}', r":2:10: is not JSON: Expecting ':' delimiter"),
    "two values": (b"{} {}", r":1:4: is not JSON: Extra data"),
    "a list": (b"[]", r": must hold one JSON object"),
    "a number": (b"7", r": must hold one JSON object"),
    "latin-1": (b'{"name": "\xe4"}', r": is not UTF-8 text \(byte 10\)"),
    "utf-16": ('{"name": "x"}'.encode("utf-16"), r": is not UTF-8 text \(byte 0\)"),
    "not a number": (b'{"rung": NaN}', r": is not JSON: NaN is no JSON number"),
    "infinity": (b'{"rung": -Infinity}', r": is not JSON: -Infinity is no JSON number"),
    "a number of 5000 digits": (b'{"rung": 1' + b"0" * 5000 + b"}", r": is not JSON: "),
    "too deep": (b'{"a":' + b"[" * 64 + b"]" * 64 + b"}", r": brackets are nested more than 64 deep"),
    "far too deep": (b"[" * 100_000, r": brackets are nested more than 64 deep"),
    "too large": (b'{"name": "' + b"x" * (1 << 20) + b'"}', r": is larger than 1 MiB"),
    "a key twice": (
        b'{"tests": {"hidden": [{"stdin": "a", "stdin": "b"}]}}',
        r": tests\.hidden\[0\]\.stdin: this key occurs twice",
    ),
    "half a surrogate": (b'{"description": "\\ud800"}', r": description: holds half of a surrogate pair"),
    "half a surrogate in a key": (b'{"\\ud800": 1}', r": \\ud800: holds half of a surrogate pair"),
}


@pytest.mark.parametrize(("content", "message"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_is_no_json_object_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(TaskError, match=r"x\.json" + message):
        read_entry(path, "here")


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.json").mkdir()
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "gone.json").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop.json").symlink_to(tmp_path / "loop.json")
    assert "folder.json: is no ordinary file" in _refused(tmp_path / "folder.json")
    assert "pipe.json: is no ordinary file" in _refused(tmp_path / "pipe.json")
    assert "gone.json: cannot be read: No such file" in _refused(tmp_path / "gone.json")
    assert "loop.json: cannot be read: Too many levels" in _refused(tmp_path / "loop.json")


@pytest.mark.parametrize("target", ["../outside.json", "{outside}", "../folder/deep.json", "chain"])
def test_a_link_that_leads_out_of_a_suite_is_refused_unread(target: str, tmp_path: Path) -> None:
    outside = write(tmp_path, stdout_task(name="outside"))
    write(tmp_path / "folder", stdout_task(name="deep"))
    suite = write(tmp_path / "suite", stdout_task()).parent
    (suite / "chain").symlink_to(outside)
    (suite / "x.json").symlink_to(target.format(outside=outside))
    with pytest.raises(TaskError, match=r"x\.json: is a link that leads out of its folder"):
        load_suite(suite)


def test_a_link_within_a_suite_and_a_suite_behind_a_link_are_read(tmp_path: Path) -> None:
    suite = write(tmp_path / "suite", stdout_task()).parent
    (suite / "hidden.txt").write_text(json.dumps(stdout_task(name="other")))
    (suite / "other.json").symlink_to("hidden.txt")
    (tmp_path / "link").symlink_to(suite)
    assert [entry.name for entry in load_suite(tmp_path / "link").entries] == ["other", "sum"]
    (tmp_path / "one.json").symlink_to(suite / "hidden.txt")
    assert len(load_suite(tmp_path / "one.json").entries) == 1


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "content", ['"a":1,' * 170_000 + '"a":1', '"a":{"b":1,"b":[' * 20 + "0" + "]}" * 20, '"a":' + "9" * 4000]
)
def test_hostile_files_are_refused_soon(content: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(f"{{{content}}}")
    with pytest.raises(TaskError):
        read_entry(path, "here")


def test_brackets_in_texts_are_no_depth_and_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    tree = stdout_task(reference='print(5 + 3)  # "\\"' + "[{" * 500)
    path.write_text(json.dumps(tree), encoding="utf-8-sig")
    assert read_entry(path, "here").name == "sum"


BROKEN: dict[str, tuple[Tree, str, JsonValue, str]] = {
    "missing description": (stdout_task(), "description", None, "description: is missing"),
    "missing tests": (stdout_task(), "tests", None, "tests: is missing"),
    "missing reference": (function_task(), "reference", None, "reference: is missing"),
    "unknown key": (stdout_task(), "difficulti", 1, "difficulti: unknown key; did you mean 'difficulty'?"),
    "unknown key below": (
        function_task(), "tests.hidden.1.expect", 1, "tests.hidden[1].expect: unknown key; did you mean 'expected'?"
    ),
    "unknown key far off": (
        stdout_task(), "tests.zzz", [], "tests.zzz: unknown key; there are: visible, hidden"
    ),
    "unknown key in constraints": (
        stdout_task(), "constraints.require.operator", [],
        "constraints.require.operator: unknown key; did you mean 'operators'?",
    ),
    "kind": (stdout_task(), "kind", "prints", "kind: must be 'stdout' or 'function', not 'prints'"),
    "language": (stdout_task(), "target_language", "cobol", "target_language: no language 'cobol'; there are:"),
    "name with a path": (stdout_task(), "name", "../sum", "name: must be small letters, digits and single hyphens"),
    "name too long": (stdout_task(), "name", "x" * 65, "name: must have at most 64 characters"),
    "number as text": (stdout_task(), "rung", "1", "rung: must be a valid integer, not '1'"),
    "truth value as number": (stdout_task(), "rung", True, "rung: must be a valid integer, not True"),
    "half a rung": (stdout_task(), "rung", 1.5, "rung: must be a valid integer"),
    "list as object": (stdout_task(), "tests", [], "tests: must be an object, not []"),
    "object as list": (stdout_task(), "cheats", {}, "cheats: must be a list, not {}"),
    "cheat as number": (stdout_task(), "cheats", [7], "cheats[0]: must be a valid string, not 7"),
    "empty reference": (stdout_task(), "reference", "", "reference: must have at least 1 characters"),
    "limit of nothing": (stdout_task(), "limits", {"cpu_s": 0}, "limits.cpu_s: must be greater than 0, not 0"),
    "limit below": (stdout_task(), "limits", {"memory_mb": 1}, "limits.memory_mb: must be greater than or equal to 16"),
    "broken pattern": (stdout_task(), "patterns", [{"regex": "("}], "patterns[0].regex: is no regular expression"),
    "max_tokens": (stdout_task(), "constraints.max_tokens", 2, "constraints.max_tokens: must be greater than"),
    "huge number": (
        stdout_task(), "description", "Print 9007199254740993.", "description: holds a number beyond 9007199254740992"
    ),
    "signature of a stdout task": (
        stdout_task(), "signature", {"name": "f", "params": [], "returns": "num"},
        "signature: only a task of kind \"function\" has one",
    ),
    "no signature": (function_task(), "signature", None, 'signature: kind "function" needs one'),
    "no test": (stdout_task(), "tests", {}, "tests: at least one test is needed"),
    "arguments of a stdout task": (
        stdout_task(), "tests.hidden.0.args", [], 'tests.hidden[0].args: only a task of kind "function" is called'
    ),
    "printed number": (
        stdout_task(), "tests.hidden.0.expected", 8, "tests.hidden[0].expected: must be a text (str), not 8"
    ),
    "input of a function": (
        function_task(), "tests.hidden.0.stdin", "", 'tests.hidden[0].stdin: only a task of kind "stdout" reads'
    ),
    "too few arguments": (
        function_task(), "tests.hidden.2.args", [], "tests.hidden[2].args: must hold 1 arguments"
    ),
    "argument of another type": (
        function_task(), "tests.visible.0.args", ["3"],
        "tests.visible[0].args[0]: must be a number (num) of at most 9007199254740992, not '3'",
    ),
    "truth value for a number": (
        function_task(), "tests.visible.0.args", [True], "tests.visible[0].args[0]: must be a number (num)"
    ),
    "answer of another type": (
        function_task(), "tests.hidden.2.expected", [42], "tests.hidden[2].expected: must be a number (num)"
    ),
    "answer of nothing": (
        function_task(), "tests.hidden.2", {"args": [1], "expected": None}, "tests.hidden[2].expected: must be a number"
    ),
    "too few hidden tests": (
        function_task(), "tests.hidden", [{"args": [1]}, {"args": [2]}], "tests.hidden: a function needs hidden tests"
    ),
    "hidden tests that are visible": (
        function_task(), "tests.hidden", [{"args": [3]}, {"args": [3]}, {"args": [1]}],
        "tests.hidden: a function needs hidden tests with 3, here are 1 inputs that are not visible",
    ),
    "no identifier": (
        function_task(), "signature.params.0.name", "2n",
        "signature.params[0].name: must be a name: letters, digits and '_', no digit first",
    ),
    "Python word": (function_task(), "signature.params.0.name", "lambda", "'lambda' has a meaning of its own"),
    "JavaScript word": (function_task(), "signature.params.0.name", "function", "'function' has a meaning of its own"),
    "built-in function": (function_task(), "signature.name", "sum", "signature.name: 'sum' has a meaning of its own"),
    "name of a variable": (function_task(), "signature.params.0.name", "v0", "'v0' could be a name that programs give"),
    "name with a tail": (function_task(), "signature.params.0.name", "n_", "'n_' could be a name that programs give"),
    "one name twice": (function_task(), "signature.params.0.name", "double", "'double' is the name of two things"),
    "unknown type": (function_task(), "signature.returns", "float", "signature.returns: must be 'num', 'str', 'bool',"),
    "five parameters": (
        function_task(), "signature.params", [{"name": f"n{k}", "type": "num"} for k in range(5)],
        "signature.params: must have at most 4 items",
    ),
    "half a range": (family(), "parameters.k", {"from": 3}, 'parameters.k: needs "from" and "to"'),
    "two kinds of parameter": (
        family(), "parameters.k", {"from": 3, "to": 9, "choices": [1]}, 'parameters.k: needs "from" and "to"'
    ),
    "a range upside down": (family(), "parameters.k", {"from": 9, "to": 3}, "parameters.k: has no values"),
    "no choices": (family(), "parameters.k", {"choices": []}, "parameters.k.choices: must have at least 1 items"),
    "a list upside down": (
        family(), "parameters.k", {"list": {"length": [3, 2], "from": 0, "to": 9}}, "parameters.k.list: has no values"
    ),
    "parameter that is no name": (family(), "parameters", {"a b": {"from": 1, "to": 9}}, "parameters.a b: must be a name"),
}  # fmt: skip


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_refused_with_the_place(
    broken: tuple[Tree, str, JsonValue, str], tmp_path: Path
) -> None:
    tree, place, value, message = broken
    path = tmp_path / "x.json"
    path.write_text(json.dumps(changed(tree, place, value)))
    told = _refused(path)
    assert told.startswith(f"{path}: ")
    assert message in told
    assert "problems" not in told


def test_all_problems_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    tree = changed(changed(function_task(), "signature.name", "print"), "tests.visible.0.args", [1, 2])
    lines = _refused(write(tmp_path, tree)).splitlines()
    assert lines[0] == f"{tmp_path / 'double.json'}: 2 problems"
    assert lines[1] == "  signature.name: 'print' has a meaning of its own in Python or JavaScript"
    assert lines[2] == "  tests.visible[0].args: must hold 1 arguments, as the signature says, not 2"


def test_a_flood_of_problems_is_cut(tmp_path: Path) -> None:
    told = _refused(write(tmp_path, stdout_task(**{f"x{k}": 1 for k in range(1000)})))
    assert told.startswith(f"{tmp_path / 'sum.json'}: 1000 problems")
    assert "and 980 more" in told
    assert len(told.splitlines()) < 25
