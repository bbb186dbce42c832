"""From CustomResourceDefinitions to resources that are served: names accepted, versions served, objects cleaned up.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
Every replica serves what the definitions say (`Serving`); the leader alone writes their status and removes what a
deleted one leaves (`DefinitionController`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.base.errors import Retryable
from ropewalk.base.log import logger
from ropewalk.kube.extension import custom, rules, shaping, structural, values
from ropewalk.kube.extension.conversion import Converter, WebhookClient
from ropewalk.kube.kinds.apiextensions.custom_resource_definitions import CLEANUP
from ropewalk.kube.machinery import times
from ropewalk.kube.machinery.api import Api, ObjectChange
from ropewalk.kube.machinery.cel.environment import CompileError
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Object, at, copied, metadata
from ropewalk.kube.machinery.openapi.schemas import CustomKind
from ropewalk.kube.machinery.registry.registry import Registry
from ropewalk.kube.machinery.registry.served import Reader, Served, head_of
from ropewalk.kube.machinery.resources import GroupResource, GroupVersionKind, ResourceInfo, Subresource
from ropewalk.kube.machinery.schema import Schema
from ropewalk.runtime.controller import DONE, Controller, RequeueAfter, Result

log = logger(__name__)

DEFINITIONS = GroupResource("apiextensions.k8s.io", "customresourcedefinitions")
SCALE = GroupVersionKind("autoscaling", "v1", "Scale")
LOOK_AGAIN_SECONDS = 0.5
ESTABLISH_SECONDS = 0.05


def schema_rules(schema: Object, path: Path, errors: FieldErrors) -> None:
    """What a definition's schema must be: structural, with patterns, defaults and rules that hold."""
    found = FieldErrors()
    structural.validate(schema, path, found)
    rules.validate(schema, path, found)
    if not found:
        _validate_defaults(schema, path, found)
    errors.causes.extend(found.causes)


def _validate_defaults(schema: Object, path: Path, errors: FieldErrors) -> None:
    try:
        values.compiled(schema)
    except ValueError as error:
        errors.invalid(path, "", f"invalid pattern: {error}")
        return
    _check_defaults(schema, path, errors)


def _check_defaults(schema: Object, path: Path, errors: FieldErrors) -> None:
    if "default" in schema:
        values.compiled(schema)(schema["default"], path / "default", errors)
    for name, part in (schema.get("properties") or {}).items():
        _check_defaults(part, (path / "properties").key(name), errors)
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), dict):
            _check_defaults(schema[word], path / word, errors)


# --- what a definition serves


@dataclass(frozen=True, slots=True)
class Offer:
    """One definition, as it is served."""

    resource: GroupResource
    served: list[Served]
    documented: list[CustomKind]


def offer(definition: Object, meta_schema: Schema, client: WebhookClient | None, entropy: Entropy) -> Offer:
    """Raises `CompileError`, `ValueError` where the definition was stored before a rule that it breaks."""
    spec = definition["spec"]
    accepted = at(definition, "status", "acceptedNames") or spec["names"]
    resource = GroupResource(spec["group"], accepted["plural"])
    converter = Converter(definition, client, entropy)
    storage = next(version for version in spec["versions"] if version.get("storage"))
    several = len(spec["versions"]) > 1
    found: list[Served] = []
    documented: list[CustomKind] = []
    ordered = sorted(spec["versions"], key=lambda version: not version.get("storage"))
    for version in ordered:
        if not version.get("served"):
            continue
        info = _info(spec, accepted, version)
        tree = custom.schema_tree(version, meta_schema, preserve=bool(spec.get("preserveUnknownFields")))
        found.append(
            Served(
                info,
                custom.custom_strategy(version),
                tree,
                custom.body_reader(info, tree, meta_schema),
                resource,
                custom=True,
                reader=_reader(converter, version, tree) if several or _has_defaults(version) else None,
                writer=_writer(converter, storage["name"]) if several else None,
                head=head_of(info, custom=True),
                warning=_deprecation(version, info),
            )
        )
        schema = at(version, "schema", "openAPIV3Schema") or {}
        fields = tuple(field["jsonPath"] for field in version.get("selectableFields") or ())
        documented.append(CustomKind(info, schema, fields))
    return Offer(resource, found, documented)


