"""Which tokens a text speaks of: its words against the words that tokens are usually asked for with."""

from __future__ import annotations

import re
from functools import cache, lru_cache

from altlas_agent.languages.tokens.vocabulary import vocabulary

_LETTERS = 20_000
"""Of a longer text only the start is read."""
_WORD = re.compile(r"[a-z]+|[-+*/%]")

_SPOKEN = {
    "ADD CONCAT": "+ add added adding plus sum total join joined concatenate followed",
    "SUB": "- minus subtract subtracted difference less without",
    "MUL REPEAT": "* times multiply multiplied product double triple square squared cube repeat repeated",
    "INT_DIV": "/ divide divided half quotient",
    "MOD": "% remainder modulo mod even odd divisible multiple",
    "ABS": "absolute distance",
    "LARGER LARGEST": "max maximum largest larger biggest greatest",
    "SMALLER SMALLEST": "min minimum smallest smaller least lowest",
    "SUM": "sum total add",
    "LEN_LIST LEN_WORDS LEN_STR": "length long count many number size",
    "COUNT_OF COUNT_STR": "count often occurs occurrences times",
    "ITEM_AT CHAR_AT WORD_AT": "first last item element index position character",
    "EQ SAME_STR": "equal equals same is",
    "NE": "different unequal differs not",
    "LT LE": "less smaller below under most",
    "GT GE": "greater larger above over more least",
    "AND": "and both",
    "OR": "or either",
    "NOT": "not no never",
    "IN_LIST IN_STR": "in contains contain member inside",
    "STARTS_WITH": "starts start begins prefix",
    "ENDS_WITH": "ends end suffix",
    "UPPER": "upper uppercase capital capitals",
    "LOWER": "lower lowercase small",
    "REVERSE_STR REVERSE REVERSE_WORDS": "reverse reversed backwards palindrome",
    "FIRST_CHARS": "first prefix letters characters",
    "REPLACE": "replace replaced instead",
    "TO_STR": "text string digits",
    "JOIN": "join joined separated",
    "SPLIT": "words split word",
    "RANGE": "range from to up numbers factorial",
    "APPEND APPEND_WORD": "append add collect",
    "SORT SORT_WORDS": "sort sorted order ascending descending",
    "REST": "rest tail except",
    "MAP": "each every map all",
    "FILTER": "only filter those keep which",
    "FOR_RANGE": "loop repeat times from up until factorial",
    "FOR_EACH": "each every loop all",
    "FOR_CHAR": "character characters letter letters vowels",
    "FOR_WORD": "word words",
    "IF IF_ELSE PICK_NUM PICK_STR": "if otherwise else when unless whether",
    "OUTPUT": "print output write",
    "RETURN": "return returns",
    "TRUE": "true yes",
    "FALSE": "false no",
}


@cache
def _tokens_of_words() -> dict[str, frozenset[int]]:
    number = vocabulary().number
    found: dict[str, set[int]] = {}
    for names, words in _SPOKEN.items():
        for word in words.split():
            found.setdefault(word, set()).update(number[name] for name in names.split())
    return {word: frozenset(tokens) for word, tokens in found.items()}


@lru_cache(maxsize=4096)
def spoken_of(text: str) -> frozenset[int]:
    """The numbers of the tokens; none for a text that speaks of none."""
    known = _tokens_of_words()
    words = set(_WORD.findall(text[:_LETTERS].lower()))
    return frozenset[int]().union(*(known[word] for word in words if word in known))
