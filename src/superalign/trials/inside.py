"""What is inside the model under test, for the report: steps beside the battery, which no verdict rests on."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict, Unpack

from superalign.contracts.errors import InputError
from superalign.contracts.readings import Inside
from superalign.contracts.records import Access, Unscored
from superalign.interpretability.controls import controlled_reading
from superalign.interpretability.feature_cards import feature_cards
from superalign.interpretability.feature_shift import Features
from superalign.interpretability.knowledge import Knowledge
from superalign.interpretability.token_heat import token_heat
from superalign.models.audited import AuditedSubject
from superalign.models.handle import ModelIdentity
from superalign.models.teach import TrainedModel
from superalign.runs.run import Run
from superalign.runs.store import Done
from superalign.trials.assess import Auditor, fitted, opened

SHUFFLES = 99  # p-values down to 0.01; a hundred cost little beside the layers' decompositions, which all share


class Given(TypedDict):
    """What each of the steps is given."""

    auditor: Auditor
    base: ModelIdentity
    trained: Done[TrainedModel] | None
    user_model: ModelIdentity | None


def look_inside(
    run: Run,
    base: ModelIdentity,
    auditor: Auditor,
    *,
    trained: Done[TrainedModel] | None = None,
    user_model: ModelIdentity | None = None,
) -> Inside | None:
    """Where the model knows the truth, by layer and by token, and what its features fire on; None if it shows no
    layers, or none to this auditor.
    """
    if Access.ACTIVATIONS not in auditor.access.and_less & opened(base, trained, user_model).access:
        return None
    given = Given(auditor=auditor, base=base, trained=trained, user_model=user_model)
    found = Inside(
        probe=run.step("probe every second layer", read_layers, **given).value.probe,
        heat=run.step("read the truth token by token", read_tokens, **given).value.heat,
    )
    if "features" not in run.plan.validation.detectors:
        return found
    cards = run.step("explain features", explain_features, **given).value
    return found.model_copy(update={"features": cards.features})


def read_layers(folder: Path, **given: Unpack[Given]) -> Inside:
    """The probe of every second layer, beside its controls."""
    subject, auditor = audited(given), given["auditor"]
    layers = range(2, subject.layers + 1, 2) or [subject.layers]
    try:
        reading = controlled_reading(
            subject, auditor.questions, auditor.key, layers=layers, shuffles=SHUFFLES, seed=auditor.seed
        )
    except InputError as error:
        return Inside(probe=Unscored(reason=f"no probe can be fitted to the trusted facts: {error.what}"))
    return Inside(probe=reading)


def read_tokens(folder: Path, **given: Unpack[Given]) -> Inside:
    """The truth probe of `knowledge` at every token of a few questions."""
    knowledge = fitted("knowledge", given["auditor"], given["base"])
    assert isinstance(knowledge, Knowledge)
    return Inside(heat=token_heat(audited(given), knowledge))


def explain_features(folder: Path, **given: Unpack[Given]) -> Inside:
    """A card for each feature that the detector `features` sets the model apart by."""
    features = fitted("features", given["auditor"], given["base"])
    assert isinstance(features, Features)
    return Inside(features=feature_cards(audited(given), features))


def audited(given: Given) -> AuditedSubject:
    """The model, as far as this auditor may see it."""
    subject = opened(given["base"], given["trained"], given["user_model"])
    return AuditedSubject(subject, given["auditor"].access.and_less)
