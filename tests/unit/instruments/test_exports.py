"""Exports of cyclers and potentiostats, self-written after real ones: all formats hold the same course or spectrum."""

from __future__ import annotations

import importlib.util
import re
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from cellsim.base import InputError
from cellsim.instruments.exports import KNOWN, read_export
from cellsim.instruments.potentiostat import read_potentiostat
from cellsim.instruments.spectrum import read_spectrum

TIME = np.array([0.0, 30.5, 3661.25, 90061.0])
VOLTAGE = np.array([0.1, 0.11, 0.125, 0.13])
CURRENT = np.array([0.0, 1.5e-3, -2e-3, 5e-4])  # A


def clock(t: float) -> str:
    return f"{int(t // 3600):02d}:{int(t % 3600 // 60):02d}:{t % 60:06.3f}"


def rows(row: str, **more: object) -> str:
    """A line for each record, with what stands in braces filled in."""
    lines = []
    for k, (t, U, I) in enumerate(zip(TIME.tolist(), VOLTAGE.tolist(), CURRENT.tolist(), strict=True), 1):
        days = f"  {int(t // 86400)}d {clock(t % 86400)}"
        own = {"k": k, "t": t, "h": repr(t / 3600), "clock": clock(t), "days": days, "U": U, "I": I, "mA": 1e3 * I}
        own |= {"uA": 1e6 * I, "size": abs(I), "state": "D" if I < 0 else "C" if I else "R"}
        lines.append(row.format(**own, **more))
    return "\n".join(lines) + "\n"


COURSES = {
    "Arbin": "Data_Point,Date_Time,Test_Time(s),Step_Time(s),Current(A),Voltage(V)\n" + rows("{k},,{t},0,{I},{U},,7"),
    "Neware": "DataPoint,Cycle Index,Step Type,Time,Total Time,Current(mA),Voltage(V),Date\n"
    + rows("{k},1,CC Chg,00:00:00,{clock},{mA},{U},2026-01-01 00:00:00"),
    "Neware, layered": "Cycle Index,Chg. Cap.(Ah)\n,Step Index,Step Number,Step Type,Step Time\n"
    ",,DataPoint,Time,Total Time,Current(A),Voltage(V)\n1,0.02\n,1,1,Rest,00:00:20\n"
    + rows(",,{k},00:00:00,{clock},{I},{U}")
    + ",2,2,CC,00:00:20\n",
    "Maccor": "Today's Date:\t1 May 2026\nProcedure:\tx\n"
    "Rec#\tCyc#\tStep\tTestTime\tStepTime\tAmp-hr\tAmps\tVolts\tState\n"
    + rows("{k}\t0\t1\t{days}\t  0d 00:00:00\t0\t{size}\t{U}\t{state}"),
    "Novonix": "[Summary]\nNovonix UHPC data file\nArea (cm2): 1.0\n[Data]\n"
    "Date and Time,Cycle Number,Run Time (h),Step Time (h),Current (A),Potential (V),Temperature (°C)\n"
    + rows("2026-01-01 00:00:00,1,{h},0,{I},{U},25"),
    "PEC": "Request Year:,2026\nTest:,1\nTest,Cell,Total Time (Hours in hh:mm:ss.xxx),Step Time (Seconds),"
    "Position Start Time,Voltage (V),Current (A)\n" + rows("1,2,{clock},0,01/01/2026 00:00:00,{U},{I}"),
    "BaSyTec": "~Resultfile from Basytec Battery Test System\n~Name of Test: x\n"
    "~Time[s]\tDataSet\tt-Step[s]\tU[V]\tI[A]\n" + rows("{t}\t{k}\t0\t{U}\t{I}"),
    "CH Instruments": "Jan. 1, 2026   00:00:00\nAmperometric i-t Curve\nInstrument Model:  CHI660E\n\n"
    "Time/sec, Potential/V, Current/A\n\n" + rows("{t}, {U}, {I}"),
    "Squidstat": "Step number,Step name,Elapsed Time (s),Working Electrode (V),Current (mA)\n"
    + rows("1,CC,{t},{U},{mA}"),
    "Nova": "Index;Time (s);WE(1).Current (A);WE(1).Potential (V)\n" + rows("{k};{t};{I};{U}"),
    "VersaStudio": "<Application>\nName=VersaStudio\n</Application>\n<Segment1>\n"
    "Definition=Segment #, Point #, E(V), I(A), Elapsed Time(s)\n" + rows("0,{k},{U},{I},{t}") + "</Segment1>\n",
    "PalmSens": "Date and time:,2026-01-01\nNotes:\n,,\nChronoamperometry: CA i vs t,\n"
    "Date and time measurement:,2026-01-01\ns,µA\n" + rows("{t},{uA}"),
}


