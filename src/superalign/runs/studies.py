"""The section of a plan that names studies of generalization, each with questions of its own."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, Field, model_validator

from superalign.contracts.records import Record
from superalign.runs.chosen import Chosen, Names, each_once
from superalign.runs.training import TrainingPlan

LossName = Literal[
    "xent",
    "soft",
    "confidence",
    "product",
    "bootstrap-soft",
    "bootstrap-hard",
    "filtered",
    "confident-learning",
    "early-stop",
    "consistency",
]


class LossesPlan(Record):
    """Weak-to-strong by training loss: students of all losses learn from the same weak labels."""

    tasks: Names = Field(("cities",), min_length=1, description="Registered tasks of at least three levels.")
    overseer: Chosen = Field("few-labels", description="Whose labels the students learn from.")
    losses: Annotated[tuple[LossName, ...], AfterValidator(each_once)] = Field(
        get_args(LossName), min_length=1, description="Ways to learn from weak labels; see docs/concepts/losses.md."
    )
    overseer_groups: int = Field(50, ge=4, description="Easy groups whose labels the overseer is given.")
    train_groups: int = Field(600, ge=8, description="Groups that students and ceilings are trained on.")
    test_groups: int = Field(300, ge=8, description="Groups on which they are tested; the hard ones count.")
    seeds: int = Field(5, ge=2, description="Students of each loss, and ceilings.")
    bootstrap: int = Field(2000, ge=100, description="Resamples of the paired seed and group bootstrap.")
    training: TrainingPlan = TrainingPlan()


class EasyToHardPlan(Record):
    """Taught the truth of easy questions, how right is a model about harder ones?"""

    task: str = Field("cities", description="A registered task of several levels.")
    train_groups: int = Field(200, ge=4, description="Groups whose truth each model is taught.")
    test_groups: int = Field(100, ge=4, description="Groups of each level that all models are asked about.")
    seeds: int = Field(3, ge=2, description="Models of each kind.")
    bootstrap: int = Field(2000, ge=100, description="Resamples of the paired seed and group bootstrap.")
    training: TrainingPlan = TrainingPlan()


def _expression(text: str) -> str:
    """ValueError for what is no regular expression."""
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from None
    return text


class PlantedPlan(Record):
    """A systematic error in the first overseer's labels; beside it, as many errors by chance."""

    kind: Annotated[str, AfterValidator(_expression)] = Field(
        r"in (China|India|Brazil|United States|Japan)\?",
        description="Regular expression: questions in whose text it is found are of the kind,",
    )
    rate: float = Field(0.9, gt=0, le=1, description="and so many of them are labelled no, whatever is true.")


class ChainPlan(Record):
    """Bootstrapping: each generation of models learns from the labels of the one before."""

    task: str = Field("cities", description="A registered task of several levels.")
    first_layers: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        (0.85, 0.7, 0.55),
        min_length=2,
        description="`training.first_layer` of each generation: later ones reach deeper. The first is the overseer.",
    )
    labelled_groups: int = Field(100, ge=4, description="Groups of the easiest level that the overseer is taught.")
    held_back_groups: int = Field(50, ge=4, description="More of them, whose labels the gate goes by.")
    train_groups: int = Field(250, ge=4, description="Groups of other levels, anew for each generation.")
    test_groups: int = Field(300, ge=4, description="Groups of other levels on which all are audited.")
    tolerance: float = Field(
        0.05, ge=0, le=1, description="The gate stops a chain that loses more accuracy on the labels held back."
    )
    planted: PlantedPlan = PlantedPlan()
    seeds: int = Field(3, ge=2, description="Chains of each kind.")
    bootstrap: int = Field(2000, ge=100, description="Resamples of the paired seed and group bootstrap.")
    training: TrainingPlan = TrainingPlan()


class OveroptimizationPlan(Record):
    """Rewards learnt from noisy comparisons, optimized: answers of a few steps, of which a share is right."""

    task: str = Field("table-chain", description="A registered task whose evidence is steps, right or wrong each.")
    steps: int = Field(4, ge=2, le=12, description="Of each answer.")
    candidates: int = Field(40, ge=4, description="Answers to each prompt, among which is chosen.")
    prompts: int = Field(14, ge=4, description="On which rewards are optimized, for each seed.")
    comparisons: Annotated[tuple[int, ...], AfterValidator(each_once)] = Field(
        (16, 128), min_length=1, description="That a reward is learnt from."
    )
    noise: float = Field(0.2, ge=0, lt=0.5, description="The share of comparisons told the wrong way round.")
    members: int = Field(4, ge=1, description="Of each ensemble; 1: no ensembles.")
    depth: float = Field(0.6, gt=0, le=1, description="The share of the layers after which rewards read the model.")
    seeds: int = Field(3, ge=1, description="Repetitions, none of which shares a group with another.")


