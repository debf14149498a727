"""What a series takes from result folders is what the analyses found, under names that say where it belongs."""

import json
import math

import numpy as np
import pytest
from series_toys import exchange_state, onsager_folder

from cellsim.base import InputError
from cellsim.files.folder import keep
from mdcoeffs import residence, structure
from mdcoeffs.analysis import analyse
from mdcoeffs.series.quantities import NAMES, PANELS, analysis_of, legend_of, panel_of, read_summary


def by_name(folder):
    return {each.name: each for each in read_summary(folder).found}


def test_an_onsager_result_in_two_frames(tmp_path):
    m = onsager_folder(tmp_path, T=350.0)
    found, box = by_name(tmp_path), m.to_frame("barycentric")
    assert found["kappa"].value == pytest.approx(m.kappa, rel=1e-12)
    assert (found["kappa"].low, found["kappa"].high) == pytest.approx(m.interval("kappa"), rel=1e-12)
    for each in (m, box):
        for pair, (i, j) in {"pp": (0, 0), "pm": (0, 1), "mm": (1, 1)}.items():
            one = found[f"Omega_{pair}_{each.frame}"]
            assert one.value == pytest.approx(each.Omega[i, j], rel=1e-12, abs=0)
            ends = np.quantile(each.samples[:, i, j], [0.025, 0.975])
            assert (one.low, one.high) == pytest.approx(tuple(ends), rel=1e-12, abs=0)
    assert found["t_plus_barycentric"].value == pytest.approx(box.t_plus, rel=1e-12)
    assert found["t_plus_solvent"].value == pytest.approx(m.t_plus, rel=1e-12)
    assert found["t_plus_solvent"].value != pytest.approx(box.t_plus, rel=1e-3)


def test_stefan_maxwell_coefficients_have_the_interval_of_their_inverse(tmp_path):
    m = onsager_folder(tmp_path)
    found, D = by_name(tmp_path), m.stefan_maxwell(1.1e4)
    for name in ("D_plus_0", "D_minus_0", "D_plus_minus"):
        D_ij, friction = found[name], found[name.replace("D_", "friction_")]
        assert D_ij.value == pytest.approx(getattr(D, name), rel=1e-9, abs=0)
        RT = D_ij.value * friction.value
        assert pytest.approx(8.314462618 * 350, rel=1e-9) == RT
        assert (D_ij.low, D_ij.high) == pytest.approx((RT / friction.high, RT / friction.low), rel=1e-9, abs=0)


def test_a_coefficient_whose_inverse_may_be_zero_has_no_interval(tmp_path):
    onsager_folder(tmp_path)
    data = json.loads((tmp_path / "summary.json").read_text())
    data["stefan_maxwell"]["D_plus_minus"]["RT_over_D_interval"] = [-1e12, 1e13]
    (tmp_path / "summary.json").write_text(json.dumps(data))
    found = by_name(tmp_path)
    assert not found["D_plus_minus"].bounded and math.isfinite(found["D_plus_minus"].value)
    assert found["friction_plus_minus"].bounded


