"""Interfaces: sums against brute force, free energies of a known density, resuming, drift, refusals."""

import json

import numpy as np
import pytest

from cellsim.base import InputError, e, k_B
from cellsim.files.folder import keep
from mdcoeffs import interface
from mdcoeffs.analysis import analyse
from mdcoeffs.inputs.species import read_species
from mdcoeffs.interface.free_energy import free_energy, free_energy_profile
from mdcoeffs.interface.profiles import (
    centre_of,
    correlate_populations,
    faces,
    inside,
    sign_changes,
    update_states,
    wrap,
)
from mdcoeffs.interface.rates import jump_rate
from mdcoeffs.interface.settings import Region
from mdcoeffs.interface.sums import RegionCounts

A = 1e-10
SPECIES = """
temperature = "600 K"
{source}
[units]
position = "angstrom"
time = "ps"
[species.Li]
charge = 1
role = "cation"
mass = "6.9 g/mol"
[species.TFSI]
charge = -1
role = "anion"
mass = "280 g/mol"
[species.slab]
role = "solvent"
mass = "90 g/mol"

[interface]
origin = "slab"
bin = "{width} angstrom"
charge_bin = "1 angstrom"
correlation = ["ceramic", "first"]
net_charge = {net}
{keys}
[interface.regions.ceramic]
points = "Li"
between = ["-5 angstrom", "5 angstrom"]
stoichiometric = 3
{region}
[interface.regions.first]
points = "TFSI"
between = ["-9 angstrom", "-5 angstrom", "5 angstrom", "9 angstrom"]
[interface.variance]
points = ["Li", "TFSI"]
layers = ["-15 angstrom", "-5 angstrom", "5 angstrom", "15 angstrom"]
lag = ["2 ps", "6 ps"]
"""
BOX = np.array([20.0, 22.0, 30.0])
NUMBERS = {"Li": 12, "TFSI": 10, "slab": 6}


def make_run(path, frames=240, seed=3, drift=0.0):
    """Ions on random walks around a slab of fixed atoms, wrapped; the whole may drift along z [angstrom per frame]."""
    rng = np.random.default_rng(seed)
    free = NUMBERS["Li"] + NUMBERS["TFSI"]
    start = rng.uniform(-0.5, 0.5, (free, 3)) * BOX
    ions = start + np.cumsum(rng.normal(0, 0.6, (frames, free, 3)), axis=0)
    slab = np.array([[0, 0, z] for z in (-3.3, -2.4, -1.2, 1.2, 2.4, 3.3)])
    slab = np.broadcast_to(slab, (frames, 6, 3))
    where = np.concatenate([ions, slab], axis=1) + 0.5 * BOX
    where = where + np.array([0, 0, drift]) * np.arange(frames)[:, None, None]
    labels = np.repeat(list(NUMBERS), list(NUMBERS.values()))
    np.savez(path, positions=np.mod(where, BOX), labels=labels, time=np.arange(frames) * 1.0, box=np.diag(BOX))
    return ions


def write(folder, source='arrays = "run.npz"', keys="", region="", extra="", width=1, net=2):
    path = folder / "SPECIES.toml"
    path.write_text(SPECIES.format(source=source, keys=keys, region=region, width=width, net=net) + extra)
    return path


def run(folder, **parts):
    return analyse(interface.ANALYSIS, write(folder, **parts), folder=folder)


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    folder = tmp_path_factory.mktemp("interface")
    ions = make_run(folder / "run.npz")
    return ions, run(folder), folder


# ---- against brute force ------------------------------------------------------------------------------------------


def test_density_is_a_histogram(known):
    ions, result, _ = known
    z = wrap(ions[:, :12, 2], 30.0)
    counts = np.histogram(z, np.linspace(-15, 15, 31))[0]
    expected = counts / (240 * 20 * 22 * 1) / A**3
    np.testing.assert_allclose(result.density.value[result.profiles.index("Li")], expected, rtol=1e-9, atol=0)


def test_populations_and_excess(known):
    ions, result, _ = known
    z = wrap(ions[:, :12, 2], 30.0)
    inner = (np.abs(z) <= 5).sum(axis=1)
    region = result.regions[0]
    assert region.series[0].tolist() == inner.tolist()
    assert float(region.population.value) == pytest.approx(inner.mean() - 3, rel=1e-12)
    assert region.donors == pytest.approx(12 - inner.mean(), rel=1e-12)


