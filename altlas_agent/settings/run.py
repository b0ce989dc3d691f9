"""The whole tree of settings, and the section of the run itself."""

from __future__ import annotations

from pydantic import Field

from altlas_agent.settings.daemon import DaemonSettings
from altlas_agent.settings.generation import GenerationSettings
from altlas_agent.settings.learning import LearningSettings
from altlas_agent.settings.policies import Policy, RecurrentPolicy
from altlas_agent.settings.rewards import RewardSettings
from altlas_agent.settings.sandbox import SandboxSettings
from altlas_agent.settings.section import Section
from altlas_agent.settings.tasks import TaskSettings


class RunSettings(Section):
    """When a run ends, how often it is saved, and where its chance comes from."""

    seed: int = Field(default=0, ge=0, le=2**63 - 1)
    """Seed of everything random in the run: the same seed and settings give the same run."""

    max_attempts: int = Field(default=0, ge=0)
    """The run ends after this many attempts; 0 sets no limit."""

    max_time_s: float = Field(default=0.0, ge=0)
    """The run ends after this many seconds; 0 sets no limit."""

    stop_when_solved: bool = True
    """Whether the run ends as soon as every task of the suite is solved."""

    checkpoint_every_s: float = Field(default=60.0, gt=0)
    """Seconds between two checkpoints of the student."""

    staleness: int = Field(default=1, ge=0, le=8)
    """How many policy versions the student may learn while attempts of an older one are still judged."""


class Settings(Section):
    """Every setting of AltLAS, one section per room."""

    run: RunSettings = RunSettings()
    """When a run ends, how often it is saved, and where its chance comes from."""

    tasks: TaskSettings = TaskSettings()
    """Which tasks are tried, how often, and when one counts as solved."""

    sandbox: SandboxSettings = SandboxSettings()
    """How programs are run, and the most that any of them may use."""

    policy: Policy = RecurrentPolicy()
    """What proposes programs; `type` chooses the kind."""

    generation: GenerationSettings = GenerationSettings()
    """How attempts are drawn from the policy."""

    rewards: RewardSettings = RewardSettings()
    """How an outcome becomes a score."""

    learning: LearningSettings = LearningSettings()
    """How the student learns from scored attempts."""

    daemon: DaemonSettings = DaemonSettings()
    """How the process that holds the home behaves."""

    def ineffective(self, given: frozenset[str]) -> dict[str, str]:
        """A text that no policy reads."""
        feedback, reading = self.learning.feedback, self.policy.reading
        unread = {
            "learning.feedback.error_text": feedback.error_text and not reading.error,
            "learning.feedback.context": feedback.context != "none" and not reading.context,
        }
        reason = (
            "while the policy reads no such text: take policy.type lstm or transformer, with words for it"
        )
        return {name: reason for name, is_unread in unread.items() if is_unread}
