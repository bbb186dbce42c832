"""POST to a service account's `token`: a bound token for whoever may ask for one.

https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/
"""

from __future__ import annotations

from collections.abc import Sequence

from ropewalk.base.clock import Clock
from ropewalk.kube.kinds.authentication.reviews import default_token_request, validate_token_request
from ropewalk.kube.kinds.definitions import definitions
from ropewalk.kube.machinery import decoding, errors, times
from ropewalk.kube.machinery.admission import Admission, AdmissionChain
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.fields import ROOT, FieldErrors
from ropewalk.kube.machinery.objects import Object, at, copied, metadata, uid_of
from ropewalk.kube.machinery.registry import bodies
from ropewalk.kube.machinery.registry.served import Served
from ropewalk.kube.machinery.requests import Call
from ropewalk.kube.machinery.resources import GroupResource, GroupVersionKind
from ropewalk.kube.security.service_account_tokens import Bound, TokenIssuer

KIND = GroupVersionKind("authentication.k8s.io", "v1", "TokenRequest")
ACCOUNTS, PODS = GroupResource("", "serviceaccounts"), GroupResource("", "pods")
SECRETS, NODES = GroupResource("", "secrets"), GroupResource("", "nodes")
KUBELET_SECONDS = 60 * 60 + 7
"""What kubelets ask for on behalf of pods that ask for nothing: old clients may not read the file anew, so these tokens
live longer than told, and their late use is noted.
"""
EXTENDED_SECONDS = 365 * 24 * 60 * 60
ISSUED_CREDENTIAL = "authentication.kubernetes.io/issued-credential-id"


class TokenRequests:
    """`create` is a `Create` of `Subresources.creators`, of (serviceaccounts, "token")."""

    def __init__(
        self, api: Api, issuer: TokenIssuer, chain: AdmissionChain, audiences: Sequence[str], clock: Clock
    ) -> None:
        """`audiences` of the API server: what a token is for unless asked otherwise."""
        self._api = api
        self._issuer = issuer
        self._chain = chain
        self._audiences = tuple(audiences)
        self._clock = clock
        self._read = decoding.reader(KIND, definitions())

    async def create(self, served: Served, namespace: str, name: str, body: Object, call: Call) -> Object:
        request = self._decoded(body, call)
        admission = Admission(
            call,
            "CREATE",
            served.info,
            "token",
            namespace,
            name,
            request,
            None,
            {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
            KIND,
            dry_run=call.dry_run,
        )
        await self._chain.mutate(admission)
        request = admission.object or request
        _check_place(request, namespace, name)
        account = await self._api.get(ACCOUNTS, namespace, name)
        now = self._clock.wall()
        self._complete(request, account, now)
        found = FieldErrors()
        validate_token_request(request, found)
        if found:
            raise found.fault(KIND.kind, KIND.group, "")
        admission.object = copied(request)
        await self._chain.validate(admission)
        return await self._answered(request, account, now, call)

    def _decoded(self, body: Object, call: Call) -> Object:
        request, complaints = self._read(body)
        bodies.tell(complaints, call, KIND)
        request.setdefault("metadata", {})
        default_token_request(request)
        return request

    def _complete(self, request: Object, account: Object, now: float) -> None:
        """Fill in whose token it is and for whom. Raises Conflict where another incarnation's is meant."""
        meta, held = request["metadata"], metadata(account)
        if meta.get("uid") and meta["uid"] != held["uid"]:
            raise errors.conflict(
                KIND.kind,
                KIND.group,
                held["name"],
                f"the UID in the token request ({meta['uid']}) does not match the UID of the service account"
                f" ({held['uid']})",
            )
        meta.update(name=held["name"], namespace=held["namespace"], uid=held["uid"])
        meta["creationTimestamp"] = times.rfc3339(now)
        if not request["spec"].get("audiences"):
            request["spec"]["audiences"] = list(self._audiences)
        request.pop("status", None)

    async def _answered(self, request: Object, account: Object, now: float, call: Call) -> Object:
        spec = request["spec"]
        bound = await self._bound(spec.get("boundObjectRef"), account)
        asked = lives = spec["expirationSeconds"]
        warn_after = 0
        ours = set(spec["audiences"]) <= set(self._audiences)
        if bound.pod is not None and asked == KUBELET_SECONDS and ours:
            lives, warn_after = EXTENDED_SECONDS, asked
        issued = self._issuer.issue(account, spec["audiences"], lives, bound, warn_after=warn_after)
        call.audit[ISSUED_CREDENTIAL] = issued.credential_id
        request["status"] = {"token": issued.token, "expirationTimestamp": times.rfc3339(now + asked)}
        return request

    # --- what it is bound to

    async def _bound(self, reference: Object | None, account: Object) -> Bound:
        if reference is None:
            return Bound()
        kind, name = _kind_of(reference), reference.get("name", "")
        namespace = metadata(account)["namespace"]
        if kind.group or kind.kind not in ("Pod", "Secret", "Node"):
            raise errors.bad_request(
                f"cannot bind token to object of type {kind.group}/{kind.version}, Kind={kind.kind}"
            )
        if not name:
            raise errors.bad_request("Name parameter required.")
        if kind.kind == "Pod":
            target = await self._api.get(PODS, namespace, name)
            bound = Bound(pod=target, node=await self._node_of(target, metadata(account)["name"]))
        elif kind.kind == "Secret":
            target = await self._api.get(SECRETS, namespace, name)
            bound = Bound(secret=target)
        else:
            target = await self._api.get(NODES, "", name)
            bound = Bound(node=target)
        uid = reference.get("uid", "")
        if uid and uid != uid_of(target):
            raise errors.conflict(
                kind.kind,
                kind.group,
                name,
                f"the UID in the bound object reference ({uid}) does not match the UID in record. The object might have"
                " been deleted and then recreated",
            )
        return bound

    async def _node_of(self, pod: Object, account: str) -> Object | None:
        """The node of a pod that runs as this account; by name alone where there is none such."""
        if at(pod, "spec", "serviceAccountName") != account:
            raise errors.bad_request(
                f'cannot bind token for serviceaccount "{account}" to pod running with different serviceaccount name.'
            )
        name = at(pod, "spec", "nodeName")
        if not name:
            return None
        known = self._api.cache(NODES).get("", name)
        if known is not None:
            return known
        try:
            return await self._api.get(NODES, "", name)
        except StatusFault as fault:
            if fault.status != 404:
                raise
            return {"metadata": {"name": name}}


def _kind_of(reference: Object) -> GroupVersionKind:
    version, kind = reference.get("apiVersion", ""), reference.get("kind", "")
    return GroupVersionKind.of("" if version.count("/") > 1 else version, kind)


def _check_place(request: Object, namespace: str, name: str) -> None:
    """What the body says of the account must be what the URL says. Raises Invalid."""
    found = FieldErrors()
    meta = request["metadata"]
    if meta.get("name", name) not in ("", name):
        found.invalid(ROOT / "metadata" / "name", meta["name"], "must match the service account name if specified")
    elif meta.get("namespace", namespace) not in ("", namespace):
        found.invalid(
            ROOT / "metadata" / "namespace",
            meta["namespace"],
            "must match the service account namespace if specified",
        )
    if found:
        raise found.fault(KIND.kind, KIND.group, name)