def _deprecation(version: Object, info: ResourceInfo) -> str:
    if not version.get("deprecated"):
        return ""
    return version.get("deprecationWarning") or f"{info.api_version} {info.kind} is deprecated"


def _has_defaults(version: Object) -> bool:
    return shaping.filler(at(version, "schema", "openAPIV3Schema") or {}) is not None


def _info(spec: Object, accepted: Object, version: Object) -> ResourceInfo:
    name = version["name"]
    gvk = GroupVersionKind(spec["group"], name, accepted["kind"])
    given = version.get("subresources") or {}
    subresources = []
    if "status" in given:
        subresources.append(Subresource("status", gvk, ("get", "patch", "update")))
    if "scale" in given:
        subresources.append(Subresource("scale", SCALE, ("get", "patch", "update")))
    return ResourceInfo(
        spec["group"],
        name,
        accepted["kind"],
        accepted["plural"],
        accepted.get("singular") or accepted["kind"].lower(),
        spec["scope"] == "Namespaced",
        tuple(accepted.get("shortNames") or ()),
        tuple(accepted.get("categories") or ()),
        subresources=tuple(subresources),
        list_kind=accepted.get("listKind") or f"{accepted['kind']}List",
    )


def _reader(converter: Converter, version: Object, tree: Schema) -> Reader:
    """Stored objects as this version shows them: converted, pruned by its schema, defaulted."""
    fill = shaping.filler(at(version, "schema", "openAPIV3Schema") or {})

    async def read(objects: Sequence[Object]) -> list[Object]:
        converted = await converter.convert(objects, version["name"])
        for obj in converted:
            shaping.pruned(obj, tree, "", [])
            if fill is not None:
                fill(obj)
        return converted

    return read


def _writer(converter: Converter, storage: str) -> Callable[[Object], Awaitable[Object]]:
    async def write(obj: Object) -> Object:
        return (await converter.convert([copied(obj)], storage))[0]

    return write


# --- serving, on every replica


class Serving:
    """Keeps the registry at what the definitions say."""

    def __init__(
        self, api: Api, registry: Registry, meta_schema: Schema, client: WebhookClient | None, entropy: Entropy
    ) -> None:
        self._registry = registry
        self._meta_schema = meta_schema
        self._client = client
        self._entropy = entropy
        self._offers: dict[str, Offer] = {}
        self._api = api
        self._queue: list[tuple[GroupResource, list[str]]] = []

    @property
    def documented(self) -> list[CustomKind]:
        return [kind for offered in self._offers.values() for kind in offered.documented]

    def begin(self) -> None:
        self._api.cache(DEFINITIONS).on_change(self._observe)

    def _observe(self, change: ObjectChange) -> None:
        name = metadata(change.present)["name"]
        if change.new is None:
            self._withdraw(name, keep=())
            return
        if not is_established(change.new):
            return
        if change.old is not None and is_established(change.old) and not _differs(change.old, change.new):
            return
        try:
            offered = offer(change.new, self._meta_schema, self._client, self._entropy)
        except (CompileError, ValueError, KeyError) as error:
            log.error("definition cannot be served", name=name, error=error)
            return
        self._withdraw(name, keep=[served.info.version for served in offered.served])
        self._offers[name] = offered
        self._registry.serve(offered.served)

    def _withdraw(self, name: str, *, keep: Sequence[str]) -> None:
        before = self._offers.pop(name, None)
        if before is None:
            return
        gone = [served.info.version for served in before.served if served.info.version not in keep]
        if gone:
            self._registry.withdraw(before.resource, gone)


def is_established(definition: Object) -> bool:
    return any(
        condition.get("type") == "Established" and condition.get("status") == "True"
        for condition in at(definition, "status", "conditions") or ()
    )


