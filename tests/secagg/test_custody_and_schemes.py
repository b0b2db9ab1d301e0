"""The table of schemes, what each says about custody, and the canary: no secret key on the aggregator's side."""

from __future__ import annotations

import gc
import hashlib
import inspect
from collections.abc import Callable, Iterator
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import numpy as np
import pytest
import tenseal as ts

from secure_fl.secagg import SCHEMES, Scheme, plan
from secure_fl.secagg.budget import HeParameters, RlweParameters
from secure_fl.secagg.hazmat.he_secret import SecretContext
from secure_fl.secagg.he.authority import HeDecryptor, KeyAuthority
from secure_fl.secagg.he.deployment import HeDeployment
from secure_fl.secagg.he.public_keys import SealPublicKey
from secure_fl.secagg.he.secret_keys import SealSecretKey, SecretKey, new_secret_key
from secure_fl.secagg.messages import AGGREGATOR, Cohort, seal
from secure_fl.secagg.protocol import SecureSum, ServerHalf, Stage
from secure_fl.secagg.rlwe.encryption import RlwePublicKey
from secure_fl.secagg.rlwe.opening import RlweSecretKey
from secure_fl.secagg.transcript import Transcript

AUTHORITY = "key-authority"
CohortFactory = Callable[..., Cohort[Any]]
Send = Callable[..., Any]
every_scheme = pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)


@every_scheme
def test_every_scheme_says_who_can_decrypt_what(scheme: Scheme) -> None:
    custody = scheme.custody
    assert SCHEMES[scheme.name] is scheme
    assert custody.scheme == scheme.name
    assert {"banks", AGGREGATOR, "observer", *scheme.trustees} == set(custody.can_decrypt)
    assert custody.summary
    assert custody.broken_by
    assert custody.assumptions
    assert custody.papers


@every_scheme
def test_what_the_aggregator_reads_is_what_custody_says(scheme: Scheme) -> None:
    in_the_clear = "every bank's update" in scheme.custody.can_decrypt[AGGREGATOR]
    assert in_the_clear == (scheme.read_upload is not None) == (scheme.name == "plaintext")


@every_scheme
def test_a_deployment_serves_many_rounds(scheme: Scheme, make_cohort: CohortFactory, send: Send) -> None:
    deployed = scheme.deploy(make_cohort(scheme.name, 10).plan)
    for round_ in (1, 2):
        cohort = scheme.cohort(make_cohort(scheme.name, 10).plan, round_, ("a", "b", "c"))
        clients = {bank: deployed.client(cohort, bank, np.full(10, round_)) for bank in cohort.banks}
        parties = {**clients, **deployed.trustees(cohort)}
        server = deployed.server(cohort)
        step: Stage | SecureSum = next(server)
        while isinstance(step, Stage):
            step = send(server, iter([(n, parties[n].respond(data)) for n, data in step.requests.items()]))
        assert step.total.tolist() == [3 * round_] * 10


@every_scheme
def test_a_cohort_is_what_was_asked_for_with_the_trustees_of_its_scheme(scheme: Scheme) -> None:
    planned = plan(scheme.name, 3, 10, 8)
    cohort = scheme.cohort(planned, 7, ("a", "b", "c"), b"model", b"a session of now")
    assert cohort == Cohort(planned, 7, ("a", "b", "c"), scheme.trustees, b"model", b"a session of now", attempt=1)
    bare = scheme.cohort(planned, 0, ("a", "b", "c"))
    assert (bare.context, bare.session) == (b"", bytes(16))


every_he_scheme = pytest.mark.parametrize("scheme", ["ckks", "bfv", "rlwe"])


@every_he_scheme
def test_the_public_key_goes_from_the_authority_by_the_aggregator_to_every_bank(
    scheme: str, make_cohort: CohortFactory
) -> None:
    cohort, transcript = make_cohort(scheme), Transcript()
    deployed = HeDeployment(cohort.plan)
    deployed.setup(cohort, transcript)
    way = [(AUTHORITY, AGGREGATOR), *((AGGREGATOR, bank) for bank in cohort.banks)]
    assert [(d.sender, d.recipient) for d in transcript.deliveries] == way
    key = deployed._authority.public_key()
    for delivery in transcript.deliveries:
        sent = seal(cohort, "public_key", delivery.sender, delivery.recipient, key)
        assert (delivery.stage, delivery.nbytes) == ("public_key", len(sent))
        assert delivery.sha256 == hashlib.sha256(sent).hexdigest()


