"""Settings of the sandbox: workers, engines, ceilings."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from altlas_agent.settings.section import Section


class SandboxSettings(Section):
    """How programs are run, and the most that any of them may use."""

    workers: int = Field(default=2, ge=1, le=256)
    """Worker processes that run and score attempts."""

    prewarmed_nodes: int = Field(default=2, ge=0, le=64)
    """Node processes that each worker keeps started, so that a program need not wait for one to start."""

    python: str = Field(default="auto", min_length=1)
    """Path of the Python that runs programs; auto takes /usr/bin/python3 from 3.11 on, else AltLAS's own."""

    node: str = Field(default="auto", min_length=1)
    """Path of the node that runs JavaScript; auto looks it up in PATH."""

    javascript: Literal["node", "quickjs"] = "node"
    """What runs JavaScript: node, or the far cheaper QuickJS wherever it does what node does."""

    cross_check: float = Field(default=0.01, ge=0, le=1)
    """Share of the programs that QuickJS ran which node runs too; where they differ node is right, and it is logged."""

    languages: str = ""
    """A file with further languages, in the format of configs/languages/execution.json; "" for none."""

    allow_reduced: bool = False
    """Whether a weaker jail, of Landlock and seccomp without namespaces, may do where no full one works."""

    allow_unsafe: bool = False
    """Whether programs may run with resource limits only when no real jail works on this machine."""

    uid: int = Field(default=0, ge=0, le=2**32 - 2)
    """User id that programs run under when AltLAS runs as root; 0 chooses an unprivileged one."""

    cpu_s_ceiling: float = Field(default=10.0, gt=0, le=3600)
    """Most CPU seconds that any task may allow one program."""

    wall_s_ceiling: float = Field(default=30.0, gt=0, le=3600)
    """Most seconds on the clock that any task may allow one program."""

    memory_mb_ceiling: int = Field(default=1024, ge=16)
    """Most megabytes of memory that any task may allow one program."""

    output_kb_ceiling: int = Field(default=1024, ge=1)
    """Most kilobytes of output that any task may allow one program."""

    processes_ceiling: int = Field(default=64, ge=1, le=4096)
    """Most processes and threads that any task may allow one program."""

    tmp_mb_ceiling: int = Field(default=256, ge=1)
    """Most megabytes that any task may allow one program in /tmp."""

    files_ceiling: int = Field(default=256, ge=16, le=65_536)
    """Most files that any task may allow one program to hold open; 16 times as many may lie in /tmp."""

    refuse_severity: Literal["none", "low", "medium", "high"] = "none"
    """Least severity of a static finding for which a program is refused: none, low, medium or high."""

    trace_failures: bool = False
    """Whether a program that fails is run once more under watch, to see which of its tokens to blame."""

    result_cache: int = Field(default=100_000, ge=0)
    """Results of programs that are remembered so that the same program is not run twice; 0 remembers none."""

    def ineffective(self, given: frozenset[str]) -> dict[str, str]:
        """There is nothing to compare while node runs everything."""
        if self.javascript == "quickjs":
            return {}
        return self.changed("cross_check", reason='unless javascript = "quickjs"')
