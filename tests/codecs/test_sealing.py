"""AES-GCM and signed pickle: keys, rotation, and what a payload is bound to."""

from __future__ import annotations

import os
import pickle
import sys
from typing import Any

import pytest

from cachewright.codecs.aesgcm import REKEY_AFTER, Sealer
from cachewright.codecs.keyring import KeyRing
from cachewright.codecs.pickle import SignedPickleCodec
from cachewright.errors import CodecError, ConfigurationError

OLD, NEW = bytes(range(32)), bytes(range(32, 64))


def opens(sealer: Sealer, data: bytes, aad: bytes = b"k") -> bool:
    try:
        sealer.open(data, aad)
    except CodecError:
        return False
    return True


def test_sealed_data_opens_and_does_not_show() -> None:
    sealer = Sealer([OLD])
    sealed = sealer.seal(b"secret value", b"k")
    assert b"secret" not in sealed
    assert sealer.open(sealed, b"k") == b"secret value"
    assert sealer.open(memoryview(sealed), b"k") == b"secret value"  # type: ignore[arg-type]


def test_security_14_ciphertext_moved_to_another_key_is_refused() -> None:
    sealer = Sealer([OLD])
    sealed = sealer.seal(b"value", b"user:1")
    assert not opens(sealer, sealed, b"user:2")


def test_security_14_the_key_id_is_authenticated() -> None:
    """The same secret under two ids: relabelled ciphertext does not open."""
    sealed = Sealer({"a": OLD}).seal(b"value", b"k")
    relabelled = sealed.replace(b"\x01a", b"\x01b", 1)
    assert opens(Sealer({"b": OLD, "a": NEW}, write="a"), relabelled) is False
    assert opens(Sealer({"a": OLD}), sealed)


def test_every_changed_or_missing_byte_is_refused() -> None:
    sealer = Sealer({1: OLD})
    sealed = sealer.seal(b"value", b"k")
    for at in range(len(sealed)):
        assert not opens(sealer, sealed[:at])
        assert not opens(sealer, sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :])


@pytest.mark.parametrize("form", ["mapping", "list"])
def test_security_15_keys_rotate_without_losing_entries(form: str) -> None:
    def ring(**keys: bytes) -> Any:
        return keys if form == "mapping" else list(keys.values())

    before = Sealer(ring(old=OLD)).seal(b"1", b"k")
    both = Sealer(ring(new=NEW, old=OLD))
    assert both.open(before, b"k") == b"1"
    after = both.seal(b"2", b"k")
    done = Sealer(ring(new=NEW))
    assert done.open(after, b"k") == b"2"
    with pytest.raises(CodecError, match="not among the read keys"):
        done.open(before, b"k")


def test_security_15_readers_learn_a_key_before_writers_use_it() -> None:
    first_step = Sealer({1: OLD, 2: NEW}, write=1)
    assert opens(Sealer({1: OLD}), first_step.seal(b"x", b"k"))


def test_security_15_nonces_do_not_repeat_and_a_key_has_a_limit() -> None:
    sealer = Sealer({1: OLD}, rekey_after=500)
    nonces = {sealer.seal(b"same", b"k")[2:14] for _ in range(500)}
    assert len(nonces) == 500
    with pytest.raises(CodecError, match="new key"):
        sealer.seal(b"same", b"k")
    with pytest.raises(ConfigurationError):
        Sealer({1: OLD}, rekey_after=REKEY_AFTER + 1)


@pytest.mark.parametrize(
    "keys",
    [
        {},
        [],
        OLD,
        "secret",
        [b""],
        {1: b"short"},
        {1: OLD[:31]},
        {1: "x" * 32},
        {1: OLD, "1": NEW},
        {"": OLD},
        {"x" * 256: OLD},
        [OLD, OLD],
        ["x" * 32],
    ],
    ids=repr,
)
def test_keys_that_cannot_work_are_refused_at_construction(keys: Any) -> None:
    for make in (Sealer, SignedPickleCodec):
        with pytest.raises(ConfigurationError):
            make(keys)


def test_a_write_key_must_be_among_the_keys() -> None:
    with pytest.raises(ConfigurationError, match="write=3"):
        Sealer({1: OLD}, write=3)


def test_no_repr_or_error_shows_a_key() -> None:
    key = b"0123456789abcdef0123456789ABCDEF"
    assert "abcdef" not in repr(KeyRing([key])) + repr(Sealer([key])) + repr(vars(Sealer([key])))
    with pytest.raises(ConfigurationError) as caught:
        KeyRing({1: key[:-1]})
    assert "abcdef" not in str(caught.value)


def test_sealing_without_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    monkeypatch.delitem(sys.modules, "cachewright.codecs.aesgcm")
    with pytest.raises(ImportError, match=r"cachewright\[crypto\]"):
        __import__("cachewright.codecs.aesgcm")


FIRED: list[str] = []


def fire(mark: str) -> None:
    FIRED.append(mark)


class Trap:
    """Leaves a mark when it is unpickled."""

    def __reduce__(self) -> Any:
        return fire, ("unpickled",)


@pytest.fixture
def fired() -> list[str]:
    FIRED.clear()
    return FIRED


def test_the_trap_fires_when_it_is_unpickled(fired: list[str]) -> None:
    pickle.loads(pickle.dumps(Trap()))
    assert fired == ["unpickled"]


def test_security_9_pickle_is_loaded_only_after_its_mac_was_compared(fired: list[str]) -> None:
    """Defect 81: bytes that no key holder wrote are never loaded."""
    codec = SignedPickleCodec({1: OLD})
    bare = pickle.dumps(Trap())
    signed = codec.encode_bound(Trap(), b"k", sealed=False)
    other = SignedPickleCodec({1: NEW}).encode_bound(Trap(), b"k", sealed=False)
    forged = [bare, signed[:2] + bytes(32) + bare, signed[:2] + bare, other, b"\x011" + bare]
    forged += [
        signed[:at] + bytes([signed[at] ^ 1]) + signed[at + 1 :] for at in range(len(signed))
    ]
    forged += [signed[:at] for at in range(len(signed))]
    for data in forged:
        with pytest.raises(CodecError):
            codec.decode_bound(data, b"k")
    assert fired == []
    codec.decode_bound(signed, b"k")
    assert fired == ["unpickled"]


def test_security_14_signed_pickle_moved_to_another_key_is_not_loaded(fired: list[str]) -> None:
    codec = SignedPickleCodec([OLD])
    signed = codec.encode_bound(Trap(), b"user:1", sealed=False)
    with pytest.raises(CodecError):
        codec.decode_bound(signed, b"user:2")
    assert fired == []


def test_security_15_signing_keys_rotate() -> None:
    before = SignedPickleCodec({1: OLD}).encode({"a": (1, {2})})
    assert SignedPickleCodec({2: NEW, 1: OLD}).decode(before) == {"a": (1, {2})}
    with pytest.raises(CodecError, match="not among the read keys"):
        SignedPickleCodec({2: NEW}).decode(before)


class Broken:
    def __reduce__(self) -> Any:
        return os.listdir, ("/no such folder",)


def test_errors_of_pickled_classes_become_codec_errors() -> None:
    codec = SignedPickleCodec([OLD])
    with pytest.raises(CodecError):
        codec.encode(lambda: None)
    with pytest.raises(CodecError, match="cannot unpickle"):
        codec.decode(codec.encode(Broken()))
