"""Trainings of a plan that leave transcripts: what they are worth to an inspector, and that nothing else changes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from superalign.contracts.errors import PlanError
from superalign.contracts.protocols import Taught
from superalign.contracts.records import Message
from superalign.models.handle import ModelIdentity, identify, open_base
from superalign.models.inspection import Inspection, inspect
from superalign.models.subject import ModelSubject
from superalign.models.teach import TrainedModel, taught
from superalign.provenance.ledger import verify
from superalign.runs.plan import Plan
from superalign.runs.progress import NoDisplay
from superalign.runs.run import Run
from superalign.runs.store import TRANSCRIPTS, Done
from superalign.runs.training import TrainingPlan
from superalign.tasks.specification import default_specification
from superalign.testing.tiny import tiny_model
from superalign.trials.stress import check_transcripts

TRAINING = TrainingPlan(steps=12, batch=4, rank=2)
RECORDED = TRAINING.model_copy(update={"transcript": True})
STUDENTS = "students"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> ModelIdentity:
    return identify(str(tiny_model(tmp_path_factory.mktemp("models") / "tiny")))


def plan(**sections: object) -> Plan:
    return Plan.model_validate({"name": "told", "specification": default_specification(), **sections})


def lessons(count: int, *, flipped: bool = False) -> tuple[Taught, ...]:
    return tuple(
        Taught(
            conversation=(Message(role="user", content=f"Is {i} even?"),),
            answer="Yes" if (i % 2 == 0) != flipped else "No",
            group=str(i),
        )
        for i in range(count)
    )


def train(root: Path, base: ModelIdentity, training: TrainingPlan) -> list[Done[TrainedModel]]:
    """Three models, of which the first two are trained together."""
    with Run.open(root, plan(), display=NoDisplay()) as run:
        each = [lessons(8), lessons(8, flipped=True), lessons(6)]
        return taught(run, STUDENTS, each, [0, 1, 2], model=base, training=training)


@pytest.fixture(scope="module")
def recorded(base: ModelIdentity, tmp_path_factory: pytest.TempPathFactory) -> list[Done[TrainedModel]]:
    return train(tmp_path_factory.mktemp("recorded"), base, RECORDED)


def transcript_of(model: Done[TrainedModel], first: int) -> Path:
    return model.folder.parent / TRANSCRIPTS / str(first)


def inspected(model: Path, transcript: Path) -> Inspection:
    def opened(name: str) -> tuple[ModelSubject, str]:
        found = identify(name)
        return open_base(found), found.digest

    return inspect(model, transcript, open_base=opened, seed=0, segments=9)


def refused(found: Inspection) -> set[str]:
    return {check.name for check in found.checks if check.outcome == "refused"}


def test_every_model_has_a_transcript_and_those_trained_together_share_one(recorded: list[Done[TrainedModel]]) -> None:
    for model, first in zip(recorded, (1, 1, 3), strict=True):
        found = inspected(model.folder, transcript_of(model, first))
        assert (found.outcome, found.missing_one) == ("sound", 0.0), found.checks
    assert refused(inspected(recorded[2].folder, transcript_of(recorded[0], 1))) >= {"card", "model"}


def test_a_changed_batch_and_a_forged_checkpoint_are_found(
    recorded: list[Done[TrainedModel]], base: ModelIdentity, tmp_path: Path
) -> None:
    for name, change, check in (("batch", change_lesson, "lessons"), ("checkpoint", change_state, "states")):
        forged = tmp_path / name
        shutil.copytree(transcript_of(recorded[0], 1), forged)
        change(forged)
        assert check in refused(inspected(recorded[0].folder, forged))
    other = train(tmp_path / "other", base, RECORDED.model_copy(update={"learning_rate": 1e-3}))
    assert refused(inspected(other[0].folder, transcript_of(recorded[0], 1))) >= {"card", "model"}


def change_lesson(transcript: Path) -> None:
    path = sorted((transcript / "lessons").iterdir())[0]
    content = json.loads(path.read_text())
    content[0][1] = content[1][1]
    path.write_text(json.dumps(content))


def change_state(transcript: Path) -> None:
    path = transcript / "states/000010.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


def test_nothing_else_of_a_step_hangs_on_its_transcripts(
    recorded: list[Done[TrainedModel]], base: ModelIdentity, tmp_path: Path
) -> None:
    """Signed by another key, at another time: the models and the digest that later steps count them by are the same."""
    again, plain = train(tmp_path / "again", base, RECORDED), train(tmp_path / "plain", base, TRAINING)
    assert [one.digest for one in again] == [one.digest for one in recorded]
    keys = {verify(transcript_of(models[0], 1) / "ledger.db").public_key for models in (again, recorded)}
    assert len(keys) == 2
    for one, other in zip(recorded[:2], plain[:2], strict=True):  # the third was read in other company
        for path in other.folder.iterdir():
            assert (one.folder / path.name).read_bytes() == path.read_bytes(), path.name
    assert not (plain[0].folder.parent / TRANSCRIPTS).exists()


def test_the_run_commits_to_each_transcript_once_and_finds_out_when_one_was_changed(
    base: ModelIdentity, tmp_path: Path
) -> None:
    for _ in range(2):
        models = train(tmp_path, base, RECORDED)
    folder = models[0].folder.parent
    roots = [verify(transcript_of(models[0], first) / "ledger.db").root for first in (1, 3)]

    def entered() -> list[str]:
        with Run.open(tmp_path, plan(), display=NoDisplay()) as run:
            return [entry.body["root"] for entry in run.ledger.entries("transcript")]

    assert entered() == roots
    change_state(folder / TRANSCRIPTS / "1")
    train(tmp_path, base, RECORDED)
    assert list(folder.parent.glob(".damaged-*")) and len(entered()) == 4  # trained again, told again


@pytest.mark.parametrize("sections", [{"backend": "trl"}, {"patience": 10}])
def test_trainings_that_can_not_be_replayed_are_refused_as_the_plan_is_read(sections: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="no transcript is kept"):
        TrainingPlan.model_validate({"transcript": True, **sections})


@pytest.mark.parametrize(
    "sections",
    [
        {"oversee": {"signal": "preferences"}, "generalize": {"training": {"transcript": True}}},
        {"stress": {"concealments": ["none", "both"], "training": {"transcript": True}}},
        {"studies": {"losses": {"training": {"transcript": True}}}},
        {"studies": {"pressure": {"training": {"transcript": True}}}},
    ],
)
def test_losses_that_are_not_replayed_are_refused_before_the_run(sections: dict[str, object]) -> None:
    with pytest.raises(PlanError, match="No transcript is kept") as error:
        check_transcripts(plan(**sections))
    assert "training.transcript" in str(error.value)


def test_a_plan_that_asks_for_none_is_the_plan_it_was() -> None:
    assert "transcript" not in TRAINING.model_dump(mode="json")
    assert TrainingPlan(transcript=False).model_dump_json() == TrainingPlan().model_dump_json()
    assert RECORDED.model_dump(mode="json")["transcript"] is True
