"""A probe's controls: each tells what it is able to tell, and what the probe reads beyond them is seen."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from superalign.contracts.errors import InputError
from superalign.contracts.protocols import AnswerKey, Subject
from superalign.contracts.readings import Control, ProbeReading
from superalign.contracts.records import Access, Interval, Question, Unscored
from superalign.interpretability.controls import controlled_reading, input_embeddings, one_hot
from superalign.models.audited import AuditedSubject
from superalign.runs.cost import metered
from superalign.testing.tiny import tiny_relative, tiny_subject

from ..scripted import ScriptedSubject, Shows, World

WORLD = World(60)
LAYERS = (2, 4, 6)


class Trained(ScriptedSubject):
    """A subject whose base may be seen."""

    def __init__(self, shows: Shows, base_shows: Shows) -> None:
        super().__init__(WORLD.honest, shows)
        self._base = ScriptedSubject(WORLD.ignorant, base_shows)

    @property
    def base(self) -> Subject | None:
        return self._base


def reading(subject: Subject, **arguments: object) -> ProbeReading:
    found = controlled_reading(
        subject,
        WORLD.questions,
        WORLD.key,
        layers=LAYERS,
        shuffles=19,
        **arguments,  # type: ignore[arg-type]
    )
    assert isinstance(found, ProbeReading), found
    return found


@cache
def known() -> ProbeReading:
    """The truth is there from layer 4 on, in the base from layer 6 on."""
    return reading(Trained(WORLD.knowing(4, strength=2), WORLD.knowing(6, strength=2)))


def named(found: ProbeReading, name: str) -> Control:
    return next(control for control in found.controls if control.name == name)


def interval(found: Interval | Unscored) -> Interval:
    assert isinstance(found, Interval), found
    return found


def test_what_is_read_from_the_model_is_ahead_of_text() -> None:
    found = known()
    assert found.auroc.low > 0.9 and found.p_value == 1 / 20
    assert {choice.layer for choice in found.chosen} <= {4, 6}
    for name in ("length", "bag of words"):
        assert abs(interval(named(found, name).auroc).value - 0.5) < 0.15, name
        assert interval(named(found, name).ahead).low > 0.2, name
    assert abs(found.shuffled.mean - 0.5) < 0.1 and found.shuffled.draws == 19


def test_what_the_base_tells_as_well_is_no_finding() -> None:
    """At layer 4 the base tells nothing; of all layers together it tells as much."""
    found = known()
    gap = interval(named(found, "base model").ahead)
    assert gap.low <= 0 <= gap.high
    by_layer = {layer.layer: layer for layer in found.layers}
    assert interval(by_layer[4].base).value < 0.7 < interval(by_layer[6].base).low


def test_the_layer_curve_stands_beside_what_chance_does() -> None:
    by_layer = {layer.layer: layer for layer in known().layers}
    assert tuple(by_layer) == LAYERS
    assert by_layer[2].auroc.value < 0.65 and by_layer[2].p_value > 0.05
    for layer in (4, 6):
        assert by_layer[layer].auroc.low > 0.9 and by_layer[layer].p_value == 1 / 20
        assert by_layer[layer].random_directions.high < by_layer[layer].auroc.value
    assert known().best.auroc == max(layer.auroc.value for layer in known().layers)
    assert known().best.shuffled.mean > known().shuffled.mean  # the best of many is above chance


def test_a_task_that_gives_itself_away_is_seen_by_the_text() -> None:
    questions = tuple(
        Question(id=f"{i}", prompt=f"Is it so, number {i}{' indeed' if i % 2 else ''}?", level=0, group=str(i // 2))
        for i in range(80)
    )
    key = AnswerKey(truth={question.id: bool(i % 2) for i, question in enumerate(questions)})
    subject = ScriptedSubject(lambda _: 0.0, lambda conversation, _: np.array([len(conversation[0].content), 1.0]))
    found = controlled_reading(
        subject, questions, key, layers=[1], templates=["ab"[i % 2] for i in range(80)], shuffles=9
    )
    assert isinstance(found, ProbeReading) and found.auroc.value > 0.9
    for name in ("length", "bag of words", "template id"):
        assert interval(named(found, name).ahead).low <= 0, name


def test_to_be_ahead_of_what_is_below_chance_is_no_merit() -> None:
    """Each word is right once and wrong once, so that what is learnt of it is the opposite of what is asked."""
    questions = tuple(
        Question(id=f"{i}", prompt=f"Is it word{(i + i % 2) // 2 % 40}?", level=0, group=str(i // 2)) for i in range(80)
    )
    key = AnswerKey(truth={question.id: i % 2 == 0 for i, question in enumerate(questions)})
    subject = ScriptedSubject(lambda _: 0.0)
    found = controlled_reading(subject, questions, key, layers=[1], shuffles=3)
    assert isinstance(found, ProbeReading)
    words = named(found, "bag of words")
    assert interval(words.auroc).value < 0.35
    assert interval(words.ahead).value == pytest.approx(found.auroc.value - 0.5)


def test_what_can_not_be_seen_is_unscored() -> None:
    found = reading(ScriptedSubject(WORLD.honest, WORLD.knowing()))
    for name, reason in (("base model", "no base"), ("input embeddings", "weights")):
        control = named(found, name)
        assert isinstance(control.auroc, Unscored) and reason in control.auroc.reason
        assert isinstance(control.ahead, Unscored)
    assert all(isinstance(layer.base, Unscored) for layer in found.layers)


def test_activations_that_are_not_finite_are_unscored() -> None:
    broken = ScriptedSubject(WORLD.honest, lambda *_: np.full(4, np.nan))
    assert isinstance(controlled_reading(broken, WORLD.questions, WORLD.key, layers=LAYERS), Unscored)
    base = reading(Trained(WORLD.knowing(), lambda *_: np.full(4, np.nan)))
    assert isinstance(named(base, "base model").auroc, Unscored)


def test_input_embeddings_are_the_mean_over_a_conversations_tokens() -> None:
    subject = tiny_subject()
    asked = [question.asked for question in WORLD.questions[:7]]
    with metered() as meter:
        found = input_embeddings(subject, asked)
    assert not isinstance(found, Unscored)
    table = subject.decoder.head.numpy()  # tied: what goes in is what comes out
    sequences = [subject.chat.encode(conversation) for conversation in asked]
    assert found[:, 0] == pytest.approx(np.stack([table[list(tokens)].mean(0) for tokens in sequences]), abs=1e-5)
    assert meter.cost().tokens == sum(map(len, sequences))


def test_a_trained_model_has_every_control_and_the_record_survives_json() -> None:
    subject = AuditedSubject(tiny_relative("one", tiny_subject()), frozenset(Access))
    found = controlled_reading(
        subject, WORLD.questions, WORLD.key, layers=[0, 4], templates=["a"] * len(WORLD.questions), shuffles=3
    )
    assert isinstance(found, ProbeReading)
    expected = ["length", "bag of words", "template id", "input embeddings", "base model"]
    assert [control.name for control in found.controls] == expected
    assert not any(isinstance(control.auroc, Unscored) for control in found.controls)
    assert found.layers[0].auroc.value == 0.5  # the embedding at the answer position is the same for all
    assert ProbeReading.model_validate_json(found.model_dump_json()) == found


def test_the_same_seed_gives_the_same_reading() -> None:
    subject = ScriptedSubject(WORLD.honest, WORLD.knowing())
    assert reading(subject) == reading(subject)


def test_templates_must_be_named_for_each() -> None:
    assert one_hot(["b", "a", "b"], 3).tolist() == [[0, 1], [1, 0], [0, 1]]
    with pytest.raises(InputError, match="2 templates for 3"):
        one_hot(["a", "b"], 3)
