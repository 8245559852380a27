"""A transcript changes nothing of a training, an honest one is never refused, and every attack is found."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from superalign.contracts.errors import InputError, LedgerError, ModelError
from superalign.models import inspection
from superalign.models.inspection import Inspection, inspect, longest
from superalign.models.lessons import Pupil, Recipe
from superalign.models.retraining import train_recorded
from superalign.models.train import train
from superalign.models.transcript import record
from superalign.provenance.transcript import chance_of_missing, drawn, read
from tests.models import transcript_attacks as attacks
from tests.models.transcript_attacks import BASE_DIGEST, EVERY, RECIPE, STEPS, Claim

# What must find each attack, when all segments are replayed.
FOUND_BY = {
    "extra_steps_told": "order",
    "extra_steps_hidden": "replay",
    "more_training_after_the_log": "model",
    "swapped_data": "replay",
    "swapped_lessons_file": "lessons",
    "poisoned_batch": "replay",
    "forged_checkpoint": "states",
    "forged_checkpoint_and_log": "replay",
    "forged_optimizer": "replay",
    "spliced_run": "replay",
    "reordered_rows": "log",
    "reordered_log": "steps",
    "reordered_data": "order",
    "truncated_rows": "log",
    "truncated_log": "steps",
    "gap_in_the_log": "steps",
    "shortened_log": "order",
    "interpolated": "replay",
}


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Claim:
    return attacks.honest(tmp_path_factory.mktemp("honest"))


def inspected(claim: Claim, *, segments: int = STEPS, seed: int = 0, **given: Any) -> Inspection:
    given.setdefault("open_base", lambda name: (attacks.base(), BASE_DIGEST))
    return inspect(claim.model, claim.transcript, seed=seed, segments=segments, **given)


def refused(found: Inspection) -> set[str]:
    return {check.name for check in found.checks if check.outcome == "refused"}


@pytest.mark.parametrize("attack", attacks.ATTACKS, ids=lambda attack: attack.__name__)
def test_every_attack_is_found(attack: Any, example: Claim, tmp_path: Path) -> None:
    found = inspected(attack(example, tmp_path))
    assert found.outcome == "refused"
    assert FOUND_BY[attack.__name__] in refused(found)


@pytest.mark.parametrize("seed", range(3))
def test_honest_trainings_are_never_refused(seed: int, tmp_path: Path) -> None:
    found = inspected(attacks.honest(tmp_path, seed=seed, every=2 + seed), seed=seed)
    assert found.outcome == "sound", found.checks
    assert not found.elsewhere and found.missing_one == 0


@pytest.mark.parametrize(
    "recipe",
    [replace(RECIPE, trained="layers", learning_rate=1e-3), replace(RECIPE, backend="peft")],
    ids=["layers", "peft"],
)
def test_other_back_ends_are_replayed_too(recipe: Recipe, tmp_path: Path) -> None:
    found = inspected(attacks.honest(tmp_path, recipe=recipe))
    assert found.outcome == "sound", found.checks


def test_models_that_are_trained_together_share_a_transcript_that_changes_nothing(tmp_path: Path) -> None:
    base = attacks.base()
    taught = [attacks.lessons(), attacks.lessons(flipped=True)]
    base.decoder.read([lesson.prompt for lesson in taught[0][:3]])  # what it remembers must play no part
    kept = [Pupil(own, seed, tmp_path / f"kept-{seed}") for seed, own in enumerate(taught)]
    plain = [replace(pupil, folder=tmp_path / f"plain-{pupil.seed}") for pupil in kept]
    folder = tmp_path / "transcript"
    train_recorded(base, kept, RECIPE, base_digest=BASE_DIGEST, folder=folder, every=EVERY)
    train(attacks.base(), plain, RECIPE, base_digest=BASE_DIGEST)
    for own, other in zip(kept, plain, strict=True):
        for path in own.folder.iterdir():
            assert path.read_bytes() == (other.folder / path.name).read_bytes()
        assert inspected(Claim(own.folder, folder)).outcome == "sound"


def test_a_model_that_went_on_from_another_needs_that_one(example: Claim, tmp_path: Path) -> None:
    claim = Claim(tmp_path / "model", tmp_path / "transcript")
    pupil = Pupil(attacks.lessons(flipped=True), 5, claim.model, start=example.model)
    train_recorded(attacks.base(), [pupil], RECIPE, base_digest=BASE_DIGEST, folder=claim.transcript, every=EVERY)
    assert inspected(claim, starts=[example.model]).outcome == "sound"
    assert inspected(claim).outcome == "unscored"
    assert refused(inspected(claim, starts=[claim.model])) == {"lessons"}


def test_a_state_that_was_not_kept_is_unscored_and_no_pass(example: Claim, tmp_path: Path) -> None:
    claim = example.copied(tmp_path)
    (claim.transcript / "states/000006.safetensors").unlink()
    found = inspected(claim)
    assert found.outcome == "unscored"
    assert found.replayed == (1, 4) and found.missing_one == 0.5
    assert {check.name for check in found.checks if check.outcome == "unscored"} == {"states", "replay"}


def test_nothing_replayed_is_unscored(example: Claim) -> None:
    found = inspected(example, segments=0)
    assert (found.outcome, found.missing_one) == ("unscored", 1.0)


def test_another_model_another_base_another_key_are_refused(example: Claim, tmp_path: Path) -> None:
    other = attacks.honest(tmp_path / "other", seed=1)
    assert refused(inspected(Claim(other.model, example.transcript))) == {"card", "model"}
    found = inspected(example, open_base=lambda name: (attacks.base(), "1" * 64))
    assert refused(found) == {"base"} and not found.replayed
    assert refused(inspected(example, public_key="ab" * 32)) == {"log"}


def test_what_lies_beside_a_models_files_is_no_part_of_it(example: Claim, tmp_path: Path) -> None:
    """Opened would be a delta first."""
    claim = example.copied(tmp_path)
    (claim.model / "delta.safetensors").write_bytes(b"x")
    assert refused(inspected(claim)) == {"model"}


def test_elsewhere_a_replay_is_held_to_a_tolerance(
    example: Claim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = inspection.this_machine
    monkeypatch.setattr(
        inspection, "this_machine", lambda device: here(device).model_copy(update={"processor": "another"})
    )
    found = inspected(attacks.forged_checkpoint_and_log(example, tmp_path / "little"))
    assert found.outcome == "sound" and found.elsewhere == ("processor",)  # less than the tolerance is not seen there
    for attack in (attacks.interpolated, attacks.spliced_run, attacks.poisoned_batch):
        assert refused(inspected(attack(example, tmp_path / attack.__name__))) >= {"replay"}


def test_numbers_that_are_none_are_refused_on_any_machine(
    example: Claim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = inspection.this_machine
    monkeypatch.setattr(inspection, "this_machine", lambda device: here(device).model_copy(update={"device": "other"}))
    tensors = attacks.state(example, 6)
    tensors["weights.0"] = tensors["weights.0"] * math.nan
    found = inspected(attacks.restated(example.copied(tmp_path), {6: tensors}))
    assert refused(found) == {"states", "replay"}


def test_no_transcript_and_no_model_are_bad_input(example: Claim, tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="no transcript"):
        inspected(Claim(example.model, tmp_path))
    with pytest.raises(ModelError, match="no model"):
        inspected(Claim(tmp_path / "none", example.transcript))


@pytest.mark.parametrize(
    "recipe", [replace(RECIPE, backend="trl"), replace(RECIPE, patience=5)], ids=["trl", "patience"]
)
def test_what_could_not_be_replayed_is_not_recorded(recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No transcript"):
        attacks.honest(tmp_path, recipe=recipe)


@given(st.integers(1, 30), st.integers(0, 30), st.integers(1, 30))
def test_the_chance_of_missing_is_that_of_drawing_without_replacement(segments: int, count: int, forged: int) -> None:
    left, chance = segments, 1.0
    for _ in range(min(count, segments)):
        chance *= max(left - min(forged, segments), 0) / left
        left -= 1
    assert math.isclose(chance_of_missing(segments, count, forged), chance, abs_tol=1e-12)


def test_draws_hit_a_forged_segment_as_often_as_is_printed(example: Claim) -> None:
    found, _ = read(example.transcript)
    assert found is not None
    draws = [[segment.number for segment in drawn(found, 1, seed)] for seed in range(4000)]
    missed = sum(3 not in own for own in draws) / len(draws)
    assert abs(missed - chance_of_missing(len(found.segments), 1)) < 4 * math.sqrt(0.25 * 0.75 / len(draws))
    assert drawn(found, 2, 1) == drawn(found, 2, 1)
    assert drawn(found, 99, 1) == list(found.segments)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-1e3, 1e3).filter(lambda g: abs(g) > 1e-3), min_size=1, max_size=25))
def test_no_gradients_move_a_weight_further_than_is_held_possible(gradients: list[float]) -> None:
    weight = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = torch.optim.AdamW([weight], lr=1.0, betas=inspection.BETAS, weight_decay=0.0, eps=0.0)
    for step, gradient in enumerate(gradients, start=1):
        before = weight.item()
        weight.grad = torch.full_like(weight, gradient)
        optimizer.step()
        assert abs(weight.item() - before) <= longest(step) * (1 + 1e-9)


class Loop:
    """Somebody's own training: dropout, momentum, and batches by number."""

    def __init__(self) -> None:
        torch.manual_seed(3)
        self.model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)
        self.data = torch.randn(30, 5, 4, generator=torch.Generator().manual_seed(1))

    def step(self, number: int) -> None:
        self.optimizer.zero_grad()
        self.model(self.data[number]).square().mean().backward()
        self.optimizer.step()


@pytest.fixture
def own(tmp_path: Path) -> Claim:
    from safetensors.torch import save_file

    claim, loop = Claim(tmp_path / "own", tmp_path / "own-transcript"), Loop()
    loop.model.train()
    with record(claim.transcript, loop.model, loop.optimizer, base="none", every=4):
        for number in range(1, 11):
            loop.step(number)
    claim.model.mkdir()
    save_file(loop.model.state_dict(), claim.model / "model.safetensors")
    return claim


def test_a_loop_of_the_users_own_is_recorded_and_replayed(own: Claim) -> None:
    assert inspected(own, trainer=Loop()).outcome == "sound"
    found = inspected(own)
    assert found.outcome == "unscored" and not refused(found)


def test_a_loop_that_goes_otherwise_is_refused(own: Claim) -> None:
    other = Loop()
    other.data = other.data.flip(0)
    assert refused(inspected(own, trainer=other)) == {"replay"}
    unlike = Loop()
    torch.nn.init.zeros_(unlike.model[0].weight)
    assert "first state" in refused(inspected(own, trainer=unlike))


def test_a_recording_that_was_cut_short_is_refused(tmp_path: Path) -> None:
    loop = Loop()
    with pytest.raises(KeyboardInterrupt), record(tmp_path / "t", loop.model, loop.optimizer, base="none", every=2):
        for number in range(1, 6):
            loop.step(number)
        raise KeyboardInterrupt
    tmp_path.joinpath("model").mkdir()
    found = inspected(Claim(tmp_path / "model", tmp_path / "t"))
    assert refused(found) == {"steps"} and "no end" in found.checks[-1].says


