"""The same function on many items, here and in processes."""

import pytest

import cellsim.workers as workers_module
from cellsim.base import CellsimError, InputError, RangeError
from cellsim.workers import Workers, holding, mapped, tell


class OddError(Exception):
    """Cannot be copied: its constructor wants two arguments."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one)


def work(n: int) -> int:
    tell(0.5)
    if n == 2:
        raise RangeError("two is out of range", "c", 2.0)
    if n == 3:
        raise OddError("three", "is odd")
    return n * n


@pytest.mark.parametrize("workers", [1, 2])
def test_values_and_errors_come_back_in_their_place(workers):
    shares = []
    done = sorted(mapped(work, range(5), workers=workers, chunk=1, told=shares.append), key=lambda one: one.index)
    assert [one.value for one in done] == [0, 1, None, None, 16]
    assert isinstance(done[2].error, RangeError)
    with pytest.raises(RangeError, match="two is out of range"):
        done[2].result()
    assert "three" in str(done[3].error)
    assert isinstance(done[3].error, OddError if workers == 1 else CellsimError)
    assert 0 <= min(shares) <= max(shares) <= 1


def test_closures_travel():
    offset = 10
    with Workers(2) as pool:
        for _ in range(2):  # warm
            done = mapped(lambda n: n + offset, [1, 2, 3], workers=pool)
            assert sorted(one.result() for one in done) == [11, 12, 13]


def test_no_items_need_no_workers():
    assert not list(mapped(work, [], workers=2))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_held_function_answers_batch_after_batch(workers):
    with holding(work, workers) as call:
        assert call([1, 4, 5]) == [1, 16, 25]
        assert call([6]) == [36]
        with pytest.raises(RangeError):
            call([1, 2])


def test_no_scheduler_is_one_sentence(monkeypatch):
    monkeypatch.setattr(workers_module, "CONNECT", 0.5)
    with pytest.raises(InputError, match="no dask scheduler answers there"):
        list(mapped(work, [1], scheduler="tcp://127.0.0.1:1"))
