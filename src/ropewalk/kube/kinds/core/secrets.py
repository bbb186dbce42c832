"""Secrets: settings that not everybody may read, each type with the keys it must have.
https://kubernetes.io/docs/concepts/configuration/secret/
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import ClassVar

import orjson

from ropewalk.kube.kinds.cells import AGE, NAME, field
from ropewalk.kube.kinds.checks import immutable
from ropewalk.kube.kinds.core.key_pairs import pair_problem
from ropewalk.kube.kinds.core.stored_data import LARGEST, byte_length, validate_kept, validate_keys
from ropewalk.kube.machinery import json_text
from ropewalk.kube.machinery.fields import ROOT, FieldErrors
from ropewalk.kube.machinery.objects import Object, annotations_of
from ropewalk.kube.machinery.strategy import Column, Selectable, Strategy

DATA = ROOT / "data"
TOKEN, OPAQUE, BASIC, SSH, TLS = (
    "kubernetes.io/service-account-token",
    "Opaque",
    "kubernetes.io/basic-auth",
    "kubernetes.io/ssh-auth",
    "kubernetes.io/tls",
)
DOCKER = {"kubernetes.io/dockercfg": ".dockercfg", "kubernetes.io/dockerconfigjson": ".dockerconfigjson"}
ACCOUNT_NAME = "kubernetes.io/service-account.name"
CERTIFICATE, KEY = "tls.crt", "tls.key"


class Secrets(Strategy):
    columns = (
        NAME,
        field("Type", "type"),
        Column("Data", lambda obj, now: len(obj.get("data") or {})),
        AGE,
    )
    selectable_fields: ClassVar[Mapping[str, Selectable]] = {"type": lambda secret: secret.get("type", "")}

    def default(self, obj: Object) -> None:
        if not obj.get("type"):
            obj["type"] = OPAQUE
        texts = obj.pop("stringData", None)
        if texts:
            data = obj.setdefault("data", {})
            data.update({key: b64encode(value.encode()).decode() for key, value in texts.items()})

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        data = obj.get("data") or {}
        validate_keys(data, DATA, errors)
        if sum(map(byte_length, data.values())) > LARGEST:
            errors.too_long(DATA, LARGEST)
        kind = obj.get("type", "")
        if kind == TOKEN:
            if not annotations_of(obj).get(ACCOUNT_NAME):
                errors.required((ROOT / "metadata" / "annotations").key(ACCOUNT_NAME))
        elif kind in DOCKER:
            _validate_docker(data, DOCKER[kind], errors)
        elif kind == BASIC:
            if "username" not in data and "password" not in data:
                errors.required(DATA.key("username"))
                errors.required(DATA.key("password"))
        elif kind == SSH:
            if not data.get("ssh-privatekey"):
                errors.required(DATA.key("ssh-privatekey"))
        elif kind == TLS:
            for key in (CERTIFICATE, KEY):
                if key not in data:
                    errors.required(DATA.key(key))

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        immutable(new.get("type", ""), old.get("type"), ROOT / "type", errors)
        validate_kept(new, old, ("data",), errors)
        self.validate_create(new, errors)

    def warnings(self, new: Object, old: Object | None) -> list[str]:
        if new.get("type") != TLS:
            return []
        data = new.get("data") or {}
        problem = pair_problem(b64decode(data.get(CERTIFICATE, "")), b64decode(data.get(KEY, "")))
        return [problem] if problem else []


def _validate_docker(data: Mapping[str, str], key: str, errors: FieldErrors) -> None:
    if key not in data:
        errors.required(DATA.key(key))
        return
    problem = _not_a_map(b64decode(data[key]))
    if problem:
        errors.invalid(DATA.key(key), "<secret contents redacted>", problem)


_GO_NAMES = {list: "array", str: "string", bool: "bool", int: "number", float: "number"}


def _not_a_map(text: bytes) -> str:
    """Go's complaint where this is no JSON object (or null)."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return json_text.syntax_error(text)
    if found is None or isinstance(found, dict):
        return ""
    return f"json: cannot unmarshal {_GO_NAMES[type(found)]} into Go value of type map[string]interface {{}}"
