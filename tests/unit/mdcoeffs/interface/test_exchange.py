"""From crossings to a resistance: the closed form, its factors of two, calibrated intervals, and hopping walkers."""

import json
import math

import numpy as np
import pytest
from md_toys import mdcoeffs as call
from scipy.stats import binomtest

from cellsim.base import InputError
from mdcoeffs.interface.exchange import exchange_of, interfaces_crossed
from mdcoeffs.interface.profiles import region_faces

E, K_B = 1.602176634e-19, 1.380649e-23


def hops(rng, k_a, k_b, *, ions, time):
    """Crossings in and out of ions that hop between two sides from equilibrium on, event by event."""
    inside = rng.random(ions) < k_a / (k_a + k_b)
    entered = left = 0
    for state in inside:
        t = rng.exponential(1 / (k_b if state else k_a))
        while t < time:
            entered, left = entered + (not state), left + bool(state)
            state = not state
            t += rng.exponential(1 / (k_b if state else k_a))
    return entered, left


def test_closed_form_and_the_factors_of_two():
    # 40 crossings both ways of two faces of 1e-17 m^2 in 1 ns: J = 40/(2 2 A t)
    both = exchange_of(20, 20, outside=30, inside=30, time=1e-9, runs=1, faces=2, area=1e-17, T=300.0, z=1)
    J = 40 / (4 * 1e-17 * 1e-9)
    assert both.current.value == pytest.approx(E * J, rel=1e-12)
    assert both.resistance.value == pytest.approx(K_B * 300 / (E**2 * J), rel=1e-12, abs=0)
    assert both.rate.value * both.ions == pytest.approx(J, rel=1e-12)
    assert both.resistance.value * both.current.value == pytest.approx(K_B * 300 / E, rel=1e-12)
    one = exchange_of(20, 20, outside=30, inside=30, time=1e-9, runs=1, faces=1, area=1e-17, T=300.0, z=1)
    assert one.resistance.value == pytest.approx(both.resistance.value / 2, rel=1e-12, abs=0)
    double = exchange_of(20, 20, outside=30, inside=30, time=1e-9, runs=1, faces=2, area=1e-17, T=300.0, z=-2)
    assert double.resistance.value == pytest.approx(both.resistance.value / 4, rel=1e-12, abs=0)
    assert float(both.line.split('"')[1].split()[0]) == pytest.approx(both.resistance.value, rel=1e-3, abs=0)


def test_no_crossing_gives_a_lower_end_of_the_resistance():
    none = exchange_of(0, 0, outside=30, inside=0, time=1e-9, runs=1, faces=1, area=1e-17, T=300.0, z=1)
    assert none.current.value == 0 and none.current.high > 0 and none.line == ""
    assert math.isinf(none.resistance.value) and math.isinf(none.resistance.high)
    assert none.resistance.low == pytest.approx(K_B * 300 / (E * none.current.high), rel=1e-12, abs=0)


@pytest.mark.parametrize(
    ("k_b", "time", "ions"),
    [(1.0, 20.0, 4), (20.0, 20.0, 4), (1.0, 0.2, 60), (5.0, 1.0, 20)],
    ids=["alike, long", "unlike, long", "alike, short", "unlike, between"],
)
def test_intervals_cover_hopping_walkers(k_b, time, ions):
    # 500 families each; k_a = 1. Without phi the second would hold in 83 %
    rng = np.random.default_rng([77, ions, round(10 * time), round(k_b)])
    k_a, area = 1.0, 1e-17
    out = ions * k_b / (k_a + k_b)
    J = k_a * out / area
    held = 0
    for _ in range(500):
        entered, left = hops(rng, k_a, k_b, ions=ions, time=time)
        found = exchange_of(
            entered, left, outside=out, inside=ions - out, time=time, runs=1, faces=1, area=area, T=300.0, z=1
        )
        held += found.resistance.low <= K_B * 300 / (E**2 * J) <= found.resistance.high
    assert binomtest(held, 500, 0.95).pvalue > 0.01 / 4, held / 500


