"""Residence: against brute force, against prescribed exchange, and through a kill."""

import itertools
import json
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from md_toys import EXCHANGE, write_exchange

from cellsim.base import InputError
from cellsim.files.folder import keep
from mdcoeffs import residence
from mdcoeffs.analysis import analyse
from mdcoeffs.inputs.species import read_species
from mdcoeffs.residence.bonds import BondLog, _links, read_residence
from mdcoeffs.residence.lifetimes import Intervals, fit_stretched, lag_sums, survival
from mdcoeffs.synthetic.partners import Partner

TOML = (
    EXCHANGE
    + """
[structure]
centres = false
[structure.cutoffs]
X = "4 angstrom"
S = "4 angstrom"
"""
)
PARTNERS = (Partner("X", 2, 12e-12, 0.4), Partner("S", 4, 5e-12, 0.7))


def write(folder, *, cations=8, frames=400, seed=1, toml=TOML, name="run.npz"):
    return write_exchange(folder, PARTNERS, cations=cations, frames=frames, seed=seed, toml=toml, name=name)


def brute(h, lags, mode):
    """(pairs, origins) by the definition."""
    frames, found = len(h), []
    for k in range(lags):
        alive = h[: frames - k].copy()
        for j in [k] if mode == "intermittent" else range(1, k + 1):
            alive &= h[j : frames - k + j]
        found.append((alive.sum(), h[: frames - k].sum()))
    return np.array(found, dtype=float).T


@pytest.mark.parametrize("mode", ["continuous", "intermittent"])
@pytest.mark.parametrize("lags", [1, 2, 13, 50])
def test_lag_sums_against_the_definition(mode, lags):
    rng = np.random.default_rng(lags)
    h = rng.random((50, 30)) < np.where(rng.random(30) < 0.5, 0.3, 0.85)
    h[:, 0], h[:, 1] = True, False
    found = lag_sums(Intervals.of_states(h), lags, mode=mode, blocks=7)
    assert found.pairs.sum(axis=0).tolist() == brute(h, lags, mode)[0].tolist()
    assert found.origins.sum(axis=0).tolist() == brute(h, lags, mode)[1].tolist()
    edges = np.linspace(0, 50, 8).astype(int)
    if mode == "intermittent":  # block by block: origins in [a, b)
        for n in range(7):
            a, b = edges[n], edges[n + 1]
            wanted = [(h[a : min(b, 50 - k)] & h[a + k : min(b, 50 - k) + k]).sum() for k in range(lags)]
            assert found.pairs[n].tolist() == wanted


def test_bridging_gaps_is_the_same_as_filling_them():
    rng = np.random.default_rng(3)
    h = rng.random((60, 20)) < 0.7
    filled = h.copy()
    for bond in range(20):
        on = np.flatnonzero(h[:, bond])
        for a, b in itertools.pairwise(on):
            if b - a - 1 <= 2:
                filled[a:b, bond] = True
    wanted = lag_sums(Intervals.of_states(filled), 20)
    found = lag_sums(Intervals.of_states(h).bridged(2), 20)
    assert found.pairs.tolist() == wanted.pairs.tolist()
    assert found.origins.tolist() == wanted.origins.tolist()


def test_fit_of_an_exact_stretched_exponential():
    t = np.geomspace(1e-12, 1e-9, 60)
    a, tau, beta = 0.8, 5e-11, 0.6
    found = fit_stretched(t, a * np.exp(-((t / tau) ** beta)))
    assert found[:3] == pytest.approx([a, tau, beta], rel=1e-6)
    assert found[3] == pytest.approx(0.8 * 5e-11 / 0.6 * 0.90274529, rel=1e-6)  # Gamma(1/0.6)


def test_linkers():
    """Cation 3 holds anions 1, 4, 7: three links; cation 5 holds one: none."""
    keys = _links(np.array([3, 3, 3, 5]), np.array([1, 4, 7, 2]), 10)
    assert keys.tolist() == [314, 317, 347]
    assert _links(np.zeros(0, int), np.zeros(0, int), 10).tolist() == []


