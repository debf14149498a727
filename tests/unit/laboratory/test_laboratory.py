"""The laboratory's pieces, its report and its mistakes."""

import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from cellsim.base import InputError
from cellsim.electrolyte.set_file import load_set
from cellsim.electrolyte.transport import TransportSet
from cellsim.files.writing import plain
from cellsim.laboratory import (
    EXPERIMENTS,
    Bench,
    Check,
    InstrumentNoise,
    Reading,
    bench_of,
    concentration_cell,
    hittorf,
    report,
    restricted_diffusion,
    solve_chain,
)
from cellsim.laboratory.concentration_cell import slope_at
from cellsim.laboratory.impedance import circuit, fit_circuit, impedance
from cellsim.laboratory.report import ORDINARY, do, left_aside, lines, numbers, put_on_bench
from cellsim.laboratory.restricted_diffusion import decay
from cellsim.model.small_signals import bruce_vincent, interface_impedance


def test_bruce_vincent_takes_the_interfaces_out():
    V, R_b, R_d, R_i = 0.01, 3.0, 5.0, 2.0
    found = bruce_vincent(V, V / (R_b + R_i), V / (R_b + R_d + R_i), R_i, R_i)
    assert found == pytest.approx(R_b / (R_b + R_d), rel=1e-12)


def test_solve_chain_by_hand():
    # 1:1 at 25 degC, K = 2RT/F = 51.4 mV; 1 - t+0 = F D c (1/rho - 1)/(kappa slope) = 0.5, chi = 2
    K, F = 0.05, 1e5
    t_plus, chi = solve_chain(1.0, 2.5e-10, 0.5, 0.05, 1000.0, K=K, charge=F)
    assert (t_plus, chi) == pytest.approx((0.5, 2.0), rel=1e-12)


def test_decay_finds_rate_and_error():
    t = np.linspace(0, 100, 200)
    rate, error, line = decay(t, -2e-3 * np.exp(-t / 20), (0.5, 0.05), 1e-6)
    assert rate == pytest.approx(0.05, rel=1e-10)
    assert 0 < error < 1e-4
    np.testing.assert_allclose(line, -2e-3 * np.exp(-t / 20), rtol=1e-9, atol=0)


def test_decay_refuses_a_window_without_readings():
    t = np.linspace(0, 1, 50)
    with pytest.raises(InputError, match="fewer than five readings"):
        decay(t, np.full(50, 1e-3), (0.5, 0.1))


def test_slope_of_a_cubic_is_exact():
    x = np.linspace(-0.3, 0.4, 9)
    slope, error, _ = slope_at(x, 1e-3 + 0.05 * x + 0.02 * x**2 - 0.01 * x**3, 3)
    assert slope == pytest.approx(0.05, rel=1e-9)
    assert error == 0


def test_circuit_is_found_again():
    true = np.log([1e-3, 2e-3, 3e-3, 1e-4, 500.0])
    omega = np.geomspace(1e-4, 1e6, 60)
    found, covariance = fit_circuit(omega, circuit(true, omega), 1e-3)
    np.testing.assert_allclose(found, true, rtol=1e-6, atol=0)
    assert np.all(np.diag(covariance) > 0)


@pytest.mark.parametrize(("thickness", "resistance"), [(25e-6, 4e-3), (50e-6, 4e-2)])
def test_thin_cells_behind_resistive_interfaces_are_read_right_or_not_believed(thickness, resistance):
    """A start from a bump of the last digits once gave kappa nine times too large, and the verdict "holds"."""
    bench = Bench(load_set("nyman2008_ec_emc"), 1000.0, thickness, resistance)
    record = impedance(bench)
    assert [r.inferred for r in record.readings[:3]] == pytest.approx([r.true for r in record.readings[:3]], rel=0.02)
    for reading in record.readings:
        assert abs(reading.difference) < 0.05 or not reading.holds, reading.method
    (D,) = restricted_diffusion(bench).readings
    assert D.holds and D.inferred == pytest.approx(D.true, rel=1e-3)


