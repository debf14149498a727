"""Closed forms of n components: PHYSICS 10, l to q, for the coupled finite volumes and the spectral solver."""

from dataclasses import replace

import numpy as np
import pytest
from mixture_toys import labelled_anion, labelled_solvent, random_set
from scipy.interpolate import CubicSpline

import cellsim
from cellsim import Cell, Options, Protocol, TransportSet, hold_current, hold_voltage, rest
from cellsim.base import R
from cellsim.cell.geometry import Separator
from cellsim.cell.kinetics import Electrode, Resistance
from cellsim.electrolyte.mixture_set import MixtureSet
from cellsim.electrolyte.relations import ideal_thermodynamic_matrix, onsager_of_stefan_maxwell
from cellsim.model import mixture
from cellsim.model.closed_forms import sand_time
from cellsim.model.plan import layer_of

CELL = Cell(1e-4, 298.15)
COARSE = Options(cells=24, rtol=1e-3)
CHARGES = [(-1, 0), (-1, -1), (-1, 0, 0), (-2, 0, 1), (-1, -1, 0), (0, -1, -3)]


def composition(rng, z):
    """Amounts that leave a positive one of the cation."""
    return rng.uniform(0.1, 1.0, len(z)) + 0.6 * (np.array(z) < 0)


def slowest(transport, r0):
    """Time in which the slowest mode crosses the cell [s]."""
    return CELL.thickness**2 / mixture.relaxation_modes(transport.at(r0))[0][0]


def binary():
    """A 1:1 electrolyte whose properties all depend on concentration."""
    return TransportSet.constant(
        kappa=1.0,
        D=3e-10,
        t_plus=0.3,
        V_e=6e-5,
        V_0=8e-5,
        c_range=(1.0, 6000.0),
        kappa_source=lambda c, m, r: 1.2 * c / (c + 900.0) * np.exp(-c / 4000.0),
        D_source=lambda c, m, r: 3e-10 * np.exp(-c / 2500.0),
        t_plus_source=lambda c, m, r: 0.35 - 1e-4 * c,
        chi_source=lambda c, m, r: 1 + 0.3 * c / 1000.0,
    )


@pytest.mark.parametrize("case", range(len(CHARGES)))
def test_small_signal_current_fraction_of_random_sets(case):
    # l: measured 7e-10 at worst, the relaxation that is left after five times the slowest
    rng, z = np.random.default_rng(case), CHARGES[case]
    transport, r0 = random_set(rng, z, z_plus=1 + case % 2), composition(rng, z)
    protocol = Protocol((hold_voltage(1e-4, 5 * slowest(transport, r0)),))
    found = cellsim.simulate(CELL, transport, protocol, c0=r0, times=[0.0])
    rho = float(mixture.current_fraction(transport, r0))
    assert float(1 / (1 + mixture.newman_number(transport.at(r0)))) == pytest.approx(rho, rel=1e-10)
    assert found["i"][-1] / found["i"][0] == pytest.approx(rho, rel=1e-4)
    assert found.salt_drift < 1e-12


@pytest.mark.parametrize("case", [0, pytest.param(3, marks=pytest.mark.slow)])
def test_small_signal_current_fraction_by_finite_volumes(case):
    # l: measured 2e-6 on 24 cells; the second set has a negative diagonal entry of L G
    rng, z = np.random.default_rng(case), CHARGES[case]
    transport, r0 = random_set(rng, z, z_plus=1 + case % 2), composition(rng, z)
    protocol = Protocol((hold_voltage(1e-4, 5 * slowest(transport, r0)),))
    found = cellsim.simulate(CELL, transport, protocol, c0=r0, times=[0.0], solver="fipy", options=COARSE)
    rho = float(mixture.current_fraction(transport, r0))
    assert found["i"][-1] / found["i"][0] == pytest.approx(rho, rel=1e-4)
    assert found.salt_drift < 1e-12


