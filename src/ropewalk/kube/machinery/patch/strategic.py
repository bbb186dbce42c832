"""Strategic merge patch: a merge patch that knows, from the schema, which lists are merged and by which key.

https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md

Directives stand among the fields of a patch: `$patch: replace` or `delete` of the map they stand in (or, in a list, of
the whole list or the item of that key), `$retainKeys` clears all fields but those named, `$deleteFromPrimitiveList/x`
takes values from the list x, `$setElementOrder/x` gives the order of the list x. Custom resources have no strategic
merge: the front refuses the content type for them.

Nothing given is changed; the result shares parts of both. Lists are looked up by key in dictionaries: a patch of the
largest size takes linear time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ropewalk.kube.machinery.errors import StatusFault, bad_request
from ropewalk.kube.machinery.objects import Json, Object
from ropewalk.kube.machinery.patch.go_text import text, type_name
from ropewalk.kube.machinery.patch.json_patch import rejected
from ropewalk.kube.machinery.schema import ANY, Schema, Shape

DIRECTIVE = "$patch"
RETAIN_KEYS = "$retainKeys"
DELETE_FROM_LIST = "$deleteFromPrimitiveList"
SET_ORDER = "$setElementOrder"

_BAD_RETAIN_KEYS = "invalid patch format of retainKeys"
_BAD_PRIMITIVE_LIST = "invalid patch format of primitive list"
_BAD_ORDER_LIST = "invalid patch format of setElementOrder list"

_Key = Callable[[Json], Json]


def apply_strategic_patch(document: Object, patch: Json, schema: Schema) -> Object:
    """The patched document. Refusals carry Kubernetes' texts."""
    if type(patch) is not dict:
        raise bad_request(f"json: cannot unmarshal {type_name(patch)} into Go value of type map[string]interface {{}}")
    return _merge_map(document, patch, schema)


# --- maps


def _merge_map(original: Object, patch: Object, schema: Schema) -> Object:
    if DIRECTIVE in patch:
        return _whole_map(patch)
    result = dict(original)
    if RETAIN_KEYS in patch:
        _retain(result, patch)
    ordered = _merge_ordered_lists(result, patch, schema)
    for key, value in patch.items():
        if key in ordered or key == RETAIN_KEYS or key.startswith(SET_ORDER):
            continue
        deleting = key.startswith(DELETE_FROM_LIST)
        if deleting:
            key = _list_name(key, DELETE_FROM_LIST, _BAD_PRIMITIVE_LIST)
        if value is None:
            result.pop(key, None)
        elif key in result and type(result[key]) is type(value):
            result[key] = _merge_field(result[key], value, schema, key, deleting=deleting)
        elif not deleting:
            _put(result, key, value)
    return result


def _whole_map(patch: Object) -> Object:
    directive = patch[DIRECTIVE]
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != DIRECTIVE}
    if directive == "delete":
        return {}
    raise _unknown_directive(directive, patch)


def _put(result: Object, key: str, value: Json) -> None:
    """What the original does not have (or has as something else) is taken as it is, less nulls and directives."""
    if type(value) is dict and DIRECTIVE in value:
        result.pop(key, None)
    else:
        result[key] = _plain(value)


def _plain(value: Json) -> Json:
    if type(value) is dict:
        return {
            key: _plain(part)
            for key, part in value.items()
            if part is not None and not (type(part) is dict and DIRECTIVE in part)
        }
    if type(value) is list:
        return [_plain(part) for part in value if not (type(part) is dict and DIRECTIVE in part)]
    return value


def _merge_field(original: Json, patch: Json, schema: Schema, key: str, *, deleting: bool) -> Json:
    if type(patch) is dict:
        below = _field(schema, key)
        return patch if _strategy(below) == "replace" else _merge_map(original, patch, below)
    if type(patch) is list:
        return _merge_list(original, patch, _list_field(schema, key), deleting=deleting)
    return patch


