"""LODA programs on every rung: terms for arguments, and hostile programs looked at from outside their jail."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

import altlas_agent
from altlas_agent.core.errors import NoJailError, SandboxError
from altlas_agent.core.records import Limits, Program, Status
from altlas_agent.sandbox.cold import ColdPython
from altlas_agent.sandbox.engines.interpreters import python_engine
from altlas_agent.sandbox.engines.loda import LIBRARY, Loda
from altlas_agent.sandbox.jail import Jailer, unprivileged
from altlas_agent.sandbox.slots import LADDERS, Options, Slots, climb
from altlas_agent.sandbox.walls import landlock
from altlas_agent.sandbox.walls.cgroup import Cgroup
from altlas_agent.sandbox.warm import ForkServer
from tests.sandbox.attacks import Place, attack
from tests.sandbox.conftest import Run, descendants, landlock_abi, zombies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from altlas_agent.sandbox.runner import Runner

pytestmark = pytest.mark.timeout(60)

SQUARES = "mul $0,$0\n"
ENDLESS = "mov $1,10\npow $1,9\nlpb $1\n  sub $1,1\nlpe\n"
GREEDY = """mov $1,10
pow $1,9000
mov $3,90000
lpb $3
  sub $3,1
  add $1,1
  mov $4,$3
  add $4,100
  mov $$4,$1
lpe
"""
"""Fills ninety thousand cells with numbers of 3700 bytes each."""
GRACE_S = 3.0


class Lane(NamedTuple):
    """What runs LODA programs on one rung, and the Python that it tells what to do."""

    rung: str
    python: Runner
    loda: Loda


def warm(*, full: bool) -> Runner:
    cgroup = Cgroup.make() if full else None
    return ForkServer(Jailer(uid=unprivileged(0)), python_engine("auto"), cgroup=cgroup, library=LIBRARY)


def cold(*, reduced: bool) -> Runner:
    return ColdPython(Jailer(uid=unprivileged(0), reduced=reduced), python_engine("auto"), library=LIBRARY)


RUNGS: dict[str, Callable[[], Runner]] = {
    "zygote-full": lambda: warm(full=True),
    "zygote-no-cgroup": lambda: warm(full=False),
    "bwrap-per-exec": lambda: cold(reduced=False),
    "landlock": lambda: cold(reduced=True),
}


MACHINE = Path(altlas_agent.__file__).parent / "languages" / "machine"


@pytest.fixture(scope="module", params=RUNGS)
def lane(request: pytest.FixtureRequest) -> Iterator[Lane]:
    rung: str = request.param
    if rung == "landlock" and landlock_abi() < landlock.LOWEST_ABI:
        pytest.skip("no Landlock of version 6")
    try:
        python = RUNGS[rung]()
    except SandboxError as error:
        if rung != "zygote-full":
            raise
        pytest.skip(error.message)
    loda = Loda(python)
    yield Lane(rung, python, loda)
    loda.close()


@pytest.fixture
def run(lane: Lane) -> Iterator[Run]:
    """Runs programs; afterwards the slot is the same, it runs the next program, and nothing is left."""
    before, dead = lane.loda.alive(), zombies()
    started = descendants(os.getpid())
    loda = Run(lane.loda, "loda")
    yield loda
    assert loda(SQUARES, stdin="7").stdout == b"49\n"
    assert lane.loda.alive() == before
    assert zombies() == dead
    assert descendants(os.getpid()) == started


def test_without_arguments_the_first_ten_terms_are_written_from_the_offset_on(run: Run, lane: Lane) -> None:
    result = run(f"#offset 1\n{SQUARES}")
    assert (result.status, result.exit_code) == (Status.SUCCESS, 0)
    assert result.stdout == "".join(f"{n * n}\n" for n in range(1, 11)).encode()
    assert (result.rung, result.engine) == (lane.rung, "loda")
    assert result.layers[0] == "loda-machine"
    assert ("net-ns" if lane.rung != "landlock" else "reduced") in result.layers


def test_standard_input_names_the_arguments(run: Run) -> None:
    assert run(SQUARES, stdin="3 -12\n007\n").stdout == b"9\n144\n49\n"


def test_each_call_has_its_term(run: Run) -> None:
    result = run(SQUARES, calls=("[4]", "[20000000000]"), entry="a")
    assert (result.status, result.returns) == (Status.SUCCESS, ("16", "400000000000000000000"))


def test_a_call_without_a_term_leaves_the_others_and_only_the_first_is_told(run: Run) -> None:
    code = "mov $1,6\ndiv $1,$0\nmov $0,$1\n"
    result = run(code, calls=("[2]", "[0]", "[3]", "[0]"), entry="a")
    assert (result.status, result.returns) == (Status.ERROR, ("3", "", "2", ""))
    assert result.stderr == b"n = 0: div $1,$0: the result is undefined\n"


def test_terms_before_one_that_has_none_are_kept(run: Run) -> None:
    result = run("mov $1,2\nsub $1,$0\nmov $0,6\ndiv $0,$1\n")
    assert (result.status, result.exit_code, result.stdout) == (Status.ERROR, 1, b"3\n6\n")
    assert result.stderr == b"n = 2: div $0,$1: the result is undefined\n"


@pytest.mark.parametrize(
    "code",
    [
        "mov $0",
        "import os",
        '"""\nimport os',
        "lpb $0\n" * 101,
        "mov $0,\ufeff1",
        "add $0,1\n" * 10_001,
        "seq $0,../../etc/passwd",
    ],
    ids=range(7),
)
def test_what_is_no_program_does_not_compile(run: Run, code: str) -> None:
    for calls in ((), ("[1]",)):
        result = run(code, calls=calls, entry="a" if calls else "")
        assert (result.status, result.exit_code, result.stdout) == (Status.COMPILE_ERROR, 1, b"")
        assert result.stderr.startswith(b"line ")
        assert result.returns == ("",) * len(calls)


