"""Events of `events.k8s.io/v1`: their conversion and their rules, which are stricter than those of `v1`."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.kube.kinds.events import STRATEGIES
from ropewalk.kube.kinds.events.conversion import from_core, to_core
from ropewalk.kube.machinery.objects import Object
from unit.kube.kinds.agreement import agree
from unit.kube.kinds.verdicts import cells, created, creation, update

EVENTS = STRATEGIES["events"]
TIME = "2026-01-01T00:00:00.000000Z"
SECONDS = "2025-12-31T23:59:00Z"
ONE: Object = {
    "metadata": {"name": "one", "namespace": "default"},
    "eventTime": TIME,
    "reportingController": "example.com/puller",
    "reportingInstance": "puller-1",
    "action": "Pull",
    "reason": "Pulling",
    "type": "Normal",
    "regarding": {"kind": "Pod", "namespace": "default", "name": "web", "fieldPath": "spec.containers{main}"},
    "note": " pulling the image\n",
}
NODE = {"kind": "Node", "name": "n1"}
OLD_FIELDS: Object = {
    "deprecatedCount": 3,
    "deprecatedFirstTimestamp": SECONDS,
    "deprecatedLastTimestamp": SECONDS,
    "deprecatedSource": {"component": "kubelet", "host": "n1"},
}


def _with(**fields: Any) -> Object:
    """`ONE` otherwise; None takes a field away."""
    return {name: value for name, value in {**ONE, **fields}.items() if value is not None}


def _in(namespace: str, **fields: Any) -> Object:
    return _with(metadata={"name": "one", "namespace": namespace}, **fields)


class TestCreation:
    @pytest.mark.parametrize(
        "event",
        [
            ONE,
            _with(type="Warning"),
            _with(series={"count": 2, "lastObservedTime": TIME}),
            _with(deprecatedSource={}, deprecatedCount=0),
            _with(related=NODE),
            _with(regarding=NODE),
            _in("kube-system", regarding=NODE),
            _with(regarding={"kind": "Pod", "namespace": "elsewhere"}),
            _with(note="n" * 1024, reason="r" * 128, action="a" * 128, reportingInstance="i" * 128),
        ],
    )
    def test_good(self, event: Object) -> None:
        assert creation(EVENTS, event) == []

    @pytest.mark.parametrize(
        ("event", "complaints"),
        [
            (
                {"metadata": {"namespace": "default"}},
                ["eventTime: Required value", 'type: Invalid value: "": has invalid value: '],
            ),
            (_with(eventTime=None), ["eventTime: Required value"]),
            (_with(type="Odd"), ['type: Invalid value: "": has invalid value: Odd']),
            (_with(reportingInstance=None), ["reportingInstance: Required value"]),
            (_with(action=None), ["action: Required value"]),
            (_with(reason=None), ["reason: Required value"]),
            (
                _with(reportingController=None),
                [
                    "reportingController: Required value",
                    'reportingController: Invalid value: "": name part must be non-empty',
                    'reportingController: Invalid value: "": name part must consist of…',
                ],
            ),
            (
                _with(reportingController="a/b/c"),
                ['reportingController: Invalid value: "a/b/c": a valid label key must consist of…'],
            ),
            (
                _with(reportingInstance="i" * 129),
                ['reportingInstance: Invalid value: "": can have at most 128 characters'],
            ),
            (_with(action="a" * 129), ['action: Invalid value: "": can have at most 128 characters']),
            (_with(reason="r" * 129), ['reason: Invalid value: "": can have at most 128 characters']),
            (_with(note="é" * 600), ['message: Invalid value: "": can have at most 1024 characters']),
            (
                _with(series={"count": 1}),
                [
                    'series.count: Invalid value: "": should be at least 2',
                    "series.lastObservedTime: Required value",
                ],
            ),
            (
                _with(**OLD_FIELDS),
                [
                    'firstTimestamp: Invalid value: "": needs to be unset',
                    'lastTimestamp: Invalid value: "": needs to be unset',
                    'count: Invalid value: "": needs to be unset',
                    'source: Invalid value: "": needs to be unset',
                ],
            ),
            (
                _in("other", regarding=NODE),
                ['involvedObject.namespace: Invalid value: "": does not match event.namespace'],
            ),
            (
                _with(regarding={"kind": "Pod", "namespace": "elsewhere"}, eventTime=None),
                [
                    'involvedObject.namespace: Invalid value: "elsewhere": does not match event.namespace',
                    "eventTime: Required value",
                ],
            ),
        ],
    )
    def test_bad(self, event: Object, complaints: list[str]) -> None:
        agree(creation(EVENTS, event), complaints)


class TestUpdate:
    @pytest.mark.parametrize(
        "fields",
        [
            {},
            {"metadata": {"name": "one", "namespace": "default", "labels": {"a": "b"}}},
            {"series": {"count": 2, "lastObservedTime": TIME}},
        ],
    )
    def test_series_and_metadata_change(self, fields: Object) -> None:
        assert update(EVENTS, _with(**fields), ONE) == []

    def test_a_series_that_was_wrong_may_stay(self) -> None:
        assert update(EVENTS, _with(series={"count": 1}), _with(series={"count": 1})) == []
        agree(
            update(EVENTS, _with(series={"count": 0}), _with(series={"count": 1})),
            ['series.count: Invalid value: "": should be at least 2', "series.lastObservedTime: Required value"],
        )

    def test_an_empty_series_is_one(self) -> None:
        agree(
            update(EVENTS, _with(series={}), ONE),
            ['series.count: Invalid value: "": should be at least 2', "series.lastObservedTime: Required value"],
        )

    def test_what_is_removed_is_told_as_what_it_is_to_go(self) -> None:
        old = _with(type="Odd", related=NODE, deprecatedCount=3, deprecatedFirstTimestamp=SECONDS)
        new = {name: value for name, value in ONE.items() if name not in ("type", "note")}
        agree(
            update(EVENTS, new, old),
            [
                'message: Invalid value: "": field is immutable',
                "firstTimestamp: Invalid value: null: field is immutable",
                "count: Invalid value: 0: field is immutable",
                'type: Invalid value: "": field is immutable',
                "related: Invalid value: null: field is immutable",
            ],
        )

    @pytest.mark.parametrize(
        ("fields", "complaint"),
        [
            ({"note": "x"}, 'message: Invalid value: "x": field is immutable'),
            ({"reason": "x"}, 'reason: Invalid value: "x": field is immutable'),
            ({"action": "x"}, 'action: Invalid value: "x": field is immutable'),
            ({"type": "Odd"}, 'type: Invalid value: "Odd": field is immutable'),
            (
                {"regarding": {}},
                'involvedObject: Invalid value: {"Kind":"","Namespace":"","Name":"","UID":"","APIVersion":"",'
                '"ResourceVersion":"","FieldPath":""}: field is immutable',
            ),
            (
                {"related": {}},
                'related: Invalid value: {"Kind":"","Namespace":"","Name":"","UID":"","APIVersion":"",'
                '"ResourceVersion":"","FieldPath":""}: field is immutable',
            ),
            ({"deprecatedCount": 2}, "count: Invalid value: 2: field is immutable"),
            ({"deprecatedFirstTimestamp": SECONDS}, f'firstTimestamp: Invalid value: "{SECONDS}": field is immutable'),
            ({"deprecatedLastTimestamp": SECONDS}, f'lastTimestamp: Invalid value: "{SECONDS}": field is immutable'),
            (
                {"deprecatedSource": {"host": "n1"}},
                'source: Invalid value: {"Component":"","Host":"n1"}: field is immutable',
            ),
            (
                {"eventTime": "2026-01-01T00:00:01.000000Z"},
                'eventTime: Invalid value: "2026-01-01T00:00:01.000000Z": field is immutable',
            ),
            (
                {"reportingController": "example.com/other"},
                'reportingController: Invalid value: "example.com/other": field is immutable',
            ),
            ({"reportingInstance": "i-2"}, 'reportingInstance: Invalid value: "i-2": field is immutable'),
        ],
    )
    def test_the_rest_stays(self, fields: Object, complaint: str) -> None:
        agree(update(EVENTS, _with(**fields), ONE), [complaint])

    def test_an_event_of_the_older_api_may_gain_a_series(self) -> None:
        old: Object = {
            "metadata": {"name": "one", "namespace": "default"},
            "reason": "Pulling",
            "type": "Normal",
            "note": "x",
            "regarding": {"kind": "Pod", "namespace": "default", "name": "web"},
            **OLD_FIELDS,
        }
        assert update(EVENTS, {**old, "series": {"count": 5, "lastObservedTime": TIME}}, old) == []


class TestSelectors:
    def test_fields(self) -> None:
        assert {name: read(ONE) for name, read in EVENTS.selectable_fields.items()} == {
            "regarding.kind": "Pod",
            "regarding.namespace": "default",
            "regarding.name": "web",
            "regarding.uid": "",
            "regarding.apiVersion": "",
            "regarding.resourceVersion": "",
            "regarding.fieldPath": "spec.containers{main}",
            "reason": "Pulling",
            "type": "Normal",
            "reportingController": "example.com/puller",
        }


class TestTable:
    def test_an_event_with_a_time_of_its_own(self) -> None:
        assert cells(EVENTS, created(EVENTS, ONE), now=1767225660.0, wide=True) == {
            "Last Seen": "60s",
            "Type": "Normal",
            "Reason": "Pulling",
            "Object": "pod/web",
            "Subobject": "spec.containers{main}",
            "Source": "example.com/puller, puller-1",
            "Message": "pulling the image",
            "First Seen": "60s",
            "Count": 1,
            "Name": "one",
        }

    def test_without_wide(self) -> None:
        assert list(cells(EVENTS, ONE)) == ["Last Seen", "Type", "Reason", "Object", "Message"]

    def test_a_series(self) -> None:
        row = cells(EVENTS, _with(series={"count": 4, "lastObservedTime": "2026-01-01T00:01:30.000000Z"}), wide=True)
        assert (row["Count"], row["First Seen"]) == (4, "0s")
        row = cells(EVENTS, _with(series={"count": 4, "lastObservedTime": TIME}), now=1767225605.0)
        assert row["Last Seen"] == "5s"

    def test_an_event_of_the_older_api(self) -> None:
        old = {"metadata": {"name": "one"}, "regarding": {"kind": "Node"}, **OLD_FIELDS}
        row = cells(EVENTS, old, wide=True)
        assert (row["Last Seen"], row["First Seen"], row["Count"]) == ("60s", "60s", 3)
        assert (row["Object"], row["Source"]) == ("node", "kubelet, n1")

    def test_an_empty_event(self) -> None:
        row = cells(EVENTS, {"metadata": {"name": "one"}}, wide=True)
        assert (row["Last Seen"], row["Object"], row["Source"]) == ("<unknown>", "", "")


class TestConversion:
    def test_names(self) -> None:
        assert to_core({**ONE, **OLD_FIELDS, "apiVersion": "events.k8s.io/v1", "kind": "Event"}) == {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": "one", "namespace": "default"},
            "eventTime": TIME,
            "reportingComponent": "example.com/puller",
            "reportingInstance": "puller-1",
            "action": "Pull",
            "reason": "Pulling",
            "type": "Normal",
            "involvedObject": ONE["regarding"],
            "message": " pulling the image\n",
            "count": 3,
            "firstTimestamp": SECONDS,
            "lastTimestamp": SECONDS,
            "source": {"component": "kubelet", "host": "n1"},
        }

    def test_each_api_writes_its_own_zeros(self) -> None:
        assert to_core({}) == {"apiVersion": "v1", "kind": "Event", "reportingComponent": "", "reportingInstance": ""}
        assert from_core({"reportingComponent": "", "reportingInstance": "", "series": {"lastObservedTime": TIME}}) == {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "series": {"count": 0, "lastObservedTime": TIME},
        }

    @given(
        st.dictionaries(
            st.sampled_from(
                [
                    "involvedObject",
                    "message",
                    "source",
                    "firstTimestamp",
                    "lastTimestamp",
                    "count",
                    "related",
                    "metadata",
                ]
            ),
            st.one_of(st.text(), st.integers(), st.dictionaries(st.text(), st.text())),
        ),
        st.fixed_dictionaries({"reportingComponent": st.text(), "reportingInstance": st.text()}),
        st.fixed_dictionaries({}, optional={"series": st.fixed_dictionaries({"count": st.integers()})}),
    )
    def test_there_and_back(self, fields: Object, reporter: Object, series: Object) -> None:
        stored = {**fields, **reporter, **series, "apiVersion": "v1", "kind": "Event"}
        shown = from_core(stored)
        assert shown["apiVersion"] == "events.k8s.io/v1"
        assert not {"involvedObject", "message", "source", "count", "reportingComponent"} & shown.keys()
        assert to_core(shown) == stored
