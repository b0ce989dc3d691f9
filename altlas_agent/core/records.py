"""Task, Attempt, Outcome, Score, Sample: the frozen nouns everyone speaks.

Every record crosses a process border or the disk, so it holds plain values only. Values that a
program takes or returns travel as JSON text: what a record carries is exactly what was written.
"""

from __future__ import annotations

import enum
from typing import Annotated

import msgspec

from altlas_agent.core.nouns.base import Record as Record
from altlas_agent.core.nouns.faults import Fault as Fault  # noqa: TC001 - msgspec reads the annotations
from altlas_agent.core.nouns.faults import Severity as Severity  # noqa: TC001 - as above
from altlas_agent.core.nouns.plans import Beside as Beside
from altlas_agent.core.nouns.plans import Guidance as Guidance
from altlas_agent.core.nouns.strategy import Conditions as Conditions  # noqa: TC001 - msgspec looks here
from altlas_agent.core.nouns.strategy import Strategy as Strategy  # noqa: TC001 - as above

Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
"""Checked when it is read from the wire or the disk."""


class Kind(enum.StrEnum):
    """What a task asks of a program."""

    STDOUT = "stdout"
    FUNCTION = "function"


class Status(enum.StrEnum):
    """How a program ended, as measured from outside it."""

    SUCCESS = "success"
    ERROR = "error"
    TIMEOUT = "timeout"
    CPU_LIMIT = "cpu_limit"
    MEMORY_LIMIT = "memory_limit"
    OUTPUT_LIMIT = "output_limit"
    SIGNAL = "signal"
    COMPILE_ERROR = "compile_error"
    REFUSED = "refused"
    INTERNAL = "internal"

    @property
    def is_scored(self) -> bool:
        """False for the sandbox's own faults: they are retried, never scored, never learned from."""
        return self is not Status.INTERNAL


class Arm(enum.StrEnum):
    """What drew an attempt. Only `POLICY` attempts carry the policy-gradient term.

    flat     the policy at a higher temperature
    grammar  the grammar, without the policy
    search   all programs in the order of their size, those left out that behave like a smaller one
    mutate   a near miss with a part of it written anew
    beam     the likeliest programs of the policy, found by a beam search
    """

    POLICY = "policy"
    FLAT = "flat"
    GRAMMAR = "grammar"
    SEARCH = "search"
    MUTATE = "mutate"
    BEAM = "beam"


class Limits(Record):
    """What one run of one program may use.

    `processes` counts threads as well, but none that the engine starts for itself. `output_kb` is what
    is kept of each stream. `files` may be open at once; 16 times as many may lie in /tmp, which holds
    `tmp_mb`.
    """

    cpu_s: float = 1.0
    wall_s: float = 4.0
    memory_mb: int = 256
    output_kb: int = 64
    processes: int = 16
    tmp_mb: int = 32
    files: int = 64


class Param(Record):
    """One argument of a function task."""

    name: str
    type: str


class Signature(Record):
    """The function that a `function` task asks for. Types are those of the abstract grammar."""

    name: str
    params: tuple[Param, ...]
    returns: str


class Case(Record):
    """One test: what goes in and what must come out, as JSON text. `args` is a JSON array."""

    args: str = "[]"
    stdin: str = ""
    expected: str = '""'
    hidden: bool = False


class Constraints(Record):
    """What a program must or must not contain, whatever it prints. They gate success."""

    require_operators: tuple[str, ...] = ()
    forbid_operators: tuple[str, ...] = ()
    require_numbers: tuple[float, ...] = ()
    forbid_numbers: tuple[float, ...] = ()
    require_strings: tuple[str, ...] = ()
    forbid_strings: tuple[str, ...] = ()
    require_constructs: tuple[str, ...] = ()
    forbid_constructs: tuple[str, ...] = ()
    max_tokens: int = 24


class Pattern(Record):
    """A shape of source text that counts as valid, as a regular expression."""

    regex: str
    ignore_case: bool = False
    ignore_whitespace: bool = True


class Task(Record):
    """One programming problem; for a task family, one instance of it.

    `id` is `suite/name` or `suite/name#instance`. `numbers` and `strings` are the literals of the
    description in order: the abstract tokens NUM_k and STR_k stand for them.
    """

    id: str
    suite: str
    name: str
    description: str
    target_language: str
    kind: Kind
    cases: tuple[Case, ...]
    difficulty: float = 1.0
    rung: int = 1
    instance: int = -1
    signature: Signature | None = None
    constraints: Constraints = Constraints()
    patterns: tuple[Pattern, ...] = ()
    limits: Limits = Limits()
    numbers: tuple[int, ...] = ()
    strings: tuple[str, ...] = ()
    reference: str = ""
    cheats: tuple[str, ...] = ()
    tokens: str = ""

    @property
    def key(self) -> str:
        """`suite/name`: what counts as one task of the suite, whatever the instance."""
        return f"{self.suite}/{self.name}"

    @property
    def is_simplified(self) -> bool:
        """True for a task that was made easier, which its id says behind a `~`: to solve it does not count."""
        return "~" in self.id.partition("#")[2]

    def public(self) -> Task:
        """What a policy may see of it: no hidden test, no solution."""
        visible = tuple(case for case in self.cases if not case.hidden)
        return msgspec.structs.replace(self, cases=visible, reference="", cheats=(), tokens="")