@pytest.fixture(scope="module")
def exchanged(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exchange")
    exchange_state(folder, 330.0)
    return folder


@pytest.mark.slow
def test_structure_and_residence_are_those_of_the_analyses(exchanged):
    result = analyse(structure.ANALYSIS, exchanged / "SPECIES.toml")
    keep(result, exchanged / "structure", "structure", figure=False)
    found = by_name(exchanged / "structure")
    low, high = result.free.interval(0.95)
    assert found["bound"].value == pytest.approx(1 - float(result.free.value), rel=1e-12)
    assert (found["bound"].low, found["bound"].high) == pytest.approx((1 - float(high), 1 - float(low)), rel=1e-9)
    assert found["bound"].value == pytest.approx(0.64, abs=0.15)  # 1 - 0.6^2; measured 0.62
    assert found["molecules_S"].value == pytest.approx(float(result.molecules.value[1]), rel=1e-12)
    shares = [found[f"cations_{size}"].value for size in ("free", "pair", "triple", "larger")]
    assert sum(shares) == pytest.approx(1.0, rel=1e-9)
    result = analyse(residence.ANALYSIS, exchanged / "SPECIES.toml")
    keep(result, exchanged / "residence", "residence", figure=False)
    found = by_name(exchanged / "residence")
    curve = result.curves["Li-X", "continuous"]
    assert found["residence_continuous_Li-X"].value == pytest.approx(curve.fit.value[3], rel=1e-12, abs=0)
    assert found["residence_continuous_Li-X"].low == pytest.approx(curve.mean_interval(0.95)[0], rel=1e-12, abs=0)
    assert "linker_continuous" in found
    assert analysis_of(exchanged / "residence") == "residence" and analysis_of(exchanged / "structure") == "structure"


def test_every_name_has_a_panel_and_a_legend():
    for name in (
        "Omega_pm_solvent",
        "Omega_distinct_minus",
        "kappa_NE",
        "t_Li",
        "D_self_Li",
        "D_plus_minus",
        "D_Li_EC",
        "self_share_plus",
        "residence_continuous_Li-site(EC)",
        "linker_tolerant",
        "alpha_theta_PF6",
        "M_PEO",
        "tau_2_PF6",
        "cations_larger",
        "entry_rate_slab",
        "exchange_current_slab",
        "resistance_slab",
        "chi",
    ):
        assert panel_of(name) in PANELS and legend_of(name)
    assert {panel for _, panel in NAMES} == set(PANELS)
    assert panel_of("D_self_Li") == "self_diffusion" and panel_of("D_Li_EC") == "stefan_maxwell"


def test_an_interface_without_crossings_has_a_rate_and_no_resistance(tmp_path):
    none = {"value": None, "interval": [1e-12, None], "level": 0.95}
    rate = {"value": 2e9, "interval": [1e9, 3e9], "level": 0.95}
    region = {"entry_rate": rate, "exit_rate": rate, "exchange": {"exchange_current": rate, "resistance": none}}
    (tmp_path / "summary.json").write_text(json.dumps({"regions": {"slab": region}, "frames": [10]}))
    found = by_name(tmp_path)
    assert set(found) == {"entry_rate_slab", "exit_rate_slab", "exchange_current_slab"}
    assert (found["entry_rate_slab"].value, found["entry_rate_slab"].high) == (2e9, 3e9)


def test_a_slope_of_the_mean_square_is_a_diffusion_coefficient_only_where_ions_diffuse(tmp_path):
    def mover(alpha):
        number = {"value": alpha, "standard_error": 0.01, "interval": [alpha - 0.02, alpha + 0.02]}
        return {"alpha": number, "D": {"value": 1e-9, "standard_error": 1e-11, "interval": [0.98e-9, 1.02e-9]}}

    translation = {"Li": mover(1.03), "X": mover(0.8)}
    (tmp_path / "summary.json").write_text(json.dumps({"translation": translation, "rotation": {}}))
    found = by_name(tmp_path)
    assert set(found) == {"alpha_Li", "alpha_X", "D_msd_Li"}
    assert (found["D_msd_Li"].value, found["D_msd_Li"].low) == (1e-9, 0.98e-9)
    assert found["D_msd_Li"].panel.unit == "m^2/s" and legend_of("D_msd_M") == legend_of("D_self_M")


def test_an_unknown_name_is_refused_with_a_hint():
    with pytest.raises(InputError, match='did you mean "kappa"'):
        panel_of("kapa")


def test_a_folder_without_a_summary_and_a_damaged_one_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"contains no summary\.json"):
        analysis_of(tmp_path)
    (tmp_path / "summary.json").write_text('{"curves": {"Li-X": 3}}')
    with pytest.raises(InputError, match="is not the summary of mdcoeffs residence"):
        read_summary(tmp_path)
    (tmp_path / "summary.json").write_text('{"other": 1}')
    with pytest.raises(InputError, match="not the summary of one of the analyses"):
        analysis_of(tmp_path)
