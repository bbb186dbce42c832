"""Pods of one workload are alike, and what is remembered of one never lets another pass that breaks a rule."""

from __future__ import annotations

from typing import Any

import pytest

from ropewalk.kube.kinds.core.pod_likeness import likeness_of
from ropewalk.kube.machinery.objects import Object
from unit.kube.kinds.core.pod_kit import PODS, changed, good_pod, made
from unit.kube.kinds.verdicts import creation

FIRST, SECOND = "kube-api-access-bcdfg", "kube-api-access-z2456"


def with_volumes(*names: str) -> Object:
    pod = good_pod()
    pod["spec"]["volumes"] = [*pod["spec"]["volumes"], *({"name": name, "emptyDir": {}} for name in names)]
    return pod


def test_names_make_no_difference() -> None:
    assert likeness_of(good_pod()) == likeness_of(changed(good_pod(), {"metadata.name": "other"}))
    assert likeness_of(with_volumes(FIRST)) == likeness_of(with_volumes(SECOND))


@pytest.mark.parametrize(
    "changes",
    [
        {"spec.containers.0.image": "other"},
        {"metadata.annotations": {"a": "b"}},
        {"spec.hostNetwork": True},
        {"spec.containers.0.name": "kube-api-access-bcdfg"},
    ],
)
def test_everything_else_does(changes: dict[str, Any]) -> None:
    assert likeness_of(good_pod()) != likeness_of(changed(good_pod(), changes))


def test_claims_are_named_after_their_pod() -> None:
    pod = with_volumes()
    pod["spec"]["volumes"].append({"name": "scratch2", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}})
    assert likeness_of(pod) is None


def test_what_is_no_json_is_like_nothing() -> None:
    assert likeness_of(changed(good_pod(), {"spec.containers.0.image": "\udcff"})) is None


def test_two_volumes_of_tokens_are_not_one_named_twice() -> None:
    assert creation(PODS, with_volumes(FIRST, SECOND)) == []
    assert creation(PODS, with_volumes(FIRST, FIRST)) != []
    assert creation(PODS, with_volumes(SECOND, SECOND)) != []


def test_a_pod_that_breaks_a_rule_is_refused_each_time() -> None:
    wrong = changed(good_pod(), {"spec.restartPolicy": "Sometimes"})
    first = creation(PODS, wrong)
    assert first
    assert creation(PODS, wrong) == first


def test_warnings_are_told_each_time_and_belong_to_whoever_asked() -> None:
    pod = made({"spec.nodeSelector": {"beta.kubernetes.io/os": "linux"}})
    expected = PODS.warnings(pod, None)
    assert expected
    assert creation(PODS, pod) == []
    told = PODS.warnings(pod, None)
    assert told == expected
    told.clear()
    assert PODS.warnings(pod, None) == expected