def test_crossings_by_direction_and_face(known):
    ions, result, _ = known
    z = wrap(ions[:, :12, 2], 30.0)
    state = np.abs(z) <= 5
    into, out = state[1:] & ~state[:-1], ~state[1:] & state[:-1]
    entered, left = result.regions[0].entered, result.regions[0].left
    assert entered == ((into & (z[1:] < 0)).sum(), (into & (z[1:] > 0)).sum())
    assert left == ((out & (z[1:] < 0)).sum(), (out & (z[1:] > 0)).sum())
    assert sum(entered) - sum(left) == state[-1].sum() - state[0].sum()  # nobody is lost


def test_variance_by_layer_of_origin(known):
    ions, result, _ = known
    mass = np.array([6.9] * 12 + [280.0] * 10)
    # the drift of the centre of mass, slab included, is taken away; the slab is fixed
    moved = ions - ions[0]
    path = ions - np.einsum("p,tpx->tx", mass, moved)[:, None] / (mass.sum() + 6 * 90.0)
    for name, part in (("Li", slice(0, 12)), ("TFSI", slice(12, 22))):
        for k, lag in enumerate((2, 6)):
            step = path[lag:, part] - path[:-lag, part]
            origin = wrap(ions[:-lag, part, 2], 30.0)
            for j, (low, high) in enumerate(((-15, -5), (-5, 5), (5, 15))):
                here = (origin >= low) & (origin < high)
                expected = step[here].var(axis=0) * A**2
                np.testing.assert_allclose(result.variance[name].value[k, j], expected, rtol=1e-6, atol=0)


def test_variance_holds_that_of_the_walk(known):
    # steps of 0.6 angstrom: 0.36 angstrom^2 a frame along each axis (1 - 2 m/M of it, barycentric); 36 numbers
    _, result, _ = known
    value, error = result.variance["Li"].value, result.variance["Li"].error
    score = (value / A**2 / np.array([2, 6])[:, None, None] - 0.36) / (error / A**2 / np.array([2, 6])[:, None, None])
    assert np.all(np.isfinite(error)) and np.abs(score).max() < 4  # measured 2.5


def test_charge_is_integrated_from_the_lower_end(known):
    ions, result, _ = known
    z = wrap(ions[..., 2], 30.0)
    q = np.array([1.0] * 12 + [-1.0] * 10)
    below = [(q * (z <= edge)).sum() / 240 * e / (20 * 22 * A**2) for edge in np.linspace(-15, 15, 31)[1:]]
    np.testing.assert_allclose(result.charge.value, below, rtol=1e-9, atol=1e-9 * np.abs(below).max())
    assert result.charge.value[-1] == pytest.approx(2 * e / (20 * 22 * A**2), rel=1e-9)  # two cations more


def test_correlation_is_the_regression(known):
    _, result, _ = known
    x, y = result.regions[0].series[0], result.regions[1].series[0]
    assert result.correlation.value == pytest.approx([np.polyfit(x, y, 1)[0], np.corrcoef(x, y)[0, 1]], rel=1e-9)


# ---- invariances ------------------------------------------------------------------------------------------------


def test_drift_of_the_whole_changes_nothing(known, tmp_path):
    _, still, _ = known
    make_run(tmp_path / "run.npz", drift=0.37)
    moving = run(tmp_path)
    np.testing.assert_array_equal(moving.regions[0].series[0], still.regions[0].series[0])
    np.testing.assert_allclose(moving.density.value, still.density.value, rtol=1e-9, atol=0)
    for name in ("Li", "TFSI"):
        np.testing.assert_allclose(moving.variance[name].value, still.variance[name].value, rtol=1e-6, atol=0)


def test_a_run_that_was_killed_ends_with_the_same_numbers(known, tmp_path):
    _, whole, _ = known
    make_run(tmp_path / "run.npz")
    file = read_species(write(tmp_path))

    def kill(done, total):
        if done == 101:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        analyse(interface.ANALYSIS, file, folder=tmp_path, checkpoint_every=0.0, progress=kill)
    assert (tmp_path / "checkpoint-interface-0.npz").is_file()
    assert analyse(interface.ANALYSIS, file, folder=tmp_path).numbers() == whole.numbers()


def test_replicas_are_pooled(known, tmp_path):
    _, one, _ = known
    make_run(tmp_path / "run.npz")
    make_run(tmp_path / "two.npz", seed=4)
    both = run(tmp_path, source='[[replica]]\narrays = "run.npz"\n[[replica]]\narrays = "two.npz"')
    alone = run(tmp_path, source='arrays = "two.npz"')
    mean = 0.5 * (one.density.value + alone.density.value)
    np.testing.assert_allclose(both.density.value, mean, rtol=1e-9, atol=0)
    assert both.regions[0].entered[0] == one.regions[0].entered[0] + alone.regions[0].entered[0]
    assert both.regions[0].time == pytest.approx(2 * 239e-12, rel=1e-9)