@pytest.mark.parametrize("name", COURSES)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_every_export_holds_the_same_course(tmp_path: Path, name: str, encoding: str) -> None:
    path = tmp_path / "export.csv"
    path.write_text(COURSES[name], encoding=encoding)
    data = read_potentiostat(path)
    assert data.kind == name.split(",")[0] and data.current is not None
    np.testing.assert_allclose(data.time, TIME, rtol=1e-12)
    np.testing.assert_allclose(data.current, CURRENT, rtol=1e-12)
    if name != "PalmSens":  # its curve is a pair of columns
        assert data.voltage is not None
        np.testing.assert_allclose(data.voltage, VOLTAGE, rtol=1e-12)


def test_every_kind_that_is_known_is_tested() -> None:
    assert {name.split(",")[0] for name in (*COURSES, *SPECTRA)} == set(KNOWN)


F = np.array([1e5, 100.0, 0.1])
Z = np.array([10 - 1j, 20 - 5j, 30 - 2j])


def points(row: str) -> str:
    own = zip(F.tolist(), Z.tolist(), strict=True)
    return "".join(row.format(f=f, re=z.real, im=z.imag, minus=-z.imag) + "\n" for f, z in own)


SPECTRA = {
    "ZPlot": "ZPLOT2 ASCII\n  Date:   1-1-2026\n  Freq(Hz)\tAmpl\tBias\tTime(Sec)\tZ'(a)\tZ''(b)\tGD\nEnd Comments\n"
    + points("{f}\t0\t0\t1\t{re}\t{im}\t0"),
    "ZPlot, older": '"ZPlotW Data File: Version 3.2c"\n"Raw Data"\n'
    "\"  Freq (Hz)    Ampl     Bias   Time(Sec)   Z'(a)    Z''(b)\"\n" + points("{f}, 0, 0, 1, {re}, {im}"),
    "CH Instruments": "A.C. Impedance\nInstrument Model:  CHI660E\n\nFreq/Hz, Z'/ohm, Z\"/ohm, Z/ohm, Phase/deg\n\n"
    + points("{f}, {re}, {im}, 0, 0"),
    "VersaStudio": "<Application>\n</Application>\nDefinition=Segment #, E(V), I(A), Elapsed Time(s), Frequency(Hz), "
    "Z Real, Z Imag\n" + points("0,0,0,1,{f},{re},{im}"),
    "PalmSens": "File date:,2026-01-01\nfreq / Hz,neg. Phase / °,Idc / uA,Z / Ohm,Z' / Ohm,Z'' / Ohm,Cs / F\n"
    + points("{f},0,1,0,{re},{minus},1e-9"),
    "Nova": "WE(1).Potential (V);Frequency (Hz);Z' (Ω);-Z'' (Ω)\n" + points("0;{f};{re};{minus}"),
}


@pytest.mark.parametrize("name", SPECTRA)
def test_every_export_holds_the_same_spectrum(tmp_path: Path, name: str) -> None:
    path = tmp_path / "export.txt"
    path.write_text(SPECTRA[name], encoding="utf-8")
    data = read_spectrum(path)
    np.testing.assert_allclose(data.omega, 2 * np.pi * F[::-1], rtol=1e-12)
    np.testing.assert_allclose(data.Z, Z[::-1], rtol=1e-12)
    assert not data.per_area and name.split(",")[0] in data.notes[0]


