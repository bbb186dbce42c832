"""What is particular to one kind: its defaults, its rules, what a write may change, how a table shows it.

A kind's file in `ropewalk.kube.kinds` subclasses `Strategy` and overrides what differs; the registry
(`machinery/registry`) calls the hooks in the order in which they stand here, which is kube-apiserver's. All hooks but
those that are given an `Api` are pure functions of their arguments. `default` and `prepare_…` change `new` in place:
the registry hands them objects of their own.

The order of a create: decode → `default` → mutating admission → metadata filled → `prepare_create` → `before_create` →
`validate_create` → validating admission → stored. Of an update: decode → `default` → admission → `prepare_update` →
`validate_update` → stored. Updates that change nothing are not stored.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ropewalk.kube.machinery import names
from ropewalk.kube.machinery.apply.field_sets import LEAF, FieldSet
from ropewalk.kube.machinery.fields import FieldErrors
from ropewalk.kube.machinery.objects import Json, Object, metadata
from ropewalk.kube.machinery.requests import User

if TYPE_CHECKING:
    from ropewalk.kube.machinery.api import Api

ALL_METADATA = ("annotations", "deletionTimestamp", "finalizers", "labels", "ownerReferences")
"""What of the metadata a write can change at all."""
STATUS_ALONE: Mapping[str, FieldSet] = {"status": {"f:metadata": LEAF, "f:spec": LEAF}}
"""The `reset_fields` of kinds whose status takes no metadata along."""

Selectable = Callable[[Object], str]
"""The value of a selectable field; "" where it is absent."""


Finish = Callable[[bool], Awaitable[None]]
"""Told whether the object was written, once that is known. Where a write's outcome is not known it is never told, and
what was claimed stays claimed until somebody who looks over all claims finds it unused. Does not raise: what cannot be
given back just now is found in the same way.
"""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of `kubectl get`.
    https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables
    """

    name: str
    cell: Callable[[Object, float], Json]
    """(object, wall time) → the cell: a string, number or boolean. Ages are computed from the wall time."""
    type: str = "string"
    format: str = ""
    description: str = ""
    priority: int = 0
    """0 always, 1 with `-o wide`."""


@dataclass(frozen=True, slots=True)
class ScalePaths:
    """Where the `scale` subresource reads and writes."""

    spec_replicas: tuple[str, ...] = ("spec", "replicas")
    status_replicas: tuple[str, ...] = ("status", "replicas")
    selector: tuple[str, ...] = ("spec", "selector")
    """A LabelSelector, a map of labels (ReplicationController), or a string (custom resources)."""


