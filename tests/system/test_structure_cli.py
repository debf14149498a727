"""The commands structure and residence, as a user types them."""

import json

import pytest
from md_toys import EXCHANGE, write_exchange
from md_toys import mdcoeffs as call

import mdcoeffs.frames.neighbours  # noqa: F401
from mdcoeffs.synthetic.partners import Partner

PARTNERS = [Partner("X", 2, 12e-12, 0.4), Partner("S", 4, 5e-12, 0.7)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("cli")
    write_exchange(where, PARTNERS, cations=8, frames=150)
    return where


def test_structure_writes_its_folder(folder):
    result = call("structure", folder / "SPECIES.toml", "-o", folder / "out")
    assert result.exit_code == 0, result.output
    assert sorted(p.name for p in (folder / "out").iterdir()) == [
        "radial.csv",
        "structure.nc",
        "structure.png",
        "summary.json",
    ]
    found = json.loads((folder / "out" / "summary.json").read_text())
    assert found["partners"]["S"]["molecules"]["value"] == pytest.approx(2.8, abs=0.3)
    assert "cations by number of anions bound" in result.output


def test_residence_writes_its_folder(folder):
    result = call("residence", folder / "SPECIES.toml", "-o", folder / "out2")
    assert result.exit_code == 0, result.output
    assert sorted(p.name for p in (folder / "out2").iterdir()) == [
        "radial.csv",
        "residence.nc",
        "residence.png",
        "summary.json",
    ]
    assert "anion-Li-anion" in result.output


@pytest.mark.parametrize("command", ["structure", "residence"])
def test_a_mistake_is_one_line_and_exit_code_2(folder, command):
    (folder / "bad.toml").write_text(EXCHANGE + '[structure]\npartners = ["Y"]\n')
    result = call(command, folder / "bad.toml", "-o", folder / "none")
    assert result.exit_code == 2
    lines = result.output.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert "structure.partners: 'Y' is no species that fits here; allowed: X, S" in lines[0]
    assert not (folder / "none").exists()
