"""MRI profiles to concentration and back; the real profiles of Thienenkamp 2022."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cellsim import Cell, Options, Protocol, Solution, TransportSet, hold_current, simulate
from cellsim.base import InputError
from cellsim.fit.experiment import observe
from cellsim.instruments.looks import state_at
from cellsim.instruments.mri import (
    Edges,
    MriProfiles,
    blurred,
    find_edges,
    normalised,
    predicted_signal,
    read_mri,
    to_concentration,
)
from cellsim.instruments.records import Setup

CASE = Path(__file__).parents[3] / "cases/thienenkamp2022"
PEO = TransportSet.constant(kappa=0.02, D=1e-11, t_plus=0.2, V_e=134.9e-6, V_0=39.99e-6, T=313.15)
C_0 = PEO.c_of(r=0.1)
EDGES = Edges(1.2e-3, 2.4e-3, 6e-5)
Z = np.arange(256) * 4e-3 / 256
TIMES = 500.0 * np.arange(41)


@pytest.fixture(scope="module")
def solution() -> Solution:
    protocol = Protocol((hold_current(3.0, 22000.0),))
    return simulate(Cell(1.2e-3, 313.15), PEO, protocol, c0=C_0, options=Options(cells=60, rtol=1e-3))


@pytest.fixture(scope="module")
def clean(solution: Solution) -> MriProfiles:
    return predicted_signal(solution, Z, TIMES, edges=EDGES, positive="upper", gain=100.0, background=2e4)


def written(folder: Path, text: str) -> Path:
    (folder / "a.csv").write_text(text, encoding="utf-8")
    return folder / "a.csv"


def truth(solution: Solution, position: np.ndarray) -> np.ndarray:
    """c at positions fixed in the lab."""
    return np.array(
        [
            np.interp(
                position - state_at(solution, "interface_shift", t),
                state_at(solution, "position_face", t),
                state_at(solution, "c_face", t),
            )
            for t in TIMES
        ]
    )


def test_blur_is_exact() -> None:
    faces, c = np.array([0.0, 1.0, 1.5, 2.0]), np.array([1.0, 3.0, 2.0, 2.0])
    fine = np.linspace(0, 2, 400001)
    for x, s in ((-0.3, 0.5), (0.7, 0.1), (1.9, 0.3)):
        bell = np.exp(-0.5 * ((fine - x) / s) ** 2) / (s * np.sqrt(2 * np.pi))
        exact = np.trapezoid(np.interp(fine, faces, c) * bell, fine)
        assert blurred(np.array([x]), faces, c, s)[0] == pytest.approx(exact, rel=1e-9)
    assert blurred(np.array([0.5, -1.0]), faces, c, 0.0).tolist() == [2.0, 0.0]
    grid = np.linspace(-5, 7, 2401)
    total = np.trapezoid(blurred(grid, faces, c, 0.4), grid)
    assert total == pytest.approx(np.trapezoid(c, faces), rel=1e-9)  # the blur moves signal, it makes none


def test_edges_and_blur_are_found(clean: MriProfiles) -> None:
    found = find_edges(clean)
    for name in ("lower", "upper", "blur"):
        assert getattr(found, name) == pytest.approx(getattr(EDGES, name), abs=1e-9)
    assert found.thickness == pytest.approx(1.2e-3, abs=2e-9)


def test_edge_errors_are_those_of_repeated_draws(clean: MriProfiles) -> None:
    generator = np.random.default_rng(5)
    found = []
    for _ in range(60):
        noisy = clean.signal[:2] + generator.normal(0, 4e3, clean.signal[:2].shape)
        found.append(find_edges(MriProfiles(TIMES[:2], Z, noisy)))
    for k, name in enumerate(("lower", "upper", "blur")):
        values = np.array([getattr(e, name) for e in found])
        stated = np.median([e.error[k] for e in found])
        assert abs(values.mean() - getattr(EDGES, name)) < 4 * values.std() / np.sqrt(60)
        assert values.std(ddof=1) / stated == pytest.approx(1, abs=0.3)  # 60 draws: +-0.09


@pytest.mark.parametrize("normalise", ["pixel", "mean"])
def test_round_trip_without_noise_is_limited_by_the_blur(
    solution: Solution, clean: MriProfiles, normalise: str
) -> None:
    """Five blurs from an edge nothing leaks in; what is left is the curvature of c over one blur."""
    found = to_concentration(clean, C_0, positive="upper", normalise=normalise, margin=5.0)  # type: ignore[arg-type]
    true = truth(solution, found.map.position)
    assert np.ptp(true[-1]) > 0.25 * C_0
    assert np.max(np.abs(found.map.c - true)) < 6e-3 * C_0  # measured: 2.9e-3
    np.testing.assert_allclose(found.map.c[0], C_0, rtol=1e-6)
    assert np.max(np.abs(found.balance - 1)) < 5e-4


def test_the_other_way_round(solution: Solution) -> None:
    """Mirrored scanner, mirrored cell: the same concentration."""
    other = predicted_signal(solution, Z, TIMES[::20], edges=EDGES, positive="lower", gain=1.0, background=100.0)
    same = predicted_signal(solution, Z, TIMES[::20], edges=EDGES, positive="upper", gain=1.0, background=100.0)
    a = to_concentration(other, C_0, positive="lower", edges=EDGES)
    b = to_concentration(same, C_0, positive="upper", edges=EDGES)
    np.testing.assert_allclose(
        np.interp(5e-4, a.map.position, a.map.c[-1]), np.interp(5e-4, b.map.position, b.map.c[-1]), rtol=1e-4
    )


@pytest.mark.parametrize("normalise", ["pixel", "mean"])
def test_errors_are_calibrated(clean: MriProfiles, normalise: str) -> None:
    """Noise of 2 %, correlated over neighbouring pixels: the points scatter by their stated errors."""
    generator = np.random.default_rng(11)
    white = generator.normal(size=(TIMES.size, Z.size + 2))
    noise = (white[:, :-2] + 2 * white[:, 1:-1] + white[:, 2:]) / np.sqrt(6)
    noisy = replace(clean, signal=clean.signal + 0.02 * 100 * C_0 * noise)
    exact = to_concentration(clean, C_0, positive="upper", normalise=normalise, edges=EDGES)  # type: ignore[arg-type]
    found = to_concentration(noisy, C_0, positive="upper", normalise=normalise, edges=EDGES)  # type: ignore[arg-type]
    assert found.noise == pytest.approx(0.02, rel=0.1)
    assert found.map.resolution / found.map.position[1] < 4 and found.map.resolution > 1.5 * clean.pixel
    assert found.map.error is not None
    off = (found.map.c - exact.map.c)[1:] / found.map.error[1:]
    spread = np.sqrt(np.mean(off**2))
    assert 0.75 < spread < (1.2 if normalise == "pixel" else 1.05)  # mean: its error holds the structure too
    assert np.std(found.balance) / found.balance_error == pytest.approx(1 / np.sqrt(2), rel=0.5)


def test_exposure_averages_in_time(solution: Solution) -> None:
    sharp, long = (
        predicted_signal(solution, Z, [1000.0], edges=EDGES, positive="upper", exposure=t).signal[0]
        for t in (0.0, 500.0)
    )
    assert 0 < np.max(np.abs(sharp - long)) < 0.02 * C_0


def test_real_profiles_of_thienenkamp() -> None:
    """What is said of them in data and case: edges, blur, noise, structure, salt balance, sign."""
    raw = np.loadtxt(CASE / "Li_Li_profiles_raw.csv", delimiter=",", skiprows=1)
    profiles = MriProfiles(513.0 * np.arange(94), raw[:, 0] * 1e-3, raw[:, 1:].T.copy()).first(46)
    found = to_concentration(profiles, 1869.86, positive="upper", normalise="mean")
    assert found.edges.lower == pytest.approx(1.20e-3, abs=2e-5)
    assert found.edges.upper == pytest.approx(2.39e-3, abs=2e-5)
    assert found.edges.blur == pytest.approx(6e-5, abs=1e-5)
    assert found.noise == pytest.approx(0.024, abs=0.002)
    assert found.structure == pytest.approx(0.023, abs=0.004)
    # Salt is conserved: the total varies by 0.6 % from profile to profile, the pixels' noise alone would make 0.6 %.
    assert np.max(np.abs(found.balance - 1)) < 0.025
    assert np.std(found.balance) < 1.5 * found.balance_error
    change = found.map.c[-4:].mean(axis=0) - found.map.c[:2].mean(axis=0)
    x = found.map.position
    assert change[x < 0.3e-3].mean() > 100 and change[x > 0.9e-3].mean() < -80
    salt, error = to_concentration(profiles, 1869.86, positive="upper").map.salt()
    assert np.max(np.abs(salt / salt[0] - 1)) < 4 * np.max(error) / salt[0]


def test_refusals(clean: MriProfiles) -> None:
    with pytest.raises(InputError, match="no plateau"):
        find_edges(replace(clean, signal=np.ones_like(clean.signal)))
    with pytest.raises(InputError, match="background outside"):
        to_concentration(clean, C_0, positive="upper", edges=Edges(1e-4, 3.9e-3, 6e-5))
    with pytest.raises(InputError, match="positive is"):
        to_concentration(clean, C_0, positive="left")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="evenly"):
        MriProfiles(TIMES, Z**2, clean.signal)
    with pytest.raises(InputError, match="two profiles"):
        to_concentration(clean.first(1), C_0, positive="upper")
    with pytest.raises(InputError, match="shape"):
        MriProfiles(TIMES, Z, clean.signal.T)


def test_raw_mri_profiles_of_thienenkamp() -> None:
    found = read_mri(CASE / "Li_Li_profiles_raw.csv")
    assert found.signal.shape == (94, 256)
    np.testing.assert_allclose(found.time, 513.0 * np.arange(94), rtol=1e-12)
    assert found.pixel == pytest.approx(4e-3 / 256, rel=1e-5)
    assert found.signal[0, 0] == 17238.9


def test_mri_headers_without_unit_or_time(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs a unit of length"):
        read_mri(written(tmp_path, "z,0 s,1 s\n0,1,2\n1,1,2\n"))
    with pytest.raises(InputError, match="must end in its time"):
        read_mri(written(tmp_path, "z (mm),first,1 s\n0,1,2\n1,1,2\n"))


def test_the_stated_errors_are_those_of_noisy_profiles_at_both_ends_of_the_cell(
    solution: Solution, clean: MriProfiles
) -> None:
    """chi2 at the truth per point: all of it, and in the tenths of the cell where salt gathers and where it runs out.

    With the noise of the first profile taken as constant in time it was 1.15, 0.6 and 1.6.
    """
    rng, found = np.random.default_rng(20261130), []
    setup = Setup(Cell(1.2e-3, 313.15), PEO, Protocol((hold_current(3.0, 22000.0),)), C_0)
    for _ in range(8):
        noisy = replace(clean, signal=clean.signal + 0.02 * 100 * C_0 * rng.standard_normal(clean.signal.shape))
        data = observe(normalised(noisy, C_0, positive="upper", margin=3.0), setup)
        w = data.residual(data.predict(PEO, solution))
        assert data.position is not None
        ends = (data.position < 0.25e-3, data.position > 0.95e-3)
        found.append([np.mean(w**2), *(np.mean(w[end] ** 2) for end in ends)])
    whole, rich, poor = np.mean(found, axis=0)
    assert whole == pytest.approx(1, abs=0.04)  # 0.983 +/- 0.008
    assert rich == pytest.approx(1, abs=0.12) and poor == pytest.approx(1, abs=0.12)  # 0.96 and 0.95 +/- 0.035
