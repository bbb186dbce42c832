"""An operator of kopf's: finalizers, status, timers, daemons, and webhooks by URL that the server calls over TLS."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from support.installation import eventually, free_port
from support.kube_process import Space, definition, manifest

OPERATOR = Path(__file__).with_name("kopf_operator.py")
GROUP = "kopf.example.com"
HOOKS = f"ferries.{GROUP}"
SCHEMA = {
    "spec": {
        "type": "object",
        "properties": {"colour": {"type": "string"}, "seats": {"type": "integer", "minimum": 1}},
    },
    "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
}


def certificate(folder: Path) -> dict[str, str]:
    """A self-signed certificate of 127.0.0.1, which is its own CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ferries")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "tls.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "tls.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return {
        "FERRY_CERTIFICATE": str(folder / "tls.crt"),
        "FERRY_KEY": str(folder / "tls.key"),
        "FERRY_CA": str(folder / "tls.crt"),
        "FERRY_PORT": str(free_port()),
    }


@pytest.fixture
def operator(space: Space) -> Iterator[Space]:
    """A namespace in which the operator runs."""
    space.create(definition("ferries", "Ferry", GROUP, SCHEMA, subresources={"status": {}}))
    space.wait(f"crd/{HOOKS}", "condition=Established")
    log = space.folder / "operator.log"
    command = [sys.executable, "-m", "kopf", "run", "--namespace", space.name, "--standalone", str(OPERATOR)]
    environment = {**space.cluster.environment, **certificate(space.folder)}
    with log.open("w") as output, subprocess.Popen(command, env=environment, stdout=output, stderr=output) as process:
        try:
            eventually(lambda: _hooks(space) == 2 or _must_run(process, log), "its webhooks are registered")
            yield space
        except BaseException:
            print(log.read_text()[-4000:])
            raise
        finally:
            process.terminate()
            process.wait(20)
            space(
                "delete",
                f"validatingwebhookconfiguration/{HOOKS}",
                f"mutatingwebhookconfiguration/{HOOKS}",
                "--ignore-not-found",
            )
            space("delete", "crd", HOOKS, "--wait=false")


def _hooks(space: Space) -> int:
    """How many are registered, and for something."""
    count = 0
    for kind in ("validatingwebhookconfigurations", "mutatingwebhookconfigurations"):
        listed = json.loads(space("get", "--raw", f"/apis/admissionregistration.k8s.io/v1/{kind}"))
        ours = [item for item in listed["items"] if item["metadata"]["name"] == HOOKS]
        count += sum(bool(hook.get("rules")) for item in ours for hook in item.get("webhooks") or ())
    return count


def _must_run(process: subprocess.Popen[bytes], log: Path) -> bool:
    assert process.poll() is None, log.read_text()
    return False


def ferry(name: str, **spec: object) -> dict[str, object]:
    return {"apiVersion": f"{GROUP}/v1", "kind": "Ferry", "metadata": {"name": name}, "spec": spec}


def test_an_operator_and_its_webhooks(operator: Space) -> None:
    said = operator.attempt("create", "-f", "-", stdin=manifest(ferry("big", seats=450)))
    assert said.returncode == 0 and "Warning: that is a lot of seats" in said.stderr
    refused = operator.refused("create", "-f", "-", stdin=manifest(ferry("titanic", seats=2000)))
    assert "admission webhook" in refused and "denied the request: too many seats to float" in refused
    assert operator.get("ferry", "big")["spec"] == {"seats": 450, "colour": "white"}, "painted on the way in"

    operator.wait("ferry/big", "jsonpath={.status.phase}=Afloat")
    assert operator.get("cm", "big-papers")["data"] == {"colour": "white"}
    operator.wait("ferry/big", "jsonpath={.status.launch.papers}=big-papers")
    operator.wait("ferry/big", "jsonpath={.status.crossings}=3")
    operator.wait("cm/big-watch", "jsonpath={.data.from}=the bridge")
    assert operator.get("ferry", "big")["metadata"]["finalizers"] == [f"{GROUP}/ashore"]
    about = "involvedObject.kind=Ferry,involvedObject.name=big,reason=Launched"
    eventually(lambda: operator.names("events", "--field-selector", about), "its event is posted")

    operator("patch", "ferry", "big", "--type=merge", "-p", '{"spec": {"seats": 300}}')
    operator.wait("ferry/big", "jsonpath={.status.refitted}=450 to 300")
    refused = operator.refused("patch", "ferry", "big", "--type=merge", "-p", '{"spec": {"seats": 900}}')
    assert "too many seats to float" in refused
    assert operator.get("ferry", "big")["metadata"]["generation"] == 2, "status is counted apart"

    operator("delete", "ferry", "big", "--timeout=20s")
    assert operator.get("cm", "big-scrapped"), "the finalizer let it say farewell"
    for owned in ("big-papers", "big-watch"):
        operator.wait(f"cm/{owned}", "delete")
