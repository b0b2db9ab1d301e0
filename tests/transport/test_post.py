"""The gateway's post by itself: one order out for each party, one answer that counts, and who is waited for."""

from __future__ import annotations

import asyncio
import threading

import pytest

from secure_fl.errors import MessageError
from secure_fl.transport.orders import ASK, HELLO
from secure_fl.transport.post import Post


class Clock:
    """Time as the test has it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def next_order(post: Post, name: str, after: int = 0, seconds: float = 0.0, process: str = "p") -> int | None:
    order = asyncio.run(post.next(name, process, after, seconds))
    return None if order is None else order.number


def test_an_order_is_out_until_it_is_answered() -> None:
    post = Post(["a"])
    number = post.send("a", HELLO)
    assert [next_order(post, "a"), next_order(post, "a"), next_order(post, "a", after=number)] == [number, number, None]
    post.answer("a", number, b"yes")
    assert next_order(post, "a") is None
    assert list(post.collect({"a": number}, 0)) == [("a", b"yes")]
    assert list(post.collect({"a": number}, 0)) == []


def test_an_order_takes_the_place_of_the_one_before_and_its_answer_goes() -> None:
    post = Post(["a"])
    gone: list[int] = []
    first = post.send("a", HELLO)
    post.answer("a", first, b"unheard", lambda: gone.append(1))
    second = post.send("a", ASK)
    assert gone == [1]
    with pytest.raises(MessageError, match="nobody waits"):
        post.answer("a", second + 1, b"early")
    assert next_order(post, "a") == second


def test_of_each_answer_it_is_said_when_it_left_the_post_however_it_does() -> None:
    post = Post(["a", "b", "c"])
    gone: list[str] = []
    numbers = {name: post.send(name, HELLO) for name in "abc"}
    post.answer("a", numbers["a"], b"1", lambda: gone.append("a"))
    post.answer("b", numbers["b"], b"2", lambda: gone.append("b"))
    collected = post.collect(numbers, 10)
    assert next(collected)[0] == "a"
    assert gone == ["a"]  # the other one is still there
    collected.close()  # type: ignore[attr-defined]
    assert gone == ["a", "b"]
    post.answer("a", numbers["a"], b"1", lambda: gone.append("a again"))
    with pytest.raises(MessageError):
        post.answer("c", numbers["c"], b"late", lambda: gone.append("c"))
    assert gone == ["a", "b", "a again", "c"]


def test_who_gives_no_sign_is_not_waited_for_and_who_does_is() -> None:
    clock = Clock()
    post = Post(["a", "b"], clock)
    for name in "ab":
        next_order(post, name)
    numbers = {name: post.send(name, HELLO) for name in "ab"}
    clock.now = 20
    post.sign("b")
    assert post.present(5) == {"b"}
    answered = threading.Timer(0.2, lambda: post.answer("b", numbers["b"], b"yes"))
    answered.start()
    assert list(post.collect(numbers, 1e3, absent=5)) == [("b", b"yes")]
    with pytest.raises(MessageError):
        post.answer("a", numbers["a"], b"late")


def test_who_was_never_there_is_waited_for_where_nothing_else_is_said() -> None:
    post = Post(["a"])
    number = post.send("a", HELLO)
    threading.Timer(0.2, lambda: post.answer("a", number, b"yes")).start()
    assert list(post.collect({"a": number}, 10)) == [("a", b"yes")]


def test_answers_that_do_not_come_in_time_are_not_waited_for() -> None:
    clock = Clock()
    post = Post(["a"], clock)
    number = post.send("a", HELLO)
    later = threading.Timer(0.2, lambda: setattr(clock, "now", 11))
    later.start()
    assert list(post.collect({"a": number}, 10)) == []
    assert next_order(post, "a") is None


def test_whoever_waits_is_woken_by_an_order() -> None:
    post = Post(["a"])

    async def waits() -> int | None:
        waiting = asyncio.create_task(post.next("a", "p", 0, 10))
        await asyncio.sleep(0.05)
        assert post.present(0) == {"a"}
        threading.Thread(target=post.send, args=("a", HELLO)).start()
        order = await waiting
        return None if order is None else order.number

    assert asyncio.run(waits()) == 1


def test_a_post_that_has_ended_lets_whoever_waits_go_and_gives_out_nothing() -> None:
    post = Post(["a", "b"])
    post.send("b", HELLO)

    async def waits() -> int | None:
        waiting = asyncio.create_task(post.next("a", "p", 0, 1e3))
        await asyncio.sleep(0.05)
        threading.Thread(target=post.end).start()
        order = await asyncio.wait_for(waiting, 10)
        return None if order is None else order.number

    assert asyncio.run(waits()) is None
    assert [next_order(post, name, seconds=1e3) for name in "ab"] == [None, None]


def test_a_new_process_of_a_party_is_known_as_one() -> None:
    post = Post(["a"])
    next_order(post, "a", process="one")
    assert post.process("a") == "one"
    next_order(post, "a", process="two")
    assert post.process("a") == "two"
    assert post.wait_for(["a"], 0)
    assert not Post(["a"]).wait_for(["a"], 0)


def test_who_fell_silent_is_told_from_who_takes_too_long() -> None:
    clock = Clock()
    post = Post(["a", "b"], clock)
    post.sign("a")
    clock.now = 60.0
    post.sign("b")
    assert post.silence("a", 60, 5) == "gave no sign for 5 s"
    assert post.silence("b", 60, 5) == "did not answer in 60 s"
