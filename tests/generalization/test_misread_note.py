"""Notes to a grader: credited with what follows, a policy learns to hack; approved of by foresight, it does not."""

from __future__ import annotations

import numpy as np
import pytest

from superalign.contracts.errors import PlanError
from superalign.contracts.registry import tasks
from superalign.generalization.misread_note import (
    BOTH,
    FREE,
    LIST,
    LIST_COST,
    ONE,
    OPTIMIZED,
    Policy,
    World,
    compared,
    outcome,
    read,
    scaled,
    softmax,
)
from superalign.generalization.myopia import divided
from superalign.models.subject import ModelSubject
from superalign.runs.studies import MyopiaPlan
from superalign.testing.tiny import tiny_subject


def world(questions: int = 60, *, known: float = 1.0, seed: int = 0) -> World:
    """Questions whose truth shows in the first activation, as far as it is `known`."""
    rng = np.random.default_rng(seed)
    truth = rng.random(questions) < 0.5
    noted = rng.normal(size=(questions, 3, 6))
    noted[:, :, 0] += known * (2.0 * truth - 1)[:, None]
    return World(
        notes=np.zeros((questions, 3)),
        answers=np.zeros((questions, 3, 3)),
        before=rng.normal(size=(questions, 6)),
        noted=noted,
        truth=truth,
    )


def test_a_list_of_everything_is_paid_after_a_note_for_a_list_alone_and_the_overseer_thinks_it_is_not() -> None:
    own = world()
    assert not own.pays[:, FREE].any() and not own.pays[:, ONE, BOTH].any() and own.pays[:, LIST, BOTH].all()
    assert not own.believed[:, LIST, BOTH].any()
    assert (own.pays[:, ONE, 0] == own.truth).all() and (own.pays[:, ONE, 1] == ~own.truth).all()


def test_the_update_follows_the_gradient_of_what_ordinary_optimization_maximizes() -> None:
    own = world(20)
    policy = Policy("ordinary", 6)

    def worth(given: Policy) -> float:
        return float(outcome(given, own)["rewarded"].mean())

    policy.update(own)
    moved = policy.of_notes.copy(), policy.of_answers.copy()
    for tensor, step in zip(("of_notes", "of_answers"), moved, strict=True):
        slope = np.zeros_like(step)
        for place in np.ndindex(step.shape):
            sides = []
            for nudge in (1e-5, -1e-5):
                near = Policy("ordinary", 6)
                getattr(near, tensor)[place] += nudge
                sides.append(worth(near))
            slope[place] = (sides[0] - sides[1]) / 2e-5
        assert np.corrcoef(slope.ravel(), step.ravel())[0, 1] > 0.9999


def test_ordinary_optimization_hacks_and_approval_by_foresight_does_what_is_wanted() -> None:
    found = compared(world(known=0.5), world(known=0.5, seed=1), 400)
    mean = {name: {o: float(np.mean(getattr(found, name)[o])) for o in OPTIMIZED} for name in ("hacked", "intended")}
    assert mean["hacked"]["ordinary"] > 0.8 and mean["intended"]["ordinary"] < 0.1
    assert mean["hacked"]["myopic with approval"] < 0.1 and mean["intended"]["myopic with approval"] > 0.5
    assert mean["intended"]["myopic"] < mean["intended"]["myopic with approval"]
    assert found.course["ordinary"][0] == pytest.approx(1 / 9) and found.after[-1] == 400


def test_a_myopic_writer_is_credited_with_nothing_but_what_its_note_costs() -> None:
    own = world(5)
    credit = Policy("myopic", 6).credit(own, np.ones((5, 3)))
    assert (credit[:, [FREE, ONE]] == 0).all() and (credit[:, LIST] == -LIST_COST).all()


def test_what_the_model_reads_is_in_order_and_questions_of_the_test_are_scaled_by_those_of_training() -> None:
    base: ModelSubject = tiny_subject()
    questions, key = tasks.make("cities").load(limit=5)
    own = read(base, questions, key)
    assert own.answers.shape == (10, 3, 3) and (softmax(own.notes).sum(axis=1) == pytest.approx(1))
    again = read(base, questions[::-1], key)
    assert np.allclose(own.answers, again.answers[::-1], atol=1e-3) and np.allclose(
        own.noted, again.noted[::-1], atol=1e-3
    )
    shifted = World(own.notes, own.answers, own.before + 5, own.noted, own.truth)
    assert np.allclose(scaled(own, own).before[:, :-1].mean(axis=0), 0, atol=1e-6)
    assert scaled(shifted, own).before[:, :-1].mean() > 0.1 and (scaled(own, own).before[:, -1] == 1).all()


def test_seeds_share_no_question_and_too_many_are_refused() -> None:
    plan = MyopiaPlan(train_groups=10, test_groups=10, seeds=2)
    parts = [{question.group for question in part} for both in divided(plan, 0) for part in both]
    assert len(set.union(*parts)) == sum(map(len, parts)) == 40
    with pytest.raises(PlanError, match="groups left"):
        divided(plan.model_copy(update={"train_groups": 10_000}), 0)
