"""Settings as they are compared: one value for each dotted key."""

from __future__ import annotations

from storage.reading.compare import flat_settings


def test_settings_become_dotted_keys() -> None:
    text = '{"a": {"b": {"c": 1}, "d": [1, {"x": 2}]}, "e": null, "f": true, "g": {}}'
    assert flat_settings(text) == {"a.b.c": 1, "a.d": '[1, {"x": 2}]', "e": None, "f": True}