@pytest.mark.slow
@pytest.mark.parametrize(
    ("solver", "options", "tolerance"),
    [("sundials", Options(rtol=1e-6), 5e-8), ("fipy", COARSE, 1e-4)],
    ids=["sundials", "fipy"],
)
def test_a_label_on_the_solvent_changes_nothing(solver, options, tolerance):
    # m: whatever part of the solvent is called b, and however fast its molecules exchange places; measured 1.4e-8 and,
    # of finite volumes, whose first time step follows the fastest mode, 3e-5
    plain = MixtureSet.from_binary(binary())
    protocol = Protocol((hold_voltage(0.05, 40.0), hold_current(-20.0, 15.0)))
    times = np.linspace(0, 55, 12)
    ends = float(plain.r_range[0, 0]), float(plain.r_range[0, 1])
    r0 = float(binary().r(1000.0))
    reference = cellsim.simulate(CELL, plain, protocol, c0=[r0], times=times, solver=solver, options=options)
    for share, D_tracer in ((0.5, 1e-9), (9.0, 2e-11)):
        r_range = [[ends[0], ends[1] * (1 + share)], [0.2 * share, 5 * share]]
        labelled = labelled_solvent(plain, D_tracer, r_range)
        c0 = [r0 * (1 + share), share]
        found = cellsim.simulate(CELL, labelled, protocol, c0=c0, times=times, solver=solver, options=options)
        assert found.status == reference.status == "done"
        for name in ("i", "V"):
            scale = np.max(np.abs(reference[name]))
            assert np.max(np.abs(found[name] - reference[name])) < tolerance * scale
        # measured 8e-15: equal where no rounding differs
        assert np.ptp(found["r_b"]) / share < 1e-12
        assert np.ptp(found["c_face_X"][found["step"] == 0][-1]) > 300.0


def stefan_maxwell(r_b):
    """LiX in a and b, or in a alone where r_b is None, from constant coefficients, ideal, in one cell."""
    D = 1e-10 * np.array([[1, 0.2, 2.0, 1.0], [0.2, 1, 4.0, 3.0], [2.0, 4.0, 1, 8.0], [1.0, 3.0, 8.0, 1]])  # Li X b a
    some = [0, 1, 3] if r_b is None else [0, 1, 2, 3]
    z, V_0, V = ((-1,), 1e-4, np.array([5e-5])) if r_b is None else ((-1, 0), 1e-4, np.array([5e-5, 7e-5]))

    def Omega(r):
        c_0 = 1 / (V_0 + r @ V)
        c = c_0[..., None] * np.concatenate([r[..., :1], r], axis=-1)
        return onsager_of_stefan_maxwell(D[np.ix_(some, some)], c, c_0, 298.15)

    empty = MixtureSet.constant(np.eye(len(z) + 1), z=z, V_0=V_0, V=V)
    return replace(empty, Omega=Omega), np.array([0.1] if r_b is None else [0.1, r_b])


@pytest.mark.slow
def test_a_vanishing_cosolvent_leaves_the_binary_electrolyte():
    # n: the current differs by 2.4 r_b at most, and linearly
    protocol, times = Protocol((hold_voltage(0.05, 60.0),)), np.linspace(0, 60, 7)
    options = Options(rtol=1e-6)
    plain, r0 = stefan_maxwell(None)
    reference = cellsim.simulate(CELL, plain, protocol, c0=r0, times=times, options=options)["i"]
    miss = []
    for r_b in (1e-2, 1e-3, 1e-4):
        transport, r0 = stefan_maxwell(r_b)
        i = cellsim.simulate(CELL, transport, protocol, c0=r0, times=times, options=options)["i"]
        miss.append(float(np.max(np.abs(i / reference - 1))))
    slopes = np.diff(np.log10(miss))
    assert slopes == pytest.approx([-1, -1], abs=0.05)
    assert miss[-1] < 1e-3


