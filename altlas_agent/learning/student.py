"""The student: the policy in training with its sampler, optimiser, algorithm and replay."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import torch

from altlas_agent.core.clock import derive_seed
from altlas_agent.core.errors import PolicyError, boundary
from altlas_agent.core.records import Arm, Attempt
from altlas_agent.core.requests import (
    CheckpointFile,
    Generate,
    Generated,
    Learn,
    Learned,
    ResetWeights,
    Save,
    Saved,
    WasReset,
)
from altlas_agent.core.states import Chance, StudentState
from altlas_agent.generation.constrained import HOLES
from altlas_agent.generation.explore import Explorer
from altlas_agent.generation.sampling import Sampler
from altlas_agent.generation.strategy.strategist import Strategist
from altlas_agent.languages.render import render
from altlas_agent.languages.tokens.vocabulary import vocabulary
from altlas_agent.learning.algorithms.build import build_algorithm
from altlas_agent.learning.footing import Footing
from altlas_agent.learning.memory import memory_for
from altlas_agent.learning.replay import Replay
from altlas_agent.learning.reset import reset
from altlas_agent.learning.samples import from_group, unknown
from altlas_agent.learning.trainer import Trainer
from altlas_agent.policies import checkpoint
from altlas_agent.policies.build import build_policy
from altlas_agent.policies.tensors import from_array

if TYPE_CHECKING:
    from torch import Tensor

    from altlas_agent.core.records import Sample
    from altlas_agent.policies.base import Policy
    from altlas_agent.settings.run import Settings

_SAMPLING, _SEEN, _STATE, _LOOP = "sampling", "seen", "state", "loop"


class Student:
    """Answers generate, learn and save. All its chance comes from `seed`."""

    def __init__(self, settings: Settings, seed: int) -> None:
        self._settings = settings
        self._seed = seed
        self._rng = random.Random(derive_seed(seed, "replay"))
        self.policy = self._fresh("weights")
        self._chance = torch.Generator().manual_seed(derive_seed(seed, "sampling"))
        self._sampler = Sampler(self.policy, settings.generation, settings.policy.reading, self._chance)
        self._strategist = Strategist(settings.generation, seed)
        self._explorer = Explorer(self._sampler, settings.generation, seed, strategist=self._strategist)
        self._algorithm = build_algorithm(settings.learning)
        self._trainer = Trainer(self.policy, settings, self._algorithm.surrogate)
        self._replay = Replay(settings.learning.replay_capacity)
        self._footing = Footing()
        self._cuts: tuple[str, ...] = ()
        self.version = 0
        self._begun_at: tuple[int, Path | None] | None = (0, None)

    def generate(self, request: Generate) -> Generated:
        """Write the planned attempts, stamped with the version that wrote them.

        Raises PolicyError without memory, and for logits that are not finite.
        """
        with memory_for(f"to write {sum(plan.size for plan in request.plans)} attempts"):
            drawn = self._explorer.write(request.plans)
        attempts = tuple(
            Attempt(
                number=row.number,
                group=row.group,
                task_id=row.task.id,
                code=render(row.task, program.tokens),
                tokens=program.tokens,
                logps=program.logps,
                policy_version=self.version,
                arm=row.arm,
                strategy=program.conditions.strategy if program.conditions else None,
            )
            for row, program in drawn
        )
        for row, program in drawn:
            if row.arm is Arm.POLICY:
                self._strategist.remember(row.number, program.conditions)
        lengths = [len(attempt.tokens) for attempt in attempts]
        cuts = tuple(sorted(self._sampler.cuts - set(self._cuts)))
        self._cuts += cuts
        counts = {"cut_texts": float(len(self._cuts))} if self._cuts else {}
        metrics = {"program_tokens": sum(lengths) / max(len(lengths), 1), **counts}
        return Generated(attempts=attempts, metrics=metrics, cuts=cuts)

    def learn(self, request: Learn) -> Learned:
        """One step on what the groups and the replayed solutions teach; the version grows by one.

        Groups of a step that had to be skipped are dropped, and say why. Raises PolicyError when learning
        fails again and again.
        """
        self._trainer.schedules.observe(request.groups)
        samples, dropped = self._on_policy_samples(request)
        for group in request.groups:
            for judged in group.judged:
                if judged.score.solved:
                    self._replay.add(group.plan.task, judged)
        self._explorer.learn(request.groups)
        self._strategist.observe(request.groups)
        attempts = sum(len(group.judged) for group in request.groups)
        replayed = [
            msgspec.structs.replace(sample, conditions=self._strategist.plainly(sample.task))
            for sample in self._replay.draw(round(attempts * self._settings.learning.replay_share), self._rng)
        ]
        step = self._trainer.step(samples + replayed)
        self.version += 1
        if step.skipped:
            reason = f"the learning step was skipped: {step.skipped}"
            dropped |= {group.plan.group: reason for group in request.groups}
        went_back = not self._footing.stands(self.policy, step.skipped)
        if went_back:
            self._go_back()
        counts = {"replayed": float(len(replayed)), "dropped_groups": float(len(dropped))}
        trouble = {"skipped_steps": bool(step.skipped), "returns": went_back}
        counts |= {name: 1.0 for name, is_so in trouble.items() if is_so}
        return Learned(
            version=self.version, metrics=step.metrics | counts | _success(request), dropped=dropped
        )

    def _go_back(self) -> None:
        """Take the weights and moments of the last good checkpoint, or those of the beginning, and learn slower."""
        self._trainer.lower_rate(self._footing.rate_share)
        self._strategist.was_reset()
        good = self._footing.good
        if good is not None:
            checkpoint.read(Path(good.path), good.sha256, self.policy, self._trainer.optimiser)
            return
        self.policy.load_state_dict(self._fresh("weights").state_dict())
        self._trainer.optimiser.restore({})

    def _on_policy_samples(self, request: Learn) -> tuple[list[Sample], dict[int, str]]:
        samples: list[Sample] = []
        dropped: dict[int, str] = {}
        blame = self._settings.learning.credit.blame
        known = self._strategist.recall(request.groups)
        for group, annotated in zip(request.groups, self._algorithm.annotate(request.groups), strict=True):
            reason = annotated.dropped or unknown(group, known)
            if reason:
                dropped[group.plan.group] = reason
            else:
                samples += from_group(group, annotated.advantages, blame, known)
        return samples, dropped

    def reset(self, request: ResetWeights) -> WasReset:
        """Draw weights anew, by the seed and the version. Raises PolicyError for a layer that there is not."""
        chance = torch.get_rng_state()
        fresh = self._fresh(f"weights after version {self.version}")
        torch.set_rng_state(chance)
        meant = reset(self.policy, fresh, self._trainer.optimiser, request)
        return WasReset(names=tuple(meant), numbers=sum(weight.numel() for weight in meant.values()))

    def _fresh(self, what: str) -> Policy:
        """A policy as the seed draws it; this moves torch's global generator."""
        torch.manual_seed(derive_seed(self._seed, what))  # pyright: ignore[reportUnknownMemberType] - torch leaves it untyped
        return build_policy(self._settings.policy, len(vocabulary()), len(HOLES))

    def steer(self, settings: Settings) -> None:
        """Go on under these settings."""
        self._settings = settings
        self._sampler.settings = self._strategist.settings = settings.generation
        self._trainer.steer(settings)

    def save(self, request: Save) -> Saved:
        """Write everything that going on needs; `request.loop` travels along."""
        if self._begun_at is not None:
            since, known = self._begun_at
            checkpoint.sweep(Path(request.folder), since=since, known=known)
            self._begun_at = None
        extra = {
            _SAMPLING: self._chance.get_state(),
            _SEEN: from_array(self._explorer.seen()),
            _STATE: _as_tensor(msgspec.msgpack.encode(self._state())),
            _LOOP: _as_tensor(request.loop),
            **self._trainer.reference.tensors(),
        }
        path, digest = checkpoint.write(
            Path(request.folder), self.version, self.policy, self._trainer.optimiser, extra=extra
        )
        self._footing.saved(CheckpointFile(path=str(path), sha256=digest))
        return Saved(path=str(path), sha256=digest, version=self.version)

    def restore(self, file: CheckpointFile) -> bytes:
        """Go on from a checkpoint that `save` wrote; gives the `loop` it was given.

        Raises PolicyError for a file that is damaged or does not fit.
        """
        extra = checkpoint.read(Path(file.path), file.sha256, self.policy, self._trainer.optimiser)
        with boundary(PolicyError, f"checkpoint {file.path} does not fit this AltLAS"):
            state = msgspec.msgpack.decode(_as_bytes(extra[_STATE]), type=StudentState)
            self._chance.set_state(extra[_SAMPLING])
            self._explorer.restore(extra[_SEEN].numpy(), state.explorer)
            self._strategist.restore(state.strategies)
            state.chance.give(self._rng)
            self._replay.restore(state.replay)
            self._footing.restore(state.footing, file)
            self._trainer.parts = state.parts
            self._trainer.schedules.state = state.control
            self._trainer.reference.restore(self.policy, extra)
            self._algorithm.state = state.algorithm
            self._trainer.lower_rate(self._footing.rate_share)
            self._cuts = state.cuts
            self.version = state.version
            self._begun_at = (state.version, Path(file.path))
            return _as_bytes(extra[_LOOP])

    def _state(self) -> StudentState:
        return StudentState(
            version=self.version,
            chance=Chance.of(self._rng),
            replay=self._replay.state(),
            footing=self._footing.state(),
            parts=self._trainer.parts,
            algorithm=self._algorithm.state,
            control=self._trainer.schedules.state,
            explorer=self._explorer.state(),
            strategies=self._strategist.state(),
            cuts=self._cuts,
        )


def _success(request: Learn) -> dict[str, float]:
    """Mean score and share solved of the on-policy attempts: exploration is left out."""
    scores = [j.score for group in request.groups for j in group.judged if j.attempt.arm is Arm.POLICY]
    count = max(len(scores), 1)
    return {"score": sum(s.value for s in scores) / count, "success": sum(s.solved for s in scores) / count}


def _as_tensor(data: bytes) -> Tensor:
    return from_array(np.frombuffer(data, dtype=np.uint8).copy())


def _as_bytes(tensor: Tensor) -> bytes:
    return tensor.numpy().tobytes()