def test_a_spectrum_that_is_not_the_circuits_is_not_believed(monkeypatch):
    module = sys.modules["cellsim.laboratory.impedance"]  # the package has the function under this name
    bench = bench_of(load_set("nyman2008_ec_emc"))
    step = module.step_impedance

    def blunt(bench, omega, voltage):  # a rough electrode: constant phase element of exponent 0.7
        Z, solution = step(bench, omega, voltage)
        R, time = bench.layer.resistance, bench.resistance * bench.capacitance
        return Z + R / (1 + (1j * omega * time) ** 0.7) - R / (1 + 1j * omega * time), solution

    monkeypatch.setattr(module, "step_impedance", blunt)
    record = module.impedance(bench)
    assert record["kappa"].verdict.startswith("fails: misfit of the circuit")
    assert not any(r.holds for r in record.readings[:4])


def test_one_experiment_that_fails_does_not_silence_the_others(monkeypatch):
    def refuse():
        raise InputError("no current")

    monkeypatch.setattr(report, "experiments_on", lambda bench: {"hittorf": partial(hittorf, bench), "steady": refuse})
    bench = bench_of(load_set("poss_ptf"), 10.0)
    records, failed = report.do_all(bench)
    assert [record.name for record in records] == ["hittorf"] and failed == {"steady": "no current"}
    assert "steady: not done; no current" in lines(bench, records, failed)
    assert numbers(bench, records, failed)["failed"] == failed


def test_verdict_names_the_broken_check():
    reading = Reading("D", "m^2/s", 1.0, 1.5, checks=(Check("a", 0.1, 1.0), Check("too much", 2.0, 1.0)))
    assert not reading.holds
    assert reading.verdict == "fails: too much: 2, beyond 1"
    assert reading.difference == pytest.approx(0.5)
    assert Reading("t_plus", "1", -0.2, -0.1).difference == pytest.approx(0.1)


def test_default_concentration():
    assert bench_of(load_set("landesfeind2019_ec_dmc")).c == 1000.0
    assert bench_of(load_set("poss_ptf")).c == pytest.approx(20.25)


def test_a_case_gives_its_cell():
    bench = put_on_bench("cases/steinruck2020/rs.toml")
    assert bench.thickness == pytest.approx(3e-3)
    assert bench.transport.r(bench.c) == pytest.approx(0.1, rel=1e-6)


def test_a_case_gives_its_double_layers(tmp_path):
    """The mean to each electrode, which is said; a blocking electrode is no lithium electrode."""
    text = Path("cases/steinruck2020/rs.toml").read_text("utf-8") + "\n[electrodes.positive]\n"
    same = 'resistance = "50 ohm cm^2"\ncapacitance = "20 uF/cm^2"\nphase = 0.9\n'
    path = tmp_path / "case.toml"
    path.write_text(text + same + "[electrodes.negative]\n" + same, "utf-8")
    bench = put_on_bench(path)
    assert (bench.capacitance, bench.phase) == pytest.approx((0.2, 0.9)) and left_aside(path) == []
    assert put_on_bench(path, capacitance=0.3).capacitance == 0.3
    path.write_text(text + same + "[electrodes.negative]\n" + same.replace("20 uF", "40 uF"), "utf-8")
    assert put_on_bench(path).capacitance == pytest.approx(0.3) and "double layers" in left_aside(path)[0]
    path.write_text(text + 'blocking = true\ncapacitance = "20 uF/cm^2"\n', "utf-8")
    with pytest.raises(InputError, match="two electrodes that lithium crosses"):
        put_on_bench(path)


def test_what_a_case_loses_on_the_bench_is_said(tmp_path):
    assert left_aside("cases/steinruck2020/rs.toml") == [] == left_aside("poss_ptf")
    text = """title = "a"
[cell]
thickness = "100 um"
temperature = "25 degC"
[cell.separator]
porosity = 0.4
macmullin = 6.0
[electrolyte]
transport = "dilute_ideal"
salt = { c = "10 mol/m^3" }
[electrodes.negative]
resistance = { file = "R.csv", time = "t (h)", value = "R (ohm cm^2)" }
[[step]]
hold = "voltage"
value = "10 mV"
duration = "1 h"
"""
    (tmp_path / "R.csv").write_text("t (h),R (ohm cm^2)\n0,20\n1,60\n")
    (tmp_path / "a.toml").write_text(text)
    separator, growing = left_aside(tmp_path / "a.toml")
    assert "porosity 0.4, MacMullin number 6" in separator and "is ignored" in separator
    assert "electrodes.negative.resistance changes from 20 to 60" in growing and "at the start" in growing


