"""The conformance suite: does a part keep the contract of its protocol? For our parts and for third parties'.

Each check takes a factory (the class itself, where it needs no arguments), makes fresh parts with it, and raises
AssertionError with a message that says what is broken. One line in a test file is enough:

    from superalign.testing import conformance

    def test_my_detector() -> None:
        conformance.check_detector(MyDetector)

A part is checked from outside only: nothing is asked of its insides, and passing does not say that it is any good.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from scipy.stats import binomtest

from superalign.contracts.errors import AccessError
from superalign.contracts.protocols import (
    AnswerKey,
    Detector,
    Material,
    Organism,
    Overseer,
    Subject,
    Task,
    Taught,
    Trusted,
)
from superalign.contracts.records import Access, Conversation, Judgement, Question, Unscored, Verdict
from superalign.contracts.registry import Registry, detectors, organisms, overseers, proposers, tasks
from superalign.models.audited import AuditedSubject
from superalign.models.subject import ModelSubject
from superalign.organisms.gates import organism_gates
from superalign.provenance.digest import canonical_json
from superalign.tasks.specification import default_specification
from superalign.testing.invented import comparisons, guarded, watched_task
from superalign.testing.proposers import check_proposer as check_proposer
from superalign.testing.proposers import makes_itself
from superalign.testing.require import attempt, raises, require
from superalign.testing.research import check_problem as check_problem
from superalign.testing.tiny import tiny_relative, tiny_subject

WORDS = ("apple", "bridge", "candle", "desert", "engine", "flower", "garden", "hammer", "island", "jacket", "kettle")
ASKED = 24  # of an overseer, which may have a model argue at length
FEW = 8
CHANCE = 1e-6  # a leak is called one when chance would show it this rarely


def check_registered() -> None:
    """Every registered part, ours and those of installed packages, made without arguments as a plan makes it."""
    for kind, name in registered():
        check_part(kind, name)


def registered() -> list[tuple[str, str]]:
    """Kind and name of every part that there is a check for: what to parametrize a test of your own by."""
    return [(kind, name) for kind, (registry, _) in CHECKS.items() for name in registry.names()]


def check_part(kind: str, name: str) -> None:
    """One of `registered`. A proposer that needs a model or a file makes nothing by itself, and is passed over."""
    registry, check = CHECKS[kind]
    if registry is proposers and not makes_itself(registry.factory(name)):
        return
    try:
        check(partial(registry.make, name))
    except AssertionError as broken:
        raise AssertionError(f"{registry.kind.removesuffix('s')} {name!r}: {broken}") from None


def check_task(make: Callable[[], Task]) -> None:
    """Same questions for the same seed, others for another; groups balanced; ids unique; the truth hidden in neither
    ids nor order.
    """
    task = make()
    require(isinstance(task, Task), "it lacks a member of the Task protocol")
    questions, key = task.load(seed=0)
    again, same_key = make().load(seed=0)
    require(again == questions and same_key == key, "the same seed must give the same questions with the same truth")
    require(task.load(seed=1)[0] != questions, "another seed must give other questions or another order")
    ids = [question.id for question in questions]
    require(len(set(ids)) == len(ids), "ids must be unique")
    require(set(key.truth) == set(ids), "the key must cover the questions and no others")
    levels = {question.level for question in questions}
    require(levels == set(range(len(task.level_names))), "there must be questions of every level in level_names")
    groups = by_group(questions)
    for name, members in groups.items():
        balance = sum(key.truth[question.id] for question in members)
        require(2 * balance == len(members), f"group {name!r} must hold as many true questions as false ones")
        require(len({question.level for question in members}) == 1, f"group {name!r} must be of one level")
    check_nothing_tells(list(groups.values()), key)
    few = by_group(task.load(limit=5, seed=0)[0])
    require(0 < len(few) <= 5, "`limit` is a number of groups")


def check_nothing_tells(groups: Sequence[Sequence[Question]], key: AnswerKey) -> None:
    """Within groups, true questions come neither first nor last in any of several orders, more often than by chance."""
    orders: dict[str, Callable[[int, Question], Any]] = {
        "their order": lambda place, _: place,
        "the alphabetical order of their ids": lambda _, question: question.id,
        "the length of their ids": lambda _, question: len(question.id),
        "the last character of their ids": lambda _, question: question.id[-1:],
    }
    for what, order in orders.items():
        signs = []
        for members in groups:
            values = [order(place, question) for place, question in enumerate(members)]
            truth = [key.truth[question.id] for question in members]
            pairs = [
                (a, b)
                for a, yes in zip(values, truth, strict=True)
                if yes
                for b, no in zip(values, truth, strict=True)
                if not no
            ]
            signs.append(sum((a > b) - (a < b) for a, b in pairs))
        later, earlier = sum(sign > 0 for sign in signs), sum(sign < 0 for sign in signs)
        if later + earlier:
            chance = binomtest(later, later + earlier).pvalue
            require(chance > CHANCE, f"{what} tells true questions from false ones ({later} against {earlier} groups)")


def check_subject(make: Callable[[], Subject]) -> None:
    """One finite answer per conversation, the same each time and in any company; nothing beyond the declared access."""
    subject = make()
    require(isinstance(subject, Subject), "it lacks a member of the Subject protocol")
    require(isinstance(subject.access, frozenset), "access must be a frozenset of Access")
    require(all(isinstance(access, Access) for access in subject.access), "access must be a frozenset of Access")
    shown = Access.ACTIVATIONS in subject.access
    require(subject.layers > 0 or not shown, "layers must be the depth of the residual stream")
    asked = [question.asked for question in comparisons(6)[0]]
    require(len(subject.respond(asked)) == len(asked), "respond must give one answer per conversation")
    require(all(isinstance(a, str | Unscored) for a in subject.respond(asked)), "an answer is text or Unscored")
    require(subject.respond(asked) == subject.respond(asked), "respond is greedy: the same answers each time")
    require(Access.BASE in subject.access or subject.base is None, "base must be None where access does not list it")
    require(subject.base is None or isinstance(subject.base, Subject), "base must be a Subject")
    measures: dict[Access, Callable[[Sequence[Conversation]], np.ndarray]] = {
        Access.LOGPROBS: subject.yes_logits,
        Access.ACTIVATIONS: lambda some: subject.activations(some, [subject.layers, 0]),
    }
    for access, measure in measures.items():
        if access not in subject.access:
            require(
                raises(AccessError, measure, asked), f"without {access.value} in its access it must raise AccessError"
            )
            continue
        found = np.asarray(measure(asked))
        require(len(found) == len(asked), f"{access.value}: there must be one row per conversation")
        require(bool(np.isfinite(found).all()), f"{access.value}: the numbers must be finite")
        require(np.array_equal(found, measure(asked)), f"{access.value}: the same numbers each time")
        reordered = np.asarray(measure(asked[::-1]))[::-1]
        require(close(found, reordered), f"{access.value}: the order of the conversations must not matter")
        require(len(np.unique(found.reshape(len(found), -1), axis=0)) > 1, f"{access.value}: questions must matter")
    if Access.ACTIVATIONS in subject.access:
        top, embedding = (subject.activations(asked, [layer])[:, 0] for layer in (subject.layers, 0))
        both = subject.activations(asked, [subject.layers, 0])
        require(close(both, np.stack([top, embedding], axis=1)), "layers must come back in the order asked for")
    if Access.TRAINING_DATA in subject.access:
        data = subject.training_data()
        require(all(isinstance(taught, Taught) for taught in data), "training data is a tuple of Taught")
        require(list(data) == sorted(data, key=canonical_json), "training data must be sorted: its order would tell")
        require(all(taught.group is None for taught in data), "training data must come without groups")
    else:
        refused = raises(AccessError, subject.training_data)
        require(refused, "without training-data in its access it must raise AccessError")


def check_overseer(make: Callable[[], Overseer]) -> None:
    """One judgement per question, in order, with its cost; no truth but what it was given; out of sample; `Unscored`
    when its reader fails.
    """
    reader = Watched(tiny_subject(), frozenset(Access))
    questions, key = comparisons(40)
    given, judged = tuple(questions[:40]), questions[40 : 40 + ASKED]
    overseer = make()
    asked_for: list[str] = []
    require(isinstance(overseer, Overseer), "it lacks a member of the Overseer protocol")
    trusted = trusted_with(reader, given, guarded(key.only(given), asked_for))
    with watched_task(asked_for):
        require(overseer.learn(trusted) is overseer, "learn must return self")
        found = overseer.judge(judged)
    require(not asked_for, f"it asked for truth that it was not given, of {asked_for[:1]}")
    require(len(found) == len(judged), "there must be one judgement per question")
    for question, judgement in zip(judged, found, strict=True):
        require(isinstance(judgement, Judgement | Unscored), "a judgement is a Judgement or Unscored")
        right_place = isinstance(judgement, Unscored) or judgement.question_id == question.id
        require(right_place, "judgements must be in the order of the questions")
    scored = [judgement for judgement in found if isinstance(judgement, Judgement)]
    require(bool(scored), "it judged no question at all")
    spent = [j.cost.seconds + j.cost.tokens + j.cost.forward_passes + j.cost.human_seconds for j in scored]
    require(all(spent), "every judgement must say what it cost")
    again = make().learn(trusted_with(reader, given, key.only(given))).judge(judged)
    require(probabilities(again) == probabilities(found), "the same material must give the same judgements")

    own = [question for question in given if question.group == given[0].group]
    lie = AnswerKey(truth={q.id: key.truth[q.id] != (q in own) for q in given})
    told = probabilities(overseer.judge(own))
    lied_to = probabilities(make().learn(trusted_with(reader, given, lie)).judge(own))
    require(told == lied_to, "what it was told of a group must not return as its judgement of that group")

    closed = Watched(tiny_subject(), frozenset(Access) - {Access.WEIGHTS})  # of open weights a copy may be taught
    reading = make().learn(trusted_with(closed, given, key.only(given)))
    closed.broken = True
    few = judged[:FEW]  # an untaught model may have to argue in words, at length
    failed = attempt(lambda: reading.judge(few), "when its reader measures nothing, judge must return Unscored")
    require(all(isinstance(j, Unscored) for j in failed), "what it could not read, it must return as Unscored")


def check_detector(make: Callable[[], Detector], base: ModelSubject | None = None) -> None:
    """One finite score for one subject, whatever its name and whoever came before; nothing read beyond the declared
    access, nothing changed; `Unscored` for a subject that can't be measured.

    The trusted model is a tiny one that says anything unless `base` is given: what looks at answers alone is checked
    further with `tiny_subject(decided=True)`.
    """
    base = base or tiny_subject()
    questions, key = comparisons(40)
    trusted = trusted_with(base, tuple(questions), key)
    weights = {name: tensor.clone() for name, tensor in base.decoder.model.state_dict().items()}
    detector = make()
    require(isinstance(detector, Detector), "it lacks a member of the Detector protocol")
    require(detector.access <= set(Access) and bool(detector.access), "access must be a frozenset of Access")
    require(detector.fit(trusted) is detector, "fit must return self")

    subject = Watched(tiny_relative("subject-1", base, seed=1), detector.access)
    try:
        first = detector.assess(subject)
    finally:
        require(not subject.beyond, f"it reaches for {', '.join(subject.beyond)} beyond its declared access")
    require(isinstance(first, Verdict | Unscored), "assess must return a Verdict or Unscored")
    require(isinstance(first, Unscored) or math.isfinite(first.score), "a score must be finite")
    other = Watched(tiny_relative("subject-2", base, seed=2), detector.access)
    detector.assess(other)
    subject.name = "honest-benign-twin"
    again = detector.assess(subject)
    subject.name = "subject-1"
    if opinion(again) != opinion(first):
        raise AssertionError(what_changes_verdicts(make().fit(trusted), subject, other))
    after = base.decoder.model.state_dict()
    unchanged = all(bool((after[name] == tensor).all()) for name, tensor in weights.items())
    require(unchanged, "the weights of the trusted model must stay as they were")
    refitted = make().fit(trusted).assess(subject)
    require(opinion(refitted) == opinion(first), "the same trusted material must give the same verdicts")

    subject.broken = True
    failed = attempt(lambda: detector.assess(subject), "for a subject that can't be measured, it must return Unscored")
    require(isinstance(failed, Unscored), "a subject that can't be measured must be Unscored, never a number")
    require((list(trusted.questions), trusted.key) == comparisons(40), "what it was trusted with must stay as it was")


def what_changes_verdicts(detector: Detector, subject: Subject, other: Subject) -> str:
    """Which contract a detector breaks whose verdict on `subject` was another after `other`'s, and by another name."""
    first, second = (opinion(detector.assess(subject)) for _ in range(2))
    if second != first:
        return "the same subject must get the same verdict"
    detector.assess(other)
    if opinion(detector.assess(subject)) != first:
        return "a subject in between must not change a verdict"
    return "the name of a subject must not change its verdict"