def test_faces_of_regions():
    box = 40e-10
    assert region_faces([(-5e-10, 5e-10)], box) == (1, 1)
    assert region_faces([(-20e-10, -5e-10), (5e-10, 20e-10)], box) == (1, 1)  # joined at the ends of the box
    assert region_faces([(-15e-10, -5e-10), (5e-10, 15e-10)], box) == (2, 2)
    assert interfaces_crossed((9, 0), (8, 0), (1, 1)) == 1 and interfaces_crossed((3, 0), (2, 0), (1, 1)) == 2
    assert interfaces_crossed((9, 1), (8, 0), (1, 1)) == 2


def test_what_makes_no_current_is_refused():
    with pytest.raises(InputError, match="needs ions with a charge"):
        exchange_of(1, 1, outside=3, inside=3, time=1.0, runs=1, faces=1, area=1.0, T=300.0, z=0)


SPECIES = """
temperature = "400 K"
arrays = "run.npz"
[units]
position = "angstrom"
time = "ps"
[species.Li]
charge = 1
role = "cation"
[species.X]
charge = -1
role = "anion"
[species.S]
role = "solvent"
[interface]
bin = "1 angstrom"
net_charge = 39
charge = false
[interface.regions.slab]
points = "Li"
between = ["-10 angstrom", "10 angstrom"]
"""


@pytest.mark.parametrize(
    "both",
    [pytest.param(True, id="two interfaces"), pytest.param(False, id="one interface", marks=pytest.mark.slow)],
)
def test_the_command_finds_the_resistance_of_hopping_walkers(tmp_path, both):
    # 40 ions hop between a slab and its surroundings at 0.02 per ps one way, through both faces or the lower alone
    rng = np.random.default_rng(5)
    ions, frames, rate, area = 40, 1000, 0.03, 20.0 * 20.0
    state = rng.random(ions) < 0.5
    side = -np.ones(ions)
    z = np.empty((frames, ions))
    hopped = 0
    for k in range(frames):
        change = rng.random(ions) < (rate if k else 0.0)
        hopped += int(change.sum())
        if both:  # who leaves chooses a face
            side = np.where(change & state, np.where(rng.random(ions) < 0.5, 1.0, -1.0), side)
        state = np.where(change, ~state, state)
        z[k] = side * np.where(state, 2.0, 12.0)
    others = np.array([[3.0, 3.0, 18.0], [6.0, 6.0, 18.0]])
    positions = np.zeros((frames, ions + 2, 3))
    positions[:, :ions, :2] = rng.random((ions, 2)) * 20.0
    positions[:, :ions, 2] = z + 20.0
    positions[:, ions:] = others
    np.savez(
        tmp_path / "run.npz",
        time=np.arange(frames) * 1.0,
        positions=positions,
        box=np.diag([20.0, 20.0, 40.0]),
        labels=np.array(["Li"] * ions + ["X", "S"]),
        masses=np.array([7.0] * ions + [100.0, 50.0]),
    )
    (tmp_path / "SPECIES.toml").write_text(SPECIES)
    result = call("interface", tmp_path / "SPECIES.toml", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "out" / "summary.json").read_text())["regions"]["slab"]["exchange"]
    n_faces = 2 if both else 1
    assert found["faces"] == n_faces and found["crossings"] == hopped
    # one way, per area of one interface: half of what crossed, over the faces
    J = hopped / (2 * n_faces * area * 1e-20 * (frames - 1) * 1e-12)
    assert found["resistance"]["value"] == pytest.approx(K_B * 400.0 / (E**2 * J), rel=1e-9, abs=0)
    # 20 ions on either side leave at `rate` through all faces; measured up to 7 % from it, 1200 crossings give 3 %
    R = K_B * 400.0 / (E**2 * 20 * rate * 1e12 / (n_faces * area * 1e-20))
    assert found["resistance"]["value"] == pytest.approx(R, rel=0.12, abs=0)
    assert found["resistance"]["interval"][0] < found["resistance"]["value"] < found["resistance"]["interval"][1]
    assert found["case_line"] in result.output and "ohm m^2 each" in result.output
