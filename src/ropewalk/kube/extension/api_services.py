"""API services: which server answers for which group version, and the objects that say so of this server's own.

`ApiServices` follows the objects and is asked on every replica. `LocalApiServices` (the leader's) makes one object for
every group version that is served here, and takes those of custom groups away again. As in kube-apiserver, built-in
ones are set right once, at the start; those of custom resources for as long as they are served.
https://kubernetes.io/docs/concepts/extend-kubernetes/api-extension/apiserver-aggregation/
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.base.errors import Retryable
from ropewalk.kube.kinds.priorities import PRIORITIES
from ropewalk.kube.machinery import conditions, times
from ropewalk.kube.machinery.api import Api, ObjectChange
from ropewalk.kube.machinery.discovery import CUSTOM, Priority
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Object, at, copied, labels_of, name_of, uid_of
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.runtime.controller import DONE, Controller, Result

API_SERVICES = GroupResource("apiregistration.k8s.io", "apiservices")
DEFINITIONS = GroupResource("apiextensions.k8s.io", "customresourcedefinitions")
MANAGED = "kube-aggregator.kubernetes.io/automanaged"
ON_START, ALWAYS = "onstart", "true"
LOCAL = ("True", "Local", "Local APIServices are always available")
CONFLICT_SECONDS = 0.2

GroupVersion = tuple[str, str]


@dataclass(frozen=True, slots=True)
class ServiceReference:
    namespace: str
    name: str
    port: int

    @property
    def server_name(self) -> str:
        """The name that its certificate must have."""
        return f"{self.name}.{self.namespace}.svc"


@dataclass(frozen=True, slots=True)
class ApiService:
    name: str
    group: str
    version: str
    priority: Priority
    service: ServiceReference | None
    """None: it is this server that answers."""
    ca_bundle: str = ""
    """As in the object: PEM in base64."""
    insecure: bool = False
    available: bool = False

    @property
    def path(self) -> str:
        """Where a server must answer for it."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"


def api_service(obj: Object) -> ApiService:
    spec = obj.get("spec") or {}
    service = spec.get("service")
    return ApiService(
        name_of(obj),
        spec.get("group") or "",
        spec.get("version") or "",
        Priority(spec.get("groupPriorityMinimum") or 0, spec.get("versionPriority") or 0),
        None
        if service is None
        else ServiceReference(service.get("namespace", ""), service.get("name", ""), service.get("port") or 443),
        spec.get("caBundle") or "",
        bool(spec.get("insecureSkipTLSVerify")),
        any(
            condition.get("type") == "Available" and condition.get("status") == "True"
            for condition in at(obj, "status", "conditions") or ()
        ),
    )


class ApiServices:
    """Every API service there is, by group version: kept up to date from the moment of `follow`."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._found: dict[GroupVersion, ApiService] = {}
        self._callbacks: list[Callable[[ApiService, bool], None]] = []

    def follow(self) -> None:
        self._api.cache(API_SERVICES).on_change(self._observe)

    def on_change(self, callback: Callable[[ApiService, bool], None]) -> None:
        """Called with each that changed, and whether it is still there."""
        self._callbacks.append(callback)
        for service in list(self._found.values()):
            callback(service, True)

    def remote(self, group: str, version: str) -> ApiService | None:
        """The one for which another server answers."""
        found = self._found.get((group, version))
        return None if found is None or found.service is None else found

    def remotes(self) -> list[ApiService]:
        return [found for found in self._found.values() if found.service is not None]

    def priorities(self) -> dict[GroupVersion, Priority]:
        """As the objects say; for discovery's order."""
        return {key: found.priority for key, found in self._found.items()}

    def _observe(self, change: ObjectChange) -> None:
        service = api_service(change.present)
        key = (service.group, service.version)
        if change.new is None:
            self._found.pop(key, None)
        elif self._found.get(key) == service:
            return
        else:
            self._found[key] = service
        for callback in self._callbacks:
            callback(service, change.new is not None)


# --- this server's own


def local_object(group: str, version: str, priority: Priority, managed: str) -> Object:
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": f"{version}.{group}", "labels": {MANAGED: managed}},
        "spec": {
            **({"group": group} if group else {}),
            "version": version,
            "groupPriorityMinimum": priority.group,
            "versionPriority": priority.version,
        },
    }


