"""A small kind with one of everything that merging and ownership distinguish, and random objects of it."""

from __future__ import annotations

from hypothesis import strategies as st

from ropewalk.kube.machinery.apply.merge import apply_configuration
from ropewalk.kube.machinery.apply.tracking import track_update
from ropewalk.kube.machinery.objects import Object, copied
from ropewalk.kube.machinery.schema import ANY, Schema, Shape

_NUMBER = Schema(Shape.INTEGER)
_TEXT = Schema(Shape.STRING)
_TEXTS = Schema(Shape.MAP, items=_TEXT)
_METADATA = Schema(
    Shape.OBJECT,
    fields={"name": _TEXT, "namespace": _TEXT, "labels": _TEXTS, "annotations": _TEXTS, "uid": _TEXT},
)


def _rigging(**more: object) -> Schema:
    fields = {"masts": _NUMBER, "knot": _TEXT, "labels": _TEXTS}
    return Schema(Shape.OBJECT, definition="test.v1.Rigging", fields=fields, **more)  # type: ignore[arg-type]


_PORT = Schema(Shape.OBJECT, definition="test.v1.Port", fields={"port": _NUMBER, "protocol": _TEXT, "note": _TEXT})
_ROPE = Schema(
    Shape.OBJECT,
    definition="test.v1.Rope",
    fields={
        "name": _TEXT,
        "length": _NUMBER,
        "rigging": _rigging(),
        "ports": Schema(
            Shape.LIST,
            items=_PORT,
            list_type="map",
            list_keys=("port", "protocol"),
            key_defaults={"protocol": "TCP"},
            merge_key="port",
            patch_strategies=("merge",),
        ),
    },
)
SHIP = Schema(
    Shape.OBJECT,
    fields={
        "apiVersion": _TEXT,
        "kind": _TEXT,
        "metadata": _METADATA,
        "status": Schema(Shape.OBJECT, fields={"phase": _TEXT}),
        "crew": _NUMBER,
        "port": _TEXT,
        "labels": _TEXTS,
        "selector": Schema(Shape.MAP, items=_TEXT, atomic=True),
        "rigging": _rigging(patch_strategies=("retainKeys",)),
        "ropes": Schema(
            Shape.LIST,
            items=_ROPE,
            list_type="map",
            list_keys=("name",),
            merge_key="name",
            patch_strategies=("merge",),
        ),
        "flags": Schema(Shape.LIST, items=_TEXT, list_type="set", patch_strategies=("merge",)),
        "log": Schema(Shape.LIST, items=_NUMBER),
        "cargo": ANY,
    },
)

_texts = st.dictionaries(st.sampled_from("pqr"), st.sampled_from("xy"), max_size=3)
_riggings = st.fixed_dictionaries(
    {}, optional={"masts": st.integers(0, 2), "knot": st.sampled_from("uv"), "labels": _texts}
)
_ports = st.lists(
    st.fixed_dictionaries(
        {"port": st.sampled_from([80, 443])},
        optional={"protocol": st.sampled_from(["TCP", "UDP"]), "note": st.sampled_from("mn")},
    ),
    max_size=3,
    unique_by=lambda port: (port["port"], port.get("protocol", "TCP")),
)
_ropes = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from("abcd")},
        optional={"length": st.integers(0, 2), "rigging": _riggings, "ports": _ports},
    ),
    max_size=4,
    unique_by=lambda rope: rope["name"],
)
_cargo = st.recursive(
    st.integers(0, 2) | st.sampled_from("st"),
    lambda below: st.lists(below, max_size=2) | st.dictionaries(st.sampled_from("gh"), below, max_size=2),
    max_leaves=4,
)
_parts = {
    "crew": st.integers(0, 2),
    "port": st.sampled_from("ab"),
    "labels": _texts,
    "selector": _texts,
    "rigging": _riggings,
    "ropes": _ropes,
    "flags": st.lists(st.sampled_from("abcd"), max_size=4, unique=True),
    "log": st.lists(st.integers(0, 2), max_size=3),
}
plain_ships = st.fixed_dictionaries({}, optional=_parts)
"""Without what strategic merge knows nothing of."""
ships = st.fixed_dictionaries({}, optional={**_parts, "cargo": _cargo})


def ship(parts: Object, **metadata: object) -> Object:
    return {"apiVersion": "sea/v1", "kind": "Ship", "metadata": {"name": "ada", **metadata}, **copied(parts)}


def applied(
    live: Object | None,
    parts: Object,
    manager: str,
    *,
    now: str = "2026-01-01T00:00:00Z",
    force: bool = False,
    subresource: str = "",
    **metadata: object,
) -> Object:
    return apply_configuration(
        live,
        ship(parts, **metadata),
        schema=SHIP,
        manager=manager,
        api_version="sea/v1",
        subresource=subresource,
        now=now,
        force=force,
    )


def updated(
    live: Object | None,
    new: Object,
    manager: str,
    *,
    now: str = "2026-01-01T00:00:00Z",
    subresource: str = "",
    api_version: str = "sea/v1",
) -> Object:
    """`new` as it is stored after an update by `manager`."""
    new = copied(new)
    track_update(
        live,
        new,
        schema=SHIP,
        manager=manager,
        api_version=api_version,
        subresource=subresource,
        now=now,
    )
    return new


def fields_of(obj: Object, manager: str, operation: str = "") -> Object:
    """What a manager owns; {} for one that owns nothing."""
    found: Object = next(
        (
            entry["fieldsV1"]
            for entry in obj["metadata"].get("managedFields", ())
            if entry["manager"] == manager and operation in ("", entry["operation"])
        ),
        {},
    )
    return found


def parts_of(obj: Object) -> Object:
    return {key: part for key, part in obj.items() if key not in ("apiVersion", "kind", "metadata")}
