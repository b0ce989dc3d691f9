"""Settings of the algorithms, one class per kind, told apart by `type`.

To add an algorithm, write its class with a `type` of its own, widen the alias, and give it a case in
learning/algorithms/build.py.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from altlas_agent.settings.section import Section


class Grpo(Section):
    """Group-relative policy optimisation: attempts are compared with the others of their group."""

    type: Literal["grpo"] = "grpo"
    """Kind of algorithm: grpo compares the attempts of a group, rloo each with the others, dapo and gspo are
    grpo with other losses, reinforce compares with the task's past, reinforce_pp with the whole batch."""

    outcome_gate: bool = True
    """Whether a group counts only if some attempt in it passed more tests than another."""

    scale_rewards: Literal["group", "batch", "none"] = "group"
    """What advantages are divided by: the spread of the scores of their group, that of all groups of the
    step, or nothing (Dr. GRPO)."""

    epsilon: float = Field(default=1e-4, gt=0, le=1)
    """What is added to that spread, so that nearly equal scores are not blown up."""

    loss: Literal["clip", "cispo", "sapo", "vespo"] = "clip"
    """What becomes of the ratio to the policy that sampled: clipped as in PPO, capped as a weight (cispo), bent
    by a soft gate (sapo), or weighed by whole programs (vespo)."""

    ratio: Literal["token", "sequence"] = "token"
    """Whether that ratio is one of each token or of the whole program."""

    aggregation: Literal["sum", "grpo", "bnpo", "dr_grpo", "dapo"] = "sum"
    """How the losses of tokens become one: sum over a program and mean over programs, mean of means (grpo), mean
    over all tokens (bnpo, dapo), or sum divided by a budget (dr_grpo)."""

    token_budget: int = Field(default=24, ge=1)
    """Tokens that stand for one program with aggregation dr_grpo, whatever its length."""

    clip_low: float = Field(default=0.2, ge=0, le=1)
    """How far below 1 the ratio may fall and still teach."""

    clip_high: float = Field(default=0.2, ge=0, le=100)
    """How far above 1 the ratio may rise and still teach."""

    ratio_cap: float = Field(default=0.0, ge=0)
    """A ratio counts for no more than this, also where it is not clipped; 0 sets no cap."""

    off_policy_limit: float = Field(default=0.0, ge=0)
    """Bad programs from which the policy has moved away by more nats a token are left out; 0 leaves out none."""

    def ineffective(self, given: frozenset[str]) -> dict[str, str]:
        """A loss that is not clipped has no bounds, and without the division there is nothing to add to."""
        idle: dict[str, str] = {}
        if self.scale_rewards == "none":
            idle["epsilon"] = 'while scale_rewards = "none"'
        if self.aggregation != "dr_grpo":
            idle |= self.changed("token_budget", reason='unless aggregation = "dr_grpo"')
        if self.loss != "clip":
            idle |= dict.fromkeys(("clip_low", "clip_high"), f'while loss = "{self.loss}"')
        if self.loss in {"sapo", "vespo"}:
            idle["ratio_cap"] = f'while loss = "{self.loss}"'
        if self.loss == "vespo":
            idle["ratio"] = 'while loss = "vespo"'
        return idle


class Dapo(Section):
    """GRPO that lets likelier tokens go further, counts tokens alike, and spares nothing for idle groups."""

    type: Literal["dapo"] = "dapo"
    """Kind of algorithm: dapo."""

    outcome_gate: bool = True
    """Whether a group counts only if some attempt in it passed more tests than another."""

    dynamic_sampling: bool = True
    """Whether groups whose scores are all equal are dropped before the length is judged."""

    epsilon: float = Field(default=1e-4, gt=0, le=1)
    """What is added to the spread of the scores, so that nearly equal ones are not blown up."""

    clip_low: float = Field(default=0.2, ge=0, le=1)
    """How far below 1 the ratio may fall and still teach."""

    clip_high: float = Field(default=0.28, ge=0, le=100)
    """How far above 1 the ratio may rise and still teach."""

    overlong_price: float = Field(default=0.0, ge=0, le=1)
    """Score that a program loses at its task's limit of tokens; 0, because tasks set tight limits here."""

    overlong_share: float = Field(default=0.2, gt=0, le=1)
    """Share of that limit, before its end, over which the price rises from nothing."""

    def ineffective(self, given: frozenset[str]) -> dict[str, str]:
        """What costs nothing has no slope."""
        return (
            {} if self.overlong_price else self.changed("overlong_share", reason="while overlong_price = 0")
        )


class Gspo(Section):
    """GRPO with one ratio for a whole program, clipped very early."""

    type: Literal["gspo"] = "gspo"
    """Kind of algorithm: gspo."""

    outcome_gate: bool = True
    """Whether a group counts only if some attempt in it passed more tests than another."""

    epsilon: float = Field(default=1e-4, gt=0, le=1)
    """What is added to the spread of the scores, so that nearly equal ones are not blown up."""

    clip_low: float = Field(default=3e-4, ge=0, le=1)
    """How far below 1 the ratio may fall and still teach."""

    clip_high: float = Field(default=4e-4, ge=0, le=100)
    """How far above 1 the ratio may rise and still teach."""


class Rloo(Section):
    """Each attempt is compared with the mean of the others of its group."""

    type: Literal["rloo"] = "rloo"
    """Kind of algorithm: rloo."""

    outcome_gate: bool = True
    """Whether a group counts only if some attempt in it passed more tests than another."""

    normalize: bool = False
    """Whether advantages are brought to mean 0 and spread 1 over all groups of the step."""

    clip_low: float = Field(default=0.2, ge=0, le=1)
    """How far below 1 the ratio may fall and still teach."""

    clip_high: float = Field(default=0.2, ge=0, le=100)
    """How far above 1 the ratio may rise and still teach."""


class Reinforce(Section):
    """Each attempt is compared with a running mean of the scores of its task."""

    type: Literal["reinforce"] = "reinforce"
    """Kind of algorithm: reinforce."""

    outcome_gate: bool = True
    """Whether a group of several counts only if some attempt in it passed more tests than another."""

    decay: float = Field(default=0.9, ge=0, lt=1)
    """What is left of the running mean of a task's scores after each further group."""


class ReinforcePlus(Section):
    """Scores are brought to mean 0 and spread 1 over all tokens of the step; groups of one teach too."""

    type: Literal["reinforce_pp"] = "reinforce_pp"
    """Kind of algorithm: reinforce_pp."""

    outcome_gate: bool = True
    """Whether a group of several counts only if some attempt in it passed more tests than another."""

    group_baseline: bool = False
    """Whether the mean of its group is taken from each score first; groups of one teach nothing then."""

    clip_low: float = Field(default=0.2, ge=0, le=1)
    """How far below 1 the ratio may fall and still teach."""

    clip_high: float = Field(default=0.2, ge=0, le=100)
    """How far above 1 the ratio may rise and still teach."""


Algorithm = Annotated[Grpo | Dapo | Gspo | Rloo | Reinforce | ReinforcePlus, Field(discriminator="type")]
