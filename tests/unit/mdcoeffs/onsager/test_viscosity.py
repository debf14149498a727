"""Viscosity from the stress: closed forms, what is refused, the command and the tables that it reads."""

import json

import numpy as np
import pytest

from cellsim.base import InputError, k_B
from mdcoeffs.inputs.stress import read_stress
from mdcoeffs.onsager.viscosity import (
    StressSeries,
    estimate_viscosity,
    step_of,
    stress_spectrum,
)
from mdcoeffs.statistics.correlate import running_integral
from mdcoeffs.synthetic.dynamics import stationary
from tests.toys.md_toys import mdcoeffs

T, VOLUME, TAU, DT, VARIANCE = 300.0, 30e-27, 2e-13, 5e-14, 1e15
ETA = VOLUME / (k_B * T) * VARIANCE * TAU


def maxwell(rows=20_000, seed=1, components=5):
    """A Maxwell liquid: its stress forgets itself in one exponential, and its viscosity is V/(k_B T) G tau."""
    t = DT * np.arange(rows + 1)
    stress = np.sqrt(VARIANCE) * stationary(np.exp(-t / TAU), (components,), np.random.default_rng(seed))
    return StressSeries(t[:-1], stress)


def test_a_maxwell_liquid():
    run = maxwell()
    found = estimate_viscosity(run, T=T, volume=VOLUME)
    low, high = found.interval(0.999)
    assert low < ETA < high and high < 2.5 * low
    # an independent route: the Green-Kubo integral to 15 tau, whose noise here is sqrt(4 * 15 tau/(5 T)) = 5 %
    lag, integral = running_integral([run.stress], DT, 60)
    assert lag[-1] == pytest.approx(15 * TAU) and VOLUME / (k_B * T) * integral[-1] == pytest.approx(ETA, rel=0.12)
    # and Helfand's: the mean square of the integrated stress over 50 tau, less the 2 tau of its approach
    steps = 200
    moved = np.add.reduceat(run.stress, np.arange(0, run.time.size, steps), axis=1) * DT
    slope = VOLUME / (2 * k_B * T) * np.mean(moved**2) / (steps * DT - TAU)
    assert slope == pytest.approx(ETA, rel=0.15) and found.value == pytest.approx(slope, rel=0.2)


def test_the_step_is_where_the_spectrum_still_is_near_its_limit():
    fine = stress_spectrum([maxwell(40_000)], 1, VOLUME / (k_B * T))
    # 1/(1 + (omega tau)^2) = 0.75 at omega tau = 0.577; half of that period is 5.4 tau, 22 rows
    assert 12 < step_of(fine) < 36


def test_runs_add_up_and_three_components_will_do():
    four = [maxwell(10_000, seed=k) for k in range(4)]
    one, all_four = (estimate_viscosity(runs, T=T, volume=VOLUME) for runs in (four[:1], four))
    ratios = [found.interval()[1] / found.interval()[0] for found in (one, all_four)]
    assert ratios[1] < 0.8 * ratios[0] and all_four.duration == pytest.approx(4 * one.duration)
    three = StressSeries(four[0].time, four[0].stress[:3])
    assert estimate_viscosity(three, T=T, volume=VOLUME).components == 3


def test_means_over_the_time_between_rows():
    run = maxwell(40_000)
    means = run.stress.reshape(5, -1, 20).mean(axis=2)
    coarse = StressSeries(20 * DT * np.arange(means.shape[1]), means)
    found = estimate_viscosity(coarse, T=T, volume=VOLUME, averaged=True)
    low, high = found.interval(0.999)
    assert low < ETA < high
    with pytest.raises(InputError, match="--averaged"):
        estimate_viscosity(coarse, T=T, volume=VOLUME)
    # values at moments as far apart would give half of dt, not tau: 2.5 times too much
    sparse = StressSeries(coarse.time, run.stress[:, ::20])
    assert estimate_viscosity(sparse, T=T, volume=VOLUME, averaged=True).value > 1.8 * ETA


@pytest.mark.parametrize("rows", [300, 1200])
def test_short_runs_are_refused(rows):
    with pytest.raises(InputError, match="use longer runs"):
        estimate_viscosity(maxwell(rows), T=T, volume=VOLUME)


def test_a_stress_that_does_not_average_to_zero_is_noticed():
    run = maxwell(20_000)
    assert not estimate_viscosity(run, T=T, volume=VOLUME).warnings
    for mean in (0.1, 0.5):  # of the fluctuation: a solid, or a box out of shape
        with pytest.raises(InputError, match="averages to zero"):
            estimate_viscosity(StressSeries(run.time, run.stress + mean * np.sqrt(VARIANCE)), T=T, volume=VOLUME)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t, P: (t[:50], P[:, :50]), "too few"),
        (lambda t, P: (t, P[:2]), "allowed are"),
        (lambda t, P: (np.where(np.arange(t.size) > 70, t + DT, t), P), "row 72"),
        (lambda t, P: (t[::-1], P), "increasing"),
        (lambda t, P: (t, np.where(t == t[3], np.nan, P)), "no finite number"),
        (lambda t, P: (t, P * np.array([1, 1, 0, 1, 1])[:, None]), "constant"),
    ],
)
def test_series_that_are_refused(change, words):
    run = maxwell(200)
    with pytest.raises(InputError, match=words):
        StressSeries(*change(run.time, run.stress))
    with pytest.raises(InputError, match="must be alike"):
        estimate_viscosity([run, StressSeries(2 * run.time, run.stress)], T=T, volume=VOLUME)


# ---- tables ---------------------------------------------------------------------------------------------------------


