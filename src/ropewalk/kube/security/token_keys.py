"""The keys that sign service account tokens, and what the world may know of them: discovery and key set documents.

ES256 throughout (`pki`). A key's id is made from the public key as kube-apiserver makes it, so that a key that moves
between the two keeps its name. Several keys may verify while one signs: a key is replaced by putting the new one first.
https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#service-account-issuer-discovery
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING

import orjson
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ropewalk.base.http.messages import Response
from ropewalk.kube.machinery.http.exchange import Exchange
from ropewalk.kube.machinery.http.pages import Pages
from ropewalk.kube.machinery.objects import Object

if TYPE_CHECKING:
    import jwt

ALGORITHM = "ES256"
CONFIGURATION_PATH, KEYS_PATH = "/.well-known/openid-configuration", "/openid/v1/jwks"
MAX_AGE = 3600
"""Seconds for which readers may keep the documents."""
_COORDINATE_BYTES = 32


class TokenKeys:
    def __init__(self, pems: Sequence[bytes]) -> None:
        """Private keys on the curve P-256, in PEM form; the first signs, all verify."""
        loaded = [_loaded(pem) for pem in pems]
        self._signing = loaded[0]
        self._public = {key_id(key.public_key()): key.public_key() for key in loaded}
        self._id = next(iter(self._public))

    @cached_property
    def _jws(self) -> jwt.PyJWS:
        import jwt  # takes 20 ms, and a cluster starts without a token

        return jwt.PyJWS(algorithms=[ALGORITHM])

    def sign(self, claims: Object) -> str:
        payload = orjson.dumps(claims, option=orjson.OPT_SORT_KEYS)
        headers = {"kid": self._id, "typ": ""}  # "" leaves it out, as Kubernetes does
        return self._jws.encode(payload, self._signing, ALGORITHM, headers, sort_headers=True)

    def opened(self, token: str) -> Object:
        """The claims of a token that one of our keys has signed. Raises `ValueError` in kube-apiserver's words."""
        from jwt import PyJWTError

        try:
            named = self._jws.get_unverified_header(token).get("kid")
            candidates = [key for name, key in self._public.items() if not named or named == name]
        except PyJWTError:
            raise ValueError("invalid bearer token") from None
        if not candidates:
            raise ValueError("invalid signature, no keys found")
        for key in candidates:
            try:
                claims = orjson.loads(self._jws.decode(token, key, [ALGORITHM]))
            except (PyJWTError, orjson.JSONDecodeError):
                continue
            if isinstance(claims, dict):
                return claims
        raise ValueError("go-jose/go-jose: error in cryptographic primitive")

    def key_set(self) -> Object:
        """The JSON Web Key Set of the public keys."""
        return {"keys": [_jwk(name, key) for name, key in self._public.items()]}


def unverified_issuer(token: str) -> str:
    """Who a token says it is from; "" for what is no token. Nothing of it is proven."""
    parts = token.split(".")
    if len(parts) != 3:
        return ""
    try:
        claims = orjson.loads(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error):
        return ""
    issuer = claims.get("iss") if isinstance(claims, dict) else None
    return issuer if isinstance(issuer, str) else ""


def key_id(key: ec.EllipticCurvePublicKey) -> str:
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return _base64(sha256(der).digest())


def discovery_document(issuer: str, keys_url: str) -> Object:
    """What relying parties read at the issuer's well-known address."""
    return {
        "issuer": issuer,
        "jwks_uri": keys_url,
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
    }


def add_pages(pages: Pages, keys: TokenKeys, issuer: str, address: str) -> None:
    """`address`: host and port under which this server is reached."""
    configuration = orjson.dumps(discovery_document(issuer, f"https://{address}{KEYS_PATH}"))
    key_set = orjson.dumps(keys.key_set())
    kept = f"public, max-age={MAX_AGE}"

    async def tell_configuration(exchange: Exchange) -> Response:
        return Response(200, {"content-type": "application/json", "cache-control": kept}, configuration)

    async def tell_keys(exchange: Exchange) -> Response:
        return Response(200, {"content-type": "application/jwk-set+json", "cache-control": kept}, key_set)

    pages.add(CONFIGURATION_PATH, tell_configuration)
    pages.add(KEYS_PATH, tell_keys)


def _loaded(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("keys of service account tokens must be private keys on the curve P-256")
    return key


def _jwk(name: str, key: ec.EllipticCurvePublicKey) -> Object:
    numbers = key.public_numbers()
    return {
        "use": "sig",
        "kty": "EC",
        "kid": name,
        "crv": "P-256",
        "alg": ALGORITHM,
        "x": _base64(numbers.x.to_bytes(_COORDINATE_BYTES, "big")),
        "y": _base64(numbers.y.to_bytes(_COORDINATE_BYTES, "big")),
    }


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