def _retain(result: Object, patch: Object) -> None:
    names = patch[RETAIN_KEYS]
    if type(names) is not list:
        raise bad_request(_BAD_RETAIN_KEYS)
    kept = {name for name in names if type(name) is str}
    for key, value in patch.items():
        if value is not None and key not in kept and not key.startswith((RETAIN_KEYS, DELETE_FROM_LIST, SET_ORDER)):
            raise bad_request(_BAD_RETAIN_KEYS)
    for key in [key for key in result if key not in kept]:
        del result[key]


def _merge_ordered_lists(result: Object, patch: Object, schema: Schema) -> set[str]:
    """Merge the lists that the patch gives an order for. Returns their names: they are done."""
    done: set[str] = set()
    for directive, order in patch.items():
        if not directive.startswith(SET_ORDER):
            continue
        if type(order) is not list:
            raise _bad_type([], order)
        key = _list_name(directive, SET_ORDER, _BAD_ORDER_LIST)
        original: list[Json] | None = result.get(key)
        changes: list[Json] | None = patch.get(key)
        for held, value in ((result, original), (patch, changes)):
            if key in held and type(value) is not list:
                raise _bad_type([], value)
        below = _list_field(schema, key)
        _check_order(changes or [], order, below.merge_key)
        if original is not None and changes is not None:
            merged = _merge_list(original, changes, below, deleting=False)
        elif changes is not None:
            merged = _plain(changes)
        elif original is not None:
            merged = original
        else:
            continue
        result[key] = _ordered(merged, order, original or [], below.merge_key)
        done.add(key)
    return done


def _check_order(changes: list[Json], order: list[Json], merge_key: str) -> None:
    """The items of the patch must stand in the order that it gives."""
    if not changes or not order:
        return
    key = _key_of(merge_key)
    for item in changes:
        if merge_key and type(item) is not dict:
            raise _bad_type({}, item)
    wanted = iter(order)
    for item in changes:
        if type(item) is dict and DIRECTIVE in item:
            continue
        value = key(item)
        if not any(key(candidate) == value for candidate in wanted):
            raise _unnamed(
                f"The order in patch list:\n{text(changes)}\n doesn't match {SET_ORDER} list:\n{text(order)}\n"
            )


# --- lists


def _merge_list(original: list[Json], patch: list[Json], schema: Schema, *, deleting: bool) -> list[Json]:
    if not deleting and _strategy(schema) != "merge":
        return patch
    if not original and not patch:
        return original
    if _element_type(original, patch) is not dict:
        if deleting:
            gone = set(patch)
            return [value for value in original if value not in gone]
        return _ordered(list(dict.fromkeys([*original, *patch])), patch, original, "")
    if not schema.merge_key:
        raise _unnamed(f"cannot merge lists without merge key for {_go_kind(schema.items)}")
    original, patch = _special_items(original, patch, schema.merge_key)
    return _ordered(_merge_items(original, patch, schema), patch, original, schema.merge_key)


def _special_items(original: list[Json], patch: list[Json], merge_key: str) -> tuple[list[Json], list[Json]]:
    """Carry out the directives among the patch's items: what is left to merge, into what."""
    key = _key_of(merge_key)
    plain = []
    deleted = set()
    replace = False
    for item in patch:
        directive = item.get(DIRECTIVE)
        if DIRECTIVE not in item:
            plain.append(item)
        elif directive == "delete":
            deleted.add(key(item))
        elif directive == "replace":
            replace = True
        elif directive == "merge":
            raise _unnamed("merging lists cannot yet be specified in the patch")
        else:
            raise _unknown_directive(directive, item)
    if replace:
        return plain, []
    if deleted:
        original = [item for item in original if item.get(merge_key) not in deleted]
    return original, plain


def _merge_items(original: list[Json], patch: list[Json], schema: Schema) -> list[Json]:
    merge_key = schema.merge_key
    key = _key_of(merge_key)
    merged = list(original)
    places: dict[Json, int] = {}
    for place, item in enumerate(merged):
        if merge_key in item:
            places.setdefault(key(item), place)
    for item in patch:
        value = key(item)
        if value in places:
            merged[places[value]] = _merge_map(merged[places[value]], item, schema.items)
        else:
            places[value] = len(merged)
            merged.append(item)
    return merged


