"""One way to write any result: numbers, dataset, figure and tables in a folder, all or nothing."""

import json

import pytest
import xarray as xr

from cellsim.files.folder import keep


class Found:
    """A result of the smallest kind."""

    def lines(self):
        return ["x 1"]

    def numbers(self):
        return {"x": 1.0, "y": float("nan")}

    def dataset(self):
        return xr.Dataset({"x": ("k", [1.0, 2.0])})

    def draw(self, path):
        path.write_bytes(b"drawn")
        return path


def test_a_result_is_written_whole_or_not_at_all(tmp_path):
    out = tmp_path / "out"
    written = keep(Found(), out, "found", tables={"rows.csv": [["a", "b"], ["1", "2, 3"]]})
    assert sorted(path.name for path in written) == ["found.nc", "found.png", "rows.csv", "summary.json"]
    assert sorted(written) == sorted(out.iterdir())
    assert (out / "rows.csv").read_text() == 'a,b\n1,"2, 3"\n'
    assert json.loads((out / "summary.json").read_text()) == {"x": 1.0, "y": None}

    class Broken(Found):
        def draw(self, path):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        keep(Broken(), tmp_path / "broken", "found")
    assert not (tmp_path / "broken").exists()
