"""The built-in plug-ins, through the default chain: what they set, what they refuse, in which words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.kube.admission.chain import ORDER, Chain
from ropewalk.kube.admission.defaults import Means, default_chain
from ropewalk.kube.machinery.admission import Admission
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import at

Make = Callable[..., Any]


class NoWebhooks:
    async def call(self, client_config: Any, body: bytes, timeout: float) -> bytes:
        raise AssertionError("no webhook is configured")


@pytest.fixture
def chain(api: Any, allowing: Any) -> Chain:
    means = Means(api, allowing(), VirtualClock(), SeededEntropy(1), NoWebhooks(), lambda kind: None)
    api.add("ServiceAccount", "default", "ns")
    return default_chain(means)


async def admitted(chain: Chain, admission: Admission) -> Admission:
    await chain.mutate(admission)
    await chain.validate(admission)
    return admission


async def refused(chain: Chain, admission: Admission) -> StatusFault:
    with pytest.raises(StatusFault) as fault:
        await admitted(chain, admission)
    return fault.value


def test_the_default_chain_has_kubernetes_order(chain: Chain) -> None:
    assert chain.names == tuple(name for name in ORDER if name != "NodeRestriction")


def test_an_unknown_plug_in_cannot_be_disabled() -> None:
    with pytest.raises(ValueError, match="Nonsense"):
        Chain([], disabled=["Nonsense"])


async def test_a_pod_gets_what_every_pod_gets(chain: Chain, request_for: Make, pod: Make) -> None:
    admission = await admitted(chain, request_for("Pod", pod()))
    assert admission.object is not None
    spec = admission.object["spec"]
    assert (spec["serviceAccountName"], spec["serviceAccount"]) == ("default", "default")
    assert (spec["priority"], spec["preemptionPolicy"]) == (0, "PreemptLowerPriority")
    assert [one["key"] for one in spec["tolerations"]] == [
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
    ]
    (volume,) = spec["volumes"]
    assert volume["name"].startswith("kube-api-access-") and len(volume["name"]) == len("kube-api-access-") + 5
    assert [next(iter(source)) for source in volume["projected"]["sources"]] == [
        "serviceAccountToken",
        "configMap",
        "downwardAPI",
    ]
    assert spec["containers"][0]["volumeMounts"] == [
        {"name": volume["name"], "readOnly": True, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
    ]
    assert admission.annotations["pod-security.kubernetes.io/enforce-policy"] == "privileged:latest"
    again = await admitted(chain, request_for("Pod", admission.object))
    assert again.object == admission.object


@pytest.mark.parametrize(
    ("spec", "account"),
    [({"automountServiceAccountToken": False}, {}), ({}, {"automountServiceAccountToken": False})],
)
async def test_no_token_where_none_is_wanted(
    chain: Chain, api: Any, request_for: Make, pod: Make, spec: Any, account: Any
) -> None:
    api.add("ServiceAccount", "default", "ns", **account)
    admission = await admitted(chain, request_for("Pod", pod(**spec)))
    assert "volumes" not in admission.object["spec"]  # type: ignore[index]


async def test_service_accounts(chain: Chain, api: Any, request_for: Make, pod: Make) -> None:
    fault = await refused(chain, request_for("Pod", pod(serviceAccountName="sa")))
    assert fault.message == (
        'pods "p" is forbidden: error looking up service account ns/sa: serviceaccount "sa" not found'
    )
    api.add("ServiceAccount", "sa", "ns", imagePullSecrets=[{"name": "pull"}])
    admission = await admitted(chain, request_for("Pod", pod(serviceAccountName="sa")))
    assert at(admission.object, "spec", "imagePullSecrets") == [{"name": "pull"}]
    api.add("ServiceAccount", "sa", "ns", metadata={"annotations": {"kubernetes.io/enforce-mountable-secrets": "true"}})
    volumes = [{"name": "v", "secret": {"secretName": "s"}}]
    fault = await refused(chain, request_for("Pod", pod(serviceAccountName="sa", volumes=volumes)))
    assert fault.message == (
        'pods "p" is forbidden: volume with secret.secretName="s" is not allowed because service account sa does not'
        " reference that secret"
    )


async def test_a_mirror_pod_has_no_account(chain: Chain, request_for: Make, pod: Make) -> None:
    mirror = pod()
    mirror["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
    admission = await admitted(chain, request_for("Pod", mirror))
    assert "serviceAccountName" not in admission.object["spec"]  # type: ignore[index]
    mirror["spec"]["serviceAccountName"] = "default"
    fault = await refused(chain, request_for("Pod", mirror))
    assert fault.message == 'pods "p" is forbidden: a mirror pod may not reference service accounts'


async def test_namespaces(chain: Chain, api: Any, request_for: Make) -> None:
    config = {"metadata": {"name": "c", "namespace": "gone"}}
    fault = await refused(chain, request_for("ConfigMap", config))
    assert (fault.status, fault.message) == (404, 'namespaces "gone" not found')
    api.add("Namespace", "gone", status={"phase": "Terminating"})
    fault = await refused(chain, request_for("ConfigMap", config))
    assert fault.message == (
        'configmaps "c" is forbidden: unable to create new content in namespace gone because it is being terminated'
    )
    assert fault.details is not None
    (cause,) = fault.details.causes
    assert (cause.reason, cause.field) == ("NamespaceTerminating", "metadata.namespace")
    await admitted(chain, request_for("ConfigMap", config, old=config))
    await admitted(chain, request_for("ConfigMap", None, old=config, operation="DELETE"))
    for name in ("default", "kube-system", "kube-public"):
        fault = await refused(
            chain, request_for("Namespace", None, old={"metadata": {"name": name}}, operation="DELETE")
        )
        assert fault.message == f'namespaces "{name}" is forbidden: this namespace may not be deleted'
    await admitted(chain, request_for("Namespace", None, old={"metadata": {"name": "ns"}}, operation="DELETE"))


async def test_priorities(chain: Chain, api: Any, request_for: Make, pod: Make) -> None:
    fault = await refused(chain, request_for("Pod", pod(priorityClassName="high")))
    assert fault.message == 'pods "p" is forbidden: no PriorityClass with name high was found'
    api.add("PriorityClass", "high", value=1000, preemptionPolicy="Never")
    admission = await admitted(chain, request_for("Pod", pod(priorityClassName="high")))
    assert at(admission.object, "spec", "priority") == 1000
    assert at(admission.object, "spec", "preemptionPolicy") == "Never"
    fault = await refused(chain, request_for("Pod", pod(priorityClassName="high", priority=5)))
    assert fault.message.endswith(
        "the integer value of priority (5) must not be provided in pod spec; priority admission controller computed"
        " 1000 from the given PriorityClass name"
    )
    api.add("PriorityClass", "usual", value=7, globalDefault=True)
    admission = await admitted(chain, request_for("Pod", pod()))
    assert at(admission.object, "spec", "priorityClassName") == "usual"
    fault = await refused(chain, request_for("PriorityClass", {"metadata": {"name": "b"}, "globalDefault": True}))
    assert fault.message == (
        'priorityclasses.scheduling.k8s.io "b" is forbidden: PriorityClass usual is already marked as default. Only'
        " one default can exist"
    )


async def test_a_new_node_is_not_ready(chain: Chain, request_for: Make) -> None:
    admission = await admitted(chain, request_for("Node", {"metadata": {"name": "n"}}))
    assert at(admission.object, "spec", "taints") == [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]


async def test_a_bound_pod_learns_its_zone(chain: Chain, api: Any, request_for: Make) -> None:
    api.add("Node", "n", metadata={"labels": {"topology.kubernetes.io/zone": "z", "other": "o"}})
    binding = {"metadata": {"name": "p", "namespace": "ns"}, "target": {"kind": "Node", "name": "n"}}
    admission = await admitted(chain, request_for("Pod", binding, subresource="binding"))
    assert at(admission.object, "metadata", "labels") == {"topology.kubernetes.io/zone": "z"}


async def test_runtime_classes(chain: Chain, api: Any, request_for: Make, pod: Make) -> None:
    fault = await refused(chain, request_for("Pod", pod(runtimeClassName="g")))
    assert fault.message == 'pods "p" is forbidden: pod rejected: RuntimeClass "g" not found'
    scheduling = {"nodeSelector": {"g": "yes"}, "tolerations": [{"key": "g", "operator": "Exists"}]}
    api.add("RuntimeClass", "g", overhead={"podFixed": {"cpu": "100m"}}, scheduling=scheduling)
    admission = await admitted(chain, request_for("Pod", pod(runtimeClassName="g", overhead={"cpu": "0.1"})))
    assert at(admission.object, "spec", "overhead") == {"cpu": "100m"}
    assert at(admission.object, "spec", "nodeSelector") == {"g": "yes"}
    assert {"key": "g", "operator": "Exists"} in at(admission.object, "spec", "tolerations")
    fault = await refused(chain, request_for("Pod", pod(runtimeClassName="g", overhead={"cpu": "1"})))
    assert fault.message.endswith("pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")
    fault = await refused(chain, request_for("Pod", pod(runtimeClassName="g", nodeSelector={"g": "no"})))
    assert "conflict: runtimeClass.scheduling.nodeSelector[g] = yes; pod.spec.nodeSelector[g] = no" in fault.message
    fault = await refused(chain, request_for("Pod", pod(overhead={"cpu": "1"})))
    assert fault.message.endswith("pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead")


def claim(size: str, **spec: Any) -> Any:
    about = {"name": "d", "namespace": "ns"}
    return {"metadata": about, "spec": {"resources": {"requests": {"storage": size}}, **spec}}


async def test_claims(chain: Chain, api: Any, request_for: Make) -> None:
    default = {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}
    api.add("StorageClass", "old", metadata={**default, "creationTimestamp": "2020-01-01T00:00:00Z"})
    api.add("StorageClass", "new", metadata={**default, "creationTimestamp": "2024-01-01T00:00:00Z"})
    admission = await admitted(chain, request_for("PersistentVolumeClaim", claim("1Gi")))
    assert at(admission.object, "spec", "storageClassName") == "new"
    assert at(admission.object, "metadata", "finalizers") == ["kubernetes.io/pvc-protection"]
    admission = await admitted(chain, request_for("PersistentVolumeClaim", claim("1Gi", storageClassName="")))
    assert at(admission.object, "spec", "storageClassName") == ""
    small, large = (claim(size, storageClassName="new") for size in ("1Gi", "2Gi"))
    fault = await refused(chain, request_for("PersistentVolumeClaim", large, old=small))
    assert fault.message.endswith("is forbidden: Only bound persistent volume claims can be expanded")
    small["status"] = {"phase": "Bound"}
    fault = await refused(chain, request_for("PersistentVolumeClaim", large, old=small))
    assert fault.message.endswith(
        "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support"
        " resize"
    )
    api.add("StorageClass", "new", allowVolumeExpansion=True)
    await admitted(chain, request_for("PersistentVolumeClaim", large, old=small))


async def test_default_ingress_class(chain: Chain, api: Any, request_for: Make) -> None:
    api.add("IngressClass", "a", metadata={"annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}})
    admission = await admitted(chain, request_for("Ingress", {"metadata": {"name": "i", "namespace": "ns"}}))
    assert at(admission.object, "spec", "ingressClassName") == "a"


async def test_certificates(api: Any, allowing: Any, request_for: Make) -> None:
    authorizer = allowing(("approve", "signers", "example.com/*"))
    chain = default_chain(Means(api, authorizer, VirtualClock(), SeededEntropy(1), NoWebhooks(), lambda kind: None))
    kind = "CertificateSigningRequest"
    csr = {"metadata": {"name": "r"}, "spec": {"signerName": "example.com/s"}}
    await admitted(chain, request_for(kind, csr, old=csr, subresource="approval"))
    signed = {**csr, "status": {"certificate": "eA=="}}
    fault = await refused(chain, request_for(kind, signed, old=csr, subresource="status"))
    assert fault.message.endswith('is forbidden: user not permitted to sign requests with signerName "example.com/s"')
    await admitted(chain, request_for(kind, csr, old=csr, subresource="status"))
    bad = {"metadata": {"name": "r"}, "spec": {"signerName": "kubernetes.io/kube-apiserver-client", "request": "eA=="}}
    fault = await refused(chain, request_for(kind, bad))
    assert "failed to parse CSR: PEM block type must be CERTIFICATE REQUEST" in fault.message


CONTAINER = {"type": "Container", "default": {"cpu": "1"}, "defaultRequest": {"cpu": "500m"}}


@pytest.mark.parametrize(
    ("limit", "resources", "problem"),
    [
        (CONTAINER, {}, ""),
        (
            {"type": "Container", "min": {"cpu": "1"}},
            {},
            "minimum cpu usage per Container is 1.  No request is specified",
        ),
        (
            {"type": "Container", "max": {"cpu": "1"}},
            {"limits": {"cpu": "2"}},
            "maximum cpu usage per Container is 1, but limit is 2",
        ),
        (
            {"type": "Pod", "max": {"memory": "1Gi"}},
            {"limits": {"memory": "2Gi"}},
            "maximum memory usage per Pod is 1Gi, but limit is 2Gi",
        ),
        (
            {"type": "Container", "maxLimitRequestRatio": {"cpu": "2"}},
            {"limits": {"cpu": "3"}, "requests": {"cpu": "1"}},
            "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000",
        ),
        (
            {"type": "Container", "max": {"cpu": "1"}, "min": {"cpu": "100m"}},
            {},
            "[minimum cpu usage per Container is 100m.  No request is specified, maximum cpu usage per Container is 1. "
            " No limit is specified]",
        ),
    ],
)
async def test_limit_ranges(
    chain: Chain, api: Any, request_for: Make, pod: Make, limit: Any, resources: Any, problem: str
) -> None:
    api.add("LimitRange", "l", "ns", spec={"limits": [limit]})
    wanted = pod()
    wanted["spec"]["containers"][0]["resources"] = resources
    if problem:
        fault = await refused(chain, request_for("Pod", wanted))
        assert fault.message == f'pods "p" is forbidden: {problem}'
        return
    admission = await admitted(chain, request_for("Pod", wanted))
    assert at(admission.object, "spec", "containers", 0, "resources") == {
        "limits": {"cpu": "1"},
        "requests": {"cpu": "500m"},
    }
    assert at(admission.object, "metadata", "annotations", "kubernetes.io/limit-ranger") == (
        "LimitRanger plugin set: cpu request for container c; cpu limit for container c"
    )


async def test_a_disabled_plug_in_does_nothing(api: Any, allowing: Any, request_for: Make, pod: Make) -> None:
    means = Means(api, allowing(), VirtualClock(), SeededEntropy(1), NoWebhooks(), lambda kind: None)
    chain = default_chain(means, disabled=["ServiceAccount"])
    admission = await admitted(chain, request_for("Pod", pod()))
    assert "serviceAccountName" not in admission.object["spec"]  # type: ignore[index]
