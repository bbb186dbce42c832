"""Secrets at rest: opened where they were sealed, by whoever has the key, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.base.entropy import SystemEntropy
from ropewalk.kube.security.encryption import PREFIX, Encryption, EncryptionKey, encryption_keys

ENTROPY = SystemEntropy()
OLD, NEW = EncryptionKey("old", b"o" * 32), EncryptionKey("new", b"n" * 32)


def sealer(*keys: EncryptionKey) -> Encryption:
    return Encryption(keys, ENTROPY)


@given(key=st.text(max_size=20), value=st.binary(max_size=100))
def test_what_is_sealed_opens_again(key: str, value: bytes) -> None:
    sealed = sealer(OLD).seal(key, value)
    assert sealed.startswith(PREFIX + b"old:")
    assert sealer(OLD).open(key, sealed) == value


def test_the_same_value_never_looks_the_same() -> None:
    sealed = {sealer(OLD).seal("/secrets/a", b"value") for _ in range(20)}
    assert len(sealed) == 20
    assert not any(b"value" in one for one in sealed)


@given(st.data())
def test_whatever_is_changed_in_it_is_found(data: st.DataObject) -> None:
    sealed = bytearray(sealer(OLD).seal("k", b"value"))
    at = data.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ValueError, match="k"):
        sealer(OLD).open("k", bytes(sealed))


def test_a_value_stays_in_its_place() -> None:
    with pytest.raises(ValueError, match="was not sealed for it"):
        sealer(OLD).open("/secrets/b", sealer(OLD).seal("/secrets/a", b"value"))


def test_cut_short() -> None:
    sealed = sealer(OLD).seal("k", b"value")
    for length in range(len(sealed)):
        with pytest.raises(ValueError, match="k"):
            sealer(OLD).open("k", sealed[:length])


def test_keys_are_changed_one_after_the_other() -> None:
    before = sealer(OLD).seal("k", b"value")
    both = sealer(NEW, OLD)
    assert both.open("k", before) == b"value"
    assert both.is_stale(before)
    after = both.seal("k", b"value")
    assert not both.is_stale(after)
    assert sealer(NEW).open("k", after) == b"value"
    with pytest.raises(ValueError, match="no key to open k with: it was sealed with old"):
        sealer(NEW).open("k", before)


def test_what_was_stored_plain_is_read() -> None:
    assert sealer(OLD).open("k", b'{"kind":"Secret"}') == b'{"kind":"Secret"}'
    assert sealer(OLD).is_stale(b'{"kind":"Secret"}')


def test_keys_are_made_once(tmp_path: Path) -> None:
    path = tmp_path / "encryption.json"
    made = encryption_keys(path, ENTROPY)
    assert [key.id for key in made] == ["key1"]
    assert encryption_keys(path, ENTROPY) == made
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nonsense", "does not hold encryption keys"),
        ("{}", "does not hold encryption keys"),
        ('{"keys": []}', "at least one"),
        ('{"keys": [{"id": "a", "secret": "zz"}]}', "does not hold encryption keys"),
        ('{"keys": [{"id": "a", "secret": "00"}]}', "64 hexadecimal digits"),
        ('{"keys": [{"id": "a:b", "secret": "00"}]}', "without colons"),
        ('{"keys": [{"id": "a", "secret": "00"}, {"id": "a", "secret": "00"}]}', "id of its own"),
    ],
)
def test_bad_files_of_keys(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "keys"
    path.write_text(text)
    with pytest.raises(ValueError, match=told):
        encryption_keys(path, ENTROPY)


def test_there_must_be_a_key() -> None:
    with pytest.raises(ValueError, match="needs a key"):
        sealer()
