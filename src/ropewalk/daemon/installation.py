"""One installation on one host: what it was started as, where its files are, how an unprivileged user finds it.

`up` saves the settings beside the state (`installation.json`, root only) so that every process it starts, and every
restart of one, reads the same. The beacon in the run folder (readable by all, no secret in it) says where the endpoint
is and in which user's home the client's key lies.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ropewalk.base.errors import Fault
from ropewalk.base.settings import SYSTEM_HOME, Settings
from ropewalk.daemon.processes import DetachedProcess


class Beacon(msgspec.Struct, frozen=True):
    """What anyone on this host may know."""

    endpoint: str
    region: str
    account: str
    credentials: str
    """Path of the file with the client's key."""
    home: str
    simulated: bool
    accept_any_credentials: bool
    time_scale: float


class ClientKey(msgspec.Struct, frozen=True):
    access_key_id: str
    secret_access_key: str


@dataclass(frozen=True, slots=True)
class Invoker:
    """The person behind sudo, or whoever runs us."""

    uid: int
    gid: int
    home: Path


def invoker() -> Invoker:
    uid = int(os.environ.get("SUDO_UID", os.getuid()))
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return Invoker(uid, os.getgid(), Path(os.environ.get("HOME", "/")))
    return Invoker(uid, entry.pw_gid, Path(entry.pw_dir))


def settings_file(home: Path) -> Path:
    return home / "installation.json"


def _decode_path(kind: type, value: object) -> Path:
    assert kind is Path
    return Path(str(value))


def save_settings(settings: Settings) -> None:
    settings.home.mkdir(parents=True, exist_ok=True)
    settings.home.chmod(0o700 if settings.home == SYSTEM_HOME else 0o711)
    settings.run.mkdir(parents=True, exist_ok=True)
    settings.run.chmod(0o755)
    write_private(settings_file(settings.home), msgspec.json.encode(settings, enc_hook=str))


def load_settings(home: Path) -> Settings:
    """Raises `Fault` where nothing was ever started there."""
    try:
        data = settings_file(home).read_bytes()
    except FileNotFoundError:
        raise Fault("NotStarted", f"There is no installation in {home}. Start one with: ropewalk up") from None
    except PermissionError:
        raise Fault(
            "NotPermitted", f"The installation in {home} belongs to another user. Try: sudo ropewalk …"
        ) from None
    return msgspec.json.decode(data, type=Settings, dec_hook=_decode_path)


def earlier(home: Path) -> Settings | None:
    """What an installation was last started as; None where there never was one."""
    try:
        return load_settings(home)
    except Fault:
        return None


_FIXED_WHILE_RUNNING = (
    "simulated",
    "port",
    "accept_any_credentials",
    "fargate_limits",
    "time_scale",
    "store",
    "upstream_resolver",
)
_FIXED_BY_STATE = ("account", "region")
"""Written into every ARN that the store holds."""


def alive(settings: Settings) -> bool:
    """Whether its control plane, or whoever would start that again, runs."""
    processes = (DetachedProcess(name, settings.run, settings.logs) for name in ("supervisor", "aws"))
    return any(process.record() is not None for process in processes)


def running(wanted: Settings) -> Settings | None:
    """The settings of what runs in this home; None where nothing does. Raises `Fault` where it runs with others."""
    before = earlier(wanted.home)
    if before is None or not alive(before):
        return None
    for name in _FIXED_WHILE_RUNNING:
        mine, asked = getattr(before, name), getattr(wanted, name)
        if mine != asked:
            raise Fault(
                "AlreadyRunning",
                f"Ropewalk runs here with {name.replace('_', '-')} {mine}, not {asked}. First: ropewalk down",
            )
    return before