def test_maccor_without_states_says_that_currents_may_be_magnitudes(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("Today's Date ,x\nRec,Step,Test Time (sec),Current,Voltage\n1,1,0,0.1,0.2\n2,1,5,0.1,0.2\n")
    data = read_potentiostat(path)
    assert data.current is not None and data.current.tolist() == [0.1, 0.1] and "magnitudes" in data.notes[-1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[Summary]\nNovonix\n[Data]\nDate,Cycle\n1,2\n", "is an export of Novonix, but no line of it names a time"),
        (re.sub(r"\n1,2.*", "\n", COURSES["PEC"], flags=re.DOTALL), "no records below them"),
        (COURSES["BaSyTec"] + "1e5\t5\n", "row 8 has 2 cells, too few for its headings"),
        (COURSES["Nova"].replace("30.5", "a lot"), ""),
        (COURSES["Nova"] + "1;5;0;0\n", "the time runs backwards"),
    ],
)
def test_damaged_exports_are_refused_in_one_sentence_or_said(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text, encoding="utf-8")
    if words:
        with pytest.raises(InputError, match=re.escape(words)) as caught:
            read_potentiostat(path)
        assert "\n" not in str(caught.value)
    else:
        assert "skipped lines that contain no record: 1" in read_potentiostat(path).notes


def test_plain_tables_and_other_text_are_no_exports() -> None:
    for text in ("time (s),U (V)\n0,1\n", "", "hello\n", "x,y\n1,2\n", "t (h)\tI (mA)\n0\t1\n", "\ufeff\n"):
        assert read_export(Path("x.csv"), text) is None


def test_cut_utf_16_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(COURSES["Nova"].encode("utf-16")[:-1])
    with pytest.raises(InputError, match="begins as UTF-16 text and is not"):
        read_potentiostat(path)


@pytest.mark.parametrize(("ending", "library"), [(".xlsx", "openpyxl"), (".parquet", "pyarrow")])
def test_workbooks_and_parquet_ask_for_their_library_or_read(tmp_path: Path, ending: str, library: str) -> None:
    path = tmp_path / f"x{ending}"
    with pytest.raises(InputError, match="no such file"):
        read_potentiostat(path)
    path.write_bytes(b"PK no workbook")
    wanted = "cannot read it" if importlib.util.find_spec(library) else f"needs {library}, which is not installed"
    with pytest.raises(InputError, match=wanted):
        read_potentiostat(path)


@pytest.mark.skipif(importlib.util.find_spec("openpyxl") is None, reason="openpyxl is not installed")
def test_a_workbook_is_its_sheet_with_records(tmp_path: Path) -> None:
    from openpyxl import Workbook

    book = Workbook()
    book.active.append(["Device", "BTS"])
    sheet = book.create_sheet("record")
    sheet.append(["DataPoint", "Step Type", "Time", "Total Time", "Current(A)", "Voltage(V)"])
    for k, (t, U, I) in enumerate(zip(TIME.tolist(), VOLTAGE.tolist(), CURRENT.tolist(), strict=True)):
        sheet.append([k, "Rest", timedelta(seconds=0), timedelta(seconds=t), I, U])
    book.save(tmp_path / "n.xlsx")
    data = read_potentiostat(tmp_path / "n.xlsx")
    assert data.kind == "Neware"
    np.testing.assert_allclose(data.time, TIME, rtol=1e-12)


@pytest.mark.skipif(importlib.util.find_spec("pyarrow") is None, reason="pyarrow is not installed")
def test_a_parquet_file_is_its_columns(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(
        pa.table({"Test Time (s)": TIME, "Current (A)": CURRENT, "Voltage (V)": VOLTAGE}), tmp_path / "a.parquet"
    )
    data = read_potentiostat(tmp_path / "a.parquet")
    assert data.current is not None and data.voltage is not None
    np.testing.assert_array_equal([data.time, data.current, data.voltage], [TIME, CURRENT, VOLTAGE])
