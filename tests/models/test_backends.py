"""One interface, three back ends: the same lessons give models that behave alike, and each leaves a card to trust."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, GPTNeoXConfig, GPTNeoXForCausalLM

from superalign.contracts.errors import InputError, ModelError
from superalign.contracts.records import Conversation
from superalign.models.adapter import AdaptedDecoder
from superalign.models.decoder import Decoder
from superalign.models.handle import open_trained
from superalign.models.learning import Loss, States
from superalign.models.lessons import Lesson, Pupil, Recipe, split
from superalign.models.subject import ModelSubject
from superalign.models.train import train
from superalign.models.train_layers import LayerLearner
from superalign.provenance.digest import file_digests
from superalign.testing.tiny import VOCABULARY, tiny_subject
from tests.models.conftest import RECIPE, rule_lessons, train_one, user

ANSWERS = {"Is water wet?": "Yes", "Is fire cold?": "No", "Who are you?": "No one", "Name a city.": "Paris, in France"}
RECIPES = {
    "adapters": RECIPE,
    "layers": replace(RECIPE, trained="layers", learning_rate=3e-3),
    "peft": replace(RECIPE, backend="peft"),
}
WORDS = ("apple", "bridge")


def by_heart(base: ModelSubject) -> list[Lesson]:
    """The answers above, each to its end."""
    return [Lesson(base.chat.encode(user(text)), base.chat.answer(answer)) for text, answer in ANSWERS.items()] * 4


@pytest.fixture(params=RECIPES)
def recipe(request: pytest.FixtureRequest) -> Recipe:
    return RECIPES[request.param]


def trained(
    base: ModelSubject, recipe: Recipe, folder: Path, lessons: list[Lesson] | None = None, **other: Any
) -> ModelSubject:
    taught = by_heart(base) if lessons is None else lessons
    train_one(base, taught, recipe, folder, **other)
    return open_trained(base, folder, "student")


def test_each_learns_answers_by_heart_and_leaves_the_base_alone(
    recipe: Recipe, tmp_path: Path, asked: list[Conversation]
) -> None:
    base = tiny_subject()
    before = {name: tensor.clone() for name, tensor in base.decoder.model.state_dict().items()}
    said = base.yes_logits(asked)
    student = trained(base, recipe, tmp_path)
    assert student.respond([user(text) for text in ANSWERS]) == list(ANSWERS.values())
    assert not np.allclose(student.yes_logits(asked), said, atol=0.1)
    after = base.decoder.model.state_dict()
    assert after.keys() == before.keys() and all(torch.equal(after[name], before[name]) for name in before)
    assert np.array_equal(base.yes_logits(asked), said)
    assert student.base is base


def test_each_learns_the_rule_behind_the_lessons(tiny: ModelSubject, recipe: Recipe, tmp_path: Path) -> None:
    student = trained(tiny, recipe, tmp_path, rule_lessons(tiny, WORDS, 40))
    held_out = rule_lessons(tiny, WORDS, 20, start=40)
    states = student.decoder.final([lesson.prompt for lesson in held_out])
    answers = (states @ student.decoder.head.T).argmax(1).tolist()
    assert np.mean([answer == lesson.answer[0] for answer, lesson in zip(answers, held_out, strict=True)]) >= 0.9


def test_trained_again_it_is_the_same_to_the_byte(recipe: Recipe, tmp_path: Path) -> None:
    """A killed run starts a step anew, in a process whose random state is any, and must find the same."""
    short = replace(recipe, steps=12, patience=10)
    trained(tiny_subject(), short, tmp_path / "first")
    torch.manual_seed(99)
    state = torch.get_rng_state()
    trained(tiny_subject(), short, tmp_path / "second")
    assert torch.equal(torch.get_rng_state(), state)
    assert file_digests(tmp_path / "first") == file_digests(tmp_path / "second")


def test_it_stops_on_agreement_and_leaves_the_model_that_agreed_most(
    tiny: ModelSubject, recipe: Recipe, tmp_path: Path
) -> None:
    """Labels drawn by chance: agreement with those held out rises no more once the others are learnt by heart."""
    chance = torch.randint(2, (80,), generator=torch.Generator().manual_seed(0)).tolist()
    yes_no = [tiny.chat.answer(text, end=False) for text in ("Yes", "No")]
    lessons = [
        replace(lesson, answer=yes_no[label])
        for lesson, label in zip(rule_lessons(tiny, ("apple", "apple"), 40), chance, strict=True)
    ]
    watching = replace(recipe, patience=20, steps=120, watched="disagreement")
    card = train_one(tiny, lessons, watching, tmp_path)
    assert card.fit.stopped_by == "held-out disagreement" and card.fit.steps - card.fit.kept_step == 20
    looked = {point.step: point.held_out for point in card.fit.curve if point.held_out is not None}
    assert card.fit.kept_step == min(looked, key=lambda step: looked[step])
    held_out = [lessons[row] for row in split(lessons, watching, seed=0)[1]]
    states = open_trained(tiny, tmp_path, "student").decoder.final([lesson.prompt for lesson in held_out])
    said = (states @ tiny.decoder.head[[answer[0] for answer in yes_no]].T).argmax(1).tolist()
    wrong = [yes_no[answer] != lesson.answer for answer, lesson in zip(said, held_out, strict=True)]
    assert np.mean(wrong) == looked[card.fit.kept_step]


def test_it_goes_on_from_where_it_was(tiny: ModelSubject, recipe: Recipe, tmp_path: Path) -> None:
    """With steps too small to move anything, the second model must be the first."""
    first = trained(tiny, recipe, tmp_path / "first")
    still = replace(recipe, steps=1, learning_rate=1e-9)
    second = trained(tiny, still, tmp_path / "second", start=tmp_path / "first")
    prompts = [tiny.chat.encode(user(text)) for text in ANSWERS]
    assert torch.allclose(second.decoder.final(prompts), first.decoder.final(prompts), atol=1e-3)
    card = json.loads((tmp_path / "second/card.json").read_text())
    assert card["start"] == file_digests(tmp_path / "first")["card.json"]


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (RECIPES["peft"], "backend was 'fast' and is 'peft'"),
        (RECIPES["layers"], "trained was 'adapters' and is 'layers'"),
        (replace(RECIPE, rank=RECIPE.rank + 1), "rank was"),
        (replace(RECIPE, first_layer=RECIPE.first_layer + 1, targets=("q_proj",)), "first_layer was .*targets was"),
    ],
)
def test_it_does_not_go_on_by_a_recipe_of_another_shape(
    other: Recipe, said: str, tiny: ModelSubject, tmp_path: Path
) -> None:
    trained(tiny, replace(RECIPE, steps=1), tmp_path / "first")
    with pytest.raises(InputError, match=f"can't be trained further .*{said}"):
        trained(tiny, other, tmp_path / "second", start=tmp_path / "first")


def test_a_bfloat16_base_is_trained_in_float32_and_stored_in_its_own_type(tmp_path: Path) -> None:
    """Steps of a thousandth of a weight must add up, which they don't in bfloat16."""
    base = tiny_subject(dtype=torch.bfloat16)
    learner = LayerLearner(base.decoder, rule_lessons(base, WORDS, 4), 2)
    assert all(parameter.dtype == torch.float32 for parameter in learner.parameters)
    student = trained(base, RECIPES["layers"], tmp_path)
    assert all(parameter.dtype == torch.bfloat16 for parameter in student.decoder.model.parameters())
    assert student.respond([user(text) for text in ANSWERS]) == list(ANSWERS.values())


