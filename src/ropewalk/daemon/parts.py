"""Other people's programs that Ropewalk runs: where each is, and how it comes here if it is nowhere.

A part is taken from PATH where its version will do. Otherwise, on Debian and its relatives, its package is fetched
(`apt-get download`) and unpacked (`dpkg -x`) into a folder of ours, together with those of its libraries that the
machine does not have. Nothing is installed, removed, started or enabled: an installed containerd or Docker never
notices, and deleting the folder undoes all of it. A complete part carries a stamp, so looking again costs a few file
look-ups. Elsewhere parts come from PATH only, and the error says which to install.

May not know what the parts are used for. Everything that runs a program goes through an injected `Runner`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from ropewalk.base.errors import Fault
from ropewalk.base.settings import Settings

SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin")
"""Looked through after PATH, which often lacks the sbin folders."""


@dataclass(frozen=True, slots=True)
class Command:
    """How to start a program: put its arguments after `argv`, and `environment` on top of one's own."""

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return self.argv[-1]

    def merged(self, environment: Mapping[str, str] | None = None) -> dict[str, str]:
        """A whole environment for a child: `environment` (ours by default) and this command's on top."""
        return {**(os.environ if environment is None else environment), **self.environment}


@dataclass(frozen=True, slots=True)
class Recipe:
    """Where a part comes from."""

    name: str
    package: str
    purpose: str
    minimum: tuple[int, ...] = ()
    version_arguments: tuple[str, ...] = ("--version",)
    """What makes the program print its version; () where it has no such way."""
    from_path: bool = True
    """False: a program of this name elsewhere may be another build (dynamic, without the applets we need)."""


@dataclass(frozen=True, slots=True)
class Part:
    """What `doctor` shows of a part."""

    name: str
    found: bool
    version: str
    source: str
    """"PATH", "unpacked" or ""."""
    path: str
    mend: str
    """The command that would help, "" where nothing is amiss."""


RECIPES: Mapping[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe("containerd", "containerd", "runs containers", (1, 6)),
        Recipe("containerd-shim-runc-v2", "containerd", "keeps containers alive", version_arguments=("-v",)),
        Recipe("ctr", "containerd", "imports images"),
        Recipe("runc", "runc", "starts containers", (1, 1)),
        Recipe("nft", "nftables", "filters packets", (1, 0)),
        Recipe("docker-registry", "docker-registry", "keeps images", (2, 8)),
        Recipe("catatonit", "catatonit", "holds sandboxes and reaps in them", from_path=False),
        Recipe("busybox", "busybox-static", "makes up small images", from_path=False),
    )
}


@dataclass(frozen=True, slots=True)
class Finished:
    code: int
    output: str
    """Standard output and error, mixed."""


Runner = Callable[[Sequence[str], Path | None, Mapping[str, str] | None], Finished]
Progress = Callable[[str, int, int], None]
"""Called with (what happens now, steps done, steps in all)."""


