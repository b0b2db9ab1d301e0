"""Orders that each of a few parties must do before anything goes on."""

from __future__ import annotations

from secure_fl.errors import DropoutError
from secure_fl.transport.orders import unpack_answer
from secure_fl.transport.patience import Patience
from secure_fl.transport.post import Post


def ask_each(
    post: Post, patience: Patience, kind: str, names: tuple[str, ...], shared: bytes = b""
) -> dict[str, bytes]:
    """What each of them says, in their order; `shared`: what all are sent.

    Raises `DropoutError` where one does not answer, and its own `ProtocolError` where it refuses.
    """
    numbers = {name: post.send(name, kind, shared=shared) for name in names}
    answers = {name: unpack_answer(data) for name, data in post.collect(numbers, patience.stage, patience.absent)}
    found = {}
    for name in names:
        answer = answers.get(name)
        if answer is None:
            raise DropoutError(f"{name} does not answer; wait for it")
        if not isinstance(answer, bytes):
            raise answer
        found[name] = answer
    return found