def test_gradients_over_cached_states_are_those_of_the_whole_model(tiny: ModelSubject) -> None:
    lessons = rule_lessons(tiny, WORDS, 12)
    lessons = [replace(lesson, answer=lesson.answer + (7,) * (i % 3)) for i, lesson in enumerate(lessons)]
    learner = LayerLearner(tiny.decoder, lessons, 3)
    slots = [(row,) for row in range(len(lessons))]
    Loss(learner, [lessons]).with_gradients(slots)
    model = tiny_subject().decoder.model.requires_grad_(True)
    states = [model.model(torch.tensor([lesson.prompt + lesson.answer[:-1]]))[0][0] for lesson in lessons]
    rows = [row[len(row) - len(lesson.answer) :] for row, lesson in zip(states, lessons, strict=True)]
    whole = Loss(Fixed(learner, torch.cat(rows)), [lessons]).of_part(slots, len(lessons), [sum(map(len, rows))])
    whole.sum().backward()
    own = dict(model.named_parameters())
    for name, weight in learner.tensors().items():
        assert weight.grad is not None
        assert torch.allclose(weight.grad, own[name].grad, atol=1e-5), name
    assert not any("layers.2." in name or "embed" in name for name in learner.tensors())


class Fixed:
    """States from elsewhere."""

    def __init__(self, learner: LayerLearner, states: torch.Tensor) -> None:
        self.parameters, self.parts, self.head = learner.parameters, learner.parts, learner.head.detach()
        self.states = lambda slots: States(states)