def _differs(old: Object, new: Object) -> bool:
    return bool(old["spec"] != new["spec"] or at(old, "status", "acceptedNames") != at(new, "status", "acceptedNames"))


# --- status and cleaning up, on the leader


class DefinitionController:
    """A `Runnable`: accepts names that nobody else has, establishes, and empties what is deleted."""

    name = "custom resource definitions"

    def __init__(self, api: Api, clock: Clock, entropy: Entropy) -> None:
        self._api = api
        self._clock = clock
        self._controller = Controller(self.name, self._reconcile, clock=clock, entropy=entropy)

    async def run(self) -> None:
        self._api.cache(DEFINITIONS).on_change(self._observe)
        await self._controller.run()

    def _observe(self, change: ObjectChange) -> None:
        definition = change.present
        self._controller.enqueue(metadata(definition)["name"])
        if change.new is not None:
            return
        # Its names are free now: somebody may wait for them.
        for other in self._api.cache(DEFINITIONS).all():
            if other["spec"]["group"] == definition["spec"]["group"]:
                self._controller.enqueue(metadata(other)["name"])

    async def _reconcile(self, name: str) -> Result:
        try:
            definition = await self._api.get(DEFINITIONS, "", name)
        except StatusFault as fault:
            if fault.status == 404:
                return DONE
            raise
        if "deletionTimestamp" in metadata(definition):
            return await self._clean_up(definition)
        if CLEANUP not in (metadata(definition).get("finalizers") or ()):
            finalizers = [*(metadata(definition).get("finalizers") or ()), CLEANUP]
            await self._patch(definition, {"metadata": {"finalizers": finalizers}})
            return DONE
        await self._accept(definition)
        return DONE

    async def _accept(self, definition: Object) -> None:
        changed = copied(definition)
        status = changed.setdefault("status", {})
        taken = self._taken(definition)
        accepted, problem = _accepted(definition, taken)
        now = times.rfc3339(self._clock.wall())
        conditions = status.get("conditions") or []
        conditions = _with(conditions, _names_accepted(problem), now)
        if not problem[0]:
            conditions = _with(
                conditions,
                ("Established", "True", "InitialNamesAccepted", "the initial names have been accepted"),
                now,
            )
        elif not is_established(definition):
            conditions = _with(conditions, ("Established", "False", "NotAccepted", "not all names are accepted"), now)
        status["conditions"] = conditions
        status["acceptedNames"] = accepted
        if status != definition.get("status"):
            await self._update_status(changed)

    def _taken(self, definition: Object) -> dict[str, set[str]]:
        """Names that others of the group have accepted, built-in kinds among them."""
        group, name = definition["spec"]["group"], metadata(definition)["name"]
        taken: dict[str, set[str]] = {"plural": set(), "kind": set(), "short": set()}
        for other in self._api.cache(DEFINITIONS).all():
            if other["spec"]["group"] != group or metadata(other)["name"] == name:
                continue
            theirs = at(other, "status", "acceptedNames") or {}
            taken["plural"] |= {theirs.get("plural", ""), theirs.get("singular", ""), *(theirs.get("shortNames") or ())}
            taken["kind"] |= {theirs.get("kind", ""), theirs.get("listKind", "")}
        taken["plural"].discard("")
        taken["kind"].discard("")
        return taken

    async def _clean_up(self, definition: Object) -> Result:
        """Delete all its objects; then let it go."""
        if CLEANUP not in (metadata(definition).get("finalizers") or ()):
            return DONE
        resource = GroupResource(definition["spec"]["group"], definition["spec"]["names"]["plural"])
        if self._api.info(resource) is not None:
            left = await self._empty(resource, definition["spec"]["scope"] == "Namespaced")
            if left:
                await self._tell_terminating(
                    definition, "InstanceDeletionInProgress", f"CustomResource deletion is in progress: {left} left"
                )
                return RequeueAfter(LOOK_AGAIN_SECONDS)
        finalizers = [name for name in metadata(definition).get("finalizers") or () if name != CLEANUP]
        await self._patch(definition, {"metadata": {"finalizers": finalizers or None}})
        return DONE

    async def _empty(self, resource: GroupResource, namespaced: bool) -> int:
        for obj in await self._api.list(resource):
            if "deletionTimestamp" not in metadata(obj):
                namespace = metadata(obj).get("namespace", "") if namespaced else ""
                try:
                    await self._api.delete(resource, namespace, metadata(obj)["name"])
                except StatusFault as fault:
                    if fault.status != 404:
                        raise
        return len(await self._api.list(resource))

    async def _tell_terminating(self, definition: Object, reason: str, message: str) -> None:
        changed = copied(definition)
        status = changed.setdefault("status", {})
        now = times.rfc3339(self._clock.wall())
        status["conditions"] = _with(status.get("conditions") or [], ("Terminating", "True", reason, message), now)
        if status != definition.get("status"):
            await self._update_status(changed)

    async def _patch(self, definition: Object, patch: Object) -> None:
        patch["metadata"]["resourceVersion"] = metadata(definition)["resourceVersion"]
        try:
            await self._api.patch(DEFINITIONS, "", metadata(definition)["name"], patch)
        except StatusFault as fault:
            _again_if_it_moved(fault)

    async def _update_status(self, changed: Object) -> None:
        try:
            await self._api.update(DEFINITIONS, changed, subresource="status")
        except StatusFault as fault:
            _again_if_it_moved(fault)


