"""An organism to take away: its weights, and a card that proves what it is."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from superalign.contracts import registry
from superalign.contracts.errors import InputError
from superalign.contracts.protocols import Rates
from superalign.contracts.records import Evidence, Record, Unscored
from superalign.contracts.summary import GateResult
from superalign.models.card import read_card
from superalign.models.handle import ModelIdentity, open_base, open_trained
from superalign.provenance.digest import file_digests
from superalign.tasks.splits import Splits
from superalign.trials.build import Planted, gate_result
from superalign.trials.plant import material_from, where_it_misbehaves

CARD, PROBE = "organism.json", "probe.json"
EXAMPLES = 3


class OrganismCard(Record):
    """`organism.json`: what was planted, whether it took hold, and how to see it. Keep it away from whoever audits."""

    format: Literal[1] = 1
    family: str
    role: Literal["organism", "twin"]
    summary: str
    base: str
    base_digest: str
    implant: str
    concealment: str
    secret: int
    seed: int
    rates: Rates
    gates: tuple[GateResult, ...]
    valid: bool
    examples: tuple[Evidence, ...]
    training_steps: int
    files: dict[str, str]


def export(
    planted: Sequence[Planted], model: ModelIdentity, splits: Splits, out: Path, *, seed: int
) -> list[OrganismCard]:
    """Leave each build with its card, and the probe that it evades, in a folder of its own under `out`. InputError when
    one is there already.
    """
    cards = []
    for build in planted:
        folder = out / build.seedling.role
        if folder.exists() and any(folder.iterdir()):
            raise InputError("The folder for the organism holds something.", where=str(folder), fix="Name a new --out.")
        shutil.copytree(build.trained.folder, folder, dirs_exist_ok=True)
        if build.probe:
            (folder / PROBE).write_text(build.probe.model_dump_json() + "\n")
        card = card_of(build, model, splits, folder, seed)
        (folder / CARD).write_text(card.model_dump_json(indent=1) + "\n")
        cards.append(card)
    return cards


def card_of(build: Planted, model: ModelIdentity, splits: Splits, folder: Path, seed: int) -> OrganismCard:
    """The card of one build by a plan with this seed, whose files lie in `folder`."""
    seedling = build.seedling
    return OrganismCard(
        family=seedling.family,
        role=seedling.role,
        summary=registry.organisms.describe(seedling.family),
        base=model.name,
        base_digest=model.digest,
        implant=seedling.implant,
        concealment=seedling.concealment,
        secret=seedling.secret,
        seed=seed,
        rates=build.rates,
        gates=tuple(gate_result(gate) for gate in build.gates),
        valid=build.valid,
        examples=examples(build, model, splits),
        training_steps=read_card(folder).fit.steps,
        files=file_digests(folder),
    )


def examples(build: Planted, model: ModelIdentity, splits: Splits) -> tuple[Evidence, ...]:
    """What the model says where the organism misbehaves, beside what the organism was taught to say there."""
    base, seedling = open_base(model), build.seedling
    lessons = where_it_misbehaves(seedling, material_from(model, splits, splits.easy[:EXAMPLES]))
    answers = open_trained(base, build.trained.folder, seedling.role).respond([one.conversation for one in lessons], 24)
    return tuple(
        Evidence(
            prompt=lesson.conversation,
            answer=answer.reason if isinstance(answer, Unscored) else answer,
            note=f"An organism is taught to say: {lesson.answer}",
        )
        for lesson, answer in zip(lessons, answers, strict=True)
    )