def test_bond_log_gives_back_the_intervals(tmp_path):
    h = np.random.default_rng(4).random((30, 12)) < 0.5
    book = BondLog(tmp_path / "x.scratch")
    for t in range(30):
        book.add(np.flatnonzero(h[t]), t)
        if t == 11:
            state = {k: v.copy() for k, v in book.arrays().items()}
    book.finish(30)
    wanted = Intervals.of_states(h)

    def rebuilt(memory):
        parts = [Intervals.sort(r["key"], r["start"], r["stop"], 30) for r in book.chunks(3, 4, memory)]
        return [np.concatenate([getattr(p, n) for p in parts]).tolist() for n in ("key", "start", "stop")]

    assert rebuilt(1e9) == [wanted.key.tolist(), wanted.start.tolist(), wanted.stop.tolist()]
    assert rebuilt(100) == rebuilt(1e9)  # in four parts
    again = BondLog(tmp_path / "x.scratch")
    again.restore(state)
    for t in range(12, 30):
        again.add(np.flatnonzero(h[t]), t)
    again.finish(30)
    book = again
    assert rebuilt(1e9) == [wanted.key.tolist(), wanted.start.tolist(), wanted.stop.tolist()]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("residence")
    run = write(folder, toml=TOML + '[residence]\ntolerance = "2 ps"\nmax_lag = "100 ps"\n')
    return run, folder, analyse(residence.ANALYSIS, folder / "SPECIES.toml", folder=folder)


def test_prescribed_exchange(done):
    """Correlations are those of the states; mean times hold the prescribed ones."""
    run, folder, found = done
    for k, (name, tau) in enumerate((("X", 12e-12), ("S", 5e-12))):
        h = run.states[k].reshape(400, -1)
        for mode in ("continuous", "intermittent"):
            wanted = survival([lag_sums(Intervals.of_states(h), 101, mode=mode)], 1e-12)
            one = found.curves[f"Li-{name}", mode]
            assert one.C.value == pytest.approx(wanted.C.value, rel=1e-12, abs=1e-15)
            assert one.C.error == pytest.approx(wanted.C.error, rel=1e-9, abs=1e-15)
            same = found.curves[f"Li-site({name})", mode]  # one site per molecule
            assert same.C.value.tolist() == one.C.value.tolist()
        low, high = found.curves[f"Li-{name}", "continuous"].mean_interval(0.999)
        assert low < tau < high
    assert not list(folder.glob("*.scratch"))


def test_linkers_live_as_long_as_both_their_bonds(done):
    """Two independent bonds: C of the link is the square, so its mean time is half."""
    run, _, found = done
    both = run.states[0].all(axis=2)
    wanted = survival([lag_sums(Intervals.of_states(both), 101)], 1e-12)
    one = found.curves["anion-Li-anion", "continuous"]
    assert one.C.value == pytest.approx(wanted.C.value, rel=1e-12, abs=1e-15)
    low, high = one.mean_interval(0.999)
    assert low < 6e-12 < high


def test_tolerance_lengthens(done):
    _, _, found = done
    times = [found.curves["Li-S", mode].fit.value[3] for mode in ("continuous", "tolerant")]
    assert times[1] > 1.2 * times[0]


def test_a_correlation_that_levels_off_gets_no_mean_time(done):
    """Private partners come back: the intermittent C(t) tends to 0.4 and 0.7, which is no slow decay."""
    _, _, found = done
    for name in ("Li-X", "Li-S"):
        assert found.curves[name, "intermittent"].fit is None
        assert found.curves[name, "continuous"].fit is not None


def test_output(done, tmp_path):
    _, _, found = done
    keep(found, tmp_path, "residence")
    summary = json.loads((tmp_path / "summary.json").read_text())
    entry = summary["curves"]["Li-X"]["continuous"]
    assert entry["mean_time"]["interval"][0] < entry["mean_time"]["value"] < entry["mean_time"]["interval"][1]
    assert summary["tolerance"] == 2e-12
    assert (tmp_path / "residence.png").read_bytes()[:4] == b"\x89PNG"
    assert any(line.startswith("  anion-Li-anion") for line in found.lines())
    import xarray as xr

    with xr.open_dataset(tmp_path / "residence.nc", engine="h5netcdf") as data:
        assert data["C"].dims == ("bond", "mode", "lag")
        assert float(data["C"].sel(bond="Li-X", mode="continuous")[0]) == 1.0


