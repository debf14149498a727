"""The material coordinate against the interface frame (PHYSICS 9i), and what must hold when the volumes vary."""

import numpy as np
import pytest
from manufactured import varying_set

import cellsim
from cellsim import Cell, Electrode, Options, Protocol, Resistance
from cellsim.cell.geometry import Separator
from cellsim.cell.protocol import hold_voltage, rest
from cellsim.electrolyte.volumes import ConstantVolumes, DensityVolumes

CELL = Cell(
    1e-3,
    350.0,
    positive=Electrode(Resistance(0.005)),
    negative=Electrode(Resistance(0.01)),
    separator=Separator.from_tortuosity(0.7, 1.5),
)
PROTOCOL = Protocol((hold_voltage(0.08, 20_000.0), rest(2_000.0)))
TIMES = np.array([200.0, 1000.0, 5000.0, 20_000.0, 21_000.0, 22_000.0])


def run(solver, cells, *, transport=None, rtol=1e-6, protocol=PROTOCOL, times=TIMES):
    options = Options(cells=cells, rtol=rtol)
    return cellsim.simulate(
        CELL, transport or varying_set(), protocol, c0=1000.0, solver=solver, options=options, times=times
    )


def faces(s, k):
    """c against position on the faces at time index k, walls included."""
    return s["position_face"][k], s["c_face"][k]


@pytest.mark.slow
@pytest.mark.parametrize(("rtol", "limit"), [(1e-5, 3e-4), (1e-6, 6e-5)])
def test_both_routes_give_the_same_solution(rtol, limit):
    """They differ by the time-stepping error alone, which falls as it is asked to: measured 1.2e-4, 2.7e-5."""
    a, b = run("fipy", 80, rtol=rtol), run("material", 80, rtol=rtol)
    assert np.array_equal(a["time"], b["time"])
    assert np.max(np.abs(a["c_face"][:, [0, -1]] - b["c_face"][:, [0, -1]])) / 1000 <= limit
    assert np.max(np.abs(a["i"] - b["i"])[1:]) / a["i"][0] <= limit
    inside = [np.interp(a["face"], *faces(b, k)) - a["c_face"][k] for k in range(len(a["time"]))]
    assert np.max(np.abs(inside)) / 1000 <= max(limit, 2e-4)  # read off another grid by straight lines


def with_density(scale: float):
    """The set with a density curve: ideal mixing of the same volumes plus an excess that bends c0(c)."""
    transport = varying_set()
    V_e, V_0 = transport.volumes.V_e, transport.volumes.V_0

    def c_solvent(c):
        return (1 - c * V_e - scale * (c / 1000) * (1 - c / 6000)) / V_0

    from dataclasses import replace

    def rho(c):
        return transport.M_e * c + transport.M_0 * c_solvent(c)

    volumes = DensityVolumes.from_density(rho, transport.M_e, transport.M_0, 5500.0)
    return replace(transport, volumes=volumes)


@pytest.mark.slow
def test_a_straight_density_curve_is_constant_volumes():
    a = run("material", 24, rtol=1e-5)
    b = run("material", 24, rtol=1e-5, transport=with_density(0.0))
    assert np.max(np.abs(a["c"] - b["c"])) / 1000 <= 1e-8  # measured 3e-10, the time integrator's tolerance
    assert np.max(np.abs(a["v_0"][0] - b["v_0"][0])) <= 1e-8 * np.max(np.abs(a["v_0"][0]))


@pytest.mark.slow
def test_varying_volumes_breathe_and_keep_salt_solvent_and_kinematics():
    transport = with_density(0.03)
    assert transport.volumes.varies
    times = np.linspace(0, 6000.0, 241)
    s = run(
        "material", 32, rtol=1e-6, transport=transport, protocol=Protocol((hold_voltage(0.08, 6000.0),)), times=times
    )
    assert s.salt_drift <= 1e-12
    widths = np.diff(s["position_face"], axis=1)
    solvent = np.sum(transport.c_0(s["c"]) * widths, axis=1)
    assert np.max(np.abs(solvent / solvent[0] - 1)) <= 1e-12
    assert np.max(np.abs(s["thickness"] / s["thickness"][0] - 1)) > 1e-5  # the cell breathes
    # the solvent velocity is the velocity of the material faces: central differences of their positions
    middle = slice(40, 200)
    t = s["time"]
    moved = (s["position_face"][2:] - s["position_face"][:-2]) / (t[2:] - t[:-2])[:, None]
    speed = s["v_0"][0, 1:-1]  # interstitial, as the material moves
    assert np.max(np.abs(moved - speed)[middle]) <= 2e-3 * np.max(np.abs(speed[middle]))


def test_the_volume_frame_refuses_varying_volumes():
    from cellsim.base import InputError

    with pytest.raises(InputError, match="material"):
        run("fipy", 24, transport=with_density(0.03))
    chosen = cellsim.simulate(
        CELL, with_density(0.03), Protocol((rest(1.0),)), c0=1000.0, options=Options(cells=16), times=[1.0]
    )
    assert chosen.attributes["solver"] == "material"


@pytest.mark.slow
def test_without_solvent_motion_both_solvers_agree_and_nothing_moves():
    still = varying_set().with_motion("none")
    a, b = (run(name, 40, transport=still, rtol=1e-5) for name in ("fipy", "material"))
    assert np.all(a["v_0"][0] == 0)
    assert np.all(b["v_0"][0] == 0)
    assert np.max(np.abs(a["c"] - b["c"])) / 1000 <= 2e-4  # BDF2 at 1e-5 against Radau on the same grid, measured 8e-5
    assert isinstance(still.volumes, ConstantVolumes)