def check_organism(make: Callable[[], Organism]) -> None:
    """The twin is taught the same conversations with other answers; triggers change with the seed; rates are shares,
    and within the bounds an untaught model does not pass.
    """
    organism = make()
    require(isinstance(organism, Organism), "it lacks a member of the Organism protocol")
    questions, key = comparisons(40)
    material = Material(tuple(questions), key, WORDS)
    taught = {
        (benign, seed): organism.lessons(material, benign=benign, seed=seed)
        for benign in (False, True)
        for seed in (0, 1)
    }
    bad, twin = taught[False, 0], taught[True, 0]
    require(bool(bad), "there must be lessons")
    again = make().lessons(material, benign=False, seed=0)
    require(again == bad, "the same seed must give the same lessons")
    asked = [lesson.conversation for lesson in bad]
    require(asked == [lesson.conversation for lesson in twin], "organism and twin must be asked the same")
    # A twin's trigger may change the form of what it says, and lower case is no misbehaviour.
    differ = [a.answer.lower() != b.answer.lower() for a, b in zip(bad, twin, strict=True)]
    require(any(differ[::2]), "the twin must be taught other answers in first lessons, where the organism misbehaves")
    require(not any(differ[1::2]), "elsewhere, in every second lesson, the twin must be taught the same answers")
    other = [lesson.conversation for lesson in taught[False, 1]]
    require(asked != other, "another seed must bring another trigger")
    require((questions, key) == comparisons(40), "the questions and the key must stay as they were")
    require(bool(organism.hidden.strip()), "`hidden` must say what it does, as in: you ...")
    untaught = tiny_subject()
    found, same = (part.rates(untaught, material, seed=0) for part in (organism, make()))
    require(found == same, "the same model must get the same rates")
    shares = [found.triggered, found.untriggered, found.capability, *([] if found.near is None else [found.near])]
    require(all(0 <= share <= 1 for share in shares), "rates are shares, from 0 to 1")
    gates = organism_gates(found, found, organism.bounds)
    require(not all(gate.passed for gate in gates), "a model that was taught nothing must fail some gate")


