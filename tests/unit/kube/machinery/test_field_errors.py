"""What field errors say: paths, values and words as apimachinery's `field` package has them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ropewalk.kube.machinery.fields import ROOT, FieldErrors, Path

HERE = Path("spec") / "containers" / 0 / "image"
Say = Callable[[FieldErrors], None]


def said(say: Say) -> tuple[str, str, str]:
    errors = FieldErrors()
    say(errors)
    [cause] = errors.causes
    return cause.reason, cause.field, cause.message


@pytest.mark.parametrize(
    ("say", "reason", "message"),
    [
        (lambda errors: errors.required(HERE), "FieldValueRequired", "Required value"),
        (lambda errors: errors.required(HERE, "why"), "FieldValueRequired", "Required value: why"),
        (lambda errors: errors.invalid(HERE, "a", "why"), "FieldValueInvalid", 'Invalid value: "a": why'),
        (lambda errors: errors.invalid(HERE, None, "why"), "FieldValueInvalid", "Invalid value: null: why"),
        (
            lambda errors: errors.not_supported(HERE, "x", ("TCP", "UDP", "SCTP")),
            "FieldValueNotSupported",
            'Unsupported value: "x": supported values: "TCP", "UDP", "SCTP"',
        ),
        (lambda errors: errors.not_supported(HERE, 7, ()), "FieldValueNotSupported", "Unsupported value: 7"),
        (lambda errors: errors.duplicate(HERE, {"a": 1}), "FieldValueDuplicate", 'Duplicate value: {"a":1}'),
        (lambda errors: errors.forbidden(HERE, "why"), "FieldValueForbidden", "Forbidden: why"),
        (lambda errors: errors.not_found(HERE, "x"), "FieldValueNotFound", 'Not found: "x"'),
        (lambda errors: errors.not_found(HERE, "x", "why"), "FieldValueNotFound", 'Not found: "x": why'),
        (lambda errors: errors.too_long(HERE, 1), "FieldValueTooLong", "Too long: may not be more than 1 byte"),
        (lambda errors: errors.too_long(HERE, 63), "FieldValueTooLong", "Too long: may not be more than 63 bytes"),
        (lambda errors: errors.too_many(HERE, 3, 1), "FieldValueTooMany", "Too many: 3: must have at most 1 item"),
        (lambda errors: errors.too_many(HERE, 3, 2), "FieldValueTooMany", "Too many: 3: must have at most 2 items"),
        (lambda errors: errors.immutable(HERE, "x"), "FieldValueInvalid", 'Invalid value: "x": field is immutable'),
    ],
)
def test_words(say: Say, reason: str, message: str) -> None:
    assert said(say) == (reason, "spec.containers[0].image", message)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (ROOT, "<nil>"),
        (ROOT / "metadata" / "name", "metadata.name"),
        ((ROOT / "metadata" / "labels").key("a/b"), "metadata.labels[a/b]"),
        (ROOT / 0 / "name", "[0].name"),
    ],
)
def test_paths(path: Path, text: str) -> None:
    assert said(lambda errors: errors.required(path))[1] == text
