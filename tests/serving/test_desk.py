"""The desk: many requests, one model; each has its own calls, whatever else is called with them."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pandas as pd
import pytest

from leukoscope.cells.pictures import Upload
from leukoscope.serving import desk as rooms
from leukoscope.serving.desk import BusyError, Desk


class Counting:
    """A model that calls each picture by its name, and keeps who was called together."""

    def __init__(self) -> None:
        self.together: list[tuple[list[str], float | None]] = []
        self.busy = 0
        self.open = threading.Event()
        self.open.set()

    def predict(
        self, files: Sequence[Upload], subjects: Sequence[str | None], coverage: float | None
    ) -> pd.DataFrame:
        self.busy += 1
        assert self.busy == 1, "a second call began before the first was done"
        self.open.wait(10)
        self.together.append(([file.name for file in files], coverage))
        self.busy -= 1
        if any(file.content == b"fails" for file in files):
            raise RuntimeError("it fails")
        return pd.DataFrame({"path": [file.name for file in files], "subject": subjects})


def uploads(*names: str) -> list[Upload]:
    return [Upload(name, b"") for name in names]


@asynccontextmanager
async def working(model: Counting) -> AsyncIterator[Desk]:
    desk = Desk(model)  # type: ignore[arg-type]
    work = asyncio.create_task(desk.work())
    yield desk
    work.cancel()


async def settled(condition: Any) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come about")


def test_requests_are_called_together_and_answered_apart() -> None:
    async def story() -> None:
        model = Counting()
        async with working(model) as desk:
            model.open.clear()
            first = asyncio.create_task(desk.call(uploads("UID_1_1_1_all.bmp"), None))
            await settled(lambda: model.busy)
            others = [asyncio.create_task(desk.call(uploads(f"{n}", f"{n}'"), None)) for n in "abc"]
            await settled(lambda: desk.waiting == 7)
            model.open.set()
            answers = await asyncio.gather(first, *others)
            assert [row["subject"] for row in answers[0]] == ["all:1"]
            assert [[row["path"] for row in answer] for answer in answers[1:]] == [
                ["a", "a'"],
                ["b", "b'"],
                ["c", "c'"],
            ]
            assert model.together[1] == (["a", "a'", "b", "b'", "c", "c'"], None)
            assert desk.waiting == 0

    asyncio.run(story())


def test_requests_of_another_coverage_are_called_apart_and_none_is_cut() -> None:
    async def story() -> None:
        model = Counting()
        async with working(model) as desk:
            model.open.clear()
            asked = [(["0"], None), (["1"] * 300, 0.5), (["2"], 0.5), (["3"], 0.6)]
            tasks = [asyncio.create_task(desk.call(uploads(*names), kept)) for names, kept in asked]
            await settled(lambda: desk.waiting == 303)
            model.open.set()
            await asyncio.gather(*tasks)
            assert [(len(names), kept) for names, kept in model.together] == [
                *((1, None), (300, 0.5), (1, 0.5), (1, 0.6))
            ]

    asyncio.run(story())


def test_a_failure_is_the_answer_and_the_desk_goes_on() -> None:
    async def story() -> None:
        async with working(Counting()) as desk:
            with pytest.raises(RuntimeError, match="it fails"):
                await desk.call([Upload("a", b"fails")], None)
            assert len(await desk.call(uploads("b"), None)) == 1
            assert desk.waiting == 0

    asyncio.run(story())


def test_who_goes_away_keeps_nobody_waiting() -> None:
    async def story() -> None:
        model = Counting()
        async with working(model) as desk:
            model.open.clear()
            gone = asyncio.create_task(desk.call(uploads("a"), None))
            await settled(lambda: model.busy)
            gone.cancel()
            stays = asyncio.create_task(desk.call(uploads("b"), None))
            await asyncio.sleep(0.01)
            model.open.set()
            assert len(await stays) == 1

    asyncio.run(story())


def test_pictures_of_who_has_gone_are_not_called() -> None:
    async def story() -> None:
        model = Counting()
        async with working(model) as desk:
            model.open.clear()
            first = asyncio.create_task(desk.call(uploads("a"), None))
            await settled(lambda: model.busy)
            gone = [asyncio.create_task(desk.call(uploads("b", "c"), None)) for _ in range(2)]
            stays = asyncio.create_task(desk.call(uploads("d"), None))
            await settled(lambda: desk.waiting == 6)
            for one in gone:
                one.cancel()
            await asyncio.sleep(0.01)
            model.open.set()
            await asyncio.gather(first, stays)
            assert [names for names, _ in model.together] == [["a"], ["d"]]
            await settled(lambda: desk.waiting == 0)

    asyncio.run(story())


def test_a_full_desk_says_so_and_one_large_request_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rooms, "WAITING", 3)

    async def story() -> None:
        model = Counting()
        async with working(model) as desk:
            model.open.clear()
            large = asyncio.create_task(desk.call(uploads(*"abcde"), None))
            await settled(lambda: desk.waiting == 5)
            with pytest.raises(BusyError):
                await desk.call(uploads("f"), None)
            model.open.set()
            assert len(await large) == 5

    asyncio.run(story())