def test_noise_gives_error_bars_and_repeats_with_its_seed():
    bench = bench_of(load_set("landesfeind2019_ec_dmc"), noise=ORDINARY)
    first, again = (concentration_cell(bench)["dU/dlnm"] for _ in range(2))
    other = concentration_cell(bench.changed(noise=InstrumentNoise(voltage=1e-5, seed=1)))["dU/dlnm"]
    assert first.error > 0
    assert first.inferred == again.inferred
    assert first.inferred != other.inferred


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: do("impedence", bench_of(load_set("poss_ptf"))),
            "'impedence' is no experiment; choose one of impedance",
        ),
        (lambda: bench_of(load_set("poss_ptf"), 5e3), "beyond saturation|outside"),
        (lambda: Bench(load_set("poss_ptf"), 10.0, resistance=-1.0), "resistance = -1.0"),
        (lambda: InstrumentNoise(voltage=-1.0), "noise.voltage"),
        (lambda: bench_of(TransportSet.constant(kappa=1.0, D=1e-10, t_plus=1.0)), "nothing to measure"),
        (lambda: put_on_bench("poss_ptf", c=10.0, r=0.1), "say one of them"),
        (lambda: put_on_bench("no_such_set"), "no_such_set"),
        (lambda: put_on_bench("cases/steinruck2020/rs.toml", T=300.0), "own temperature"),
        (lambda: concentration_cell(bench_of(load_set("poss_ptf")), span=0.9), "span = 0.9"),
        (lambda: concentration_cell(bench_of(load_set("poss_ptf")), count=3), "count = 3"),
    ],
)
def test_mistakes_get_one_sentence(make, message):
    with pytest.raises(InputError, match=message) as error:
        make()
    assert "\n" not in str(error.value)


def test_a_drive_that_empties_a_face_is_refused():
    from cellsim.laboratory import current_fraction

    with pytest.raises(InputError, match="make it smaller"):
        current_fraction(bench_of(load_set("landesfeind2019_ec_dmc")), voltage=2.0)


def test_tables_and_summary_say_the_same():
    bench = bench_of(load_set("poss_ptf"), 10.0)
    records = do("hittorf", bench)
    text = "\n".join(lines(bench, records))
    assert "poss_ptf (assumed), 0.01 mol/L" in text
    assert "fails: volume fraction of the salt" in text
    data = plain(numbers(bench, records))
    assert [x["holds"] for x in data["experiments"][0]["readings"]] == [True, True, False]
    assert set(EXPERIMENTS) >= {"impedance", "chain", "hittorf"}


def test_a_constant_phase_element_is_found_and_moves_nothing_else():
    """Its arc is R/2 tan(pi a/4) high at w = 1/t; the readings hold as they do for a double layer."""
    w = np.geomspace(1e-2, 1e2, 2001)
    arc = interface_impedance(3.0, 1.0, w, 0.8)
    k = int(np.argmax(-arc.imag))
    assert w[k] == pytest.approx(1.0, rel=5e-3) and -arc.imag[k] == pytest.approx(1.5 * np.tan(0.2 * np.pi), rel=1e-5)
    bench = bench_of(load_set("landesfeind2019_ec_dmc"), capacitance=0.2, phase=0.8)
    record = impedance(bench)
    for reading in record.readings[:4]:
        assert reading.holds and abs(reading.difference) < 3e-3, reading.quantity
    for wrong, words in (({"phase": 1.1}, "phase = 1.1 must lie"), ({"capacitance": -1.0}, "capacitance = -1.0 F/m")):
        with pytest.raises(InputError, match=words):
            bench.changed(**wrong)