# The canary

Walk = list[object]


def reachable(root: object) -> Walk:
    """Everything that a generator (or any object) leads to, without modules, classes and functions' globals."""
    seen: dict[int, object] = {}
    todo = [root]
    while todo:
        thing = todo.pop()
        if id(thing) in seen or isinstance(thing, (ModuleType, type, BuiltinFunctionType)):
            continue
        seen[id(thing)] = thing
        if isinstance(thing, FunctionType):
            todo += [thing.__closure__, thing.__defaults__, thing.__kwdefaults__]
            continue
        todo += gc.get_referents(thing)
        frame = getattr(thing, "gi_frame", None)
        if frame is not None:
            todo += frame.f_locals.values()
        if isinstance(thing, memoryview):
            todo.append(thing.obj)
        if isinstance(thing, ts.CKKSVector):
            todo.append(thing.context())
    return list(seen.values())


def serialized(secret: object) -> bytes:
    """A secret key in every form that it has; small numbers as bytes."""
    if isinstance(secret, RlweSecretKey):
        return secret._s.astype(np.int8).tobytes() + secret._spectra.tobytes()
    context = secret.context if isinstance(secret, SealSecretKey) else secret
    assert isinstance(context, SecretContext)
    return bytes(
        context._context.serialize(
            save_public_key=False, save_secret_key=True, save_galois_keys=False, save_relin_keys=False
        )
    )


class Canary:
    """Recognizes a secret key: as an object, or as bytes or numbers anywhere."""

    def __init__(self, secret: SecretContext | SecretKey) -> None:
        key, public = serialized(secret), secret.public_key()
        # Every window of 64 bytes holds one of these whole.
        blocks = {key[i : i + 32] for i in range(0, len(key) - 31, 32)}
        self._blocks = {block for block in blocks if block not in public}
        self.key, self.count = key, len(self._blocks)

    def sings_at(self, thing: object) -> bool:
        if isinstance(thing, np.ndarray):
            thing = (thing.astype(np.int8) if thing.dtype.kind in "iu" else thing).tobytes()
        if isinstance(thing, (bytes, bytearray, memoryview)):
            data = bytes(thing)
            return any(data[i : i + 32] in self._blocks for i in range(len(data) - 31))
        if isinstance(thing, ts.Context):
            return bool(thing.has_secret_key())
        return isinstance(thing, (SecretContext, SealSecretKey, RlweSecretKey, KeyAuthority, HeDecryptor))


@pytest.fixture
def canary() -> Canary:
    return Canary(SecretContext(HeParameters("ckks", 49)))


def test_the_canary_knows_a_key_when_it_sees_one(canary: Canary) -> None:
    assert canary.count > 300
    for cut in range(0, 64, 7):
        assert canary.sings_at(b"header" + canary.key[2000 + cut : 2064 + cut] + b"trailer")
    assert not canary.sings_at(bytes(range(256)) * 10)
    assert not canary.sings_at(Canary(SecretContext(HeParameters("ckks", 49))).key[-5000:])


def test_the_canary_knows_a_key_of_our_own_ring_too() -> None:
    secret, other = (RlweSecretKey.generate(RlweParameters(2)) for _ in range(2))
    canary = Canary(secret)
    assert canary.count > 300
    for form in (secret._s, secret._s[1, 100:200], secret._s.astype(np.int8), secret._spectra, secret, secret.keep()):
        assert canary.sings_at(form)
    for form in (other._s[0], other.keep(), secret.public_key(), np.zeros(10_000, dtype=np.int64)):
        assert not canary.sings_at(form)


