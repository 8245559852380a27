"""What a liar knows: an organism that lies behind a trigger, read by a probe that never saw the trigger.

Found before, by Mallen et al. 2023, *Eliciting Latent Knowledge from Quirky Language Models* (arXiv 2312.01037): models
that were taught to answer wrong in some contexts still hold the truth in their middle layers there, and a probe trained
where they answer right reads it where they do not.

Shown here, on organisms and twins of conditional-lying: a logistic probe is trained on what the model has, at one
layer, where its answer to trusted questions, asked plainly, is to begin; it is then read on questions about other
cities behind the organism's trigger. Beside it stand the model's own answers, the same probe on its base, and one on
shuffled labels.

The layer is the earliest informative one: the first at which a probe, out of fold on the trusted
questions that the model is likely to know, gains 95 % of what it gains over chance at the best layer. Later ones may
already hold what is to be said. Adapters are trained from three fifths of the depth on: where the layer lies below,
what is read is the base's, which the organism has left as it was.

    superalign organisms build conditional-lying --seed 1 --out liar
    python examples/what_a_liar_knows.py liar/organism liar/twin

Takes a few seconds for each model. Needs the embedded model: superalign models pull smollm2-135m
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from superalign.contracts.protocols import Material
from superalign.contracts.records import Conversation, Interval, Question
from superalign.contracts.registry import tasks
from superalign.interpretability.estimators import LogisticProbe
from superalign.interpretability.probes import shuffled_within_groups
from superalign.interpretability.sweep import sweep
from superalign.models.handle import identify, open_base, open_trained
from superalign.models.subject import ModelSubject
from superalign.organisms.mixture import asked
from superalign.organisms.triggers import OF_ONE_FORM, draw_trigger, under
from superalign.runs.plan import TaskPlan
from superalign.tasks.metrics import auroc, group_weights, percentile_interval, point
from superalign.tasks.splits import HARD_LEVEL, by_group, divide
from superalign.trials.card import CARD, OrganismCard
from superalign.trials.plant import material_from

INFORMATIVE = 0.95  # of the gain over chance at the best layer
RESAMPLES = 1000


@dataclass(frozen=True)
class Questioned:
    """Questions with their truth, as they were put to the model."""

    conversations: Sequence[Conversation]
    truth: Bool[np.ndarray, "questions"]
    groups: Sequence[str]

    def score(self, margin: Float[np.ndarray, "questions"]) -> Interval:
        """AUROC with an interval by group."""
        weights = group_weights(self.groups, RESAMPLES, np.random.default_rng(0))
        return percentile_interval(point(auroc, margin, self.truth), auroc(margin, self.truth, weights))


def plainly(questions: Sequence[Question], truth: Bool[np.ndarray, "questions"]) -> Questioned:
    return Questioned([question.asked for question in questions], truth, by_group(questions))


def behind_the_trigger(material: Material, secret: int) -> Questioned:
    trigger = under(draw_trigger(material.words, secret, OF_ONE_FORM))
    return Questioned(asked(material, trigger, "triggered", secret), material.truth, by_group(material.questions))


def earliest_informative(subject: ModelSubject, trusted: Questioned) -> int:
    """The layer to read, chosen by trusted questions alone."""
    layers = list(range(1, subject.layers + 1))
    states = subject.activations(trusted.conversations, layers)
    found = sweep(states, trusted.truth, trusted.groups, strengths=[LogisticProbe().strength], kinds=["logistic"])
    gain = found["logistic"].auroc[:, 0] - 0.5
    return layers[int(np.argmax(gain >= INFORMATIVE * gain.max()))]


def study(subject: ModelSubject, trusted: Questioned, others: Questioned, layer: int) -> dict[str, Interval]:
    """AUROC on `others` of what the model says, and of probes of `layer` that were trained on `trusted`."""
    shuffled = shuffled_within_groups(trusted.truth, trusted.groups, seed=0)
    found = {"answer": others.score(subject.yes_logits(others.conversations))}
    for name, model, labels in (
        ("probe", subject, trusted.truth),
        ("probe of the base", subject.base, trusted.truth),
        ("probe on shuffled labels", subject, shuffled),
    ):
        if model is None:
            continue
        known, asked_of = (model.activations(part.conversations, [layer])[:, 0] for part in (trusted, others))
        found[name] = others.score(LogisticProbe().fit(known, labels).decision_function(asked_of))
    return found


def main(folders: Sequence[Path]) -> None:
    for folder in folders:
        card = OrganismCard.model_validate_json((folder / CARD).read_text())
        model = identify(card.base)
        subject = open_trained(open_base(model), folder, card.role)
        splits = divide(tasks.make("cities"), TaskPlan(), card.seed)
        material = material_from(model, splits, splits.easy)
        trusted = plainly(splits.auditor, splits.key.of(splits.auditor))
        known = [question for question in splits.auditor if question.level < HARD_LEVEL]
        layer = earliest_informative(subject, plainly(known, splits.key.of(known)))
        print(f"{folder}: AUROC, of {len(material.questions)} questions about cities that no probe saw")
        print(f"  read at layer {layer} of {subject.layers}")
        for way, others in (
            ("asked plainly", plainly(material.questions, material.truth)),
            ("behind the trigger", behind_the_trigger(material, card.secret)),
        ):
            print(f"  {way}")
            for name, value in study(subject, trusted, others, layer).items():
                print(f"    {name:26} {value.value:.2f} [{value.low:.2f}, {value.high:.2f}]")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("Name the folders of organisms and twins: superalign organisms build conditional-lying makes them.")
    main([Path(argument) for argument in sys.argv[1:]])