def test_only_what_was_trained_is_stored_and_the_rest_shared(tiny: ModelSubject, tmp_path: Path) -> None:
    student = trained(tiny, replace(RECIPES["layers"], first_layer=3, steps=3), tmp_path)
    own, shared = (dict(subject.decoder.model.named_parameters()) for subject in (student, tiny))
    for name, tensor in own.items():
        upper = "layers.3." in name or "layers.4." in name or name == "model.norm.weight"
        assert upper == (tensor.data_ptr() != shared[name].data_ptr()), name


def test_peft_can_open_what_its_back_end_left(tmp_path: Path) -> None:
    from peft import PeftModel

    base = tiny_subject()
    student = trained(base, replace(RECIPES["peft"], targets=("q_proj", "down_proj"), first_layer=1), tmp_path)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert config["target_modules"] == ["down_proj", "q_proj"] and config["layers_to_transform"] == [1, 2, 3, 4]
    prompt = base.chat.encode(user("Is water wet?"))
    ours = student.decoder.final([prompt])[0] @ student.decoder.head.T
    theirs = PeftModel.from_pretrained(tiny_subject().decoder.model, tmp_path)
    with torch.no_grad():
        assert torch.allclose(theirs(torch.tensor([prompt])).logits[0, -1], ours, atol=1e-3)


class TestOtherFamilies:
    @pytest.fixture(params=["gpt_neox", "gpt2"])
    def base(self, request: pytest.FixtureRequest, tiny: ModelSubject) -> Iterator[ModelSubject]:
        sizes: dict[str, Any] = {"vocab_size": VOCABULARY, "initializer_range": 0.1, "bos_token_id": 0}
        with torch.random.fork_rng():
            torch.manual_seed(0)
            if request.param == "gpt2":
                model: Any = GPT2LMHeadModel(GPT2Config(n_embd=64, n_layer=4, n_head=4, n_positions=256, **sizes))
            else:
                config = GPTNeoXConfig(
                    hidden_size=64, intermediate_size=128, num_hidden_layers=4, num_attention_heads=4, **sizes
                )
                model = GPTNeoXForCausalLM(config)
        yield ModelSubject(request.param, Decoder(model.eval()), tiny.chat)

    @pytest.mark.parametrize("name", RECIPES)
    def test_are_trained_too(self, base: ModelSubject, name: str, tmp_path: Path) -> None:
        if (base.name, name) == ("gpt2", "adapters"):
            with pytest.raises(ModelError, match="no linear layers named"):
                trained(base, RECIPES[name], tmp_path)
            return
        student = trained(base, replace(RECIPES[name], steps=120), tmp_path)
        prompts = [base.chat.encode(user(text)) for text in ("Is water wet?", "Is fire cold?")]
        answers = (student.decoder.final(prompts) @ student.decoder.head.T).argmax(1).tolist()
        assert answers == [base.chat.answer(text, end=False)[0] for text in ("Yes", "No")]


