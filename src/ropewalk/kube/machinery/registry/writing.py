"""Create, update and delete: the way of every object into the store, for every resource.

The order of steps is kube-apiserver's: ownership of fields is noted, mutating admission, what the server fills and
takes over, the kind's preparation, its rules, validating admission, the write. A write that meets a newer object starts
over where the client named no version, and is refused where it did. Nothing is written twice, and nothing that did not
change is written at all.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.kube.machinery import errors, times
from ropewalk.kube.machinery.admission import Admission, AdmissionChain
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.apply.tracking import settle_times, track_update
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.fields import FieldErrors
from ropewalk.kube.machinery.objects import Object, copied
from ropewalk.kube.machinery.registry import codec, deletion, keys, metadata
from ropewalk.kube.machinery.registry.aspects import MAIN, Aspect
from ropewalk.kube.machinery.registry.deletion import DeleteOptions, Fate
from ropewalk.kube.machinery.registry.served import Served
from ropewalk.kube.machinery.registry.storage import Storage
from ropewalk.kube.machinery.requests import Call
from ropewalk.kube.machinery.strategy import Finish, keep
from ropewalk.store.protocol import Entry, KeyExists, KeyMissing, OutOfBounds, WrongRevision

NAME_TRIES = 8
CONFLICT_TRIES = 16
"""More than the writers of any one object at once; past it the client is told of the conflict."""


@dataclass(frozen=True, slots=True)
class Written:
    """What stands in the store now: `object` in the request's version, and its stored form."""

    object: Object
    value: bytes
    revision: int
    created: bool = False
    removed: bool = False
    """Gone for good; `object` is its last state."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What an update wants to write."""

    object: Object
    owns_fields: bool = False
    """managedFields are settled already (server-side apply)."""


Transform = Callable[[Object], Awaitable[Proposal]]
"""The present object (owned, in the request's version) → the wanted one. Called again after a conflict."""


