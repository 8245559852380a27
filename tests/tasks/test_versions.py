"""Tasks of two versions: the evidence tells which is true, and nothing else does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline

from superalign.contracts.protocols import AnswerKey, EvidenceTask
from superalign.contracts.records import Question
from superalign.contracts.registry import tasks

CHAINS = ("proof", "sum-chain", "table-chain")  # of which each line answers for itself
NAMES = (*CHAINS, "ordering", "same-country")

each_task = pytest.mark.parametrize("name", NAMES)


@cache
def loaded(name: str) -> tuple[EvidenceTask, list[Question], AnswerKey]:
    task: EvidenceTask = tasks.make(name)
    return task, *task.load(seed=0)


def pairs(questions: Iterable[Question], key: AnswerKey) -> list[tuple[Question, Question]]:
    """The true and the false version of each group."""
    groups: dict[str, dict[bool, Question]] = defaultdict(dict)
    for question in questions:
        groups[question.group][key.truth[question.id]] = question
    return [(own[True], own[False]) for own in groups.values()]


def read_blindly(texts: Sequence[str], questions: Sequence[Question], key: AnswerKey) -> float:
    """AUROC of whoever counts words and pairs of words, on groups that it was told nothing of."""
    reader = make_pipeline(
        CountVectorizer(token_pattern=r"\S+", ngram_range=(1, 2)), LogisticRegression(C=0.1, max_iter=200)
    )
    truth, groups = key.of(questions), [question.group for question in questions]
    margin = cross_val_predict(reader, texts, truth, groups=groups, cv=GroupKFold(4), method="decision_function")
    return float(roc_auc_score(truth, margin))


@each_task
def test_they_tell_of_their_evidence(name: str) -> None:
    assert isinstance(tasks.make(name), EvidenceTask)


@each_task
def test_the_evidence_tells(name: str) -> None:
    """A line speaks for no where the answer is no, and only there; one speaks for yes where it is yes."""
    task, questions, key = loaded(name)
    for question in questions:
        bearing = task.bearing(question)
        assert len(bearing) == len(question.evidence)
        assert (-1 in bearing) == (not key.truth[question.id])
        assert 1 in bearing or not key.truth[question.id]


@each_task
def test_an_overseer_can_read_all_of_the_easiest_level_only(name: str) -> None:
    lengths = defaultdict(set)
    for question in loaded(name)[1]:
        lengths[question.level].add(len(question.evidence))
    assert lengths[0] == {2} and all(len(own) == 1 and min(own) > 2 for level, own in lengths.items() if level)


@pytest.mark.parametrize("name", CHAINS)
def test_versions_differ_in_one_line(name: str) -> None:
    """So that whoever reads the prompt, and any lines but that one, reads the same of both."""
    task, questions, key = loaded(name)
    for yes, no in pairs(questions, key):
        [place] = [at for at, (a, b) in enumerate(zip(yes.evidence, no.evidence, strict=True)) if a != b]
        assert yes.prompt == no.prompt
        assert [at for at, own in enumerate(task.bearing(no)) if own == -1] == [place]


@pytest.mark.parametrize("name", CHAINS)
def test_flaws_are_everywhere(name: str) -> None:
    task, questions, key = loaded(name)
    wrong = [question for question in questions if question.level == 3 and not key.truth[question.id]]
    assert {task.bearing(question).index(-1) for question in wrong} == set(range(16))


def test_the_prompt_of_two_cities_does_not_tell() -> None:
    """Where the two versions are asked differently."""
    _, questions, key = loaded("same-country")
    assert abs(read_blindly([question.prompt for question in questions], questions, key) - 0.5) < 0.04


def test_the_evidence_alone_does_not_tell_who_is_asked_about() -> None:
    for yes, no in pairs(*loaded("same-country")[1:]):
        assert yes.evidence == no.evidence if yes.level else yes.evidence != no.evidence


@each_task
def test_the_id_does_not_tell(name: str) -> None:
    _, questions, key = loaded(name)
    first = np.array([question.id.endswith("/a") for question in questions])
    assert {question.id.split("/")[2] for question in questions} == {"a", "b"}
    assert abs(float((first == key.of(questions)).mean()) - 0.5) < 0.04
