"""YAML files: plain values or one error, and never code."""

from pathlib import Path

import pytest

from leukoscope.errors import BadInputError
from leukoscope.yaml_file import parse_yaml, read_yaml


def test_plain_values_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: [1, 2.5, é]\n", encoding="utf-8")
    assert read_yaml(tmp_path / "a.yaml") == {"a": [1, 2.5, "é"]}


@pytest.mark.parametrize(
    "content",
    [
        b"a: [",
        b"a: \xff",
        b"a: 2026-13-01",
        b"{[1]: 2}",
        b"[" * 5000,
        b"a: !!python/object/apply:os.mkdir [owned]",
        b"a: !!python/name:os.system",
        b"a: !unknown 1",
        b"a: \0",
    ],
)
def test_what_is_none_is_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yaml").write_bytes(content)
    with pytest.raises(BadInputError, match=r"a\.yaml: cannot be read as YAML"):
        read_yaml(tmp_path / "a.yaml")
    assert [path.name for path in tmp_path.iterdir()] == ["a.yaml"]


def test_what_was_typed_is_named_where_it_is_none() -> None:
    assert parse_yaml("0.5", "--set") == 0.5
    for typed in ("[", "2024-13-01"):
        with pytest.raises(BadInputError, match="--set: cannot be read as YAML"):
            parse_yaml(typed, "--set")


def test_a_missing_file_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="cannot be read"):
        read_yaml(tmp_path / "gone.yaml")
