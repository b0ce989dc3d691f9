"""Abstract tokens and their roles: the closed alphabet in which every policy writes.

A token's number is its place in configs/vocabulary.json. Numbers are stored with attempts and are the rows
of a policy's embedding: new tokens come last, and a token that is of no use any more is `retired`, which
means that no grammar offers it and that what was written with it can still be rendered. It keeps its number.

Structured identifiers. Names are never tokens; a slot stands for each, and says what it is for:

    FUNC_0          the function that the task asks for, under the name of its signature
    ARG_0 .. ARG_3  its arguments, by their place in the signature
    VAR_0 .. VAR_3  variables, by how many others are in scope where they are given: the first is VAR_0,
                    one given in an inner block comes after those around it, and its slot is free again
                    when the block is left. So equal programs have equal tokens, whatever their names.
    NUM_0 .. NUM_3  the k-th number of the task's description, and STR_0 .. STR_3 the k-th text in quotes:
                    what a policy learns of one instance of a family holds for all

Blocks. BLOCK_START and BLOCK_END stand around the statements of a body, as in every language with brackets;
a language map says what is written for them, and whether it indents. FUNC_DEF FUNC_0 leads a function, whose
body is a block that ends with RETURN; a program of statements has no block around it. END ends every
sequence, once, and stands nowhere else. All other tokens are in prefix order: a token, then what fills its
holes, so that no brackets are needed within an expression.
"""

from __future__ import annotations

from functools import cache

import msgspec

from altlas_agent import resources
from altlas_agent.core.errors import LanguageError, boundary


class Token(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`marks` are the operators and constructs that the token brings into a program.

    No grammar offers a `retired` token; attempts that have it are rendered as ever.
    """

    name: str
    role: str
    marks: tuple[str, ...] = ()
    retired: bool = False


class VocabularyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """configs/vocabulary.json: `roles` says what each role is for."""

    about: str
    roles: dict[str, str]
    tokens: tuple[Token, ...]


class Vocabulary:
    """Names and numbers of the abstract tokens; a token's number is its place in the file."""

    def __init__(self, tokens: tuple[Token, ...]) -> None:
        self.tokens = tokens
        self.number = {token.name: number for number, token in enumerate(tokens)}

    def __len__(self) -> int:
        return len(self.tokens)

    def names(self, numbers: tuple[int, ...]) -> tuple[str, ...]:
        """Raises LanguageError for a number that no token has, such as the UNK of what cannot be said."""
        if numbers and (min(numbers) < 0 or max(numbers) >= len(self.tokens)):
            stray = next(number for number in numbers if not 0 <= number < len(self.tokens))
            raise LanguageError(
                f"{stray} is the number of no token: there are {len(self.tokens)}, from 0 on, and a program in "
                "which something is unknown cannot be rendered"
            )
        return tuple(self.tokens[number].name for number in numbers)

    def numbers(self, text: str) -> tuple[int, ...]:
        """Token numbers of space-separated names. Raises LanguageError for an unknown name."""
        names = text.split()
        unknown = [name for name in names if name not in self.number]
        if unknown:
            raise LanguageError(f"configs/vocabulary.json has no token {unknown[0]!r}")
        return tuple(self.number[name] for name in names)

    def marked(self, marks: frozenset[str]) -> tuple[int, ...]:
        """The tokens that bring any of `marks` into a program."""
        return tuple(n for n, token in enumerate(self.tokens) if marks.intersection(token.marks))

    def retired(self) -> tuple[int, ...]:
        """The tokens that no grammar offers any more."""
        return tuple(n for n, token in enumerate(self.tokens) if token.retired)


@cache
def vocabulary() -> Vocabulary:
    """The shipped vocabulary. Raises LanguageError when the file is broken."""
    with boundary(LanguageError, "reading configs/vocabulary.json"):
        file = msgspec.json.decode(resources.read_text("configs", "vocabulary.json"), type=VocabularyFile)
    strays = [token.name for token in file.tokens if token.role not in file.roles]
    if strays or len({token.name for token in file.tokens}) < len(file.tokens):
        raise LanguageError(f"configs/vocabulary.json: a name occurs twice, or a role is unknown: {strays}")
    return Vocabulary(file.tokens)
