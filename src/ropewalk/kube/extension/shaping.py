"""What a custom resource becomes on its way in: unknown fields pruned, defaults filled. In place. Pure.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#field-pruning
"""

from __future__ import annotations

from collections.abc import Callable

from ropewalk.kube.machinery.objects import Json, Object, copied
from ropewalk.kube.machinery.schema import Schema, Shape

Fill = Callable[[Json], None]


def pruned(value: Json, schema: Schema, path: str, unknown: list[str]) -> None:
    """Drop, in place, what the schema does not name; `unknown` gets the complaints of strict decoding."""
    if type(value) is dict:
        if schema.shape is Shape.OBJECT:
            for key in [key for key in value if key not in schema.fields]:
                if not schema.preserve_unknown:
                    del value[key]
                    unknown.append(f'unknown field "{path}{key}"')
            for key, part in value.items():
                field = schema.fields.get(key)
                if field is not None and type(part) in (dict, list):
                    pruned(part, field, f"{path}{key}.", unknown)
        elif schema.shape is Shape.MAP:
            for key, part in value.items():
                pruned(part, schema.items, f"{path}{key}.", unknown)
    elif type(value) is list and schema.shape is Shape.LIST:
        below = path.removesuffix(".")
        for place, item in enumerate(value):
            if type(item) in (dict, list):
                pruned(item, schema.items, f"{below}[{place}].", unknown)


def filler(schema: Object) -> Fill | None:
    """What fills the schema's defaults; None where there are none."""
    parts: dict[str, tuple[bool, Json, Fill | None, bool]] = {}
    for name, part in (schema.get("properties") or {}).items():
        below = filler(part)
        if "default" in part or below is not None:
            parts[name] = ("default" in part, part.get("default"), below, bool(part.get("nullable")))
    additional = schema.get("additionalProperties")
    others = filler(additional) if isinstance(additional, dict) else None
    items = filler(schema["items"]) if isinstance(schema.get("items"), dict) else None
    if not parts and others is None and items is None:
        return None

    def fill(value: Json) -> None:
        if type(value) is dict:
            for name, (has_default, default, below, nullable) in parts.items():
                if has_default and (name not in value or (value[name] is None and not nullable)):
                    value[name] = copied(default)
                if below is not None and name in value:
                    below(value[name])
            if others is not None:
                for name, part in value.items():
                    if name not in parts:
                        others(part)
        elif type(value) is list and items is not None:
            for item in value:
                items(item)

    return fill
