"""Flower's SecAgg+ by its own client mod and server workflow, in memory, with its default quantization.

A grid stands in for the network: it turns each message into protobuf bytes and back, and calls the mod of the
addressed client. Counted for a client: reading, all four stages, quantization, masks, writing. For the server: the
workflow less the time in clients. Decoding starts where the workflow dequantizes the sum and ends with its strategy.
"""

from __future__ import annotations

import logging
import os
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any

import flwr.server.workflow.secure_aggregation.secaggplus_workflow as workflow_module
import numpy as np
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.client.mod.secure_aggregation.secaggplus_mod import secaggplus_mod
from flwr.common import Code, FitRes, Parameters, Status, ndarrays_to_parameters, parameters_to_ndarrays
from flwr.common.serde import message_from_proto, message_to_proto
from flwr.compat.common import recorddict_compat as compat
from flwr.proto.message_pb2 import Message as ProtoMessage
from flwr.server.client_manager import SimpleClientManager
from flwr.server.compat.grid_client_proxy import GridClientProxy
from flwr.server.compat.legacy_context import LegacyContext
from flwr.server.strategy import FedAvg
from flwr.server.workflow.constant import MAIN_CONFIGS_RECORD, MAIN_PARAMS_RECORD, Key
from flwr.supercore.task_identity import TaskIdentity
from numpy.typing import NDArray

from secure_fl.bench.measured import Clock, Measured, exact_mean

EXAMPLES = 1_000
"""The workflow's default maximum weight, so that its own scaling of updates is 1."""
RUN = 1


class MemoryGrid:
    """Carries messages as bytes between the workflow and the clients' mods, and keeps count."""

    def __init__(self, updates: Sequence[NDArray[np.float64]], clock: Clock) -> None:
        self._updates, self._clock = updates, clock
        self._contexts = {node + 1: _context(node + 1) for node in range(len(updates))}
        self.client_seconds: defaultdict[int, float] = defaultdict(float)
        self.upload_bytes: defaultdict[int, int] = defaultdict(int)
        self.download_bytes: defaultdict[int, int] = defaultdict(int)
        self.stage_bytes: list[int] = []

    def send_and_receive(self, messages: Iterable[Any], *, timeout: float | None = None) -> list[Any]:
        sizes, replies = [], []
        for message in messages:
            node = message.metadata.dst_node_id
            message.metadata.__dict__["_message_id"] = os.urandom(8).hex()  # the SuperLink's part
            asked = message_to_proto(message).SerializeToString()
            started = self._clock()
            answered = self._client(node, asked)
            self.client_seconds[node] += self._clock() - started
            self.download_bytes[node] += len(asked)
            self.upload_bytes[node] += len(answered)
            sizes.append(len(asked) + len(answered))
            replies.append(message_from_proto(ProtoMessage.FromString(answered)))
        self.stage_bytes.append(max(sizes))
        return replies

    def _client(self, node: int, asked: bytes) -> bytes:
        def train(message: Any, context: Any) -> Any:
            result = FitRes(Status(Code.OK, ""), ndarrays_to_parameters([self._updates[node - 1]]), EXAMPLES, {})
            return Message(compat.fitres_to_recorddict(result, keep_input=False), reply_to=message)

        message = message_from_proto(ProtoMessage.FromString(asked))
        return bytes(message_to_proto(secaggplus_mod(message, self._contexts[node], train)).SerializeToString())


class FlowerSubject:
    """A server and its clients in one process."""

    def __init__(self, updates: Sequence[NDArray[np.float64]], clock: Clock) -> None:
        self._updates, self._expected, self._clock = updates, exact_mean(updates), clock
        logging.getLogger("flwr").setLevel(logging.CRITICAL)
        TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = RUN, 0, RUN

    def measure_round(self, number: int) -> Measured:
        grid, banks = MemoryGrid(self._updates, self._clock), len(self._updates)
        context = _server_context(grid, banks, number)
        workflow = workflow_module.SecAggPlusWorkflow(num_shares=1.0, reconstruction_threshold=banks // 2 + 1)
        with _noting_dequantization(self._clock) as dequantized:
            started = self._clock()
            workflow(grid, context)
            finished = self._clock()
        if not dequantized:
            raise RuntimeError("Flower's workflow halted before it had a sum")
        record = context.state.array_records[MAIN_PARAMS_RECORD]
        (mean,) = parameters_to_ndarrays(compat.arrayrecord_to_parameters(record, True))
        return Measured(
            client_seconds=median(grid.client_seconds.values()),
            server_seconds=dequantized[0] - started - sum(grid.client_seconds.values()),
            decode_seconds=finished - dequantized[0],
            upload_bytes=round(median(grid.upload_bytes.values())),
            download_bytes=round(median(grid.download_bytes.values())),
            stage_bytes=tuple(grid.stage_bytes),
            max_abs_error=float(np.abs(mean - self._expected).max()),
        )


@contextmanager
def _noting_dequantization(clock: Clock) -> Iterator[list[float]]:
    """The time at which the workflow starts to dequantize: where its sum is complete."""
    times: list[float] = []
    original = workflow_module.dequantize

    def dequantize(*arguments: Any) -> Any:
        times.append(clock())
        return original(*arguments)

    workflow_module.dequantize = dequantize
    try:
        yield times
    finally:
        workflow_module.dequantize = original


def _server_context(grid: MemoryGrid, banks: int, number: int) -> Any:
    clients = SimpleClientManager()
    for node in range(1, banks + 1):
        clients.register(GridClientProxy(node, grid, RUN))
    strategy = FedAvg(min_fit_clients=banks, min_available_clients=banks)
    context = LegacyContext(_context(0), strategy=strategy, client_manager=clients)
    context.state.config_records[MAIN_CONFIGS_RECORD] = ConfigRecord({Key.CURRENT_ROUND: number})
    no_model = compat.parameters_to_arrayrecord(Parameters([], "numpy.ndarray"), True)
    context.state.array_records[MAIN_PARAMS_RECORD] = no_model
    return context


def _context(node: int) -> Any:
    return Context(run_id=RUN, node_id=node, node_config={}, state=RecordDict(), run_config={})


def make_subject(updates: Sequence[NDArray[np.float64]], clock: Clock = time.perf_counter) -> FlowerSubject:
    return FlowerSubject(updates, clock)
