"""Small policies of every kind, with weights that are far from uniform."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from altlas_agent.policies.base import Policy, Prompts
from altlas_agent.policies.build import build_policy
from altlas_agent.settings.policies import LstmPolicy, RecurrentPolicy, TransformerPolicy

if TYPE_CHECKING:
    from torch import Tensor

    from altlas_agent.settings.policies import Policy as PolicySettings

TOKENS, HOLES, BUCKETS = 30, 7, 64
KINDS: dict[str, PolicySettings] = {
    "recurrent": RecurrentPolicy(hidden=24, embedding=12, layers=2),
    "lstm": LstmPolicy(width=24, heads=3, layers=2, buckets=BUCKETS, window=48),
    "lstm, learned positions": LstmPolicy(width=24, heads=2, layers=1, positions="learned", window=48),
    "lstm, bare": LstmPolicy(
        width=24, layers=3, self_attention=False, cross_attention=False, residual=False, layer_norm=False,
        positions="none",
    ),
    "transformer": TransformerPolicy(width=24, heads=3, layers=2, buckets=BUCKETS, window=48),
    "transformer, orthogonal": TransformerPolicy(
        width=16, layers=3, positions="learned", initial="orthogonal", window=40
    ),
    "transformer, bare": TransformerPolicy(
        width=24, layers=1, self_attention=False, cross_attention=False, residual=False, layer_norm=False
    ),
}  # fmt: skip


def make_policy(kind: str, seed: int = 0) -> Policy:
    """With an output layer that is not zero any more."""
    torch.manual_seed(seed)
    policy = build_policy(KINDS[kind], TOKENS, HOLES)
    head = policy.get_parameter("head.weight")
    torch.nn.init.normal_(head, std=0.3)
    return policy


def make_prompts(rows: list[int], widths: tuple[int, ...] = (9, 4, 6)) -> Prompts:
    """Prompts of these many words; the second one is a description and a hint."""
    torch.manual_seed(7)
    words = torch.zeros(len(widths), max(widths), dtype=torch.long)
    sources = torch.zeros_like(words)
    for place, width in enumerate(widths):
        words[place, :width] = torch.randint(1, BUCKETS, (width,))
        sources[place, width // 2 : width] = place % 2
    return Prompts(words, torch.tensor(rows), sources)


def make_programs(count: int, steps: int) -> tuple[Tensor, Tensor]:
    """(B, T) previous tokens, the first of them the one before all, and holes."""
    torch.manual_seed(11)
    previous = torch.randint(TOKENS, (count, steps))
    previous[:, 0] = TOKENS
    return previous, torch.randint(HOLES, (count, steps))
