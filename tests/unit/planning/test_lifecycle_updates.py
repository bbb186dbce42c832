"""What a later record may change, and when that counts."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from ropewalk.model.status import NoteKind
from ropewalk.model.workload import EnvironmentVariable, File, Generation, Mount, Volume, Workload
from ropewalk.planning import lifecycle_records as words
from support.workloads import container, workload
from unit.planning.test_lifecycle import Drive

V1 = Volume("v", "files", files=(File("a", b"1"),), version="1")
V2 = replace(V1, files=(File("a", b"2"),), version="2")
WAITS = Volume("v", "files", hold='configmap "c" not found')


def what(volume: Volume, number: int = 1, **fields: Any) -> Workload:
    app = container(mounts=(Mount("v", "/etc/v"),), insists=True, **fields)
    return replace(workload("w", app, volumes=(volume,)), generation=Generation("store-a", 1, number))


def writes(drive: Drive) -> list[tuple[str, str]]:
    return [(a.volume, a.version) for a in drive.actions if isinstance(a, words.WriteFiles)]


def test_files_come_before_everything_else() -> None:
    drive = Drive(what(V1))
    assert drive.actions == (words.WriteFiles("v", "1"),)
    drive.tell(words.FilesWritten("v", "1", "no space left"))
    assert drive.actions == (words.WriteFiles("v", "1"),) and drive.state.notes[0].kind is NoteKind.NOT_MOUNTED
    drive.tell(words.FilesWritten("v", "1"))
    assert {type(action) for action in drive.actions} == {words.Prepare, words.Pull}


def test_a_change_is_shown_at_once_and_stops_nothing() -> None:
    drive = Drive(what(V1)).tell(words.FilesWritten("v", "1")).prepared().start("app")
    drive.tell(words.Desired(what(V2, 2)))
    assert drive.actions == (words.WriteFiles("v", "2"),)
    drive.tell(words.FilesWritten("v", "2"))
    assert drive.actions == () and drive.state.workload.volumes == (V2,)


def test_what_is_held_begins_when_it_is_there_and_keeps_what_it_has_when_it_goes() -> None:
    drive = Drive(what(WAITS))
    assert drive.actions == () and drive.state.notes[0].text == 'v: configmap "c" not found'
    drive.tell(words.Desired(what(V1, 2)))
    assert writes(drive) == [("v", "1")]
    drive.tell(words.FilesWritten("v", "1")).prepared().start("app")
    drive.tell(words.Desired(what(WAITS, 3)))
    assert drive.actions == () and drive.state.workload.volumes == (V1,) and drive.state.reason == ""
    assert drive.state.workload.generation.number == 3


def test_an_environment_counts_from_the_next_start() -> None:
    drive = Drive(what(V1)).tell(words.FilesWritten("v", "1")).prepared().start("app")
    changed = what(V1, 2, environment=(EnvironmentVariable("A", "2"),))
    drive.tell(words.Desired(changed))
    assert drive.actions == () and drive.state.workload == changed


@pytest.mark.parametrize(
    "fields", [{"image": "other:1"}, {"user": "0"}, {"privileged": True}, {"stop_timeout": 1.0}, {"name": "other"}]
)
def test_anything_else_is_refused_whole(fields: Any) -> None:
    drive = Drive(what(V1))
    before = drive.state.workload
    other = what(V2, 2)
    drive.tell(words.Desired(replace(other, containers=(replace(other.containers[0], **fields),))))
    assert drive.state.workload == before and "a change was refused" in drive.state.reason