def custom_versions(definitions: Iterable[Object]) -> set[GroupVersion]:
    return {
        (str(at(definition, "spec", "group") or ""), str(version.get("name", "")))
        for definition in definitions
        for version in at(definition, "spec", "versions") or ()
        if version.get("served")
    }


class LocalApiServices:
    """A `Runnable`."""

    name = "local API services"

    def __init__(
        self,
        api: Api,
        clock: Clock,
        entropy: Entropy,
        *,
        priorities: Mapping[GroupVersion, Priority] = PRIORITIES,
    ) -> None:
        self._api = api
        self._clock = clock
        self._built_in = {f"{version}.{group}": (group, version) for group, version in priorities}
        self._priorities = priorities
        self._at_start: frozenset[str] = frozenset()
        self._done: set[str] = set()
        self._controller = Controller(self.name, self._reconcile, clock=clock, entropy=entropy)

    async def run(self) -> None:
        await self._api.cache(API_SERVICES).synced()
        await self._api.cache(DEFINITIONS).synced()
        self._at_start = frozenset(name_of(obj) for obj in self._api.cache(API_SERVICES).all())
        for name in self._built_in:
            self._controller.enqueue(name)
        self._api.cache(API_SERVICES).on_change(lambda change: self._controller.enqueue(name_of(change.present)))
        self._api.cache(DEFINITIONS).on_change(self._definition_changed)
        await self._controller.run()

    def _definition_changed(self, change: ObjectChange) -> None:
        for group, version in custom_versions(obj for obj in (change.old, change.new) if obj is not None):
            self._controller.enqueue(f"{version}.{group}")

    def _desired(self, name: str) -> Object | None:
        known = self._built_in.get(name)
        if known is not None:
            return local_object(*known, self._priorities[known], ON_START)
        version, _, group = name.partition(".")
        if (group, version) in custom_versions(self._api.cache(DEFINITIONS).all()):
            return local_object(group, version, CUSTOM, ALWAYS)
        return None

    async def _reconcile(self, name: str) -> Result:
        present = self._api.cache(API_SERVICES).get("", name)
        try:
            if present is not None and at(present, "spec", "service") is None:
                await self._tell_local(present)
            await self._set_right(name, self._desired(name), present)
        except StatusFault as fault:
            if fault.reason == "Conflict":
                raise Retryable(fault.message, after=CONFLICT_SECONDS) from fault
            if fault.reason not in ("AlreadyExists", "NotFound"):
                raise
        self._done.add(name)
        return DONE

    async def _set_right(self, name: str, desired: Object | None, present: Object | None) -> None:
        again = name in self._done
        if desired is not None and again and labels_of(desired)[MANAGED] == ON_START:
            return
        if present is None:
            if desired is not None:
                await self._api.create(API_SERVICES, desired)
            return
        managed = labels_of(present).get(MANAGED)
        if managed not in (ON_START, ALWAYS):
            return
        if managed == ON_START and (again or name not in self._at_start):
            return
        if desired is None:
            await self._api.delete(API_SERVICES, "", name, uid=uid_of(present))
        elif _spec(present) != _spec(desired):
            await self._api.update(API_SERVICES, {**copied(present), "spec": desired["spec"]})

    async def _tell_local(self, present: Object) -> None:
        """One that had a service and has none any more is available again."""
        revised = with_condition(present, *LOCAL, now=times.rfc3339(self._clock.wall()))
        if revised is not None:
            await self._api.update(API_SERVICES, revised, subresource="status")


def _spec(obj: Object) -> Object:
    return {key: value for key, value in (obj.get("spec") or {}).items() if value not in ("", None)}


def with_condition(obj: Object, status: str, reason: str, message: str, *, now: str) -> Object | None:
    """The object with its condition Available so; None where it is. Its time moves only with its status."""
    old = conditions.find(at(obj, "status", "conditions"), "Available") or {}
    if (old.get("status"), old.get("reason"), old.get("message")) == (status, reason, message):
        return None
    wanted = {"type": "Available", "status": status, "lastTransitionTime": now, "reason": reason, "message": message}
    revised: Object = copied(obj)
    told = revised.setdefault("status", {})
    told["conditions"] = conditions.settled(told.get("conditions"), wanted, now)
    return revised