class Writer:
    def __init__(self, storage: Storage, chain: AdmissionChain, api: Api, clock: Clock, entropy: Entropy) -> None:
        self._storage = storage
        self._chain = chain
        self._api = api
        self._clock = clock
        self._entropy = entropy

    # --- create

    async def create(
        self, served: Served, obj: Object, call: Call, namespace: str, options: Object, *, owns_fields: bool = False
    ) -> Written:
        """`obj` is owned, decoded and defaulted. Raises `StatusFault`s."""
        info, strategy = served.info, served.strategy
        metadata.match_namespace(obj, info, namespace)
        if strategy.has_status and not owns_fields:
            obj.pop("status", None)
        now = times.rfc3339(self._clock.wall())
        if not owns_fields:
            track_update(
                None,
                obj,
                schema=served.schema,
                manager=call.field_manager,
                api_version=info.api_version,
                subresource="",
                now=now,
                reset=served.reset_fields(""),
            )
        name = obj["metadata"].get("name", "")
        admission = Admission(
            call, "CREATE", info, "", namespace, name, obj, None, options, info.gvk, dry_run=call.dry_run
        )
        await self._chain.mutate(admission)
        assert admission.object is not None
        obj = admission.object
        self._warn_of_doubles(obj, call)
        generated = "" if obj["metadata"].get("name") else obj["metadata"].get("generateName", "")
        for _ in range(NAME_TRIES):
            attempt = copied(obj) if generated else obj  # preparation may write the name into it
            metadata.fill_create(attempt, self._entropy.uuid(), now)
            if generated:
                attempt["metadata"]["name"] = metadata.generated_name(generated, self._entropy)
            try:
                return await self._create_once(served, attempt, admission)
            except KeyExists:
                name = attempt["metadata"]["name"]
                if not generated:
                    raise errors.already_exists(info.plural, info.group, name) from None
        raise errors.generate_name_exhausted(info.plural, info.group, name)

    async def _create_once(self, served: Served, obj: Object, admission: Admission) -> Written:
        strategy, call = served.strategy, admission.call
        strategy.prepare_create(obj)
        strategy.stamp(obj, None, call.user, self._clock.wall())
        served.complete(obj)
        finish = await strategy.before_create(obj, self._api, dry_run=call.dry_run)
        return await _finished(finish, self._judge_and_create(served, obj, admission), dry_run=call.dry_run)

    async def _judge_and_create(self, served: Served, obj: Object, admission: Admission) -> Written:
        info, strategy, call = served.info, served.strategy, admission.call
        found = FieldErrors()
        metadata.validate(obj, info, strategy, found)
        strategy.validate_create(obj, found)
        if found:
            raise found.fault(info.kind, info.group, obj["metadata"].get("name", ""))
        call.warnings.extend(strategy.warnings(obj, None))
        admission.object = obj
        admission.name = obj["metadata"]["name"]
        await self._chain.validate(admission)
        if obj["metadata"].pop("resourceVersion", "") not in ("", "0"):
            raise errors.bad_request("resourceVersion should not be set on objects to be created")
        key = keys.key(served.storage, admission.namespace, admission.name)
        value = await self._encoded(served, obj)
        if call.dry_run:
            if await self._storage.get(key) is not None:
                raise KeyExists(key)
            return Written(obj, value, 0, created=True)
        with _bounded(served, admission.name):
            revision = await self._storage.create(key, value)
        obj["metadata"]["resourceVersion"] = str(revision)
        return Written(obj, value, revision, created=True)

    # --- update

    async def update(
        self,
        served: Served,
        namespace: str,
        name: str,
        transform: Transform,
        call: Call,
        options: Object,
        *,
        aspect: Aspect = MAIN,
    ) -> Written:
        """Raises NotFound where there is no such object, Conflict where the proposal names an older version of it."""
        key = keys.key(served.storage, namespace, name)
        for _ in range(CONFLICT_TRIES):
            entry = await self._storage.get(key)
            if entry is None:
                raise errors.not_found(served.info.plural, served.info.group, name)
            try:
                return await self._update_once(served, entry, transform, call, options, aspect)
            except _MovedOn:
                continue
        raise errors.conflict(served.info.plural, served.info.group, name, errors.OBJECT_MODIFIED)

    async def _update_once(
        self, served: Served, entry: Entry, transform: Transform, call: Call, options: Object, aspect: Aspect
    ) -> Written:
        old = await self._decoded(served, entry)
        proposal = await transform(await self._decoded(served, entry))
        new = proposal.object
        namespace, name = old["metadata"].get("namespace", ""), old["metadata"]["name"]
        self._check_version(served, new, old)
        metadata.match_namespace(new, served.info, namespace)
        self._track(served, new, old, call, aspect, settled=proposal.owns_fields)
        admission = Admission(
            call,
            "UPDATE",
            served.info,
            aspect.name,
            namespace,
            name,
            new,
            old,
            options,
            served.info.gvk,
            dry_run=call.dry_run,
        )
        await self._chain.mutate(admission)
        assert admission.object is not None
        new = admission.object
        self._warn_of_doubles(new, call)
        keep(new["metadata"], old["metadata"], "generation")
        served.complete(new)
        aspect.prepare(served.strategy, new, old)
        served.strategy.stamp(new, old, call.user, self._clock.wall())
        metadata.fill_update(new, old)
        finish = await served.strategy.before_update(new, old, self._api, dry_run=call.dry_run)
        write = self._judge_and_write(served, entry, new, old, admission, aspect)
        return await _finished(finish, write, dry_run=call.dry_run)

    async def _judge_and_write(
        self, served: Served, entry: Entry, new: Object, old: Object, admission: Admission, aspect: Aspect
    ) -> Written:
        call = admission.call
        found = FieldErrors()
        metadata.validate_update(new, old, served.info, found)
        aspect.validate(served.strategy, new, old, found)
        if found:
            raise found.fault(served.info.kind, served.info.group, admission.name)
        call.warnings.extend(aspect.warn(served.strategy, new, old))
        admission.object = new
        await self._chain.validate(admission)
        return await self._write(served, entry, new, old, call)

    def _check_version(self, served: Served, new: Object, old: Object) -> None:
        """Refuse a proposal made for another version than the present one; make it name this one. Raises Conflict."""
        info, present = served.info, old["metadata"]["resourceVersion"]
        given = new["metadata"].get("resourceVersion", "")
        name = old["metadata"]["name"]
        uid = new["metadata"].get("uid", "")
        if uid and uid != old["metadata"]["uid"]:
            told = keys.told(served.strategy.kept_under or info.plural, old["metadata"].get("namespace", ""), name)
            raise errors.unmet_precondition(info.plural, info.group, name, told, "UID", uid, old["metadata"]["uid"])
        if given in ("", "0"):
            if not served.strategy.allow_unconditional_update:
                found = FieldErrors()
                found.invalid(metadata.METADATA / "resourceVersion", 0, "must be specified for an update")
                raise found.fault(info.kind, info.group, name)
        elif given != present:
            raise errors.conflict(info.plural, info.group, name, errors.OBJECT_MODIFIED)
        new["metadata"]["resourceVersion"] = present

    def _track(self, served: Served, new: Object, old: Object, call: Call, aspect: Aspect, *, settled: bool) -> None:
        aspect.reset(served.strategy, new, old)
        if not settled:
            served.complete(new)  # what is there unasked is nobody's change
            track_update(
                old,
                new,
                schema=served.schema,
                manager=call.field_manager,
                api_version=served.info.api_version,
                subresource=aspect.name,
                now=times.rfc3339(self._clock.wall()),
                reset=served.reset_fields(aspect.name),
            )

    async def _write(self, served: Served, entry: Entry, new: Object, old: Object, call: Call) -> Written:
        if deletion.is_finished(new, served.strategy):
            value = await self._encoded(served, new)
            if not call.dry_run:
                await self._remove(served, entry, new)
            return Written(new, value, int(entry.revision), removed=True)
        settle_times(old, new)
        if new == old:
            return Written(old, entry.value, int(entry.revision))
        value = await self._encoded(served, new)
        if call.dry_run or value == entry.value:
            return Written(new, value, int(entry.revision))
        with _bounded(served, new["metadata"]["name"]):
            revision = await self._replace(served, entry, value)
        new["metadata"]["resourceVersion"] = str(revision)
        return Written(new, value, revision)

    async def _replace(self, served: Served, entry: Entry, value: bytes) -> int:
        name = entry.key.rpartition("/")[2]
        try:
            return int(await self._storage.update(entry.key, value, entry.revision))
        except KeyMissing:
            raise errors.not_found(served.info.plural, served.info.group, name) from None
        except WrongRevision:
            raise _MovedOn from None

    # --- delete

    async def delete(
        self, served: Served, namespace: str, name: str, options: DeleteOptions, call: Call, document: Object
    ) -> Written:
        """`document` is the DeleteOptions as admission sees them."""
        deletion.validate_options(options)
        info = served.info
        key = keys.key(served.storage, namespace, name)
        for _ in range(CONFLICT_TRIES):
            entry = await self._storage.get(key)
            if entry is None:
                raise errors.not_found(info.plural, info.group, name)
            old = await self._decoded(served, entry)
            deletion.check_preconditions(old, info, options)
            admission = Admission(
                call, "DELETE", info, "", namespace, name, None, old, document, info.gvk, dry_run=call.dry_run
            )
            await self._chain.mutate(admission)
            await self._chain.validate(admission)
            verdict = deletion.decide(await self._decoded(served, entry), served.strategy, options, self._clock.wall())
            try:
                return await self._carry_out(served, entry, old, verdict, dry_run=call.dry_run)
            except _MovedOn:
                continue
        raise errors.conflict(info.plural, info.group, name, errors.OBJECT_MODIFIED)

    async def _carry_out(
        self, served: Served, entry: Entry, old: Object, verdict: deletion.Verdict, *, dry_run: bool
    ) -> Written:
        if verdict.fate is Fate.KEEP:
            return Written(old, entry.value, int(entry.revision))
        last = verdict.changed or old
        value = await self._encoded(served, last)
        if verdict.fate is Fate.MARK:
            if dry_run or value == entry.value:
                return Written(last, value, int(entry.revision))
            revision = await self._replace(served, entry, value)
            last["metadata"]["resourceVersion"] = str(revision)
            return Written(last, value, revision)
        if not dry_run:
            revision = await self._remove(served, entry, last)
            last["metadata"]["resourceVersion"] = str(revision)
        return Written(last, value, int(entry.revision), removed=True)

    async def _remove(self, served: Served, entry: Entry, last: Object) -> int:
        try:
            revision = int(await self._storage.delete(entry.key, entry.revision))
        except KeyMissing:
            raise errors.not_found(served.info.plural, served.info.group, entry.key.rpartition("/")[2]) from None
        except WrongRevision:
            raise _MovedOn from None
        await served.strategy.after_delete(last, self._api)
        return revision

    # --- both

    async def _decoded(self, served: Served, entry: Entry) -> Object:
        """An owned copy, in the request's version."""
        kept = served.kept_as
        obj = codec.decode(entry.value, entry.revision, kept.api_version, kept.kind)
        if served.reader is not None:
            return (await served.reader([obj]))[0]
        return obj if served.shown is None else copied(served.shown(obj))

    async def _encoded(self, served: Served, obj: Object) -> bytes:
        if served.writer is not None:
            stored = await served.writer(obj)
        else:
            stored = obj if served.kept is None else served.kept(obj)
        return codec.encode(stored, custom=served.custom)

    def _warn_of_doubles(self, obj: Object, call: Call) -> None:
        warning = metadata.without_double_owners(obj)
        if warning:
            call.warnings.append(warning)


class _MovedOn(Exception):
    """The object was written meanwhile: begin again with what it is now."""


async def _finished(finish: Finish | None, write: Awaitable[Written], *, dry_run: bool) -> Written:
    """Await `write`; who claimed something for it is told how it ended, where that is known: a store that did not
    answer may have written it, and what a written object holds is not for others to have.
    """
    if finish is None:
        return await write
    try:
        written = await write
    except (StatusFault, KeyExists, _MovedOn):
        await finish(False)
        raise
    await finish(not dry_run)
    return written


@contextmanager
def _bounded(served: Served, name: str) -> Iterator[None]:
    try:
        yield
    except OutOfBounds as error:
        fault = errors.entity_too_large(f'{served.info.plural} "{name}" is too large to be stored: {error}')
        raise fault from None