def run_program(argv: Sequence[str], folder: Path | None, environment: Mapping[str, str] | None) -> Finished:
    """The real `Runner`."""
    try:
        finished = subprocess.run(
            argv,
            cwd=folder,
            env={**(environment or os.environ), "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
    except OSError as error:
        return Finished(127, str(error))
    return Finished(finished.returncode, finished.stdout.decode(errors="replace"))


UNPACKED_BY_UP = "run: ropewalk up"
"""Beginning of `Part.mend` where nobody has to install anything."""


def no_progress(what: str, done: int, total: int) -> None:
    """For callers that show nothing."""


def first_version(text: str) -> tuple[int, ...]:
    """The first dotted number of a program's answer: "nftables v1.0.6 (…)" → (1, 0, 6); () where there is none."""
    match = re.search(r"(?<![\w.])v?(\d+(?:\.\d+)+)", text)
    return tuple(int(number) for number in match.group(1).split(".")) if match else ()


def find_program(name: str, path: str | None = None) -> str | None:
    """Absolute path of a program on PATH or in the system's folders."""
    searched = os.pathsep.join([os.environ.get("PATH", "") if path is None else path, *SYSTEM_FOLDERS])
    return shutil.which(name, path=searched)


def libraries(dependencies: Mapping[str, Sequence[str]], package: str) -> list[str]:
    """Library packages a package needs, directly and through libraries, in the order they are met."""
    closure: dict[str, None] = {}
    level = [package]
    while level:
        named = [name for parent in level for name in dependencies.get(parent, ())]
        level = [name for name in dict.fromkeys(named) if name.startswith(("lib", "zlib")) and name not in closure]
        closure.update(dict.fromkeys(level))
    return list(closure)


class Stamp(msgspec.Struct, frozen=True):
    """Written beside an unpacked package once it is complete."""

    package: str
    version: str
    libraries: tuple[str, ...]


def default_folder(settings: Settings) -> Path:
    """`ROPEWALK_PARTS`, else a folder under the home."""
    configured = os.environ.get("ROPEWALK_PARTS")
    return Path(configured) if configured else settings.home / "parts"


class Parts:
    """The parts in one folder. Several processes may share it: unpacking is under a lock, and atomic."""

    def __init__(
        self, folder: Path, *, runner: Runner = run_program, progress: Progress = no_progress, path: str | None = None
    ) -> None:
        self._folder = folder
        self._run = runner
        self._progress = progress
        self._path = path
        self._found: dict[str, tuple[Command, str, str]] = {}

    def command(self, name: str) -> Command:
        """How to run a part that is here. Raises a Fault that says how to get it where it is not."""
        found = self._find(RECIPES[name])
        if found is None:
            raise Fault("PartMissing", f"{name} ({RECIPES[name].purpose}) is not here: {self._mend(RECIPES[name])}")
        return found[0]

    def provide(self, names: Iterable[str] = tuple(RECIPES)) -> dict[str, Command]:
        """Make sure of every named part, unpacking what is missing. Blocking: seconds when it must fetch."""
        wanted = [RECIPES[name] for name in names]
        packages = list(dict.fromkeys(recipe.package for recipe in wanted if self._find(recipe) is None))
        if packages:
            self._require_packages_can_be_had(packages)
            with self._locked():
                self._unpack([package for package in packages if self._read_stamp(package) is None])
        return {recipe.name: self.command(recipe.name) for recipe in wanted}

    def check(self) -> list[Part]:
        """What `doctor` shows. Fetches nothing."""
        parts = []
        for recipe in RECIPES.values():
            found = self._find(recipe)
            if found is None:
                parts.append(Part(recipe.name, False, "", "", "", self._mend(recipe)))
            else:
                command, version, source = found
                parts.append(Part(recipe.name, True, version, source, command.path, ""))
        return parts

    def fetch(self, packages: Sequence[str], into: Path) -> dict[str, str]:
        """Download packages and unpack them over each other into `into` (for building images): name → version."""
        self._require_packages_can_be_had(packages)
        debs = into.parent / f".{into.name}.debs"
        shutil.rmtree(debs, ignore_errors=True)
        debs.mkdir(parents=True)
        try:
            self._download(packages, debs)
            return self._extract(packages, debs, into)
        finally:
            shutil.rmtree(debs, ignore_errors=True)

    def words(self, command: Command, *arguments: str) -> tuple[str, ...]:
        """What a part prints, word by word."""
        return tuple(self._run([*command.argv, *arguments], None, command.merged()).output.split())

    def dependencies(self, packages: Sequence[str]) -> Mapping[str, list[str]]:
        """What each package, and each package it leads to, depends on, by name. One question to apt: it is slow."""
        kinds = ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances", "pre-depends")
        answer = self._run(
            ["apt-cache", "depends", "--recurse", *(f"--no-{kind}" for kind in kinds), *packages], None, None
        )
        needs: dict[str, list[str]] = {}
        current: list[str] = []
        for line in answer.output.splitlines():
            if line and line[0] not in " <":
                current = needs.setdefault(line.strip(), [])
            elif match := re.match(r"^ [ |]Depends: ([a-z0-9][a-z0-9.+-]+)", line):
                current.append(match.group(1))
        return needs

    def _find(self, recipe: Recipe) -> tuple[Command, str, str] | None:
        known = self._found.get(recipe.name)
        if known is None:
            known = self._find_unpacked(recipe) or self._find_on_path(recipe)
            if known is not None:
                self._found[recipe.name] = known
        return known

    def _find_on_path(self, recipe: Recipe) -> tuple[Command, str, str] | None:
        program = find_program(recipe.name, self._path) if recipe.from_path else None
        if program is None:
            return None
        command = Command((program,))
        version: tuple[int, ...] = ()
        if recipe.version_arguments:
            answer = self._run([program, *recipe.version_arguments], None, None)
            version = first_version(answer.output)
            if answer.code != 0 or version < recipe.minimum:
                return None
        return command, ".".join(map(str, version)), "PATH"

    def _find_unpacked(self, recipe: Recipe) -> tuple[Command, str, str] | None:
        stamp = self._read_stamp(recipe.package)
        if stamp is None:
            return None
        root = self._folder / recipe.package
        for folder in ("usr/bin", "usr/sbin", "bin", "sbin"):
            program = root / folder / recipe.name
            if program.is_file():
                folders = _library_folders(root) if stamp.libraries else []
                environment = {"LD_LIBRARY_PATH": os.pathsep.join(folders)} if folders else {}
                return Command((str(program),), environment), stamp.version, "unpacked"
        return None

    def _read_stamp(self, package: str) -> Stamp | None:
        try:
            return msgspec.json.decode((self._folder / f"{package}.json").read_bytes(), type=Stamp)
        except (OSError, msgspec.DecodeError):
            return None

    def _unpack(self, packages: Sequence[str]) -> None:
        """Each package gets a folder of its own, with the libraries that the machine lacks."""
        if not packages:
            return
        dependencies = self.dependencies(packages)
        needs = {package: libraries(dependencies, package) for package in packages}
        lacking = self._not_installed(list(dict.fromkeys(name for names in needs.values() for name in names)))
        debs = self._folder / ".debs"
        shutil.rmtree(debs, ignore_errors=True)
        debs.mkdir()
        try:
            self._progress("fetching packages", 0, len(packages) + 1)
            self._download([*packages, *lacking], debs)
            for done, package in enumerate(packages, 1):
                self._progress(f"unpacking {package}", done, len(packages) + 1)
                self._unpack_one(package, [name for name in needs[package] if name in lacking], debs)
        finally:
            shutil.rmtree(debs, ignore_errors=True)
        self._progress("parts are here", len(packages) + 1, len(packages) + 1)

    def _unpack_one(self, package: str, libraries: Sequence[str], debs: Path) -> None:
        fresh, final = self._folder / f".{package}.new", self._folder / package
        shutil.rmtree(fresh, ignore_errors=True)
        versions = self._extract([package, *libraries], debs, fresh)
        for useless in ("usr/share", "lib/systemd", "usr/lib/systemd", "etc"):
            shutil.rmtree(fresh / useless, ignore_errors=True)
        shutil.rmtree(final, ignore_errors=True)
        fresh.rename(final)
        stamp = self._folder / f".{package}.json.new"
        stamp.write_bytes(msgspec.json.encode(Stamp(package, versions[package], tuple(libraries))))
        stamp.rename(self._folder / f"{package}.json")

    def _extract(self, packages: Sequence[str], debs: Path, into: Path) -> dict[str, str]:
        """Unpack downloaded packages over each other: name → version."""
        into.mkdir(parents=True, exist_ok=True)
        versions = {}
        for package in packages:
            deb = next(debs.glob(f"{package}_*.deb"), None)
            if deb is None:
                raise Fault(
                    "PartMissing", f"apt-get gave no package {package}; run: sudo apt-get update, and try again"
                )
            self._must(["dpkg", "-x", str(deb), str(into)], None, f"unpack {deb.name}")
            versions[package] = deb.name.split("_", 2)[1].replace("%3a", ":")
        return versions

    def _not_installed(self, packages: Sequence[str]) -> list[str]:
        if not packages:
            return []
        answer = self._run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\\n", *packages], None, None)
        present = {line.split()[0] for line in answer.output.splitlines() if line.endswith(" installed")}
        return [name for name in packages if name not in present]

    def _download(self, packages: Sequence[str], folder: Path) -> None:
        sandbox = ["-o", "APT::Sandbox::User=root"] if os.geteuid() == 0 else []
        answer = self._run(["apt-get", "download", "-q", *sandbox, *packages], folder, None)
        if answer.code == 0:
            return
        last = next(
            (line for line in answer.output.splitlines() if line.startswith("E:")), answer.output.strip()[-300:]
        )
        if "Unable to locate package" in answer.output or "No candidate" in answer.output:
            raise Fault("PartMissing", f"apt knows no such package ({last}); run: sudo apt-get update")
        raise Fault(
            "PartMissing",
            f"packages could not be downloaded ({last}); check the network, or run: sudo apt-get update, and try again",
        )

    def _must(self, argv: Sequence[str], folder: Path | None, purpose: str) -> None:
        answer = self._run(argv, folder, None)
        if answer.code != 0:
            raise Fault("PartMissing", f"could not {purpose}: {answer.output.strip()[-300:]}")

    def _require_packages_can_be_had(self, packages: Sequence[str]) -> None:
        if self._has_apt():
            return
        names = [recipe.name for recipe in RECIPES.values() if recipe.package in packages] or list(packages)
        raise Fault(
            "PartMissing",
            f"this system has no apt-get and dpkg, so these must be on PATH: {', '.join(names)}; "
            "install them with the system's own package manager",
        )

    def _has_apt(self) -> bool:
        return all(find_program(tool, self._path) for tool in ("apt-get", "apt-cache", "dpkg"))

    def _mend(self, recipe: Recipe) -> str:
        if self._has_apt():
            return f"{UNPACKED_BY_UP} (unpacks it into its own folder; needs an apt index: sudo apt-get update)"
        minimum = ".".join(map(str, recipe.minimum))
        return f"install {recipe.package}{f' {minimum} or newer' if minimum else ''} so that {recipe.name} is on PATH"

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise Fault("PartMissing", f"cannot write to {self._folder}: {error.strerror}") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def _library_folders(root: Path) -> list[str]:
    """Folders under an unpacked root that hold shared libraries."""
    triplet = getattr(sys.implementation, "_multiarch", "")
    candidates = [root / prefix / part for prefix in ("usr/lib", "lib") for part in (triplet, "")]
    return [str(folder) for folder in candidates if any(folder.glob("*.so*"))]
