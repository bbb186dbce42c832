"""Reviews of what somebody may do: what is asked of the authorizer, and how it is answered."""

from __future__ import annotations

from typing import Any

import pytest

from ropewalk.kube.machinery.access import Decision, Verdict
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.requests import Attributes, Call, User
from ropewalk.kube.security.access_reviews import AccessReviews
from ropewalk.kube.security.authorizer import Chain, Masters
from ropewalk.kube.security.policy_rules import HeldRules

Object = dict[str, Any]
JANE = User("jane", ("devs",))
CALL = Call(JANE, Attributes(JANE, "create", ""))


class Recorded:
    def __init__(self, decision: Decision) -> None:
        self.asked: list[Attributes] = []
        self.decision = decision

    async def authorize(self, attributes: Attributes) -> Decision:
        self.asked.append(attributes)
        return self.decision


async def test_a_review_of_somebody_else() -> None:
    authorizer = Recorded(Decision(Verdict.ALLOW, "because"))
    review = {
        "kind": "SubjectAccessReview",
        "apiVersion": "authorization.k8s.io/v1",
        "spec": {
            "user": "joe",
            "groups": ["ops"],
            "uid": "u1",
            "extra": {"Scopes": ["a"]},
            "resourceAttributes": {
                "verb": "list",
                "group": "apps",
                "resource": "deployments",
                "subresource": "scale",
                "namespace": "web",
                "name": "x",
            },
        },
    }
    answer = await AccessReviews(authorizer, []).of_subject(review, CALL)
    assert answer == {**review, "status": {"allowed": True, "reason": "because"}}
    joe = User("joe", ("ops",), "u1", {"scopes": ("a",)})
    assert authorizer.asked == [Attributes(joe, "list", "", "apps", "*", "deployments", "scale", "web", "x")]


@pytest.mark.parametrize(
    ("decision", "status"),
    [
        (Decision(Verdict.NO_OPINION), {"allowed": False}),
        (Decision(Verdict.DENY, "no"), {"allowed": False, "denied": True, "reason": "no"}),
        (Decision(Verdict.NO_OPINION, error="broken"), {"allowed": False, "evaluationError": "broken"}),
    ],
)
async def test_a_review_of_oneself(decision: Decision, status: Object) -> None:
    authorizer = Recorded(decision)
    review = {"spec": {"nonResourceAttributes": {"verb": "get", "path": "/metrics"}}}
    answer = await AccessReviews(authorizer, []).of_self(review, CALL)
    assert answer["status"] == status
    assert authorizer.asked == [Attributes(JANE, "get", "/metrics")]


@pytest.mark.parametrize(
    ("name", "selector", "text", "problem"),
    [
        ("fieldSelector", {"rawSelector": "spec.nodeName=a"}, "spec.nodeName=a", ""),
        ("fieldSelector", {"rawSelector": "a"}, "", "ignored"),
        ("fieldSelector", {"requirements": [{"key": "a", "operator": "In", "values": ["b"]}]}, "a=b", ""),
        ("fieldSelector", {"requirements": [{"key": "a", "operator": "NotIn", "values": ["b"]}]}, "a!=b", ""),
        (
            "fieldSelector",
            {"requirements": [{"key": "a", "operator": "Exists"}, {"key": "b", "operator": "In", "values": ["c"]}]},
            "b=c",
            "partially ignored",
        ),
        ("labelSelector", {"rawSelector": "a in (b,c)"}, "a in (b,c)", ""),
        ("labelSelector", {"rawSelector": "a in"}, "", "ignored"),
        ("labelSelector", {"requirements": [{"key": "a", "operator": "Exists"}]}, "a", ""),
        (
            "labelSelector",
            {"requirements": [{"key": "a", "operator": "Like"}, {"key": "b", "operator": "In", "values": ["c"]}]},
            "b in (c)",
            "partially ignored",
        ),
    ],
)
async def test_selectors(name: str, selector: Object, text: str, problem: str) -> None:
    authorizer = Recorded(Decision(Verdict.NO_OPINION))
    review = {"spec": {"resourceAttributes": {"verb": "list", "resource": "pods", name: selector}}}
    answer = await AccessReviews(authorizer, []).of_self(review, CALL)
    asked = authorizer.asked[0]
    assert (asked.field_selector if name == "fieldSelector" else asked.label_selector) == text
    told = f"spec.resourceAttributes.{name} {problem} due to parse error" if problem else None
    assert answer["status"].get("evaluationError") == told


class Told:
    def __init__(self, held: HeldRules) -> None:
        self.held = held

    def rules_for(self, user: User, namespace: str) -> HeldRules:
        assert (user, namespace) == (JANE, "web")
        return self.held


async def test_all_rules_of_oneself() -> None:
    rules = [
        {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["a"]},
        {"verbs": ["get"], "nonResourceURLs": ["/x"]},
    ]
    resolvers = [Told(HeldRules(rules)), Told(HeldRules(error="hard to say", incomplete=True)), Masters()]
    question = {"kind": "SelfSubjectRulesReview", "spec": {"namespace": "web"}}
    answer = await AccessReviews(Chain([]), resolvers).rules_of_self(question, CALL)
    assert answer == {
        "kind": "SelfSubjectRulesReview",
        "metadata": {},
        "spec": {},
        "status": {
            "resourceRules": [rules[0]],
            "nonResourceRules": [rules[1]],
            "incomplete": True,
            "evaluationError": "hard to say",
        },
    }


async def test_rules_of_a_master_are_everything() -> None:
    root = User("root", ("system:masters",))
    answer = await AccessReviews(Chain([]), [Masters()]).rules_of_self(
        {"spec": {"namespace": "web"}}, Call(root, Attributes(root, "create", ""))
    )
    assert answer["status"] == {
        "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
        "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
        "incomplete": False,
    }


async def test_rules_need_a_namespace() -> None:
    with pytest.raises(StatusFault, match="no namespace on request"):
        await AccessReviews(Chain([]), []).rules_of_self({"spec": {}}, CALL)


async def test_a_chain_asks_until_somebody_knows() -> None:
    first = Recorded(Decision(Verdict.NO_OPINION, "not mine", "odd"))
    silent = Recorded(Decision(Verdict.NO_OPINION))
    second = Recorded(Decision(Verdict.NO_OPINION, "nor mine"))
    question = Attributes(JANE, "get", "/x")
    refused = await Chain([first, silent, second]).authorize(question)
    assert refused == Decision(Verdict.NO_OPINION, "not mine\nnor mine", "odd")
    second.decision = Decision(Verdict.DENY, "no")
    last = Recorded(Decision(Verdict.ALLOW))
    assert (await Chain([first, second, last]).authorize(question)).verdict is Verdict.DENY
    assert last.asked == []
