"""Compiled products and inverses of small matrices, against numpy."""

from __future__ import annotations

import numpy as np
import pytest

from cellsim.solvers.dense import by_columns, combine, in_eights, in_lines, invert

SIZES = [1, 2, 7, 8, 9, 23, 24, 48]


def inverse_of(A: np.ndarray) -> np.ndarray | None:
    """As a solver asks for it, with room that is not empty."""
    n, columns = A.shape[0], by_columns(A)
    found = invert(columns, np.empty(n, dtype=np.int64), np.full((2, in_eights(n) + 8), np.nan))
    assert not found or not columns[:, n:].any()  # what is beyond the rows stays zero
    return columns[:, :n].T if found else None


@pytest.mark.parametrize("n", SIZES)
def test_products(n: int) -> None:
    """Of two matrices, one over the other, with a column of zeros behind; of all columns and of some."""
    rng = np.random.default_rng(n)
    A, B, s = rng.normal(size=(n, n)), rng.normal(size=(3, n)), rng.normal(size=n + 1)
    columns, out = by_columns(A, B, empty=1), np.full(in_eights(n + 3), np.nan)
    assert columns.ctypes.data % 64 == 0 and columns.shape == (n + 1, out.size)
    expected = np.concatenate([A @ s[:n], B @ s[:n], np.zeros(out.size - n - 3)])
    for matrix in (columns, columns.ravel()):
        combine(matrix, out.size, s, n + 1, out)
        assert out == pytest.approx(expected, rel=1e-12, abs=1e-13)
    combine(columns, out.size, s, n // 2, out)
    assert out[:n] == pytest.approx(A[:, : n // 2] @ s[: n // 2], rel=1e-12, abs=1e-13)
    first = np.full(8, np.nan)
    combine(columns, out.size, s, n, first)
    assert first == pytest.approx(expected[:8], rel=1e-12, abs=1e-13)


@pytest.mark.parametrize("n", SIZES)
def test_inverses(n: int) -> None:
    """Of a matrix of any kind, and of one whose diagonal is zero, so that every pivot has to be exchanged."""
    rng = np.random.default_rng(n)
    A = rng.normal(size=(n, n))
    found = inverse_of(A)
    assert found == pytest.approx(np.linalg.inv(A), rel=1e-9, abs=1e-10)
    shifted = np.roll(np.diag(1 + rng.random(n)), 1, axis=0)
    assert inverse_of(shifted) == pytest.approx(np.linalg.inv(shifted), rel=1e-14)


def test_what_has_no_inverse() -> None:
    assert inverse_of(np.zeros((5, 5))) is None
    assert inverse_of(np.outer([1.0, 2.0], [1.0, 2.0])) is None
    assert inverse_of(np.diag([1.0, np.inf, 1.0])) is None
    assert inverse_of(np.full((3, 3), np.nan)) is None


def test_lines() -> None:
    for shape in ((1,), (3, 5)):
        array = in_lines(*shape)
        assert array.shape == shape and not array.any() and array.ctypes.data % 64 == 0
    assert [in_eights(n) for n in (0, 1, 8, 9)] == [0, 8, 8, 16]
