"""The FiPy solver's linear system: blocks that FiPy assembled once, and what FiPy itself assembles and solves."""

import numpy as np
import pytest

from cellsim.solvers.fipy import FipyEquation, LinearSystem
from cellsim.solvers.grid import graded_faces


@pytest.mark.parametrize("cells", [4, 37, 160])
@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
def test_the_matrix_from_blocks_is_the_one_fipy_assembles(cells, size):
    """Coefficients of any sign and size: the same bands to a few last bits, and the same solution as FiPy's solver."""
    widths, draw = np.diff(graded_faces(cells, 1.0, 2.5)), np.random.default_rng(cells)
    system, equation = LinearSystem(widths), FipyEquation(widths)
    D, u = draw.uniform(0.5, 2.0, cells - 1), size * draw.normal(size=cells - 1)
    source, decay = draw.normal(size=cells), float(draw.uniform(1, 1e6))

    full, bands = equation.matrix(D, u, decay), system.bands(D, u, decay)
    rebuilt = np.diag(bands[1]) + np.diag(bands[0, 1:], 1) + np.diag(bands[2, :-1], -1)
    # measured: 2e-16 of the largest entry
    assert np.abs(rebuilt - full).max() <= 1e-15 * np.abs(full).max()

    ours, _ = system.solve(diffusion=D, convection=u, decay=decay, sources=(source, source))
    theirs = equation.sweep(D, u, decay, source)
    assert np.abs(ours - theirs).max() <= 1e-12 * np.abs(theirs).max()  # measured: 5e-16


def test_the_blocks_lose_no_salt():
    """What leaves a cell enters its neighbour: the columns of both flux terms add up to nothing."""
    system = LinearSystem(np.diff(graded_faces(160, 1.0, 2.5)))
    for block in (system.diffusion, system.convection):
        columns = block.sum(axis=1)
        assert np.abs(columns).max() <= 4e-16 * np.abs(block).max()
