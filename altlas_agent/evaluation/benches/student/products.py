"""How many floating-point operations the matrix products take that a policy cannot do without.

Counted by hand from the sizes: a product of (m, k) and (k, n) is 2 m k n. What an implementation does besides, be
it padding, bends, norms, or the drawing of tokens, counts as nothing: it only costs time.
Shapes: B programs of T tokens, P prompts of W words, V abstract tokens, H width, E width of an embedding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from altlas_agent.settings.policies import LstmPolicy, RecurrentPolicy

if TYPE_CHECKING:
    from altlas_agent.settings.policies import Policy as PolicySettings
    from altlas_agent.settings.policies import TransformerPolicy

GROWTH = 4
"""How much wider a feed-forward part is inside."""


class Work(NamedTuple):
    """What is written: sizes of a batch. `holes` are the sorts that a token can fill."""

    programs: int
    tokens: int
    prompts: int
    words: int
    vocabulary: int
    holes: int


def writing(settings: PolicySettings, work: Work) -> float:
    """Reading the prompts once, and then token by token."""
    if isinstance(settings, RecurrentPolicy):
        h = settings.hidden
        tables = (work.vocabulary + 1 + work.holes) * 6 * h * settings.embedding
        return _of_recurrent(settings, work) + tables + work.prompts * work.words * 4 * h**2
    if isinstance(settings, LstmPolicy):
        width = settings.shape.width
        tables = (work.vocabulary + 1 + work.holes + work.tokens) * 8 * width**2
        return _of_lstm(settings, work) + tables
    return _of_transformer(settings, work)


def learning(settings: PolicySettings, work: Work) -> float:
    """Forward once, and backward to the weights and to what came in: three times as much."""
    tokens = work.programs * work.tokens
    if isinstance(settings, RecurrentPolicy):
        h = settings.hidden
        return 3 * (_of_recurrent(settings, work) + tokens * (12 * h * settings.embedding + 4 * h**2))
    if isinstance(settings, LstmPolicy):
        return 3 * (_of_lstm(settings, work) + tokens * 8 * settings.shape.width**2)
    return 3 * writing(settings, work)


def _of_recurrent(settings: RecurrentPolicy, work: Work) -> float:
    """Without what steps share: what goes into the gates of the first layer, and what the words are multiplied with."""
    h, e = settings.hidden, settings.embedding
    reader = work.prompts * (work.words * (2 * 6 * h * (e + h) + 4 * h**2) + 4 * h**2)
    layers = 6 * h**2 + (settings.layers - 1) * 12 * h**2
    token = layers + 4 * h * work.words + 2 * h**2 + 2 * h * work.vocabulary
    return reader + work.programs * work.tokens * token


def _of_lstm(settings: LstmPolicy, work: Work) -> float:
    """Without what goes into the gates of the first layer: a table when writing, a product when learning."""
    h, layers, _ = settings.shape
    token = 8 * h**2 + (layers - 1) * 16 * h**2 + _attentions(settings, work) + 2 * h * work.vocabulary
    return _reader(settings, work, memories=1) + work.programs * work.tokens * token


def _of_transformer(settings: TransformerPolicy, work: Work) -> float:
    h, layers, _ = settings.shape
    token = layers * (_attentions(settings, work) + 4 * GROWTH * h**2) + 2 * h * work.vocabulary
    return _reader(settings, work, memories=layers) + work.programs * work.tokens * token


def _attentions(settings: LstmPolicy | TransformerPolicy, work: Work) -> float:
    """Of one token: to the tokens before it, on average half of all, and to the words."""
    h = settings.shape.width
    own = 8 * h**2 + 4 * h * (work.tokens + 1) / 2 if settings.self_attention else 0.0
    read = 4 * h**2 + 4 * h * work.words if settings.cross_attention else 0.0
    return own + read


def _reader(settings: LstmPolicy | TransformerPolicy, work: Work, *, memories: int) -> float:
    h = settings.shape.width
    word = 8 * h**2 + 4 * h * work.words + 4 * GROWTH * h**2
    kept = 4 * h**2 * memories if settings.cross_attention else 0.0
    return work.prompts * (work.words * (word + kept) + 2 * h**2)
