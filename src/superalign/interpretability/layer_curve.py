"""The picture of where a model knows the truth: probe AUROC by layer, beside its controls."""

from __future__ import annotations

from superalign.contracts.protocols import AnswerKey, Subject
from superalign.contracts.records import Question
from superalign.contracts.summary import LayerCurve
from superalign.interpretability.probes import probe_auroc, shuffled_within_groups, text_baselines
from superalign.tasks.splits import by_group


def layer_curve(subject: Subject, questions: tuple[Question, ...], key: AnswerKey, *, seed: int) -> LayerCurve:
    """Out-of-fold AUROC on `questions` after every second layer of `subject`; text and shuffled labels beside it."""
    truth, groups = key.of(questions), by_group(questions)
    layers = tuple(range(2, subject.layers + 1, 2))
    read = subject.activations([question.asked for question in questions], layers)
    shuffled = shuffled_within_groups(truth, groups, seed)
    curve = tuple(probe_auroc(read[:, i], truth, groups) for i in range(len(layers)))
    null = tuple(probe_auroc(read[:, i], shuffled, groups) for i in range(len(layers)))
    text = {name: (value,) * len(layers) for name, value in text_baselines(questions, truth, groups).items()}
    return LayerCurve(layers=layers, probe=curve, baselines={**text, "shuffled labels": null})