def _ordered(merged: list[Json], wanted: list[Json], original: list[Json], merge_key: str) -> list[Json]:
    """What `wanted` names, in its order, and the rest in the order of the original; where the two lists say nothing of
    each other, the original's order decides, and else what is wanted comes first.
    """
    key = _key_of(merge_key)
    wanted_places = _places(wanted, key)
    original_places = _places(original, key)
    named: list[tuple[Json, Json]] = []
    others: list[tuple[Json, Json]] = []
    for item in merged:
        value = key(item)
        (named if value in wanted_places else others).append((value, item))
    named.sort(key=lambda pair: wanted_places[pair[0]])
    others.sort(key=lambda pair: original_places.get(pair[0], len(original)))
    result: list[Json] = []
    waiting = 0
    for value, item in named:
        place = original_places.get(value)
        if place is not None:
            while waiting < len(others) and original_places.get(others[waiting][0], place) < place:
                result.append(others[waiting][1])
                waiting += 1
        result.append(item)
    result.extend(item for _, item in others[waiting:])
    return result


def _places(items: Iterable[Json], key: _Key) -> dict[Json, int]:
    places: dict[Json, int] = {}
    for place, item in enumerate(items):
        places.setdefault(key(item), place)
    return places


def _key_of(merge_key: str) -> _Key:
    """By what items of a list are told apart: the value of their merge key, or a scalar itself."""

    def of_map(item: Json) -> Json:
        if type(item) is not dict:
            raise _bad_type({}, item)
        if merge_key not in item:
            raise _unnamed(f"map: {text(item)} does not contain declared merge key: {merge_key}")
        return of_scalar(item[merge_key])

    def of_scalar(item: Json) -> Json:
        if type(item) is dict or type(item) is list:
            raise _bad_type("", item)
        return (type(item), item) if type(item) is bool else item

    return of_map if merge_key else of_scalar


def _element_type(*lists: list[Json]) -> type:
    found: type | None = None
    for items in lists:
        for item in items:
            if type(item) is list:
                raise rejected()
            if found is None:
                found = type(item)
            elif type(item) is not found:
                raise _unnamed(f"list element types are not identical: {text(list(lists))}")
    assert found is not None  # one of the lists has an element
    return found


# --- the schema's say


def _field(schema: Schema, key: str) -> Schema:
    if schema.shape is Shape.ANY:
        return ANY
    if schema.shape is not Shape.OBJECT:
        raise _unnamed(f"merging an object in json but data type is not struct, instead is: {_go_kind(schema)}")
    found = schema.fields.get(key)
    if found is None:
        if schema.preserve_unknown:
            return ANY
        name = schema.definition.rpartition(".")[2]
        raise _unnamed(f'unable to find api field in struct {name} for the json field "{key}"')
    return found


def _list_field(schema: Schema, key: str) -> Schema:
    found = _field(schema, key)
    if found.shape is not Shape.LIST and found.shape is not Shape.ANY:
        raise _unnamed(f"expected slice or array type, but got: {_go_kind(schema)}")
    return found


def _strategy(schema: Schema) -> str:
    """How the field is merged: "merge", "replace" or "" (the kind's own way: maps merge, lists are replaced)."""
    return next((name for name in schema.patch_strategies if name != "retainKeys"), "")


def _go_kind(schema: Schema) -> str:
    kinds = {Shape.OBJECT: "struct", Shape.MAP: "map", Shape.LIST: "slice"}
    return kinds.get(schema.shape, schema.shape.value)


def _list_name(directive: str, prefix: str, otherwise: str) -> str:
    head, slash, name = directive.partition("/")
    if not slash or head != prefix:
        raise bad_request(otherwise)
    return name


# --- refusals


def _unnamed(message: str) -> StatusFault:
    """kube-apiserver gives these no reason, and a 500 that is none."""
    return StatusFault("", message, status=400)


def _unknown_directive(directive: Json, where: Object) -> StatusFault:
    return _unnamed(f"unknown patch type: {text(directive)} in map: {text(where)}")


def _bad_type(expected: Json, found: Json) -> StatusFault:
    received = "%!s(<nil>)" if found is None else type_name(found)  # Go's own slip
    return _unnamed(f"expected a {type_name(expected)}, but received a {received}")