def _again_if_it_moved(fault: StatusFault) -> None:
    if fault.reason == "Conflict":
        raise Retryable(fault.message, after=ESTABLISH_SECONDS) from fault
    if fault.status != 404:
        raise fault


def _accepted(definition: Object, taken: dict[str, set[str]]) -> tuple[Object, tuple[str, str]]:
    """(the names that may be used, (reason, message) of what may not; ("", "") where all may)."""
    wanted = definition["spec"]["names"]
    accepted = dict(at(definition, "status", "acceptedNames") or {"plural": "", "kind": ""})
    problems: list[tuple[str, str]] = []
    for name, reason, among in (
        ("plural", "PluralConflict", "plural"),
        ("singular", "SingularConflict", "plural"),
        ("kind", "KindConflict", "kind"),
        ("listKind", "ListKindConflict", "kind"),
    ):
        value = wanted.get(name, "")
        if value in taken[among]:
            problems.append((reason, f'"{value}" is already in use'))
        elif value:
            accepted[name] = value
    short = [name for name in wanted.get("shortNames") or () if name in taken["plural"]]
    if short:
        problems.append(("ShortNamesConflict", ", ".join(f'"{name}" is already in use' for name in short)))
    elif wanted.get("shortNames"):
        accepted["shortNames"] = wanted["shortNames"]
    else:
        accepted.pop("shortNames", None)
    if wanted.get("categories"):
        accepted["categories"] = wanted["categories"]
    else:
        accepted.pop("categories", None)
    return accepted, problems[0] if problems else ("", "")


def _names_accepted(problem: tuple[str, str]) -> tuple[str, str, str, str]:
    if problem[0]:
        return "NamesAccepted", "False", *problem
    return "NamesAccepted", "True", "NoConflicts", "no conflicts found"


def _with(conditions: Sequence[Object], told: tuple[str, str, str, str], now: str) -> list[Object]:
    """The conditions with this one; its time moves only when its status does."""
    kind, status, reason, message = told
    old = next((condition for condition in conditions if condition.get("type") == kind), None)
    same = old is not None and old.get("status") == status
    fresh = {
        "type": kind,
        "status": status,
        "lastTransitionTime": old.get("lastTransitionTime", now) if old is not None and same else now,
        "reason": reason,
        "message": message,
    }
    if old is not None and all(old.get(key) == fresh[key] for key in ("status", "reason", "message")):
        return list(conditions)
    if old is None:
        return [*conditions, fresh]
    return [fresh if condition.get("type") == kind else condition for condition in conditions]
