"""Umbrella windows: a known double well from biased samples, as often as it says, and what is refused."""

import importlib.util
import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from md_toys import mdcoeffs as call
from scipy.stats import binom

from cellsim.base import InputError, k_B
from mdcoeffs.interface.free_energy import fit_parabola
from mdcoeffs.interface.umbrella import Umbrella, Window, analyse_umbrella, read_umbrella

A, T = 1e-10, 600.0
STIFF = 2000.0  # K/angstrom^2
WELL, TOP = (2.5 * A, 3.5 * A), (-0.5 * A, 0.5 * A)
GRID = np.linspace(-6, 6, 4001)
CENTRES = np.arange(-1.0, 4.6, 0.5)
needs_pymbar = pytest.mark.skipif(importlib.util.find_spec("pymbar") is None, reason="pymbar is not installed")


def F(x):
    return 3500 * (1 - (x / 3) ** 2) ** 2


def drawn(centre, n, rng):
    """Independent samples of the biased density, by its cumulative distribution."""
    p = np.exp(-(F(GRID) + 0.5 * STIFF * (GRID - centre) ** 2) / T)
    return np.interp(rng.random(n), np.cumsum(p) / p.sum(), GRID)


def family(seed, n=300, centres=CENTRES):
    rng = np.random.default_rng(seed)
    windows = tuple(Window(drawn(c, n, rng) * A, c * A, STIFF * k_B / A**2) for c in centres)
    return Umbrella("made up", T, windows, 0.2 * A, WELL, TOP)


def true_barrier():
    """Of the mean density of each bin, by the same parabolas."""
    edges = 0.2 * np.arange(-10, 21)
    z = 0.5 * (edges[1:] + edges[:-1])
    fine = np.linspace(edges[0], edges[-1], 20 * 30 + 1)[:-1] + 0.005
    whole = -T * np.log(np.exp(-F(fine) / T).reshape(30, 20).mean(axis=1))
    height = []
    for low, high in (WELL, TOP):
        part = (z * A >= low) & (z * A <= high)
        height.append(fit_parabola(z[part] * A, whole[part], np.ones(part.sum())).height)
    return height[1] - height[0]


@needs_pymbar
@pytest.mark.slow
def test_the_barrier_of_a_known_well_as_often_as_stated():
    exact = true_barrier()
    assert exact == pytest.approx(3500, abs=60)  # parabolas through a quartic, bins of 0.2
    held = 0
    for seed in range(12):
        low, high = analyse_umbrella(family(seed)).barrier[0].interval()
        held += low <= exact <= high
        assert high - low < 800
    assert held >= binom.ppf(0.005, 12, 0.95)


@needs_pymbar
def test_free_energy_against_the_density_without_windows():
    # MBAR of one window alone is the bias taken away: F = -T ln(histogram) - w, exactly
    one = replace(family(3, n=4000, centres=np.array([2.8, 2.8])), well=None, top=None)
    found = analyse_umbrella(one)
    z = np.concatenate([window.z for window in one.windows])
    edges = np.append(found.z - 0.1 * A, found.z[-1] + 0.1 * A)
    weight = np.exp(0.5 * STIFF * ((z - 2.8 * A) / A) ** 2 / T)
    expected = np.log(np.histogram(z, edges, weights=weight)[0])
    seen = np.isfinite(expected)
    zero = int(np.argmax(np.histogram(z, edges)[0]))
    np.testing.assert_allclose(found.F.value[seen], -T * (expected - expected[zero])[seen], atol=1e-6 * T)


def write(folder, spring="{} J/mol/m^2", centres=CENTRES, n=64):
    text = 'temperature = "600 K"\nwell = ["2.5 angstrom", "3.5 angstrom"]\ntop = ["-0.5 angstrom", "0.5 angstrom"]\n'
    value = STIFF * k_B / A**2 * 6.02214076e23
    for k, c in enumerate(centres):
        rows = "\n".join(f"{i} {x:.6f}" for i, x in enumerate(drawn(c, n, np.random.default_rng(k))))
        (folder / f"w{k}.xvg").write_text(f"# a comment\n@ title\n{rows}\n")
        text += f'[[window]]\nfile = "w{k}.xvg"\ncentre = "{c} angstrom"\nspring = "{spring.format(value)}"\n'
    (folder / "WINDOWS.toml").write_text(text)
    return folder / "WINDOWS.toml"


@needs_pymbar
def test_the_command(tmp_path):
    result = call("umbrella", write(tmp_path), "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"umbrella.nc", "umbrella.png", "profile.csv", "summary.json"}
    found = json.loads((tmp_path / "out" / "summary.json").read_text())
    low, high = found["barrier"]["barrier_K"]["interval"]
    assert low < true_barrier() < high and "12 windows at 600 K" in result.output
    assert min(found["overlap"]) > 0.1


@needs_pymbar
def test_windows_that_do_not_overlap_are_named(tmp_path):
    found = analyse_umbrella(read_umbrella(write(tmp_path, centres=(-0.5, 0.0, 3.0, 3.3))))
    assert any("windows at 0 and 3 angstrom hardly overlap" in note for note in found.notes)


def test_springs_per_molecule_and_per_mole_are_one(tmp_path):
    one = read_umbrella(write(tmp_path, spring="{} J/mol/m^2")).windows[0].spring
    kcal = STIFF * k_B * 6.02214076e23 / 4184
    other = read_umbrella(write(tmp_path, spring=f"{kcal} kcal/mol/angstrom^2")).windows[0].spring
    assert one == pytest.approx(STIFF * k_B / A**2, rel=1e-9) and other == pytest.approx(one, rel=1e-9)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("spring", "springs", 1), "did you mean"),
        (lambda text: text.replace("centre = ", "center = ", 1), "did you mean"),
        (lambda text: text.replace('well = ["2.5 angstrom", "3.5 angstrom"]', ""), "top .*stands alone"),
        (lambda text: text[: text.index("[[window]]")], "no .*window|0 .*window"),
        (lambda text: "column = 3\n" + text, "line 3 has no number in column 3"),
        (lambda text: "skip = 60\n" + text, "4 samples after skip = 60; 16"),
        (lambda text: text.replace("w0.xvg", "none.xvg", 1), "none.xvg"),
        (lambda text: text.replace("J/mol/m^2", "ps", 1), "spring"),
    ],
)
def test_refusals(tmp_path, change, words):
    path = write(tmp_path)
    path.write_text(change(path.read_text()))
    with pytest.raises(InputError, match=words):
        read_umbrella(path)


def test_without_pymbar_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymbar", None)
    with pytest.raises(InputError, match=r"need pymbar; install the extra, pip install 'cellsim\[umbrella\]'"):
        analyse_umbrella(family(1, n=32))
