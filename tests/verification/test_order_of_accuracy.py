"""Measured order of accuracy of the FiPy solver in space and time, on a manufactured solution (PHYSICS 9g)."""

import numpy as np
import pytest
from manufactured import PERIOD, ExactDrive, make

from cellsim import Options
from cellsim.solvers.fipy import FipyStepper
from cellsim.solvers.grid import graded_faces


def slope(sizes, errors):
    """Least-squares exponent p of error ~ size^p."""
    return float(np.polyfit(np.log(sizes), np.log(errors), 1)[0])


def run(cells, t_end, *, drive="voltage", rtol=1e-4, fixed_step=None, stretch=2.5):
    exact = make()
    options = Options(cells=cells, rtol=rtol, fixed_step=fixed_step, stretch=stretch)
    faces = graded_faces(cells, exact.cell.thickness, stretch)
    stepper = FipyStepper(
        exact.cell, exact.transport, exact.average(faces, 0.0), options, source=lambda t: exact.source(faces, t)
    )
    stepper.start(ExactDrive(drive, exact.voltage if drive == "voltage" else exact.current), 0.0)
    while stepper.time < t_end:
        stepper.advance(t_end)
    return exact, faces, stepper.snapshot(t_end)


SIZES = np.array([20, 40, 80, 160])
# Measured on 160 graded cells: 1.4e-4 of 1000 mol/m^3 (cells), 9.5e-5 (walls), 1.2e-3 of 1e-6 mol/(m^2 s) (flux),
# 1.3e-4 (i); on 320 uniform cells ten times less. Orders measured: 1.93 to 2.04 in space.
LIMIT = {"cells": 4e-4, "walls": 4e-4, "flux": 4e-3, "i": 4e-4, "V": 4e-4}


@pytest.mark.slow
@pytest.mark.parametrize(("drive", "stretch", "sizes"), [("voltage", 2.5, SIZES), ("current", 0.0, 2 * SIZES)])
def test_second_order_in_space_cells_faces_current_and_flux(drive, stretch, sizes):
    t_end = 0.3 * PERIOD
    errors = {"cells": [], "walls": [], "flux": [], "i": [], "V": []}
    for cells in sizes:
        exact, faces, s = run(cells, t_end, drive=drive, fixed_step=t_end / 300, stretch=stretch)
        errors["cells"].append(np.max(np.abs(s.c - exact.average(faces, t_end))) / 1000)
        errors["walls"].append(np.max(np.abs(s.wall - exact.walls(t_end))) / 1000)
        errors["flux"].append(np.max(np.abs(s.fluxes[0] - exact.flux(faces, t_end))) / 1e-6)
        errors["i"].append(abs(s.i / exact.current(t_end) - 1))
        errors["V"].append(abs(s.voltage / exact.voltage(t_end) - 1))
    errors.pop("V" if drive == "voltage" else "i")
    for name, values in errors.items():
        order = slope(1 / sizes, values)
        assert 1.9 <= order <= 2.2, (name, order, values)
        assert values[-1] <= LIMIT[name], (name, values)


@pytest.mark.slow
@pytest.mark.parametrize("drive", ["voltage", "current"])
def test_second_order_in_time(drive):
    t_end = 0.3 * PERIOD
    counts = np.array([20, 40, 80, 160])
    reference = run(16, t_end, drive=drive, fixed_step=t_end / 1280)[2]
    errors = {"cells": [], "i": []}
    for count in counts:
        s = run(16, t_end, drive=drive, fixed_step=t_end / count)[2]
        errors["cells"].append(np.max(np.abs(s.c - reference.c)) / 1000)
        errors["i"].append(abs(s.i - reference.i))
    if drive == "current":
        errors.pop("i")
    for name, values in errors.items():
        order = slope(1 / counts, values)
        assert 1.9 <= order <= 2.3, (name, order, values)
