"""Cron jobs."""

from __future__ import annotations

from typing import Any

import pytest

from ropewalk.kube.kinds.batch import STRATEGIES
from ropewalk.kube.machinery.objects import Object
from unit.kube.kinds.verdicts import cells, changed, created, creation, update

CRON = STRATEGIES["cronjobs"]
POD = {"restartPolicy": "OnFailure", "containers": [{"name": "main", "image": "busybox"}]}
ONE: Object = {
    "metadata": {"name": "one"},
    "spec": {"schedule": "*/5 * * * *", "jobTemplate": {"spec": {"template": {"spec": POD}}}},
}


def test_defaults() -> None:
    spec = created(CRON, ONE)["spec"]
    expected = {
        "concurrencyPolicy": "Allow",
        "suspend": False,
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 1,
    }
    assert {key: spec[key] for key in expected} == expected
    assert spec["jobTemplate"]["spec"].keys() == {"template"}
    assert creation(CRON, ONE) == []


def test_names_leave_room_for_those_of_jobs() -> None:
    assert creation(CRON, changed(ONE, "metadata", "name", "x" * 52)) == []
    assert creation(CRON, changed(ONE, "metadata", "name", "x" * 53)) == [
        f'metadata.name: Invalid value: "{"x" * 53}": must be no more than 52 characters'
    ]


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("schedule", "", "spec.schedule: Required value"),
        (
            "schedule",
            "* * * *",
            'Invalid value: "* * * *": expected exactly 5 fields, found 4: [* * * *]',
        ),
        ("schedule", "TZ=UTC 0 0 * * *", "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"),
        ("startingDeadlineSeconds", -1, "must be greater than or equal to 0"),
        ("successfulJobsHistoryLimit", -1, "must be greater than or equal to 0"),
        ("concurrencyPolicy", "Queue", 'Unsupported value: "Queue": supported values: "Allow", "Forbid", "Replace"'),
        ("timeZone", "", 'spec.timeZone: Invalid value: "": timeZone must be nil or non-empty string'),
        ("timeZone", "../etc", "unknown time zone ../etc"),
        ("timeZone", "Mars/Phobos", "unknown time zone Mars/Phobos"),
        ("timeZone", "local", "timeZone must be an explicit time zone as defined in"),
    ],
)
def test_bad(field: str, value: Any, complaint: str) -> None:
    found = creation(CRON, changed(ONE, "spec", field, value))
    assert any(complaint in line for line in found), found


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/Argentina/Ushuaia"])
def test_time_zones(zone: str) -> None:
    assert creation(CRON, changed(ONE, "spec", "timeZone", zone)) == []


def test_the_selector_is_made_later() -> None:
    job = {"selector": {"matchLabels": {"a": "b"}}, "manualSelector": True, "template": {"spec": POD}}
    found = creation(CRON, changed(ONE, "spec", "jobTemplate", {"spec": job}))
    assert (
        'spec.jobTemplate.spec.selector: Invalid value: {"matchLabels":{"a":"b"}}: `selector` will be auto-generated'
        in found
    )
    assert 'spec.jobTemplate.spec.manualSelector: Unsupported value: true: supported values: "nil", "false"' in found


def test_a_zone_in_the_schedule_may_stay_where_it_was() -> None:
    old = changed(created(CRON, ONE), "spec", "schedule", "TZ=UTC 0 0 * * *")
    assert update(CRON, old, old) == []
    assert CRON.warnings(old, old) == [
        "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see"
        " https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
    ]
    both = changed(old, "spec", "timeZone", "UTC")
    assert any("cannot use both timeZone field and TZ or CRON_TZ" in line for line in update(CRON, both, old))


def test_status_takes_annotations_with_it() -> None:
    old = created(CRON, ONE)
    new = changed(changed(old, "metadata", "annotations", {"a": "b"}), "spec", "schedule", "0 0 * * *")
    CRON.prepare_status_update(new, old)
    assert new["metadata"]["annotations"] == {"a": "b"}
    assert new["spec"] == old["spec"]


def test_table() -> None:
    assert cells(CRON, created(CRON, ONE), wide=True) == {
        "Name": "one",
        "Schedule": "*/5 * * * *",
        "Timezone": "<none>",
        "Suspend": "False",
        "Active": 0,
        "Last Schedule": "<none>",
        "Age": "0s",
        "Containers": "main",
        "Images": "busybox",
        "Selector": "<none>",
    }
