"""What is remembered across a death, however it comes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.model.host import Attachment
from ropewalk.model.ids import VpcId
from ropewalk.model.network import Fabric
from ropewalk.network.journal import Forgotten, Held, Journal, Listening, Released
from unit.network.fabrics import VPC, group, interface, vpc


def held(number: int, namespace: str = "/run/ns") -> Held:
    record = interface(number, "sg-a")
    return Held(Attachment(record.id, namespace), record)


def test_a_reopened_journal_knows_what_was_attached(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for event in (held(1), held(2), held(1, "/moved"), Released(interface(2).id), Listening(VPC, "169.254.170.2", 80)):
        journal.append(event)
    again = Journal(tmp_path)  # without a close: the other process was killed
    assert list(again.held.values()) == [held(1, "/moved")]
    assert again.listening == {Listening(VPC, "169.254.170.2", 80)}


def test_a_forgotten_vpc_serves_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    other = Listening(VpcId("vpc-other"), "169.254.170.2", 80)
    for event in (Listening(VPC, "169.254.170.2", 80), other, Forgotten(VPC)):
        journal.append(event)
    assert Journal(tmp_path).listening == {other}


@given(cut=st.integers(1, 200))
def test_a_torn_last_line_costs_only_itself(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    folder = tmp_path_factory.mktemp("journal")
    journal = Journal(folder)
    journal.append(held(1))
    whole = (folder / "attachments.jsonl").read_bytes()
    journal.append(held(2))
    journal.close()
    path = folder / "attachments.jsonl"
    path.write_bytes(path.read_bytes()[: max(len(whole), len(path.read_bytes()) - cut)])
    again = Journal(folder)
    assert held(1) in again.held.values()
    assert set(again.held) <= {interface(1).id, interface(2).id}
    again.append(held(3))
    assert held(3) in Journal(folder).held.values()


def test_the_file_stays_small_under_churn(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(held(1))
    for _ in range(3000):
        journal.append(held(2))
        journal.append(Released(interface(2).id))
    assert (tmp_path / "attachments.jsonl").read_bytes().count(b"\n") < 1100
    assert set(Journal(tmp_path).held) == {interface(1).id}


def test_the_fabric_is_kept_and_a_damaged_one_is_none(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    assert journal.fabric() == Fabric()
    fabric = Fabric((vpc(),), (group("sg-a"),))
    journal.save_fabric(fabric)
    assert Journal(tmp_path).fabric() == fabric
    (tmp_path / "fabric.json").write_bytes(b'{"vpcs": [{"id": 7}]}')
    assert journal.fabric() == Fabric()


def test_remove_leaves_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(held(1))
    journal.save_fabric(Fabric())
    journal.remove()
    assert list(tmp_path.iterdir()) == []
