"""Request bodies of built-in kinds: what is dropped, what is refused in which words, what passes."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ropewalk.kube.kinds import go_types
from ropewalk.kube.kinds.definitions import definitions
from ropewalk.kube.kinds.table import RESOURCES
from ropewalk.kube.machinery import decoding
from ropewalk.kube.machinery.checking import check
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Json, Object, copied
from ropewalk.kube.machinery.quick_check import is_clean
from ropewalk.kube.machinery.resources import GroupVersionKind
from ropewalk.kube.machinery.schema import Schema, Shape
from ropewalk.kube.machinery.structs import Struct, complete

POD = GroupVersionKind("", "v1", "Pod")


def kind(text: str) -> GroupVersionKind:
    api_version, _, name = text.rpartition(" ")
    return GroupVersionKind.of(api_version, name)


def decode(what: str, obj: Json, *, strict: bool = True) -> tuple[Object, list[str]]:
    return decoding.decode(orjson.dumps(obj), "application/json", kind(what), definitions(), find_duplicates=strict)


def spec(what: str, given: Object) -> Object:
    found: Object = decode(what, {"spec": given})[0].get("spec", {})
    return found


@pytest.mark.parametrize(
    ("what", "given", "kept"),
    [
        ("v1 Pod", {"hostNetwork": False, "nodeName": "", "containers": []}, {"containers": []}),
        ("v1 Pod", {"volumes": [], "nodeSelector": {}, "tolerations": None}, {}),
        ("v1 Pod", {"automountServiceAccountToken": False}, {"automountServiceAccountToken": False}),
        ("v1 Pod", {"securityContext": {}}, {"securityContext": {}}),
        ("apps/v1 Deployment", {"replicas": 0, "minReadySeconds": 0}, {"replicas": 0}),
        ("apps/v1 StatefulSet", {"serviceName": ""}, {"serviceName": ""}),
        ("v1 PersistentVolume", {"capacity": {"storage": 5}}, {"capacity": {"storage": "5"}}),
        ("v1 PersistentVolume", {"capacity": {"storage": "1000m"}}, {"capacity": {"storage": "1"}}),
        (
            "coordination.k8s.io/v1 Lease",
            {"renewTime": "2024-01-01T02:00:00.123456+02:00"},
            {"renewTime": "2024-01-01T00:00:00.123456Z"},
        ),
        (
            "apps/v1 Deployment",
            {"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "25%"}}},
            {"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "25%"}}},
        ),
        (
            "networking.k8s.io/v1 NetworkPolicy",
            {"podSelector": {"matchLabels": {}}, "ingress": []},
            {"podSelector": {}},
        ),
        (
            "v1 Pod",
            {"containers": [{"name": "", "image": "", "command": [None, "a"]}]},
            {"containers": [{"name": "", "command": ["", "a"]}]},
        ),
    ],
)
def test_what_go_would_keep(what: str, given: Object, kept: Object) -> None:
    assert spec(what, given) == kept


def test_metadata() -> None:
    obj, complaints = decode(
        "v1 Secret",
        {
            "metadata": {"creationTimestamp": None, "labels": {"a": None}, "annotations": {}, "name": "x"},
            "data": {"k": "aGk=\n", "n": None},
            "stringData": {},
        },
    )
    assert obj == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"labels": {"a": ""}, "name": "x"},
        "data": {"k": "aGk=", "n": ""},
    }
    assert complaints == []


def test_what_is_opaque_is_left_alone() -> None:
    data: Object = {"nothing": None, "empty": [], "deep": {"x": ""}}
    obj, complaints = decode("apps/v1 ControllerRevision", {"data": data, "revision": 0})
    assert (obj["data"], obj["revision"], complaints) == (data, 0, [])


@pytest.mark.parametrize(
    ("what", "body", "why"),
    [
        ("v1 Pod", {"spec": 1}, "json: cannot unmarshal number into Go struct field Pod.spec of type v1.PodSpec"),
        (
            "v1 Pod",
            {"spec": {"containers": {}}},
            "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container",
        ),
        (
            "v1 Pod",
            {"spec": {"containers": [{"name": "a"}, {"env": [{"name": "x", "value": 5}]}]}},
            "json: cannot unmarshal number into Go struct field EnvVar.spec.containers.env.value of type string",
        ),
        (
            "apps/v1 Deployment",
            {"spec": {"replicas": "3"}},
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            "apps/v1 Deployment",
            {"spec": {"replicas": 2147483648}},
            "json: cannot unmarshal number 2147483648 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            "apps/v1 Deployment",
            {"spec": {"replicas": 1.5}},
            "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            "v1 Pod",
            {"metadata": {"labels": {"a": 1}}},
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string",
        ),
        (
            "v1 Pod",
            {"metadata": {"labels": []}},
            "json: cannot unmarshal array into Go struct field ObjectMeta.metadata.labels of type map[string]string",
        ),
        (
            "v1 Pod",
            {"spec": {"hostNetwork": "true"}},
            "json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool",
        ),
        (
            "v1 Pod",
            {"metadata": {"creationTimestamp": "yesterday"}},
            'parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday" as "2006"',
        ),
        (
            "v1 Pod",
            {"metadata": {"creationTimestamp": "2024-13-01T00:00:00Z"}},
            'parsing time "2024-13-01T00:00:00Z": month out of range',
        ),
        (
            "v1 Pod",
            {"metadata": {"creationTimestamp": "2024-02-30T00:00:00Z"}},
            'parsing time "2024-02-30T00:00:00Z": day out of range',
        ),
        ("v1 Secret", {"data": {"k": "a$b="}}, "illegal base64 data at input byte 1"),
        (
            "v1 Pod",
            {"spec": {"containers": [{"resources": {"limits": {"cpu": "one"}}}]}},
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
        (
            "v1 Pod",
            {"spec": {"containers": [{"livenessProbe": {"httpGet": {"port": []}}}]}},
            "json: cannot unmarshal array into Go struct field HTTPGetAction.spec.containers.livenessProbe.httpGet.port"
            " of type int32",
        ),
    ],
)
def test_wrong_types(what: str, body: Object, why: str) -> None:
    with pytest.raises(StatusFault) as caught:
        decode(what, body)
    name = kind(what)
    assert caught.value.message == f'{name.kind} in version "{name.version}" cannot be handled as a {name.kind}: {why}'
    assert (caught.value.status, caught.value.reason) == (400, "BadRequest")


def test_unknown_fields_are_told_with_their_paths_and_dropped() -> None:
    obj, complaints = decode(
        "v1 Pod", {"spec": {"foo": 1, "containers": [{"name": "a"}, {"name": "b", "x": {}}]}, "bar": None}
    )
    assert complaints == [
        'unknown field "spec.foo"',
        'unknown field "spec.containers[1].x"',
        'unknown field "bar"',
    ]
    assert obj["spec"] == {"containers": [{"name": "a"}, {"name": "b"}]} and "bar" not in obj
    assert decoding.strict_error(POD, complaints[:2]).message == (
        'Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field "spec.foo", unknown field'
        ' "spec.containers[1].x"'
    )


def test_doubled_keys_are_looked_for_only_when_asked() -> None:
    body = b'{"metadata":{"name":"a","name":"b"}}'
    for strict, told in ((True, ['duplicate field "metadata.name"']), (False, [])):
        obj, complaints = decoding.decode(body, "application/json", POD, definitions(), find_duplicates=strict)
        assert (complaints, obj["metadata"]) == (told, {"name": "b"})


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            {"kind": "Foo", "apiVersion": "v1"},
            'Foo in version "v1" cannot be handled as a Pod: no kind "Foo" is registered for version "v1" in scheme'
            ' "pkg/api/legacyscheme/scheme.go:30"',
        ),
        (
            {"kind": "Pod", "apiVersion": "apps/v1"},
            'Pod in version "v1" cannot be handled as a Pod: no kind "Pod" is registered for version "apps/v1" in'
            ' scheme "pkg/api/legacyscheme/scheme.go:30"',
        ),
        (
            {"kind": "Service", "apiVersion": "v1"},
            'Service in version "v1" cannot be handled as a Pod: converting (v1.Service) to (core.Pod): unknown'
            " conversion",
        ),
        (
            {"kind": 1},
            "the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error:"
            ' json: cannot unmarshal number into Go struct field .kind of type string ({"kind":1})',
        ),
        (
            {"apiVersion": "a/b/c"},
            "the object provided is unrecognized (must be of type Pod): couldn't get version/kind; unexpected"
            ' GroupVersion string: a/b/c ({"apiVersion":"a/b/c"})',
        ),
    ],
)
def test_bodies_of_other_kinds(body: Object, message: str) -> None:
    with pytest.raises(StatusFault) as caught:
        decode("v1 Pod", body)
    assert caught.value.message == message


def test_another_version_of_the_same_kind() -> None:
    with pytest.raises(StatusFault) as caught:
        decode(
            "autoscaling/v1 HorizontalPodAutoscaler",
            {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler"},
        )
    assert caught.value.message == (
        "the API version in the data (autoscaling/v2) does not match the expected API version (autoscaling/v1)"
    )


def test_kind_and_version_may_be_left_out_and_delete_options_come_in_any_group() -> None:
    assert decode("v1 Pod", {})[0] == {"apiVersion": "v1", "kind": "Pod"}
    obj, _ = decode("v1 DeleteOptions", {"kind": "DeleteOptions", "apiVersion": "apps/v1", "gracePeriodSeconds": 0})
    assert obj == {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0}


@pytest.mark.parametrize(
    ("body", "media_type", "message"),
    [
        (
            b"<x>",
            "application/json",
            "couldn't get version/kind; json parse error: invalid character '<' looking for beginning of value"
            " (3c783e)",
        ),
        (
            b"",
            "application/json",
            "couldn't get version/kind; json parse error: unexpected end of JSON input (<empty>)",
        ),
        (
            b'{"metadata":{"name":"a-long-name"}',
            "application/json",
            'couldn\'t get version/kind; json parse error: unexpected end of JSON input ({"metadata":{"name":"a-long-na'
            " ...)",
        ),
        (b"a: *b", "application/yaml", "yaml: unknown anchor 'b' referenced (613a202a62)"),
        (b"[" * 100_000, "application/json", None),
        (b'{"a":' * 300 + b"1" + b"}" * 300, "application/json", None),
    ],
)
def test_bodies_that_cannot_be_read(body: bytes, media_type: str, message: str | None) -> None:
    with pytest.raises(StatusFault) as caught:
        decoding.decode(body, media_type, POD, definitions())
    assert caught.value.status == 400
    if message is not None:
        assert caught.value.message == f"the object provided is unrecognized (must be of type Pod): {message}"


def test_yaml_bodies() -> None:
    obj, _ = decoding.decode(
        b"kind: Pod\nmetadata: {name: x, annotations: {at: 2024-01-01}}\n",
        "application/apply-patch+yaml",
        POD,
        definitions(),
    )
    assert obj["metadata"] == {"name": "x", "annotations": {"at": "2024-01-01"}}


def test_complete_adds_what_go_always_writes() -> None:
    pod: Object = {
        "spec": {
            "containers": [
                {"name": "a", "env": [{"name": "m", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}]}
            ]
        }
    }
    complete(pod, definitions().schema(POD))
    assert pod["status"] == {} and pod["metadata"] == {}
    assert pod["spec"]["containers"][0]["resources"] == {}
    assert pod["spec"]["containers"][0]["env"][0]["valueFrom"]["resourceFieldRef"]["divisor"] == "0"
    service: Object = {"kind": "Service"}
    complete(service, definitions().schema(GroupVersionKind("", "v1", "Service")))
    assert service["status"] == {"loadBalancer": {}}


@pytest.mark.parametrize(
    ("what", "given", "written"),
    [
        ("scheduling.k8s.io/v1 PriorityClass", {}, {"metadata": {}, "value": 0}),
        (
            "networking.k8s.io/v1 NetworkPolicy",
            {"spec": {}},
            {"metadata": {}, "spec": {"podSelector": {}}},
        ),
        (
            "storage.k8s.io/v1 VolumeAttachment",
            {"spec": {}},
            {"metadata": {}, "spec": {"source": {}}, "status": {"attached": False}},
        ),
        ("events.k8s.io/v1 Event", {"series": {}}, {"series": {"count": 0}}),
        (
            "networking.k8s.io/v1 Ingress",
            {"status": {"loadBalancer": {"ingress": [{"ports": [{"protocol": "TCP"}]}]}}},
            {"status": {"loadBalancer": {"ingress": [{"ports": [{"protocol": "TCP", "port": 0}]}]}}},
        ),
        ("apps/v1 ReplicaSet", {}, {"status": {"replicas": 0}}),
        (
            "policy/v1 PodDisruptionBudget",
            {},
            {"status": {"currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0}},
        ),
        ("v1 Event", {}, {"reportingComponent": "", "reportingInstance": "", "source": {}}),
        (
            "v1 Pod",
            {"status": {"containerStatuses": [{"name": "a"}]}},
            {
                "status": {
                    "containerStatuses": [
                        {"name": "a", "image": "", "imageID": "", "lastState": {}, "ready": False, "restartCount": 0}
                        | {"state": {}}
                    ]
                }
            },
        ),
    ],
)
def test_zeros_that_are_always_written(what: str, given: Object, written: Object) -> None:
    complete(given, definitions().schema(kind(what)))
    assert {name: given.get(name) for name in written} == written


def test_what_is_always_written_can_be_kept() -> None:
    """Nothing is written always that decoding would drop again."""
    for name, zeros in go_types.ALWAYS.items():
        schema = definitions().schema_named(name)
        assert isinstance(schema, Struct)
        assert [field for field, zero in zeros.items() if schema.forgets(field, zero)] == []


def test_custom_resources_keep_empty_values_and_lose_unknown_fields() -> None:
    meta = definitions().schema_named("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
    inner = Schema(Shape.OBJECT, fields={"list": Schema(Shape.LIST), "maybe": Schema(Shape.STRING, nullable=True)})
    schema = Schema(Shape.OBJECT, fields={"metadata": meta, "spec": inner, "count": Schema(Shape.INTEGER)})
    obj = {"metadata": {"labels": {}, "x": 1}, "spec": {"list": [], "maybe": None, "y": 1}, "count": "many"}
    complaints = check(obj, schema)
    assert obj == {"metadata": {}, "spec": {"list": [], "maybe": None}, "count": "many"}
    assert complaints.wrong == "" and complaints.unknown == [
        'unknown field "metadata.x"',
        'unknown field "spec.y"',
    ]


# --- random objects


def values(schema: Schema, depth: int) -> st.SearchStrategy[Any]:
    """Values that are already in Go's form."""
    shape = schema.shape
    if shape is Shape.OBJECT:
        assert isinstance(schema, Struct)
        known = {name: part for name, part in schema.fields.items() if depth > 0 or part.shape not in NESTED}
        chosen = {name: values(part, depth - 1) for name, part in known.items()}
        return st.fixed_dictionaries({}, optional=chosen).map(
            lambda obj: {name: part for name, part in obj.items() if not schema.forgets(name, part)}
        )
    if shape is Shape.LIST:
        return st.lists(values(schema.items, depth - 1), max_size=2)
    if shape is Shape.MAP:
        return st.dictionaries(st.text("abc", max_size=2), values(schema.items, depth - 1), max_size=2)
    if shape is Shape.STRING and schema.format == "date-time":
        micro = schema.definition.endswith("MicroTime")
        return st.just("2024-02-28T23:59:59.000001Z" if micro else "2024-02-28T23:59:59Z")
    if shape is Shape.STRING:
        return st.sampled_from(["", "YQ==", "YWI="]) if schema.format == "byte" else st.sampled_from(["", "x", "y z"])
    if shape is Shape.INTEGER:
        return st.sampled_from([0, 1, -1, 2**31 - 1, -(2**31)])
    leaves: dict[Shape, list[Any]] = {
        Shape.NUMBER: [0, 1, 2.5],
        Shape.BOOLEAN: [True, False],
        Shape.QUANTITY: ["1", "100m", "5Gi"],
        Shape.INT_OR_STRING: [0, 80, "http", ""],
        Shape.ANY: [{"a": None}, {}, {"b": [1]}],
    }
    return st.sampled_from(leaves[shape])


