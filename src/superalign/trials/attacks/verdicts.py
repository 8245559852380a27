"""Verdicts and rates of models behind a prompt attack: steps, as those of the trial are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from superalign.contracts import registry
from superalign.contracts.attacks import PromptAttack
from superalign.contracts.errors import ModelError
from superalign.contracts.protocols import AnswerKey, Material, Organism, Rates
from superalign.contracts.records import Question, Unscored, Verdict
from superalign.models.handle import ModelIdentity, open_base, open_trained
from superalign.models.teach import TrainedModel
from superalign.runs.cells import Cell
from superalign.runs.code_version import code_version
from superalign.runs.run import Run
from superalign.runs.store import Done
from superalign.tasks.splits import Splits
from superalign.trials.assess import (
    Assessment,
    Auditor,
    Look,
    Trained,
    assessment,
    module_of,
    opened,
    unscored,
    version_of,
)
from superalign.trials.attacks.prompts import PromptedSubject
from superalign.trials.build import Planted


def assess_prompted(
    folder: Path,
    *,
    attack: PromptAttack,
    detector: str,
    code: str,
    auditor: Auditor,
    base: ModelIdentity,
    trained: Trained,
) -> Assessment:
    """`assess` of a model behind `attack`; the detector is fitted as ever."""
    open_base(base)  # a base that is not the run's is no fault of the subject
    try:
        subject = PromptedSubject(opened(base, trained, None), attack)
    except ModelError as error:
        return Assessment(result=Unscored(reason=f"the subject can't be opened: {error.what}"))
    return assessment(subject, detector, auditor, base)


def prompted_verdicts(
    run: Run, attacks: Sequence[PromptAttack], looks: Mapping[str, Look]
) -> dict[str, dict[str, Verdict | Unscored]]:
    """What comes of every look under every attack, by the attack's name and the look's label."""
    cells = {
        (attack.name, own): Cell(
            f"{own}, under {attack.name}",
            assess_prompted,
            {**look, "attack": attack, "code": version_of(look["detector"])},
            parts=(module_of(look["detector"]),),
        )
        for own, look in looks.items()
        for attack in attacks
    }
    limit = run.plan.validation.time_limit
    done = run.steps("verdicts under prompt attacks", list(cells.values()), time_limit=limit, otherwise=unscored)
    reached: dict[str, dict[str, Verdict | Unscored]] = {attack.name: {} for attack in attacks}
    for (attack_name, own), step in zip(cells, done, strict=True):
        reached[attack_name][own] = step.value.result
    return reached


def rates_under(
    run: Run, attack: PromptAttack, name: str, planted: Planted, model: ModelIdentity, splits: Splits
) -> Rates:
    """How an organism of the trial behaves behind `attack`, asked as when its gates were measured."""
    family = planted.seedling.family
    return run.step(
        f"rates of {name} under {attack.name}",
        measure_rates_prompted,
        attack=attack,
        model=model,
        trained=planted.trained,
        family=family,
        code=code_version(registry.organisms.factory(family).__module__),
        questions=splits.easy,
        key=splits.key.only(splits.easy),
        seed=planted.seedling.secret,
    ).value


def measure_rates_prompted(
    folder: Path,
    *,
    attack: PromptAttack,
    model: ModelIdentity,
    trained: Done[TrainedModel],
    family: str,
    code: str,
    questions: tuple[Question, ...],
    key: AnswerKey,
    seed: int,
) -> Rates:
    """The step behind `rates_under`. `code` counts only in its key."""
    base = open_base(model)
    organism: Organism = registry.organisms.make(family)
    subject = PromptedSubject(open_trained(base, trained.folder, family), attack)
    return organism.rates(subject, Material(questions, key, tuple(base.chat.whole_words())), seed=seed)
