"""IAM's policy language: what documents say, and what a set of them decides."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.aws.policy import Decision, Kind, Permissions, Question, Subject, compile_document, decide
from ropewalk.aws.policy.document import Malformed
from ropewalk.aws.policy.evaluate import decide_trust
from ropewalk.base.errors import Fault

ACCOUNT = "123456789012"
USER = f"arn:aws:iam::{ACCOUNT}:user/u"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/r"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/r/s"
CLUSTER = f"arn:aws:ecs:us-east-1:{ACCOUNT}:cluster/prod"
SUBJECT = Subject(ACCOUNT, USER, user_id="AIDAEXAMPLEEXAMPLE")


def text(*statements: dict[str, Any], version: str = "2012-10-17") -> str:
    return json.dumps({"Version": version, "Statement": list(statements)})


def say(effect: str = "Allow", action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


def judge(
    *statements: dict[str, Any],
    action: str = "ecs:RunTask",
    resource: str = CLUSTER,
    context: dict[str, Sequence[str]] | None = None,
    **permissions: Any,
) -> Decision:
    documents = (compile_document(text(*statements)),) if statements else ()
    return decide(Question(SUBJECT, action, resource, context or {}), Permissions(documents, **permissions))


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        (say(), True),
        (say(action="ecs:RunTask"), True),
        (say(action="ECS:runtask"), True),
        (say(action="ecs:Run*"), True),
        (say(action="ecs:RunTas?"), True),
        (say(action=["s3:*", "ecs:*"]), True),
        (say(action="ecs:StopTask"), False),
        (say(action="ecs:Run"), False),
        (say(resource=CLUSTER), True),
        (say(resource="arn:aws:ecs:*:*:cluster/*"), True),
        (say(resource="arn:aws:ecs:us-east-1:123456789012:cluster/p?od"), True),
        (say(resource="arn:aws:ecs:us-east-1:123456789012:cluster/PROD"), False),
        (say(resource="arn:aws:*:cluster/prod:*:x:y"), False),
        (say(resource=["arn:aws:s3:::b", CLUSTER]), True),
        ({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}, True),
        ({"Effect": "Allow", "NotAction": ["iam:*", "ecs:*"], "Resource": "*"}, False),
        ({"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:ecs:*:*:service/*"}, True),
        ({"Effect": "Allow", "Action": "*", "NotResource": CLUSTER}, False),
        (say("Deny"), False),
    ],
)
def test_actions_and_resources(statement: dict[str, Any], allowed: bool) -> None:
    assert judge(statement).allowed is allowed


def test_a_wildcard_stays_within_its_part_of_an_arn() -> None:
    assert not judge(say(resource="arn:aws:ecs:*:cluster/prod:x:y"), resource=CLUSTER).allowed
    assert judge(say(resource="arn:aws:s3:::bucket/*"), resource="arn:aws:s3:::bucket/a:b/c").allowed


def test_an_action_without_resources_needs_a_star() -> None:
    assert judge(say(resource="*"), resource="*").allowed
    assert not judge(say(resource="arn:aws:ecs:*:*:*"), resource="*").allowed


CONTEXT: dict[str, Sequence[str]] = {
    "aws:username": ("Anna",),
    "aws:sourceip": ("10.1.2.3",),
    "aws:currenttime": ("2026-11-23T10:00:00Z",),
    "aws:multifactorauthage": ("300",),
    "aws:securetransport": ("false",),
    "aws:principalarn": (USER,),
    "aws:tagkeys": ("team", "cost"),
    "aws:requesttag/team": ("red",),
    "x:binary": ("QmluYXJ5",),
    "x:star": ("*",),
    "x:rubbish": ("rubbish",),
}


@pytest.mark.parametrize(
    ("operator", "key", "value", "holds"),
    [
        ("StringEquals", "aws:username", "Anna", True),
        ("StringEquals", "AWS:UserName", ["Bob", "Anna"], True),
        ("StringEquals", "aws:username", "anna", False),
        ("StringEquals", "aws:username", "An*", False),
        ("StringEquals", "aws:none", "x", False),
        ("StringNotEquals", "aws:username", "Bob", True),
        ("StringNotEquals", "aws:username", ["Bob", "Anna"], False),
        ("StringNotEquals", "aws:none", "x", True),
        ("StringEqualsIgnoreCase", "aws:username", "ANNA", True),
        ("StringNotEqualsIgnoreCase", "aws:username", "ANNA", False),
        ("StringLike", "aws:username", "A*a", True),
        ("StringLike", "aws:username", "A?a", False),
        ("StringNotLike", "aws:username", "B*", True),
        ("StringEqualsIfExists", "aws:none", "x", True),
        ("StringEqualsIfExists", "aws:username", "x", False),
        ("StringLike", "aws:username", "${aws:username}", True),
        ("StringEquals", "aws:username", "${aws:none, 'Anna'}", True),
        ("StringEquals", "aws:username", "${aws:none}", False),
        ("StringEquals", "x:star", "${*}", True),
        ("StringLike", "aws:username", "${x:star}", False),
        ("StringEquals", "aws:RequestTag/Team", "red", True),
        ("NumericEquals", "aws:multifactorauthage", 300, True),
        ("NumericNotEquals", "aws:multifactorauthage", "300.0", False),
        ("NumericLessThan", "aws:multifactorauthage", "301", True),
        ("NumericLessThanEquals", "aws:multifactorauthage", "300", True),
        ("NumericGreaterThan", "aws:multifactorauthage", "300", False),
        ("NumericGreaterThanEquals", "aws:multifactorauthage", "300", True),
        ("NumericEquals", "x:rubbish", "1", False),
        ("DateLessThan", "aws:CurrentTime", "2026-11-23T10:00:01Z", True),
        ("DateGreaterThan", "aws:CurrentTime", "2026-11-23T10:00:01Z", False),
        ("DateEquals", "aws:CurrentTime", "2026-11-23T11:00:00+01:00", True),
        ("DateNotEquals", "aws:CurrentTime", "2026-11-23T10:00:00Z", False),
        ("DateGreaterThanEquals", "aws:CurrentTime", "2026-11-23", True),
        ("DateLessThanEquals", "aws:CurrentTime", "1795428000", True),
        ("DateLessThan", "x:rubbish", "2026-11-23", False),
        ("Bool", "aws:SecureTransport", "false", True),
        ("Bool", "aws:SecureTransport", True, False),
        ("BoolIfExists", "aws:MultiFactorAuthPresent", "true", True),
        ("BinaryEquals", "x:binary", "QmluYXJ5", True),
        ("BinaryEquals", "x:rubbish", "QmluYXJ5", False),
        ("IpAddress", "aws:SourceIp", "10.0.0.0/8", True),
        ("IpAddress", "aws:SourceIp", ["192.168.0.0/16", "10.1.2.3"], True),
        ("IpAddress", "aws:SourceIp", "::/0", False),
        ("NotIpAddress", "aws:SourceIp", "10.1.0.0/16", False),
        ("IpAddress", "x:rubbish", "10.0.0.0/8", False),
        ("ArnEquals", "aws:PrincipalArn", USER, True),
        ("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:user/*", True),
        ("ArnLike", "aws:PrincipalArn", "arn:*:user/u", False),
        ("ArnNotLike", "aws:PrincipalArn", "arn:aws:iam::*:role/*", True),
        ("ArnNotEquals", "aws:PrincipalArn", USER, False),
        ("Null", "aws:none", "true", True),
        ("Null", "aws:username", "true", False),
        ("Null", "aws:username", "false", True),
        ("ForAllValues:StringEquals", "aws:TagKeys", ["team", "cost", "more"], True),
        ("ForAllValues:StringEquals", "aws:TagKeys", ["team"], False),
        ("ForAllValues:StringEquals", "aws:none", ["team"], True),
        ("ForAnyValue:StringEquals", "aws:TagKeys", ["team"], True),
        ("ForAnyValue:StringEquals", "aws:TagKeys", ["other"], False),
        ("ForAnyValue:StringEquals", "aws:none", ["team"], False),
        ("ForAnyValue:StringNotEquals", "aws:TagKeys", ["team"], True),
        ("ForAllValues:StringNotEquals", "aws:TagKeys", ["other"], True),
        ("ForAllValues:StringNotEquals", "aws:TagKeys", ["team"], False),
        ("StringEquals", "aws:TagKeys", "cost", True),
    ],
)
def test_conditions(operator: str, key: str, value: Any, holds: bool) -> None:
    statement = say(Condition={operator: {key: value}})
    assert judge(statement, context=CONTEXT).allowed is holds


def test_every_key_of_every_operator_must_hold() -> None:
    both = {"StringEquals": {"aws:username": "Anna"}, "IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}
    assert judge(say(Condition=both), context=CONTEXT).allowed
    assert not judge(say(Condition=both), context={**CONTEXT, "aws:sourceip": ("11.0.0.1",)}).allowed


def test_variables_in_resources_need_the_newer_version() -> None:
    mine = say(resource="arn:aws:s3:::home/${aws:username}/*")
    asked = {"action": "s3:GetObject", "resource": "arn:aws:s3:::home/Anna/x", "context": CONTEXT}
    assert judge(mine, **asked).allowed
    assert not judge(mine, **{**asked, "resource": "arn:aws:s3:::home/Bob/x"}).allowed
    assert not judge(mine, **{**asked, "context": {}}).allowed
    sly = {"aws:username": ("*",)}
    assert not judge(mine, **{**asked, "context": sly}).allowed, "a value's own wildcard is literal"
    old = compile_document(text(mine, version="2008-10-17"))
    question = Question(SUBJECT, "s3:GetObject", "arn:aws:s3:::home/Anna/x", CONTEXT)
    assert not decide(question, Permissions((old,))).allowed


def test_reasons_are_awss() -> None:
    assert judge().reason == "because no identity-based policy allows the ecs:RunTask action"
    assert judge(say(), say("Deny")).reason == "with an explicit deny in an identity-based policy"
    nothing = compile_document(text(say(action="s3:*")))
    deny = compile_document(text(say("Deny")))
    bounded = judge(say(), boundary=nothing)
    assert bounded.reason == "because no permissions boundary allows the ecs:RunTask action" and not bounded.explicit
    assert judge(say(), boundary=deny).reason == "with an explicit deny in a permissions boundary"
    assert judge(say(), session=(nothing,)).reason == "because no session policy allows the ecs:RunTask action"
    assert judge(say(), session=(deny,)).explicit
    assert judge(say(), boundary=compile_document(text(say())), session=(compile_document(text(say())),)).allowed
    assert not judge(boundary=compile_document(text(say()))).allowed, "a boundary grants nothing"


STATEMENTS = st.builds(
    say,
    st.sampled_from(["Allow", "Deny"]),
    st.sampled_from(["*", "ecs:*", "ecs:RunTask", "ecs:StopTask", "s3:*"]),
    st.sampled_from(["*", CLUSTER, "arn:aws:ecs:*:*:cluster/*", "arn:aws:s3:::x"]),
)
ACTIONS = st.sampled_from(["ecs:RunTask", "ecs:StopTask", "s3:GetObject"])


@given(st.lists(st.lists(STATEMENTS, min_size=1, max_size=4), max_size=4), ACTIONS, st.randoms())
def test_the_order_of_policies_and_statements_does_not_matter(
    documents: list[list[dict[str, Any]]], action: str, random: Any
) -> None:
    question = Question(SUBJECT, action, CLUSTER, {})
    first = decide(question, Permissions(tuple(compile_document(text(*d)) for d in documents)))
    shuffled = [random.sample(d, len(d)) for d in random.sample(documents, len(documents))]
    assert decide(question, Permissions(tuple(compile_document(text(*d)) for d in shuffled))) == first


@given(st.lists(STATEMENTS, max_size=6), ACTIONS)
def test_an_explicit_deny_always_wins(statements: list[dict[str, Any]], action: str) -> None:
    decision = judge(*statements, say("Deny", action=action), action=action)
    assert not decision.allowed and decision.explicit


@given(st.lists(STATEMENTS, min_size=1, max_size=5), st.lists(STATEMENTS, min_size=1, max_size=5), ACTIONS)
def test_a_boundary_only_takes_away(own: list[Any], bound: list[Any], action: str) -> None:
    boundary = compile_document(text(*bound))
    limited = judge(*own, action=action, boundary=boundary).allowed
    assert limited is (judge(*own, action=action).allowed and judge(*bound, action=action).allowed)


@given(st.lists(STATEMENTS, min_size=1, max_size=5), ACTIONS)
def test_the_administrators_fast_path_agrees_with_the_long_way(statements: list[Any], action: str) -> None:
    permissions = Permissions((compile_document(text(*statements)),))
    if permissions.everything:
        assert decide(Question(SUBJECT, action, CLUSTER, {}), permissions).allowed


def test_who_is_an_administrator() -> None:
    everything = compile_document(text(say()))
    assert Permissions((everything,)).everything
    assert not Permissions((everything, compile_document(text(say("Deny", action="s3:*"))))).everything
    assert not Permissions((everything,), boundary=everything).everything
    assert not Permissions((everything,), session=()).everything
    assert not Permissions(()).everything


# Trust policies


def trusting(principal: Any, **more: Any) -> str:
    return text({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", **more})


@pytest.mark.parametrize(
    ("principal", "with_policy", "without"),
    [
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, True, False),
        ({"AWS": ACCOUNT}, True, False),
        ({"AWS": USER}, True, True),
        ({"AWS": "AIDAEXAMPLEEXAMPLE"}, True, True),
        ({"AWS": "*"}, True, True),
        ("*", True, True),
        ({"AWS": USER + "x"}, False, False),
        ({"AWS": "arn:aws:iam::999999999999:root"}, False, False),
        ({"Service": "ecs-tasks.amazonaws.com"}, False, False),
    ],
)
def test_trust_and_permission_together(principal: Any, with_policy: bool, without: bool) -> None:
    policy = compile_document(trusting(principal), Kind.TRUST)
    question = Question(SUBJECT, "sts:AssumeRole", ROLE, {})
    allowing = Permissions((compile_document(text(say(action="sts:AssumeRole"))),))
    assert decide(question, allowing, policy).allowed is with_policy
    assert decide(question, Permissions(), policy).allowed is without


def test_a_role_named_as_principal_is_still_bounded() -> None:
    policy = compile_document(trusting({"AWS": ROLE}), Kind.TRUST)
    session = Subject(ACCOUNT, SESSION, ROLE, user_id="AROAEXAMPLEEXAMPLE:s")
    question = Question(session, "sts:AssumeRole", ROLE, {})
    assert decide(question, Permissions(), policy).allowed
    nothing = compile_document(text(say(action="s3:*")))
    assert not decide(question, Permissions(boundary=nothing), policy).allowed


def test_services_assume_by_trust_alone() -> None:
    policy = compile_document(trusting({"Service": ["ecs-tasks.amazonaws.com"]}), Kind.TRUST)
    for service, allowed in (("ecs-tasks.amazonaws.com", True), ("ec2.amazonaws.com", False)):
        question = Question(Subject("", "", service=service), "sts:AssumeRole", ROLE, {})
        assert decide_trust(question, policy).allowed is allowed


def test_a_resource_policy_may_deny_all_but_some() -> None:
    statement = {"Effect": "Deny", "NotPrincipal": {"AWS": USER}, "Action": "*", "Resource": "*"}
    policy = compile_document(text(statement), Kind.RESOURCE)
    others = Question(Subject(ACCOUNT, USER + "x"), "s3:GetObject", "arn:aws:s3:::b/k", {})
    allowing = Permissions((compile_document(text(say())),))
    assert decide(others, allowing, policy).explicit
    me = Question(SUBJECT, "s3:GetObject", "arn:aws:s3:::b/k", {})
    assert not decide(me, allowing, policy).explicit


# Validation


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("", "Syntax errors in policy."),
        ("[]", "Syntax errors in policy."),
        ("{}", "Syntax errors in policy."),
        ('{"Statement":[]}', "Syntax errors in policy."),
        ('{"Statement":[1]}', "Syntax errors in policy."),
        ('{"Version":"2013-01-01","Statement":[]}', "The policy must contain a valid version string."),
        (text({"Action": "*", "Resource": "*"}), "Missing required field Effect"),
        (text(say("Permit")), "Invalid effect: Permit"),
        (text({"Effect": "Allow", "Resource": "*"}), "Policy statement must contain actions."),
        (text({"Effect": "Allow", "Action": "*"}), "Policy statement must contain resources."),
        (text(say(NotAction="*")), "Syntax errors in policy."),
        (text(say(Other="x")), "Syntax errors in policy."),
        (text(say(Principal="*")), "Policy document should not specify a principal."),
        (text(say(action="RunTask")), "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."),
        (text(say(action="a b:RunTask")), "Vendor a b is not valid"),
        (text(say(action="ecs:Run:Task")), "Actions/Condition can contain only one colon."),
        (text(say(resource="x")), 'Resource x must be in ARN format or "*".'),
        (text(say(resource="arn:foo:s3:::b")), 'Partition "foo" is not valid for resource "arn:foo:s3:::b".'),
        (text(say(resource="arn:aws:s3")), "The policy failed legacy parsing"),
        (text(say(Sid="a"), say(Sid="a")), "Statement IDs (SID) in a single policy must be unique."),
        (text(say(Condition={"StringFoo": {"aws:x": "y"}})), "Invalid Condition type : StringFoo."),
        (text(say(Condition={"StringEquals": {"x": "y"}})), "Actions/Conditions must be prefaced by a vendor, e.g., "
         "iam, sdb, ec2, etc."),
        (text(say(Condition={"Bool": {"aws:x": "maybe"}})), "Syntax errors in policy."),
        (text(say(Condition={"IpAddress": {"aws:SourceIp": "1.2.3"}})), "Syntax errors in policy."),
        (text(say(Condition={"NumericEquals": {"aws:x": "NaN"}})), "Syntax errors in policy."),
        (text(say(Condition={"StringEquals": {"aws:x": [{}]}})), "Syntax errors in policy."),
        (text(say(Condition=[])), "Syntax errors in policy."),
    ],
)  # fmt: skip
def test_malformed_documents(document: str, message: str) -> None:
    with pytest.raises(Malformed) as caught:
        compile_document(document)
    assert (caught.value.code, caught.value.message) == ("MalformedPolicyDocument", message)


def test_a_sid_is_alphanumeric() -> None:
    with pytest.raises(Malformed, match="must be alpha-numeric"):
        compile_document(text(say(Sid="with space")))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (text({"Effect": "Allow", "Action": "sts:AssumeRole"}), "Missing required field Principal"),
        (trusting("*", Resource="*"), "Has prohibited field Resource"),
        (text({"Effect": "Allow", "Principal": "*", "Action": "s3:*"}),
         "AssumeRole policy may only specify STS AssumeRole actions."),
        (trusting({"AWS": "nobody"}), 'Invalid principal in policy: "AWS":"nobody"'),
        (trusting({"Service": "ecs"}), 'Invalid principal in policy: "SERVICE":"ecs"'),
        (trusting({"Robot": "x"}), "Unknown principal type: Robot"),
        (trusting([]), "Syntax errors in policy."),
    ],
)  # fmt: skip
def test_malformed_trust_policies(document: str, message: str) -> None:
    with pytest.raises(Malformed) as caught:
        compile_document(document, Kind.TRUST)
    assert caught.value.message == message


_ELEMENTS = ["Version", "Statement", "Effect", "Action", "Resource", "Condition", "Principal", "StringLike", "x"]
_RUBBISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_ELEMENTS), inner, max_size=4),
)


@given(_RUBBISH)
def test_rubbish_is_malformed_never_a_bug(rubbish: Any) -> None:
    for kind in Kind:
        for document in (rubbish, {"Statement": rubbish}, {"Statement": say(Condition=rubbish)}):
            try:
                compile_document(json.dumps(document), kind)
            except Fault as fault:
                assert fault.code == "MalformedPolicyDocument"
