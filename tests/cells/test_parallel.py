"""Threads that keep the order, do not run ahead, and pass errors on."""

import time
from collections.abc import Iterator

import pytest

from leukoscope.cells.parallel import in_order


def test_results_come_in_order_however_long_each_takes() -> None:
    def slow(number: int) -> int:
        time.sleep(0.02 if number % 3 == 0 else 0)
        return number * number

    assert list(in_order(slow, range(20), workers=4)) == [number**2 for number in range(20)]


def test_no_more_is_read_than_the_work_needs() -> None:
    read: list[int] = []

    def items() -> Iterator[int]:
        for number in range(1000):
            read.append(number)
            yield number

    results = in_order(str, items(), workers=2, ahead=3)
    for taken in range(1, 11):
        next(results)
        assert len(read) <= taken + 2 * 3


def test_an_error_comes_where_its_result_would() -> None:
    results = in_order(lambda number: 1 // (2 - number), range(5), workers=2)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
