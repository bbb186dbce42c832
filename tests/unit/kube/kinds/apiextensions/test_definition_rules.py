"""What a CustomResourceDefinition must be, its schemas apart: what is refused, where, and in which words."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.custom_resources import definition, fields, version
from tests.unit.kube.kinds.verdicts import creation

from ropewalk.kube.kinds.apiextensions.custom_resource_definitions import CustomResourceDefinitions
from ropewalk.kube.machinery.objects import Object

STRATEGY = CustomResourceDefinitions()
HOOK = {"url": "https://hooks.example.com/convert"}


def problems(described: Object) -> list[str]:
    return creation(STRATEGY, described)


def of_spec(**spec: Any) -> list[str]:
    made = definition()
    made["spec"] |= spec
    if "group" in spec:
        made["metadata"]["name"] = f"widgets.{spec['group']}"
    return problems(made)


def of_version(**parts: Any) -> list[str]:
    return problems(definition(version(**parts)))


def test_what_may_be() -> None:
    scale = {"specReplicasPath": ".spec.n", "statusReplicasPath": ".status.n", "labelSelectorPath": ".status.s"}
    full = version(
        fields(spec=fields(a={"type": "string"})),
        subresources={"status": {}, "scale": scale},
        additionalPrinterColumns=[{"name": "A", "type": "date", "jsonPath": ".spec.a", "format": "date-time"}],
        selectableFields=[{"jsonPath": ".spec.a"}],
        deprecated=True,
        deprecationWarning="use another",
    )
    webhook = {"clientConfig": HOOK, "conversionReviewVersions": ["v7", "v1"]}
    names = {"plural": "widgets", "kind": "Widget", "shortNames": ["w"], "categories": ["all"]}
    two = version(fields(), "v2beta1")
    assert problems(definition(full, two, names=names, conversion={"strategy": "Webhook", "webhook": webhook})) == []


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (
            {"group": ""},
            [
                'metadata.name: Invalid value: "widgets.": a lowercase RFC 1123 subdomain must consist of'
                " lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric"
                " character (e.g. 'example.com', regex used for validation is"
                " '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
                "spec.group: Required value",
            ],
        ),
        (
            {"group": "Upper.example.com"},
            [
                'metadata.name: Invalid value: "widgets.Upper.example.com": a lowercase RFC 1123 subdomain'
                " must consist of lower case alphanumeric characters, '-' or '.', and must start and end with"
                " an alphanumeric character (e.g. 'example.com', regex used for validation is"
                " '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
                'spec.group: Invalid value: "Upper.example.com": a lowercase RFC 1123 subdomain must consist'
                " of lower case alphanumeric characters, '-' or '.', and must start and end with an"
                " alphanumeric character (e.g. 'example.com', regex used for validation is"
                " '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
            ],
        ),
        ({"group": "example"}, ['spec.group: Invalid value: "example": should be a domain with at least one dot']),
        (
            {"scope": "Everywhere"},
            ['spec.scope: Unsupported value: "Everywhere": supported values: "Cluster", "Namespaced"'],
        ),
        ({"scope": ""}, ["spec.scope: Required value"]),
        (
            {"names": {"plural": "widgets", "kind": ""}},
            [
                "spec.names.singular: Required value",
                "spec.names.kind: Required value",
                "spec.names.listKind: Required value",
            ],
        ),
        (
            {"names": {"plural": "widgets", "kind": "Widget", "listKind": "Widget"}},
            ['spec.names.listKind: Invalid value: "Widget": kind and listKind may not be the same'],
        ),
        (
            {"names": {"plural": "widgets", "kind": "2Widget", "listKind": "Ws", "singular": "widget"}},
            [
                'spec.names.kind: Invalid value: "2Widget": may have mixed case, but should otherwise match: a'
                " DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an"
                " alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123',"
                " regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
            ],
        ),
        (
            {"names": {"plural": "widgets", "kind": "Widget", "shortNames": ["W"], "categories": [""]}},
            [
                'spec.names.shortNames[0]: Invalid value: "W": a DNS-1035 label must consist of lower case'
                " alphanumeric characters or '-', start with an alphabetic character, and end with an"
                " alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is"
                " '[a-z]([-a-z0-9]*[a-z0-9])?')",
                'spec.names.categories[0]: Invalid value: "": a DNS-1035 label must consist of lower case'
                " alphanumeric characters or '-', start with an alphabetic character, and end with an"
                " alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is"
                " '[a-z]([-a-z0-9]*[a-z0-9])?')",
            ],
        ),
        (
            {"versions": []},
            [
                "spec.versions: Invalid value: []: must have exactly one version marked as storage version",
                "status.storedVersions: Invalid value: null: must have at least one stored version",
            ],
        ),
        (
            {"versions": [version(), version(name="v1")]},
            [
                "spec.versions: Invalid value:"
                ' [{"Name":"v1","Served":true,"Storage":true,"Deprecated":false,"DeprecationWarning":n'
                'ull,"Schema":null,"Subresources":null,"AdditionalPrinterColumns":null,"SelectableFiel'
                'ds":null},{"Name":"v1","Served":true,"Storage":true,"Deprecated":false,"DeprecationWa'
                'rning":null,"Schema":null,"Subresources":null,"AdditionalPrinterColumns":null,"Select'
                'ableFields":null}]: must contain unique version names',
                "spec.versions: Invalid value:"
                ' [{"Name":"v1","Served":true,"Storage":true,"Deprecated":false,"DeprecationWarning":n'
                'ull,"Schema":null,"Subresources":null,"AdditionalPrinterColumns":null,"SelectableFiel'
                'ds":null},{"Name":"v1","Served":true,"Storage":true,"Deprecated":false,"DeprecationWa'
                'rning":null,"Schema":null,"Subresources":null,"AdditionalPrinterColumns":null,"Select'
                'ableFields":null}]: must have exactly one version marked as storage version',
                'status.storedVersions: Invalid value: ["v1"]: must have the storage version v1',
            ],
        ),
        (
            {"versions": [{**version(), "storage": False}]},
            [
                "spec.versions: Invalid value:"
                ' [{"Name":"v1","Served":true,"Storage":false,"Deprecated":false,"DeprecationWarning":'
                'null,"Schema":null,"Subresources":null,"AdditionalPrinterColumns":null,"SelectableFie'
                'lds":null}]: must have exactly one version marked as storage version',
                "status.storedVersions: Invalid value: null: must have at least one stored version",
            ],
        ),
        (
            {"versions": [{"name": "v1", "served": True, "storage": True}]},
            ["spec.versions[0].schema.openAPIV3Schema: Required value"],
        ),
        (
            {"versions": [version(), {"name": "v2", "served": True, "storage": False}]},
            ["spec.versions[1].schema.openAPIV3Schema: Required value"],
        ),
        (
            {"versions": [version(name="V1") | {"storage": True}]},
            [
                'spec.versions[0].name: Invalid value: "V1": a DNS-1035 label must consist of lower case'
                " alphanumeric characters or '-', start with an alphabetic character, and end with an"
                " alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is"
                " '[a-z]([-a-z0-9]*[a-z0-9])?')",
                'spec.version: Invalid value: "V1": a DNS-1035 label must consist of lower case alphanumeric'
                " characters or '-', start with an alphabetic character, and end with an alphanumeric"
                " character (e.g. 'my-name',  or 'abc-123', regex used for validation is"
                " '[a-z]([-a-z0-9]*[a-z0-9])?')",
            ],
        ),
        (
            {"preserveUnknownFields": True},
            [
                "spec.preserveUnknownFields: Invalid value: true: cannot set to true, set"
                " x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
            ],
        ),
    ],
)
def test_definitions(spec: Object, told: list[str]) -> None:
    assert of_spec(**spec) == told


def test_its_name_is_that_of_the_resource() -> None:
    described = definition()
    described["metadata"]["name"] = "gadgets.example.com"
    assert problems(described) == [
        'metadata.name: Invalid value: "gadgets.example.com": must be spec.names.plural+"."+spec.group'
    ]


# --- versions


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        (
            {"deprecationWarning": "old"},
            ['spec.versions[0].deprecationWarning: Invalid value: "old": can only be set for deprecated versions'],
        ),
        (
            {"deprecated": True, "deprecationWarning": ""},
            ['spec.versions[0].deprecationWarning: Invalid value: "": must not be an empty string'],
        ),
        (
            {"deprecated": True, "deprecationWarning": "a\tb"},
            [
                'spec.versions[0].deprecationWarning: Invalid value: "a\\tb": must only contain printable'
                " UTF-8 characters; non-printable character found at index 1"
            ],
        ),
        (
            {"deprecated": True, "deprecationWarning": "é" * 200},
            [
                "spec.versions[0].deprecationWarning: Invalid value:"
                ' "ééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééé'
                "ééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééé"
                'éééééééééééééééééééééééééééééééé": must be <= 256 characters long'
            ],
        ),
    ],
)
def test_deprecation_warnings(parts: Object, told: list[str]) -> None:
    assert of_version(**parts) == told


@pytest.mark.parametrize(
    ("column", "told"),
    [
        (
            {},
            [
                "spec.additionalPrinterColumns[0].name: Required value",
                "spec.additionalPrinterColumns[0].type: Required value: must be one of"
                " boolean,date,integer,number,string",
                "spec.additionalPrinterColumns[0].JSONPath: Required value",
            ],
        ),
        (
            {"name": "A", "type": "text", "jsonPath": ".a"},
            [
                'spec.additionalPrinterColumns[0].type: Invalid value: "text": must be one of'
                " boolean,date,integer,number,string"
            ],
        ),
        (
            {"name": "A", "type": "string", "jsonPath": ".a", "format": "odd"},
            [
                'spec.additionalPrinterColumns[0].format: Invalid value: "odd": must be one of'
                " byte,date,date-time,double,float,int32,int64,password"
            ],
        ),
        (
            {"name": "A", "type": "string", "jsonPath": "a"},
            [
                'spec.additionalPrinterColumns[0].JSONPath: Invalid value: "a": must be a simple json path'
                " starting with ."
            ],
        ),
    ],
)
def test_columns(column: Object, told: list[str]) -> None:
    assert of_version(additionalPrinterColumns=[column]) == told


@pytest.mark.parametrize(
    ("scale", "told"),
    [
        (
            {},
            [
                "spec.subresources.scale.specReplicasPath: Required value",
                "spec.subresources.scale.statusReplicasPath: Required value",
            ],
        ),
        (
            {"specReplicasPath": "spec.n", "statusReplicasPath": ".spec.n"},
            [
                'spec.subresources.scale.specReplicasPath: Invalid value: "spec.n": must be a simple json path'
                " starting with .",
                'spec.subresources.scale.statusReplicasPath: Invalid value: ".spec.n": should be a json path'
                " under .status",
            ],
        ),
        (
            {"specReplicasPath": ".spec", "statusReplicasPath": ".status.n", "labelSelectorPath": ".metadata.x"},
            [
                'spec.subresources.scale.specReplicasPath: Invalid value: ".spec": should be a json path under .spec',
                'spec.subresources.scale.labelSelectorPath: Invalid value: ".metadata.x": should be a json'
                " path under either .spec or .status",
            ],
        ),
    ],
)
def test_scale(scale: Object, told: list[str]) -> None:
    assert of_version(subresources={"scale": scale}) == told


SELECTED = fields(
    spec=fields(
        s={"type": "string"},
        i={"type": "integer"},
        b={"type": "boolean"},
        n={"type": "number"},
        list={"type": "array", "items": {"type": "string"}},
        map={"type": "object", "additionalProperties": {"type": "string"}},
        **{f"s{place}": {"type": "string"} for place in range(9)},
    ),
    metadata={"type": "object", "properties": {"name": {"type": "string"}}},
)


@pytest.mark.parametrize(
    ("paths", "told"),
    [
        ([".spec.s", ".spec.i", ".spec.b"], []),
        (
            [".spec.n"],
            [
                'spec.selectableFields[0].jsonPath: Invalid value: ".spec.n": must point to a field of type'
                " string, boolean or integer. Enum string fields and strings with formats are allowed."
            ],
        ),
        (
            [".spec.list"],
            [
                'spec.selectableFields[0].jsonPath: Invalid value: ".spec.list": must point to a field of type'
                " string, boolean or integer. Enum string fields and strings with formats are allowed."
            ],
        ),
        (
            [".spec.list[0]"],
            [
                'spec.selectableFields[0].jsonPath: Invalid value: ".spec.list[0]": is an invalid path: array'
                " notation is not allowed"
            ],
        ),
        ([".spec.map.key"], []),
        (
            [".spec.missing"],
            [
                'spec.selectableFields[0].jsonPath: Invalid value: ".spec.missing": is an invalid path: does'
                " not refer to a valid field"
            ],
        ),
        (
            ["spec.s"],
            [
                'spec.selectableFields[0].jsonPath: Invalid value: "spec.s": is an invalid path: expected [ or'
                " . but got: spec"
            ],
        ),
        ([""], ["spec.selectableFields[0].jsonPath: Required value"]),
        (
            [".metadata.name"],
            [
                'spec.selectableFields[0].jsonPath: Invalid value: ".metadata.name": must not point to fields'
                " in metadata"
            ],
        ),
        ([".spec.s", ".spec.s"], ['spec.selectableFields[1].jsonPath: Duplicate value: ".spec.s"']),
        ([f".spec.s{place}" for place in range(9)], ["spec.selectableFields: Too many: 9: must have at most 8 items"]),
    ],
)
def test_selectable_fields(paths: list[str], told: list[str]) -> None:
    described = definition(version(SELECTED, selectableFields=[{"jsonPath": path} for path in paths]))
    assert problems(described) == told


def test_what_versions_do_not_share_is_judged_in_each() -> None:
    columns = [{"name": "A", "type": "string", "jsonPath": "a"}]
    one = version(fields(), additionalPrinterColumns=columns)
    told = 'Invalid value: "a": must be a simple json path starting with .'
    assert problems(definition(one, {**one, "name": "v2", "storage": False})) == [
        f"spec.additionalPrinterColumns[0].JSONPath: {told}"
    ]
    assert problems(definition(one, version(fields(), "v2"))) == [
        f"spec.versions[0].additionalPrinterColumns[0].JSONPath: {told}"
    ]


# --- conversion


@pytest.mark.parametrize(
    ("conversion", "told"),
    [
        ({"strategy": ""}, ["spec.conversion.strategy: Required value"]),
        (
            {"strategy": "Magic"},
            ['spec.conversion.strategy: Unsupported value: "Magic": supported values: "None", "Webhook"'],
        ),
        (
            {"strategy": "Webhook"},
            [
                "spec.conversion.webhookClientConfig: Required value: required when strategy is set to Webhook",
                "spec.conversion.conversionReviewVersions: Required value",
            ],
        ),
        (
            {"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"]}},
            ["spec.conversion.webhookClientConfig: Required value: required when strategy is set to Webhook"],
        ),
        (
            {"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"], "clientConfig": {}}},
            ["spec.conversion.webhookClientConfig: Required value: exactly one of url or service is required"],
        ),
        (
            {"strategy": "Webhook", "webhook": {"clientConfig": HOOK}},
            ["spec.conversion.conversionReviewVersions: Required value"],
        ),
        (
            {"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v3", "v3"], "clientConfig": HOOK}},
            [
                'spec.conversion.conversionReviewVersions[1]: Invalid value: "v3": duplicate version',
                'spec.conversion.conversionReviewVersions: Invalid value: ["v3","v3"]: must include at least'
                " one of v1, v1beta1",
            ],
        ),
        (
            {
                "strategy": "Webhook",
                "webhook": {"conversionReviewVersions": ["v1"], "clientConfig": {"url": "http://x"}},
            },
            [
                "spec.conversion.webhookClientConfig.url: Invalid value: \"http\": 'https' is the only allowed"
                " URL scheme; desired format: https://host[/path]"
            ],
        ),
        (
            {
                "strategy": "Webhook",
                "webhook": {
                    "conversionReviewVersions": ["v1"],
                    "clientConfig": {"service": {"name": "", "namespace": "b"}},
                },
            },
            ["spec.conversion.webhookClientConfig.service.namespace: Required value"],
        ),
        (
            {"strategy": "None", "webhook": {"conversionReviewVersions": ["v1"], "clientConfig": HOOK}},
            [
                "spec.conversion.webhookClientConfig: Forbidden: should not be set when strategy is not set to Webhook",
                "spec.conversion.conversionReviewVersions: Forbidden: should not be set when strategy is not"
                " set to Webhook",
            ],
        ),
    ],
)
def test_conversions(conversion: Object, told: list[str]) -> None:
    assert of_spec(conversion=conversion) == told
