"""What the grammar lets through are programs, and the bench would tell if they were not."""

from __future__ import annotations

import pytest

from altlas_agent.evaluation.benches.student import grammar


def test_programs_of_the_grammar_are_programs_of_their_language(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grammar, "SAMPLES", 400)
    measures = {measure.name: measure for measure in grammar.bench(rounds=1).measures}
    for language in ("python", "javascript"):
        assert measures[f"{language}_syntax_errors"].value == 0
        assert measures[f"{language}_syntax_errors"].holds


@pytest.mark.parametrize(
    ("language", "sound", "broken"),
    [
        ("python", "def f(n):\n    return n\n", "def f(n):\nreturn n\n"),
        ("javascript", "const f = (n) => { return n; };", "const f = (n) => { return n; "),
    ],
)
def test_what_is_no_program_is_found(language: str, sound: str, broken: str) -> None:
    assert grammar.BROKEN_OF[language]([sound, broken, sound]) == [broken]
