"""The parts of policies: how weights are drawn, where places are, and what the cache keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from altlas_agent.policies.parts.attention import Places, SelfAttention
from altlas_agent.policies.parts.blocks import Stacked
from altlas_agent.policies.parts.initial import DRAWS, initialise
from altlas_agent.policies.parts.kv_cache import CacheSize, KVCache
from altlas_agent.policies.parts.positions import sinusoidal

if TYPE_CHECKING:
    from altlas_agent.policies.parts.initial import Initial

SCALE = 0.7


@pytest.mark.parametrize(
    ("kind", "variance"), [("xavier", 2 / (200 + 300)), ("kaiming", 2 / 200), ("orthogonal", 1 / 300)]
)
def test_a_matrix_has_the_variance_of_its_rule(kind: Initial, variance: float) -> None:
    torch.manual_seed(0)
    linear = nn.Linear(200, 300)
    initialise(linear, kind, SCALE)
    assert linear.weight.var().item() == pytest.approx(variance * SCALE**2, rel=0.03)
    assert linear.weight.mean().item() == pytest.approx(0, abs=1e-3)
    assert not linear.bias.any()


@pytest.mark.parametrize("kind", list(DRAWS))
@pytest.mark.parametrize("part", ["stacked", "gates"])
def test_matrices_in_one_are_drawn_one_by_one(kind: Initial, part: str) -> None:
    torch.manual_seed(0)
    module = Stacked(128, 3) if part == "stacked" else nn.LSTM(128, 128)
    initialise(module, kind, 1.0)
    weight = module.get_parameter("weight" if isinstance(module, Stacked) else "weight_hh_l0")
    stated = {"xavier": 2 / 256, "kaiming": 2 / 128, "orthogonal": 1 / 128}[kind]
    for block in weight.chunk(weight.shape[0] // 128):
        assert block.var().item() == pytest.approx(stated, rel=0.05)
        if kind == "orthogonal":
            assert torch.allclose(block @ block.t(), torch.eye(128), atol=1e-5)


def test_forget_gates_start_open() -> None:
    lstm = nn.LSTM(8, 8)
    initialise(lstm, "xavier", 1.0)
    bias = (lstm.get_parameter("bias_ih_l0") + lstm.get_parameter("bias_hh_l0")).tolist()
    assert bias == [0.0] * 8 + [1.0] * 8 + [0.0] * 16


def test_waves_tell_places_apart_and_turn_by_the_distance_alone() -> None:
    waves = sinusoidal(50, 16)
    assert torch.allclose((waves**2).sum(1), torch.full((50,), 8.0))
    near = [float(waves[place] @ waves[place + 3]) for place in (0, 10, 40)]
    assert near == pytest.approx([near[0]] * 3, abs=1e-4)
    assert (torch.cdist(waves, waves) + 9 * torch.eye(50)).min() > 0.1


@torch.no_grad()
def test_the_cache_gives_what_reading_everything_again_gives() -> None:
    torch.manual_seed(0)
    attention = SelfAttention(24, 3)
    x = torch.randn(5, 40, 24)
    cache = KVCache(CacheSize(1, 5, 40, 3, 8))
    for step in range(40):
        made = attention.step(x[:, step], cache, 0)
        cache.stepped()
        again = attention(x[:, : step + 1])[:, -1]
        assert (made - again).abs().max() < 1e-5


def test_the_cache_refuses_a_step_it_has_no_room_for() -> None:
    cache = KVCache(CacheSize(1, 1, 1, 1, 2))
    cache.append(0, torch.zeros(1, 1, 2), torch.zeros(1, 1, 2))
    cache.stepped()
    with pytest.raises(IndexError, match="room for 1 steps"):
        cache.append(0, torch.zeros(1, 1, 2), torch.zeros(1, 1, 2))


def test_a_cache_moves_nothing_until_a_quarter_is_idle() -> None:
    cache = KVCache(CacheSize(1, 8, 4, 1, 1))
    keys, _ = cache.append(0, torch.arange(8.0).view(8, 1, 1), torch.zeros(8, 1, 1))
    cache.stepped()
    where = keys.data_ptr()
    cache.keep(torch.tensor([0, 1, 2, 4, 5, 6, 7]))
    keys, _ = cache.append(0, torch.full((7, 1, 1), 9.0), torch.zeros(7, 1, 1))
    assert keys.data_ptr() == where
    cache.keep(torch.tensor([0, 2, 6]))
    keys, _ = cache.append(0, torch.full((3, 1, 1), 9.0), torch.zeros(3, 1, 1))
    assert keys[:, 0, 0, 0].tolist() == [0.0, 2.0, 7.0]


def test_programs_of_one_prompt_stand_side_by_side() -> None:
    places = Places.of(torch.tensor([2, 0, 2, 2, 0]), prompts=3)
    assert places.most == 3
    assert places.places_B.tolist() == [6, 0, 7, 8, 1]
