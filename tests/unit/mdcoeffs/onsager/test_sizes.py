"""Omega against the size of the box: the closed form of two boxes, calibration, the command, what is refused."""

import json

import numpy as np
import pytest
from scipy.stats import binomtest

from cellsim.base import InputError, k_B
from mdcoeffs.onsager.estimate import estimate_onsager
from mdcoeffs.onsager.sizes import Box, compare_boxes
from mdcoeffs.synthetic.walkers import walk
from tests.toys.md_toys import box_result, mdcoeffs

OMEGA = 1e-10 * np.array([[1.0, 0.3], [0.3, 1.6]])
NAMES = ("Omega_pp", "Omega_pm", "Omega_mm", "kappa", "t_plus", "rho_plus")
LIQUID = {"T": 300.0, "frame": "solvent", "z": (1, -1), "c": {"salt": 1000.0}}


def normal_box(edge, values, errors, seed=0):
    rng = np.random.default_rng([seed, int(edge * 1e12)])
    draws = {f"D_{k}": v + e * rng.standard_normal(4000) for k, (v, e) in enumerate(zip(values, errors, strict=True))}
    return Box(f"{edge}", edge, LIQUID, draws)


def test_two_boxes_are_the_closed_form():
    small, large = normal_box(2e-9, [1.0, 3.0], [1e-3, 0.1]), normal_box(4e-9, [1.5, 3.1], [1e-3, 0.1])
    first, second = compare_boxes([large, small]).effects
    # q_inf = (q_2 L_2 - q_1 L_1)/(L_2 - L_1) with the error sqrt((2 e)^2 + e^2), b = (q_1 - q_2)/(1/L_1 - 1/L_2)
    assert first.unbounded[0] == pytest.approx(2.0, abs=2e-4) and first.slope[0] == pytest.approx(-2e-9, rel=1e-3)
    assert np.ptp(second.unbounded[1:]) == pytest.approx(2 * 1.96 * np.sqrt(5) * 0.1, rel=0.06)
    assert first.p < 1e-3 and second.p == pytest.approx(0.48, abs=0.05)  # of 0.1/0.141 standard deviations
    assert np.isnan(first.p_line) and first.correction[0] == pytest.approx(0.5, rel=1e-3)


def test_three_boxes_tell_a_line_from_a_curve():
    edges = (2e-9, 3e-9, 6e-9)
    line = compare_boxes([normal_box(L, [2 - 1e-9 / L], [0.01]) for L in edges])
    curve = compare_boxes([normal_box(L, [2 - (2e-9 / L) ** 3], [0.01]) for L in edges])
    assert line.effects[0].p_line > 0.01 and line.effects[0].unbounded[0] == pytest.approx(2.0, abs=0.03)
    assert curve.effects[0].p_line < 1e-6
    assert "D_0 changes with the box" in " ".join(line.lines())


def test_self_diffusion_gives_the_viscosity_back():
    eta, T = 8e-4, 300.0
    edges = (2e-9, 4e-9)
    D = [1e-9 - 2.837297 * k_B * T / (6 * np.pi * eta * L) for L in edges]
    result = compare_boxes([normal_box(L, [d], [1e-12]) for L, d in zip(edges, D, strict=True)])
    value, *ends = result.viscosity()["D_0"]
    assert value == pytest.approx(eta, rel=0.02) and min(ends) < eta < max(ends)
    flat = compare_boxes([normal_box(L, [1e-9], [1e-11]) for L in edges])
    assert not flat.viscosity() and "beyond chance" in " ".join(flat.lines())


@pytest.mark.slow
def test_intervals_and_probabilities_are_calibrated():
    # walkers of 1/L, read by the estimator that is exact for them; 400 pairs gave 0.933 to 0.953 and 0.048 to 0.075
    def box(edge, effect, seed):
        run = walk(OMEGA * (1 - effect * 1e-9 / edge), frames=300, dt=1e-11, seed=seed)
        found = estimate_onsager(run, window=(1e-11, 3e-9), n_samples=600, seed=seed)
        rng = np.random.default_rng(seed)
        return Box(f"{edge}", edge, LIQUID, {name: rng.permutation(found.draws(name)) for name in NAMES})

    pairs = 60
    held, surprises = np.zeros(3), 0
    for k in range(pairs):
        some, none = (
            compare_boxes([box(L, effect, [20261129, k, i]) for i, L in enumerate((2e-9, 4e-9))]).effects
            for effect in (0.3, 0.0)
        )
        truth = OMEGA[[0, 0, 1], [0, 1, 1]]
        held += [e.unbounded[1] <= t <= e.unbounded[2] for e, t in zip(some[:3], truth, strict=True)]
        surprises += none[3].p < 0.05
    assert all(binomtest(int(count), pairs, 0.95).pvalue > 0.003 for count in held), held
    assert binomtest(surprises, pairs, 0.05).pvalue > 0.003, surprises


@pytest.mark.slow
def test_the_command(tmp_path):
    small, large = box_result(tmp_path / "a", 3e-9, 1), box_result(tmp_path / "b", 5e-9, 2)
    done = mdcoeffs("sizes", large, small, "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert [box["edge"] for box in summary["boxes"]] == pytest.approx([3e-9, 5e-9])
    assert {"Omega_Li_Li", "kappa", "t_Li", "rho_Li", "D_Li"} <= set(summary["quantities"])
    assert (tmp_path / "out" / "sizes.png").is_file() and "no quantity changes" in done.output
    other = box_result(tmp_path / "c", 5e-9, 2, counts=(100, 100, 300))
    warm = box_result(tmp_path / "d", 5e-9, 2, T=320.0)
    for results, words in (
        ([small], "two results or more"),
        ([small, small], "too close"),
        ([small, other], "another liquid"),
        ([small, warm], "320 K"),
        ([small, tmp_path / "none"], "no such Onsager result"),
    ):
        refused = mdcoeffs("sizes", *results, "-o", tmp_path / "no")
        assert refused.exit_code == 2 and words in refused.output and not (tmp_path / "no").exists()


def test_results_that_do_not_fit_are_refused():
    one = normal_box(2e-9, [1.0], [0.1])
    with pytest.raises(InputError, match="the frame"):
        compare_boxes([one, Box("b", 4e-9, LIQUID | {"frame": "barycentric"}, one.draws)])
    with pytest.raises(InputError, match="has the species"):
        compare_boxes([one, Box("b", 4e-9, LIQUID | {"c": {"Li": 1.0}}, one.draws)])