class Program(Record):
    """What a sandbox runs: source text, never a path."""

    language: str
    code: str
    entry: str = ""
    calls: tuple[str, ...] = ()
    stdin: str = ""


class RunResult(Record):
    """What one execution showed. `returns` holds one JSON text, or "" for no answer, per call.

    `stdout_bytes` is what was written, of which `stdout` is the start; `cpu_s` is `user_s + system_s`.
    """

    status: Status
    exit_code: int | None = None
    signal: int | None = None
    stdout: bytes = b""
    stderr: bytes = b""
    stdout_truncated: bool = False
    stderr_truncated: bool = False
    stdout_bytes: int = 0
    stderr_bytes: int = 0
    returns: tuple[str, ...] = ()
    cpu_s: float = 0.0
    user_s: float = 0.0
    system_s: float = 0.0
    wall_s: float = 0.0
    max_rss_mb: float = 0.0
    rung: str = ""
    layers: tuple[str, ...] = ()
    engine: str = ""


class Finding(Record):
    """What a static check saw in a program; advice, never a wall. Lines and columns count from 1."""

    rule: str
    severity: Severity
    line: int
    column: int
    message: str


class Place(Record):
    """A stretch of source text in characters, from 1; the end lies behind the last. 0: not known."""

    line: int
    column: int = 0
    end_line: int = 0
    end_column: int = 0


class Trace(Record):
    """What a failing program did when it was run once more and watched.

    Written inside the jail: bounded, and no more than what a hostile program lets us believe. `lines` are
    pairs of a line and how often it was reached, `values` the last values of variables by function and
    name. Of a hidden test there are no values.
    """

    lines: tuple[tuple[int, int], ...] = ()
    values: dict[str, dict[str, str]] = {}  # noqa: RUF012 - of a frozen record; msgspec copies it
    place: Place | None = None
    complete: bool = True


class ToolFeedback(Record):
    """What the tools say about an attempt beside its score.

    `severity` lies in 0..1. A line or column of 0 is not known. `blame` has a weight in 0..1 for each token
    of the attempt, or none where its text was not rendered from its tokens. `message` can name a value of
    a hidden test: it is for people, not for a policy.
    """

    fault: Fault
    severity: float
    message: str = ""
    line: int = 0
    column: int = 0
    function: str = ""
    findings: tuple[Finding, ...] = ()
    trace: Trace | None = None
    blame: tuple[float, ...] = ()


class Attempt(Record):
    """One program proposed for one task by one policy version.

    `tokens` and `logps` are what was sampled and its log-probability (natural log) under the
    distribution it was sampled from; they are never computed again from text. Where an arm draws from no
    distribution they are 0, and there is no strategy.
    """

    number: int
    group: int
    task_id: str
    code: str
    tokens: tuple[int, ...]
    logps: tuple[float, ...]
    policy_version: int
    arm: Arm
    strategy: Strategy | None = None


class CaseResult(Record):
    """How one test went. `got` is bounded text for people; the verdict was made on the host."""

    passed: bool
    hidden: bool
    got: str = ""


class Outcome(Record):
    """What running an attempt showed: the status of the worst execution and the tests."""

    status: Status
    cases: tuple[CaseResult, ...] = ()
    violations: tuple[str, ...] = ()
    stdout: str = ""
    stderr: str = ""
    cpu_s: float = 0.0
    wall_s: float = 0.0
    max_rss_mb: float = 0.0
    rung: str = ""
    engine: str = ""

    @property
    def passed(self) -> int:
        """How many tests passed, hidden ones included."""
        return sum(case.passed for case in self.cases)


class Score(Record):
    """A rubric's verdict. `solved` is decided by hidden tests and constraints.

    A number outside 0..1, or none, does not cross the border of a process.
    """

    value: Share
    parts: dict[str, Share]
    solved: bool = False


class Judged(Record):
    """An attempt with what came of it: the unit that is stored and learned from."""

    attempt: Attempt
    outcome: Outcome
    score: Score
    fingerprint: str = ""
    feedback: ToolFeedback | None = None


class GroupPlan(Record):
    """A request for the attempts `first_number`, `first_number + 1`, ... of one task.

    Without `explore` all of them are drawn from the policy itself, as in a rehearsal of a solved task.
    `examples` are further instances of the task's family whose visible tests may be looked at. `beside` was
    settled when the group was planned: the policy that writes and the one that learns read the same.
    """

    group: int
    task: Task
    size: int
    first_number: int
    explore: bool = True
    examples: tuple[Task, ...] = ()
    beside: Beside = Beside()
    guidance: Guidance = Guidance()


class Group(Record):
    """The judged attempts of one task under one policy version."""

    plan: GroupPlan
    judged: tuple[Judged, ...]


class Sample(Record):
    """One attempt as the trainer sees it: tokens and the per-token weights of each loss term.

    `beside` is what the policy read when it wrote them; replayed ones are learned by the description alone. Without
    `conditions` it is as if it had been drawn plainly, under the settings in force.
    """

    task: Task
    tokens: tuple[int, ...]
    logps: tuple[float, ...]
    rl: tuple[float, ...] = ()
    ce: tuple[float, ...] = ()
    conditions: Conditions | None = None
    beside: Beside = Beside()
