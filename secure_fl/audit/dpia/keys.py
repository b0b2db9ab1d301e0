"""Which keys a run had: who held them, from when to when, and how they ended, as far as scheme and settings tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from secure_fl.audit.dpia.facts import Facts
from secure_fl.report.wording import plural

HEAD = ("Key", "Held by", "Made and renewed", "Kept", "End")
_MEMORY = "in the memory of the process only"
_GONE = "gone with the process; memory is given back, not overwritten"


@dataclass(frozen=True)
class Key:
    """One kind of key."""

    name: str
    holder: str
    made: str
    kept: str
    end: str

    @property
    def cells(self) -> tuple[str, ...]:
        return (self.name, self.holder, self.made, self.kept, self.end)


_OF_AUTHORITY = Key(
    "Homomorphic secret key (Ring-LWE)",
    "the key authority alone; banks and aggregator have the public key",
    "when the run starts; one for all rounds; it opens every upload and every sum of the run",
    _MEMORY,
    _GONE,
)
_OF_HOLDERS = Key(
    "Share-holders' keys (X25519)",
    "each share-holder its own; banks have the public keys",
    "when the run starts; one for all rounds",
    _MEMORY,
    _GONE,
)
_PARTS = Key(
    "Parts of the homomorphic key (Ring-LWE)",
    "of each part those key holders of whom every quorum has one; banks and aggregator have the joint public key, and "
    "nobody has the whole key",
    "when the run starts; one for all rounds; a quorum's parts open every upload and every sum of the run",
    _MEMORY,
    _GONE,
)
_IDENTITIES = Key(
    "Banks' identity keys (Ed25519)",
    "each bank its own; whoever checks what banks signed has the public keys",
    "when the run starts; one for all rounds",
    _MEMORY,
    _GONE,
)
_OF_WITNESSES = replace(
    _IDENTITIES,
    name="Witnesses' signing keys (Ed25519)",
    holder="each witness its own; the key authority has the public keys",
)
_OF_MEMBERS = (
    replace(
        _OF_HOLDERS,
        name="Key holders' own keys (X25519)",
        holder="each key holder its own; the others have the public keys, to seal parts of the homomorphic key",
    ),
    replace(
        _OF_HOLDERS,
        name="Noise keys of key holders (256 bits)",
        holder="each key holder its own; with it, its answers tell of its parts of the homomorphic key",
    ),
)
_SEEDS = Key(
    "Seeds of shares (AES-256)",
    "the bank that draws them, and the share-holders that each is sealed to",
    "for every upload anew",
    _MEMORY,
    _GONE,
)
_OF_SCHEME: Mapping[str, tuple[Key, ...]] = {
    "plaintext": (),
    "additive": (_IDENTITIES, _OF_HOLDERS, _SEEDS),
    "additive-proofs": (_IDENTITIES, _OF_HOLDERS, _SEEDS),
    "masked": (
        _IDENTITIES,
        Key(
            "Mask keys and channel keys (X25519)",
            "each bank its own; shares of the mask key at the other banks, and at the aggregator if the bank's input "
            "is missing",
            "for every attempt at a sum anew",
            _MEMORY,
            "forgotten with the attempt; memory is given back, not overwritten",
        ),
        Key(
            "Self-mask seeds (256 bits)",
            "each bank its own; shares at the other banks; the aggregator opens that of each bank whose input arrived",
            "for every attempt at a sum anew",
            _MEMORY,
            "forgotten with the attempt; memory is given back, not overwritten",
        ),
    ),
    "ckks": (_OF_AUTHORITY,),
    "bfv": (_OF_AUTHORITY,),
    "rlwe": (_OF_AUTHORITY,),
    "ckks-krum": (_OF_AUTHORITY,),
    **dict.fromkeys(("bfv-committee", "ckks-committee"), (_IDENTITIES, _PARTS, *_OF_MEMBERS)),
    **dict.fromkeys(("ckks-witnessed", "bfv-witnessed", "rlwe-witnessed"), (_IDENTITIES, _OF_AUTHORITY, _OF_WITNESSES)),
}


def keys(facts: Facts) -> tuple[Key, ...]:
    """Those of the scheme first."""
    return (*_of_scheme(facts), *_of_noise(facts), *_of_pseudonyms(facts), _OF_RECORD)


def _of_scheme(facts: Facts) -> Iterator[Key]:
    committee = facts.experiment.committee
    for key in _OF_SCHEME[facts.scheme]:
        if (every := facts.experiment.fresh_keys) is not None:
            made = key.made.replace("one for all rounds", f"new ones after every {plural(every, 'round')}")
            key = replace(key, made=made.replace("of the run", "of its rounds"))
        if key.name == _OF_HOLDERS.name and committee is not None:
            opens = f"those of any {committee.quorum} of {committee.members}, with the aggregator, open every upload"
            yield replace(key, holder=f"{key.holder}; {opens}")
        else:
            yield key


def _of_noise(facts: Facts) -> Iterator[Key]:
    if facts.privacy is None:
        return
    yield Key(
        "Noise keys (256 bits)",
        "each bank its own",
        "when the run starts; one for a run",
        "in memory; where the state of an unfinished run is kept, with it in a file of mode 0600, so that a repeated "
        "release is the same",
        "gone with the run, a file too; memory is given back, not overwritten",
    )
    yield Key(
        "Key of the ledgers for life (256 bits)",
        "the bank; in this sandbox one store for all banks",
        "with the first private run; not renewed",
        "in a file of the user's, mode 0600",
        "not removed by the software: the ledgers need it as long as the rows are used",
    )


def _of_pseudonyms(facts: Facts) -> Iterator[Key]:
    if not facts.pseudonymized:
        return
    if facts.own_rows:
        yield Key(
            "Federation key of pseudonyms (256 bits)",
            "all banks, and not the aggregator; in this sandbox the one process",
            "before the first run; not renewed, since the model's features depend on it",
            "in a file of the user's, mode 0600",
            "not removed by the software",
        )
        return
    yield Key(
        "Key of pseudonyms", "anybody: it follows from the public seed", "from the seed", "nowhere", "does not end"
    )


_OF_RECORD = Key(
    "Key of the record (Ed25519)",
    "whoever ran this",
    "with the first run; not renewed",
    "in a file of the user's, mode 0600, without a passphrase",
    "not removed by the software; a lost key cannot sign again, a stolen one can sign anything",
)
