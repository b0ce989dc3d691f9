"""A proposal applied: the configuration files as they would be, checked, and written all or none.

New tokens come last, because the numbers of tokens are stored with attempts; a token that is retired keeps
its number, its production and its syntax, so that what was written with it stays readable.
"""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, TypeAlias, cast

import msgspec

from altlas_agent import resources
from altlas_agent.core.errors import LanguageError, UsageError, boundary
from altlas_agent.evaluation.vocabulary.checking import faults
from altlas_agent.languages.encode.rules import STATEMENT
from altlas_agent.languages.tokens.grammar import Productions
from altlas_agent.languages.tokens.maps import LanguageMap, languages
from altlas_agent.languages.tokens.vocabulary import VocabularyFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from altlas_agent.core.records import Task
    from altlas_agent.evaluation.vocabulary.proposals import Addition, Proposal

Json: TypeAlias = "dict[str, object]"

VOCABULARY = "vocabulary.json"
GRAMMAR = "grammars/abstract.json"
_INLINE = frozenset({"block"})
"""Objects that stand on one line in the shipped files."""


def changed_files(proposal: Proposal, tasks: Iterable[Task]) -> dict[str, str]:
    """Path below configs/ -> text, for each file that the proposal changes.

    `tasks` are those whose solutions in tokens must stay writable. Raises LanguageError with every fault of
    the proposal.
    """
    words = _shipped(VOCABULARY)
    wrong = faults(proposal, cast("Json", words["roles"]))
    wrong += _faults_of_tasks(proposal, tasks)
    if wrong:
        raise LanguageError("the proposal does not fit:\n  " + "\n  ".join(wrong))
    files = {VOCABULARY: _with_tokens(words, proposal)}
    if proposal.add:
        files[GRAMMAR] = _with_productions(_shipped(GRAMMAR), proposal.add)
        for name in languages():
            path = f"languages/{name}.json"
            files[path] = _with_syntax(_shipped(path), name, proposal.add)
    texts = {path: file_text(content) for path, content in files.items()}
    _check(texts)
    return texts


def write_files(texts: Mapping[str, str], folder: Path) -> None:
    """Write the files below `folder`, all or none.

    Raises UsageError when the folder is there already and not empty, or cannot be made.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there already and not empty: name a new folder")
    part = folder.with_name(f".{folder.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        for path, text in texts.items():
            file = part / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
        os.replace(part, folder)  # an empty folder may be replaced, as one step
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def file_text(content: Json) -> str:
    """A configuration file in the form of the shipped ones: each token on a line of its own."""
    parts = [f"  {_plain(key)}: {_part(key, value)}" for key, value in content.items()]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _part(key: str, value: object) -> str:
    plain = _plain(value)
    if isinstance(value, list):
        lines = [f"    {_plain(each)}" for each in cast("list[object]", value)]
        return "[\n" + ",\n".join(lines) + "\n  ]"
    if isinstance(value, dict) and key not in _INLINE:
        lines = [f"    {_plain(name)}: {_plain(each)}" for name, each in cast("Json", value).items()]
        return "{\n" + ",\n".join(lines) + "\n  }"
    return plain


def _plain(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _shipped(path: str) -> Json:
    content: object = json.loads(resources.read_text("configs", path))
    assert isinstance(content, dict), "every shipped file is an object"
    return cast("Json", content)


def _with_tokens(content: Json, proposal: Proposal) -> Json:
    retired = {each.name for each in proposal.retire}
    tokens = [dict(token) for token in cast("list[Json]", content["tokens"])]
    for token in tokens:
        if token["name"] in retired:
            token["retired"] = True
    for each in proposal.add:
        marks = {"marks": list(each.marks)} if each.marks else {}
        tokens.append({"name": each.name, "role": each.role, **marks})
    return {**content, "tokens": tokens}


def _with_productions(content: Json, added: Iterable[Addition]) -> Json:
    made = {
        key: dict(cast("Json", part)) if isinstance(part, dict) else part for key, part in content.items()
    }
    for each in added:
        key = "statements" if each.sort == STATEMENT else each.sort
        cast("Json", made[key])[each.name] = list(each.holes)
    return made


def _with_syntax(content: Json, language: str, added: Iterable[Addition]) -> Json:
    syntax = {each.name: msgspec.to_builtins(each.syntax[language]) for each in added}
    return {**content, "tokens": {**cast("Json", content["tokens"]), **syntax}}


def _check(texts: Mapping[str, str]) -> None:
    """What is written can be read by its own readers: nobody gets a file that stops AltLAS from starting."""
    kinds = {VOCABULARY: VocabularyFile, GRAMMAR: Productions}
    for path, text in texts.items():
        with boundary(LanguageError, f"making {path}"):
            msgspec.json.decode(text, type=kinds.get(path, LanguageMap))


def _faults_of_tasks(proposal: Proposal, tasks: Iterable[Task]) -> list[str]:
    """Tasks prove that they can be solved in tokens: what their solutions need stays."""
    needed: dict[str, list[str]] = {}
    for task in tasks:
        for name in set(task.tokens.split()):
            needed.setdefault(name, []).append(task.key)
    return [
        f"retire[{place}] {each.name}: {len(needed[each.name])} tasks are solved with it, {needed[each.name][0]} "
        "among them; change their `tokens` first"
        for place, each in enumerate(proposal.retire)
        if each.name in needed
    ]
