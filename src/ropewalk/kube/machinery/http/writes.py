"""POST, PUT, PATCH and DELETE. What is read of the request here; what becomes of it in `registry.writing`."""

from __future__ import annotations

from dataclasses import replace

from ropewalk.base.http.messages import Response
from ropewalk.kube.machinery import errors, times
from ropewalk.kube.machinery.access import Authorizer, Verdict
from ropewalk.kube.machinery.http import answers
from ropewalk.kube.machinery.http.bodies import Bodies, json_of, read_patch
from ropewalk.kube.machinery.http.exchange import Exchange
from ropewalk.kube.machinery.http.negotiation import patch_type
from ropewalk.kube.machinery.http.options import delete_options, is_true, list_options, write_options
from ropewalk.kube.machinery.http.reads import Reads, selection_for
from ropewalk.kube.machinery.objects import Json, Object, copied, metadata
from ropewalk.kube.machinery.registry import bodies, patching, reading, subresources
from ropewalk.kube.machinery.registry.aspects import MAIN, Aspect
from ropewalk.kube.machinery.registry.patching import APPLY, Patch
from ropewalk.kube.machinery.registry.registry import Registry
from ropewalk.kube.machinery.registry.served import Served, decoded
from ropewalk.kube.machinery.registry.subresources import Subresources
from ropewalk.kube.machinery.registry.writing import Proposal, Written
from ropewalk.kube.machinery.resources import GroupVersionKind, ResourceInfo
from ropewalk.kube.machinery.strategy import ScalePaths

SCALE = GroupVersionKind("autoscaling", "v1", "Scale")