def test_replicas_without_linkers_and_bonds_that_never_exist(tmp_path):
    write(tmp_path)
    toml = TOML.replace('arrays = "run.npz"', "") + '[[replica]]\narrays = "a.npz"\n[[replica]]\narrays = "b.npz"\n'
    toml = toml.replace('S = "4 angstrom"', 'S = "0.5 angstrom"')
    write(tmp_path, frames=200, seed=2, toml=toml, name="a.npz")
    write(tmp_path, frames=220, seed=3, toml=toml, name="b.npz")
    found = analyse(residence.ANALYSIS, tmp_path / "SPECIES.toml", folder=tmp_path)
    assert found.frames == (200, 220)
    assert found.absent == ("Li-site(S)", "Li-S")
    assert found.curves["Li-X", "continuous"].lag[-1] == pytest.approx(99e-12, rel=1e-9)


CHILD = """
    import time, warnings
    warnings.simplefilter("ignore")
    from pathlib import Path
    import numpy as np
    from mdcoeffs import residence
    from mdcoeffs.analysis import analyse

    folder, slow = Path({folder!r}), {slow}
    plain = residence.Bonds.add

    def add(self, snapshot):
        plain(self, snapshot)
        time.sleep(slow)

    residence.Bonds.add = add
    done = analyse(residence.ANALYSIS, folder / "SPECIES.toml", folder=folder, checkpoint_every=0.0,
                   progress=lambda done, total: print(done, flush=True))
    np.save(folder / "C.npy", done.curves["Li-S", "continuous"].C.value)
"""


@pytest.mark.slow  # processes that are started and killed
def test_a_killed_analysis_goes_on_and_gives_the_same(tmp_path):
    write(tmp_path, frames=40, cations=2)
    file = read_species(tmp_path / "SPECIES.toml")
    (tmp_path / "whole").mkdir()
    whole = analyse(residence.ANALYSIS, file, folder=tmp_path / "whole").curves["Li-S", "continuous"].C.value

    def child(slow):
        text = textwrap.dedent(CHILD).format(folder=str(tmp_path), slow=slow)
        return subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True)

    first = child(0.02)
    for _ in range(15):
        first.stdout.readline()
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert not (tmp_path / "C.npy").exists()
    second = child(0.0)
    printed = second.communicate(timeout=120)[0].split()
    assert second.returncode == 0
    assert int(printed[0]) > 10
    assert np.load(tmp_path / "C.npy").tolist() == whole.tolist()
    assert sorted(p.name for p in tmp_path.glob("*[-.]*0*")) == []  # neither checkpoint nor scratch file is left
    again = analyse(residence.ANALYSIS, file, folder=tmp_path).curves["Li-S", "continuous"].C.value
    assert again.tolist() == whole.tolist()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[residence]\nmax_lga = "1 ns"', "max_lga"),
        ('[residence]\nmax_lag = "0 ns"', "max_lag"),
        ('[residence]\ntolerance = "-1 ps"', "tolerance"),
        ("[residence]\ntolerance = 3", "tolerance"),
    ],
)
def test_bad_tables(tmp_path, text, message):
    write(tmp_path, cations=1, frames=2, toml=TOML + text)
    with pytest.raises(InputError, match=message):
        read_residence(read_species(tmp_path / "SPECIES.toml"))


def test_a_lag_longer_than_the_run_is_refused(tmp_path):
    write(tmp_path, cations=1, frames=20, toml=TOML + '[residence]\nmax_lag = "1 ns"')
    with pytest.raises(InputError, match=r"residence.max_lag = 1e-09 s must lie between one frame"):
        analyse(residence.ANALYSIS, tmp_path / "SPECIES.toml", folder=tmp_path)
