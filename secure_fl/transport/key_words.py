"""What travels while a committee makes its key, and with the key afterwards. Nothing of it is secret.

    join     each member: an X25519 key for this key making alone, signed with its Ed25519 key of the roster
    commit   all of those to each member; it commits to the public halves of the parts that it draws
    publish  all commitments to each member; it publishes what it committed to, with the parts sealed for the others
    accept   all that was published to each member; it signs the fingerprint of the joint key

The seed of the common polynomial is a hash of the fresh X25519 keys, so no key making has the one of another. Members
need no key in the roster but the one that they sign with.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from secure_fl.errors import MessageError
from secure_fl.secagg.hazmat.agreement import SIGNATURE_BYTES, verify
from secure_fl.transport.roster import Roster

HASH_BYTES = 32
_LENGTH_BYTES = 4


def pack_rows(rows: Iterable[bytes]) -> bytes:
    """Each behind its length."""
    return b"".join(piece for row in rows for piece in (len(row).to_bytes(_LENGTH_BYTES, "little"), row))


def unpack_rows(data: bytes, count: int) -> list[bytes]:
    """The inverse. Raises `MessageError` unless there are so many."""
    rows, start = [], 0
    for _ in range(count):
        end = start + _LENGTH_BYTES + int.from_bytes(data[start : start + _LENGTH_BYTES], "little")
        rows.append(data[start + _LENGTH_BYTES : end])
        start = end
    if start != len(data):
        raise MessageError("what members of the committee sent does not arrive as a whole; make new keys")
    return rows


def rows_of(names: tuple[str, ...], data: bytes) -> dict[str, bytes]:
    """One row of each member, in their order. Raises `MessageError`."""
    return dict(zip(names, unpack_rows(data, len(names)), strict=True))


def join_statement(roster: Roster, name: str, public: bytes) -> bytes:
    """What a member signs of the X25519 key that parts are sealed to."""
    return b"secure_fl joins a key making" + roster.digest + public + name.encode()


def read_joined(roster: Roster, rows: Mapping[str, bytes]) -> dict[str, bytes]:
    """Members' X25519 keys, behind their signatures. Raises `MessageError`."""
    for name, row in rows.items():
        signature, public = row[:SIGNATURE_BYTES], row[SIGNATURE_BYTES:]
        verify(_key_of(roster, name), signature, join_statement(roster, name, public), name)
    return {name: row[SIGNATURE_BYTES:] for name, row in rows.items()}


def seed_of(roster: Roster, joined: Mapping[str, bytes]) -> bytes:
    """Of the key that is made with these X25519 keys, and of no other."""
    return hashlib.sha256(b"secure_fl committee" + roster.digest + b"".join(joined.values())).digest()


def joint_statement(roster: Roster, seed: bytes, fingerprint: bytes) -> bytes:
    """What every member signs, so that the joint key is theirs whoever carries it."""
    return b"secure_fl joint key" + roster.digest + seed + fingerprint


def require_signed(roster: Roster, seed: bytes, fingerprint: bytes, signatures: Mapping[str, bytes]) -> None:
    """Raises `MessageError` unless each member signed the fingerprint of this key."""
    for name, signature in signatures.items():
        verify(_key_of(roster, name), signature, joint_statement(roster, seed, fingerprint), name)


def key_name(seed: bytes, fingerprint: bytes) -> str:
    """What orders call the key."""
    return hashlib.sha256(seed + fingerprint).hexdigest()


def _key_of(roster: Roster, name: str) -> bytes:
    return bytes.fromhex(roster.named(name).public)
