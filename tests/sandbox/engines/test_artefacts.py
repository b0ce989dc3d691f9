"""Compiled programs are remembered by what they were made of, and forgotten when room runs out."""

from __future__ import annotations

from altlas_agent.sandbox.engines.artefacts import Artefacts


def test_source_compiler_and_flags_all_make_the_key() -> None:
    keys = {
        Artefacts.key("a", "g++ 12", ("g++", "-O2")),
        Artefacts.key("b", "g++ 12", ("g++", "-O2")),
        Artefacts.key("a", "g++ 13", ("g++", "-O2")),
        Artefacts.key("a", "g++ 12", ("g++", "-O1")),
        Artefacts.key("a", "g++ 12", ("g++-O2",)),
        Artefacts.key("ag++ 12", "", ("g++", "-O2")),
    }
    assert len(keys) == 6


def test_the_least_recently_used_make_room() -> None:
    kept = Artefacts(capacity_bytes=100)
    kept.put(b"a", b"x" * 40)
    kept.put(b"b", b"x" * 40)
    assert kept.get(b"a")
    kept.put(b"c", b"x" * 40)
    assert (kept.get(b"b"), kept.size_bytes) == (None, 80)
    assert kept.get(b"a")
    assert kept.get(b"c")


def test_what_is_larger_than_all_room_is_not_kept() -> None:
    kept = Artefacts(capacity_bytes=10)
    kept.put(b"a", b"x" * 5)
    kept.put(b"b", b"x" * 11)
    assert (kept.get(b"a"), kept.get(b"b")) == (b"xxxxx", None)
