"""Resource claims, templates, device classes and resource slices."""

from __future__ import annotations

from typing import Any

import pytest

from ropewalk.kube.kinds.resource import STRATEGIES, strategies
from ropewalk.kube.machinery.objects import Object
from unit.kube.kinds.verdicts import cells, changed, created, creation, status_update, update

CLAIMS = STRATEGIES["resourceclaims"]
TEMPLATES = STRATEGIES["resourceclaimtemplates"]
CLASSES = STRATEGIES["deviceclasses"]
SLICES = STRATEGIES["resourceslices"]
REQUEST = {"name": "gpu", "exactly": {"deviceClassName": "gpu.example.com"}}
CLAIM: Object = {"spec": {"devices": {"requests": [REQUEST]}}}
SLICE: Object = {
    "spec": {
        "driver": "gpu.example.com",
        "pool": {"name": "node-1", "resourceSliceCount": 1},
        "nodeName": "node-1",
        "devices": [
            {"name": "gpu-0", "attributes": {"model": {"string": "x"}}, "capacity": {"memory": {"value": "1Gi"}}}
        ],
    }
}


def _claim(**devices: Any) -> Object:
    return {"spec": {"devices": {"requests": [REQUEST], **devices}}}


def _exactly(**fields: Any) -> Object:
    return _claim(requests=[{"name": "gpu", "exactly": {**REQUEST["exactly"], **fields}}])


def test_defaults() -> None:
    exactly = created(CLAIMS, CLAIM)["spec"]["devices"]["requests"][0]["exactly"]
    assert (exactly["allocationMode"], exactly["count"]) == ("ExactCount", 1)
    everything = created(CLAIMS, _exactly(allocationMode="All"))["spec"]["devices"]["requests"][0]["exactly"]
    assert "count" not in everything


def test_fields_of_features_that_are_off_go() -> None:
    made = created(CLAIMS, _exactly(tolerations=[{"operator": "Exists"}], capacity={}))
    assert made["spec"]["devices"]["requests"][0]["exactly"].keys() == {"deviceClassName", "allocationMode", "count"}


def test_good() -> None:
    assert creation(CLAIMS, CLAIM) == []
    assert creation(TEMPLATES, {"spec": CLAIM}) == []
    assert creation(CLASSES, {"spec": {"selectors": [{"cel": {"expression": "true"}}]}}) == []
    assert creation(SLICES, SLICE) == []
    alternatives = [{"name": "big", "deviceClassName": "a"}, {"name": "small", "deviceClassName": "b"}]
    config = {"requests": ["any/big"], "opaque": {"driver": "a.b", "parameters": {"x": 1}}}
    assert creation(CLAIMS, _claim(requests=[{"name": "any", "firstAvailable": alternatives}], config=[config])) == []


BAD = [
    (_claim(requests=[{"name": "A"}]), "spec.devices.requests[0].name: Invalid value"),
    (_claim(requests=[{"name": "a"}]), "exactly one of `exactly` or `firstAvailable` is required"),
    (_claim(requests=[REQUEST, REQUEST]), 'spec.devices.requests[1]: Duplicate value: "gpu"'),
    (_claim(requests=[{**REQUEST, "name": f"r{n}"} for n in range(33)]), "Too many: 33: must have at most 32 items"),
    (_exactly(deviceClassName=""), "deviceClassName: Required value"),
    (_exactly(allocationMode="Some"), 'supported values: "All", "ExactCount"'),
    (_exactly(count=-1), "must be greater than zero"),
    (_exactly(allocationMode="All", count=1), "must not be specified when allocationMode is 'All'"),
    (_exactly(selectors=[{}]), "selectors[0].cel: Required value"),
    (_claim(constraints=[{}]), "spec.devices.constraints[0].matchAttribute: Required value"),
    (_claim(constraints=[{"matchAttribute": "model"}]), "a fully qualified name must be a domain and a name"),
    (_claim(constraints=[{"matchAttribute": "a.b/1"}]), "a valid C identifier must start with"),
    (_claim(config=[{}]), "spec.devices.config[0].opaque: Required value"),
    (_claim(config=[{"requests": ["x"]}]), "must be the name of a request in the claim"),
    (
        _claim(config=[{"opaque": {"driver": "a.b", "parameters": {"x": "y" * 10240}}}]),
        "Too long: may not be more than 10240 bytes",
    ),
]


@pytest.mark.parametrize(("claim", "complaint"), BAD, ids=range(len(BAD)))
def test_bad(claim: Object, complaint: str) -> None:
    found = creation(CLAIMS, claim)
    assert any(complaint in line for line in found), found
    inside = creation(TEMPLATES, {"spec": claim})
    assert any(complaint.replace("spec.devices", "spec.spec.devices") in line for line in inside), inside


def test_claims_and_templates_do_not_change() -> None:
    old = created(CLAIMS, CLAIM)
    (found,) = update(CLAIMS, changed(old, "spec", "devices", {}), old)
    assert found.startswith("spec: Invalid value: ")
    assert found.endswith("field is immutable")
    assert update(CLAIMS, old, old) == []


RESULT = {"request": "gpu", "driver": "gpu.example.com", "pool": "node-1", "device": "gpu-0"}
ALLOCATION = {"devices": {"results": [RESULT]}}
CONSUMER = {"resource": "pods", "name": "a", "uid": "u"}