class Strategy:
    """The defaults fit a plain kind: spec and status apart, generation counted, names are DNS-1123 subdomains."""

    has_status: ClassVar[bool] = False
    """A write of the object leaves `status` alone; a write of its `status` subresource leaves the spec alone."""
    has_generation: ClassVar[bool] = False
    """`metadata.generation` is 1 at creation, and one more whenever anything outside metadata and status changes."""
    allow_create_on_update: ClassVar[bool] = False
    """A PUT of a name that does not exist creates it (leases, endpoints, …)."""
    allow_unconditional_update: ClassVar[bool] = True
    """A PUT without resourceVersion overwrites whatever is there."""
    scale: ClassVar[ScalePaths | None] = None
    columns: ClassVar[tuple[Column, ...]] = ()
    """After Name and before Age are the registry's; () shows Name and Age alone. Given columns are shown exactly as
    given (Name and Age included).
    """
    selectable_fields: ClassVar[Mapping[str, Selectable]] = {}
    """Field selectors beside metadata.name and metadata.namespace; see `unselectable` too."""
    returns_deleted: ClassVar[bool] = False
    """A DELETE that is done at once answers the object, not a Status."""
    status_keeps: ClassVar[tuple[str, ...]] = ()
    """Of the metadata, what a write of the `status` leaves alone: mostly nothing (`ALL_METADATA`: everything)."""
    reset_fields: ClassVar[Mapping[str, FieldSet]] = {}
    """Subresource ("" is the object) → the field set that a write through it never owns, where that is not the usual
    one (`apply`).
    """
    kept_under: ClassVar[str] = ""
    """The folder of kube-apiserver's keys, where that is not called as the resource is; see `keys.told`."""
    default_propagation: ClassVar[str] = "Background"
    """What DELETE does with dependents unless asked otherwise."""

    # --- in place, on an object of one's own

    def default(self, obj: Object) -> None:
        """Fill what was left out; idempotent."""

    def prepare_create(self, obj: Object) -> None:
        """Drop what a client may not set at creation. Override with `super()`."""
        if self.has_status:
            obj.pop("status", None)
        if self.has_generation:
            obj["metadata"]["generation"] = 1

    def prepare_update(self, new: Object, old: Object) -> None:
        """Take over from `old` what this write may not change. Override with `super()`."""
        if self.has_status:
            keep(new, old, "status")
        self.count_generation(new, old)

    def prepare_status_update(self, new: Object, old: Object) -> None:
        """Take over from `old` all but the status and the metadata, which most kinds take through this door as well."""
        for key in old.keys() | new.keys():
            if key not in ("status", "metadata", "apiVersion", "kind"):
                keep(new, old, key)
        for name in ("generation", *self.status_keeps):
            keep(new["metadata"], old["metadata"], name)

    def count_generation(self, new: Object, old: Object) -> None:
        if not self.has_generation:
            return
        generation = metadata(old).get("generation", 1)
        ours = ("metadata", "status", "apiVersion", "kind")
        changed = any(new.get(key) != old.get(key) for key in old.keys() | new.keys() if key not in ours)
        new["metadata"]["generation"] = generation + 1 if changed else generation

    def stamp(self, new: Object, old: Object | None, user: User, now: float) -> None:
        """Note, in place and after all preparation, who writes and when (`now`: wall time). `old` None: a creation."""

    # --- with effects

    async def before_create(self, obj: Object, api: Api, *, dry_run: bool) -> Finish | None:
        """Claim what the object needs (addresses, ports): change `obj` in place; return who gives it back if the write
        fails. None where nothing was claimed, as for most kinds.
        """
        return None

    async def before_update(self, new: Object, old: Object, api: Api, *, dry_run: bool) -> Finish | None:
        """The same for an update, which may also hold less than before once it is written."""
        return None

    async def after_delete(self, obj: Object, api: Api) -> None:
        """The object is gone for good: give back what it held, and take away what must not outlive it."""

    # --- judging; `errors` collects

    def name_problems(self, name: str, *, prefix: bool) -> list[str]:
        """Why `name` (or, with `prefix`, a generateName) is none of this kind."""
        return names.dns1123_subdomain(name, prefix=prefix)

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        """The kind's own rules; metadata is checked by the registry."""

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        """Rules of an update; by default those of a create. Override to add what is immutable."""
        self.validate_create(new, errors)

    def validate_status_update(self, new: Object, old: Object, errors: FieldErrors) -> None: ...

    def unselectable(self, field: str) -> str:
        """Why no field selector may ask for that field; kinds with selectable fields say it in other words."""
        if self.selectable_fields:
            return f"field label not supported: {field}"
        return f'"{field}" is not a known field selector: only "metadata.name", "metadata.namespace"'

    def warnings(self, new: Object, old: Object | None) -> list[str]:
        """`Warning:` headers for a create (`old` None) or update."""
        return []

    def status_warnings(self, new: Object, old: Object) -> list[str]:
        """The same for a write of the status."""
        return []

    # --- deletion

    def is_held(self, obj: Object) -> bool:
        """Whether something of the kind's own, beside finalizers, keeps a deleted object (a namespace's contents)."""
        return False

    def begin_deletion(self, obj: Object) -> None:
        """The object gets its deletionTimestamp now: say so in it, in place."""

    def grace_seconds(self, obj: Object, asked: int | None) -> int | None:
        """None deletes at once; a number makes deletion graceful: the object stays, with a deletionTimestamp, until its
        owner confirms by deleting with grace 0. Only pods override it."""
        return None


def keep(new: Object, old: Object, key: str) -> None:
    """Make `new[key]` what `old[key]` is, absent where that is absent."""
    if key in old:
        new[key] = old[key]
    else:
        new.pop(key, None)