NESTED = (Shape.OBJECT, Shape.LIST, Shape.MAP)
EVERY = [definitions().schema(info.gvk) for info in RESOURCES]


@settings(max_examples=150, suppress_health_check=list(HealthCheck), deadline=None)
@given(st.data())
def test_what_is_in_gos_form_passes_unchanged(data: st.DataObject) -> None:
    schema = data.draw(st.sampled_from(EVERY))
    assert isinstance(schema, Struct)
    obj = data.draw(values(schema, 4))
    before = copied(obj)
    complaints = check(obj, schema)
    assert (obj, complaints.wrong, complaints.unknown) == (before, "", [])


@settings(max_examples=150, suppress_health_check=list(HealthCheck), deadline=None)
@given(st.data())
def test_both_walks_agree_and_checking_is_idempotent(data: st.DataObject) -> None:
    """Whatever is done to a good object: the quick walk says clean exactly where the other changes nothing."""
    schema = data.draw(st.sampled_from(EVERY))
    assert isinstance(schema, Struct)
    obj = data.draw(values(schema, 3))
    places = containers(obj)
    for _ in range(data.draw(st.integers(0, 2))):
        place = data.draw(st.sampled_from(places))
        junk = data.draw(st.sampled_from([None, "", 0, False, [], {}, "junk", 1.5, 2**40, [None], {"junk": None}]))
        if isinstance(place, dict):
            place[data.draw(st.sampled_from([*place, "junk"]))] = junk
        elif place:
            place[0] = junk
    before = copied(obj)
    clean = is_clean(obj, schema)
    complaints = check(obj, schema)
    if clean:
        assert (obj, complaints.wrong, complaints.unknown) == (before, "", [])
    if not complaints.wrong:
        again = copied(obj)
        assert is_clean(again, schema)
        assert check(again, schema).unknown == [] and again == obj


def containers(value: Json) -> list[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return ([value] if isinstance(value, dict | list) else []) + [found for part in inner for found in containers(part)]


@pytest.mark.parametrize("spoiled", [False, True])
def test_what_is_as_deep_as_allowed_exhausts_no_stack(spoiled: bool) -> None:
    """A schema of schemas, the only recursive built-in type: under an asyncio server's own frames."""
    schema: Object = {"type": "string", **({"unknown": 1} if spoiled else {})}
    for _ in range((decoding.MAX_DEPTH - 6) // 2):
        schema = {"type": "object", "properties": {"a": schema}}
    crd = {"spec": {"versions": [{"name": "v1", "schema": {"openAPIV3Schema": schema}}]}}

    def under(frames: int) -> list[str]:
        if frames:
            return under(frames - 1)
        obj, complaints = decode("apiextensions.k8s.io/v1 CustomResourceDefinition", copied(crd))
        complete(obj, definitions().schema(kind("apiextensions.k8s.io/v1 CustomResourceDefinition")))
        return complaints

    assert len(under(150)) == spoiled