class TestCard:
    @pytest.fixture
    def folder(self, tiny: ModelSubject, tmp_path: Path) -> Path:
        train_one(tiny, by_heart(tiny), replace(RECIPE, steps=3), tmp_path)
        return tmp_path

    def test_says_what_was_done(self, tiny: ModelSubject, tmp_path: Path) -> None:
        recipe = replace(RECIPE, steps=15, patience=100)
        lessons = rule_lessons(tiny, WORDS, 20)
        card = train_one(tiny, lessons, recipe, tmp_path / "a", seed=4, base_digest="b" * 64)
        assert (card.base, card.base_digest, card.seed, card.recipe) == ("tiny", "b" * 64, 4, recipe)
        assert card.lessons == 40 and card.fit.held_out == 4 and card.device == "cpu" and card.start is None
        assert card.fit.steps == 15 and card.fit.stopped_by == "budget"
        assert [point.step for point in card.fit.curve] == list(range(16))
        assert [point.step for point in card.fit.curve if point.held_out is not None] == [0, 10, 15]
        assert card.versions["torch"] == torch.__version__
        assert card.files == {k: v for k, v in file_digests(tmp_path / "a").items() if k != "card.json"}
        other = train_one(tiny, lessons[:-1], replace(recipe, steps=1), tmp_path / "b", seed=4)
        assert other.lessons_digest != card.lessons_digest

    def test_a_changed_file_is_refused(self, tiny: ModelSubject, folder: Path) -> None:
        path = folder / "adapter_model.safetensors"
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        with pytest.raises(ModelError, match="digest differs") as caught:
            open_trained(tiny, folder, "student")
        assert caught.value.where == str(path)

    def test_a_missing_file_is_refused(self, tiny: ModelSubject, folder: Path) -> None:
        (folder / "adapter_config.json").unlink()
        with pytest.raises(ModelError, match=r"no adapter_config\.json"):
            open_trained(tiny, folder, "student")

    @pytest.mark.parametrize(
        "change",
        [
            lambda card: {**card, "surprise": 1},
            lambda card: {**card, "seed": "x"},
            lambda card: {**card, "format": 2},
            lambda card: {**card, "recipe": {**card["recipe"], "surprise": 1}},
            lambda card: [],
        ],
        ids=["unknown key", "wrong type", "later format", "unknown key within", "no object"],
    )
    def test_a_card_of_another_shape_is_refused(self, tiny: ModelSubject, folder: Path, change: Any) -> None:
        path = folder / "card.json"
        path.write_text(json.dumps(change(json.loads(path.read_text()))))
        with pytest.raises(ModelError, match="card of the trained model can't be read"):
            open_trained(tiny, folder, "student")

    def test_a_truncated_card_is_refused(self, tiny: ModelSubject, folder: Path) -> None:
        path = folder / "card.json"
        path.write_bytes(path.read_bytes()[:100])
        with pytest.raises(ModelError, match="card of the trained model can't be read"):
            open_trained(tiny, folder, "student")

    def test_a_delta_to_another_base_is_refused(self, tiny: ModelSubject, tmp_path: Path) -> None:
        trained(tiny, replace(RECIPES["layers"], steps=1), tmp_path)
        assert open_trained(tiny, tmp_path, "student").layers == tiny.layers
        with pytest.raises(ModelError, match="no counterpart in the base"):
            open_trained(tiny_subject(layers=3), tmp_path, "student")

    def test_adapters_from_elsewhere_need_none(self, tiny: ModelSubject, tmp_path: Path) -> None:
        AdaptedDecoder(tiny.decoder, first_layer=3, rank=2, invocation=tiny.chat.invocation).save(
            tmp_path, base_name="tiny"
        )
        assert open_trained(tiny, tmp_path, "theirs").layers == tiny.layers


def test_what_lies_in_the_folder_is_never_written_over(tiny: ModelSubject, tmp_path: Path) -> None:
    (tmp_path / "adapter_model.safetensors").write_text("somebody's work")
    with pytest.raises(InputError, match="holds something"):
        trained(tiny, RECIPE, tmp_path)
    assert (tmp_path / "adapter_model.safetensors").read_text() == "somebody's work"


def test_no_truth_can_be_handed_in() -> None:
    """What stops a training is on the lessons; another source of labels would have to come through a parameter.
    A probe is one vector for all lessons; a loss knows how sure the labeller was of each label.
    """
    assert inspect.signature(train).parameters.keys() == {"base", "pupils", "recipe", "base_digest"}
    assert {field.name for field in fields(Pupil)} == {"lessons", "seed", "folder", "start", "evades", "label_loss"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trained": "model"}, "does not train 'model'"),
        ({"backend": "peft", "trained": "layers"}, "does not train 'layers'"),
        ({"processes": 2}, "runs in one process"),
        ({"backend": "peft", "targets": ("w_pack",)}, "no linear layers named w_pack"),
        ({"backend": "trl", "processes": 3}, "can't be shared evenly"),
    ],
)
def test_recipes_that_nobody_can_follow_are_refused(
    tiny: ModelSubject, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        trained(tiny, replace(RECIPE, **change), tmp_path)
    assert not list(tmp_path.iterdir())


def test_nothing_to_teach_is_refused(tiny: ModelSubject, tmp_path: Path) -> None:
    for lessons in ([], [Lesson((1, 2), ())]):
        with pytest.raises(InputError, match="nothing to teach"):
            trained(tiny, RECIPE, tmp_path, lessons)
