"""NVFlare's homomorphic encryption, by its own classes: HEBuilder, HEModelEncryptor, FOBS, the accumulating aggregator,
HEModelShareableGenerator and HEModelDecryptor, with the parameters that its provisioning writes.

Counted: a client from tensors to the bytes that FOBS makes; the server from those bytes to the bytes of the encrypted
mean; decoding at one client, who holds the secret key there. Weights are sent rather than differences, which spares
NVFlare the addition to the old model. TenSEAL uses as many threads as its default is.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from nvflare.apis.dxo import DXO, DataKind, MetaKey, from_shareable
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_constant import FLContextKey, ReservedKey
from nvflare.apis.fl_context import FLContext
from nvflare.apis.utils.decomposers import flare_decomposers
from nvflare.app_common.abstract.model import make_model_learnable
from nvflare.app_common.app_constant import AppConstants
from nvflare.app_common.decomposers import common_decomposers
from nvflare.app_opt.he.intime_accumulate_model_aggregator import HEInTimeAccumulateWeightedAggregator
from nvflare.app_opt.he.model_decryptor import HEModelDecryptor
from nvflare.app_opt.he.model_encryptor import HEModelEncryptor
from nvflare.app_opt.he.model_shareable_generator import HEModelShareableGenerator
from nvflare.fuel.sec.security_content_service import SecurityContentService
from nvflare.fuel.utils import fobs
from nvflare.lighter.impl.he import HEBuilder

from secure_fl.bench.measured import Clock, Measured, Stopwatch, exact_mean

FRAUD_MODEL = ((64, 128), (64,), (32, 64), (32,), (1, 32), (1,))
"""The tensors of the fraud model: 10,369 parameters."""
SERVER = "server"


class NVFlareSubject:
    """All parties of one federation, with contexts loaded as at the start of a run."""

    def __init__(self, updates: Sequence[NDArray[np.float64]], clock: Clock) -> None:
        self._updates, self._expected, self._clock = updates, exact_mean(updates), clock
        fraud_model = len(updates[0]) == sum(int(np.prod(shape)) for shape in FRAUD_MODEL)
        self._shapes: tuple[tuple[int, ...], ...] = FRAUD_MODEL if fraud_model else ((len(updates[0]),),)
        logging.getLogger("nvflare").setLevel(logging.ERROR)
        flare_decomposers.register()
        common_decomposers.register()
        self._encryptor, self._decryptor = HEModelEncryptor(), HEModelDecryptor()
        self._generator = HEModelShareableGenerator()
        with tempfile.TemporaryDirectory() as workspace:
            _provision(Path(workspace))
            for component in (self._encryptor, self._decryptor, self._generator):
                component.handle_event(EventType.START_RUN, _context(SERVER, 0))

    def measure_round(self, number: int) -> Measured:
        server, decode = Stopwatch(self._clock), Stopwatch(self._clock)
        clients = [Stopwatch(self._clock) for _ in self._updates]
        aggregator = HEInTimeAccumulateWeightedAggregator(expected_data_kind=DataKind.WEIGHTS)
        aggregator.handle_event(EventType.START_RUN, _context(SERVER, number))
        uploads = []
        for place, (update, client) in enumerate(zip(self._updates, clients, strict=True)):
            with client.running():
                upload = self._upload(update, f"site-{place + 1}", number)
            uploads.append(len(upload))
            with server.running():
                if not aggregator.accept(fobs.loads(upload), _context(SERVER, number)):
                    raise RuntimeError("NVFlare's aggregator did not accept an upload")
            del upload
        with server.running():
            download = self._download(aggregator, number)
        with decode.running():
            mean = self._mean(download, number)
        return Measured(
            client_seconds=median(client.seconds for client in clients),
            server_seconds=server.seconds,
            decode_seconds=decode.seconds,
            upload_bytes=round(median(uploads)),
            download_bytes=len(download),
            stage_bytes=(max(uploads) + len(download),),
            max_abs_error=float(np.abs(mean - self._expected).max()),
        )

    def _upload(self, update: NDArray[np.float64], site: str, number: int) -> bytes:
        ends = np.cumsum([int(np.prod(shape)) for shape in self._shapes])[:-1]
        tensors = {f"t{i}": part.reshape(self._shapes[i]) for i, part in enumerate(np.split(update, ends))}
        dxo = DXO(DataKind.WEIGHTS, data=tensors, meta={MetaKey.NUM_STEPS_CURRENT_ROUND: 1})
        shareable = self._encryptor.process(dxo.to_shareable(), _context(site, number))
        shareable.add_cookie(AppConstants.CONTRIBUTION_ROUND, number)
        shareable.set_peer_props({ReservedKey.IDENTITY_NAME: site})
        return bytes(fobs.dumps(shareable))

    def _download(self, aggregator: Any, number: int) -> bytes:
        context = _context(SERVER, number)
        mean = aggregator.aggregate(context)
        context.set_prop(AppConstants.GLOBAL_MODEL, make_model_learnable({"t0": 0}, {}), private=True, sticky=False)
        learnable = self._generator.shareable_to_learnable(mean, context)
        return bytes(fobs.dumps(self._generator.learnable_to_shareable(learnable, context)))

    def _mean(self, download: bytes, number: int) -> NDArray[np.float64]:
        tensors = from_shareable(self._decryptor.process(fobs.loads(download), _context("site-1", number))).data
        return np.concatenate([np.asarray(tensors[f"t{i}"], dtype=np.float64) for i in range(len(self._shapes))])


def _provision(workspace: Path) -> None:
    """Write the contexts of client and server as `nvflare provision` does."""
    builder = HEBuilder()
    builder.initialize(None, None)
    (workspace / "client_context.tenseal").write_bytes(builder.get_serialized_context(is_client=True))
    (workspace / "server_context.tenseal").write_bytes(builder.get_serialized_context())
    SecurityContentService.security_content_manager = None
    SecurityContentService.initialize(str(workspace))


def _context(name: str, number: int) -> Any:
    context, peer = FLContext(), FLContext()
    context.set_prop(FLContextKey.SECURE_MODE, False, private=True, sticky=False)
    context.set_prop(AppConstants.CURRENT_ROUND, number, private=True, sticky=False)
    for who in (context, peer):
        who.set_prop(ReservedKey.IDENTITY_NAME, name, private=False, sticky=False)
    context.set_peer_context(peer)
    return context


def make_subject(updates: Sequence[NDArray[np.float64]], clock: Clock = time.perf_counter) -> NVFlareSubject:
    return NVFlareSubject(updates, clock)
