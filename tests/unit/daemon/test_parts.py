"""Parts: found on PATH or unpacked from packages, with a runner that stands for apt and dpkg."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from ropewalk.base.errors import Fault
from ropewalk.daemon import parts as module
from ropewalk.daemon.parts import RECIPES, Finished, Parts, first_version, libraries

DEPENDS = """runc
  Depends: libc6
 |Depends: libseccomp2
  Depends: <libvirtual>
libseccomp2
  Depends: libc6
libc6
  Depends: libgcc-s1
libgcc-s1
containerd
  Depends: runc
  Depends: libc6
"""


class FakeMachine:
    """A Debian machine: packages hold one program each, libc6 is installed."""

    def __init__(self, folder: Path, apt: bool = True) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.calls: list[list[str]] = []
        self.refusal = ""
        self.installed = {"libc6", "libgcc-s1"}
        if apt:
            for tool in ("apt-get", "apt-cache", "dpkg"):
                self.program(tool)

    def program(self, name: str) -> None:
        path = self.bin / name
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)

    def run(self, argv: Sequence[str], folder: Path | None, environment: Mapping[str, str] | None) -> Finished:
        self.calls.append(list(argv))
        tool = Path(argv[0]).name
        if tool == "apt-cache":
            return Finished(0, DEPENDS)
        if tool == "dpkg-query":
            asked = argv[4:]
            return Finished(1, "".join(f"{name} installed\n" for name in asked if name in self.installed))
        if tool == "apt-get":
            if self.refusal:
                return Finished(100, self.refusal)
            assert folder is not None
            for package in argv[argv.index("download") + 2 :]:
                if not package.startswith("-") and "::" not in package:
                    (folder / f"{package}_1%3a2.0-1_amd64.deb").touch()
            return Finished(0, "")
        if tool == "dpkg":
            package = Path(argv[2]).name.split("_")[0]
            target = Path(argv[3])
            (target / "usr/share/doc").mkdir(parents=True, exist_ok=True)
            for recipe in RECIPES.values():
                if recipe.package == package:
                    (target / "usr/sbin").mkdir(parents=True, exist_ok=True)
                    (target / "usr/sbin" / recipe.name).touch()
            if package.startswith("lib"):
                (target / "usr/lib").mkdir(parents=True, exist_ok=True)
                (target / "usr/lib" / f"{package}.so.2").touch()
            return Finished(0, "")
        return Finished(0, f"{tool} version 1.7.2\n")

    def ran(self, tool: str) -> int:
        return sum(Path(call[0]).name == tool for call in self.calls)


@pytest.fixture
def debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeMachine:
    monkeypatch.setattr(module, "SYSTEM_FOLDERS", ())
    return FakeMachine(tmp_path)


def make(machine: FakeMachine, tmp_path: Path, **more: object) -> Parts:
    return Parts(tmp_path / "parts", runner=machine.run, path=str(machine.bin), **more)  # type: ignore[arg-type] # test


def test_a_fit_program_on_path_is_taken_as_it_is(debian: FakeMachine, tmp_path: Path) -> None:
    debian.program("runc")
    command = make(debian, tmp_path).provide(["runc"])["runc"]
    assert command.path == str(debian.bin / "runc") and command.environment == {}
    assert debian.ran("apt-get") == 0


def test_a_program_that_is_too_old_is_not_taken(debian: FakeMachine, tmp_path: Path) -> None:
    debian.program("docker-registry")  # 1.7.2, and 2.8 is needed
    command = make(debian, tmp_path).provide(["docker-registry"])["docker-registry"]
    assert command.path == str(tmp_path / "parts/docker-registry/usr/sbin/docker-registry")


def test_a_missing_part_is_unpacked_with_the_libraries_the_machine_lacks(debian: FakeMachine, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    found = make(debian, tmp_path, progress=lambda *what: told.append(what)).provide(["runc", "containerd"])
    root = tmp_path / "parts/runc"
    assert found["runc"].path == str(root / "usr/sbin/runc")
    assert found["runc"].environment == {"LD_LIBRARY_PATH": str(root / "usr/lib")}
    assert not (root / "usr/share").exists()
    assert (root / "usr/lib/libseccomp2.so.2").exists() and not (root / "usr/lib/libc6.so.2").exists()
    assert found["containerd"].environment == {}
    assert debian.ran("apt-get") == 1 and told[-1] == ("parts are here", 3, 3)


def test_what_is_unpacked_is_not_unpacked_again(debian: FakeMachine, tmp_path: Path) -> None:
    make(debian, tmp_path).provide(["runc"])
    calls = len(debian.calls)
    make(debian, tmp_path).provide(["runc"])
    assert len(debian.calls) == calls
    (part,) = [part for part in make(debian, tmp_path).check() if part.name == "runc"]
    assert (part.found, part.version, part.source) == (True, "1:2.0-1", "unpacked")


def test_an_interrupted_unpacking_is_done_again(debian: FakeMachine, tmp_path: Path) -> None:
    make(debian, tmp_path).provide(["runc"])
    (tmp_path / "parts/runc.json").unlink()
    (tmp_path / "parts/.runc.new").mkdir()
    assert make(debian, tmp_path).provide(["runc"])["runc"].path.endswith("usr/sbin/runc")
    assert debian.ran("apt-get") == 2


@pytest.mark.parametrize(
    ("refusal", "advice"),
    [
        ("E: Unable to locate package runc", "sudo apt-get update"),
        ("E: Failed to fetch http://…  Could not resolve host", "check the network"),
    ],
)
def test_a_refusal_says_what_to_do(debian: FakeMachine, tmp_path: Path, refusal: str, advice: str) -> None:
    debian.refusal = refusal
    with pytest.raises(Fault, match=advice):
        make(debian, tmp_path).provide(["runc"])
    assert not (tmp_path / "parts/runc.json").exists()


def test_elsewhere_than_debian_the_missing_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SYSTEM_FOLDERS", ())
    machine = FakeMachine(tmp_path, apt=False)
    parts = make(machine, tmp_path)
    with pytest.raises(Fault, match=r"must be on PATH: containerd, containerd-shim-runc-v2, ctr, runc"):
        parts.provide(["containerd", "runc"])
    lacking = {part.name: part for part in parts.check()}
    assert "install runc 1.1 or newer" in lacking["runc"].mend and not lacking["runc"].found


def test_a_command_for_what_is_missing_says_how_to_get_it(debian: FakeMachine, tmp_path: Path) -> None:
    with pytest.raises(Fault, match="ropewalk up"):
        make(debian, tmp_path).command("nft")


def test_versions_are_read_from_what_programs_print() -> None:
    assert first_version("containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1") == (1, 6, 20)
    assert first_version("nftables v1.0.6 (Lester Gooch #5)") == (1, 0, 6)
    assert first_version("docker-registry github.com/docker/distribution v2.8.2+ds1") == (2, 8, 2)
    assert first_version("no number") == ()


def test_libraries_are_followed_through_libraries_only() -> None:
    graph = {"a": ["libb", "c", "zlib1g"], "libb": ["libd", "libb"], "libd": [], "c": ["libe"]}
    assert libraries(graph, "a") == ["libb", "zlib1g", "libd"]
