"""What a container leaves to say: its file first, the end of its output where it failed without a word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ropewalk.node.folders import Folders
from ropewalk.node.last_words import LOG_BYTES, LOG_LINES, LONGEST, last_words
from support.workloads import container, workload


def said(root: Path | None, file: str, log: list[str], code: int, **fields: Any) -> str:
    spec = container(**{"message_path": "/dev/termination-log", "message_from_log": True} | fields)
    what = workload("w", spec)
    folders = Folders(root)
    for path in folders.files(what, spec, 2).values():
        Path(path).write_text(file)
    if root is not None:
        lines = root / "logs" / "w" / "app" / "2.log"
        lines.parent.mkdir(parents=True)
        lines.write_text("".join(f"2026-01-01T00:00:00.000000001Z stdout {line}\n" for line in log))
    return last_words(folders, what, "app", 2, code)


@pytest.mark.parametrize(
    ("file", "log", "code", "fields", "expected"),
    [
        ("bye", ["F log"], 1, {}, "bye"),
        ("bye", ["F log"], 0, {}, "bye"),
        ("x" * 9999, [], 1, {}, "x" * LONGEST),
        ("", ["F one", "P tw", "F o"], 1, {}, "one\ntwo\n"),
        ("", ["F log"], 0, {}, ""),
        ("", ["F log"], 1, {"message_from_log": False}, ""),
        ("", ["F log"], 1, {"message_path": ""}, ""),
        ("", [f"F {n}" for n in range(200)], 1, {}, "".join(f"{n}\n" for n in range(200 - LOG_LINES, 200))),
        ("", ["F " + "y" * 3000], 1, {}, "y" * (LOG_BYTES - 1) + "\n"),
    ],
)
def test_last_words(tmp_path: Path, file: str, log: list[str], code: int, fields: Any, expected: str) -> None:
    assert said(tmp_path, file, log, code, **fields) == expected


def test_a_machine_without_files_hears_nothing() -> None:
    assert said(None, "bye", [], 1) == ""


def test_the_file_goes_with_the_workload(tmp_path: Path) -> None:
    assert said(tmp_path, "bye", [], 1) == "bye"
    Folders(tmp_path).remove_volumes("w")
    assert not (tmp_path / "messages" / "w").exists()
