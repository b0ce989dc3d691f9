"""Foreign text made harmless for a terminal; imports nothing of the project."""

from __future__ import annotations

import re

ELLIPSIS = "..."

# What a terminal or a reader could be fooled by, as ranges of a regular expression class.
_HOSTILE = (
    r"\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 (ESC among them) but newline and tab; DEL; C1
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f"  # marks that turn the direction of reading
    r"\u2028\u2029"  # line and paragraph separators
    r"\u200b-\u200d\u2060-\u2065\ufeff\xad\u034f\u180b-\u180f\ufff0-\ufffb"  # no width
    r"\u115f\u1160\u17b4\u17b5\u3164\uffa0"  # letters that show nothing
    r"\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"  # other format characters
    r"\U00013430-\U0001345f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    r"\ud800-\udfff\ufffe\uffff"  # lone surrogates, which UTF-8 cannot hold; non-characters
)
_LINES = re.compile(f"[{_HOSTILE}]")
_ONE_LINE = re.compile(f"[{_HOSTILE}\\n\\t]")
_NAMED = {"\n": r"\n", "\t": r"\t"}


def safe(text: str, *, max_chars: int | None = None, keep_newlines: bool = True) -> str:
    r"""The same text with every control, escape, bidi and invisible character shown as `\x1b`, `\u202e`.

    What comes out holds printable text, and newlines and tabs unless `keep_newlines` is false (then
    they are shown as `\n` and `\t`). It can be encoded as UTF-8, is at most `max_chars` long (cut text
    ends in `...`), and a second pass changes nothing.
    """
    hostile = _LINES if keep_newlines else _ONE_LINE
    if max_chars is None:
        return hostile.sub(_shown, text)
    shown = hostile.sub(_shown, text[: max_chars + 1])  # an escape only lengthens: the rest cannot matter
    if len(shown) <= max_chars:
        return shown
    return shown[: max_chars - len(ELLIPSIS)] + ELLIPSIS if max_chars > len(ELLIPSIS) else shown[:max_chars]


def _shown(match: re.Match[str]) -> str:
    character = match.group()
    code = ord(character)
    if character in _NAMED:
        return _NAMED[character]
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
