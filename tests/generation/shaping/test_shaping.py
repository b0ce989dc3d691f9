"""What is done to logits leaves a distribution over allowed tokens, whatever is turned on."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from altlas_agent.core.records import Conditions, Strategy
from altlas_agent.generation.masks import FORBIDDEN
from altlas_agent.generation.shaping.logits import Cuts, kept, pack, unpack
from altlas_agent.generation.shaping.noise import noise
from altlas_agent.generation.shaping.step import Shaper
from altlas_agent.generation.shaping.whole import whole

WIDTH, STEPS = 23, 6
STRATEGIES = st.builds(
    Strategy,
    name=st.just("any"),
    temperature=st.floats(0.1, 5),
    top_k=st.integers(0, WIDTH + 3),
    top_p=st.floats(0.01, 1),
    min_p=st.floats(0, 1),
    noise=st.floats(0, 3),
    repetition=st.floats(0, 3),
)
SEEDS = st.integers(0, 2**63 - 1)


class Drawn:
    """Some programs of a few tokens, drawn under different strategies from random logits."""

    def __init__(self, strategies: list[Strategy], seed: int) -> None:
        chance = np.random.default_rng(seed)
        count = len(strategies)
        self.conditions = [Conditions(strategy=each, seed=seed + n) for n, each in enumerate(strategies)]
        self.pushes = torch.tensor(chance.normal(size=(count, WIDTH)), dtype=torch.float32)
        self.logits = torch.tensor(chance.normal(scale=4, size=(STEPS, count, WIDTH)), dtype=torch.float32)
        allowed = chance.random((STEPS, count, WIDTH)) < 0.6
        allowed[:, :, chance.integers(WIDTH)] = True
        self.masks = np.where(allowed, 0.0, FORBIDDEN).astype(np.float32)
        self.tokens: list[list[int]] = []
        shaper = Shaper(self.conditions, self.pushes, STEPS)
        self.shaped: list[torch.Tensor] = []
        for logits, masks in zip(self.logits, self.masks, strict=True):
            shaped = shaper.shaped(logits.clone(), masks)
            tokens = shaped.softmax(-1).multinomial(1).squeeze(1).tolist()
            shaper.wrote(tokens)
            self.shaped.append(shaped)
            self.tokens.append(tokens)
        self.kept = [
            shaper.kept(place, STEPS) if each.cuts else np.empty(0) for place, each in enumerate(strategies)
        ]


@given(st.lists(STRATEGIES, min_size=1, max_size=4), st.integers(0, 10**6))
@settings(max_examples=150, deadline=None)
def test_whatever_is_on_the_chances_are_finite_and_sum_to_one(strategies: list[Strategy], seed: int) -> None:
    for shaped in Drawn(strategies, seed).shaped:
        chances = shaped.softmax(-1)
        assert torch.isfinite(chances).all()
        assert torch.allclose(chances.sum(-1), torch.ones(len(strategies)), atol=1e-5)


@given(st.lists(STRATEGIES, min_size=1, max_size=4), st.integers(0, 10**6))
@settings(max_examples=150, deadline=None)
def test_a_forbidden_token_has_no_chance(strategies: list[Strategy], seed: int) -> None:
    drawn = Drawn(strategies, seed)
    for shaped, masks in zip(drawn.shaped, drawn.masks, strict=True):
        assert float(shaped.softmax(-1)[torch.from_numpy(masks) < 0].sum()) == 0.0


@given(st.lists(STRATEGIES, min_size=1, max_size=4), st.integers(0, 10**6))
@settings(max_examples=150, deadline=None)
def test_a_whole_program_is_shaped_as_its_steps_were(strategies: list[Strategy], seed: int) -> None:
    drawn = Drawn(strategies, seed)
    for row, conditions in enumerate(drawn.conditions):
        tokens = [step[row] for step in drawn.tokens]
        strategy = conditions.strategy
        if strategy.cuts:
            conditions = Conditions(strategy=strategy, seed=conditions.seed, kept=drawn.kept[row].tobytes())
        heated = (drawn.pushes[row] / strategy.temperature).numpy()
        bias = torch.from_numpy(whole(conditions, tokens, drawn.masks[:, row], heated))
        again = (drawn.logits[:, row] / strategy.temperature + bias).log_softmax(-1)
        before = torch.stack([shaped[row] for shaped in drawn.shaped]).log_softmax(-1)
        at = torch.tensor(tokens).unsqueeze(1)
        assert float((again.gather(1, at) - before.gather(1, at)).abs().max()) < 1e-5


@given(STRATEGIES, st.integers(0, 10**6))
@settings(max_examples=150, deadline=None)
def test_the_likeliest_token_is_never_cut(strategy: Strategy, seed: int) -> None:
    chance = np.random.default_rng(seed)
    chances = chance.dirichlet(np.full(WIDTH, 0.3), size=5).astype(np.float32)
    found = kept(chances, np.ones_like(chances, dtype=np.bool_), Cuts.of([strategy] * 5, WIDTH))
    assert found[np.arange(5), chances.argmax(1)].all()


@given(st.floats(0.01, 0.999), st.integers(0, 10**6))
@settings(max_examples=150, deadline=None)
def test_top_p_keeps_the_fewest_tokens_that_have_the_mass(top_p: float, seed: int) -> None:
    chances = np.random.default_rng(seed).dirichlet(np.ones(WIDTH), size=1).astype(np.float32)
    everything = np.ones_like(chances, dtype=np.bool_)
    found = kept(chances, everything, Cuts.of([Strategy(name="p", top_p=top_p)], WIDTH))[0]
    mass = float(chances[0][found].sum())
    assert mass >= top_p - 1e-5
    assert mass - float(chances[0][found].min()) < top_p + 1e-5


def test_top_k_of_one_is_greedy() -> None:
    drawn = Drawn([Strategy(name="greedy", top_k=1)], 3)
    for step, masks, logits in zip(drawn.tokens, drawn.masks, drawn.logits, strict=True):
        assert step[0] == int((logits[0] + drawn.pushes[0] + torch.from_numpy(masks[0])).argmax())


@pytest.mark.parametrize(("top_k", "count"), [(1, 1), (4, 4), (0, WIDTH), (99, WIDTH)])
def test_top_k_keeps_so_many(top_k: int, count: int) -> None:
    chances = np.linspace(0.01, 0.1, WIDTH, dtype=np.float32)[None]
    found = kept(
        chances, np.ones_like(chances, dtype=np.bool_), Cuts.of([Strategy(name="k", top_k=top_k)], WIDTH)
    )
    assert found.sum() == count


def test_min_p_keeps_what_has_that_share_of_the_likeliest_chance() -> None:
    chances = np.array([[0.5, 0.26, 0.2, 0.04]], dtype=np.float32)
    found = kept(chances, np.ones_like(chances, dtype=np.bool_), Cuts.of([Strategy(name="m", min_p=0.4)], 4))
    assert found.tolist() == [[True, True, True, False]]


def test_what_is_as_likely_as_the_last_one_kept_is_kept() -> None:
    chances = np.full((1, 4), 0.25, dtype=np.float32)
    found = kept(chances, np.ones_like(chances, dtype=np.bool_), Cuts.of([Strategy(name="k", top_k=2)], 4))
    assert found.all()


def test_a_token_that_was_written_loses_for_each_time() -> None:
    conditions = [Conditions(strategy=Strategy(name="r", repetition=0.5, temperature=2.0))]
    shaper = Shaper(conditions, torch.zeros(1, WIDTH), STEPS)
    masks = np.zeros((1, WIDTH), dtype=np.float32)
    for times in range(3):
        shaped = shaper.shaped(torch.zeros(1, WIDTH), masks)
        assert float(shaped[0, 7]) == pytest.approx(-0.25 * times)
        assert float(shaped[0, 8]) == 0.0
        shaper.wrote([7])


def test_a_strategy_of_one_program_leaves_the_others_alone() -> None:
    plain = Strategy(name="plain")
    busy = Strategy(name="busy", top_k=2, noise=1.0, repetition=1.0, temperature=3.0)
    beside, mixed = (Drawn([plain, other], 5).shaped[0][0] for other in (plain, busy))
    assert torch.equal(mixed, beside)


@given(st.lists(SEEDS, min_size=1, max_size=5), st.integers(0, 300))
def test_noise_is_the_same_for_a_step_of_many_and_for_a_whole_program(seeds: list[int], step: int) -> None:
    of_step = noise(np.array(seeds, dtype=np.uint64), np.full(len(seeds), step, dtype=np.uint64), WIDTH)
    for row, seed in enumerate(seeds):
        of_program = noise(
            np.full(step + 1, seed, dtype=np.uint64), np.arange(step + 1, dtype=np.uint64), WIDTH
        )
        assert np.array_equal(of_program[step], of_step[row])


def test_noise_has_mean_0_and_deviation_1_and_knows_bounds() -> None:
    many = noise(np.arange(400, dtype=np.uint64), np.zeros(400, dtype=np.uint64), 500)
    assert abs(float(many.mean())) < 0.01
    assert float(many.std()) == pytest.approx(1.0, abs=0.01)
    assert float(np.abs(many).max()) <= math.sqrt(6)
    rows = np.corrcoef(many[:50])
    assert float(np.abs(rows - np.eye(50)).max()) < 0.25


@given(st.lists(st.lists(st.booleans(), min_size=WIDTH, max_size=WIDTH), min_size=1, max_size=9))
def test_sets_come_back_from_their_bits(rows: list[list[bool]]) -> None:
    sets = np.array(rows, dtype=np.bool_)
    assert np.array_equal(unpack(pack(sets).tobytes(), WIDTH), sets)
