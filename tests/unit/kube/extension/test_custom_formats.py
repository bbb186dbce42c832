"""String formats: what passes for each, and what CEL makes of those that have a type."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ropewalk.kube.extension import formats


@pytest.mark.parametrize(
    ("form", "good", "bad"),
    [
        ("bsonobjectid", "507f1f77bcf86cd799439011", "507f1f77bcf86cd79943901"),
        ("uri", "https://example.com/a?b=c", "example.com/a"),
        ("uri", "/absolute", "https://exa mple.com/"),
        ("uri", "mailto:a@example.com", "https://example.com/%zz"),
        ("email", "a.b@example.com", "a.b.example.com"),
        ("email", "Bob <bob@example.com>", "<bob>"),
        ("hostname", "a-b.example.com", "-a.example.com"),
        ("hostname", "bücher.example", "a." + "b" * 64 + ".com"),
        ("ipv4", "010.0.0.1", "10.0.0.256"),
        ("ipv4", "::ffff:10.0.0.1", "::1"),
        ("ipv6", "::1", "fe80::1%eth0"),
        ("cidr", "10.0.0.0/8", "10.0.0.0/33"),
        ("cidr", "fd00::/8", "10.0.0.0"),
        ("mac", "01:23:45:67:89:ab", "01:23:45:67:89"),
        ("mac", "0123.4567.89ab", "01:23-45:67:89:ab"),
        ("uuid", "123E4567e89b12d3a456426614174000", "123e4567-e89b-12d3-a456-42661417400"),
        ("uuid3", "6fa459ea-ee8a-3ca4-894e-db77e160355e", "6fa459ea-ee8a-4ca4-894e-db77e160355e"),
        ("uuid4", "9f1b3c3e-7d64-4d4e-9b0a-2f6b1f0c9d11", "9f1b3c3e-7d64-4d4e-1b0a-2f6b1f0c9d11"),
        ("uuid5", "886313e1-3b8a-5372-9b90-0c9aee199e5d", "886313e1-3b8a-4372-9b90-0c9aee199e5d"),
        ("isbn", "0-321-75104-3", "0-321-75104-4"),
        ("isbn13", "978-0321751041", "978-0321751042"),
        ("creditcard", "4111-1111-1111-1111", "4111-1111-1111-1112"),
        ("ssn", "123-45-6789", "123456789"),
        ("hexcolor", "#Fa0", "#fa"),
        ("rgbcolor", "rgb( 1, 2, 255 )", "rgb(1,2,256)"),
        ("byte", "YWI+", ""),
        ("byte", "YQ==", "YWI_"),
        ("date", "2024-02-29", "2023-02-29"),
        ("date-time", "2024-02-29t23:59:59.5z", "2024-02-29T24:00:00Z"),
        ("datetime", "2024-02-29T23:59:59+02:00", "2024-02-29 23:59:59Z"),
        ("duration", "1h30m", "1 fortnight"),
        ("duration", "3 days", "soon"),
        ("k8s-short-name", "a-1", "A"),
        ("k8s-long-name", "a.b-c", "a..b"),
    ],
)
def test_formats(form: str, good: str, bad: str) -> None:
    fits = formats.check_of(form)
    assert fits is not None
    assert fits(good), good
    assert not fits(bad), bad


def test_of_others_nothing_is_asked() -> None:
    assert formats.check_of("int32") is None
    assert formats.check_of("") is None
    password = formats.check_of("password")
    assert password is not None
    assert password("anything")


def test_no_text_makes_a_format_slow() -> None:
    """Each of these once took longer than anybody waits."""
    for form in ("k8s-long-name", "email", "hostname", "uri", "duration"):
        fits = formats.check_of(form)
        assert fits is not None
        fits("a" * 5_000 + "!")
        fits("a." * 2_500 + "!")


def test_times_as_cel_sees_them() -> None:
    assert formats.parse_datetime("2024-01-01T01:00:00.25+01:00") == datetime(2024, 1, 1, 0, 0, 0, 250_000, UTC)
    assert formats.parse_datetime("2024-01-01T01:00:00") == datetime(2024, 1, 1, 1, tzinfo=UTC)
    assert formats.parse_date("2024-01-31") == datetime(2024, 1, 31, tzinfo=UTC)
    assert formats.parse_duration("1h30m0.5s") == timedelta(hours=1, minutes=30, seconds=0.5)
    assert formats.parse_duration("-2m") == timedelta(minutes=-2)
    assert formats.parse_duration("2 days") == timedelta(days=2)
    assert formats.parse_bytes("YWI_") == b"ab?"
