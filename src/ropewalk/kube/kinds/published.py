"""What Kubernetes publishes about its own types: the OpenAPI definitions of 1.35, read once, then kept in a cache.

They come with the package kubernetes-validate, which rewrites them for JSON schema validators; here that is undone, so
that what is served is what kube-apiserver serves. Only the package's data file is read, its code is never imported
(it would pull in jsonschema). Reading 1.5 MB of JSON takes 30 ms, hence the cache: every definition is marshalled by
itself, so that a start loads names and pays for a definition where it first needs one. Descriptions, nine tenths of
the text, stand in a second file which only OpenAPI documents read.

This knows nothing of `Schema` trees; they are made in `definitions`.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import marshal
import os
import sys
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from pathlib import Path

import orjson

from ropewalk.kube.kinds import enumerations, go_types
from ropewalk.kube.kinds.enumerations import ENUMERATIONS
from ropewalk.kube.machinery.objects import Json, Object

_SOURCE = Path("kubernetes-json-schema") / "v1.35.0-local" / "_definitions.json"
_STABLE = (".v1.", ".v2.", "io.k8s.apimachinery.", "io.k8s.api.admissionregistration.v1beta1.")
"""Which definitions are kept: the stable versions, what all share, and the one beta that is served."""

REFERENCE = "$ref"
"""In a restored definition its value is the bare name of another definition."""

QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"

_ZEROS: dict[str, Json] = {"string": "", "integer": 0, "number": 0, "boolean": False}

_QUANTITY_DESCRIPTION = (
    "A fixed-point number with an optional suffix (m, k, M, G, T, P, E, or Ki, Mi, Gi, Ti, Pi, Ei, or an exponent),"
    " such as 100m, 1.5Gi or 2e3. See"
    " https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/"
)
_INT_OR_STRING_DESCRIPTION = "A number or a string: for example a port's number or its name, a count or a percentage."


class Published:
    """The definitions by name, restored: OpenAPI v3 schemas with defaults, without descriptions."""

    def __init__(self, packed: dict[str, bytes], kinds: dict[tuple[str, str, str], str]) -> None:
        self._packed = packed
        self._ready: dict[str, Object] = {}
        self.kinds = kinds
        """(group, version, kind) → name of the definition."""

    @property
    def names(self) -> list[str]:
        return list(self._packed)

    def definition(self, name: str) -> Object:
        """Shared: never to be changed. KeyError where there is no such definition."""
        found = self._ready.get(name)
        if found is None:
            found = self._ready[name] = marshal.loads(self._packed[name])
        return found

    @cached_property
    def digest(self) -> str:
        """Changes whenever the definitions do."""
        return _key()

    @cached_property
    def descriptions(self) -> dict[str, dict[str, str]]:
        """Name of the definition → field ("" is the definition itself) → text."""
        found: dict[str, dict[str, str]] = _cached("descriptions", lambda: _read()[1])
        return found


@lru_cache(maxsize=1)
def published() -> Published:
    packed, kinds = _cached("definitions", lambda: _packed(_read()[0]))
    return Published(packed, kinds)


# --- reading and restoring


def _data_file() -> Path:
    spec = importlib.util.find_spec("kubernetes_validate")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("the package kubernetes-validate is not installed: it carries Kubernetes' API definitions")
    return Path(spec.submodule_search_locations[0]) / _SOURCE


def _read() -> tuple[dict[str, Object], dict[str, dict[str, str]]]:
    """(definitions, descriptions), restored."""
    source = orjson.loads(_data_file().read_bytes())["$defs"]
    definitions: dict[str, Object] = {}
    descriptions: dict[str, dict[str, str]] = {}
    for name, given in source.items():
        if not any(part in name for part in _STABLE):
            continue
        texts = {"": given.get("description", "")}
        for field, part in given.get("properties", {}).items():
            texts[field] = part.get("description", "") + _listed(ENUMERATIONS.get(name, {}).get(field, ()))
        descriptions[name] = {field: text for field, text in texts.items() if text}
        definitions[name] = _restored(name, given)
    descriptions[QUANTITY] = {"": _QUANTITY_DESCRIPTION}
    descriptions[INT_OR_STRING] = {"": _INT_OR_STRING_DESCRIPTION}
    return definitions, descriptions


def _listed(values: Sequence[str]) -> str:
    """As kube-openapi ends a description; what each value means is for the reference to tell."""
    return "\n\nPossible enum values:\n" + "\n".join(f' - `"{value}"`' for value in values) if values else ""


def _restored(name: str, given: Object) -> Object:
    if name == QUANTITY:
        return {"oneOf": [{"type": "string"}, {"type": "number"}]}
    if name == INT_OR_STRING:
        return {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]}
    restored = _schema(given)
    defaults: dict[str, Json] = {field: {} for field in go_types.VALUES.get(name, ())}
    for field in frozenset(given.get("required", ())) - go_types.POINTERS.get(name, frozenset()):
        defaults.setdefault(field, _zero(restored["properties"][field]))
    defaults |= go_types.DEFAULTS.get(name, {})
    for field, default in defaults.items():
        if default is not None:
            restored["properties"][field]["default"] = default
    for field, values in ENUMERATIONS.get(name, {}).items():
        node = restored["properties"][field]
        element = node.get("items") or node.get("additionalProperties") or node
        element["enum"] = list(values)
    return restored


def _schema(given: Object) -> Object:
    """One node as published: no null beside the type, no enum of apiVersion and kind."""
    node: Object = {}
    for key, value in given.items():
        if key in ("description", "enum"):
            continue
        if key == "type" and isinstance(value, list):
            node[key] = next(word for word in value if word != "null")
        elif key == "properties":
            node[key] = {field: _schema(part) for field, part in value.items()}
        elif key in ("items", "additionalProperties"):
            node[key] = _element(value)
        elif key == REFERENCE:
            node[key] = value.rpartition("/")[2]
        else:
            node[key] = value
    return node


def _element(given: Object) -> Object:
    node = _schema(given)
    default = _zero(node)
    if default is None and node.get(REFERENCE, QUANTITY) not in go_types.NEVER_EMPTY:
        default = {}
    if default is not None:
        node["default"] = default
    return node


def _zero(node: Object) -> Json:
    """What Go has in a field that was left out; None where that is nothing."""
    return None if node.get("format") == "byte" else _ZEROS.get(node.get("type", ""))


# --- the cache


def _packed(definitions: dict[str, Object]) -> tuple[dict[str, bytes], dict[tuple[str, str, str], str]]:
    kinds = {
        (kind["group"], kind["version"], kind["kind"]): name
        for name, definition in definitions.items()
        for kind in definition.get("x-kubernetes-group-version-kind", ())
    }
    return {name: marshal.dumps(definition) for name, definition in definitions.items()}, kinds


def _cached(what: str, make: Callable[[], Json]) -> Json:
    """`make()`, or what an earlier process got from it. A cache that cannot be written or read costs time only."""
    name = f"kubernetes-{what}-{_key()}.marshal"
    folders = _folders()
    for folder in folders:
        with contextlib.suppress(OSError, ValueError, EOFError, TypeError):
            return marshal.loads((folder / name).read_bytes())
    made = make()
    for folder in folders:
        with contextlib.suppress(OSError):
            _write(folder / name, marshal.dumps(made))
            break
    return made


def _key() -> str:
    """Of everything that the cached content depends on: Python, the package's file, this code."""
    source = _data_file().stat()
    digest = hashlib.sha256(f"{sys.implementation.cache_tag} {source.st_size} {source.st_mtime_ns}".encode())
    for module in (__file__, go_types.__file__, enumerations.__file__):
        digest.update(Path(module).read_bytes())
    return digest.hexdigest()[:16]


def _folders() -> tuple[Path, ...]:
    """Beside the code; where that may not be written (an installation by root), the user's own."""
    base = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(__file__).parent / "__pycache__", Path(base) / "ropewalk"


def _write(path: Path, content: bytes) -> None:
    import tempfile  # 3 ms, and only the first start writes

    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise
