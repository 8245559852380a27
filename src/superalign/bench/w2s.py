"""A sweep of weak-to-strong generalization: students of the same weak labels on several tasks and seeds, by our
pipeline and by the `Trainer` of transformers.

The restricted overseer labels once, before anything is timed, for both: how it judges is no matter of training. Timed
are tokens, readings, training and the answers of every student to the test questions. Ours also keeps cards,
digests and a ledger of it all, as any run does. Ceilings are left out: they are trained as students are, on other
labels, and would only double the time of both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
from jaxtyping import Bool

from superalign.bench import floor
from superalign.bench.compare import Peer, Settings, compare
from superalign.bench.records import Benchmark, Equality, Figure, Profile
from superalign.bench.w2s_trainer import teach_by_trainer
from superalign.contracts import registry
from superalign.contracts.protocols import Taught, Trusted
from superalign.contracts.records import Judgement, Question
from superalign.generalization.weak_to_strong import lessons
from superalign.models.adapter import TARGETS
from superalign.models.batches import PASS_TOKENS
from superalign.models.handle import ModelIdentity, identify, loaded, open_base, recipe
from superalign.models.lessons import Recipe, lessons_from
from superalign.models.subject import ModelSubject
from superalign.models.teach import answer, taught
from superalign.models.train_adapters import new_student
from superalign.runs.plan import Plan, TaskPlan
from superalign.runs.progress import make_display
from superalign.runs.run import Run
from superalign.runs.training import TrainingPlan
from superalign.tasks.specification import default_specification
from superalign.tasks.splits import divide

GOAL = 4.0
BOUND = 0.01  # accuracy, over all students
AUDITOR_GROUPS = 8  # as few as a division takes: nobody audits here


@dataclass(frozen=True)
class Work:
    """The sweep. Sizes are in groups."""

    model: str = "smollm2-135m"
    tasks: tuple[str, ...] = ("cities", "arithmetic", "same-country")
    seeds: int = 5
    overseer: str = "few-labels"
    overseer_groups: int = 50
    train_groups: int = 160
    test_groups: int = 200
    training: TrainingPlan = field(default_factory=lambda: TrainingPlan(steps=32))


@dataclass(frozen=True)
class TaskWork:
    """What students of a task are taught, and asked."""

    lessons: tuple[Taught, ...]
    label_accuracy: float
    asked: tuple[Question, ...]
    truth: Bool[np.ndarray, "questions"]

    def accuracy(self, said: Bool[np.ndarray, "questions"]) -> float:
        """The share of `asked` that is answered right."""
        return float(np.mean(said == self.truth))


Accuracies = dict[tuple[str, int], float]  # of students, by task and seed


def run(settings: Settings, work: Work | None = None) -> Benchmark:
    """The bench, in bfloat16. Ours runs the whole sweep in every round, since it trains seeds together; the peer, which
    trains one student after another, does those of one seed, and its time counts as often as there are seeds.
    """
    work = work or Work()
    model = identify(work.model, device=settings.device)
    labelled = {name: weakly_labelled(work, name, model) for name in work.tasks}
    plan = recipe(work.training, open_base(model))
    # First, since it takes most memory: who is killed for that has not lost an hour of rounds.
    profiled = profile_of_one_task(work, labelled, model, plan)

    def ours() -> Accuracies:
        return our_sweep(work, labelled, model)

    found = compare(
        "w2s",
        ours,
        {
            "transformers Trainer": Peer(
                GOAL,
                Same(len(work.tasks) * work.seeds, settings.repeats + 1),
                lambda: peer_rounds(work, labelled, model, plan),
                ("accelerate", "peft"),
                parts=work.seeds,
            )
        },
        settings,
        profile=lambda _, __: profiled,
        notes=notes(work, labelled, plan),
    )
    whole = Figure(
        name="whole sweep",
        value=mean(found.peer.seconds) / found.ours.median,
        at_least=GOAL,
        how="All rounds of the peer, one seed each, over the median of ours: what the sweep took, not one seed of it.",
    )
    return found.model_copy(update={"figures": (whole,)})


def profile_of_one_task(work: Work, labelled: Mapping[str, TaskWork], model: ModelIdentity, plan: Recipe) -> Profile:
    """Of the sweep's first task alone: what is kept of every operation of three of them does not fit into 24 GB."""
    one = replace(work, tasks=work.tasks[:1])
    own = {name: labelled[name] for name in one.tasks}

    def sweep() -> Accuracies:
        return our_sweep(one, own, model)

    began = perf_counter()
    sweep()
    return floor.profile(
        sweep,
        perf_counter() - began,
        needs(open_base(model), own, one, plan),
        model.device,
        "a step runs the upper layers on the few tokens that open each answer, so that it is made of many small "
        "operations; adapters, attention there, the optimizer, and the files that a run keeps",
    )


def weakly_labelled(work: Work, name: str, model: ModelIdentity) -> TaskWork:
    """A task as the overseer, taught the truth of a few easy questions, labels it."""
    groups = TaskPlan(
        name=name,
        overseer_groups=work.overseer_groups,
        train_groups=work.train_groups,
        test_groups=work.test_groups,
        auditor_groups=AUDITOR_GROUPS,
    )
    splits = divide(registry.tasks.make(name), groups, seed=0)
    given = Trusted(open_base(model), splits.overseer, splits.key.only(splits.overseer), default_specification(), 0)
    judged = registry.overseers.make(work.overseer).learn(given).judge(splits.train)
    opinions = [(q, own) for q, own in zip(splits.train, judged, strict=True) if isinstance(own, Judgement)]
    questions, labels = [question for question, _ in opinions], [own.probability > 0.5 for _, own in opinions]
    return TaskWork(
        lessons=lessons(questions, labels),
        label_accuracy=float(np.mean(splits.key.of(questions) == labels)),
        asked=splits.test,
        truth=splits.key.of(splits.test),
    )


def our_sweep(work: Work, labelled: Mapping[str, TaskWork], model: ModelIdentity) -> Accuracies:
    """By the steps that `generalize` is made of, in a run of its own that finds nothing done before."""
    open_base.cache_clear()  # a new decoder over the same weights: it remembers no reading
    plan = Plan(name="w2s", specification=default_specification(), model=work.model)
    found: Accuracies = {}
    with TemporaryDirectory() as folder, Run.open(Path(folder), plan, display=make_display("none")) as opened:
        for name, own in labelled.items():
            seeds = range(work.seeds)
            sets = [own.lessons] * work.seeds
            students = taught(opened, f"students of {name}", sets, seeds, model=model, training=work.training)
            for seed, student in zip(seeds, students, strict=True):
                step = f"answers of student {seed} of {name}"
                done = opened.step(step, answer, model=model, questions=own.asked, trained=student)
                found[name, seed] = own.accuracy(np.array(done.value.margins) > 0)
    return found


def peer_rounds(
    work: Work, labelled: Mapping[str, TaskWork], model: ModelIdentity, plan: Recipe
) -> Callable[[], Accuracies]:
    """Students of all tasks, in each round by the next seed."""
    subject, seeds = open_base(model), count()
    teach = teach_by_trainer(loaded(model.name, None, model.device).model, subject.chat, plan)

    def students() -> Accuracies:
        seed = next(seeds) % work.seeds
        start = new_student(subject, plan, seed)  # the very adapters that ours begins with
        return {
            (name, seed): own.accuracy(teach(own.lessons, start, seed, [question.asked for question in own.asked]))
            for name, own in labelled.items()
        }

    return students


@dataclass
class Same:
    """Equal if the mean accuracies of all `students`, once both sides have had them all, differ by at most the bound;
    a single student's hang on rounding.
    """

    students: int
    rounds: int
    peers: Accuracies = field(default_factory=dict)
    looked: int = 0

    def __call__(self, ours: Accuracies, peer: Accuracies) -> Equality:
        self.peers |= peer
        self.looked += 1
        pairs = {student: (ours[student], other) for student, other in self.peers.items()}
        apart = abs(mean(own - other for own, other in pairs.values()))
        complete = len(pairs) == self.students
        return Equality(
            passed=self.looked < self.rounds or (complete and apart <= BOUND),
            measured=apart,
            bound=BOUND,
            what=f"mean accuracy of {len(pairs)} of {self.students} students, ours and the peer's: "
            + ", ".join(f"{name} {own:.3f} and {other:.3f}" for name, own, other in means(pairs))
            + "; apart by",
        )


def means(pairs: Mapping[tuple[str, int], tuple[float, float]]) -> list[tuple[str, float, float]]:
    """Of both sides: over everything, then by task."""
    of = {"all": list(pairs.values())}
    for (task, _), pair in pairs.items():
        of.setdefault(task, []).append(pair)
    return [(name, mean(own for own, _ in found), mean(other for _, other in found)) for name, found in of.items()]


def needs(subject: ModelSubject, labelled: Mapping[str, TaskWork], work: Work, plan: Recipe) -> floor.Needs:
    """The least that our way takes: read every conversation once for all seeds, then run the upper layers on what opens
    the answers: in a step forward and, but for the lowest, for the gradient of what goes in; for the exam forward only.
    """
    decoder, own = subject.decoder, len(subject.chat.invocation)
    cost = floor.TokenCost.of(decoder)
    upper = decoder.depth - plan.first_layer
    flops = 0.0
    for task in labelled.values():
        read = [lesson.prompt for lesson in lessons_from(subject.chat, task.lessons)]
        read += [subject.chat.encode(question.asked) for question in task.asked]
        before = [prompt[:-own] for prompt in read]
        flops += cost.flops(before, decoder.depth) + 2.0 * len(read) * own * cost.layer * plan.first_layer
        trained = plan.steps * plan.batch * ((2 * upper - 1) * cost.layer * own + 2 * cost.head)
        flops += 2.0 * work.seeds * (trained + len(task.asked) * upper * cost.layer * own)
    above = floor.weight_bytes(decoder, decoder.depth) - floor.weight_bytes(decoder, plan.first_layer)
    return floor.Needs(
        flops=flops,
        bytes=len(labelled) * (floor.weight_bytes(decoder, decoder.depth) + 2.0 * plan.steps * above),
        products=floor.products(decoder, PASS_TOKENS),
        dtype=decoder.head.dtype,
    )


def notes(work: Work, labelled: Mapping[str, TaskWork], plan: Recipe) -> tuple[str, ...]:
    of_tasks = ", ".join(
        f"{name} ({len(own.lessons)} labels, {own.label_accuracy:.0%} of them right; {len(own.asked)} questions)"
        for name, own in labelled.items()
    )
    return (
        f"{work.model} in bfloat16 learns the labels of {work.overseer} on {of_tasks}, by {work.seeds} seeds each, and "
        "is asked those of the test. Labels are made once, before anything is timed.",
        f"Both: {plan.steps} steps of {plan.batch} lessons in the same order, adapters of rank {plan.rank} on "
        f"{', '.join(TARGETS)} of the layers from {plan.first_layer} up, at work on the answer's opening, from one "
        f"start; AdamW at {plan.learning_rate:g}, warmed up over a tenth of the steps and decayed to zero.",
        "Only ours: one lesson in 17 teaches the end of the turn, and cards, digests and a ledger are kept. Only the "
        "peer: every step runs the whole model, on padded batches.",
        "Ours does the whole sweep in each round, with the seeds of a task trained together. The peer does one seed of "
        f"all tasks in each, and its seconds are {work.seeds} times that.",
    )
