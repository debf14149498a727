"""Experiments on n components: closed forms, one salt as the special case that it is, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from mixture_toys import random_set
from scipy.stats import binomtest

from cellsim import Cell, TransportSet
from cellsim.cli import main
from cellsim.electrolyte.mixture_set import MixtureSet
from cellsim.laboratory import (
    Bench,
    InstrumentNoise,
    MixtureBench,
    current_fraction,
    electrophoretic_nmr_of_species,
    hittorf_of_species,
    impedance,
    restricted_diffusion,
    step_impedance,
)
from cellsim.laboratory.report import put_on_bench
from cellsim.model import mixture, small_signals
from cellsim.model.plan import layer_of

CASES = Path(__file__).parents[3] / "cases/mixed_solvent"
SALT = TransportSet.constant(kappa=0.5, D=3e-10, t_plus=0.3, chi=1.4, V_e=6e-5, V_0=8e-5, c_range=(10.0, 5000.0))


def random_bench(seed: int = 3, z: tuple[int, ...] = (-1, -1, 0)) -> MixtureBench:
    """Two salts in two solvents, all correlated."""
    rng = np.random.default_rng(seed)
    return MixtureBench(random_set(rng, z), rng.uniform(0.1, 1.0, len(z)) + 0.6 * (np.array(z) < 0))


def one_salt() -> tuple[Bench, MixtureBench]:
    """The same cell in both ways."""
    return Bench(SALT, 1000.0), MixtureBench(MixtureSet.from_binary(SALT), np.array([float(SALT.r(1000.0))]))


def test_the_impedance_of_one_salt_is_that_of_the_closed_forms():
    cell, omega = Cell(1e-3, SALT.T), np.geomspace(1e-5, 1e4, 40)
    layer = mixture.MixtureLayer.of(cell, MixtureSet.from_binary(SALT), [float(SALT.r(1000.0))])
    exact = small_signals.impedance(layer_of(cell, SALT, 1000.0), omega)
    assert np.abs(mixture.impedance(layer, omega) / exact - 1).max() < 1e-9
    assert layer.shares == (1.0,)


def test_the_impedance_of_n_components_is_the_transform_of_the_balance():
    # i w dr = A d2r/dx2 between walls with A dr/dx = tau i/F: by a matrix root, no modes and no shares
    bench = random_bench()
    at, L, omega = bench.transport.at(bench.r), bench.thickness, np.geomspace(1e-3, 1e3, 5)
    D = 8.314462618 * at.T / at.c_0 * at.L @ at.G
    values, vectors = np.linalg.eig(D.astype(complex))
    exact = []
    for w in omega:
        k = vectors @ np.diag(np.sqrt(1j * w / values)) @ np.linalg.inv(vectors)
        vals, vecs = np.linalg.eig(0.5 * L * k)
        tanh = vecs @ np.diag(np.tanh(vals)) @ np.linalg.inv(vecs)
        slope = float(at.c_0) * mixture.wall_slope(at.tau, at.diffusion, 1.0)
        across = 2 * tanh @ np.linalg.solve(k, slope)  # r(L) - r(0)
        exact.append(L / at.kappa + 8.314462618 * at.T / 96485.33212 * at.tau @ at.G @ across)
    got = mixture.impedance(bench.layer, omega) - bench.layer.resistance
    assert np.abs(got / np.array(exact) - 1).max() < 1e-9
    assert sum(bench.layer.shares) == pytest.approx(1, rel=1e-12) and len(bench.layer.shares) == 3


@pytest.mark.slow
def test_a_simulated_spectrum_of_n_components_has_every_mode():
    bench = put_on_bench(CASES / "segregation.toml")
    omega = np.geomspace(0.05, 1e4, 30) * 4 / bench.diffusion_time
    Z, _ = step_impedance(bench, omega, 0.002)
    assert np.abs(Z / mixture.impedance(bench.layer, omega) - 1).max() < 2e-3  # measured 7e-4


@pytest.mark.slow
@pytest.mark.parametrize("experiment", [impedance, restricted_diffusion, current_fraction])
def test_one_salt_gives_the_readings_of_one_salt(experiment):
    binary, mixed = (experiment(bench) for bench in one_salt())
    assert len(binary.readings) == len(mixed.readings)
    for a, b in zip(binary.readings, mixed.readings, strict=True):
        assert (b.quantity, b.method) == (a.quantity, a.method)
        assert b.true == pytest.approx(a.true, rel=1e-9)
        assert b.inferred == pytest.approx(a.inferred, rel=2e-4) and b.holds == a.holds


@pytest.mark.slow
@pytest.mark.parametrize("experiment", [hittorf_of_species, electrophoretic_nmr_of_species])
def test_moles_carried_are_right_relative_to_the_solvent_and_wrong_otherwise(experiment):
    record = experiment(put_on_bench(CASES / "segregation.toml"))
    assert [r.quantity for r in record.readings[::2]] == ["tau_PF6", "tau_EC"]
    for reading, other, true in zip(record.readings[::2], record.readings[1::2], (-0.53, 2.86), strict=True):
        assert reading.true == other.true == pytest.approx(true, rel=1e-12)  # the numbers in the set's file
        assert abs(reading.inferred - true) < 1e-3 and reading.holds  # measured 3e-5
        assert abs(other.inferred - true) > 0.1 and not other.holds


@pytest.mark.slow
def test_error_bars_of_velocities_hold_what_they_say(monkeypatch):
    bench = put_on_bench(CASES / "segregation.toml")
    runs: list[object] = []
    run = MixtureBench.run

    def once(self, *arguments):  # the velocities are the same, and the noise is drawn anew
        runs.append(runs[0] if runs else run(self, *arguments))
        return runs[0]

    monkeypatch.setattr(MixtureBench, "run", once)
    # of velocities as they are the mean is that of perfect instruments, which is not the truth
    truth = [r.inferred for r in electrophoretic_nmr_of_species(bench).readings]
    held = np.zeros(4)
    for seed in range(400):
        record = electrophoretic_nmr_of_species(bench.changed(noise=InstrumentNoise(velocity=0.02, seed=seed)))
        held += [abs(r.inferred - x) < 1.96 * r.error for r, x in zip(record.readings, truth, strict=True)]
    assert all(binomtest(int(n), 400, 0.95).pvalue > 0.01 / 4 for n in held), held  # 378, 383, 379, 384 of 400


def test_a_d_that_belongs_to_several_modes_is_said_to_fail():
    from cellsim.laboratory.bench import one_mode

    binary, bench = one_salt()[0], random_bench()
    assert one_mode(binary) == () and not one_mode(bench)[0].holds
    # long after the current stopped the slowest mode alone is left
    assert one_mode(bench, since=3 * bench.diffusion_time, pulse=bench.diffusion_time)[0].holds


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["chain", "segregation.toml"], "its four numbers describe one salt in one solvent, and lipf6_ec_emc has 4"),
        (["concentration-cell", "two_salts.toml"], "no curve U(m) exists"),
        (["hittorf", "lipf6_ec_emc.toml"], "an experiment needs their amounts; give a case"),
        (["hittorf", "segregation.toml", "--c", "1 mol/L"], "this case states its composition, PF6, EC"),
        (["hittorf", "segregation.toml", "-T", "30 degC"], "a case has its own temperature"),
        (["hitorf", "segregation.toml"], "is no experiment"),
        (["hittorf", "segregation.toml", "--resistance", "-1 ohm*m^2"], "must be finite and not negative"),
    ],
)
def test_what_n_components_do_not_have_is_one_sentence(arguments, told):
    name, file, *rest = arguments
    done = CliRunner().invoke(main, ["lab", name, str(CASES / file), *rest])
    assert done.exit_code == 2 and told in done.output and done.output.count("\n") == 1
