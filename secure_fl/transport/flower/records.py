"""Orders and answers as Flower's records: bytes travel as one array, which Flower cuts into chunks."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, Message, RecordDict
from numpy.typing import NDArray

from secure_fl.errors import MessageError
from secure_fl.secagg.protocol import Answer
from secure_fl.transport.orders import Order, pack_answer, unpack_answer

RECORD = "secure_fl"
"""The record that is ours in a message, and in a node's state."""
_ORDER, _KEYS, _ANSWER = "order", "keys", "answer"
_STYPE = "secure_fl.bytes"


def order_message(order: Order, node: int, kind: str, others: RecordDict | None = None, keys: bytes = b"") -> Message:
    """An order to a node, beside the records of an app. `kind`: a type of message that the ClientApp has a function
    for; `keys`: public keys that go with it.
    """
    ours = ArrayRecord({_ORDER: _array(order.to_bytes()), _KEYS: _array(keys)})
    return Message(RecordDict({**(others or {}), RECORD: ours}), node, kind)


def order_in(message: Message) -> tuple[Order, bytes] | None:
    """The order in a message and the keys beside it, or None where there is none. Raises `MessageError`."""
    record = message.content.get(RECORD)
    if record is None:
        return None
    return Order.from_bytes(_bytes(record, _ORDER)), _bytes(record, _KEYS)


def answer_message(answer: Answer, asked: Message, others: RecordDict | None = None) -> Message:
    ours = ArrayRecord({_ANSWER: _array(pack_answer(answer))})
    return Message(RecordDict({**(others or {}), RECORD: ours}), reply_to=asked)


def answer_in(message: Message) -> Answer:
    """What a node answers; a failure of its own, or an answer without ours, is a refusal."""
    if message.has_error():
        return MessageError(f"its node failed (Flower's code {message.error.code}); look at the node's log")
    record = message.content.get(RECORD)
    if record is None:
        return MessageError("its node answers without secure_mod; give its ClientApp mods=[secure_mod]")
    try:
        return unpack_answer(_bytes(record, _ANSWER))
    except MessageError as error:
        return error


def told(message: Message) -> bytes:
    """What an app is told beside the values of arrays and our order: which function, names, and its configuration."""
    records = {name: each for name, each in message.content.items() if name != RECORD}
    values = {name: {} if isinstance(each, ArrayRecord) else dict(each) for name, each in records.items()}
    return json.dumps([message.metadata.message_type, values], sort_keys=True, default=_in_json).encode()


def _in_json(data: object) -> dict[str, str]:
    assert isinstance(data, bytes)  # all else that records hold is JSON's own
    return {"bytes": data.hex()}


def numpy_arrays(record: ArrayRecord) -> dict[str, NDArray[Any]]:
    """Arrays by name. Raises `MessageError` for what is no array of numpy."""
    try:
        return {name: np.asarray(array.numpy()) for name, array in record.items()}
    except (TypeError, ValueError, EOFError, OSError):
        raise MessageError("the arrays of a model cannot be read; send arrays of numpy or torch") from None


def _array(data: bytes) -> Array:
    return Array(dtype="bytes", shape=(len(data),), stype=_STYPE, data=data)


def _bytes(record: object, name: str) -> bytes:
    array = record.get(name) if isinstance(record, ArrayRecord) else None
    if array is None or array.stype != _STYPE:
        raise MessageError("a message of secure_fl cannot be read; look whether both have one version")
    return bytes(array.data)
