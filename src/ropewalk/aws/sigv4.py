"""AWS Signature Version 4: does this request bear a signature made with that secret?

Knows nothing of who holds the secret: `read` takes a request's signature apart and checks its form, scope and age;
`Verifier.verify` computes it again and compares. Pure but for the cache of derived keys. Our own canonicalisation
rather than botocore's, because botocore only signs, is slow to import, and quotes what a server must take as sent.

Faults carry the neutral codes of `aws/ports.py`. Source: "Create a signed AWS API request" in AWS's IAM user guide.
"""

from __future__ import annotations

import calendar
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_tz
from functools import lru_cache
from urllib.parse import quote, unquote_to_bytes

from ropewalk.base.errors import Fault
from ropewalk.base.http.messages import Request

ALGORITHM = "AWS4-HMAC-SHA256"
SKEW_SECONDS = 15 * 60
"""How far a request's time may be from ours, either way."""
LONGEST_PRESIGNED = 7 * 24 * 3600
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"

_EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
_KEPT_KEYS = 4096
_UNRESERVED = "-_.~"
_MUST_BE_SIGNED = ("x-amz-target", "x-amz-security-token")
"""Headers that change what a request means: unsigned, they could be put there by anyone on the way."""

MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)


@dataclass(frozen=True, slots=True)
class Signature:
    """What a request says of its own signature."""

    access_key_id: str
    date: str
    """YYYYMMDD, as in the credential scope."""
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str
    """64 hexadecimal digits."""
    timestamp: str
    """YYYYMMDDTHHMMSSZ."""
    token: str
    """The session token, "" for long-term keys."""
    lifetime: int
    """Seconds from `timestamp` for which it is good."""
    presigned: bool = False

    @property
    def scope(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


def read(request: Request, service: str, now: float) -> Signature:
    """Take a request's signature apart, from its Authorization header or its query, and check its age and scope.

    Raises `Fault`: what `parse` raises; SignatureDoesNotMatch for another service's scope and for one made too long ago
    or ahead of time (EC2: RequestExpired, S3: RequestTimeTooSkewed).
    """
    signature = parse(request)
    _check_age(signature, service, now)
    if signature.service != service:
        raise _mismatch(f"Credential should be scoped to correct service: '{service}'.")
    if not signature.region:
        raise _mismatch("Credential should be scoped to a valid region.")
    if signature.timestamp[:8] != signature.date:
        raise _mismatch(
            f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{signature.date}' != '{signature.timestamp[:8]}', from '{signature.timestamp}'."
        )
    if "host" not in signature.signed_headers:
        raise _mismatch("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
    for name in _MUST_BE_SIGNED:
        if name in request.headers and name not in signature.signed_headers:
            raise _mismatch(f"'{name}' must be a 'SignedHeader' in the AWS Authorization.")
    return signature


def parse(request: Request) -> Signature:
    """What a request says of its signature, its form checked and nothing else.

    Raises `Fault` MissingAuthenticationToken or IncompleteSignature.
    """
    authorization = request.headers.get("authorization")
    if authorization is not None:
        return _from_header(request, authorization)
    if "X-Amz-Algorithm=" in request.query:
        return _from_query(request)
    raise Fault("MissingAuthenticationToken", "Request is missing Authentication Token", status=403)


def _from_header(request: Request, authorization: str) -> Signature:
    algorithm, _, rest = authorization.partition(" ")
    if algorithm != ALGORITHM:
        raise _incomplete(f"Unsupported AWS 'algorithm': '{algorithm[:64]}'.")
    fields: dict[str, str] = {}
    for part in rest.split(","):
        name, equals, value = part.strip().partition("=")
        if equals:
            fields[name] = value
    missing = [name for name in ("Credential", "Signature", "SignedHeaders") if not fields.get(name)]
    timestamp = _header_time(request)
    if missing or timestamp is None:
        wanted = [f"Authorization header requires '{name}' parameter." for name in missing]
        if timestamp is None:
            wanted.append(
                "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header "
                "with a valid date in ISO-8601 basic format."
            )
        raise _incomplete(" ".join(wanted))
    key, date, region, service = _credential(fields["Credential"])
    return Signature(
        access_key_id=key,
        date=date,
        region=region,
        service=service,
        signed_headers=tuple(fields["SignedHeaders"].split(";")),
        signature=fields["Signature"],
        timestamp=timestamp,
        token=request.headers.get("x-amz-security-token", ""),
        lifetime=SKEW_SECONDS,
    )


def _from_query(request: Request) -> Signature:
    fields: dict[str, str] = {}
    for name, value in _pairs(request.query):
        if name.startswith("X-Amz-"):
            if name in fields:
                raise _incomplete(f"The query parameter '{name}' may appear only once.")
            fields[name] = unquote_to_bytes(value).decode("utf-8", "replace")
    if fields.get("X-Amz-Algorithm") != ALGORITHM:
        raise _incomplete(f"Unsupported AWS 'algorithm': '{fields.get('X-Amz-Algorithm', '')[:64]}'.")
    needed = ("X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date")
    if missing := [name for name in needed if not fields.get(name)]:
        wanted = " ".join(f"AWS query-string parameters must include '{name}'." for name in missing)
        raise _incomplete(f"{wanted} Re-examine the query-string parameters.")
    if _moment(fields["X-Amz-Date"]) is None:
        raise _incomplete("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
    lifetime = fields.get("X-Amz-Expires", str(SKEW_SECONDS))
    if not (lifetime.isascii() and lifetime.isdigit() and len(lifetime) < 9):
        raise _incomplete("X-Amz-Expires should be a number of seconds.")
    if not 1 <= int(lifetime) <= LONGEST_PRESIGNED:
        raise _incomplete("X-Amz-Expires must be between 1 second and a week (604800 seconds).")
    key, date, region, service = _credential(fields["X-Amz-Credential"])
    return Signature(
        access_key_id=key,
        date=date,
        region=region,
        service=service,
        signed_headers=tuple(fields["X-Amz-SignedHeaders"].split(";")),
        signature=fields["X-Amz-Signature"],
        timestamp=fields["X-Amz-Date"],
        token=fields.get("X-Amz-Security-Token", ""),
        lifetime=int(lifetime),
        presigned=True,
    )


def _credential(text: str) -> tuple[str, str, str, str]:
    parts = text.rsplit("/", 4)
    if len(parts) != 5 or parts[4] != "aws4_request" or not parts[0]:
        raise _incomplete(
            f"Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/aws4_request, "
            f"got '{text[:128]}'"
        )
    return parts[0], parts[1], parts[2], parts[3]


def _header_time(request: Request) -> str | None:
    """The request's own time in the basic ISO form, or None where there is none that can be read."""
    stamp = request.headers.get("x-amz-date") or request.headers.get("date", "")
    if _moment(stamp) is not None:
        return stamp
    parsed = parsedate_tz(stamp)
    if parsed is None:
        return None
    try:
        moment = calendar.timegm((*parsed[:6], 0, 0, 0)) - (parsed[9] or 0)
        return _spell(moment)
    except (ValueError, OverflowError, OSError):
        return None


@lru_cache(maxsize=256)
def _moment(stamp: str) -> int | None:
    """Seconds since 1970 of `YYYYMMDDTHHMMSSZ`, None for any other text."""
    if len(stamp) != 16 or stamp[8] != "T" or stamp[15] != "Z" or not (stamp[:8] + stamp[9:15]).isdecimal():
        return None
    try:
        return int(datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp())
    except ValueError:
        return None


def _spell(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y%m%dT%H%M%SZ")


def _check_age(signature: Signature, service: str, now: float) -> None:
    """Refuse a signature past its lifetime, or one made further ahead than clocks may differ."""
    lifetime = signature.lifetime
    made = _moment(signature.timestamp)
    if made is None:
        raise _incomplete(f"'{signature.timestamp[:64]}' is not a date in ISO-8601 basic format.")
    if now - lifetime <= made <= now + SKEW_SECONDS:
        return
    if service == "ec2":
        raise Fault("RequestExpired", "Request has expired.", status=400)
    if service == "s3":
        text = "The difference between the request time and the current time is too large."
        raise Fault("RequestTimeTooSkewed", text, status=403)
    allowed = f"{_spell(now)} {{}} {{:d}} min."
    if made > now:
        limit = f"{_spell(now + SKEW_SECONDS)} ({allowed.format('+', SKEW_SECONDS // 60)})"
        raise _mismatch(f"Signature not yet current: {signature.timestamp} is still later than {limit}")
    limit = f"{_spell(now - lifetime)} ({allowed.format('-', max(1, lifetime // 60))})"
    raise _mismatch(f"Signature expired: {signature.timestamp} is now earlier than {limit}")


def _mismatch(message: str = MISMATCH) -> Fault:
    return Fault("SignatureDoesNotMatch", message, status=403)


def _incomplete(message: str) -> Fault:
    return Fault("IncompleteSignature", message, status=403)


class Verifier:
    """Computes signatures again. Holds at most `_KEPT_KEYS` derived keys (each good for one day, region, service)."""

    __slots__ = ("_keys",)

    def __init__(self) -> None:
        self._keys: dict[tuple[str, str, str, str], tuple[str, bytes]] = {}

    def verify(self, request: Request, signature: Signature, secret: str) -> None:
        """Raises `Fault` SignatureDoesNotMatch unless `secret` made this signature over this very request."""
        payload = _payload_hash(request, signature)
        headers = _canonical_headers(request, signature.signed_headers)
        path = request.path if signature.service == "s3" else canonical_path(request.path)
        key = self._signing_key(signature, secret)
        tail = f"{headers}\n{';'.join(signature.signed_headers)}\n{payload}"
        given = signature.signature.encode("utf-8", "replace")
        for query in _canonical_queries(request.query):
            whole = f"{request.method}\n{path}\n{query}\n{tail}"
            digest = hashlib.sha256(whole.encode("utf-8", "surrogateescape")).hexdigest()
            text = f"{ALGORITHM}\n{signature.timestamp}\n{signature.scope}\n{digest}"
            ours = hmac.digest(key, text.encode("utf-8", "surrogateescape"), "sha256").hex().encode()
            if hmac.compare_digest(ours, given):
                return
        raise _mismatch()

    def _signing_key(self, signature: Signature, secret: str) -> bytes:
        name = (signature.access_key_id, signature.date, signature.region, signature.service)
        kept = self._keys.get(name)
        if kept is not None and hmac.compare_digest(kept[0].encode(), secret.encode()):
            return kept[1]
        key = derive_key(secret, signature.date, signature.region, signature.service)
        if len(self._keys) >= _KEPT_KEYS:
            self._keys.clear()
        self._keys[name] = (secret, key)
        return key


def derive_key(secret: str, date: str, region: str, service: str) -> bytes:
    key = b"AWS4" + secret.encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode("utf-8", "surrogateescape"), "sha256")
    return key


def _payload_hash(request: Request, signature: Signature) -> str:
    """The body's hash as it was signed. A declared one must be the body's own; only S3 may leave bodies unsigned."""
    declared = request.headers.get("x-amz-content-sha256")
    s3 = signature.service == "s3"
    if declared is None:
        if signature.presigned and s3:
            return UNSIGNED_PAYLOAD
        return hashlib.sha256(request.body).hexdigest() if request.body else _EMPTY_SHA256
    if s3 and (declared == UNSIGNED_PAYLOAD or declared.startswith("STREAMING-")):
        return declared
    actual = hashlib.sha256(request.body).hexdigest() if request.body else _EMPTY_SHA256
    if not hmac.compare_digest(declared.lower().encode("utf-8", "replace"), actual.encode()):
        if s3:
            text = "The provided 'x-amz-content-sha256' header does not match what was computed."
            raise Fault("XAmzContentSHA256Mismatch", text, status=400)
        raise _mismatch()
    return declared


def _canonical_headers(request: Request, names: Iterable[str]) -> str:
    lines = []
    for name in names:
        value = request.headers.get(name)
        if value is None:
            raise _mismatch(f"The signed header '{name[:128]}' is not in the request.")
        lines.append(f"{name}:{' '.join(value.split())}\n")
    return "".join(lines)


def canonical_path(path: str) -> str:
    """A raw path with dot segments and doubled slashes taken out and then quoted once more, as all but S3 want it."""
    if not path or path == "/":
        return "/"
    if "//" in path or "/." in path:
        kept: list[str] = []
        for segment in path.split("/"):
            if segment == "..":
                if kept:
                    kept.pop()
            elif segment and segment != ".":
                kept.append(segment)
        tail = "/" if path.endswith("/") and kept else ""
        path = "/" + "/".join(kept) + tail
    return quote(path, safe="/~")


def _pairs(query: str) -> list[tuple[str, str]]:
    return [(name, value) for name, _, value in (pair.partition("=") for pair in query.split("&"))]


def _canonical_queries(query: str) -> Iterable[str]:
    """The query as sent but sorted; then, where that differs, with each part quoted as the standard has it.

    Clients differ in which of the two they sign; both bind every name and value. A plus sign is a space in the second,
    as the protocols' form parsers read it.
    """
    if not query:
        yield ""
        return
    pairs = [pair for pair in _pairs(query) if pair[0] != "X-Amz-Signature"]
    sent = "&".join(f"{name}={value}" for name, value in sorted(pairs))
    yield sent
    usual = "&".join(
        f"{name}={value}" for name, value in sorted((_quoted(name), _quoted(value)) for name, value in pairs)
    )
    if usual != sent:
        yield usual


def _quoted(part: str) -> str:
    return quote(unquote_to_bytes(part.replace("+", " ")), safe=_UNRESERVED)
