"""What `superalign economics` prints and writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from superalign.cli.economics import gain, labour
from superalign.contracts.errors import InputError
from superalign.economics.forecast import Forecast
from superalign.economics.scenario import load_scenario
from tests.economics.test_gain import points


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.parametrize("name", ["published", "uncertain"])
def test_tables_fit_80_columns(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    labour(name, samples=500)
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    assert ("no; it takes readings.training: peak" in printed) == (name == "published")
    assert ("What drives months_needed" in printed) == (name == "uncertain")


def test_json_is_the_forecast(capsys: pytest.CaptureFixture[str]) -> None:
    labour("published", changes=["readings.working_hours=serial-only"], as_json=True)
    found = Forecast.model_validate_json(capsys.readouterr().out)
    assert found.outcome("researchers").central == pytest.approx(15_333, abs=1)


def test_files_are_written_and_read_back(tmp_path: Path) -> None:
    paths = {kind: str(tmp_path / f"out.{kind}") for kind in ("html", "svg", "yaml")}
    labour("uncertain", samples=500, seed=3, html=paths["html"], svg=paths["svg"], write=paths["yaml"])
    assert load_scenario(paths["yaml"]) == load_scenario("uncertain", ["samples=500", "seed=3"])
    assert "</html>" in Path(paths["html"]).read_text()
    assert Path(paths["svg"]).read_text().startswith("<svg")


def test_what_can_not_be_written_or_drawn_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can't be written"):
        labour("published", html=str(tmp_path / "none" / "out.html"))
    with pytest.raises(InputError, match="nothing to draw"):
        labour("published", svg=str(tmp_path / "out.svg"))


def test_gains_are_printed_or_unscored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "points.json"
    file.write_text(json.dumps([each.model_dump() for each in [*points("plain", 1, spread=0.1), *points("fast", 3)]]))
    gain(str(file), loss=[2.0, 0.5])
    printed = capsys.readouterr().out
    assert "Compute of plain over that of fast" in printed
    assert "unscored" in printed
    gain(str(file), loss=[2.0], as_json=True)
    [at] = json.loads(capsys.readouterr().out)["at"]
    assert at["gain"]["low"] < 3 < at["gain"]["high"]