@pytest.mark.parametrize("stdin", ["x", "1.5", "9" * 19])
def test_what_is_no_whole_number_is_refused(run: Run, stdin: str) -> None:
    assert run(SQUARES, stdin=stdin).status is Status.REFUSED


def test_an_endless_program_is_stopped_in_time_and_its_terms_are_kept(run: Run) -> None:
    began = time.monotonic()
    result = run(f"trn $0,2\nmul $0,{10**9}\nlpb $0\n  sub $0,1\nlpe\nmov $0,5\n", wall_s=1.0)
    assert time.monotonic() - began < 1.0 + GRACE_S
    assert (result.status, result.stdout) == (Status.TIMEOUT, b"5\n5\n5\n")
    assert run(ENDLESS, cpu_s=0.3).status is Status.CPU_LIMIT


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("mov $0,10\npow $0,100000\n", b"digits"),
        ("mov $1,2\npow $1,1000000000000000000000\n", b"digits"),
        ("fac $0,1000000000\n", b"digits"),
        ("mov $0,1000000000000\nmul $0,2\nbin $0,1000000000\n", b"digits"),
        ("mov $1,100000\nmov $$1,1\n", b"cells"),
        ("mov $1,10000000000\nrol $0,$1\n", b"cells"),
    ],
)
def test_a_limit_of_the_machine_is_named_at_once(run: Run, code: str, told: bytes) -> None:
    result = run(code, stdin="3")
    assert (result.status, result.stdout) == (Status.ERROR, b"")
    assert told in result.stderr
    assert result.cpu_s < 1


def test_long_numbers_are_cut_as_output(run: Run) -> None:
    result = run("mov $0,10\npow $0,5000\n", output_kb=8)
    assert (result.status, len(result.stdout)) == (Status.OUTPUT_LIMIT, 8 * 1024)
    assert result.stdout_bytes == 10 * 5002
    assert run("mov $0,10\npow $0,5000\n", stdin="1").stdout == b"1" + 5000 * b"0" + b"\n"


def test_a_program_that_fills_memory_is_ended(run: Run) -> None:
    result = run(GREEDY, stdin="1", memory_mb=48)
    assert result.status in (Status.MEMORY_LIMIT, Status.ERROR), result
    assert result.stdout == b""
    assert result.max_rss_mb < 3 * 48
    assert run(GREEDY, stdin="1", memory_mb=512, cpu_s=9.0, wall_s=25.0).status is Status.SUCCESS


