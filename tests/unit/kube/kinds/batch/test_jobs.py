"""Jobs: defaults, the generated selector, rules of spec and status, the table."""

from __future__ import annotations

from typing import Any

import pytest

from ropewalk.kube.kinds.batch import STRATEGIES
from ropewalk.kube.machinery.objects import Object
from unit.kube.kinds.verdicts import cells, changed, created, creation, status_update, update, updated

JOBS = STRATEGIES["jobs"]
POD = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox"}]}
JOB: Object = {"metadata": {"name": "one"}, "spec": {"template": {"spec": POD}}}
INDEXED = changed(changed(JOB, "spec", "completionMode", "Indexed"), "spec", "completions", 5)


def _with(**spec: Any) -> Object:
    return {**JOB, "spec": {**JOB["spec"], **spec}}


def _indexed(**spec: Any) -> Object:
    return {**JOB, "spec": {**INDEXED["spec"], **spec}}


class TestDefaults:
    def test_of_a_plain_job(self) -> None:
        spec = created(JOBS, JOB)["spec"]
        expected = {
            "completions": 1,
            "parallelism": 1,
            "backoffLimit": 6,
            "completionMode": "NonIndexed",
            "suspend": False,
            "podReplacementPolicy": "TerminatingOrFailed",
            "manualSelector": False,
        }
        assert {key: spec[key] for key in expected} == expected

    def test_a_work_queue_has_no_completions(self) -> None:
        assert "completions" not in created(JOBS, _with(parallelism=3))["spec"]

    def test_a_limit_per_index_lifts_the_other(self) -> None:
        assert created(JOBS, _indexed(backoffLimitPerIndex=1))["spec"]["backoffLimit"] == 2147483647

    def test_a_failure_policy_waits_for_pods_to_fail(self) -> None:
        policy = {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]}
        spec = created(JOBS, _with(podFailurePolicy=policy))["spec"]
        assert spec["podReplacementPolicy"] == "Failed"
        assert spec["podFailurePolicy"]["rules"][0]["onPodConditions"][0]["status"] == "True"

    def test_labels_of_the_template_are_those_of_a_job_without(self) -> None:
        job = changed(JOB, "spec", "template", "metadata", {"labels": {"app": "x"}})
        assert created(JOBS, job)["metadata"]["labels"] == {"app": "x"}

    def test_they_are_idempotent(self) -> None:
        once = created(JOBS, JOB)
        again = updated(JOBS, once, once)
        assert again == once


def test_the_selector_is_generated() -> None:
    job = created(JOBS, JOB, uid="u-7")
    assert job["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": "u-7"}}
    assert job["spec"]["template"]["metadata"]["labels"] == {
        "job-name": "one",
        "batch.kubernetes.io/job-name": "one",
        "controller-uid": "u-7",
        "batch.kubernetes.io/controller-uid": "u-7",
    }
    assert job["metadata"]["labels"] == job["spec"]["template"]["metadata"]["labels"]
    assert job["metadata"]["generation"] == 1


def test_manual_selectors_are_the_users() -> None:
    own = {"matchLabels": {"app": "x"}}
    template = {"metadata": {"labels": {"app": "x"}}, "spec": POD}
    assert creation(JOBS, _with(manualSelector=True, selector=own, template=template)) == []
    assert creation(JOBS, _with(manualSelector=True, template=template)) == [
        "spec.selector: Required value",
        'spec.template.metadata.labels: Invalid value: {"app":"x"}: `selector` does not match template `labels`',
    ]