def tensor(run):
    """A stress tensor (frames, 3, 3) with these five components and a pressure."""
    xy, xz, yz, half, third = run.stress
    zz = third * np.sqrt(12) / 3
    P = np.zeros((run.time.size, 3, 3)) + 1e5 * np.eye(3)
    for (i, j), values in (((0, 1), xy), ((0, 2), xz), ((1, 2), yz)):
        P[:, i, j] = P[:, j, i] = values
    P[:, 0, 0] += half - zz / 2
    P[:, 1, 1] += -half - zz / 2
    P[:, 2, 2] += zz
    return P


def written(folder, run):
    """The same run as a table, as a .xvg and as arrays."""
    P, t = tensor(run), run.time * 1e12
    names = [f"{a}{b}" for a in "xyz" for b in "xyz"]
    rows = np.column_stack([t, P.reshape(len(P), 9) / 1e5])
    np.savetxt(
        folder / "run.csv",
        rows,
        "%.10g",
        ", ",
        header=", ".join(["t (ps)", *(f"P{n} (bar)" for n in names)]),
        comments="",
    )
    head = ["# gmx energy", '@    xaxis  label "Time (ps)"', '@    yaxis  label "(bar)"', "@TYPE xy"]
    head += [f'@ s{k} legend "Pres-{n.upper()}"' for k, n in enumerate(names)]
    np.savetxt(folder / "run.xvg", rows, "%.10g", header="\n".join(head), comments="")
    np.savez(folder / "run.npz", time=run.time, stress=P)


def test_every_kind_of_file_gives_the_same(tmp_path):
    run = maxwell(200)
    written(tmp_path, run)
    for name in ("run.csv", "run.xvg", "run.npz"):
        time, stress = read_stress(tmp_path / name)
        assert time == pytest.approx(run.time, abs=1e-20) and stress.shape == (5, 200)
        assert np.abs(stress - run.stress).max() < 1e-6 * np.sqrt(VARIANCE), name
    text = (tmp_path / "run.csv").read_text().splitlines()
    (tmp_path / "german.csv").write_text("\n".join(line.replace(", ", ";").replace(".", ",") for line in text))
    assert np.array_equal(read_stress(tmp_path / "german.csv")[1], read_stress(tmp_path / "run.csv")[1])
    (tmp_path / "spaced.dat").write_text("\n".join(line.replace(",", " ") for line in text))
    assert np.array_equal(read_stress(tmp_path / "spaced.dat")[1], read_stress(tmp_path / "run.csv")[1])
    slashed = text[0].replace(" (", "/").replace(")", "")
    for name, head in {
        "commented.dat": f"# Fix print output for fix stress\n# {text[0].replace(',', ' ')}",
        "slashed.dat": slashed.replace(",", " "),
        "slashed.csv": slashed,
    }.items():
        rows = text[1:] if name.endswith("csv") else [line.replace(",", " ") for line in text[1:]]
        (tmp_path / name).write_text("\n".join([head, *rows]))
        assert np.array_equal(read_stress(tmp_path / name)[1], read_stress(tmp_path / "run.csv")[1]), name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no headings"),
        ("1,2,3,4\n1,2,3,4", "no headings"),
        ("t (ps),Pxy (bar),Pxz (bar)\n1,2,3", "no column yz"),
        ("t,Pxy (bar),Pxz (bar),Pyz (bar)\n1,2,3,4", "names no unit"),
        ("t (ps),Pxy (bar),Pxz (bar),Pyz (m)\n1,2,3,4", "Pyz"),
        ("t (ps),Pxy (bar),Pxy (bar),Pxz (bar),Pyz (bar)\n1,2,3,4,5", "2 times"),
        ("t (ps),Pxy (bar),Pxz (bar),Pyz (bar)\n1,2,3\n", "3 columns"),
        ("t (ps),Pxy (bar),Pxz (bar),Pyz (bar)\n1,2,3,4\n1,2,3\n", "cannot be read as numbers"),
        ("t (ps),Pxy (bar),Pxz (bar),Pyz (bar)\n1,2,x,4\n", "cannot be read as numbers"),
        ("t (ps),Pxy (bar),Pxz (bar),Pyz (bar)\n1,2,nan,4\n", "no finite number"),
        ("t (ps),Pxy (bar),Pxz (bar),Pyz (bar)\n", "no rows"),
        ("t (ps),Pxy (bar),Pxz (bar),Pyz (bar)\n1,2,1e300,4\n", "check the unit"),
        ("# TimeStep c_p[1] c_p[2]\n0 1 2\n", "no column"),
        ("\x00\x01", "no headings"),
    ],
)
def test_tables_that_are_refused(tmp_path, text, words):
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(InputError, match=words):
        read_stress(tmp_path / "bad.csv")


def test_the_command(tmp_path):
    written(tmp_path, maxwell(5000))
    options = ["--temperature", "300 K", "--volume", "30 nm^3", "-o", str(tmp_path / "out")]
    result = mdcoeffs("viscosity", str(tmp_path / "run.npz"), *options)
    assert result.exit_code == 0, result.output
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    low, high = summary["viscosity"]["interval"]
    assert low < ETA < high and "viscosity_error" in result.output
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"viscosity.nc", "viscosity.png"}
    for arguments, words in (
        ([str(tmp_path / "run.npz"), str(tmp_path / "run.npz")], "the same"),
        ([str(tmp_path / "none.csv")], "none.csv"),
        ([str(tmp_path / "run.npz"), "--volume", "30"], "--volume"),
        ([str(tmp_path / "run.npz"), "--volume", "30 m^3"], "must lie between"),
    ):
        refused = mdcoeffs("viscosity", *options, *arguments)
        assert refused.exit_code == 2 and words in refused.output and "Traceback" not in refused.output
