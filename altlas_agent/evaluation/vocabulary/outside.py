"""What the vocabulary cannot say: unknown forms in folders of sources and in the solutions of suites."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from altlas_agent.core.errors import LanguageError, NotFoundError, UsageError
from altlas_agent.evaluation.vocabulary.pieces import Survey, UnknownLine
from altlas_agent.languages.base import MAX_CODE_CHARS
from altlas_agent.languages.encode.encode import encode
from altlas_agent.languages.encode.normal import Reason
from altlas_agent.languages.encode.parts import encode_parts
from altlas_agent.languages.tokens.maps import language_map, languages
from altlas_agent.languages.tokens.vocabulary import vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from altlas_agent.core.records import Task
    from altlas_agent.languages.encode.encode import Encoded
    from altlas_agent.languages.encode.normal import Unknown

MAX_FILES = 2000


class _Met(NamedTuple):
    language: str
    unknown: Unknown
    where: str
    program: int


class Surveyor:
    """Collects what cannot be said, program by program."""

    def __init__(self) -> None:
        self._met: list[_Met] = []
        self._used: Counter[int] = Counter()
        self._programs = self._whole = 0
        self._skipped: list[str] = []

    def read_folder(self, folder: Path) -> None:
        """Every source file below a folder, or one file, of the languages that there are.

        Raises NotFoundError when there is no such folder or it has no sources, and UsageError when it has
        more than `MAX_FILES`.
        """
        endings = {language_map(name).extension: name for name in languages()}
        found = [folder] if folder.is_file() else sorted(folder.rglob("*"))
        files = [path for path in found if path.suffix in endings and path.is_file()]
        if not files:
            raise NotFoundError("source in", str(folder), f"files must end with {' or '.join(endings)}")
        if len(files) > MAX_FILES:
            raise UsageError(
                f"{folder} holds {len(files)} sources, more than {MAX_FILES}: name folders within it"
            )
        for path in files:
            self._read(path, endings[path.suffix])

    def _read(self, path: Path, language: str) -> None:
        try:
            code = path.read_text("utf-8")
            if len(code) > MAX_CODE_CHARS:
                raise LanguageError(f"it is longer than {MAX_CODE_CHARS} characters")
            for encoded in encode_parts(language, code):
                self._add(language, encoded, str(path))
        except (LanguageError, OSError, UnicodeDecodeError, RecursionError) as error:
            self._skipped.append(f"{path}: {error}")

    def read_tasks(self, tasks: Iterable[Task]) -> None:
        """The reference solutions of tasks."""
        for task in tasks:
            if task.reference:
                try:
                    self._add(task.target_language, encode(task, task.reference), task.id)
                except LanguageError as error:
                    self._skipped.append(error.message)

    def _add(self, language: str, encoded: Encoded, where: str) -> None:
        self._programs += 1
        self._whole += encoded.is_whole
        self._used.update(token for token in encoded.tokens if token >= 0)
        self._met += [_Met(language, each, where, self._programs) for each in _unknown(encoded.unknown)]

    def survey(self) -> Survey:
        """All that was found so far."""
        by_shape: dict[tuple[str, str], list[_Met]] = {}
        for met in self._met:
            by_shape.setdefault((met.language, met.unknown.shape), []).append(met)
        pieces = [_piece(met) for met in by_shape.values()]
        tokens = vocabulary().tokens
        return Survey(
            programs=self._programs,
            whole=self._whole,
            pieces=tuple(sorted(pieces, key=lambda piece: (-piece.count, piece.language, piece.shape))),
            used={tokens[number].name: count for number, count in self._used.most_common()},
            skipped=tuple(self._skipped),
        )


def _unknown(pieces: Iterable[Unknown]) -> Iterator[Unknown]:
    """Those whose form is unknown, constants without a token, and what lies in them."""
    for piece in pieces:
        if piece.reason is Reason.FORM or (piece.reason is Reason.LITERAL and piece.shape.isdecimal()):
            yield piece
        yield from _unknown(piece.inner)


def _piece(met: list[_Met]) -> UnknownLine:
    first = met[0]
    wanted = Counter(each.unknown.sort for each in met if each.unknown.sort != "any")
    holes = Counter(each.unknown.holes for each in met)
    return UnknownLine(
        language=first.language,
        shape=first.unknown.shape,
        count=len(met),
        programs=len({each.program for each in met}),
        sort=wanted.most_common(1)[0][0] if wanted else "any",
        holes=holes.most_common(1)[0][0],
        example=first.unknown.text,
        where=f"{first.where}:{first.unknown.span.start_line}",
    )