def test_settled_leaves_out_the_beginning_but_not_the_series(known, tmp_path):
    ions, _, _ = known
    make_run(tmp_path / "run.npz")
    late = run(tmp_path, keys='settled = "100 ps"')
    inner = (np.abs(wrap(ions[:, :12, 2], 30.0)) <= 5).sum(axis=1)
    assert late.regions[0].series[0].size == 240
    assert float(late.regions[0].population.value) == pytest.approx(inner[100:].mean() - 3, rel=1e-12)
    assert late.frames == (140,)


def test_sparse_samples_see_fewer_crossings(known, tmp_path):
    _, dense, _ = known
    make_run(tmp_path / "run.npz")
    sparse = run(tmp_path, keys='sample = "5 ps"')
    assert np.diff(sparse.times[0]) == pytest.approx(np.full(47, 5e-12), rel=1e-9)
    assert sparse.regions[0].series[0].tolist() == dense.regions[0].series[0][::5].tolist()
    assert sum(sparse.regions[0].entered) < sum(dense.regions[0].entered)


# ---- pieces -----------------------------------------------------------------------------------------------------


def test_free_energy_of_a_harmonic_density():
    z = np.linspace(-3, 3, 61)
    assert free_energy(np.exp(-(z**2)), 700.0, 30) == pytest.approx(700 * z**2, rel=1e-12)
    with pytest.raises(InputError, match="is empty"):
        free_energy([1.0, 0.0], 700.0, 1)


def test_errors_of_the_free_energy_are_those_of_counting():
    # Poisson counts in 100 blocks: sigma = T sqrt(1/n + 1/n_zero), exactly 0 in the bin of zero
    rng = np.random.default_rng(5)
    mean = np.array([4.0, 1.0, 0.1])
    found = free_energy_profile([rng.poisson(mean, (100, 3)).astype(float)], [np.ones(100)], 600.0, 0)
    expected = 600 * np.sqrt(1 / (100 * mean) + 1 / 400)
    assert found.error[0] == 0.0
    assert found.error[1:] == pytest.approx(expected[1:], rel=0.35)  # measured 0.05 and 0.1; 100 blocks, few counts


def test_regions_fold_and_margins_hold():
    edges = np.array([[13.0, 17.0]])  # over the end of a box of 30
    z = np.array([12.0, 13.5, -14.5, -12.5])
    assert inside(z, edges, 30.0).tolist() == [False, True, True, False]
    assert faces(z, edges, 30.0).tolist() == [0, 0, 1, 1]
    state = np.array([False, False, True, True])
    assert update_states(state, z, edges, 30.0, 1.0).tolist() == [False, False, True, True]
    assert update_states(state, z, edges, 30.0, 0.4).tolist() == [False, True, True, False]


def test_centre_of_a_slab_over_the_end_of_the_box():
    z = np.array([28.0, 29.0, 1.0])
    assert wrap(centre_of(z, np.ones(3), 30.0) - 28.0 / 3 - 20.0, 30.0) == pytest.approx(0.0, abs=1e-12)


def test_sign_changes_beyond_the_error():
    v = np.array([0.0, 1.0, 0.1, -0.1, 0.1, -1.0, -2.0, 1.0, 1e-12])
    assert sign_changes(v, np.full(9, 0.2)).tolist() == [4, 6]
    assert sign_changes(v, np.zeros(9)).tolist() == [2, 3, 4, 6]
    assert sign_changes(v, np.full(9, np.nan)).size == 0


def test_a_population_that_never_changes_correlates_with_nothing():
    found = correlate_populations([np.full(500, 97.0)], [np.arange(500.0)])
    assert np.all(np.isnan(found.value))


# ---- output and refusals ----------------------------------------------------------------------------------------


def test_what_is_written_can_be_read_back(known, tmp_path):
    import xarray as xr

    _, result, _ = known
    keep(result, tmp_path, "interface", tables=result.tables())
    with xr.open_dataset(tmp_path / "interface.nc", engine="h5netcdf") as data:
        np.testing.assert_array_equal(data["density"].values, result.density.value)
        assert data["variance_Li"].dims == ("lag", "layer", "axis") and data["E_eff"].attrs["units"] == "C/m^2"
    found = json.loads((tmp_path / "summary.json").read_text())
    assert found["regions"]["ceramic"]["EC"] == pytest.approx(result.regions[0].verdict.coefficient, rel=1e-12)
    rows = (tmp_path / "populations.csv").read_text().splitlines()
    assert len(rows) == 241 and rows[0] == "replica,time_ns,ceramic,first"
    assert any("EC =" in line for line in result.lines())


