"""A question goes to one actor, has a deadline, and fails at once when it cannot be answered."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio import wait_all_tasks_blocked

from altlas_agent.core.bus.asking.asks import Asks
from altlas_agent.core.bus.asking.desk import CAPACITY
from altlas_agent.core.errors import (
    ActorDied,
    AskCycleError,
    DeadlineExceeded,
    PolicyError,
    ProcessError,
)
from altlas_agent.core.records import Record
from tests.core.bus.conftest import make_bus, note

if TYPE_CHECKING:
    from altlas_agent.core.bus.asking.desk import Question


class Say(Record):
    """What is asked and answered here."""

    text: str


class Other(Record):
    """An answer that nobody wants."""


def make_asks() -> Asks:
    return Asks(lambda: 7)


async def echo(asks: Asks, name: str = "echo") -> None:
    """An actor that answers each question with its own words."""
    with asks.serve(name) as desk:
        async for question in desk:
            question.answer(question.message)


async def relay(asks: Asks, name: str, to: str) -> None:
    """An actor that asks another one before it answers, and hands on what that one fails with."""
    with asks.serve(name) as desk:
        async for question in desk:
            try:
                reply = await asks.ask(to, question.message, Say, timeout_s=5.0)
                question.answer(reply.value)
            except AskCycleError as error:
                question.refuse(error)


async def test_an_answer_comes_back_with_the_event_it_rests_on() -> None:
    asks = make_asks()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(echo, asks)
        await wait_all_tasks_blocked()
        reply = await asks.ask("echo", Say(text="hi"), Say, timeout_s=1.0, cause_seq=3)
        assert (reply.value, reply.cause_seq) == (Say(text="hi"), 3)
        assert (await asks.ask("echo", Say(text="hi"), Say, timeout_s=1.0)).cause_seq == 7
        tasks.cancel_scope.cancel()
    told = asks.statistics()
    assert (told.asked, told.answered, told.outstanding, told.desks) == (2, 2, 0, ())


async def test_an_answer_names_the_event_that_came_of_the_question() -> None:
    bus = make_bus()

    async def pause() -> None:
        with bus.asks.serve("supervisor") as desk:
            async for question in desk:
                envelope = await bus.publish(note("paused"), cause_seq=question.cause_seq)
                question.answer(question.message, cause_seq=envelope.seq)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pause)
        await wait_all_tasks_blocked()
        reply = await bus.asks.ask("supervisor", Say(text="pause"), Say, timeout_s=1.0)
        assert reply.cause_seq == bus.last_seq == 1
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("timeout_s", [0.0, -1.0, math.inf, math.nan])
async def test_a_question_without_a_real_timeout_is_refused(timeout_s: float) -> None:
    with pytest.raises(ValueError, match="needs a timeout above 0 and below infinity"):
        await make_asks().ask("echo", Say(text=""), Say, timeout_s=timeout_s)


async def test_an_answer_that_comes_late_is_dropped_and_counted() -> None:
    asks = make_asks()
    taken: list[Question] = []

    async def dawdle() -> None:
        with asks.serve("slow") as desk:
            async for question in desk:
                taken.append(question)  # noqa: PERF401 - it is answered below, while this one waits

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(dawdle)
        await wait_all_tasks_blocked()
        with pytest.raises(DeadlineExceeded, match=r"slow did not answer Say within 0\.05 s"):
            await asks.ask("slow", Say(text="1"), Say, timeout_s=0.05)
        taken[0].answer(Say(text="too late"))
        told = asks.statistics()
        assert (told.timed_out, told.late, told.answered, told.outstanding) == (1, 1, 0, 0)
        tasks.cancel_scope.cancel()


async def test_a_question_that_nobody_waits_for_any_more_is_not_asked() -> None:
    asks = make_asks()
    woken = anyio.Event()
    heard: list[Record] = []

    async def sleep_first() -> None:
        with asks.serve("sleeper") as desk:
            await woken.wait()
            async for question in desk:
                heard.append(question.message)
                question.answer(question.message)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sleep_first)
        await wait_all_tasks_blocked()
        with pytest.raises(DeadlineExceeded):
            await asks.ask("sleeper", Say(text="in vain"), Say, timeout_s=0.02)
        woken.set()
        await asks.ask("sleeper", Say(text="in time"), Say, timeout_s=5.0)
        tasks.cancel_scope.cancel()
    assert heard == [Say(text="in time")]
    assert asks.statistics().late == 0


async def test_the_end_of_an_actor_fails_its_questions_at_once() -> None:
    asks = make_asks()
    failed: list[str] = []

    async def die() -> None:
        with asks.serve("mortal") as desk:
            await anext(desk)
            raise ZeroDivisionError("bug")

    async def ask(text: str) -> None:
        with pytest.raises(ActorDied, match="mortal died: it ended with ZeroDivisionError: bug"):
            await asks.ask("mortal", Say(text=text), Say, timeout_s=3600)
        failed.append(text)

    async def ask_two() -> None:
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as askers:
                askers.start_soon(ask, "taken")
                askers.start_soon(ask, "queued")

    with anyio.fail_after(5), pytest.RaisesGroup(ZeroDivisionError):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(die)
            await wait_all_tasks_blocked()
            tasks.start_soon(ask_two)
    assert sorted(failed) == ["queued", "taken"]
    assert asks.statistics().died == 2


async def test_who_is_not_there_fails_a_question_at_once() -> None:
    asks = make_asks()
    with pytest.raises(ActorDied, match="nobody died: nobody answers to this name"):
        await asks.ask("nobody", Say(text=""), Say, timeout_s=3600)


async def test_an_answer_of_another_type_is_an_error() -> None:
    asks = make_asks()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(echo, asks)
        await wait_all_tasks_blocked()
        with pytest.raises(ProcessError, match="echo answered with Say, which is no Other"):
            await asks.ask("echo", Say(text=""), Other, timeout_s=1.0)
        tasks.cancel_scope.cancel()


async def test_an_actor_refuses_with_an_error_of_its_own() -> None:
    asks = make_asks()

    async def refuse() -> None:
        with asks.serve("student") as desk:
            async for question in desk:
                question.refuse(PolicyError("not now"))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(refuse)
        await wait_all_tasks_blocked()
        with pytest.raises(PolicyError, match="not now"):
            await asks.ask("student", Say(text=""), Say, timeout_s=1.0)
        tasks.cancel_scope.cancel()


async def test_an_actor_that_asks_itself_is_told_at_once() -> None:
    asks = make_asks()
    with asks.serve("me"), pytest.raises(AskCycleError, match="an actor would wait for itself: me asks me"):
        await asks.ask("me", Say(text=""), Say, timeout_s=3600)
    assert asks.statistics().cycles == 1


@pytest.mark.parametrize("length", [1, 2, 5])
async def test_a_chain_that_comes_back_is_told_at_once(length: int) -> None:
    asks = make_asks()
    names = [f"a{number}" for number in range(length)]
    async with anyio.create_task_group() as tasks:
        for name, to in zip(names, [*names[1:], names[0]], strict=True):
            tasks.start_soon(relay, asks, name, to)
        await wait_all_tasks_blocked()
        chain = " asks ".join([*names, names[0]])
        with anyio.fail_after(2), pytest.raises(AskCycleError, match=f"wait for itself: {chain}$"):
            await asks.ask(names[0], Say(text=""), Say, timeout_s=3600)
        tasks.cancel_scope.cancel()


async def test_a_chain_is_followed_through_the_tasks_of_an_actor() -> None:
    asks = make_asks()

    async def delegate() -> None:
        with asks.serve("boss") as desk:
            async for question in desk:
                async with anyio.create_task_group() as helpers:
                    helpers.start_soon(help_out, question)

    async def help_out(question: Question) -> None:
        with pytest.raises(AskCycleError, match="boss asks echo asks boss"):
            await asks.ask("echo", Say(text="boss"), Say, timeout_s=5.0)
        question.answer(question.message)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(delegate)
        tasks.start_soon(relay, asks, "echo", "boss")
        await wait_all_tasks_blocked()
        await asks.ask("boss", Say(text=""), Say, timeout_s=5.0)
        tasks.cancel_scope.cancel()


async def test_what_was_answered_makes_no_chain() -> None:
    asks = make_asks()
    done = anyio.Event()

    async def ask_back_later() -> None:
        with asks.serve("first") as desk:
            question = await anext(desk)
            question.answer(question.message)
            await asks.ask("second", Say(text=""), Say, timeout_s=5.0)
            done.set()

    async def ask_and_then_answer() -> None:
        with asks.serve("second") as desk:
            await asks.ask("first", Say(text=""), Say, timeout_s=5.0)
            question = await anext(desk)
            question.answer(question.message)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask_back_later)
            await wait_all_tasks_blocked()
            tasks.start_soon(ask_and_then_answer)
    assert done.is_set()


async def test_a_desk_is_bounded_and_the_wait_for_room_counts_for_the_timeout() -> None:
    asks = make_asks()

    async def sleep() -> None:
        with asks.serve("sleeper"):
            await anyio.sleep_forever()

    async def ask(timeout_s: float) -> None:
        with pytest.raises((DeadlineExceeded, ActorDied)):
            await asks.ask("sleeper", Say(text=""), Say, timeout_s=timeout_s)

    async with anyio.create_task_group() as askers, anyio.create_task_group() as tasks:
        tasks.start_soon(sleep)
        await wait_all_tasks_blocked()
        for _ in range(CAPACITY + 5):
            askers.start_soon(ask, 20.0)
        await wait_all_tasks_blocked()
        (desk,) = asks.statistics().desks
        assert desk.queued == CAPACITY
        await ask(0.02)
        tasks.cancel_scope.cancel()
    told = asks.statistics()
    assert (told.timed_out, told.died, told.asked) == (1, CAPACITY + 5, CAPACITY + 6)


async def test_a_name_answers_once() -> None:
    asks = make_asks()
    with asks.serve("me"), pytest.raises(ValueError, match="two actors answer to 'me'"), asks.serve("me"):
        pass
    with asks.serve("me"):
        pass


async def test_closing_the_bus_ends_desks_and_fails_who_waits() -> None:
    bus = make_bus()
    ended: list[str] = []

    async def take_and_wait() -> None:
        with bus.asks.serve("slow") as desk:
            async for _ in desk:
                pass
        ended.append("slow")

    async def ask() -> None:
        with pytest.raises(ActorDied, match="slow died: the bus was closed"):
            await bus.asks.ask("slow", Say(text=""), Say, timeout_s=3600)
        ended.append("asker")

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(take_and_wait)
            await wait_all_tasks_blocked()
            tasks.start_soon(ask)
            await wait_all_tasks_blocked()
            bus.close()
    assert sorted(ended) == ["asker", "slow"]
    with pytest.raises(anyio.ClosedResourceError):
        await bus.asks.ask("slow", Say(text=""), Say, timeout_s=1.0)