@pytest.mark.parametrize("call", ["seq $0,45", "prg $0,45", "mov $1,45\nseq $0,$1"])
def test_a_program_that_was_not_given_is_never_found(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    for place in (tmp_path, tmp_path / "000"):
        place.mkdir(exist_ok=True)
        for name in ("A000045.asm", "P000045.asm"):
            (place / name).write_text("#inputs 1\n#outputs 1\n\nmov $0,42\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    result = run(f"{call}\n", stdin="1")
    assert (result.status, result.stdout) == (Status.ERROR, b"")
    assert b"000045, and there is no such program" in result.stderr


NAMESPACES = ("net", "mnt", "pid", "ipc", "user")


def test_who_computes_is_nobody_in_namespaces_of_its_own(lane: Lane) -> None:
    if lane.rung == "landlock":
        pytest.skip("a reduced jail has no namespaces")
    before = descendants(os.getpid())
    seen: list[tuple[int, set[str]]] = []

    def look() -> None:
        seen.extend(_looked_at(pid) for pid in descendants(os.getpid()) if pid not in before)

    looking = threading.Timer(0.5, look)
    looking.start()
    limits = Limits(cpu_s=3.0, wall_s=1.5)
    assert lane.loda.run(Program(language="loda", code=ENDLESS), limits).status is Status.TIMEOUT
    looking.join()
    uid, namespaces = seen[-1]  # the innermost
    assert uid == unprivileged(0) != 0
    assert len(namespaces - {os.readlink(f"/proc/self/ns/{name}") for name in NAMESPACES}) == len(NAMESPACES)


def _looked_at(pid: int) -> tuple[int, set[str]]:
    """The uid and the namespaces of a process."""
    status = Path(f"/proc/{pid}/status").read_text("utf-8")
    uid = int(next(line.split()[1] for line in status.splitlines() if line.startswith("Uid:")))
    return uid, {os.readlink(f"/proc/{pid}/ns/{name}") for name in NAMESPACES}


def test_python_that_broke_out_of_the_interpreter_would_still_be_held(lane: Lane, tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents[:-2]):
        if folder.stat().st_uid == os.geteuid():
            folder.chmod(folder.stat().st_mode | 0o011)
    place = Place.make(tmp_path)
    try:
        runner = RUNGS[lane.rung]()
        shown = attack(runner, str(place.folder), place.port)
        runner.close()
        assert (shown.output, place.traces(shown)) == ("done\n", set())
    finally:
        place.close()


def test_the_jail_holds_nothing_of_ours_but_the_interpreter(lane: Lane) -> None:
    code = "import sys\nprint(*sorted(name for name in sys.modules if name.startswith('altlas_agent.')))\nimport msgspec"
    result = lane.python.run(Program(language="python", code=code), Limits())
    loaded = {name for name in result.stdout.decode().split() if ".sandbox.inside" not in name}
    assert loaded <= {
        "altlas_agent.core",
        "altlas_agent.core.errors",
        "altlas_agent.languages",
        "altlas_agent.languages.base",
        "altlas_agent.languages.loda",
        "altlas_agent.languages.loda_machine",
        "altlas_agent.languages.machine",
        "altlas_agent.sandbox",
        "altlas_agent.sandbox.engines",
        "altlas_agent.sandbox.engines.terms",
        *(f"altlas_agent.languages.machine.{file.stem}" for file in MACHINE.glob("*.py")),
    }
    assert b"No module named 'msgspec'" in result.stderr


def test_slots_climb_for_it_as_for_python() -> None:
    assert [name for name, _ in LADDERS["loda"]] == [name for name, _ in LADDERS["python"]]
    with Slots(Options()) as slots:
        assert slots.start("loda") == slots.start("python")
        result = slots.run(Program(language="loda", code=SQUARES, stdin="7"), Limits())
        assert (result.stdout, result.rung) == (b"49\n", slots.start("python"))


def test_without_namespaces_it_needs_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(NoJailError, match="apt-get install bubblewrap"):
        climb("loda", Options())
    if landlock_abi() >= landlock.LOWEST_ABI:
        found = climb("loda", Options(allow_reduced=True))
        found.runner.close()
        assert (found.rung[0], "reduced" in found.layers) == ("landlock", True)


def test_it_is_never_run_without_a_jail_as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    if os.geteuid() == 0:
        with pytest.raises(NoJailError, match="root"):
            climb("loda", Options(allow_unsafe=True))
    else:
        found = climb("loda", Options(allow_unsafe=True))
        found.runner.close()
        assert (found.rung[0], "net-ns" in found.layers) == ("plain", False)
