"""Who is calling, and may they: the front's Authenticator and Authorizer.

`Identity` verifies signatures with keys that a `Directory` (the iam slice) knows or that a sealed session token
carries, and evaluates the policies that the directory finds attached. It holds no identity of its own and caches
nothing: the directory does, and knows when its cache is stale.

With `accept_any_credentials`, on the loopback listener "host" alone, a key that nobody knows is the account's root,
whatever its signature; a key that is known is verified as ever, so that roles keep their meaning.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol

from ropewalk.aws import sigv4
from ropewalk.aws.operations import Principal
from ropewalk.aws.policy import Decision, Document, Permissions, Question, Subject, compile_document, decide
from ropewalk.aws.sessions import Claims, Sealer, invalid_token
from ropewalk.base.errors import Fault
from ropewalk.base.http.messages import Request

LENIENT_LISTENER = "host"


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A long-term key, as the directory holds it."""

    user: str
    user_id: str
    secret: str
    active: bool


@dataclass(frozen=True, slots=True)
class Profile:
    """A user or role as it stands: what its callers are and may do."""

    arn: str
    unique_id: str
    permissions: Permissions
    tags: Mapping[str, str] = field(default_factory=dict)


class Directory(Protocol):
    """Offered by the iam slice. Answers from its cache where it can."""

    async def access_key(self, access_key_id: str) -> AccessKey | None: ...

    async def profile(self, kind: str, name: str) -> Profile | None:
        """Of the "user" or "role" called so; None where there is none."""
        ...

    async def key_used(self, access_key_id: str, service: str, region: str, now: float) -> None:
        """Remember when a key was last used. Must be cheap: called for every request that a long-term key signed."""
        ...


@dataclass(frozen=True, slots=True)
class Caller(Principal):
    """A principal as one request presents it: with what conditions may ask about that request."""

    role_arn: str = ""
    """For a role's session, the role's own ARN."""
    name: str = ""
    """Of the user or role."""
    permissions: Permissions = field(default_factory=Permissions)
    session: Claims | None = None
    """None for long-term keys."""
    source_ip: str = ""
    user_agent: str = ""
    region: str = ""
    now: float = 0.0

    @property
    def unlimited(self) -> bool:
        return self.permissions.everything

    @property
    def subject(self) -> Subject:
        return Subject(self.account, self.arn, self.role_arn, user_id=self.user_id)


