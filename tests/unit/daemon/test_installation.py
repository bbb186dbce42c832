"""What an installation remembers, tells anyone, tells its owner only, and refuses."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from ropewalk.base.errors import Fault
from ropewalk.base.settings import Settings, Timings
from ropewalk.daemon import installation, start
from ropewalk.daemon.host_claim import HostClaim
from ropewalk.daemon.installation import ClientKey, Invoker
from ropewalk.daemon.processes import DetachedProcess
from ropewalk.network.ranges import HostFacts


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", port=4999, default_vpc_cidr="")


@pytest.fixture
def runs(settings: Settings) -> Iterator[Settings]:
    """Saved, and its aws process alive (as far as anyone can see)."""
    saved = dataclasses.replace(settings, default_vpc_cidr="172.31.0.0/16", mirror="127.0.0.1:5000")
    installation.save_settings(saved)
    process = DetachedProcess("aws", saved.run, saved.logs)
    process.start((sys.executable, "-c", "import signal; signal.pause()"))
    yield saved
    process.stop(grace=0)


def test_settings_come_back_as_they_were(settings: Settings) -> None:
    given = dataclasses.replace(
        settings, simulated=True, time_scale=10.0, timings=Timings().scaled(10.0), mirror="127.0.0.1:5000"
    )
    installation.save_settings(given)
    assert installation.load_settings(given.home) == given
    assert installation.settings_file(given.home).stat().st_mode & 0o777 == 0o600
    assert installation.earlier(given.home) == given


def test_where_nothing_was_started_there_is_nothing_to_load(tmp_path: Path) -> None:
    with pytest.raises(Fault, match="Start one with: ropewalk up"):
        installation.load_settings(tmp_path)
    assert installation.earlier(tmp_path) is None
    with pytest.raises(Fault, match="is not running here"):
        installation.find_beacon(tmp_path / "home")


def test_the_beacon_is_for_all_and_the_key_for_one(settings: Settings) -> None:
    installation.save_settings(settings)
    published = installation.publish(settings, ClientKey("AKIA", "hush"))
    assert installation.find_beacon(settings.home) == published
    assert published.endpoint == "http://127.0.0.1:4999"
    beacon = settings.run / "beacon.json"
    assert beacon.stat().st_mode & 0o777 == 0o644 and b"hush" not in beacon.read_bytes()
    assert Path(published.credentials).stat().st_mode & 0o777 == 0o600
    assert installation.read_client_key(published) == ClientKey("AKIA", "hush")
    Path(published.credentials).unlink()
    with pytest.raises(Fault, match="Make a new one with: ropewalk up"):
        installation.read_client_key(published)


def test_the_key_belongs_to_the_person_behind_sudo(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_UID", str(os.getuid()))
    assert installation.invoker().uid == os.getuid()
    monkeypatch.setenv("SUDO_UID", "54321")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert installation.invoker() == Invoker(54321, os.getgid(), Path("/home/somebody"))
    system = dataclasses.replace(settings, home=installation.SYSTEM_HOME)
    assert installation.credentials_file(system) == Path("/home/somebody/.config/ropewalk/client.json")


def test_one_command_at_a_time(settings: Settings) -> None:
    busy = pytest.raises(Fault, match=f"Process {os.getpid()} is working on this installation")
    with installation.exclusive(settings), busy, installation.exclusive(settings):
        raise AssertionError("two at a time")
    with installation.exclusive(settings):
        pass


# --- what runs is not changed under its users


def test_what_runs_is_attached_to_as_it_is(runs: Settings, settings: Settings) -> None:
    assert installation.running(settings) == runs
    assert start.settle(settings) == runs
    assert start.settle(dataclasses.replace(settings, default_vpc_cidr="172.31.0.0/16")) == runs


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("port", 5001),
        ("simulated", True),
        ("accept_any_credentials", True),
        ("fargate_limits", "aws"),
        ("time_scale", 60.0),
    ],
)
def test_what_runs_refuses_other_settings_by_name(
    runs: Settings, settings: Settings, field: str, value: object
) -> None:
    asked = dataclasses.replace(settings, **{field: value})
    with pytest.raises(Fault) as refused:
        start.settle(asked)
    assert refused.value.code == "AlreadyRunning"
    assert field.replace("_", "-") in refused.value.message and "ropewalk down" in refused.value.message
    assert installation.load_settings(settings.home) == runs


def test_what_is_down_takes_other_settings_but_keeps_its_range(settings: Settings) -> None:
    before = dataclasses.replace(settings, default_vpc_cidr="10.44.0.0/16")
    installation.save_settings(before)
    assert installation.running(settings) is None
    settled = start.settle(dataclasses.replace(settings, port=5001, fargate_limits="aws"))
    assert (settled.port, settled.fargate_limits, settled.default_vpc_cidr) == (5001, "aws", "10.44.0.0/16")
    with pytest.raises(Fault, match=r"has 10\.44\.0\.0/16, not 10\.45\.0\.0/16.*ropewalk reset"):
        start.settle(dataclasses.replace(settings, default_vpc_cidr="10.45.0.0/16"))


def test_a_new_installation_takes_a_free_range_or_refuses(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "read_host_facts", HostFacts)
    assert start.settle(settings).default_vpc_cidr == "172.31.0.0/16"
    facts = HostFacts(routes=(("tun0", IPv4Network("172.31.5.0/24")),))
    monkeypatch.setattr(start, "read_host_facts", lambda: facts)
    taken = start.settle(settings).default_vpc_cidr
    assert taken.endswith("/16") and taken != "172.31.0.0/16"
    with pytest.raises(Fault, match=r"172\.31\.5\.0/24"):
        start.settle(dataclasses.replace(settings, default_vpc_cidr="172.31.0.0/16"))


# --- the host


def installations(tmp_path: Path, *names: str) -> list[HostClaim]:
    place, claims = tmp_path / "claim", []
    for name in names:
        installation.save_settings(Settings(home=tmp_path / name))
        claims.append(HostClaim(tmp_path / name, place))
    return claims


def test_a_host_has_one_installation_until_it_is_given_back(tmp_path: Path) -> None:
    first, second = installations(tmp_path, "first", "second")
    first.check()
    first.take()
    first.take()  # a second `up` of the same
    assert first.elsewhere() is None and second.elsewhere() == tmp_path / "first"
    for refused in (second.check, second.take):
        with pytest.raises(Fault, match=f"ROPEWALK_HOME={tmp_path / 'first'} ropewalk down"):
            refused()
    second.release()  # it has nothing to give back
    assert first.holder() == tmp_path / "first"
    first.release()
    second.take()
    assert first.elsewhere() == tmp_path / "second"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["claim", "first", "second"]


def test_the_claim_of_a_deleted_installation_is_void(tmp_path: Path) -> None:
    first, second = installations(tmp_path, "first", "second")
    first.take()
    installation.settings_file(tmp_path / "first").unlink()
    second.check()
    second.take()
    assert second.holder() == tmp_path / "second"


def test_a_host_agent_without_an_installation_is_named_before_anything_starts(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start.HostLock, "holder", lambda lock: None)
    start._require_network(settings)
    monkeypatch.setattr(start.HostLock, "holder", lambda lock: 4321)
    with pytest.raises(Fault, match=r"Process 4321 runs this host's network.*sudo kill 4321"):
        start._require_network(settings)
