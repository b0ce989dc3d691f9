"""A decoder over the derivation with a cache of keys and values, that attends to the texts of the prompt.

token + hole + place + mean of the words -> layers of (own states, words, feed-forward) -> norm -> logits
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from altlas_agent.policies.base import Policy, Prompts, Writing
from altlas_agent.policies.parts.attention import CrossAttention, Memory, Places, SelfAttention, Texts
from altlas_agent.policies.parts.blocks import Around, FeedForward
from altlas_agent.policies.parts.initial import initialise
from altlas_agent.policies.parts.kv_cache import CacheSize, KVCache
from altlas_agent.policies.parts.outline import outline, refuse_longer
from altlas_agent.policies.parts.positions import Positions
from altlas_agent.policies.parts.reader import Reader

if TYPE_CHECKING:
    from altlas_agent.settings.policies import TransformerPolicy


class Layer(nn.Module):
    """One layer: own states, words of the texts, every place on its own."""

    def __init__(self, settings: TransformerPolicy) -> None:
        super().__init__()
        width, _, heads = settings.shape
        self.own = SelfAttention(width, heads) if settings.self_attention else None
        self.read = CrossAttention(width, heads) if settings.cross_attention else None
        self.feed = FeedForward(width)
        self.around_own, self.around_read, self.around_feed = (
            Around(width, residual=settings.residual, layer_norm=settings.layer_norm) for _ in range(3)
        )

    def forward(self, x_BTH: Tensor, texts: Texts) -> Tensor:
        """(B, T, H) of a whole sequence."""
        if self.own is not None:
            x_BTH = self.around_own.wrap(x_BTH, self.own)
        if self.read is not None:
            read = self.read
            x_BTH = self.around_read.wrap(x_BTH, lambda x: read(x, texts))
        return self.around_feed.wrap(x_BTH, self.feed)

    def step(self, x_BH: Tensor, cache: tuple[KVCache, int], words: tuple[Memory, Places] | None) -> Tensor:
        """(B, H) of the next token; the cache comes with the number of this layer."""
        if self.own is not None:
            own = self.own
            x_BH = self.around_own.wrap(x_BH, lambda x: own.step(x, *cache))
        if self.read is not None and words is not None:
            read = self.read
            x_BH = self.around_read.wrap(x_BH, lambda x: read.step(x, *words))
        return self.around_feed.wrap(x_BH, self.feed)


class Transformer(Policy):
    """`num_tokens` is V; the token before the first one has the number V. The output layer starts at zero, so the
    first policy is uniform over what the grammar allows.
    """

    def __init__(self, settings: TransformerPolicy, num_tokens: int, num_holes: int) -> None:
        super().__init__()
        width, layers, heads = settings.shape
        self.settings = settings
        self.reader = Reader(settings.buckets, width, heads)
        self.start = nn.Linear(width, width)
        self.tokens = nn.Embedding(num_tokens + 1, width)
        self.holes = nn.Embedding(num_holes, width)
        self.positions = Positions(settings.positions, settings.window, width)
        self.layers = nn.ModuleList(Layer(settings) for _ in range(layers))
        self.norm = nn.LayerNorm(width) if settings.layer_norm else nn.Identity()
        self.head = nn.Linear(width, num_tokens)
        initialise(self, settings.initial, settings.initial_scale)
        nn.init.zeros_(self.head.weight)

    def begin(self, prompts: Prompts, longest: int) -> TransformerWriting:
        refuse_longer(longest, self.settings)
        return TransformerWriting(self, prompts, longest)

    def sequence(self, prompts: Prompts, previous_BT: Tensor, holes_BT: Tensor) -> Tensor:
        refuse_longer(previous_BT.shape[1], self.settings)
        texts: Texts = self.reader(prompts)
        x_BTH = self.tokens(previous_BT) + self.holes(holes_BT) + self.positions(0, previous_BT.shape[1])
        x_BTH = x_BTH + self.start(texts.mean_PH)[texts.rows_B].unsqueeze(1)
        for layer in self.layers:
            x_BTH = layer(x_BTH, texts)
        logits_BTV: Tensor = self.head(self.norm(x_BTH))
        return logits_BTV

    def features(self) -> dict[str, str]:
        return outline(self.settings)


class TransformerWriting(Writing):
    """The cache, and keys and values of the words for each layer."""

    def __init__(self, policy: Transformer, prompts: Prompts, longest: int) -> None:
        self._policy = policy
        self._layers = [layer for layer in policy.layers if isinstance(layer, Layer)]
        width, layers, heads = policy.settings.shape
        cached = layers if policy.settings.self_attention else 0
        self._cache = KVCache(CacheSize(cached, len(prompts.rows_B), longest, heads, width // heads))
        texts: Texts = policy.reader(prompts)
        self._start_BH = policy.start(texts.mean_PH)[prompts.rows_B]
        self._memories = [layer.read.remember(texts) if layer.read else None for layer in self._layers]
        self._rows_B, self._prompts = prompts.rows_B, len(prompts.words_PW)
        self._places = Places.of(self._rows_B, self._prompts)

    def step(self, previous_B: Tensor, holes_B: Tensor) -> Tensor:
        policy, cache = self._policy, self._cache
        x_BH = policy.tokens(previous_B) + policy.holes(holes_B) + self._start_BH
        x_BH = x_BH + policy.positions(cache.length, 1)
        for place, (layer, memory) in enumerate(zip(self._layers, self._memories, strict=True)):
            x_BH = layer.step(x_BH, (cache, place), (memory, self._places) if memory else None)
        cache.stepped()
        logits_BV: Tensor = policy.head(policy.norm(x_BH))
        return logits_BV

    def keep(self, rows_K: Tensor) -> None:
        self._start_BH = self._start_BH[rows_K]
        self._rows_B = self._rows_B[rows_K]
        self._places = Places.of(self._rows_B, self._prompts)
        self._cache.keep(rows_K)