def test_a_recorder_wants_a_folder_and_an_optimizer_of_the_model(tmp_path: Path, own: Claim) -> None:
    loop, other = Loop(), Loop()
    with (
        pytest.raises(InputError, match="holds something"),
        record(own.transcript, loop.model, loop.optimizer, base=""),
    ):
        pass
    with (
        pytest.raises(InputError, match="not the model's"),
        record(tmp_path / "other", loop.model, other.optimizer, base=""),
    ):
        other.step(1)


def test_a_trainer_of_transformers_is_recorded_by_a_callback(tmp_path: Path) -> None:
    """What is recorded is what the trainer fed and made, and a plain loop over the same batches replays it."""
    from datasets import Dataset
    from transformers import Trainer, TrainingArguments, default_data_collator

    from superalign.models.transcript_trl import TranscriptCallback

    rows = [[(7 * row + place) % 100 for place in range(6)] for row in range(12)]
    kept = Dataset.from_dict({"input_ids": rows, "labels": rows})

    def fresh() -> Any:
        model = attacks.base().decoder.model
        model.get_input_embeddings().weight.requires_grad_(False)
        model.model.layers[-1].requires_grad_(True)
        return model

    class Again:
        """Two steps of accumulation, as the trainer was told."""

        def __init__(self) -> None:
            self.model = fresh()
            trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
            self.optimizer = torch.optim.AdamW(trained, lr=1e-3, weight_decay=0.0)

        def step(self, number: int) -> None:
            self.optimizer.zero_grad()
            for half in range(2):
                batch = default_data_collator([kept[4 * (number - 1) + 2 * half + row] for row in range(2)])
                (self.model(**batch, use_cache=False).loss / 2).backward()
            self.optimizer.step()

    model = fresh()
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(tmp_path / "trainer"),
            max_steps=3,
            per_device_train_batch_size=2,
            gradient_accumulation_steps=2,
            learning_rate=1e-3,
            lr_scheduler_type="constant",
            optim="adamw_torch",
            max_grad_norm=0.0,
            train_sampling_strategy="sequential",
            use_cpu=True,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=kept,
        callbacks=[TranscriptCallback(tmp_path / "transcript", base="tiny", every=2)],
    )
    trainer.train()
    found, checks = read(tmp_path / "transcript")
    assert found is not None, checks
    assert found.ending.steps == 3 and len(found.segments) == 2
    assert len({batch for segment in found.segments for batch in segment.batches}) == 3
    assert all(".layers.4." in name for name in found.declared.parameters)
    last = attacks.state(Claim(tmp_path, tmp_path / "transcript"), 3)
    own = dict(model.named_parameters())
    assert all(torch.equal(last[f"weights.{name}"], own[name]) for name in found.declared.parameters)
    again = Again()
    for number in range(1, 4):
        again.step(number)
    assert all(
        torch.allclose(last[f"weights.{name}"], tensor, atol=1e-5)
        for name, tensor in again.model.named_parameters()
        if tensor.requires_grad
    )
