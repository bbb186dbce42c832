"""What the model demands, in each service's words."""

from __future__ import annotations

from typing import Any

import pytest

from ropewalk.aws.routing import WIRES
from ropewalk.aws.specs import OperationSpec, ServiceSpec, service_spec
from ropewalk.aws.validation import validate, violations
from ropewalk.base.errors import Fault

SHAPES: dict[str, Any] = {
    "Input": {
        "type": "structure",
        "required": ["Name"],
        "members": {
            "Name": {"shape": "Name"},
            "Size": {"shape": "Size"},
            "Mode": {"shape": "Mode"},
            "Secret": {"shape": "Secret"},
            "Tags": {"shape": "Tags"},
            "Map": {"shape": "Map"},
            "Either": {"shape": "Either"},
            "Child": {"shape": "Input"},
            "Free": {"shape": "Free"},
        },
    },
    "Name": {"type": "string", "min": 2, "max": 4, "pattern": "[a-z]+"},
    "Size": {"type": "integer", "min": 1, "max": 9},
    "Mode": {"type": "string", "enum": ["on", "off"]},
    "Secret": {"type": "string", "max": 3, "sensitive": True},
    "Tags": {"type": "list", "member": {"shape": "Tag"}, "max": 2},
    "Tag": {"type": "structure", "required": ["Key"], "members": {"Key": {"shape": "Name"}}},
    "Map": {"type": "map", "key": {"shape": "Name"}, "value": {"shape": "Size"}, "min": 1},
    "Either": {"type": "structure", "union": True, "members": {"A": {"shape": "Free"}, "B": {"shape": "Free"}}},
    "Free": {"type": "string", "pattern": "\\p{L}+"},
}


INPUT = {"shape": "Input"}


def operation(service: str = "made-up") -> OperationSpec:
    model = {
        "metadata": {"apiVersion": "2026-01-01", "protocol": "json", "endpointPrefix": service},
        "operations": {
            "Do": {"name": "Do", "http": {"method": "POST", "requestUri": "/"}, "input": {"shape": "Input"}}
        },
        "shapes": SHAPES,
    }
    found = ServiceSpec(service, model).operation("Do")
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({}, "Value null at 'Name' failed to satisfy constraint: Member must not be null"),
        ({"Name": "a"}, "Value 'a' at 'Name' failed to satisfy constraint: Member must have length greater than or"),
        ({"Name": "abcde"}, "Member must have length less than or equal to 4"),
        ({"Name": "AB"}, "Member must satisfy regular expression pattern: [a-z]+"),
        ({"Name": "ab\n"}, "Member must satisfy regular expression pattern: [a-z]+"),
        ({"Name": "ab", "Size": 0}, "Value '0' at 'Size' failed to satisfy constraint: Member must have value greater"),
        ({"Name": "ab", "Size": 10}, "Member must have value less than or equal to 9"),
        ({"Name": "ab", "Mode": "x"}, "Member must satisfy enum value set: [off, on]"),
        ({"Name": "ab", "Tags": [{"Key": "ab"}, {}]}, "Value null at 'Tags.2.member.Key'"),
        (
            {"Name": "ab", "Tags": [{"Key": "ab"}] * 3},
            "detected: Value at 'Tags' failed to satisfy constraint: Member must have length",
        ),
        ({"Name": "ab", "Map": {}}, "detected: Value at 'Map' failed"),
        ({"Name": "ab", "Map": {"XX": 1}}, "at 'Map.key' failed"),
        ({"Name": "ab", "Map": {"ab": 0}}, "at 'Map.ab.member' failed"),
        ({"Name": "ab", "Either": {}}, "Exactly one member of the union must be set"),
        ({"Name": "ab", "Either": {"A": "a", "B": "b"}}, "Exactly one member of the union must be set"),
        ({"Name": "ab", "Child": {"Name": "ab", "Child": {}}}, "Value null at 'Child.Child.Name'"),
    ],
)
def test_each_constraint_is_told_with_its_place(params: dict[str, Any], said: str) -> None:
    with pytest.raises(Fault) as caught:
        validate(operation(), params, WIRES["json-1.1"])
    assert caught.value.code == "ValidationException"
    assert caught.value.message.startswith("1 validation error detected: ")
    assert said in caught.value.message


def test_a_document_within_its_bounds_passes() -> None:
    params = {"Name": "abcd", "Size": 9, "Mode": "on", "Tags": [{"Key": "ab"}] * 2, "Map": {"ab": 1}, "Free": "é1"}
    assert violations(operation(), params) == []


def test_secrets_are_never_quoted() -> None:
    with pytest.raises(Fault) as caught:
        validate(operation(), {"Name": "ab", "Secret": "hunter2"}, WIRES["json-1.1"])
    assert "hunter2" not in caught.value.message
    assert "at 'Secret'" in caught.value.message


def test_all_violations_are_counted_and_long_values_cut() -> None:
    with pytest.raises(Fault) as caught:
        validate(operation(), {"Name": "x" * 10_000, "Size": 0, "Mode": "?"}, WIRES["json-1.1"])
    assert caught.value.message.startswith("3 validation errors detected: ")
    assert len(caught.value.message) < 2000


@pytest.mark.parametrize(
    ("service", "wire", "code"),
    [
        ("ecs", "json-1.1", "InvalidParameterException"),
        ("logs", "json-1.1", "InvalidParameterException"),
        ("iam", "query", "ValidationError"),
        ("application-autoscaling", "json-1.1", "ValidationException"),
        ("eks", "rest-json", "InvalidParameterException"),
        ("ec2", "ec2", "MissingParameter"),
    ],
)
def test_each_service_has_its_own_code(service: str, wire: str, code: str) -> None:
    with pytest.raises(Fault) as caught:
        validate(operation(service), {}, WIRES[wire])
    assert caught.value.code == code


def test_ec2_has_words_of_its_own() -> None:
    run = service_spec("ec2").operation("RunInstances")
    assert run is not None
    with pytest.raises(Fault, match="The request must contain the parameter M"):
        validate(run, {}, WIRES["ec2"])
    with pytest.raises(Fault, match=r"Value \(xen\) for parameter InstanceInitiatedShutdownBehavior is invalid"):
        validate(run, {"MaxCount": 1, "MinCount": 1, "InstanceInitiatedShutdownBehavior": "xen"}, WIRES["ec2"])