class TestStatus:
    old = created(CLAIMS, CLAIM)

    def test_good(self) -> None:
        assert status_update(CLAIMS, {"allocation": ALLOCATION, "reservedFor": [CONSUMER]}, self.old) == []

    @pytest.mark.parametrize(
        ("status", "complaint"),
        [
            ({"reservedFor": [CONSUMER]}, "may not be specified when `allocated` is not set"),
            ({"allocation": ALLOCATION, "reservedFor": [{}]}, "status.reservedFor[0].uid: Required value"),
            ({"allocation": ALLOCATION, "reservedFor": [CONSUMER] * 2}, 'reservedFor[1]: Duplicate value: "u"'),
            ({"allocation": {"devices": {"results": [{**RESULT, "request": "x"}]}}}, "must be the name of a request"),
            ({"allocation": {"devices": {"results": [{**RESULT, "pool": ""}]}}}, "pool: Required value"),
            ({"allocation": {"devices": {"config": [{"source": "X"}]}}}, 'supported values: "FromClaim", "FromClass"'),
            (
                {"allocation": ALLOCATION, "devices": [{**RESULT, "device": "gpu-1"}]},
                "must be an allocated device in the claim",
            ),
            (
                {"allocation": ALLOCATION, "devices": [{**RESULT, "networkData": {"ips": ["10.0.0.1"]}}]},
                "must be a valid address in CIDR form",
            ),
        ],
    )
    def test_bad(self, status: Object, complaint: str) -> None:
        found = status_update(CLAIMS, status, self.old)
        assert any(complaint in line for line in found), found

    def test_an_allocation_stays(self) -> None:
        before = changed(self.old, "status", {"allocation": ALLOCATION})
        other = {"devices": {"results": [{**RESULT, "device": "gpu-1"}]}}
        (found,) = status_update(CLAIMS, {"allocation": other}, before)
        assert found.startswith("status.allocation: ")
        assert status_update(CLAIMS, {}, before) == []

    def test_what_drivers_said_goes_with_the_devices(self) -> None:
        status = {"allocation": ALLOCATION, "devices": [{**RESULT, "data": {"x": 1}}]}
        before = changed(self.old, "status", status)
        new = changed(before, "status", "allocation", None)
        CLAIMS.prepare_status_update(new, before)
        assert new["status"] == {"devices": []}

    def test_nobody_new_while_it_goes(self) -> None:
        going = changed(self.old, "metadata", "deletionTimestamp", "2026-01-01T00:00:00Z")
        found = status_update(CLAIMS, {"allocation": ALLOCATION, "reservedFor": [CONSUMER]}, going)
        assert len(found) == 1
        assert "new entries may not be added" in found[0]


def _slice(**fields: Any) -> Object:
    spec = {**SLICE["spec"], **fields}
    return {"spec": {key: value for key, value in spec.items() if value is not None}}


@pytest.mark.parametrize(
    ("piece", "complaint"),
    [
        (_slice(driver=""), "spec.driver: Required value"),
        (_slice(pool={"name": "", "resourceSliceCount": 1}), "spec.pool.name: Required value"),
        (_slice(pool={"name": "a", "resourceSliceCount": 0}), "must be greater than zero"),
        (_slice(nodeName=None), "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection`"),
        (_slice(allNodes=True), "but multiple fields are set"),
        (_slice(nodeSelector={"nodeSelectorTerms": []}), '`nodeSelector`}": exactly one of'),
        (_slice(allNodes=False), "must be either unset or set to true"),
        (_slice(devices=[{"name": "a"}] * 2), 'spec.devices[1]: Duplicate value: "a"'),
        (_slice(devices=[{"name": f"d{n}"} for n in range(129)]), "Too many: 129: must have at most 128 items"),
        (_slice(devices=[{"name": "a", "attributes": {"x": {}}}]), "exactly one value must be specified"),
        (_slice(devices=[{"name": "a", "attributes": {"x": {"version": "1"}}}]), "compatible with semver.org"),
        (_slice(devices=[{"name": "a", "attributes": {"x": {"string": "y" * 65}}}]), "may not be more than 64 bytes"),
        (
            _slice(devices=[{"name": "a", "attributes": {f"x{n}": {"int": 1} for n in range(33)}}]),
            "the total number of attributes and capacities must not exceed 32",
        ),
    ],
)
def test_bad_slices(piece: Object, complaint: str) -> None:
    found = creation(SLICES, piece)
    assert any(complaint in line for line in found), found


def test_a_slice_stays_where_it_is() -> None:
    old = created(SLICES, SLICE)
    for path in (("driver",), ("nodeName",), ("pool", "name")):
        found = update(SLICES, changed(old, "spec", *path, "other"), old)
        assert any(line.startswith(f"spec.{'.'.join(path)}: ") and "immutable" in line for line in found)


def test_the_compiler_is_asked() -> None:
    kinds = strategies(lambda expression: "" if expression == "true" else "no such thing")
    found = creation(kinds["deviceclasses"], {"spec": {"selectors": [{"cel": {"expression": "what"}}]}})
    assert found == ['spec.selectors[0].cel.expression: Invalid value: "what": no such thing']


def test_tables() -> None:
    claim = created(CLAIMS, CLAIM)
    assert cells(CLAIMS, claim)["State"] == "pending"
    used = changed(claim, "status", {"allocation": ALLOCATION, "reservedFor": [CONSUMER]})
    assert cells(CLAIMS, used)["State"] == "allocated,reserved"
    gone = changed(used, "metadata", "deletionTimestamp", "2026-01-01T00:00:00Z")
    assert cells(CLAIMS, gone)["State"] == "deleted,allocated,reserved"
    assert list(cells(SLICES, created(SLICES, SLICE)).values()) == ["one", "node-1", "gpu.example.com", "node-1", "0s"]
    assert SLICES.selectable_fields["spec.nodeName"](SLICE) == "node-1"