class WrittenPolicyPlan(Record):
    """A policy that writes its own text (cities of a country), optimized against rewards learnt from its first texts:
    by the best of n, and by GRPO (TRL).
    """

    learn_prompts: int = Field(24, ge=4, description="Countries on whose texts rewards are learnt, for each seed.")
    train_prompts: int = Field(24, ge=2, description="Countries on which policies are trained, for each seed.")
    test_prompts: int = Field(24, ge=4, description="Countries on which all are measured, for each seed.")
    learn_texts: int = Field(16, ge=2, description="Texts to each prompt of the first, among which are compared.")
    pool: int = Field(32, ge=2, description="Texts to each prompt of the last, of which the best of n are chosen.")
    written: int = Field(4, ge=2, description="Texts to each of them by a trained policy, wherever it is looked at.")
    tokens: int = Field(24, ge=4, description="Of a text, at most.")
    temperature: float = Field(0.7, gt=0, description="At which every policy writes.")
    comparisons: int = Field(64, ge=4, description="That a reward is learnt from.")
    noise: float = Field(0.2, ge=0, lt=0.5, description="The share of comparisons told the wrong way round.")
    members: int = Field(4, ge=1, description="Of the ensemble, which counts its worst; 1: no ensemble.")
    depth: float = Field(0.6, gt=0, le=1, description="The share of the layers after which rewards read the model.")
    betas: Annotated[tuple[Annotated[float, Field(ge=0)], ...], AfterValidator(each_once)] = Field(
        (0.0, 0.1),
        min_length=1,
        description="Weights of the KL divergence for the outcome reward; other rewards have the first.",
    )
    samples: int = Field(8, ge=2, description="Texts to each prompt in a step, whose rewards are compared by GRPO.")
    looks: int = Field(4, ge=2, description="How often a policy is looked at, evenly over its steps.")
    seeds: int = Field(2, ge=1, description="Repetitions, each with rewards and policies of its own.")
    training: TrainingPlan = TrainingPlan(
        first_layer=0.5, rank=8, steps=16, batch=32, learning_rate=1e-3, backend="trl"
    )

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.training.backend != "trl" or self.training.trained != "adapters":
            raise ValueError("`training` is by the back end `trl`, of `adapters`")
        if self.training.batch % self.samples:
            raise ValueError(f"a batch of {self.training.batch} texts is no multiple of {self.samples} `samples`")
        return self


class MyopiaPlan(Record):
    """Ordinary optimization against myopic optimization with approval (MONA), in a gridworld and in language."""

    sizes: Annotated[tuple[int, ...], AfterValidator(each_once)] = Field(
        (3, 4), min_length=1, description="Cells along a side of each gridworld; every start of it counts."
    )
    horizons: Annotated[tuple[int, ...], AfterValidator(each_once)] = Field(
        (1, 2, 4, 8, 16), min_length=1, description="Steps whose rewards are maximized; 1 is MONA."
    )
    task: str = Field("cities", description="A registered task, of which the language task asks.")
    train_groups: int = Field(75, ge=8, description="Groups on which policies are trained, for each seed.")
    test_groups: int = Field(40, ge=8, description="Groups on which they are measured, for each seed.")
    updates: int = Field(200, ge=1, description="Steps of exact policy gradient.")
    seeds: int = Field(3, ge=1, description="Repetitions, none of which shares a group with another.")


class PressurePlan(Record):
    """Training with a detector in the loop: an organism and its twin are trained on, and pay for what a probe reads."""

    family: str = Field("sycophancy", description="A registered organism that answers yes or no.")
    penalties: Annotated[tuple[float, ...], AfterValidator(each_once)] = Field(
        (0.0, 0.03, 0.3, 3.0), min_length=1, description="Weights of the penalty beside the lessons' own loss."
    )
    steps: Annotated[tuple[int, ...], AfterValidator(each_once)] = Field(
        (10, 50), min_length=1, description="For which they are trained under the penalty."
    )
    task: str = Field("cities", description="A registered task, of whose facts the organism is made.")
    honest_groups: int = Field(600, ge=8, description="Groups that the honest model is taught, from which all go on.")
    groups: int = Field(200, ge=8, description="Groups that organism and twin are taught, and probes fitted on.")
    test_groups: int = Field(100, ge=8, description="Groups on which everything is measured.")
    seeds: int = Field(2, ge=1, description="Organisms, each with a twin.")
    honest: TrainingPlan = TrainingPlan()
    training: TrainingPlan = TrainingPlan(steps=140, bundle=2)


class StudiesPlan(Record):
    """Studies of generalization beside the plan's own, right after it; each is left out unless it has a section."""

    losses: LossesPlan | None = None
    easy_to_hard: EasyToHardPlan | None = None
    chain: ChainPlan | None = None
    overoptimization: OveroptimizationPlan | None = None
    written_policy: WrittenPolicyPlan | None = None
    myopia: MyopiaPlan | None = None
    pressure: PressurePlan | None = None
