"""`superalign control`: what it prints, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from superalign.cli.app import app
from superalign.contracts.actions import AlarmStudy, ControlStudy
from superalign.contracts.attribution import AttributionStudy
from superalign.contracts.channels import ChannelStudy
from superalign.contracts.egress import EgressReport
from superalign.contracts.errors import InputError
from superalign.testing.tiny import tiny_model


def said(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["control", *arguments], catch_exceptions=False, standalone_mode=False)
    return done.stdout


def test_protocols_give_a_record_and_a_plot(tmp_path: Path) -> None:
    found = ControlStudy.model_validate(json.loads(said("protocols", "--json", "--plot", str(tmp_path / "c.svg"))))
    assert {point.protocol for point in found.points} == {"monitoring", "deferring", "editing"}
    assert (tmp_path / "c.svg").read_text().startswith("<svg")


def test_alarms_give_a_record() -> None:
    found = AlarmStudy.model_validate(json.loads(said("alarms", "--rate", "0.05", "--json")))
    assert found.kinds == 14 and len(found.alarms) == 6


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["protocols", "--budget", "0.03"], "Take one of"),
        (["protocols", "--organism", "nowhere"], "Build one"),
        (["calibrate", "nowhere.eval"], "no log"),
        (["channels", "--organism", "nowhere"], "organisms build collusion"),
        (["egress", "nowhere.jsonl"], "can't be read"),
    ],
)
def test_bad_input_names_what_to_type_instead(arguments: list[str], says: str) -> None:
    with pytest.raises(InputError, match=says):
        said(*arguments)


def test_an_organism_without_tools_is_refused(tmp_path: Path) -> None:
    (tmp_path / "organism").mkdir()
    card = {"family": "sycophancy", "base": "smollm2-135m", "secret": 1}
    (tmp_path / "organism" / "organism.json").write_text(json.dumps(card))
    with pytest.raises(InputError, match="calls no tools"):
        said("protocols", "--organism", str(tmp_path))


def test_channels_give_a_record() -> None:
    found = ChannelStudy.model_validate(json.loads(said("channels", "--answers", "40", "--json")))
    assert {one.countermeasure for one in found.capacities} >= {"none", "formatting", "replay, held"}


def test_an_organism_that_writes_to_no_copy_is_refused(tmp_path: Path) -> None:
    (tmp_path / "organism").mkdir()
    card = {"family": "sycophancy", "base": "smollm2-135m", "secret": 1}
    (tmp_path / "organism" / "organism.json").write_text(json.dumps(card))
    with pytest.raises(InputError, match="writes to no copy"):
        said("channels", "--organism", str(tmp_path))


def test_outputs_that_were_drawn_are_let_out_and_others_held(tmp_path: Path) -> None:
    model, kept = str(tiny_model(tmp_path / "tiny")), tmp_path / "honest.jsonl"
    options = ["--model", model, "--json"]
    study = said("attribute", *options, "--prompts", "5", "--tokens", "8", "--out", str(kept))
    assert AttributionStudy.model_validate(json.loads(study)).prompts == 5
    figure = tmp_path / "egress.svg"
    found = EgressReport.model_validate(json.loads(said("egress", str(kept), *options, "--plot", str(figure))))
    assert found.held == 0 and figure.read_text().startswith("<svg")
    kept.write_text('{"prompt": "Tell me.", "output": "something that no seed explains"}')
    done = CliRunner().invoke(app, ["control", "egress", str(kept), *options])
    assert done.exit_code == 3 and json.loads(done.stdout)["held"] == 1
