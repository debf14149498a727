"""chi from fluctuations of composition: parts whose answer is known, and the command as typed."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from cellsim.base import InputError
from cellsim.drawing import figstyle
from mdcoeffs.activity import ActivitySettings, activity_of, species_pairs
from mdcoeffs.activity.fluctuations import activity_from_sums, pair_fluctuations
from mdcoeffs.activity.waves import WaveSums, square, triangle, wave_vectors, wishart_fit
from mdcoeffs.cli import main
from mdcoeffs.frames.snapshot import Snapshot
from mdcoeffs.structure.radial import RadialSums

EDGE = 2e-9
SPECIES = """title = "points at random"
temperature = "300 K"
{extra}
[units]
position = "pm"
time = "ps"
[species.M]
role = "cation"
charge = {z}
count = 10
[species.X]
role = "anion"
charge = -1
count = 10
[species.S]
role = "solvent"
count = 60
{more}
[[replica]]
arrays = "r0/displacements.npz"
[[replica]]
arrays = "r1/displacements.npz"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What `mdcoeffs simulate` leaves, with points at random: two replicas of 300 frames."""
    where = tmp_path_factory.mktemp("ideal")
    rng = np.random.default_rng(11)
    for run in ("r0", "r1"):
        (where / run).mkdir()
        time = np.arange(300.0)
        np.savez(where / run / "displacements.npz", time=time, R=rng.random((300, 3, 3)))
        np.savez(
            where / run / "positions.npz",
            time=time,
            positions=rng.random((300, 80, 3)) * EDGE * 1e12,
            labels=np.repeat(["M", "X", "S"], [10, 10, 60]),
            box=np.eye(3) * EDGE * 1e12,
        )
    write(where)
    return where


def write(where, *, z=1, extra="", more=""):
    (where / "SPECIES.toml").write_text(SPECIES.format(z=z, extra=extra, more=more), encoding="utf-8")
    return where / "SPECIES.toml"


def test_waves_are_sums_of_phase_factors():
    rng = np.random.default_rng(1)
    box = np.array([[2.0, 0, 0], [0.3, 1.8, 0], [0.2, -0.4, 1.9]]) * 1e-9
    points = rng.random((30, 3)) @ box
    species = (np.arange(3, 9), np.arange(9, 13), np.arange(13, 30))
    vectors = wave_vectors(box, 12e9)
    sums = WaveSums(vectors, species, centres=False)
    k = vectors.whole @ (2 * np.pi * np.linalg.inv(box).T)
    found = sums.waves(points @ np.linalg.inv(box))
    direct = np.exp(-1j * points @ k.T)
    expected = [direct[rows].mean(axis=0) for rows in species]
    assert np.allclose(found, expected, rtol=0, atol=1e-12)  # phases of order one: rounding only
    assert np.linalg.norm(k, axis=1).max() <= 12e9
    assert len({tuple(v) for v in np.concatenate([vectors.whole, -vectors.whole])}) == 2 * len(vectors.whole)


def test_shells_of_a_cube():
    vectors = wave_vectors(np.eye(3) * EDGE, 2 * np.pi / EDGE * 3.01)
    assert vectors.counts.tolist() == [3, 6, 4, 3, 12, 12, 6, 15]
    assert (vectors.k / (2 * np.pi / EDGE)) ** 2 == pytest.approx([1, 2, 3, 4, 5, 6, 8, 9], rel=1e-12)
    with pytest.raises(InputError, match="choose a larger k_max"):
        wave_vectors(np.eye(3) * EDGE, 2 * np.pi / EDGE * 1.5)


def test_many_vectors_keep_the_longest_waves_in_whole_shells():
    vectors = wave_vectors(np.eye(3) * EDGE, 2 * np.pi / EDGE * 12)
    assert 500 < len(vectors.whole) <= 600
    assert len(vectors.k) <= 64


@pytest.mark.parametrize("K", [1, 2, 3])
def test_wishart_fit_returns_an_exact_polynomial_and_its_gradient(K):
    rng = np.random.default_rng(K)
    q, entries = np.linspace(0.1, 1.0, 8), K * (K + 1) // 2
    B = np.stack([triangle(np.eye(K) * c + 0.1 * c * np.ones((K, K))) for c in (0.6, 0.5, -0.1)])
    B[0] += 0.1 * rng.random(entries)
    Y = np.linalg.inv(square(np.vander(q, 3, increasing=True) @ B))
    n = np.linspace(50.0, 400.0, 8)
    beta, deviance, gradient = wishart_fit(q, Y, n, 2)
    assert beta == pytest.approx(B, rel=1e-6)
    assert abs(deviance) < 1e-9
    y = triangle(Y)
    for j in range(8):
        for e in range(entries):
            up, down, step = y.copy(), y.copy(), 1e-3 * y[j, 0]
            up[j, e] += step
            down[j, e] -= step
            slope = (wishart_fit(q, square(up), n, 2)[0][0] - wishart_fit(q, square(down), n, 2)[0][0]) / (2 * step)
            assert gradient[:, j, e] == pytest.approx(slope, rel=1e-3, abs=1e-4 * np.abs(gradient).max())


def test_pairs_are_exact_for_the_mean_of_an_ideal_mixture():
    """N_i (N_j - delta_ij) pairs at uniform density: the closed box is undone to rounding, at every reach."""
    counts, volume = np.array([20, 60]), EDGE**3
    edges = np.linspace(0, 0.49 * EDGE, 50)
    sums = RadialSums(species_pairs([np.arange(20), np.arange(20, 80)], centres=False), edges)
    shell = 4 / 3 * np.pi * np.diff(edges**3) / volume
    total = np.concatenate([20 * 19 * shell, 20 * 60 * shell, 60 * 59 * shell, [volume, 1.0]])
    A, G = pair_fluctuations(sums, counts)(total)
    assert np.abs(A[:, [0, 1], [0, 1]] / (volume / counts) - 1).max() < 1e-12
    assert np.abs(G).max() < 1e-12 * volume


def test_checkpointed_waves_go_on():
    rng = np.random.default_rng(3)
    box = np.eye(3) * EDGE
    made = lambda: WaveSums(wave_vectors(box, 12e9), (np.arange(6), np.arange(6, 20)), centres=False)  # noqa: E731
    frames = [Snapshot(k, float(k), rng.random((20, 3)) * EDGE * 1e10, box) for k in range(9)]
    whole, first = made(), made()
    for frame in frames:
        whole.add(frame)
    for frame in frames[:4]:
        first.add(frame)
    second = made()
    second.restore({k: v.copy() for k, v in first.arrays().items()})
    for frame in frames[4:]:
        second.add(frame)
    assert np.array_equal(second.sums.sums, whole.sums.sums)


@pytest.fixture(scope="module")
def found(folder):
    return activity_of(write(folder))


def test_ideal_mixture(found):
    """Points at random: chi = phi_0 = 60/80 exactly, both routes, and the routes agree."""
    assert found.c == pytest.approx(10 / 6.02214076e23 / EDGE**3, rel=1e-6)
    for chi, error in found.routes.values():
        assert abs(chi - 0.75) < 3 * error
        assert error < 0.08  # measured: waves 0.05, pairs 0.02
    assert abs(found.difference[0]) < 3 * found.difference[1]
    assert abs(found.phi_0[0] - 0.75) < 3 * found.phi_0[1]
    low, high = found.interval()
    assert low < 0.75 < high
    assert found.points == (20, 60)
    assert found.frames == (300, 300)


def test_a_limit_that_is_not_known_does_not_hide_the_waves(found, tmp_path, monkeypatch):
    wide = replace(found, routes=found.routes | {"waves": (6.0, 16.0)})
    limits = []
    monkeypatch.setattr(figstyle, "save", lambda figure, path: limits.extend(a.get_ylim() for a in figure.axes))
    wide.draw(tmp_path / "activity.png")
    assert len(limits) == 2 and limits[0] == limits[1]
    assert limits[0][0] >= 0 and 1 < limits[0][1] < 6


def test_ions_that_carry_a_solvent():
    """20 ions with one of 60 solvents on top of each, the rest at random: chi = 3/2 and phi_0 = 1 exactly.

    With d pairs and f free solvents Y = 20 <|d/20 - (d + f)/60|^2> = 20 (20/30^2 + 40/60^2) = 2/3.
    """
    rng = np.random.default_rng(5)
    box, n, m = np.eye(3) * EDGE, 20, 60
    s, zero = np.arange(n), np.arange(n, n + m)
    species = (s[::2], s[1::2], zero)
    pairs = RadialSums(species_pairs(species, centres=False), np.linspace(0, 0.49 * EDGE, 99))
    waves = WaveSums(wave_vectors(box, 13e9), species, centres=False)
    for k in range(500):
        x = rng.random((m, 3)) * EDGE * 1e10
        frame = Snapshot(k, float(k), np.concatenate([x[:n], x]), box)
        pairs.add(frame)
        waves.add(frame)
    found = activity_from_sums([pairs], [waves], T=300.0)
    for chi, error in found.routes.values():
        assert abs(chi - 1.5) < 3 * error
        assert error < 0.15  # measured: waves 0.09, pairs 0.03
    assert abs(found.phi_0[0] - 1.0) < 3 * found.phi_0[1]


def test_sites_give_what_centres_give(folder):
    """One atom per molecule: sites and centres are the same points."""
    file = write(folder)
    centres = activity_of(file)
    sites = activity_of(file, settings=ActivitySettings(sites={"M": "M"}))
    # whole molecules pass through single precision; the counts of a few pairs change bins
    assert sites.chi == pytest.approx(centres.chi, rel=1e-3)


def test_command(folder, tmp_path):
    done = CliRunner().invoke(main, ["activity", str(write(folder)), "-o", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    low, high = summary["interval"]
    assert low < summary["chi"] < high
    assert summary["routes"].keys() == {"both", "waves", "pairs"}
    assert "95 % interval" in done.output
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"summary.json", "waves.csv", "pairs.csv", "activity.png"}
    assert np.loadtxt(tmp_path / "out" / "waves.csv", delimiter=",", skiprows=1).shape[1] == 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"z": 2}, "net charge of 10"),
        (
            {"extra": '[activity]\nmatrix = "salt"', "more": '[species.T]\nrole = "solvent"\ncount = 3'},
            "exactly one solvent, here: S, T",
        ),
        ({"extra": '[activity]\nsolvent = "S"'}, 'is for matrix = "species"'),
        ({"extra": '[activity]\nmatrix = "species"\nsolvent = "T"'}, "solvent = 'T' must be"),
        ({"more": '[species.N]\nrole = "cation"\ncharge = 1\ncount = 3'}, "one of M, N"),
        ({"extra": '[activity]\nroute = "volume"'}, "route"),
        ({"extra": '[activity]\nkmax = "3 1/nm"'}, "kmax"),
        ({"extra": '[activity]\nk_max = "3 1/nm"'}, "choose a larger k_max"),
        ({"extra": "stride = 200"}, "frames are too few"),
    ],
)
def test_refused(folder, tmp_path, change, message):
    file = write(folder, **change)
    done = CliRunner().invoke(main, ["activity", str(file), "-o", str(tmp_path)])
    write(folder)
    assert done.exit_code == 2
    assert message in done.output
    assert done.output.count("\n") == 1


def test_no_positions(folder, tmp_path):
    for run in ("r0", "r1"):
        (tmp_path / run).mkdir()
        (tmp_path / run / "displacements.npz").write_bytes((folder / run / "displacements.npz").read_bytes())
    with pytest.raises(InputError, match="positions_interval"):
        activity_of(write(tmp_path))