BAD = [
    (_with(parallelism=-1), "spec.parallelism: Invalid value: -1: must be greater than or equal to 0"),
    (_with(backoffLimit=-1), "spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0"),
    (
        _with(completionMode="X"),
        'spec.completionMode: Unsupported value: "X": supported values: "NonIndexed", "Indexed"',
    ),
    (
        changed(JOB, "spec", "template", "spec", "restartPolicy", "Always"),
        'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
    ),
    (
        changed(JOB, "spec", "template", "spec", "restartPolicy", None),
        'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
    ),
    (_with(maxFailedIndexes=1), "spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified"),
    (
        _with(backoffLimitPerIndex=1),
        "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode",
    ),
    (
        changed(INDEXED, "spec", "parallelism", 100_001),
        "spec.parallelism: Invalid value: 100001: must be less than or equal to 100000 when completion mode is Indexed",
    ),
    (
        _with(completionMode="Indexed", parallelism=1),
        "spec.completions: Required value: when completion mode is Indexed",
    ),
    (
        _indexed(backoffLimitPerIndex=1, maxFailedIndexes=6),
        "spec.maxFailedIndexes: Invalid value: 6: must be less than or equal to completions",
    ),
    (
        _indexed(completions=100_001, backoffLimitPerIndex=1),
        "spec.maxFailedIndexes: Required value: must be specified when completions is above 100000",
    ),
    (_with(managedBy="me"), 'must be a domain-prefixed path (such as "acme.io/foo")'),
    (_with(managedBy="acme.io/" + "x" * 63), "spec.managedBy: Too long: may not be more than 63 bytes"),
    (
        _with(podReplacementPolicy="Never"),
        'Unsupported value: "Never": supported values: "Failed", "TerminatingOrFailed"',
    ),
    (_with(successPolicy={"rules": [{"succeededCount": 1}]}), "requires indexed completion mode"),
    (
        _indexed(successPolicy={"rules": []}),
        "at least one rules must be specified when the successPolicy is specified",
    ),
    (
        _indexed(successPolicy={"rules": [{"succeededCount": 6}]}),
        "must be less than or equal to 5 (the number of specified completions)",
    ),
    (
        _indexed(successPolicy={"rules": [{"succeededCount": 3, "succeededIndexes": "0-1"}]}),
        "must be less than or equal to 2 (the number of indexes in the specified succeededIndexes field)",
    ),
    (
        _indexed(successPolicy={"rules": [{"succeededIndexes": "0-9"}]}),
        'error parsing succeededIndexes: too large index: "9"',
    ),
    (
        _with(podFailurePolicy={"rules": [{"action": "Stop", "onPodConditions": [{"type": "X"}]}]}),
        'supported values: "Count", "FailIndex", "FailJob", "Ignore"',
    ),
    (
        _with(podFailurePolicy={"rules": [{"action": "FailIndex", "onPodConditions": [{"type": "X"}]}]}),
        "requires the backoffLimitPerIndex to be set",
    ),
    (
        _with(podFailurePolicy={"rules": [{"action": "Count"}]}),
        "spec.podFailurePolicy.rules[0]: Invalid value: specifying one of OnExitCodes and OnPodConditions is required",
    ),
    (
        _with(
            podFailurePolicy={"rules": [{"action": "Count", "onExitCodes": {"operator": "In", "values": [2, 1, 1, 0]}}]}
        ),
        "spec.podFailurePolicy.rules[0].onExitCodes.values[3]: Invalid value: 0: must not be 0 for the In operator",
    ),
    (
        _with(podFailurePolicy={"rules": [{"action": "Count", "onExitCodes": {"operator": "In", "values": [2, 1]}}]}),
        "values: Invalid value: [2,1]: must be ordered",
    ),
    (
        _with(
            podFailurePolicy={
                "rules": [
                    {"action": "Count", "onExitCodes": {"operator": "In", "values": [1], "containerName": "other"}}
                ]
            }
        ),
        "must be one of the container or initContainer names in the pod template",
    ),
    (
        changed(_indexed(completions=100), "metadata", "name", "x" * 61),
        f"will not able to create pod with invalid DNS label: {'x' * 61}-99",
    ),
    (
        changed(JOB, "spec", "template", "metadata", {"labels": {"job-name": "other"}}),
        "must be 'one'",
    ),
    (_with(selector={"matchLabels": {"batch.kubernetes.io/controller-uid": "x"}}), "`selector` not auto-generated"),
]


@pytest.mark.parametrize(("job", "complaint"), BAD, ids=range(len(BAD)))
def test_bad(job: Object, complaint: str) -> None:
    assert any(complaint in line for line in creation(JOBS, job)), creation(JOBS, job)


GOOD = [
    JOB,
    INDEXED,
    _with(parallelism=0),
    _with(ttlSecondsAfterFinished=0, activeDeadlineSeconds=10, managedBy="acme.io/jobs"),
    _indexed(backoffLimitPerIndex=1, maxFailedIndexes=5),
    _indexed(successPolicy={"rules": [{"succeededIndexes": "0,2-4", "succeededCount": 2}]}),
    _with(
        podFailurePolicy={
            "rules": [
                {"action": "FailJob", "onExitCodes": {"operator": "NotIn", "values": [0, 1], "containerName": "main"}},
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]},
            ]
        }
    ),
]


@pytest.mark.parametrize("job", GOOD, ids=range(len(GOOD)))
def test_good(job: Object) -> None:
    assert creation(JOBS, job) == []


class TestUpdates:
    old = created(JOBS, _with(suspend=True))

    def test_what_may_change(self) -> None:
        new = changed(changed(self.old, "spec", "parallelism", 4), "spec", "suspend", False)
        assert update(JOBS, new, self.old) == []
        assert updated(JOBS, new, self.old)["metadata"]["generation"] == 2

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            (("completions",), 3),
            (("completionMode",), "Indexed"),
            (("backoffLimitPerIndex",), 3),
            (("managedBy",), "acme.io/x"),
            (("template", "spec", "containers", 0, "image"), "other"),
        ],
    )
    def test_what_may_not(self, path: tuple[str, ...], value: Any) -> None:
        found = update(JOBS, changed(self.old, "spec", *path, value), self.old)
        assert any(line.startswith(f"spec.{path[0]}: ") and "field is immutable" in line for line in found), found

    def test_directives_until_it_starts(self) -> None:
        new = changed(self.old, "spec", "template", "spec", "nodeSelector", {"disk": "ssd"})
        assert update(JOBS, new, self.old) == []
        started = changed(self.old, "status", {"startTime": "2026-01-01T00:00:00Z"})
        assert any("field is immutable" in line for line in update(JOBS, new, started))

    def test_an_indexed_job_scales_with_its_parallelism(self) -> None:
        old = created(JOBS, INDEXED)
        new = changed(old, "spec", "completions", 7)
        assert update(JOBS, new, old) == [
            "spec.completions: Invalid value: 7: can only be modified in tandem with spec.parallelism"
        ]
        assert update(JOBS, changed(new, "spec", "parallelism", 7), old) == []


