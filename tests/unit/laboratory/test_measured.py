"""Numbers measured from records of known truth: closed forms in, the number out; what is typed; what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cellsim.base import F, InputError, R
from cellsim.electrolyte.set_file import load_set
from cellsim.laboratory import bench_of, concentration_cell, current_fraction, hittorf, restricted_diffusion
from cellsim.laboratory import impedance as impedance_of
from cellsim.laboratory.measured import (
    Request,
    Resistances,
    Typed,
    analyse,
    analyse_record,
    fraction,
    limiting,
    potentials,
    relaxation,
    spectrum,
    typed,
)
from cellsim.laboratory.measured.regression import averaged, excess, fit_course
from cellsim.laboratory.measured.spectrum import Circuit
from cellsim.laboratory.report import ORDINARY, as_measured
from cellsim.model.closed_forms import Layer
from cellsim.model.small_signals import current_response, held_modes, impedance

LAYER = Layer(5e-4, 1000.0, 0.15, 1.4e-11, 0.2, chi=1.4, T=363.15, resistance=2e-3)
TAU = LAYER.thickness**2 / (np.pi**2 * LAYER.D)


def decaying(noise: float, bias: float = 1e-4, n: int = 300, length: float = 5.0, amplitude: float = 4e-3):
    """Restricted diffusion after a steady current, all modes."""
    t = np.linspace(0.01, length, n) * TAU
    odd = np.arange(1, 60, 2)
    U = amplitude * np.exp(-np.outer(t / TAU, odd**2)) @ (1 / odd**2)
    return t, U + bias + noise * np.random.default_rng(1).standard_normal(n)


@pytest.mark.parametrize(
    ("text", "unit", "value", "error"),
    [
        ("0.50 ± 0.01 mm", "m", 5e-4, 1e-5),
        ("0.5 mm +- 2 %", "m", 5e-4, 1e-5),
        ("0.5mm+/-10um", "m", 5e-4, 1e-5),
        ("500 um", "m", 5e-4, 0.0),
        ("-10 ± 1 mV", "V", -0.01, 1e-3),
        ("0.05 +- 0.001", "", 0.05, 1e-3),
    ],
)
def test_a_number_is_typed_with_its_error(text, unit, value, error):
    found = typed(text, unit, field="x")
    assert (found.value, found.error) == pytest.approx((value, error), rel=1e-12, abs=0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0.5", "no unit"),
        ("0.5 kg", "not a length"),
        ("-1 mm", "must be positive"),
        ("1 ± -0.1 mm", "negative error"),
        ("1 ± 2 ± 3 mm", "must be a number with a unit"),
        ("± 1 mm", "must be a number with a unit"),
        ("1 mm ± 1 s", "not a length"),
    ],
)
def test_what_is_typed_wrongly_is_said(text, said):
    with pytest.raises(InputError, match=said):
        typed(text, "m", field="thickness", above=0)


def test_numbers_of_one_label_err_together():
    a, b = Typed(1.0, 0.1, "cell.thickness").draws(), Typed(1.0, 0.1, "cell.thickness").draws()
    assert np.array_equal(a, b)
    other = Typed(1.0, 0.1, "relaxation.thickness").draws()
    assert abs(np.corrcoef(a, other)[0, 1]) < 0.06  # 4000 draws: 0.016


def test_white_noise_gives_the_errors_of_linear_least_squares():
    """With a rate that is known to within nothing, the intercept's error is the textbook's."""
    t = np.linspace(0, 1, 100)
    random = np.random.default_rng(3)
    y = 2.0 + 0.1 * random.standard_normal(100)
    course = averaged(t, y)
    fit = fit_course(course, lambda u: np.ones((100, 1)) * (1 + 0 * u), (-1e-6, 1e-6), seed=0)
    # 0.0091 for 0.0094 / 10 of the textbook times what the doubt about a wander adds
    assert 0.9 * np.std(y) / 10 < np.std(fit.b[:, 0]) < 1.6 * np.std(y) / 10
    assert fit.white and excess(fit, lambda u: np.ones((100, 1)), t - 0.5).seen < 3


def test_a_wander_widens_the_interval():
    t = np.linspace(0.01, 5, 400) * TAU
    random = np.random.default_rng(5)
    white, wander = 1e-5 * random.standard_normal((2, 400))
    for k in range(1, 400):
        wander[k] += 0.95 * wander[k - 1]
    clean = 4e-3 * np.exp(-t / TAU)
    plain = relaxation(t, clean + white, Typed(5e-4))["D"]
    wandering = relaxation(t, clean + white + wander, Typed(5e-4))["D"]
    assert wandering.error > 3 * plain.error  # 6.5


def test_restricted_diffusion_finds_d_and_the_baseline():
    found = relaxation(*decaying(2e-6), Typed(5e-4))
    assert found["D"].value == pytest.approx(LAYER.D, rel=2e-3)  # 4e-4
    assert found["D"].interval[0] < LAYER.D < found["D"].interval[1]
    assert found["U_inf"].value == pytest.approx(1e-4, rel=0.02)
    assert found.holds, found.lines()


def test_the_thickness_counts_twice():
    t, U = decaying(2e-6, n=60)
    found = relaxation(t, U, Typed(5e-4, 1e-5))["D"]
    assert found.error == pytest.approx(0.04 * LAYER.D, rel=0.1)  # 2 x 2 %, 4000 draws


def test_mirrored_voltages_give_the_same_d():
    t, U = decaying(2e-6, n=60)
    up, down = relaxation(t, U, Typed(5e-4))["D"], relaxation(t, -U, Typed(5e-4))["D"]
    assert down.value == pytest.approx(up.value, rel=1e-9)


def test_a_drift_of_the_baseline_is_seen():
    t, U = decaying(1e-6, n=100)
    found = relaxation(t, U + 2e-4 * t / t[-1], Typed(5e-4))
    assert not found.holds


@pytest.mark.parametrize(
    ("length", "noise", "said"), [(0.3, 1e-5, "record a longer rest"), (0.9, 1e-3, "record a longer rest")]
)
def test_a_rest_too_short_is_refused(length, noise, said):
    with pytest.raises(InputError, match=said):
        relaxation(*decaying(noise, length=length), Typed(5e-4))


def test_a_voltage_that_stands_still_is_refused():
    with pytest.raises(InputError, match="stands still"):
        relaxation(np.linspace(1, 2, 50), np.zeros(50), Typed(5e-4))
    with pytest.raises(InputError, match="at least 20"):
        relaxation(np.linspace(1, 2, 5), np.zeros(5), Typed(5e-4))


def held(noise: float = 1e-3, V: float = 3e-3, early: float = 1e-5):
    """The current of a small held voltage, by its closed form."""
    end = LAYER.thickness**2 / LAYER.D
    t = np.unique(np.concatenate([np.geomspace(early * end, 0.01 * end, 50), np.linspace(0.01, 1.0, 150) * end]))
    i = current_response(LAYER, V, t)
    return t, i * (1 + noise * np.random.default_rng(2).standard_normal(t.size))


def resistances(R: float = LAYER.resistance, bulk: float | None = None) -> Resistances:
    one = np.ones(4000)
    return Resistances(R * one, R * one, None if bulk is None else bulk * one)


RHO = 1 / (1 + LAYER.newman_number)


@pytest.mark.parametrize("bulk", [None, LAYER.bulk_resistance])
def test_bruce_vincent_finds_rho(bulk):
    found = fraction(*held(), Typed(3e-3), resistances(bulk=bulk))
    assert found["rho_plus"].value == pytest.approx(RHO, rel=0.01)  # 2e-3
    assert found["rho_plus"].interval[0] < RHO < found["rho_plus"].interval[1]
    assert found.holds, found.lines()


def test_a_negative_voltage_gives_the_same_rho():
    t, i = held()
    up = fraction(t, i, Typed(3e-3), resistances())
    down = fraction(t, -i, Typed(-3e-3), resistances())
    assert down["rho_plus"].value == pytest.approx(up["rho_plus"].value, rel=1e-9)
    assert down["i_ss"].value < 0 < up["i_ss"].value


def test_held_modes_are_the_closed_form():
    B = LAYER.diffusion_resistance / (LAYER.bulk_resistance + LAYER.resistance)
    rates, weights = held_modes(B, 40)
    s = np.array([0.02, 0.05, 0.2])
    t = s * LAYER.thickness**2 / LAYER.D
    i_ss = 1.0 / (LAYER.bulk_resistance + LAYER.resistance + LAYER.diffusion_resistance)
    exact = current_response(LAYER, 1.0, t)
    np.testing.assert_allclose(i_ss * (1 + np.exp(-np.outer(s, rates)) @ weights), exact, rtol=1e-9, atol=0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t, i: (t, -i), "of the other sign"),
        (lambda t, i: (t, i[::-1].copy()), "does not fall"),
        (lambda t, i: (t[:6], i[:6]), "at least 24"),
        (lambda t, i: (t, 1e3 * i), "check the units"),
        (lambda t, i: (t[80:], i[80:]), "before the diffusion layers meet"),
    ],
)
def test_currents_that_are_none_are_refused(change, said):
    with pytest.raises(InputError, match=said):
        fraction(*change(*held()), Typed(3e-3), resistances())


def recorded(noise: float = 1e-3, low: float = 0.05):
    """A spectrum with one depressed arc of the interfaces."""
    tau = LAYER.thickness**2 / (4 * LAYER.D)
    omega = np.geomspace(low / tau, 6e6, 60)
    Z = impedance(replace(LAYER, resistance=0.0), omega) + LAYER.resistance / (1 + (2e-4j * omega) ** 0.9)
    random = np.random.default_rng(4).standard_normal((2, 60))
    return omega, Z * (1 + noise * (random[0] + 1j * random[1]))


def test_a_spectrum_gives_all_of_it():
    found = spectrum(*recorded(), thickness=Typed(5e-4), per_area=True)
    for quantity, true in (
        ("kappa", LAYER.kappa),
        ("R_int", LAYER.resistance),
        ("rho_plus", RHO),
        ("D", LAYER.D),
        ("C", 2 * 2e-4 / LAYER.resistance),
        ("alpha", 0.9),
    ):
        assert found[quantity].value == pytest.approx(true, rel=0.01), quantity  # 1e-3 to 3e-3
    assert found.holds and found.conditions["arcs"] == 1


def test_without_the_last_arc_there_is_no_d():
    omega, Z = recorded()
    high = omega > 1
    found = spectrum(omega[high], Z[high], thickness=Typed(5e-4), per_area=True)
    with pytest.raises(KeyError):
        found["D"]
    assert found["kappa"].value == pytest.approx(LAYER.kappa, rel=0.01)


def test_a_circuit_is_the_closed_form():
    omega = np.geomspace(1e-4, 1e3, 20)
    p = np.log([LAYER.bulk_resistance, LAYER.diffusion_resistance, LAYER.thickness**2 / (4 * LAYER.D)])
    exact = impedance(replace(LAYER, resistance=0.0), omega)
    np.testing.assert_allclose(Circuit(0, True).impedance(p, omega), exact, rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda w, Z: (w, -Z), "real part"),
        (lambda w, Z: (w, Z.conj()), "-Im"),
        (lambda w, Z: (w[:8], Z[:8]), "at least 12"),
        (lambda w, Z: (w, np.random.default_rng(1).permutation(Z)), "no circuit"),
    ],
)
def test_spectra_that_are_none_are_refused(change, said):
    with pytest.raises(InputError, match=said):
        spectrum(*change(*recorded()))


def test_the_slope_of_a_bent_curve():
    x = np.linspace(-0.3, 0.3, 9)
    U = 0.07 * (x + 0.4 * x**2 / 2 - 0.3 * x**3 / 6) + 2e-6 * np.random.default_rng(6).standard_normal(9)
    found = potentials(x, U, thermal_voltage=0.06)
    assert found["dU/dlnm"].value == pytest.approx(0.07, rel=1e-3)  # 1.5e-4
    assert found["(1-t_plus)chi"].value == pytest.approx(0.07 / 0.06, rel=1e-3)
    turned = potentials(x, -U)
    assert turned["dU/dlnm"].value == pytest.approx(0.07, rel=1e-3) and "turned" in turned.notes[0]


@pytest.mark.parametrize(
    ("experiment", "quantities"),
    [
        (impedance_of, ("kappa", "rho_plus", "D")),
        (restricted_diffusion, ("D",)),
        (current_fraction, ("rho_plus",)),
        (concentration_cell, ("dU/dlnm",)),
    ],
)
def test_the_virtual_laboratory_goes_through_the_same_estimators(experiment, quantities):
    record = experiment(bench_of(load_set("landesfeind2019_ec_dmc"), noise=ORDINARY))
    found = analyse_record(record)
    for quantity in quantities:
        true, one = record[quantity].true, found[quantity]
        assert abs(one.value - true) < 3 * one.error + 1e-3 * abs(true), one


def test_the_bench_shows_what_analyse_reads_of_its_records():
    bench = bench_of(load_set("landesfeind2019_ec_dmc"), noise=ORDINARY)
    record = concentration_cell(bench)
    said = as_measured(record)
    assert said[0].startswith("  cellsim analyse: dU/dlnm") and "95 %" in said[0]
    assert as_measured(concentration_cell(bench_of(load_set("landesfeind2019_ec_dmc")))) == []


# ---- the limiting current -----------------------------------------------------------------------------------------


def ideal_sweep(noise, end=0.4, points=120, seed=0):
    """Ideal ions at 25 degC, i_L tanh(F V/(4 R T)), 5 A/m^2."""
    V = np.linspace(0.005, end, points)
    exact = 5.0 * np.tanh(F * V / (4 * R * 298.15))
    return V, exact + 5.0 * noise * np.random.default_rng(seed).standard_normal(points)


def test_the_plateau_of_ideal_ions():
    found = limiting(*ideal_sweep(1e-3), thickness=Typed(1e-4), c=Typed(100.0))
    low, high = found["i_L"].interval
    assert low < 5.0 < high and high - low < 0.02  # measured 5.0005, 4.9988 to 5.0023
    ratio = 5.0 * 1e-4 / (2 * F * 100.0)
    assert found["D/(1-t_plus)"].value == pytest.approx(ratio, rel=2e-3)
    assert found.holds, found.lines()


def test_a_sweep_of_negative_currents_is_its_mirror():
    V, i = ideal_sweep(1e-3)
    assert limiting(-V, -i)["i_L"].value == pytest.approx(-limiting(V, i)["i_L"].value, rel=1e-9)


def test_a_sweep_that_ends_early_says_so():
    V, i = ideal_sweep(1e-3, end=0.14)  # 88 % of the plateau
    found = limiting(V, i)
    low, high = found["i_L"].interval
    assert not found.holds and low < 5.0 < high and high - low > 0.1
    with pytest.raises(InputError, match="before a plateau shows"):
        limiting(*ideal_sweep(1e-4, end=0.03))


def test_a_peak_and_a_way_back_that_differs_are_seen():
    V, i = ideal_sweep(1e-3)
    peak = limiting(V, i * (1 + 0.1 * np.exp(-(((V - 0.2) / 0.05) ** 2))))
    assert any("passes no peak" in one.what and not one.holds for one in peak.assumptions)
    back = limiting(V, i, back=(V[::-1], 0.9 * i[::-1]))
    assert any("way back" in one.what and not one.holds for one in back.assumptions)
    assert limiting(V, i, back=(V[::-1], i[::-1])).holds


def test_steps_sweeps_and_tables_of_steady_states_are_read_alike(tmp_path):
    V, i = ideal_sweep(1e-3, points=40)
    table = tmp_path / "table.csv"
    table.write_text("V (V),i (A/m^2)\n" + "".join(f"{a:.6g},{b:.6g}\n" for a, b in zip(V, i, strict=True)))
    steps = tmp_path / "steps.csv"
    rows = [(60 * (20 * k + j), V[k], i[k] * (1 + np.exp(-j))) for k in range(40) for j in range(20)]
    steps.write_text("time (s),E (V),j (A/m^2)\n" + "".join("{:.6g},{:.6g},{:.6g}\n".format(*row) for row in rows))
    values = [analyse(Request("limiting-current", (path,), {}))["i_L"].value for path in (table, steps)]
    assert values == pytest.approx([5.0, 5.0], rel=2e-3)


def held_then_resting():
    """Voltage and current of a hold at 10 mV and of the rest after it: one voltage, many currents."""
    rng, t = np.random.default_rng(0), np.arange(100)
    V = np.concatenate([0.01 + 1e-5 * rng.standard_normal(100), 0.002 * np.exp(-t / 30)])
    return V, np.concatenate([1 + np.exp(-t / 20), 1e-4 * rng.standard_normal(100)])


@pytest.mark.parametrize(
    ("V", "i", "said"),
    [
        (np.arange(5.0), np.arange(5.0), "5 readings"),
        (np.ones(1), np.ones(1), "1 reading;"),
        (np.ones(30), np.ones(30), "does not rise"),
        (*held_then_resting(), "is no sweep to a limiting current"),
        (np.linspace(0.005, 0.4, 120), np.linspace(0.005, 0.4, 120), "before a plateau shows"),
    ],
)
def test_curves_that_are_no_sweep_are_refused(V, i, said):
    with pytest.raises(InputError, match=said):
        limiting(V, i)


def test_hittorf_is_no_record_of_an_instrument():
    with pytest.raises(InputError, match="no record"):
        analyse_record(hittorf(bench_of(load_set("landesfeind2019_ec_dmc"))))


def test_concentration_cells_that_tell_nothing_are_refused():
    with pytest.raises(InputError, match="at least 5"):
        potentials(np.array([-0.1, 0.1]), np.array([-1.0, 1.0]))
    with pytest.raises(InputError, match="lies outside"):
        potentials(np.linspace(0.1, 0.5, 6), np.linspace(0.1, 0.5, 6))
