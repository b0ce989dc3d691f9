"""Identity of a program under renaming and layout."""

from __future__ import annotations

from hashlib import blake2b

from altlas_agent.languages.build import language


def fingerprint(name: str, code: str) -> str:
    """32 hexadecimal digits, equal for programs that differ only in names they give and in layout.

    Text that does not parse is identified by its words, so that layout alone still does not count.
    """
    normal = language(name).normal_form(code)
    text = normal if normal is not None else "unparsed\x00" + "\x00".join(code.split())
    return blake2b(f"{name}\x00{text}".encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
