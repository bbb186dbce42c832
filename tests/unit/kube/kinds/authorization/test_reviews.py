"""Reviews: questions that are answered and never stored."""

from __future__ import annotations

import pytest

from ropewalk.kube.kinds.authentication.reviews import (
    check_token_review,
    default_token_request,
    validate_token_request,
)
from ropewalk.kube.kinds.authorization import STRATEGIES
from ropewalk.kube.kinds.authorization.reviews import check_rules_review
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.fields import FieldErrors
from ropewalk.kube.machinery.objects import Object
from unit.kube.kinds.verdicts import told

RESOURCE = {"verb": "get", "resource": "pods", "namespace": "a"}
SELF, ANY, LOCAL = (f"{name}subjectaccessreviews" for name in ("self", "", "local"))


def _judged(kind: str, review: Object) -> list[str]:
    errors = FieldErrors()
    STRATEGIES[kind].validate_create(review, errors)
    return told(errors)


def test_good() -> None:
    assert _judged(SELF, {"spec": {"resourceAttributes": RESOURCE}}) == []
    assert _judged(ANY, {"spec": {"nonResourceAttributes": {"path": "/"}, "groups": ["a"]}}) == []
    local = {"metadata": {"namespace": "a"}, "spec": {"resourceAttributes": RESOURCE, "user": "me"}}
    assert _judged(LOCAL, local) == []


@pytest.mark.parametrize(
    ("kind", "review", "complaint"),
    [
        (
            SELF,
            {"spec": {}},
            "spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes"
            " must be specified",
        ),
        (
            SELF,
            {"spec": {"resourceAttributes": RESOURCE, "nonResourceAttributes": {"path": "/"}}},
            'spec.nonResourceAttributes: Invalid value: {"path":"/"}: cannot be specified in combination with'
            " resourceAttributes",
        ),
        (
            ANY,
            {"spec": {"resourceAttributes": RESOURCE}},
            'spec.user: Invalid value: "": at least one of user or group must be specified',
        ),
        (
            SELF,
            {"metadata": {"name": "x"}, "spec": {"resourceAttributes": RESOURCE}},
            'metadata: Invalid value: {"name":"x"}: must be empty',
        ),
        (
            LOCAL,
            {"metadata": {"namespace": "b"}, "spec": {"resourceAttributes": RESOURCE, "user": "me"}},
            'spec.resourceAttributes.namespace: Invalid value: "a": must match metadata.namespace',
        ),
        (
            LOCAL,
            {"metadata": {"namespace": "b"}, "spec": {"nonResourceAttributes": {"path": "/"}, "user": "me"}},
            'spec.nonResourceAttributes: Invalid value: {"path":"/"}: disallowed on this kind of request',
        ),
        (
            SELF,
            {"spec": {"resourceAttributes": {**RESOURCE, "labelSelector": {}}}},
            "spec.resourceAttributes.labelSelector.requirements: Required value: when"
            " spec.resourceAttributes.labelSelector is specified, requirements or rawSelector is required",
        ),
        (
            SELF,
            {"spec": {"resourceAttributes": {**RESOURCE, "fieldSelector": {"requirements": [{"operator": "In"}]}}}},
            "spec.resourceAttributes.fieldSelector.requirements[0].key: Required value: must be specified",
        ),
    ],
)
def test_bad(kind: str, review: Object, complaint: str) -> None:
    assert complaint in _judged(kind, review)


def test_an_operator_of_a_newer_client_passes() -> None:
    selector = {"requirements": [{"key": "a", "operator": "Resembles", "values": ["b"]}]}
    assert _judged(SELF, {"spec": {"resourceAttributes": {**RESOURCE, "labelSelector": selector}}}) == []


def test_what_is_not_asked_at_all() -> None:
    assert check_token_review({"spec": {"token": "t"}}) == "t"
    assert check_rules_review({"spec": {"namespace": "a"}}) == "a"
    with pytest.raises(StatusFault, match="token is required for TokenReview in authentication"):
        check_token_review({"spec": {}})
    with pytest.raises(StatusFault, match="no namespace on request"):
        check_rules_review({})


@pytest.mark.parametrize(
    ("seconds", "complaint"),
    [
        (600, ""),
        (599, "may not specify a duration less than 10 minutes"),
        (2**32 + 1, "may not specify a duration larger than 2^32 seconds"),
    ],
)
def test_token_requests(seconds: int, complaint: str) -> None:
    errors = FieldErrors()
    validate_token_request({"spec": {"expirationSeconds": seconds}}, errors)
    expected = [f"spec.expirationSeconds: Invalid value: {seconds}: {complaint}"] if complaint else []
    assert told(errors) == expected


def test_a_token_lives_an_hour() -> None:
    request: Object = {}
    default_token_request(request)
    assert request["spec"]["expirationSeconds"] == 3600
