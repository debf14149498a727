"""Matrices times vectors, and inverses, in compiled code: eight numbers at a time.

A matrix is kept by columns, each of which has a multiple of eight numbers, zeros at its end. For the compiler that
numba uses an array may overlap every other one, so that it tests before each loop whether they do; at two dozen
unknowns this took three times as long as the loop. So the two loops that matter are written here as instructions on
eight numbers, which every processor has in one form or another.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from cellsim.base import Array
from cellsim.model.equations import compiled

EIGHT = ir.VectorType(ir.DoubleType(), 8)
KEPT = 0.1
"""A pivot is exchanged where it is smaller than this over the largest of its column: exchanges take time."""


def instructions(function: Any) -> Any:
    """What is to be written in the place of a call from compiled code."""
    return intrinsic(function)


def in_eights(n: int) -> int:
    """The next multiple of eight."""
    return -(-n // 8) * 8


def in_lines(*shape: int) -> Array:
    """An array of zeros that begins where a line of the processor's cache does, 64 bytes."""
    size = math.prod(shape)
    room = np.zeros(size + 7)
    begin = -room.ctypes.data // 8 % 8
    return room[begin : begin + size].reshape(shape)


def by_columns(*matrices: Array, empty: int = 0) -> Array:
    """The columns of matrices that stand one over the other, and `empty` columns of zeros, shape (columns, rows)."""
    stacked = np.vstack(matrices)
    columns = in_lines(stacked.shape[1] + empty, in_eights(stacked.shape[0]))
    columns[: stacked.shape[1], : stacked.shape[0]] = stacked.T
    return columns


@instructions
def lent(_typing, array):  # type: ignore[no-untyped-def]
    """The same array, whose references nobody counts: whoever lends it must keep it until it is given back.

    Every view of an array counts, and every function that is given one; that was two fifths of the time of a run.
    """

    def code(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        view = context.make_array(array)(context, builder, arguments[0])
        view.meminfo = ir.Constant(view.meminfo.type, None)
        return view._getvalue()

    return array(array), code


def _numbers(context: Any, builder: Any, kind: Any, array: Any) -> Callable[[Any], Any]:
    """Where the number `at` of an array is."""
    data = context.make_array(kind)(context, builder, array).data
    return lambda at: builder.gep(data, [at])


def _eight(builder: Any, place: Any) -> Any:
    return builder.bitcast(place, EIGHT.as_pointer())


def _times(builder: Any, x: Any, eight: Any) -> Any:
    """A number times each of eight."""
    none, first = ir.Constant(EIGHT, ir.Undefined), ir.IntType(32)
    alone = builder.insert_element(none, x, ir.Constant(first, 0))
    everywhere = builder.shuffle_vector(alone, none, ir.Constant(ir.VectorType(first, 8), [0] * 8))
    return builder.fmul(everywhere, eight, flags=("contract",))


@instructions
def _sum(_typing, columns, rows, s, m, out, at):  # type: ignore[no-untyped-def]
    """Into eight rows of `out` from `at` on: the sum of the first `m` columns, each times its number in `s`."""

    def code(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        a, x, y = (_numbers(context, builder, kind, arguments[k]) for k, kind in ((0, columns), (2, s), (4, out)))
        _, stride, _, count, _, begin = arguments
        total = cgutils.alloca_once_value(builder, ir.Constant(EIGHT, None))
        with cgutils.for_range(builder, count) as loop:
            place = a(builder.add(begin, builder.mul(loop.index, stride)))
            column = builder.load(_eight(builder, place), align=8)
            more = _times(builder, builder.load(x(loop.index)), column)
            builder.store(builder.fadd(builder.load(total), more, flags=("contract",)), total)
        builder.store(builder.load(total), _eight(builder, y(begin)), align=8)
        return context.get_dummy_value()

    return types.void(columns, types.intp, s, types.intp, out, types.intp), code


@instructions
def _add(_typing, columns, rows, s, m, column, at):  # type: ignore[no-untyped-def]
    """To eight rows from `at` on of the first `m` columns: those of another `column`, times its number in `s`."""

    def code(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        a, x, y = (_numbers(context, builder, kind, arguments[k]) for k, kind in ((0, columns), (2, s), (4, column)))
        _, stride, _, count, _, begin = arguments
        eight = builder.load(_eight(builder, y(begin)), align=8)
        with cgutils.for_range(builder, count) as loop:
            place = _eight(builder, a(builder.add(begin, builder.mul(loop.index, stride))))
            more = _times(builder, builder.load(x(loop.index)), eight)
            builder.store(builder.fadd(builder.load(place, align=8), more, flags=("contract",)), place, align=8)
        return context.get_dummy_value()

    return types.void(columns, types.intp, s, types.intp, column, types.intp), code


@compiled
def combine(columns, rows, s, m, out):  # type: ignore[no-untyped-def]
    """Into `out` the first `m` columns of a matrix, flat or not, of `rows` rows each, times the numbers of `s`.

    `out` has as many rows as are wanted, a multiple of eight.
    """
    for at in range(0, out.size, 8):
        _sum(columns, rows, s, m, out, at)


@compiled
def invert(a, pivots, room):  # type: ignore[no-untyped-def]
    """The inverse of a matrix, in place, by the exchange of Gauss and Jordan; whether there is one.

    At these sizes it takes no longer than factors do, and a product with it takes a tenth of a substitution.

    Parameters
    ----------
    a : ndarray, shape (n, rows)
        By columns.
    pivots : ndarray of int, shape (n,)
        To work in.
    room : ndarray, shape (2, rows or more)
        To work in.
    """
    n, rows = a.shape
    x, w = room[0, :n], room[1, :rows]
    for k in range(n):
        largest = 0.0
        for r in range(n):
            largest = max(largest, abs(a[k, r]) if r >= k else 0.0)
        if not (largest > 0.0 and math.isfinite(largest)):
            return False
        pivots[k] = k
        if abs(a[k, k]) < KEPT * largest:
            for r in range(n):
                if r > k and abs(a[k, r]) == largest:
                    pivots[k] = r
            for j in range(n):
                a[j, k], a[j, pivots[k]] = a[j, pivots[k]], a[j, k]
        pivot = 1 / a[k, k]
        for r in range(rows):
            w[r] = -pivot * a[k, r]
            a[k, r] = 0.0
        w[k], a[k, k] = pivot, 1.0
        for j in range(n):
            x[j] = a[j, k]
            a[j, k] = 0.0
        for at in range(0, rows, 8):
            _add(a, rows, x, n, w, at)
    for k in range(n - 1, -1, -1):
        if pivots[k] != k:
            for r in range(rows):
                a[k, r], a[pivots[k], r] = a[pivots[k], r], a[k, r]
    return True
