"""Impedance spectra from the formats that instruments write."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cellsim.base import InputError
from cellsim.instruments.spectrum import read_spectrum

F = np.array([1e4, 1e2, 1.0])
Z = np.array([10 - 1j, 15 - 5j, 20 - 2j])


def written(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def rows(*columns: np.ndarray, mark: str = ",") -> str:
    return "".join(mark.join(f"{x:.10g}" for x in row) + "\n" for row in zip(*columns, strict=True))


def check(path: Path, *, scale: float = 1.0, per_area: bool = False) -> None:
    found = read_spectrum(path)
    np.testing.assert_allclose(found.omega, 2 * np.pi * F[::-1], rtol=1e-9, atol=0)
    np.testing.assert_allclose(found.Z, scale * Z[::-1], rtol=1e-8, atol=0)
    assert found.per_area == per_area


@pytest.mark.parametrize(
    ("head", "columns", "scale", "per_area"),
    [
        ("f (Hz),Re(Z) (ohm),-Im(Z) (ohm)", (F, Z.real, -Z.imag), 1.0, False),
        ("freq/Hz,Re(Z)/Ohm,-Im(Z)/Ohm", (F, Z.real, -Z.imag), 1.0, False),
        ("f (kHz),Z' (kohm),Z'' (kohm)", (F / 1e3, Z.real, Z.imag), 1e3, False),
        ("frequency (Hz),Zreal (ohm cm^2),-Zimag (ohm cm^2)", (F, Z.real, -Z.imag), 1e-4, True),
        ("f (Hz),|Z| (ohm),phase (deg)", (F, np.abs(Z), np.rad2deg(np.angle(Z))), 1.0, False),
        ("f (Hz),Zmod (ohm),phase (rad)", (F, np.abs(Z), np.angle(Z)), 1.0, False),
    ],
)
def test_tables(tmp_path, head, columns, scale, per_area):
    check(written(tmp_path, "z.csv", head + "\n" + rows(*columns)), scale=scale, per_area=per_area)


def test_ec_lab(tmp_path):
    text = "EC-Lab ASCII FILE\nNb header lines : 4\n\nfreq/Hz\tRe(Z)/Ohm\t-Im(Z)/Ohm\ttime/s\n"
    body = rows(np.append(F, 0.0), np.append(Z.real, 0.0), np.append(-Z.imag, 0.0), np.arange(4.0), mark="\t")
    check(written(tmp_path, "z.mpt", text + body))  # the row at 0 Hz is the rest before the spectrum


def test_gamry(tmp_path):
    text = "EXPLAIN\nTAG\tEISPOT\nZCURVE\tTABLE\t3\n\tPt\tTime\tFreq\tZreal\tZimag\tZsig\n\t#\ts\tHz\tohm\tohm\tV\n"
    body = "".join(
        f"\t{k}\t{k}\t{f:.6g}\t{z.real:.6g}\t{z.imag:.6g}\t1\n" for k, (f, z) in enumerate(zip(F, Z, strict=True))
    )
    check(written(tmp_path, "z.DTA", text + body))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("t (s),U (V)\n1,2\n", "no column of frequency"),
        ("f (Hz),U (V)\n1,2\n", "no columns of the real"),
        ("f (Hz),Re(Z) (ohm),Im(Z)\n1,2,3\n", "no columns of the real"),  # (Z) is no unit
        ("f (Hz),Re(Z) (ohm),Im(Z) (ohm cm^2)\n1,2,3\n", "correct a heading"),
        ("f (Hz),Re(Z) (ohm),Im(Z) (ohm)\n1,2,3\n1,2,3\n", "several spectra"),
        ("f (Hz),Re(Z) (ohm),Im(Z) (ohm)\n1,2,x\n", "not a number"),
        ("EXPLAIN\nTAG\tCHRONOA\nCURVE\tTABLE\t1\n\tPt\tT\n\t#\ts\n\t0\t1\n", "0 impedance spectra"),
    ],
)
def test_what_is_no_spectrum_is_said(tmp_path, text, said):
    with pytest.raises(InputError, match=said):
        read_spectrum(written(tmp_path, "z.csv", text))
