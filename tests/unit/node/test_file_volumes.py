"""Volumes of files: the kubelet's layout, changed by one link, so that nobody ever reads half a change."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ropewalk.model.workload import File
from ropewalk.node.file_volumes import write


def shown(folder: Path) -> dict[str, str]:
    """What a container sees that looks at all that is not hidden."""
    found = {}
    for root, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith("..")]
        for name in files:
            path = Path(root) / name
            found[str(path.relative_to(folder))] = path.read_text()
    return found


def files(**contents: str) -> list[File]:
    return [File(path.replace("__", "/"), content.encode()) for path, content in contents.items()]


def test_the_layout_is_the_kubelets(tmp_path: Path) -> None:
    write(tmp_path, [File("a", b"1", 0o400), File("d/e/f", b"2")], "v1")
    assert shown(tmp_path) == {"a": "1", "d/e/f": "2"}
    assert os.readlink(tmp_path / "..data") == "..v1" and os.readlink(tmp_path / "d") == "..data/d"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o400 and (
        tmp_path / "..v1" / "d"
    ).stat().st_mode & 0o777 == 0o755


def test_a_change_is_one_renamed_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, files(a="1", gone="x", d__e="1"), "v1")
    around: list[dict[str, str]] = []
    rename = Path.replace

    def watched(source: Path, target: Path) -> Path:
        around.append(shown(tmp_path))
        done = rename(source, target)
        around.append({name: (tmp_path / "..data" / name).read_text() for name in ("a", "new", "d/f")})
        return done

    monkeypatch.setattr(Path, "replace", watched)
    write(tmp_path, files(a="2", new="y", d__f="2"), "v2")
    assert around == [{"a": "1", "gone": "x", "d/e": "1"}, {"a": "2", "new": "y", "d/f": "2"}]
    assert shown(tmp_path) == {"a": "2", "new": "y", "d/f": "2"}
    assert sorted(os.listdir(tmp_path)) == ["..data", "..v2", "a", "d", "new"]


def test_writing_again_repairs_what_a_crash_left(tmp_path: Path) -> None:
    write(tmp_path, files(a="1"), "v1")
    (tmp_path / "..v2").mkdir()
    (tmp_path / "..v2" / "half").write_text("of it")
    (tmp_path / "..data_tmp").symlink_to("..v2")
    write(tmp_path, files(a="2", b="2"), "v2")
    (tmp_path / "b").unlink()
    write(tmp_path, files(a="2", b="2"), "v2")
    assert shown(tmp_path) == {"a": "2", "b": "2"} and len(os.listdir(tmp_path)) == 4


def test_a_group_may_read(tmp_path: Path) -> None:
    write(tmp_path, [File("a", b"1", 0o400)], "v1", os.getgid())
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o440


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "..data", ""])
def test_no_path_leads_out(tmp_path: Path, path: str) -> None:
    (tmp_path / "v").mkdir()
    with pytest.raises(OSError, match="no path within a volume"):
        write(tmp_path / "v", [File(path, b"")], "v1")
    assert os.listdir(tmp_path) == ["v"]