BAD = [
    ({"keys": 'settled = "1 us"'}, "lies behind the end"),
    ({"keys": 'orgin = "slab"'}, "did you mean"),
    ({"net": 0}, r"carry a net charge of \+2 e; .* say interface.net_charge = 2"),  # 12 Li and 10 TFSI
    ({"width": 10}, "too wide"),
    ({"keys": 'axis = "w"'}, "axis"),
    ({"region": 'margin = "6 angstrom"'}, "less than half the width"),
    ({"region": 'donors = "frist"'}, 'did you mean "first"'),
    ({"extra": '[interface.regions.x]\npoints = "Li"\nbetween = ["1 angstrom"]\n'}, "pairs of increasing"),
    ({"extra": '[interface.regions.x]\npoints = "Na"\nbetween = ["1 angstrom", "2 angstrom"]\n'}, "not defined"),
    ({"extra": '[interface.regions.x]\npoints = "Li"\nbetween = ["1 angstrom", "20 angstrom"]\n'}, "outside the box"),
    (
        {"extra": '[interface.prediction]\nbarrier = "b"\ntemperature = "500 K"\njumps = 2\nions = 3\ntime = "1 ns"\n'},
        "not defined",
    ),
    (
        {"extra": '[interface.prediction]\nbarrier = "b"\ntemperature = "600 K"\njumps = 2\nions = 3\ntime = "1 ns"\n'},
        "is that of this run",
    ),
]


@pytest.mark.parametrize(("parts", "words"), BAD, ids=[words for _, words in BAD])
def test_refusals(tmp_path, parts, words):
    make_run(tmp_path / "run.npz", frames=12)
    with pytest.raises(InputError, match=words):
        run(tmp_path, **parts)


def test_lags_must_be_multiples_of_the_frames(tmp_path):
    make_run(tmp_path / "run.npz", frames=12)
    path = write(tmp_path)
    path.write_text(path.read_text().replace('"6 ps"', '"2.5 ps"'))
    with pytest.raises(InputError, match="not a multiple"):
        analyse(interface.ANALYSIS, path, folder=tmp_path)
    path.write_text(path.read_text().replace('"2.5 ps"', '"60 ps"'))
    with pytest.raises(InputError, match="the run has 12"):
        analyse(interface.ANALYSIS, path, folder=tmp_path)


def test_free_energies_are_in_kelvin():
    # k of Kozdra: 5.1e-21 J/angstrom^2 raises F by 369 K one angstrom from the bottom
    assert 5.1e-21 / k_B == pytest.approx(369.4, abs=0.1)


def test_rates_are_counted_where_the_excess_is_large_enough():
    # 30 ions; while 12 or more are inside, those outside enter at 0.02 a step, else at 0.08
    rng = np.random.default_rng(12)
    region = Region("slab", "Li", ((-5.0, 5.0),), stoichiometric=2.0, rates_from=10.0)
    counts, gate, steps = RegionCounts(region, 30, 6000), 12, 6000
    state = np.arange(30) < 12
    entered, exposure = 0, 0
    for k in range(steps):
        counts.add(np.where(state, 0.0, 10.0), 100.0, k, True)
        crowded = state.sum() >= gate
        enter = ~state & (rng.random(30) < (0.02 if crowded else 0.08))
        leave = state & (rng.random(30) < 0.04)
        if crowded and k < steps - 1:
            entered, exposure = entered + enter.sum(), exposure + (~state).sum()
        state = (state | enter) & ~leave
    assert counts.jumps[0] == entered
    kept = counts.counted[:-1]
    assert ((30 - counts.population[:-1])[kept]).sum() == exposure
    gated, all_ = jump_rate(entered, exposure), jump_rate(counts.crossings[0].sum(), (30 - counts.population).sum())
    assert gated.low < 0.02 < gated.high and all_.low > 0.02


def test_an_excess_that_is_never_reached_leaves_no_rate(tmp_path):
    make_run(tmp_path / "run.npz", frames=40)
    found = run(tmp_path, region="rates_from = 100")
    entry = found.numbers()["regions"]["ceramic"]["entry_rate"]
    assert entry["value"] is None and entry["interval"] == [None, None]
    assert any("its excess never was 100 (rates_from), so no rate is known" in note for note in found.notes)
    assert found.regions[0].verdict.state  # the verdict takes all crossings