class Writes:
    def __init__(
        self, registry: Registry, subresources: Subresources, reads: Reads, authorizer: Authorizer, bodies: Bodies
    ) -> None:
        self._registry = registry
        self._subresources = subresources
        self._reads = reads
        self._authorizer = authorizer
        self._bodies = bodies

    # --- create

    async def create(self, served: Served, exchange: Exchange) -> Response:
        call, route = exchange.call, exchange.route
        options = write_options(exchange.query, call, "CreateOptions")
        body, doubled = self._bodies.read(exchange, served)
        evaluate = self._subresources.virtual.get(served.info.group_resource)
        obj = bodies.read(served, body, call, doubled, json_of(exchange) if doubled else b"")
        if evaluate is not None:
            if served.info.namespaced:
                obj["metadata"].setdefault("namespace", route.namespace)
            return answers.document(await evaluate(obj, call), status=201, media_type=exchange.wanted.media_type)
        written = await self._registry.writer.create(served, obj, call, route.namespace, options)
        return await self._answer(served, exchange, written)

    async def create_sub(self, served: Served, exchange: Exchange) -> Response:
        """POST to a subresource: eviction, binding, token."""
        call, route = exchange.call, exchange.route
        write_options(exchange.query, call, "CreateOptions")
        body, told = self._bodies.read(exchange, served)
        known = served.info.subresource(route.subresource)
        bodies.tell(told, call, served.info.gvk if known is None else known.kind)
        made = await self._subresources.create(served, route.subresource, route.namespace, route.name, body, call)
        return answers.document(made, status=201, media_type=exchange.wanted.media_type)

    # --- update

    async def update(self, served: Served, exchange: Exchange, *, create_on_missing: bool = True) -> Response:
        call, route = exchange.call, exchange.route
        options = write_options(exchange.query, call, "UpdateOptions")
        body, doubled = self._bodies.read(exchange, served)
        aspect = self._aspect(served, route.subresource)
        new = bodies.read(served, body, call, doubled, json_of(exchange) if doubled else b"")
        self._check_name(new, route.name)

        async def change(old: Object) -> Proposal:
            return Proposal(copied(new))

        try:
            written = await self._registry.writer.update(
                served, route.namespace_of(served.info), route.name, change, call, options, aspect=aspect
            )
        except errors.StatusFault as fault:
            missing = fault.status == 404 and served.strategy.allow_create_on_update and aspect is MAIN
            if not missing or metadata(new).get("resourceVersion") or metadata(new).get("uid"):
                raise
            await self._authorize_create(served, exchange)
            written = await self._registry.writer.create(served, copied(new), call, route.namespace, options)
        return await self._answer(served, exchange, written)

    async def patch(self, served: Served, exchange: Exchange) -> Response:
        call, route = exchange.call, exchange.route
        kind = patch_type(exchange.request.header("content-type"))
        options = write_options(exchange.query, call, "PatchOptions", patch_type=kind)
        document, doubled = read_patch(exchange, kind)
        patch = Patch(kind, document, tuple(doubled), is_true(exchange.query, "force"))
        aspect = self._aspect(served, route.subresource)
        namespace = route.namespace_of(served.info)
        now = times.rfc3339(self._registry.clock.wall())
        if kind == APPLY:
            self._check_applied(served, document, route.name)
            change = patching.applied(served, patch, call, aspect.name, now)
        else:
            change = patching.transform(served, patch, call, route.name)
        try:
            written = await self._registry.writer.update(
                served, namespace, route.name, change, call, options, aspect=aspect
            )
        except errors.StatusFault as fault:
            if fault.status != 404 or kind != APPLY or aspect is not MAIN:
                raise
            await self._authorize_create(served, exchange)
            document.setdefault("metadata", {}).setdefault("name", route.name)
            made = patching.created_by_apply(served, patch, call, now)
            written = await self._registry.writer.create(served, made, call, route.namespace, options, owns_fields=True)
        return await self._answer(served, exchange, written)

    def _aspect(self, served: Served, subresource: str) -> Aspect:
        return self._subresources.aspect(served, subresource) if subresource else MAIN

    def _check_name(self, obj: Object, name: str) -> None:
        given = metadata(obj).get("name", "")
        if not given:
            obj["metadata"] = {**metadata(obj), "name": name}
        elif given != name:
            raise errors.bad_request(f"the name of the object ({given}) does not match the name on the URL ({name})")

    def _check_applied(self, served: Served, document: object, name: str) -> None:
        """An applied configuration says what it is and which object it is for."""
        if not isinstance(document, dict):
            raise errors.bad_request("error decoding YAML: the applied configuration is no object")
        info = served.info
        given = (document.get("apiVersion"), document.get("kind"))
        if given != (info.api_version, info.kind):
            raise _wrong_type(info, *given)
        if not isinstance(metadata(document), dict):
            raise errors.bad_request("error decoding YAML: metadata of the applied configuration is no object")
        if metadata(document).get("managedFields"):
            raise errors.bad_request("metadata.managedFields must be nil")
        self._check_name(document, name)

    async def _authorize_create(self, served: Served, exchange: Exchange) -> None:
        """A write that turns out to create needs that verb as well."""
        decision = await self._authorizer.authorize(replace(exchange.call.attributes, verb="create"))
        if decision.verdict is not Verdict.ALLOW:
            info = served.info
            raise errors.forbidden(
                info.plural, info.group, exchange.route.name, decision.reason or "you may not create it"
            )

    # --- scale

    async def get_scale(self, served: Served, paths: ScalePaths, exchange: Exchange) -> Response:
        route = exchange.route
        entry = await self._registry.reader.get(served, route.namespace, route.name)
        obj = (await decoded(served, [(entry.value, int(entry.revision))]))[0]
        return answers.document(subresources.scale_of(obj, paths), media_type=exchange.wanted.media_type)

    async def write_scale(self, served: Served, paths: ScalePaths, exchange: Exchange) -> Response:
        """PUT or PATCH of a `scale` subresource: of the object it changes the replicas alone."""
        call, route = exchange.call, exchange.route
        if exchange.request.method == "PUT":
            options = write_options(exchange.query, call, "UpdateOptions")
            body, told = self._bodies.read(exchange, served)
            bodies.tell(told, call, SCALE)
            patch = None
            self._check_name(body, route.name)
        else:
            kind = patch_type(exchange.request.header("content-type"))
            options = write_options(exchange.query, call, "PatchOptions", patch_type=kind)
            document, doubled = read_patch(exchange, kind)
            patch = Patch("merge" if kind in ("strategic", "apply") else kind, document, tuple(doubled))

        async def change(old: Object) -> Proposal:
            present = subresources.scale_of(old, paths)
            if patch is None:
                wanted = copied(body)
            else:
                wanted = self._bodies.typed(patching.patched(served, patch, present), SCALE)[0]
                wanted.setdefault("metadata", {})
            if patch is not None and wanted["metadata"].get("resourceVersion") == old["metadata"]["resourceVersion"]:
                wanted["metadata"] = dict(wanted["metadata"], resourceVersion="")
            return Proposal(subresources.scaled(old, wanted, paths))

        aspect = replace(MAIN, name="scale")
        written = await self._registry.writer.update(
            served, route.namespace, route.name, change, call, options, aspect=aspect
        )
        return answers.document(subresources.scale_of(written.object, paths), media_type=exchange.wanted.media_type)

    # --- delete

    async def delete(self, served: Served, exchange: Exchange) -> Response:
        call, route = exchange.call, exchange.route
        options, document = delete_options(exchange.query, self._bodies.read_options(exchange))
        call.dry_run = options.dry_run
        written = await self._registry.writer.delete(
            served, route.namespace_of(served.info), route.name, options, call, document
        )
        info = served.info
        accepted = not written.removed and options.orphan_dependents is False
        if written.removed and not served.strategy.returns_deleted:
            details = {"name": route.name, "kind": info.plural, "uid": written.object["metadata"]["uid"]}
            if info.group:
                details["group"] = info.group
            return answers.document(answers.success(details), media_type=exchange.wanted.media_type)
        response = await self._answer(served, exchange, written)
        response.status = 202 if accepted else 200
        return response

    async def delete_collection(self, served: Served, exchange: Exchange) -> Response:
        """Each that the selectors choose, one after another; not atomic, as Kubernetes' is not."""
        call, route = exchange.call, exchange.route
        options, document = delete_options(exchange.query, self._bodies.read_options(exchange))
        call.dry_run = options.dry_run
        chosen = list_options(exchange.query, watch=False)
        reading.validate(chosen)
        found = await self._registry.reader.page(served, route.namespace, selection_for(served, chosen), chosen)
        for entry in found.entries:
            namespace, _, name = entry.key.rpartition("/")
            try:
                await self._registry.writer.delete(
                    served,
                    namespace.rpartition("/")[2] if served.info.namespaced else "",
                    name,
                    options,
                    call,
                    document,
                )
            except errors.StatusFault as fault:
                if fault.status != 404:
                    raise
        body = await self._reads.form(served, exchange).many(
            found.entries, found.revision, found.continue_token, found.remaining
        )
        return answers.encoded(body, media_type=exchange.wanted.media_type)

    async def _answer(self, served: Served, exchange: Exchange, written: Written) -> Response:
        form = self._reads.form(served, exchange)
        if written.revision and not written.removed:
            body = await form.one(written.value, written.revision)
        else:
            body = form.object(written.object)
        status = 201 if written.created else 200
        return answers.encoded(body, status=status, media_type=exchange.wanted.media_type)


def _wrong_type(info: ResourceInfo, api_version: Json, kind: Json) -> errors.StatusFault:
    if kind == info.kind:
        return errors.bad_request(
            f"Incorrect version specified in apply patch. Specified patch version: {api_version},"
            f" expected: {info.api_version}"
        )
    return errors.bad_request(
        f"the object provided is unrecognized (must be of type {info.kind}):"
        f' it is of apiVersion "{api_version}", kind "{kind}"'
    )