class Identity:
    """`Authenticator` and `Authorizer` (aws/ports.py) in one."""

    def __init__(
        self, directory: Directory, sealer: Sealer, account: str, *, accept_any_credentials: bool = False
    ) -> None:
        self._directory = directory
        self._sealer = sealer
        self._account = account
        self._accept_any = accept_any_credentials
        self._verifier = sigv4.Verifier()

    async def authenticate(self, request: Request, service: str, now: float) -> Caller:
        """See `aws/ports.py`."""
        lenient = self._accept_any and request.peer.listener == LENIENT_LISTENER
        if lenient:
            signature = sigv4.parse(request)
            if not await self._is_known(signature, now):
                return self._root(signature, request, now)
        signature = sigv4.read(request, service, now)
        if signature.token:
            return await self._session(request, signature, now)
        return await self._long_term(request, signature, now)

    async def _is_known(self, signature: sigv4.Signature, now: float) -> bool:
        if not signature.token:
            return await self._directory.access_key(signature.access_key_id) is not None
        try:
            self._sealer.open(signature.access_key_id, signature.token, now)
        except Fault as fault:
            return fault.code == "ExpiredToken"
        return True

    async def _long_term(self, request: Request, signature: sigv4.Signature, now: float) -> Caller:
        key = await self._directory.access_key(signature.access_key_id)
        if key is None or not key.active:
            raise invalid_token()
        self._verifier.verify(request, signature, key.secret)
        profile = await self._directory.profile("user", key.user)
        if profile is None or profile.unique_id != key.user_id:
            raise invalid_token()
        await self._directory.key_used(signature.access_key_id, signature.service, signature.region, now)
        return Caller(
            arn=profile.arn,
            account=self._account,
            user_id=profile.unique_id,
            kind="user",
            tags=profile.tags,
            name=key.user,
            permissions=profile.permissions,
            source_ip=request.peer.address,
            user_agent=request.header("user-agent"),
            region=signature.region,
            now=now,
        )

    async def _session(self, request: Request, signature: sigv4.Signature, now: float) -> Caller:
        claims, secret = self._sealer.open(signature.access_key_id, signature.token, now)
        self._verifier.verify(request, signature, secret)
        profile = self._root_profile() if claims.kind == "root" else None
        profile = profile or await self._directory.profile(claims.kind, claims.name)
        if profile is None or profile.unique_id != claims.unique_id:
            raise invalid_token()
        return self._of_session(claims, profile, signature.region, now, request)

    async def as_role(self, role_arn: str, session_name: str, region: str, now: float) -> Caller:
        """A role as its own session would present it, made this moment. Raises `Fault` where the role is gone."""
        profile = await self._directory.profile("role", role_arn.rpartition("/")[2])
        if profile is None or profile.arn != role_arn:
            raise invalid_token()
        claims = Claims(
            key_id="",
            kind="role",
            name=role_arn.rpartition("/")[2],
            arn=role_arn,
            unique_id=profile.unique_id,
            account=self._account,
            issued_at=now,
            expires_at=now,
            session_name=session_name,
        )
        return self._of_session(claims, profile, region, now)

    def _of_session(
        self, claims: Claims, profile: Profile, region: str, now: float, request: Request | None = None
    ) -> Caller:
        permissions = profile.permissions
        if claims.policies is not None:
            session = tuple(compile_document(text) for text in claims.policies)
            permissions = Permissions(permissions.identity, permissions.boundary, session, permissions.unlimited)
        role = claims.kind == "role"
        arn = f"arn:aws:sts::{claims.account}:assumed-role/{claims.name}/{claims.session_name}" if role else profile.arn
        return Caller(
            arn=arn,
            account=claims.account,
            user_id=f"{claims.unique_id}:{claims.session_name}" if role else claims.unique_id,
            kind=claims.kind,
            tags={**profile.tags, **dict(claims.tags)},
            role_arn=profile.arn if role else "",
            name=claims.name,
            permissions=permissions,
            session=claims,
            source_ip=request.peer.address if request is not None else "",
            user_agent=request.header("user-agent") if request is not None else "",
            region=region,
            now=now,
        )

    def _root_profile(self) -> Profile:
        return Profile(f"arn:aws:iam::{self._account}:root", self._account, Permissions(unlimited=True))

    def _root(self, signature: sigv4.Signature, request: Request, now: float) -> Caller:
        profile = self._root_profile()
        return Caller(
            arn=profile.arn,
            account=self._account,
            user_id=profile.unique_id,
            kind="root",
            permissions=profile.permissions,
            source_ip=request.peer.address,
            user_agent=request.header("user-agent"),
            region=signature.region,
            now=now,
        )

    async def require(
        self, principal: Principal, action: str, resource: str, context: Mapping[str, Sequence[str]]
    ) -> None:
        """Raises `Fault` AccessDenied, in AWS's words, unless the caller's policies allow `action` on `resource`."""
        decision = self.decide(principal, action, resource, context)
        if not decision.allowed:
            raise access_denied(principal, action, resource, decision)

    def decide(
        self,
        principal: Principal,
        action: str,
        resource: str,
        context: Mapping[str, Sequence[str]],
        resource_policy: Document | None = None,
    ) -> Decision:
        """The decision itself; `resource_policy` (a role's trust policy, say) has its part in it."""
        if not isinstance(principal, Caller):
            raise TypeError("only a principal that `authenticate` returned can be judged")
        if resource_policy is None and principal.permissions.everything:
            return _ALLOWED
        question = Question(principal.subject, action, resource, conditions(principal, context))
        return decide(question, principal.permissions, resource_policy)


_ALLOWED = Decision(True)
_KIND_NAMES = {"root": "Account", "user": "User", "role": "AssumedRole"}


def conditions(caller: Caller, context: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    """Every condition key of one request, in lower case: the global ones, then the service's own."""
    keys: dict[str, Sequence[str]] = {
        "aws:principalarn": (caller.role_arn or caller.arn,),
        "aws:principalaccount": (caller.account,),
        "aws:principaltype": (_KIND_NAMES.get(caller.kind, caller.kind),),
        "aws:principalisawsservice": ("false",),
        "aws:viaawsservice": ("false",),
        "aws:userid": (caller.user_id,),
        "aws:currenttime": (_spell(int(caller.now)),),
        "aws:epochtime": (str(int(caller.now)),),
        "aws:securetransport": ("false",),
        "aws:requestedregion": (caller.region,),
        "aws:useragent": (caller.user_agent,),
        "aws:resourceaccount": (caller.account,),
    }
    if _is_address(caller.source_ip):
        keys["aws:sourceip"] = (caller.source_ip,)
    if caller.kind == "user":
        keys["aws:username"] = (caller.name,)
    if caller.session is not None:
        keys["aws:tokenissuetime"] = (_spell(int(caller.session.issued_at)),)
        keys["aws:multifactorauthpresent"] = ("false",)
        if caller.session.source_identity:
            keys["aws:sourceidentity"] = (caller.session.source_identity,)
    for tag, value in caller.tags.items():
        keys[f"aws:principaltag/{tag.lower()}"] = (value,)
    for name, values in context.items():
        keys[name.lower()] = values
    return keys


@lru_cache(maxsize=256)
def _spell(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@lru_cache(maxsize=1024)
def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def access_denied(principal: Principal, action: str, resource: str, decision: Decision) -> Fault:
    text = f"User: {principal.arn} is not authorized to perform: {action} on resource: {resource} {decision.reason}"
    return Fault("AccessDenied", text.rstrip(), status=403)
