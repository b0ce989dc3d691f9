"""Settings of the policy: one class per kind, told apart by `type`.

To add a kind, write its class with a `type` of its own, widen the alias, and give it a line in
policies/build.py.
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from altlas_agent.settings.section import Section

MAX_WORDS = 8192
"""Of one text; what is longer is cut, whatever the settings say."""

Size = Literal["tiny", "small", "base", "large"]


class Reading(NamedTuple):
    """How texts become numbers: rows of the hash table, and the most words of each kind of text that are read."""

    buckets: int
    description: int = MAX_WORDS
    hint: int = 0
    error: int = 0
    context: int = 0


class Shape(NamedTuple):
    """The sizes of a network, all of them settled."""

    width: int
    layers: int
    heads: int


class RecurrentPolicy(Section):
    """A recurrent network from random weights that reads the description and writes a derivation."""

    type: Literal["recurrent"] = "recurrent"
    """Kind of policy: recurrent, a gated recurrent network with attention; lstm, one with self-attention and
    more texts to read; transformer, a decoder. All start from random weights."""

    hidden: int = Field(default=128, ge=4, le=8192)
    """Width of the recurrent state."""

    embedding: int = Field(default=64, ge=4, le=8192)
    """Width of the vector that stands for a word or a token."""

    layers: int = Field(default=1, ge=1, le=16)
    """Recurrent layers on top of each other."""

    buckets: int = Field(default=2048, ge=16, le=2**20)
    """Rows of the table into which the words of a description are hashed."""

    initial_scale: float = Field(default=1.0, gt=0, le=100)
    """Factor on the usual spread of the initial weights."""

    @property
    def reading(self) -> Reading:
        """It reads descriptions and nothing else."""
        return Reading(self.buckets)

    @property
    def most_tokens(self) -> int | None:
        """It writes programs of any length."""
        return None


class _Attending(Section):
    """What the policies made of parts have in common: sizes, parts that can be left out, texts."""

    size: Literal["auto", "tiny", "small", "base", "large"] = "auto"
    """What sets width, layers and heads where they are 0; auto goes by the width, and is small without one."""

    width: int = Field(default=0, ge=0, le=8192)
    """Width of the state; 0 leaves it to the size."""

    layers: int = Field(default=0, ge=0, le=64)
    """Layers on top of each other; 0 leaves it to the size."""

    heads: int = Field(default=0, ge=0, le=256)
    """Heads of each attention, which must divide the width; 0 leaves it to the size."""

    self_attention: bool = True
    """Whether every token sees the states at the tokens before it."""

    cross_attention: bool = True
    """Whether every token sees the words of the texts; otherwise their mean only."""

    residual: bool = True
    """Whether the parts add to what goes by them instead of replacing it."""

    layer_norm: bool = True
    """Whether what goes into a part is brought to mean 0 and spread 1."""

    positions: Literal["sinusoidal", "learned", "none"] = "sinusoidal"
    """How the place of a token is known: by waves, by a learned vector, or not at all."""

    window: int = Field(default=400, ge=3, le=8192)
    """Tokens of the longest program; tasks that allow more are refused."""

    initial: Literal["xavier", "kaiming", "orthogonal"] = "xavier"
    """How the weights are drawn: by Glorot's, by He's rule, or as rotations."""

    initial_scale: float = Field(default=1.0, gt=0, le=100)
    """Factor on the spread that the rule gives."""

    buckets: int = Field(default=2048, ge=16, le=2**20)
    """Rows of the table into which the words of a text are hashed."""

    description_words: int = Field(default=512, ge=1, le=MAX_WORDS)
    """Words of the description that are read; the rest is left out, and the run says so."""

    hint_words: int = Field(default=64, ge=0, le=MAX_WORDS)
    """Words of a hint that are read; 0 reads no hints."""

    error_words: int = Field(default=64, ge=0, le=MAX_WORDS)
    """Words of the last error message that are read; 0 reads none."""

    context_words: int = Field(default=128, ge=0, le=MAX_WORDS)
    """Words of earlier code that are read; 0 reads none."""

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> Self:
        width, _, heads = self.shape
        if width % heads:
            raise ValueError(f"heads {heads} do not divide width {width}")
        if width % 2 and self.positions == "sinusoidal":
            raise ValueError(f"positions 'sinusoidal' need an even width, not {width}")
        return self

    @property
    def shape(self) -> Shape:
        """The sizes with every 0 filled in."""
        return _settled(self.size, Shape(self.width, self.layers, self.heads), self._layers_of)

    @property
    def _layers_of(self) -> dict[Size, int]:
        raise NotImplementedError

    @property
    def reading(self) -> Reading:
        """What is read, and how much of it."""
        return Reading(
            self.buckets, self.description_words, self.hint_words, self.error_words, self.context_words
        )

    @property
    def most_tokens(self) -> int | None:
        """The longest program."""
        return self.window

    def ineffective(self, given: frozenset[str]) -> dict[str, str]:
        """A size decides nothing where all is given."""
        idle: dict[str, str] = {}
        if self.width and self.layers and self.heads and self.size != "auto":
            idle["size"] = "while width, layers and heads are all given"
        return idle


class LstmPolicy(_Attending):
    """An LSTM that attends to its own states and to the texts."""

    type: Literal["lstm"] = "lstm"
    """Kind of policy: lstm."""

    @property
    def _layers_of(self) -> dict[Size, int]:
        return {"tiny": 1, "small": 1, "base": 2, "large": 2}


class TransformerPolicy(_Attending):
    """A decoder that keeps the keys and values of what it wrote."""

    type: Literal["transformer"] = "transformer"
    """Kind of policy: transformer."""

    @property
    def _layers_of(self) -> dict[Size, int]:
        return {"tiny": 2, "small": 2, "base": 4, "large": 6}


Policy = Annotated[RecurrentPolicy | LstmPolicy | TransformerPolicy, Field(discriminator="type")]

_WIDTHS: dict[Size, int] = {"tiny": 64, "small": 128, "base": 256, "large": 512}
_HEAD_WIDTH = 64
"""Wide enough for the products to be fast, narrow enough for several heads."""


def _settled(size: Size | Literal["auto"], asked: Shape, layers_of: dict[Size, int]) -> Shape:
    chosen = size if size != "auto" else _nearest(asked.width or _WIDTHS["small"])
    width = asked.width or _wide_enough(_WIDTHS[chosen], asked.heads)
    return Shape(width, asked.layers or layers_of[chosen], asked.heads or _heads(width))


def _nearest(width: int) -> Size:
    """The largest size that is no wider, or tiny."""
    fitting: list[Size] = [size for size in _WIDTHS if _WIDTHS[size] <= width]
    return fitting[-1] if fitting else "tiny"


def _wide_enough(width: int, heads: int) -> int:
    """The width of a size, rounded up to an even multiple of the heads that were asked for."""
    return width if not heads else -(-width // (2 * heads)) * 2 * heads


def _heads(width: int) -> int:
    """As many as the width has room for, at least two where it can be halved."""
    wanted = max(2, width // _HEAD_WIDTH)
    return next(heads for heads in range(wanted, 0, -1) if width % heads == 0)
