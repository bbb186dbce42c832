"""Volume attachments."""

from __future__ import annotations

from typing import Any

import pytest

from ropewalk.kube.kinds.storage import STRATEGIES
from ropewalk.kube.machinery.objects import Object
from unit.kube.kinds.agreement import agree
from unit.kube.kinds.verdicts import cells, changed, created, creation, status_update, update, updated

ATTACHMENTS = STRATEGIES["volumeattachments"]
INLINE: Object = {"accessModes": ["ReadWriteOnce"], "csi": {"driver": "ebs.csi.aws.com", "volumeHandle": "vol-1"}}
HERE = "spec.source.inlineVolumeSpec"
NOT_INLINE = "may not be specified in the context of inline volumes"
ONE_SOURCE = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"


def _attachment(**spec: Any) -> Object:
    named = {"attacher": "ebs.csi.aws.com", "nodeName": "n1", "source": {"persistentVolumeName": "pv-1"}}
    return {"spec": {**named, **spec}}


def _inline(**fields: Any) -> Object:
    return _attachment(source={"inlineVolumeSpec": {**INLINE, **fields}})


@pytest.mark.parametrize("attachment", [_attachment(), _attachment(attacher="a" * 63), _inline()])
def test_good(attachment: Object) -> None:
    made = created(ATTACHMENTS, attachment)
    assert creation(ATTACHMENTS, attachment) == []
    assert update(ATTACHMENTS, made, made) == []


@pytest.mark.parametrize(
    ("attachment", "complaints"),
    [
        (_attachment(attacher="-A"), ['spec.attacher: Invalid value: "-A": a lowercase RFC 1123 subdomain…']),
        (_attachment(attacher="a" * 64), ["spec.attacher: Too long: may not be more than 63 bytes"]),
        (_attachment(nodeName=""), ['spec.nodeName: Invalid value: "": a lowercase RFC 1123 subdomain…']),
        (_attachment(source={}), [f"spec.source: Required value: {ONE_SOURCE}"]),
        (
            _attachment(source={"persistentVolumeName": "p", "inlineVolumeSpec": INLINE}),
            [f"spec.source: Forbidden: {ONE_SOURCE}"],
        ),
        (
            _attachment(source={"persistentVolumeName": ""}),
            [
                "spec.source.persistentVolumeName: Required value: must specify non empty persistentVolumeName",
                'spec.source.persistentVolumeName: Invalid value: "": a lowercase RFC 1123 subdomain…',
            ],
        ),
        (
            _attachment(source={"persistentVolumeName": "P"}),
            ['spec.source.persistentVolumeName: Invalid value: "P": a lowercase RFC 1123 subdomain…'],
        ),
        (
            _attachment(source={"inlineVolumeSpec": {}}),
            [
                f"{HERE}.csi: Required value: has to be specified in the context of inline volumes",
                f"{HERE}.accessModes: Required value",
                f"{HERE}: Required value: must specify a volume type",
            ],
        ),
        (_inline(capacity={"storage": "1Gi"}), [f"{HERE}.capacity: Forbidden: {NOT_INLINE}"]),
        (_inline(claimRef={"name": "x"}), [f"{HERE}.claimRef: Forbidden: {NOT_INLINE}"]),
        (_inline(claimRef={}), [f"{HERE}.claimRef: Forbidden: {NOT_INLINE}"]),
        (_inline(storageClassName="gp3"), [f"{HERE}.storageClassName: Forbidden: {NOT_INLINE}"]),
        (
            _inline(csi={"driver": "", "volumeHandle": ""}),
            [f"{HERE}.csi.driver: Required value", f"{HERE}.csi.volumeHandle: Required value"],
        ),
        (
            _inline(volumeMode="Block"),
            [
                f"{HERE}.volumeMode: Forbidden: may not specify volumeMode other than Filesystem in the context of"
                " inline volumes"
            ],
        ),
    ],
)
def test_bad(attachment: Object, complaints: list[str]) -> None:
    agree(creation(ATTACHMENTS, attachment), complaints)


def test_somebody_must_attach() -> None:
    """Two rules say the same; the answer says it once."""
    assert set(creation(ATTACHMENTS, _attachment(attacher=""))) == {"spec.attacher: Required value"}


def test_the_specification_stays() -> None:
    old = created(ATTACHMENTS, _attachment())
    assert update(ATTACHMENTS, changed(old, "metadata", "labels", {"a": "b"}), old) == []
    assert update(ATTACHMENTS, changed(old, "spec", "nodeName", "n2"), old) == [
        'spec: Invalid value: {"Attacher":"ebs.csi.aws.com","Source":{"PersistentVolumeName":"pv-1",'
        '"InlineVolumeSpec":null},"NodeName":"n2"}: field is immutable'
    ]


class TestStatus:
    def test_not_by_the_front_door(self) -> None:
        made = created(ATTACHMENTS, {**_attachment(), "status": {"attached": True}})
        assert made["status"] == {"attached": False}
        old = {**made, "status": {"attached": True}}
        assert updated(ATTACHMENTS, made, old)["status"] == {"attached": True}

    @pytest.mark.parametrize(
        ("status", "complaints"),
        [
            ({"attached": True, "attachmentMetadata": {"devicePath": "/dev/xvdba"}}, []),
            ({"attached": False, "attachError": {"message": "m" * 1024, "errorCode": 0}}, []),
            (
                {"attached": True, "attachmentMetadata": {"a": "b" * 262144}},
                ["status.attachmentMetadata: Too long: may not be more than 262144 bytes"],
            ),
            (
                {"attached": False, "attachError": {"errorCode": -1}, "detachError": {"message": "m" * 1025}},
                [
                    "status.attachError.errorCode: Invalid value: -1: must be between 0 and 2147483647, inclusive",
                    "status.detachError.message: Too long: may not be more than 262144 bytes",
                ],
            ),
        ],
    )
    def test_its_own_door(self, status: Object, complaints: list[str]) -> None:
        assert status_update(ATTACHMENTS, status, created(ATTACHMENTS, _attachment())) == complaints

    def test_the_specification_does_not_pass(self) -> None:
        old = created(ATTACHMENTS, _attachment())
        new = {**old, **_attachment(nodeName="n2"), "metadata": dict(old["metadata"]), "status": {"attached": True}}
        ATTACHMENTS.prepare_status_update(new, old)
        assert (new["spec"], new["status"]) == (old["spec"], {"attached": True})


def test_table() -> None:
    made = created(ATTACHMENTS, _attachment())
    row = {
        "Name": "one",
        "Attacher": "ebs.csi.aws.com",
        "PV": "pv-1",
        "Node": "n1",
        "Attached": False,
        "Age": "0s",
    }
    assert cells(ATTACHMENTS, made) == row
    assert cells(ATTACHMENTS, {**made, "status": {"attached": True}}) == {**row, "Attached": True}
    assert cells(ATTACHMENTS, created(ATTACHMENTS, _inline()))["PV"] == ""
