"""An operator that `kopf run` runs in a process of its own: ferries, whose children it makes and whose status it tells.

From its environment: FERRY_CERTIFICATE, FERRY_KEY, FERRY_CA (files) and FERRY_PORT, of its webhooks' server.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

import kopf
from kubernetes import client, config

FERRIES = ("kopf.example.com", "v1", "ferries")


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    settings.persistence.finalizer = "kopf.example.com/ashore"
    settings.posting.enabled = True
    settings.admission.managed = "ferries.kopf.example.com"
    settings.admission.server = kopf.WebhookServer(
        addr="127.0.0.1",
        port=int(os.environ["FERRY_PORT"]),
        certfile=os.environ["FERRY_CERTIFICATE"],
        pkeyfile=os.environ["FERRY_KEY"],
        cafile=os.environ["FERRY_CA"],
    )


@kopf.on.mutate(*FERRIES, operation="CREATE")
def paint(spec: kopf.Spec, patch: kopf.Patch, **_: Any) -> None:
    if "colour" not in spec:
        patch.spec["colour"] = "white"


@kopf.on.validate(*FERRIES)
def inspect(spec: kopf.Spec, warnings: list[str], **_: Any) -> None:
    if spec.get("seats", 0) > 500:
        raise kopf.AdmissionError("too many seats to float", code=422)
    if spec.get("seats", 0) > 400:
        warnings.append("that is a lot of seats")


@kopf.on.create(*FERRIES)
def launch(
    body: kopf.Body, spec: kopf.Spec, name: str, namespace: str | None, patch: kopf.Patch, **_: Any
) -> dict[str, Any]:
    _create(f"{name}-papers", namespace, {"colour": spec["colour"]}, owned=True)
    patch.status["phase"] = "Afloat"
    kopf.info(body, reason="Launched", message="It swims")
    return {"papers": f"{name}-papers"}


@kopf.on.field(*FERRIES, field="spec.seats")
def refit(old: Any, new: Any, patch: kopf.Patch, **_: Any) -> None:
    patch.status["refitted"] = f"{old} to {new}"


@kopf.on.delete(*FERRIES)
def scrap(name: str, namespace: str | None, **_: Any) -> None:
    _create(f"{name}-scrapped", namespace, {})


@kopf.timer(*FERRIES, interval=0.2)
def sail(status: kopf.Status, patch: kopf.Patch, **_: Any) -> None:
    crossings = status.get("crossings", 0)
    if crossings < 3:
        patch.status["crossings"] = crossings + 1


@kopf.daemon(*FERRIES)
async def watch(stopped: kopf.DaemonStopped, name: str, namespace: str | None, **_: Any) -> None:
    await asyncio.to_thread(_create, f"{name}-watch", namespace, {"from": "the bridge"}, owned=True)
    await stopped.wait()


def _create(name: str, namespace: str | None, data: dict[str, str], *, owned: bool = False) -> None:
    """A ConfigMap; `owned` by the ferry that is being looked after."""
    made: dict[str, Any] = {"metadata": {"name": name}, "data": data}
    if owned:
        kopf.adopt(made)
    with config.new_client_from_config() as api:
        client.CoreV1Api(api).create_namespaced_config_map(namespace or "", made)