@pytest.mark.parametrize("depth", range(6))
def test_the_walk_finds_a_planted_key(depth: int) -> None:
    """Hidden in ever new ways behind a suspended generator."""
    secret = SecretContext(HeParameters("ckks", 49))
    hidden: list[object] = [
        secret,
        {"deep": [({1: secret._context},)]},
        lambda: secret,
        KeyAuthority(HeParameters("ckks", 49)).decryptor,
        ts.ckks_vector(secret._context, [0.0] * 2048, scale=2.0**18),
        memoryview(Canary(secret).key),
    ]

    def innocent(planted: object) -> Iterator[int]:
        yield 1
        print(planted)  # noqa: T201

    generator = innocent(hidden[depth])
    next(generator)
    assert any(map(Canary(secret).sings_at, reachable(generator)))


class Wires:
    """Replies that look around in the server half whenever it asks for the next one."""

    def __init__(self, server: ServerHalf, canary: Canary, replies: list[tuple[str, bytes]]) -> None:
        self._server, self._canary, self._replies = server, canary, iter(replies)
        self.looks = 0

    def __iter__(self) -> Wires:
        return self

    def __next__(self) -> tuple[str, bytes]:
        held = [value for value in inspect.getgeneratorlocals(self._server).values() if value is not self]
        assert not any(map(self._canary.sings_at, reachable(held)))
        self.looks += 1
        return next(self._replies)


@every_he_scheme
def test_the_aggregator_never_holds_the_secret_key(scheme: str, make_cohort: CohortFactory, send: Send) -> None:
    cohort = make_cohort(scheme, 5000)
    deployed, transcript = HeDeployment(cohort.plan), Transcript()
    canary = Canary(deployed._authority._secret)
    deployed.setup(cohort, transcript)
    clients = {bank: deployed.client(cohort, bank, np.ones(5000, dtype=np.int64)) for bank in cohort.banks}
    parties = {**clients, **deployed.trustees(cohort)}
    public_key = seal(cohort, "public_key", AUTHORITY, AGGREGATOR, deployed._public_key)
    assert any(d.nbytes == len(public_key) for d in transcript.deliveries)

    server = deployed.server(cohort)
    messages, stages = [public_key], []
    step: Stage | SecureSum = next(server)
    while isinstance(step, Stage):
        stages.append(step.name)
        assert not any(map(canary.sings_at, reachable((server, step))))
        replies = [(name, parties[name].respond(request)) for name, request in step.requests.items()]
        messages += [*step.requests.values(), *(data for _, data in replies)]
        wires = Wires(server, canary, replies)
        step = send(server, wires)
        assert wires.looks
    assert stages == ["upload", "decrypt"]
    assert step.total.tolist() == [3] * 5000
    assert not any(map(canary.sings_at, [*messages, *reachable((server, step))]))


@every_he_scheme
def test_the_aggregator_holds_no_public_key_either(scheme: str, make_cohort: CohortFactory) -> None:
    """It adds words, and could not encrypt if it wanted to; keys only pass through its hands."""
    server = HeDeployment(make_cohort(scheme).plan).server(make_cohort(scheme))
    step = next(server)
    assert not any(isinstance(thing, (ts.Context, SealPublicKey, RlwePublicKey)) for thing in reachable((server, step)))


@every_he_scheme
def test_a_bank_never_holds_the_secret_key(scheme: str, make_cohort: CohortFactory) -> None:
    cohort = make_cohort(scheme)
    deployed = HeDeployment(cohort.plan)
    client = deployed.client(cohort, "bank-1", np.ones(10, dtype=np.int64))
    things = reachable(client)
    assert any(isinstance(thing, (ts.Context, RlwePublicKey)) for thing in things)
    assert not any(map(Canary(deployed._authority._secret).sings_at, things))


def test_the_public_key_holds_nothing_that_a_sum_does_not_need() -> None:
    context = ts.context_from(SecretContext(HeParameters("ckks", 54)).public_key())
    assert context.has_public_key()
    assert not context.has_secret_key()
    assert not context.has_galois_keys()
    assert not context.has_relin_keys()


def test_secrets_are_not_shown() -> None:
    assert repr(SecretContext(HeParameters("ckks", 49))) == "SecretContext(...)"
    for parameters in (HeParameters("ckks", 49), RlweParameters(1)):
        secret = new_secret_key(parameters)
        assert repr(secret) == f"{type(secret).__name__}(...)"
