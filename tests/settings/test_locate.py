"""Every key of a TOML file is found on its line, however it is written."""

from __future__ import annotations

import json
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from altlas_agent.settings.reading.locate import locate

DOCUMENT = """\
# a comment with [brackets] and key = 1
top = 1

[run]                       # behind a header
seed = 7
"quoted key" = "a # b"      # not a comment
'literal' = 'c'
learning . learning_rate = 2e-3

[ rewards . weights ]
tests = 1

[policy]
shape = { type = "recurrent", inner = { hidden = 4 } }
text = \"\"\"
seed = 99
[not.a.table]\"\"\"\"
raw = '''
x = "'''
list = [
    1,          # one
    [2, 3],
    { a = "]" },
]
when = 1979-05-27 07:32:00
after = true

[[task]]
name = "first"
[[task]]
name = "second"
[task.limits]
cpu_s = 1
"""


@pytest.mark.parametrize(
    ("key", "line"),
    [
        (("top",), 2),
        (("run",), 4),
        (("run", "seed"), 5),
        (("run", "quoted key"), 6),
        (("run", "literal"), 7),
        (("run", "learning"), 8),
        (("run", "learning", "learning_rate"), 8),
        (("rewards", "weights"), 10),
        (("rewards", "weights", "tests"), 11),
        (("policy", "shape", "type"), 14),
        (("policy", "shape", "inner", "hidden"), 14),
        (("policy", "text"), 15),
        (("policy", "raw"), 18),
        (("policy", "list"), 20),
        (("policy", "list", "1", "1"), 22),
        (("policy", "list", "2", "a"), 23),
        (("policy", "when"), 25),
        (("policy", "after"), 26),
        (("task", "0", "name"), 29),
        (("task", "1", "name"), 31),
        (("task", "1", "limits", "cpu_s"), 33),
    ],
)
def test_a_key_is_found_where_it_stands(key: tuple[str, ...], line: int) -> None:
    assert locate(DOCUMENT)[key] == line


def test_text_that_looks_like_keys_inside_strings_and_comments_is_no_key() -> None:
    assert _leaves(tomllib.loads(DOCUMENT)) <= set(locate(DOCUMENT))
    assert ("not", "a", "table") not in locate(DOCUMENT)
    assert ("x",) not in locate(DOCUMENT)


@pytest.mark.parametrize(
    "text", ["", "\n\n", "# only this", "a = 1", "\r\na = 1\r\n", "[a]", "a = {}", "a = []"]
)
def test_small_documents_are_followed_to_their_end(text: str) -> None:
    assert _leaves(tomllib.loads(text)) <= set(locate(text))


def test_windows_line_ends_count_as_one() -> None:
    assert locate("a = 1\r\n\r\nb = 2\r\n") == {("a",): 1, ("b",): 3}


_NAMES = st.text(alphabet="ab.-_ \"'#\\\u00e9", min_size=1, max_size=6)
_VALUES = st.recursive(
    st.one_of(st.integers(), st.booleans(), st.text(alphabet="ab\"'#\n=[]{}\\,", max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_NAMES, inner, max_size=3)),
    max_leaves=8,
)


@given(
    tables=st.dictionaries(_NAMES, st.dictionaries(_NAMES, _VALUES, max_size=4), max_size=4), data=st.data()
)
def test_every_key_that_tomllib_reads_is_located_on_the_line_it_was_written(
    tables: dict[str, dict[str, object]], data: st.DataObject
) -> None:
    lines: list[str] = []
    expected: dict[tuple[str, ...], int] = {}
    for table, values in tables.items():
        lines += [""] * data.draw(st.integers(0, 2))
        lines.append(f"[{json.dumps(table)}] # [x]")
        expected[(table,)] = len(lines)
        for name, value in values.items():
            lines.append(f"{json.dumps(name)} = {_toml(value)} # y = 1")
            expected[table, name] = len(lines)
    text = "\n".join(lines)
    assert tomllib.loads(text) == tables
    found = locate(text)
    assert {key: found[key] for key in expected} == expected
    assert _leaves(tables) <= set(found)


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)} = {_toml(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(inner) for inner in value) + "]"
    return json.dumps(value)


def _leaves(value: object, above: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    if isinstance(value, dict):
        parts = list(value.items())
    elif isinstance(value, list):
        parts = [(str(index), inner) for index, inner in enumerate(value)]
    else:
        parts = []
    below = {key for name, inner in parts for key in _leaves(inner, (*above, str(name)))}
    return below | ({above} if above else set())