@pytest.mark.parametrize(
    ("solver", "options"), [("sundials", None), pytest.param("fipy", Options(cells=60), marks=pytest.mark.slow)]
)
def test_both_modes_relax_with_their_eigenvalues(solver, options):
    # o: the amplitudes of cos(pi x/L) in each mode fall with exactly D_mode (pi/L)^2, for small signals
    # (constant Omega, G and volume of the solvent, none of the others: linear at any amplitude)
    Omega = 1e-9 * np.array([[1.0, 0.2, 0.9], [0.2, 2.0, -0.5], [0.9, -0.5, 4.0]])
    transport, r0 = MixtureSet.constant(Omega, np.array([[5.0, 1.0], [1.0, 2.0]]), z=(-1, 0)), np.array([0.3, 0.8])
    D, modes = mixture.relaxation_modes(transport.at(r0))
    slow, fast = CELL.thickness**2 / (np.pi**2 * D)
    protocol = Protocol((hold_current(10.0, 2 * fast), rest(3 * fast)))
    times = 2 * fast + np.linspace(0, 3 * fast, 7)[1:]
    found = cellsim.simulate(CELL, transport, protocol, c0=r0, times=times, solver=solver, options=options)
    xi = np.concatenate([[0.0], np.cumsum(np.diff(found["position_face"][0]) / found["thickness"][0])])
    cosine = np.diff(np.sin(np.pi * xi)) / np.pi  # integral of cos(pi xi) over each cell
    keep = found["time"] >= times[0]
    amplitude = np.linalg.solve(modes, (found["r"][:, keep] - r0[:, None, None]) @ cosine)
    rates = -np.diff(np.log(np.abs(amplitude)), axis=1) / np.diff(found["time"][keep])
    # measured 7e-5 and 8e-6 (the sums over cells take in a little of the third harmonic), of finite volumes 1e-3
    tolerance = 2e-4 if solver == "sundials" else 3e-3
    assert rates[0] == pytest.approx(1 / slow, rel=tolerance)
    assert rates[1, :2] == pytest.approx(1 / fast, rel=tolerance)


def free_energy(transport, found):
    """RT sum n ln y of an ideal mixture per area, less that of the uniform state [J/m^2]."""
    r = np.moveaxis(found["r"], 0, -1)
    every = np.concatenate([transport.r_plus(r)[..., None], r, np.ones((*r.shape[:-1], 1))], axis=-1)
    density = R * transport.T * np.sum(every * np.log(every / every.sum(axis=-1, keepdims=True)), axis=-1)
    solvent = found["c"][-1] * np.diff(found["position_face"], axis=1)
    return np.sum(density * solvent, axis=1)


def test_free_energy_falls_at_rest_and_no_more_is_stored_than_was_spent():
    # p: strongly coupled components, far from equilibrium
    rng = np.random.default_rng(11)
    transport, r0 = random_set(rng, (-1, -1, 0)), np.array([0.3, 0.5, 0.8])
    tau = slowest(transport, r0)
    protocol = Protocol((hold_voltage(0.02, 0.5 * tau), rest(0.5 * tau)))
    found = cellsim.simulate(CELL, transport, protocol, c0=r0, options=Options(cells=320))
    assert found.status == "done"
    energy, time = free_energy(transport, found), found["time"]
    driven = found["step"] == 0
    spent = np.concatenate([[0.0], np.cumsum(0.5 * np.diff(time) * (found["i"] * found["V"])[:-1])])
    spent += np.concatenate([[0.0], np.cumsum(0.5 * np.diff(time) * (found["i"] * found["V"])[1:])])
    gain = np.diff(energy)
    assert energy[driven][-1] - energy[0] > 0.02 * spent[driven][-1]
    assert np.all(gain[driven[1:]] <= np.diff(spent)[driven[1:]])
    assert np.all(gain[~driven[:-1]][1:] < 0)
    # G is the curvature of this free energy
    h, r = 1e-4, r0

    def density(r):
        every = np.append(np.append(transport.r_plus(r), r), 1.0)
        return float(every @ np.log(every / every.sum()))

    steps = h * np.eye(3)
    curvature = [
        [(density(r + a + b) - density(r + a) - density(r + b) + density(r)) / h**2 for a in steps] for b in steps
    ]
    assert np.array(curvature) == pytest.approx(ideal_thermodynamic_matrix(r + 0.5 * h, transport.z, 1), rel=1e-2)


def test_two_salts_with_equal_coefficients_behave_as_one():
    # q: measured 2e-7 in i, 3e-9 in the ratio of the salts
    plain = MixtureSet.from_binary(binary())
    protocol, times = Protocol((hold_voltage(0.05, 40.0), rest(20.0))), np.linspace(0, 60, 9)
    options, r0 = Options(rtol=1e-6), float(binary().r(1000.0))
    reference = cellsim.simulate(CELL, plain, protocol, c0=[r0], times=times, options=options)
    low, high = plain.r_range[0]
    two = labelled_anion(plain, 1e-10, [[0.1 * low, high]] * 2)
    found = cellsim.simulate(CELL, two, protocol, c0=[0.3 * r0, 0.7 * r0], times=times, options=options)
    assert np.max(np.abs(found["i"] - reference["i"])) < 2e-6 * reference["i"].max()
    assert np.max(np.abs(found["V"] - reference["V"])) < 2e-6 * reference["V"].max()
    assert np.ptp(found["r_X"] / found["r_Y"]) < 1e-7


