"""The bounds every backend holds keys, values and pages to, checked before anything is done. Knows no backend."""

from __future__ import annotations

from ropewalk.store.protocol import MAX_KEY_BYTES, MAX_PAGE, MAX_VALUE_BYTES, OutOfBounds


def check_key(key: str) -> None:
    """Raises `OutOfBounds`."""
    if not key:
        raise OutOfBounds("a key is not empty")
    if "\0" in key:
        raise OutOfBounds("a key holds no NUL")
    try:
        size = len(key) if key.isascii() else len(key.encode())
    except UnicodeEncodeError:
        raise OutOfBounds("a key is UTF-8 text, without lone surrogates") from None
    if size > MAX_KEY_BYTES:
        raise OutOfBounds(f"a key holds at most {MAX_KEY_BYTES} bytes, this one {size}")


def check_write(key: str, value: bytes) -> None:
    """Raises `OutOfBounds`."""
    check_key(key)
    if len(value) > MAX_VALUE_BYTES:
        raise OutOfBounds(f"{key}: a value holds at most {MAX_VALUE_BYTES} bytes, this one {len(value)}")


def check_limit(limit: int) -> None:
    """Raises `OutOfBounds`."""
    if not 1 <= limit <= MAX_PAGE:
        raise OutOfBounds(f"a page holds 1 to {MAX_PAGE} entries, not {limit}")


def check_lease(name: str, holder: str, seconds: float) -> None:
    """Raises `OutOfBounds`."""
    check_key(name)
    if not holder or "\0" in holder or len(holder) > MAX_KEY_BYTES:
        raise OutOfBounds(f"a lease's holder has 1 to {MAX_KEY_BYTES} characters and no NUL")
    if not 0 < seconds <= 86_400:
        raise OutOfBounds(f"a lease lasts more than 0 and at most 86,400 seconds, not {seconds}")