def _conditions(*kinds: str) -> list[Object]:
    return [{"type": kind, "status": "True"} for kind in kinds]


class TestStatus:
    old = created(JOBS, JOB)
    start, end = "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"

    def test_a_good_end(self) -> None:
        status = {
            "startTime": self.start,
            "completionTime": self.end,
            "succeeded": 1,
            "conditions": _conditions("SuccessCriteriaMet", "Complete"),
        }
        assert status_update(JOBS, status, self.old) == []

    def test_a_good_failure(self) -> None:
        status = {"startTime": self.start, "failed": 7, "conditions": _conditions("FailureTarget", "Failed")}
        assert status_update(JOBS, status, self.old) == []

    @pytest.mark.parametrize(
        ("status", "complaint"),
        [
            ({"active": -1}, "status.active: Invalid value: -1"),
            ({"ready": 2, "active": 1}, "cannot set more ready pods than active"),
            ({"completionTime": end}, "cannot set completionTime when there is no Complete=True condition"),
            ({"conditions": _conditions("Complete")}, "completionTime is required for Complete jobs"),
            ({"conditions": _conditions("Complete")}, "without the SuccessCriteriaMet=true condition"),
            ({"conditions": _conditions("Failed")}, "without the FailureTarget=true condition"),
            ({"conditions": _conditions("Failed")}, "startTime is required for finished job"),
            ({"conditions": _conditions("Failed", "Complete")}, "cannot set Complete=True and Failed=true conditions"),
            ({"conditions": _conditions("Failed"), "active": 1}, "active>0 is invalid for finished job"),
            ({"completedIndexes": "0"}, "cannot set non-empty completedIndexes when non-indexed completion mode"),
            ({"failedIndexes": "0"}, "cannot set non-null failedIndexes when backoffLimitPerIndex is null"),
            ({"startTime": end, "completionTime": start}, "must be equal to or after `startTime`"),
            ({"uncountedTerminatedPods": {"succeeded": ["a"], "failed": ["a", ""]}}, 'Duplicate value: "a"'),
            (
                {"conditions": _conditions("SuccessCriteriaMet", "FailureTarget")},
                "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions",
            ),
        ],
    )
    def test_bad(self, status: Object, complaint: str) -> None:
        found = status_update(JOBS, status, self.old)
        assert any(complaint in line for line in found), found

    @pytest.mark.parametrize(
        ("before", "after", "complaint"),
        [
            ({"failed": 2}, {"failed": 1}, "cannot decrease the failed counter"),
            ({"succeeded": 2}, {}, "cannot decrease the succeeded counter"),
            ({"startTime": start}, {}, "startTime cannot be removed for unsuspended job"),
            ({"conditions": _conditions("FailureTarget")}, {}, "cannot disable the terminal FailureTarget=True"),
            ({"conditions": _conditions("SuccessCriteriaMet")}, {}, "cannot disable the SuccessCriteriaMet=True"),
        ],
    )
    def test_what_cannot_be_taken_back(self, before: Object, after: Object, complaint: str) -> None:
        found = status_update(JOBS, after, changed(self.old, "status", before))
        assert any(complaint in line for line in found), found

    def test_a_status_wrong_already_can_still_be_written(self) -> None:
        wrong = {"completedIndexes": "0"}
        assert status_update(JOBS, {**wrong, "active": 1}, changed(self.old, "status", wrong)) == []


def test_table() -> None:
    job = changed(
        created(JOBS, _with(completions=3)),
        "status",
        {"succeeded": 1, "startTime": "2025-12-31T23:59:00Z", "conditions": []},
    )
    assert cells(JOBS, job, wide=True) == {
        "Name": "one",
        "Status": "Running",
        "Completions": "1/3",
        "Duration": "60s",
        "Age": "0s",
        "Containers": "main",
        "Images": "busybox",
        "Selector": "batch.kubernetes.io/controller-uid=u-1",
    }
    assert cells(JOBS, created(JOBS, _with(parallelism=3)))["Completions"] == "0/1 of 3"
    assert cells(JOBS, changed(job, "status", "conditions", _conditions("Complete")))["Status"] == "Complete"


def test_selectable_field() -> None:
    assert JOBS.selectable_fields["status.successful"](changed(JOB, "status", {"succeeded": 2})) == "2"
    assert JOBS.selectable_fields["status.successful"](JOB) == "0"