def chosen_range(wanted: Settings, before: Settings | None) -> str:
    """Range of the default VPC: the earlier one, else the one asked for, else "".

    Raises `Fault` where they differ, or where the state that is there belongs to another account or region.
    """
    for name in _FIXED_BY_STATE if before is not None else ():
        mine, other = getattr(before, name), getattr(wanted, name)
        if mine != other:
            raise Fault(
                "IdentityFixed",
                f"The state of this installation is of {name} {mine}, not {other}. First: ropewalk reset",
            )
    had = before.default_vpc_cidr if before is not None else ""
    asked = wanted.default_vpc_cidr
    if had and asked and had != asked:
        raise Fault(
            "RangeFixed",
            f"The default VPC of this installation has {had}, not {asked}. Make another VPC beside it "
            "(aws ec2 create-vpc), or begin anew: ropewalk reset",
        )
    return had or asked


def credentials_file(settings: Settings) -> Path:
    """Where the client's key goes: with the state where that was moved, else in the invoking user's own folder."""
    if settings.home != SYSTEM_HOME:
        return settings.home / "client.json"
    return invoker().home / ".config" / "ropewalk" / "client.json"


def write_private(path: Path, data: bytes, owner: Invoker | None = None) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(path.name + ".new")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)
        if owner is not None and os.geteuid() == 0:
            os.fchown(descriptor, owner.uid, owner.gid)
    scratch.replace(path)


def publish(settings: Settings, key: ClientKey | None, *, owner: Invoker | None = None) -> Beacon:
    """Write the client's key (where it is newly made) and the beacon."""
    path = credentials_file(settings)
    if key is not None:
        person = owner or invoker()
        created = [folder for folder in (path.parent, path.parent.parent) if not folder.exists()]
        write_private(path, msgspec.json.encode(key), person)
        if os.geteuid() == 0 and settings.home == SYSTEM_HOME:
            for folder in created:
                os.chown(folder, person.uid, person.gid)
    beacon = Beacon(
        endpoint=settings.endpoint,
        region=settings.region,
        account=settings.account,
        credentials=str(path),
        home=str(settings.home),
        simulated=settings.simulated,
        accept_any_credentials=settings.accept_any_credentials,
        time_scale=settings.time_scale,
    )
    target = settings.run / "beacon.json"
    scratch = target.with_name("beacon.new")
    scratch.write_bytes(msgspec.json.encode(beacon))
    scratch.chmod(0o644)
    scratch.replace(target)
    return beacon


def find_beacon(home: Path) -> Beacon:
    """The running installation's beacon. Raises `Fault` where there is none."""
    run = Settings(home=home).run
    candidates = [run] if home != Settings().home or "ROPEWALK_HOME" in os.environ else [run, Path("/run/ropewalk")]
    for folder in candidates:
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            return msgspec.json.decode((folder / "beacon.json").read_bytes(), type=Beacon)
    raise Fault(
        "NotRunning", "Ropewalk is not running here. Start it with: sudo ropewalk up, or: ropewalk up --simulated"
    )


def read_client_key(beacon: Beacon) -> ClientKey:
    try:
        return msgspec.json.decode(Path(beacon.credentials).read_bytes(), type=ClientKey)
    except FileNotFoundError:
        raise Fault(
            "NoClientKey", f"The client key {beacon.credentials} is gone. Make a new one with: ropewalk up"
        ) from None
    except PermissionError:
        raise Fault(
            "NotPermitted",
            f"The client key {beacon.credentials} is another user's. Run as the user who ran `ropewalk up`.",
        ) from None


@contextlib.contextmanager
def exclusive(settings: Settings) -> Iterator[None]:
    """Hold this installation's lock: one `up`, `down` or `reset` at a time. Raises `Fault` when another holds it."""
    settings.run.mkdir(parents=True, exist_ok=True)
    with open(settings.run / "command.lock", "a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "another process"
            raise Fault("Busy", f"{holder} is working on this installation. Wait for it to end.") from None
        lock.truncate(0)
        lock.write(f"Process {os.getpid()}")
        lock.flush()
        try:
            yield
        finally:
            lock.truncate(0)
