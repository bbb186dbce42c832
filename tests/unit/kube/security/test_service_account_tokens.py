"""Tokens of service accounts: asked for, made, and taken or refused when they come back."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.kube.kinds.definitions import definitions
from ropewalk.kube.kinds.table import RESOURCES
from ropewalk.kube.machinery.admission import AdmitAll
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.http.exchange import Exchange
from ropewalk.kube.machinery.http.pages import Pages
from ropewalk.kube.machinery.http.routes import route
from ropewalk.kube.machinery.registry.served import Served
from ropewalk.kube.machinery.requests import Attributes, Call, User
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.kube.machinery.strategy import Strategy
from ropewalk.kube.security.service_account_authenticator import ServiceAccountAuthenticator
from ropewalk.kube.security.service_account_tokens import ISSUER, Bound, TokenIssuer
from ropewalk.kube.security.token_keys import TokenKeys, add_pages, discovery_document, key_id
from ropewalk.kube.security.token_requests import ISSUED_CREDENTIAL, TokenRequests
from ropewalk.kube.security.tokens import Accepted, Rejected, TokenAuthenticators
from support.kube_api import MemoryApi

from .material import request

Object = dict[str, Any]
ACCOUNTS, PODS = GroupResource("", "serviceaccounts"), GroupResource("", "pods")
SECRETS, NODES = GroupResource("", "secrets"), GroupResource("", "nodes")
ALICE = User("alice")
YEAR = 365 * 86400


def pem() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


OUR_PEM = pem()


@dataclass
class World:
    api: MemoryApi = field(default_factory=MemoryApi)
    clock: VirtualClock = field(default_factory=VirtualClock)
    keys: TokenKeys = field(default_factory=lambda: TokenKeys([OUR_PEM]))

    def __post_init__(self) -> None:
        self.issuer = TokenIssuer(self.keys, self.clock, SeededEntropy(1))
        self.verify = ServiceAccountAuthenticator(self.api, self.keys, [ISSUER], self.clock)
        self.requests = TokenRequests(self.api, self.issuer, AdmitAll(), [ISSUER], self.clock)
        info = next(found for found in RESOURCES if found.group_resource == ACCOUNTS)
        schema = definitions().schema(info.gvk)
        self.served = Served(info, Strategy(), schema, lambda body: (body, []), ACCOUNTS)
        self.account = self.api.put(ACCOUNTS, {"metadata": {"namespace": "web", "name": "app", "uid": "u-app"}})
        self.pod = self.api.put(
            PODS,
            {
                "metadata": {"namespace": "web", "name": "p", "uid": "u-p"},
                "spec": {"serviceAccountName": "app", "nodeName": "n1"},
            },
        )
        self.node = self.api.put(NODES, {"metadata": {"name": "n1", "uid": "u-n1"}})
        self.secret = self.api.put(SECRETS, {"metadata": {"namespace": "web", "name": "s", "uid": "u-s"}})

    async def ask(self, body: Object | None = None, *, name: str = "app", call: Call | None = None) -> Object:
        call = call or new_call()
        return await self.requests.create(self.served, "web", name, body if body is not None else {}, call)

    async def check(self, token: str, *audiences: str) -> Accepted | Rejected | None:
        return await self.verify.authenticate_token(token, audiences or (ISSUER,))


def new_call() -> Call:
    return Call(ALICE, Attributes(ALICE, "create", ""))


def claims_of(token: str) -> Object:
    payload = token.split(".")[1]
    found: Object = orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


def bound_to(kind: str, name: str, uid: str = "") -> Object:
    return {"spec": {"boundObjectRef": {"apiVersion": "v1", "kind": kind, "name": name, "uid": uid}}}


# --- asking for one


async def test_a_request_is_answered_with_a_token_for_an_hour() -> None:
    world, call = World(), new_call()
    answer = await world.ask(call=call)
    now = int(world.clock.wall())
    assert answer["kind"] == "TokenRequest"
    assert answer["metadata"] == {
        "name": "app",
        "namespace": "web",
        "uid": "u-app",
        "creationTimestamp": "2023-11-14T22:13:20Z",
    }
    assert answer["spec"] == {"audiences": [ISSUER], "expirationSeconds": 3600}
    assert answer["status"]["expirationTimestamp"] == "2023-11-14T23:13:20Z"
    claims = claims_of(answer["status"]["token"])
    identity = claims.pop("jti")
    assert claims == {
        "aud": [ISSUER],
        "exp": now + 3600,
        "iat": now,
        "iss": ISSUER,
        "kubernetes.io": {"namespace": "web", "serviceaccount": {"name": "app", "uid": "u-app"}},
        "nbf": now,
        "sub": "system:serviceaccount:web:app",
    }
    assert call.audit == {ISSUED_CREDENTIAL: f"JTI={identity}"}
    assert jwt.get_unverified_header(answer["status"]["token"]) == {
        "alg": "ES256",
        "kid": world.issuer.keys.key_set()["keys"][0]["kid"],
    }


async def test_other_audiences_and_times_are_taken() -> None:
    world = World()
    answer = await world.ask({"spec": {"audiences": ["vault"], "expirationSeconds": 7200}})
    claims = claims_of(answer["status"]["token"])
    assert (claims["aud"], claims["exp"] - claims["iat"]) == (["vault"], 7200)


@pytest.mark.parametrize(
    ("kind", "name", "held"),
    [
        ("Pod", "p", {"pod": {"name": "p", "uid": "u-p"}, "node": {"name": "n1", "uid": "u-n1"}}),
        ("Secret", "s", {"secret": {"name": "s", "uid": "u-s"}}),
        ("Node", "n1", {"node": {"name": "n1", "uid": "u-n1"}}),
    ],
)
async def test_a_token_is_bound(kind: str, name: str, held: Object) -> None:
    answer = await World().ask(bound_to(kind, name))
    told = claims_of(answer["status"]["token"])["kubernetes.io"]
    assert told == {"namespace": "web", "serviceaccount": {"name": "app", "uid": "u-app"}} | held


async def test_the_node_of_a_pod_is_told_by_name_where_it_is_not_there() -> None:
    world = World()
    world.api.drop(NODES, "", "n1")
    answer = await world.ask(bound_to("Pod", "p"))
    assert claims_of(answer["status"]["token"])["kubernetes.io"]["node"] == {"name": "n1"}


@pytest.mark.parametrize(
    ("spec", "lives"),
    [
        ({"boundObjectRef": {"kind": "Pod", "name": "p"}, "expirationSeconds": 3607}, YEAR),
        ({"boundObjectRef": {"kind": "Pod", "name": "p"}, "expirationSeconds": 3600}, 3600),
        ({"boundObjectRef": {"kind": "Pod", "name": "p"}, "expirationSeconds": 3607, "audiences": ["x"]}, 3607),
        ({"expirationSeconds": 3607}, 3607),
    ],
)
async def test_what_kubelets_ask_for_lives_a_year(spec: Object, lives: int) -> None:
    world = World()
    answer = await world.ask({"spec": spec})
    claims = claims_of(answer["status"]["token"])
    assert claims["exp"] - claims["iat"] == lives
    assert ("warnafter" in claims["kubernetes.io"]) == (lives == YEAR)
    assert answer["status"]["expirationTimestamp"] < "2023-11-14T23:14"


OTHER_POD = {"metadata": {"namespace": "web", "name": "other"}, "spec": {"serviceAccountName": "default"}}


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        (
            {"spec": {"expirationSeconds": 599}},
            422,
            'TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: 599: may not'
            " specify a duration less than 10 minutes",
        ),
        (
            {"spec": {"expirationSeconds": (1 << 32) + 1}},
            422,
            'TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: 4294967297: may'
            " not specify a duration larger than 2^32 seconds",
        ),
        (
            {"metadata": {"name": "x"}},
            422,
            'TokenRequest.authentication.k8s.io "app" is invalid: metadata.name: Invalid value: "x": must match the'
            " service account name if specified",
        ),
        (
            {"metadata": {"uid": "x"}},
            409,
            'Operation cannot be fulfilled on TokenRequest.authentication.k8s.io "app": the UID in the token request'
            " (x) does not match the UID of the service account (u-app)",
        ),
        (bound_to("Pod", "gone"), 404, 'pods "gone" not found'),
        (bound_to("Secret", "gone"), 404, 'secrets "gone" not found'),
        (bound_to("Node", "gone"), 404, 'nodes "gone" not found'),
        (bound_to("Pod", ""), 400, "Name parameter required."),
        (
            bound_to("Pod", "p", "old"),
            409,
            'Operation cannot be fulfilled on Pod "p": the UID in the bound object reference (old) does not match the'
            " UID in record. The object might have been deleted and then recreated",
        ),
        (
            bound_to("Pod", "other"),
            400,
            'cannot bind token for serviceaccount "app" to pod running with different serviceaccount name.',
        ),
        (bound_to("ConfigMap", "c"), 400, "cannot bind token to object of type /v1, Kind=ConfigMap"),
        (
            {"spec": {"expirationSeconds": "soon"}},
            400,
            'TokenRequest in version "v1" cannot be handled as a TokenRequest: json: cannot unmarshal string into Go'
            " struct field TokenRequestSpec.spec.expirationSeconds of type int64",
        ),
        ({"spec": {"boundObjectRef": []}}, 400, "cannot be handled as a TokenRequest"),
        ({"kind": "Pod", "apiVersion": "v1"}, 400, "cannot be handled as a TokenRequest"),
    ],
)
async def test_what_a_request_may_not_ask(body: Object, code: int, text: str) -> None:
    world = World()
    world.api.put(PODS, OTHER_POD)
    with pytest.raises(StatusFault) as refused:
        await world.ask(body)
    assert refused.value.status == code
    assert text in refused.value.message


async def test_an_account_must_be_there() -> None:
    with pytest.raises(StatusFault, match='serviceaccounts "nobody" not found'):
        await World().ask(name="nobody")


async def test_unknown_fields_are_told_or_refused() -> None:
    call = new_call()
    await World().ask({"spec": {"expires": 1}}, call=call)
    assert call.warnings == ['unknown field "spec.expires"']
    strict = new_call()
    strict.field_validation = "Strict"
    with pytest.raises(StatusFault, match=r'unknown field "spec\.expires"'):
        await World().ask({"spec": {"expires": 1}}, call=strict)


# --- coming back


async def test_a_bound_token_says_who_it_is() -> None:
    world = World()
    token = (await world.ask(bound_to("Pod", "p")))["status"]["token"]
    answer = await world.check(token)
    assert answer == Accepted(
        User(
            "system:serviceaccount:web:app",
            ("system:serviceaccounts", "system:serviceaccounts:web"),
            "u-app",
            {
                "authentication.kubernetes.io/pod-name": ("p",),
                "authentication.kubernetes.io/pod-uid": ("u-p",),
                "authentication.kubernetes.io/credential-id": (f"JTI={claims_of(token)['jti']}",),
                "authentication.kubernetes.io/node-name": ("n1",),
                "authentication.kubernetes.io/node-uid": ("u-n1",),
            },
        ),
        (ISSUER,),
    )


async def test_a_pod_token_outlives_its_node() -> None:
    world = World()
    token = (await world.ask(bound_to("Pod", "p")))["status"]["token"]
    world.api.drop(NODES, "", "n1")
    assert isinstance(await world.check(token), Accepted)


@pytest.mark.parametrize(
    ("kind", "name", "resource", "namespace"),
    [("Pod", "p", PODS, "web"), ("Secret", "s", SECRETS, "web"), ("Node", "n1", NODES, "")],
)
async def test_a_token_ends_with_what_it_is_bound_to(
    kind: str, name: str, resource: GroupResource, namespace: str
) -> None:
    world = World()
    token = (await world.ask(bound_to(kind, name)))["status"]["token"]
    present = world.api.cache(resource).get(namespace, name)
    assert present is not None
    world.api.drop(resource, namespace, name)
    assert await world.check(token) == Rejected("service account token has been invalidated")
    uid = present["metadata"]["uid"]
    world.api.put(resource, {**present, "metadata": {**present["metadata"], "uid": "another"}})
    assert await world.check(token) == Rejected(
        f"{kind.lower()} UID (another) does not match service account {kind.lower()} ref claim ({uid})"
    )
    world.api.put(
        resource, {**present, "metadata": {**present["metadata"], "deletionTimestamp": "2023-11-14T22:13:00Z"}}
    )
    assert isinstance(await world.check(token), Accepted), "deleted within the leeway"
    await world.clock.advance(60)
    assert await world.check(token) == Rejected("service account token has been invalidated")


async def test_a_token_ends_with_its_account() -> None:
    world = World()
    token = (await world.ask())["status"]["token"]
    world.api.put(ACCOUNTS, {"metadata": {"namespace": "web", "name": "app", "uid": "new"}})
    assert await world.check(token) == Rejected("service account UID (new) does not match claim (u-app)")
    world.api.drop(ACCOUNTS, "web", "app")
    assert await world.check(token) == Rejected('serviceaccounts "app" not found')


async def test_what_the_cache_lacks_is_read_live(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    token = (await world.ask(bound_to("Pod", "p")))["status"]["token"]
    held = world.pod

    async def live(resource: GroupResource, namespace: str, name: str) -> Object:
        assert (resource, namespace, name) == (PODS, "web", "p")
        return held

    world.api.drop(PODS, "web", "p")
    monkeypatch.setattr(world.api, "get", live)
    assert isinstance(await world.check(token), Accepted)


@pytest.mark.parametrize(
    ("after", "refused"),
    [
        (-61, "service account token is not valid yet"),
        (-59, ""),
        (0, ""),
        (600, ""),
        (660, ""),
        (661, "service account token has expired"),
    ],
)
async def test_times_have_a_minute_of_leeway(after: int, refused: str) -> None:
    world = World()
    await world.clock.advance(1000)
    token = world.issuer.issue(world.account, [ISSUER], 600, Bound()).token
    seen = VirtualClock(epoch=world.clock.wall() + after)
    verdict = await ServiceAccountAuthenticator(world.api, world.keys, [ISSUER], seen).authenticate_token(
        token, [ISSUER]
    )
    assert (verdict.reason if isinstance(verdict, Rejected) else "") == refused


async def test_audiences() -> None:
    world = World()
    token = world.issuer.issue(world.account, ["vault", "x"], 600, Bound()).token
    assert await world.check(token) == Rejected(
        f'token audiences ["vault" "x"] is invalid for the target audiences ["{ISSUER}"]'
    )
    answer = await world.check(token, "y", "x", "vault")
    assert isinstance(answer, Accepted)
    assert answer.audiences == ("x", "vault")


async def test_anothers_signature_is_none() -> None:
    world = World()
    stranger = TokenIssuer(TokenKeys([pem()]), world.clock, SeededEntropy(1))
    token = stranger.issue(world.account, [ISSUER], 600, Bound()).token
    assert await world.check(token) == Rejected("invalid signature, no keys found")
    head, body, _ = world.issuer.issue(world.account, [ISSUER], 600, Bound()).token.split(".")
    forged = f"{head}.{body}.{token.split('.')[2]}"
    assert await world.check(forged) == Rejected("go-jose/go-jose: error in cryptographic primitive")


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
async def test_no_other_algorithm_is_taken(algorithm: str) -> None:
    world = World()
    claims = claims_of(world.issuer.issue(world.account, [ISSUER], 600, Bound()).token)
    kid = world.keys.key_set()["keys"][0]["kid"]
    for headers in ({"kid": kid}, {}):
        token = jwt.encode(claims, "x" * 32 if algorithm != "none" else "", algorithm, headers)
        assert isinstance(await world.check(token), Rejected)


@settings(max_examples=200, deadline=None)
@given(st.data())
async def test_a_changed_token_never_passes(data: st.DataObject) -> None:
    world = World()
    token = world.issuer.issue(world.account, [ISSUER], 600, Bound()).token
    place = data.draw(st.integers(0, len(token) - 2))  # the last character holds bits that say nothing
    letter = data.draw(st.sampled_from("ABCxyz019-_.{"))
    changed = token[:place] + letter + token[place + 1 :]
    if changed != token:
        assert not isinstance(await world.check(changed), Accepted)


@pytest.mark.parametrize(
    "token", ["", "a", "a.b.c", "..", "e30.e30.e30", "e30.W10.", "abcdef.0123456789abcdef", "ü.ü.ü"]
)
async def test_what_is_no_token_of_ours_is_somebody_elses(token: str) -> None:
    assert await World().check(token) is None


@pytest.mark.parametrize("place", [0, 2])
async def test_text_that_is_no_unicode_is_no_token(place: int) -> None:
    world = World()
    parts = world.issuer.issue(world.account, [ISSUER], 600, Bound()).token.split(".")
    parts[place] += "\ud800"  # as YAML can spell it in a review
    tokens = TokenAuthenticators([world.verify], [ISSUER], world.clock)
    assert isinstance(await tokens.authenticate(".".join(parts)), Rejected)


async def test_an_older_key_still_verifies() -> None:
    world, newer = World(), pem()
    token = world.issuer.issue(world.account, [ISSUER], 600, Bound()).token
    keys = TokenKeys([newer, OUR_PEM])
    verify = ServiceAccountAuthenticator(world.api, keys, [ISSUER], world.clock)
    assert isinstance(await verify.authenticate_token(token, [ISSUER]), Accepted)
    fresh = TokenIssuer(keys, world.clock, SeededEntropy(1)).issue(world.account, [ISSUER], 600, Bound()).token
    assert isinstance(await world.check(fresh), Rejected), "the newer one signs"


# --- legacy tokens


def legacy(world: World) -> str:
    token = world.issuer.legacy_token(world.account, world.secret)
    data = {"token": base64.b64encode(token.encode()).decode()}
    world.secret = world.api.put(SECRETS, {**world.secret, "type": "kubernetes.io/service-account-token", "data": data})
    return token


async def test_a_legacy_token_holds_while_its_secret_does() -> None:
    world = World()
    token = legacy(world)
    assert claims_of(token) == {
        "iss": "kubernetes/serviceaccount",
        "kubernetes.io/serviceaccount/namespace": "web",
        "kubernetes.io/serviceaccount/secret.name": "s",
        "kubernetes.io/serviceaccount/service-account.name": "app",
        "kubernetes.io/serviceaccount/service-account.uid": "u-app",
        "sub": "system:serviceaccount:web:app",
    }
    groups = ("system:serviceaccounts", "system:serviceaccounts:web")
    assert await world.check(token) == Accepted(User("system:serviceaccount:web:app", groups, "u-app"), (ISSUER,))
    used = world.api.cache(SECRETS).get("web", "s")
    assert used is not None
    assert used["metadata"]["labels"] == {"kubernetes.io/legacy-token-last-used": "2023-11-14"}
    writes = len(world.api.log)
    await world.check(token)
    assert len(world.api.log) == writes, "once a day"
    world.api.drop(SECRETS, "web", "s")
    assert await world.check(token) == Rejected("Token has been invalidated")


async def test_a_legacy_token_must_be_the_secrets_own() -> None:
    world = World()
    token = legacy(world)
    world.api.put(SECRETS, {**world.secret, "data": {"token": "eA=="}})
    assert await world.check(token) == Rejected("Token does not match server's copy")
    world.api.put(
        SECRETS,
        {
            **world.secret,
            "metadata": {
                **world.secret["metadata"],
                "labels": {"kubernetes.io/legacy-token-invalid-since": "2023-11-01"},
            },
        },
    )
    verdict = await world.check(token)
    assert isinstance(verdict, Rejected)
    assert "has been marked invalid" in verdict.reason
    world.api.put(ACCOUNTS, {"metadata": {"namespace": "web", "name": "app", "uid": "new"}})
    assert await world.check(token) == Rejected("ServiceAccount UID (new) does not match claim (u-app)")


# --- documents


def test_the_documents_of_an_issuer() -> None:
    keys = TokenKeys([OUR_PEM])
    document = keys.key_set()["keys"][0]
    assert {key: document[key] for key in ("use", "kty", "crv", "alg")} == {
        "use": "sig",
        "kty": "EC",
        "crv": "P-256",
        "alg": "ES256",
    }
    public = jwt.PyJWK(document).key
    assert key_id(public) == document["kid"]
    assert jwt.decode(keys.sign({"a": 1}), public, ["ES256"]) == {"a": 1}
    assert discovery_document(ISSUER, "https://h/openid/v1/jwks") == {
        "issuer": ISSUER,
        "jwks_uri": "https://h/openid/v1/jwks",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    }


async def test_the_pages_of_an_issuer() -> None:
    pages, keys = Pages(), TokenKeys([OUR_PEM])
    add_pages(pages, keys, ISSUER, "10.0.0.1:6443")
    told: list[tuple[str, Object]] = []
    for path in ("/.well-known/openid-configuration", "/openid/v1/jwks"):
        page = pages.find(path)
        assert page is not None
        answer = await page(Exchange(request(path), {}, route("GET", path, {}), new_call()))
        assert answer.headers["cache-control"] == "public, max-age=3600"
        assert isinstance(answer.body, bytes)
        told.append((answer.headers["content-type"], orjson.loads(answer.body)))
    assert told == [
        ("application/json", discovery_document(ISSUER, "https://10.0.0.1:6443/openid/v1/jwks")),
        ("application/jwk-set+json", keys.key_set()),
    ]


def test_claims_stand_in_the_order_of_gos_maps() -> None:
    world = World()
    token = world.issuer.issue(world.account, ["x"], 600, Bound(pod=world.pod, node=world.node), warn_after=1).token
    claims = claims_of(token)
    assert list(claims) == ["aud", "exp", "iat", "iss", "jti", "kubernetes.io", "nbf", "sub"]
    assert list(claims["kubernetes.io"]) == ["namespace", "node", "pod", "serviceaccount", "warnafter"]


def test_other_kinds_of_keys_are_refused() -> None:
    other = ec.generate_private_key(ec.SECP384R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(ValueError, match="P-256"):
        TokenKeys([other])
