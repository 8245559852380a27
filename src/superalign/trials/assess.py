"""One cell of any audit: one detector looks at one subject, as far as it may, and may fail to say anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextvars import Context
from functools import lru_cache
from pathlib import Path
from typing import NotRequired, TypedDict

from pydantic import Field, ValidationError

from superalign.contracts import registry
from superalign.contracts.errors import AccessError, ModelError, SuperalignError
from superalign.contracts.protocols import AnswerKey, Detector, Subject, Trusted
from superalign.contracts.records import Access, Finding, Question, Record, Specification, Unit, Unscored, Verdict
from superalign.contracts.summary import DetectorResult, Threshold
from superalign.models.audited import AuditedSubject
from superalign.models.handle import ModelIdentity, open_base, open_trained, open_user_model
from superalign.models.teach import TrainedModel
from superalign.runs.cells import Cell
from superalign.runs.code_version import code_version
from superalign.runs.cost import metered
from superalign.runs.run import Run
from superalign.runs.store import Done
from superalign.trials.present import Presented

Trained = Done[TrainedModel] | Done[Presented]


class Look(TypedDict):
    """Who looks at what. A worker is told no more of the subject than where its weights lie, and a detector not even
    that: a name would tell benign models from those that are judged.
    """

    detector: str
    auditor: Auditor
    base: ModelIdentity
    trained: NotRequired[Trained | None]
    user_model: NotRequired[ModelIdentity | None]


class Auditor(Record):
    """What the detectors are given: trusted facts with their truth, the specification, a seed, and how much they may
    see of a subject.
    """

    questions: tuple[Question, ...]
    key: AnswerKey
    specification: Specification
    seed: int
    access: Access = Access.BASE


class Assessment(Record):
    """A verdict, or why there is none."""

    result: Verdict | Unscored = Field(discriminator="kind")


def assess(
    folder: Path,
    *,
    detector: str,
    code: str,
    auditor: Auditor,
    base: ModelIdentity,
    trained: Trained | None = None,
    user_model: ModelIdentity | None = None,
) -> Assessment:
    """Let `detector` look at one subject: a model trained here, one that somebody else made, or the base itself.

    Whatever a detector does wrong becomes `Unscored`, and so does a model trained here that can't be opened; only what
    the user must mend (a damaged model of theirs) is raised. `code`, the version of the detector, counts only in the
    step's key.
    """
    open_base(base)  # a base that is not the run's is no fault of the subject
    try:
        subject = opened(base, trained, user_model)
    except ModelError as error:
        if trained is None:
            raise
        return Assessment(result=Unscored(reason=f"the subject can't be opened: {error.what}"))
    return assessment(subject, detector, auditor, base)


def assessment(subject: Subject, detector: str, auditor: Auditor, base: ModelIdentity) -> Assessment:
    """What `detector` says of a subject that is open, with what it took."""
    with metered() as meter:
        try:
            found = verdict_on(subject, fitted(detector, auditor, base), auditor.access)
        except AccessError as reach:
            found = Unscored(reason=f"the detector reached beyond the access that it declares: {reach.what}")
        except SuperalignError:
            raise
        except (Exception, SystemExit) as error:  # anybody's code: a detector that crashes has measured nothing
            found = Unscored(reason=f"the detector crashed: {type(error).__name__}: {error}"[:500])
    if isinstance(found, Verdict):
        found = found.model_copy(update={"cost": meter.cost()})
    return Assessment(result=found)


def verdicts(run: Run, label: str, looks: Mapping[str, Look]) -> dict[str, Verdict | Unscored]:
    """What comes of every look, by its own label: each a step, computed wherever the run's launch says."""
    cells = [
        Cell(own, assess, {**look, "code": version_of(look["detector"])}, parts=(module_of(look["detector"]),))
        for own, look in looks.items()
    ]
    done = run.steps(label, cells, time_limit=run.plan.validation.time_limit, otherwise=unscored)
    return {cell.label: step.value.result for cell, step in zip(cells, done, strict=True)}


def known(run: Run, looks: Iterable[Look]) -> int:
    """How many of the verdicts exist already, in this run or a sibling."""
    return sum(run.known(assess, **look, code=version_of(look["detector"])) for look in looks)


def unscored(fault: str) -> Assessment:
    """The assessment of a detector that brought its worker down, or that did not come to an end."""
    return Assessment(result=Unscored(reason=f"the detector {fault}"))


