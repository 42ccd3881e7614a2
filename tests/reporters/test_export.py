"""Exports: every column with its unit, words for codes, and a histogram log that the family's own tools read."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from meshtest.cli import main
from meshtest.model.request import UNKNOWN_SERVER, Fate, Requests
from meshtest.reporters.hdr import encoded, write_hdr
from meshtest.reporters.table import names, write_csv
from meshtest.run import Run
from meshtest.settings import Settings
from tests.checks.histories import V1, V2, request


def stored(tmp_path: Path) -> Path:
    """A run with two loads, the second in two parts."""
    from meshtest.model import packing

    with Run("canary", Settings(reports=tmp_path / "reports"), command="pytest", seed=7) as run:
        (run.directory / "requests").mkdir(exist_ok=True)
        for name, count in (("load1", 5), ("load2", 3), ("load2+1", 2)):
            path = run.directory / "requests" / f"{name}.bin"
            path.with_suffix(".names").write_text("web/v1/web-v1-1\n")
            path.write_bytes(b"".join(packing.row(request(i, i * 0.5), 1, run.start_ns) for i in range(count)))
    return run.directory


class TestCsv:
    def test_a_row_tells_everything_in_words_and_units(self) -> None:
        lost = request(1, 0.5, fate=Fate.RESET, late=0.0001, latency=0.25)
        file = io.StringIO()
        assert write_csv([request(0, 0.25, V2), lost], file, wall_start=1000.0) == 2
        answered, reset = csv.DictReader(io.StringIO(file.getvalue()))
        assert list(answered) == names()
        assert (answered["fate"], answered["status"], answered["version"], answered["lane"]) == (
            "answered", "200", "v2", "keepalive",
        )  # fmt: skip
        assert (answered["intended_s"], answered["done_s"], answered["epoch_s"]) == (
            "0.2500000", "0.2510000", "1000.2500000",
        )  # fmt: skip
        assert (reset["fate"], reset["status"], reset["version"], reset["first_byte_s"]) == ("reset", "", "", "")
        assert (reset["sent_s"], reset["latency_s"]) == ("0.5001000", "0.2500000")

    def test_a_command_writes_all_loads_or_one(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        run = stored(tmp_path)
        assert main(["export", str(run), "--csv", "-"]) == 0
        out, err = capsys.readouterr()
        rows = list(csv.DictReader(io.StringIO(out)))
        assert [row["load"] for row in rows] == ["load1"] * 5 + ["load2"] * 5
        assert err == "10 requests -> standard output\n"
        assert main(["export", str(run), "--csv", str(tmp_path / "x.csv"), "--load", "load2"]) == 0
        assert (tmp_path / "x.csv").read_text().count("\n") == 6


class TestParquet:
    def test_it_has_the_same_columns_with_types(self, tmp_path: Path) -> None:
        parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow (extra export) is not installed")
        path = tmp_path / "x.parquet"
        assert main(["export", str(stored(tmp_path)), "--parquet", str(path)]) == 0
        table = parquet.read_table(path)
        assert table.column_names == names()
        assert table.num_rows == 10
        assert table.column("version").to_pylist() == ["v1"] * 10
        assert table.column("latency_s").to_pylist()[0] == pytest.approx(0.001)

    def test_without_pyarrow_the_error_names_the_extra(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
        assert main(["export", str(stored(tmp_path)), "--parquet", str(tmp_path / "x")]) == 4
        assert "pip install 'meshtest[export]'" in capsys.readouterr().err


class TestHdr:
    def test_the_reference_decodes_what_was_counted(self) -> None:
        histogram = _histogram()
        values = {1: 3, 999: 1, 2047: 2, 2048: 1, 4_096_000: 7, 17_000_000: 1, 3_599_000_000_000: 1}
        decoded = histogram.decode(encoded(values))
        assert decoded.get_total_count() == sum(values.values())
        for value, count in values.items():
            assert decoded.get_count_at_value(value) == count
        assert decoded.get_max_value() == pytest.approx(3_599_000_000_000, rel=1e-3)

    def test_a_log_has_a_histogram_a_second_and_version(self, tmp_path: Path) -> None:
        histogram = _histogram()
        requests = [request(i, i * 0.25, V2 if i % 4 == 0 else V1, latency=0.001 * (i + 1)) for i in range(8)]
        requests.append(request(8, 1.9, UNKNOWN_SERVER, fate=Fate.REFUSED))
        file = io.StringIO()
        assert write_hdr(Requests.of(requests), file, wall_start=1000.5) == 8
        lines = [line for line in file.getvalue().splitlines() if line[0] not in '#"']
        assert [line.split(",")[:4] for line in lines] == [
            ["Tag=web/v1", "0.000", "1.000", "4.000"], ["Tag=web/v2", "0.000", "1.000", "1.000"],
            ["Tag=web/v1", "1.000", "1.000", "8.000"], ["Tag=web/v2", "1.000", "1.000", "5.000"],
        ]  # fmt: skip
        assert "#[not answered: 1]" in file.getvalue()
        first = histogram.decode(lines[0].split(",")[4])
        assert first.get_value_at_percentile(50) == pytest.approx(3e6, rel=1e-3)

    def test_the_reference_reads_the_whole_log(self, tmp_path: Path) -> None:
        reference = _histogram()
        from hdrh.log import HistogramLogReader

        path = tmp_path / "x.hlog"
        assert main(["export", str(stored(tmp_path)), "--hdr", str(path)]) == 0
        reader = HistogramLogReader(str(path), reference)
        total = 0
        while (interval := reader.get_next_interval_histogram()) is not None:
            total += interval.get_total_count()
        reader.input_file.close()
        assert total == 10


def _histogram() -> Any:
    hdrh = pytest.importorskip("hdrh.histogram", reason="hdrhistogram (extra dev) is not installed")
    return hdrh.HdrHistogram(1, 3_600_000_000_000, 3)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "name what to write: --csv FILE, --parquet FILE or --hdr FILE"),
        (["--csv", "-", "--load", "other"], "has no load 'other'; there are: load1, load2"),
        (["--csv", "/nowhere/x.csv"], "cannot write /nowhere/x.csv: No such file or directory"),
        (["--parquet", "/nowhere/x"], "cannot write /nowhere/x: "),
    ],
)
def test_bad_input_is_one_clear_error(
    words: list[str], text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(stored(tmp_path)), *words]) == 4
    assert text in capsys.readouterr().err


def test_a_folder_that_is_no_run_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(tmp_path), "--csv", "-"]) == 4
    assert "is not a run folder" in capsys.readouterr().err
