"""altlas loda eval: terms for people and programs, and errors that say where and why."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Altlas = Callable[..., subprocess.CompletedProcess[str]]

FIBONACCI = "mov $1,0\nmov $2,1\nlpb $0\n  mov $3,$2\n  add $2,$1\n  mov $1,$3\n  sub $0,1\nlpe\nmov $0,$1\n"


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], str]:
    """Writes a program into a file and gives its name."""

    def write(code: str, name: str = "program.asm") -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code, "utf-8")
        return str(path)

    return write


def test_terms_are_one_line(altlas: Altlas, program: Callable[[str], str]) -> None:
    done = altlas("loda", "eval", program(FIBONACCI), "--terms", "12")
    assert (done.returncode, done.stdout, done.stderr) == (0, "0,1,1,2,3,5,8,13,21,34,55,89\n", "")


def test_json_has_terms_as_texts_and_steps_of_each(altlas: Altlas, program: Callable[[str], str]) -> None:
    path = program("#offset 2\n\nmov $1,10\npow $1,5000\nadd $0,$1\n")
    answer = json.loads(altlas("loda", "eval", path, "--terms", "2", "--json").stdout)
    assert answer == {
        "program": path,
        "terms": [f"1{'0' * 4999}{n}" for n in (2, 3)],
        "steps": [3, 3],
        "error": None,
        "limit": None,
        "message": "",
    }


def test_terms_before_an_error_are_kept(altlas: Altlas, program: Callable[[str], str]) -> None:
    path = program("mov $1,2\nsub $1,$0\nmov $0,6\ndiv $0,$1\n")
    done = altlas("loda", "eval", path)
    assert (done.returncode, done.stdout) == (1, "3,6\n")
    assert done.stderr == f"altlas: {path}: term 3 (n = 2): div $0,$1: the result is undefined\n"
    answer = json.loads(altlas("loda", "eval", path, "--json").stdout)
    assert (answer["terms"], answer["error"], answer["limit"]) == (["3", "6"], "overflow", None)


@pytest.mark.parametrize(
    ("code", "option", "limit"),
    [
        ("mov $1,1000\nlpb $1\n  sub $1,1\nlpe\n", "--max-steps=100", "steps"),
        ("mov $0,10\npow $0,30\n", "--max-digits=30", "digits"),
        ("mov $64,1\n", "--max-cells=64", "cells"),
    ],
)
def test_a_limit_ends_with_1_and_is_named(
    altlas: Altlas, program: Callable[[str], str], code: str, *, option: str, limit: str
) -> None:
    done = altlas("loda", "eval", program(code), option, "--json")
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["terms"], answer["error"], answer["limit"]) == (1, [], "limit", limit)


def test_numbers_may_end_where_those_of_loda_cpp_do(altlas: Altlas, program: Callable[[str], str]) -> None:
    path = program("mov $1,2\npow $1,5000\nmov $0,1\n")
    assert altlas("loda", "eval", path, "--terms", "1").stdout == "1\n"
    answer = json.loads(altlas("loda", "eval", path, "--overflow-bits", "3840", "--json").stdout)
    assert (answer["error"], answer["limit"]) == ("overflow", None)


def test_what_is_no_program_is_refused_with_its_line(altlas: Altlas, program: Callable[[str], str]) -> None:
    path = program("mov $0,1\nfoo $0,1\n")
    done = altlas("loda", "eval", path, "--json")
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["terms"], answer["error"]) == (1, [], "parse")
    assert done.stderr == f"altlas: {path}: line 2: there is no operation 'foo'\n"


@pytest.mark.parametrize("place", ["A000045.asm", "000/A000045.asm"])
def test_called_programs_are_found_in_the_folder(
    altlas: Altlas, program: Callable[..., str], tmp_path: Path, place: str
) -> None:
    program(FIBONACCI, f"library/{place}")
    path = program("seq $0,45\nmul $0,2\n")
    done = altlas(
        "loda", "eval", path, "--offset", "5", "--terms", "3", "--programs", str(tmp_path / "library")
    )
    assert (done.returncode, done.stdout) == (0, "10,16,26\n")


def test_a_program_of_the_folder_does_not_call_itself(
    altlas: Altlas, program: Callable[..., str], tmp_path: Path
) -> None:
    path = program("seq $0,7\n", "A000007.asm")
    answer = json.loads(altlas("loda", "eval", path, "--programs", str(tmp_path), "--json").stdout)
    assert answer["error"] == "recursion"


def test_without_a_folder_the_message_says_how_to_name_one(
    altlas: Altlas, program: Callable[[str], str]
) -> None:
    done = altlas("loda", "eval", program("seq $0,45\n"))
    assert done.returncode == 1
    assert "seq calls A000045, and there is no such program; --programs says" in done.stderr


def test_a_broken_program_of_the_folder_is_named(
    altlas: Altlas, program: Callable[..., str], tmp_path: Path
) -> None:
    broken = program("mov $0\n", "A000045.asm")
    done = altlas("loda", "eval", program("seq $0,45\n"), "--programs", str(tmp_path), "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["message"].startswith(f"{broken}: line 1: mov takes")


def test_bytes_that_are_no_text_are_refused(altlas: Altlas, tmp_path: Path) -> None:
    path = tmp_path / "bytes.asm"
    path.write_bytes(b"; caf\xe9\nmov $0,1\n\xff\x00\n")
    done = altlas("loda", "eval", str(path))
    assert (done.returncode, done.stdout) == (1, "")
    assert "line 3: there is no operation" in done.stderr
    assert "\x00" not in done.stderr


@pytest.mark.parametrize("words", [("missing.asm",), (".",)])
def test_a_file_that_is_none_is_not_found(altlas: Altlas, words: tuple[str, ...]) -> None:
    done = altlas("loda", "eval", *words, "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["kind"] == "not_found"


@pytest.mark.parametrize("words", [("--terms", "0"), ("--max-cells", "1"), ("--programs", "missing")])
def test_wrong_options_end_with_2(
    altlas: Altlas, program: Callable[[str], str], words: tuple[str, str]
) -> None:
    assert altlas("loda", "eval", program(FIBONACCI), *words).returncode == 2