@pytest.mark.parametrize(
    ("solver", "options"),
    [("sundials", None), pytest.param("fipy", Options(cells=100, rtol=5e-6), marks=pytest.mark.slow)],
)
def test_a_binary_salt_by_this_road_is_that_of_the_binary_solvers(solver, options):
    # i, c and v within 1e-4; measured 2e-7, 2e-8, 2e-6 and, of finite volumes, 8e-5, 2e-5, 8e-5
    transport = binary()
    cell = replace(CELL, positive=Electrode(Resistance(np.array([1e-4]))))
    protocol = Protocol((hold_voltage(0.02, 30.0), hold_current(5.0, 10.0)))
    times = np.linspace(0, 40, 9)
    exact = cellsim.simulate(cell, transport, protocol, c0=1000.0, times=times, options=Options(rtol=1e-6, cells=200))
    mixed = MixtureSet.from_binary(transport)
    r0 = float(transport.r(1000.0))
    found = cellsim.simulate(cell, mixed, protocol, c0=[r0], times=times, solver=solver, options=options)
    for name in ("i", "V", "V_ohmic", "V_positive"):
        assert np.max(np.abs(found[name] - exact[name])) < 1e-4 * np.max(np.abs(exact[name]))
    assert found["V_component"][0] == pytest.approx(exact["V_concentration"], abs=1e-4 * exact["V"].max())
    velocity = 1e-4 if solver == "sundials" else 2e-3
    for ours, theirs, tolerance in (
        (found["c_face_anion"], exact["c_face"], 1e-4),
        (found["v_anion"][0], exact["v_minus"][0], velocity),
        (found["v_solvent"][1], exact["v_0"][1], velocity),
    ):
        for row in np.flatnonzero(np.diff(found["time"]) > 1e-6) + 1:  # no polynomial follows the jump of a drive
            there = CubicSpline(exact["position_face"][row], theirs[row])(found["position_face"][row])
            assert np.max(np.abs(ours[row] - there)) < tolerance * np.max(np.abs(theirs[1:]))


def test_sands_time_of_one_salt_is_that_of_the_closed_forms():
    salt = TransportSet.constant(kappa=0.4, D=3e-10, t_plus=0.3, chi=1.2)
    cell = replace(CELL, separator=Separator(porosity=0.5, macmullin=3.0))
    found = mixture.sand_time(cell, MixtureSet.from_binary(salt), [float(salt.r(500.0))], 20.0)
    assert found == pytest.approx(sand_time(layer_of(cell, salt, 500.0), 20.0), rel=1e-9)


@pytest.mark.parametrize("case", [0, *(pytest.param(k, marks=pytest.mark.slow) for k in (1, 2))])
def test_sands_time_of_n_components_is_when_a_run_of_constant_coefficients_ends(case):
    # measured 2e-3 where Li is used up, of which a thousandth is left at the end of a run, and 1e-6 of the others
    rng, z = np.random.default_rng(case), CHARGES[case]
    r0, K = composition(rng, z), len(z)
    Omega, A = random_set(rng, z).Omega(r0), rng.normal(size=(K, K))
    transport = MixtureSet.constant(Omega, 5 * (A @ A.T + np.eye(K)), z=z, extrapolate="clamp")
    cell = replace(CELL, separator=Separator(porosity=0.5, macmullin=3.0))
    fastest = mixture.relaxation_modes(transport.at(r0))[0][-1]
    wanted = 1e-3 * CELL.thickness**2 / fastest  # long before the other electrode is felt
    i = (-1) ** case * (mixture.sand_time(cell, transport, r0, 1.0) / wanted) ** 0.5
    assert mixture.sand_time(cell, transport, r0, i) == pytest.approx(wanted, rel=1e-12)
    run = cellsim.simulate(cell, transport, Protocol((hold_current(i, 2 * wanted),)), c0=r0, times=[0.0])
    assert run.status == "depleted"
    assert run["time"][-1] == pytest.approx(wanted, rel=4e-3)