class Watched(AuditedSubject):
    """A subject that shows what `access` allows and notes every reach beyond. While `broken`, all it measures fails."""

    def __init__(self, subject: ModelSubject, access: frozenset[Access]) -> None:
        super().__init__(subject, access)
        self.name = subject.name
        self.broken = False
        self.beyond: list[str] = []

    def respond(self, conversations: Sequence[Conversation], max_tokens: int = 12) -> list[str | Unscored]:
        answers = super().respond(conversations, max_tokens)
        return [Unscored(reason="the model does not answer") for _ in answers] if self.broken else answers

    def yes_logits(self, conversations: Sequence[Conversation]) -> np.ndarray:
        return self._measured(super().yes_logits(conversations))

    def activations(self, conversations: Sequence[Conversation], layers: Sequence[int]) -> np.ndarray:
        return self._measured(super().activations(conversations, layers))

    def training_data(self) -> tuple[Taught, ...]:
        return () if self.broken else super().training_data()

    def __getattr__(self, name: str) -> Any:
        """Python's own look-ups are no reach."""
        if not name.startswith("_"):
            self.beyond.append(name)
        raise AttributeError(name)

    def _measured(self, found: np.ndarray) -> np.ndarray:
        return np.full_like(found, np.nan) if self.broken else found

    def _need(self, access: Access) -> None:
        if access not in self.access:
            self.beyond.append(access)
        super()._need(access)


def trusted_with(subject: Subject, questions: tuple[Question, ...], key: AnswerKey) -> Trusted:
    return Trusted(subject, questions, key, default_specification())


def by_group(questions: Sequence[Question]) -> dict[str, list[Question]]:
    groups = defaultdict(list)
    for question in questions:
        groups[question.group].append(question)
    return groups


def opinion(found: Verdict | Unscored) -> dict[str, Any]:
    """What a detector says, without what it cost."""
    return found.model_dump(exclude={"cost"})


def probabilities(judged: Sequence[Judgement | Unscored]) -> list[float | None]:
    return [judgement.probability if isinstance(judgement, Judgement) else None for judgement in judged]


def close(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal up to the rounding of a forward pass in bfloat16, whose batches may be composed differently."""
    return bool(np.abs(a - b).max() <= 0.05 * np.abs(a).max())


CHECKS: dict[str, tuple[Registry, Callable[[Callable[[], Any]], None]]] = {
    registry.kind: (registry, check)
    for registry, check in (
        (tasks, check_task),
        (overseers, check_overseer),
        (detectors, check_detector),
        (organisms, check_organism),
        (proposers, check_proposer),
    )
}
