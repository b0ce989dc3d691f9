"""altlas exec and altlas sandbox: what they print, and with what they end."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.sandbox.conftest import descendants

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Altlas = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.timeout(90)


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., str]:
    def write(name: str, code: str | bytes) -> str:
        (tmp_path / name).write_bytes(code if isinstance(code, bytes) else code.encode())
        return name

    return write


def lines_of(done: subprocess.CompletedProcess[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_program_runs_and_its_exit_is_not_ours(altlas: Altlas, written: Callable[..., str]) -> None:
    done = altlas("exec", written("a.py", "import sys\nprint('hi')\nsys.exit(3)"))
    assert (done.returncode, done.stdout) == (0, "hi\n")
    assert "altlas: error, exit 3" in done.stderr


@pytest.mark.parametrize(
    ("name", "code", "engine"),
    [
        ("a.py", "print(input())", "cpython"),
        ("a.js", "console.log(require('fs').readFileSync(0, 'utf8').trim())", "node"),
        ("a.sh", "read x; echo $x", "bash"),
        (
            "a.cpp",
            "#include <iostream>\nint main() { std::string s; std::cin >> s; std::cout << s << '\\n'; }",
            "g++",
        ),
    ],
)
def test_every_language_tells_the_same_fields(
    altlas: Altlas, written: Callable[..., str], *, name: str, code: str, engine: str
) -> None:
    done = altlas("exec", written(name, code), "--stdin", written("in", "word\n"), "--json")
    shown = json.loads(done.stdout)
    assert (done.returncode, shown["status"], shown["exit"], shown["signal"]) == (0, "success", 0, None)
    assert (shown["stdout"], shown["stderr"], shown["engine"]) == ("word\n", "", engine)
    assert (shown["stdout_truncated"], shown["stderr_truncated"]) == (False, False)
    assert shown["rung"]
    assert "net-ns" in shown["layers"]
    assert min(shown["wall_s"], shown["max_rss_mb"], 1 + shown["cpu_s"]) > 0


def test_loda_runs_in_a_jail_like_any_language(altlas: Altlas, written: Callable[..., str]) -> None:
    done = altlas("exec", written("a.asm", "mul $0,$0\n"), "--stdin", written("in", "3 12"), "--json")
    shown = json.loads(done.stdout)
    assert (done.returncode, shown["status"], shown["stdout"]) == (0, "success", "9\n144\n")
    assert (shown["engine"], shown["layers"][0]) == ("loda", "loda-machine")
    assert "net-ns" in shown["layers"]


def test_limits_of_the_command_line_hold(altlas: Altlas, written: Callable[..., str]) -> None:
    endless = written("a.py", "print('x' * 5000, flush=True)\nwhile True: pass")
    shown = json.loads(altlas("exec", endless, "--cpu-s", "0.3", "--output-kb", "8", "--json").stdout)
    assert (shown["status"], shown["signal"]) == ("cpu_limit", 9)
    shown = json.loads(altlas("exec", endless, "--wall-s", "0.5", "--output-kb", "1", "--json").stdout)
    assert (shown["status"], len(shown["stdout"])) == ("timeout", 1024)
    assert (shown["stdout_truncated"], shown["stdout_bytes"]) == (True, 5001)


def test_bytes_that_are_no_text_are_replaced_and_flagged(altlas: Altlas, written: Callable[..., str]) -> None:
    shown = json.loads(altlas("exec", written("a.sh", r"printf 'a\xffb'"), "--json").stdout)
    assert (shown["stdout"], shown["stdout_replaced"], shown["stderr_replaced"]) == ("a\ufffdb", True, False)


@pytest.mark.parametrize("code", [b"print('\xff')", b"print(1)\0"])
def test_source_that_is_no_text_is_refused(altlas: Altlas, written: Callable[..., str], code: bytes) -> None:
    done = altlas("exec", written("a.py", code), "--json")
    assert (done.returncode, json.loads(done.stdout)["status"]) == (1, "refused")


def test_an_unknown_language_is_refused_by_name(altlas: Altlas, written: Callable[..., str]) -> None:
    done = altlas("exec", written("a.py", "print(1)"), "--lang", "cobol", "--json")
    shown = json.loads(done.stdout)
    assert (done.returncode, shown["status"], shown["stdout"]) == (1, "refused", "")
    assert "cobol" in shown["stderr"]


def test_a_name_that_tells_no_language_is_a_wrong_use(altlas: Altlas, written: Callable[..., str]) -> None:
    done = altlas("exec", written("a.q", "print(1)"))
    assert done.returncode == 2
    assert "--lang" in done.stderr


def test_a_missing_engine_is_named_with_its_package(
    altlas: Altlas, written: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    done = altlas(
        "exec", written("a.cpp", "int main() {}"), "--json", environ={"PATH": str(tmp_path / "bin")}
    )
    assert done.returncode == 69
    assert json.loads(done.stdout)["status"] == "refused"
    assert "apt-get install g++" in json.loads(done.stdout)["stderr"]


def test_a_batch_answers_every_line_in_order(altlas: Altlas, written: Callable[..., str]) -> None:
    lines = [
        {"id": 1, "language": "python", "code": "import time\ntime.sleep(0.5)\nprint('slow')"},
        {"id": "b", "language": "bash", "code": "cat", "stdin": "in"},
        {"language": "c++", "code": "int main() { return 7; }"},
        {
            "id": 4,
            "language": "js",
            "code": "const f = (x, y) => x + y",
            "entry": "f",
            "calls": [[1, 2], "[3,4]"],
        },
        {"id": 5, "language": "python", "code": "while True: pass", "limits": {"cpu_s": 0.2}},
        {"id": 6, "language": "python", "code": "'\ud800'"},
        {"id": 7, "language": "python", "code": "import os\nos.write(1, b'\\xff\\x00')"},
    ]
    text = "\n".join(map(json.dumps, lines))
    done = altlas("exec", "--batch", written("batch.jsonl", text))
    assert done.returncode == 0
    shown = lines_of(done)
    assert [line["id"] for line in shown] == [1, "b", None, 4, 5, 6, 7]
    assert [line["line"] for line in shown] == [1, 2, 3, 4, 5, 6, 7]
    statuses = ["success", "success", "error", "success", "cpu_limit", "refused", "success"]
    assert [line["status"] for line in shown] == statuses
    assert (shown[0]["stdout"], shown[1]["stdout"], shown[2]["exit"]) == ("slow\n", "in", 7)
    assert shown[3]["returns"] == ["3", "7"]
    assert (shown[6]["stdout"], shown[6]["stdout_replaced"]) == ("\ufffd\0", True)


def test_a_wrong_line_is_an_error_and_the_rest_goes_on(altlas: Altlas, written: Callable[..., str]) -> None:
    good = json.dumps({"language": "python", "code": "print(1)"}).encode()
    wrong = [
        b"nonsense",
        b"[]",
        b"{}",
        b'{"language": "python", "code": 5}',
        b'{"language": "python", "code": "", "limits": {"cpu": 1}}',
        b'{"language": "python", "code": "", "limits": {"cpu_s": "x"}}',
        b'{"language": "python", "code": "", "more": 1}',
        b'{"language": "python", "code": "\xff"}',
        b"[" * 100_000,
    ]
    done = altlas("exec", "--batch", written("batch.jsonl", b"\n".join([good, *wrong, b"", good])))
    shown = lines_of(done)
    assert (done.returncode, len(shown)) == (0, len(wrong) + 2)
    assert shown[0]["stdout"] == shown[-1]["stdout"] == "1\n"
    assert all("error" in line for line in shown[1:-1])
    assert shown[-1]["line"] == len(wrong) + 3


def test_a_batch_answers_as_lines_come(surroundings: dict[str, str], tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "altlas_agent", "exec", "--batch", "-"],
        cwd=tmp_path,
        env=surroundings,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number in range(2):
            code = f"print({number})"
            process.stdin.write(json.dumps({"language": "python", "code": code}) + "\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["stdout"] == f"{number}\n"
        process.stdin.close()
    assert process.returncode == 0


def test_workers_killed_during_a_batch_lose_nothing(
    start: Callable[..., subprocess.Popen[str]], written: Callable[..., str]
) -> None:
    code = "import time\ntime.sleep(0.1)\nprint({})"
    lines = [{"id": number, "language": "python", "code": code.format(number)} for number in range(40)]
    batch = written("batch.jsonl", "\n".join(map(json.dumps, lines)))
    with start("exec", "--batch", batch) as process:
        for _ in range(3):
            time.sleep(0.6)
            for worker in descendants(process.pid)[:1]:
                with suppress(ProcessLookupError):
                    os.kill(worker, 9)
        stdout, _ = process.communicate(timeout=60)
    shown = [json.loads(line) for line in stdout.splitlines()]
    assert process.returncode == 0
    assert [line["id"] for line in shown] == list(range(40))
    assert [line["stdout"] for line in shown] == [f"{number}\n" for number in range(40)]


def test_a_missing_interpreter_is_named_with_its_setting(altlas: Altlas, written: Callable[..., str]) -> None:
    done = altlas("exec", written("a.py", "print(1)"), "--set", "sandbox.python=/nowhere/python", "--json")
    assert done.returncode == 69
    assert "sandbox.python" in done.stdout


def test_status_names_each_language_with_its_engine(altlas: Altlas) -> None:
    done = altlas("sandbox", "status", "--json", "--set", "sandbox.node=/nowhere/node")
    lanes = {lane["language"]: lane for lane in json.loads(done.stdout)["languages"]}
    assert done.returncode == 0
    assert (lanes["python"]["works"], lanes["python"]["engine"]) == (True, "cpython")
    assert lanes["python"]["version"].startswith("3.")
    assert lanes["bash"]["rung"] == "bwrap-per-exec"
    assert (lanes["javascript"]["works"], "sandbox.node" in lanes["javascript"]["missing"]) == (False, True)


def test_the_doctor_is_content_here_and_not_without_an_engine(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    few_tools = tmp_path / "tools"
    few_tools.mkdir()
    (few_tools / "bwrap").symlink_to(shutil.which("bwrap") or "bwrap")
    for path, code in ((os.environ["PATH"], 0), (str(few_tools), 69)):
        with start("sandbox", "doctor", "--json", environ={"PATH": path}) as process:
            stdout, _ = process.communicate(timeout=80)
        report = json.loads(stdout)
        assert (process.returncode, report["healthy"]) == (code, code == 0)
        assert not [each for each in report["probes"] if each["problem"]]