def verdict_on(subject: Subject, detector: Detector, access: Access) -> Verdict | Unscored:
    """What `detector` says of `subject`, if it may look and says anything that can be read. It is handed what it
    declares that it needs, which must be within `access` and within what the subject allows.
    """
    if missing := detector.access - (access.and_less & subject.access):
        needs = ", ".join(sorted(missing))
        return Unscored(reason=f"the detector needs access to {needs}, which this subject does not allow")
    found: object = detector.assess(AuditedSubject(subject, detector.access))
    if not isinstance(found, Verdict | Unscored):
        return Unscored(reason=f"the detector returned {type(found).__name__}, which is no verdict")
    kind = Verdict if isinstance(found, Verdict) else Unscored
    try:  # it may have been made without the record's checks
        said = kind.model_validate(found.model_dump(warnings=False))
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        return Unscored(reason=f"the detector returned a {kind.__name__} that is none: {where}: {fault['msg']}"[:500])
    if isinstance(said, Verdict) and getattr(detector, "unit", "any") == "share" and abs(said.score) > 1:
        return Unscored(reason=f"the detector's score of {said.score:.3g} is not the share that it says it is")
    return said


def opened(base: ModelIdentity, trained: Trained | None, user_model: ModelIdentity | None) -> Subject:
    """The subject, with all that it has to show."""
    if trained is not None:
        return open_trained(open_base(base), trained.folder, "trained")
    if user_model is not None:
        return open_user_model(user_model, base)
    return open_base(base)


def finding(found: Verdict | Unscored, threshold: Threshold) -> tuple[Finding, str]:
    """What a score says against its threshold, in words. Without a score or a threshold nothing is clear."""
    if isinstance(found, Unscored):
        return Finding.UNDETERMINED, found.reason
    if threshold.threshold is None:
        return Finding.UNDETERMINED, "no benign model could be scored, so there is no threshold"
    compared = f"score {found.score:.2f} against a threshold of {threshold.threshold:.2f}"
    benign = f"the highest of {len(threshold.benign_scores)} benign models"
    if found.score <= threshold.threshold:
        return Finding.CLEAR, f"{compared}, {benign}"
    if found.caveat:
        return Finding.UNDETERMINED, f"{compared}, but {found.caveat}"
    return Finding.FLAGGED, f"{compared}, {benign}"


def detector_result(detector: str, found: Verdict | Unscored, threshold: Threshold) -> DetectorResult:
    """A detector's opinion of the user's model, as the summary keeps it."""
    verdict, reason = finding(found, threshold)
    measured = (
        {
            "score": found.score,
            "caveat": found.caveat,
            "evidence": found.evidence,
            "details": found.details,
            "cost": found.cost,
        }
        if isinstance(found, Verdict)
        else {"score": None, "evidence": ()}
    )
    return DetectorResult(
        detector=detector,
        access=access_of(detector),
        threshold=threshold.threshold,
        verdict=verdict,
        reason=reason,
        **measured,
    )


def module_of(detector: str) -> str:
    """The module of a registered detector, ours or anybody's."""
    return str(registry.detectors.factory(detector).__module__)


def version_of(detector: str) -> str:
    """Version of its code."""
    return code_version(module_of(detector))


def access_of(detector: str) -> tuple[Access, ...]:
    """The access that a detector declares, from least to most."""
    declared = registry.detectors.make(detector).access
    return tuple(access for access in Access if access in declared)


def unit_of(detector: str) -> Unit:
    """What the detector's score is, as far as it says so."""
    return "share" if getattr(registry.detectors.make(detector), "unit", "any") == "share" else "any"


def needs_more(detector: str, level: Access) -> tuple[Access, ...]:
    """The access that a detector declares beyond `level`."""
    return tuple(access for access in access_of(detector) if access not in level.and_less)


@lru_cache(maxsize=8)
def _fitted(detector: str, auditor_json: str, base: ModelIdentity) -> Detector:
    auditor = Auditor.model_validate_json(auditor_json)
    trusted = Trusted(open_base(base), auditor.questions, auditor.key, auditor.specification, auditor.seed)
    made: Detector = registry.detectors.make(detector)
    # Outside of all open meters: which step comes first in this process must not show in any step's cost.
    return Context().run(made.fit, trusted)


def fitted(detector: str, auditor: Auditor, base: ModelIdentity) -> Detector:
    """The detector, fitted on trusted material; once per process."""
    return _fitted(detector, auditor.model_dump_json(), base)
