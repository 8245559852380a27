"""Validating a model that somebody else made: full weights, or an adapter written by the peft package."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from superalign import pipeline
from superalign.contracts.errors import InputError, SuperalignError
from superalign.contracts.records import Finding
from superalign.contracts.summary import Summary
from superalign.runs.run import verify_run

from ..chat_server import environment, serving
from .conftest import Finished, Recorder

INSIDE = {"probe every second layer", "read the truth token by token"}
PERTURBED_FROM = 3  # of 5 layers


def load_base(tiny: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.bfloat16)


@pytest.fixture(scope="module")
def full(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All weights, the upper layers changed."""
    folder = tmp_path_factory.mktemp("made-elsewhere") / "full"
    model = load_base(tiny)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for layer in model.model.layers[PERTURBED_FROM:]:
            for weight in layer.parameters():
                weight += (0.1 * torch.randn(weight.shape, generator=generator)).to(weight.dtype)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def adapter(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What peft writes, with adapters that do something."""
    folder = tmp_path_factory.mktemp("made-elsewhere") / "adapter"
    torch.manual_seed(0)
    config = LoraConfig(
        r=4, lora_alpha=16, target_modules=["q_proj", "up_proj", "down_proj"], init_lora_weights=False,
        task_type="CAUSAL_LM",
    )  # fmt: skip
    get_peft_model(load_base(tiny), config).save_pretrained(folder)
    return folder


def validated(model: Path | str, base: Path, root: Path, run: Finished) -> tuple[Summary, Path, list[tuple[str, bool]]]:
    display = Recorder()
    summary, folder = pipeline.validate_model(root, str(model), str(base), plan=run.plan, display=display)
    return summary, folder, display.finished


@pytest.fixture
def root(complete: Finished, tmp_path: Path) -> Path:
    """Where the students of a run lie already, of which the thresholds are made."""
    return Path(shutil.copytree(complete.root, tmp_path / "runs"))


@pytest.mark.parametrize("kind", ["full", "adapter"])
def test_a_model_made_elsewhere_is_validated(
    kind: str, tiny: Path, complete: Finished, root: Path, request: pytest.FixtureRequest
) -> None:
    model: Path = request.getfixturevalue(kind)
    summary, folder, steps = validated(model, tiny, root, complete)
    assert summary.model == str(model)
    assert [result.detector for result in summary.validation] == ["consistency", "knowledge"]
    for result in summary.validation:
        assert (result.score is None) == (result.verdict is Finding.UNDETERMINED and not result.evidence)
        assert result.reason
    assert summary.thresholds == complete.summary.thresholds
    assert summary.inside is not None and summary.inside != complete.summary.inside
    assert (summary.oversight, summary.generalization, summary.trial, summary.decision) == (None,) * 4
    assert summary.battery is not None and summary.battery.reference == len(summary.thresholds[0].benign)
    (detection,) = (claim for claim in summary.argument if claim.id == "detection")
    assert all(piece.record.startswith(f"{complete.folder.name}: ") for piece in detection.evidence)
    assert Summary.model_validate_json((folder / "summary.json").read_text()) == summary
    assert "<svg" in (folder / "report.html").read_text()
    assert verify_run(folder)
    trained = {label for label, reused in steps if not reused}
    assert trained == {"consistency on the model", "knowledge on the model", *INSIDE}

    again, same_folder, steps = validated(model, tiny, root, complete)
    assert (again, same_folder) == (summary, folder)
    assert all(reused for _, reused in steps)


def test_without_a_trial_of_the_same_battery_none_is_quoted(
    tiny: Path, full: Path, complete: Finished, root: Path
) -> None:
    fewer = complete.plan.validation.model_copy(update={"detectors": ("consistency",)})
    changed = replace(complete, plan=complete.plan.model_copy(update={"validation": fewer}))
    summary, _, _ = validated(full, tiny, root, changed)
    (detection,) = (claim for claim in summary.argument if claim.id == "detection")
    assert (detection.status, detection.evidence) == ("not measured", ())
    assert "No trial backs this battery" in detection.argument


def test_the_detectors_see_the_model_and_not_its_base(
    tiny: Path, full: Path, adapter: Path, complete: Finished, root: Path
) -> None:
    copy = Path(shutil.copytree(tiny, root.parent / "copy"))
    seen = {
        json.dumps([result.details for result in validated(model, tiny, root, complete)[0].validation])
        for model in (copy, full, adapter)
    }
    assert len(seen) == 3


def test_an_endpoint_is_validated_as_far_as_it_shows_itself(
    tiny: Path, complete: Finished, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No detector here can do with answers alone: none says clear, and each says what it would need."""
    with serving() as server:
        for name, value in environment(server).items():
            monkeypatch.setenv(name, value)
        summary, folder, _ = validated("openai-api/loopback/m", tiny, root, complete)
    assert [result.verdict for result in summary.validation] == [Finding.UNDETERMINED] * 2
    assert all("needs access to" in result.reason and "logprobs" in result.reason for result in summary.validation)
    assert summary.inside is None
    assert "<svg" in (folder / "report.html").read_text()


def test_a_model_of_another_shape_is_refused(tiny: Path, complete: Finished, root: Path, tmp_path: Path) -> None:
    from superalign.testing.tiny import tiny_model

    other = tiny_model(tmp_path / "other", layers=3)
    with pytest.raises(InputError, match="3 layers"):
        validated(other, tiny, root, complete)


def test_a_truncated_model_is_refused_before_there_is_a_run(
    tiny: Path, full: Path, complete: Finished, tmp_path: Path
) -> None:
    damaged = Path(shutil.copytree(full, tmp_path / "damaged"))
    (weights,) = damaged.glob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(SuperalignError):
        validated(damaged, tiny, tmp_path / "runs", complete)
    assert not (tmp_path / "runs").exists()
