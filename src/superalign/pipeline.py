"""The whole job on one screen: oversee, generalize, validate, stress-test, decide."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from superalign.contracts.attacks import Attacks
from superalign.contracts.errors import InputError, PlanError
from superalign.contracts.protocols import Subject, Trusted
from superalign.contracts.records import Access, Specification, Unscored, Verdict
from superalign.contracts.registry import detectors, organisms, overseers, tasks
from superalign.contracts.summary import Summary, Threshold
from superalign.generalization.studies import check_studies, study
from superalign.generalization.weak_to_strong import Students, generalize, train_students
from superalign.models.altered import save_adapter, with_open_weights
from superalign.models.handle import ModelIdentity, identify, open_base, open_user_model
from superalign.oversight.compare import check_comparison, compare
from superalign.oversight.measure import judging, oversee
from superalign.oversight.signals import check_signal
from superalign.provenance.commit import Opening
from superalign.report.html import render
from superalign.robustness.harden import Hardening, harden
from superalign.runs.chosen import named
from superalign.runs.launch import HERE, Launch
from superalign.runs.plan import Plan, Step
from superalign.runs.progress import Display
from superalign.runs.run import Run
from superalign.tasks.specification import default_specification
from superalign.tasks.splits import Splits, divide
from superalign.trials import pressure
from superalign.trials.argument import argue_beside, trial_beside
from superalign.trials.assess import Auditor, needs_more, verdict_on
from superalign.trials.attacks.attack import attack, shift_to
from superalign.trials.battery import judge_model
from superalign.trials.build import build_all
from superalign.trials.capability import check_capability, read_capability
from superalign.trials.card import OrganismCard, export
from superalign.trials.decide import decide
from superalign.trials.inside import look_inside
from superalign.trials.plant import honest_model
from superalign.trials.saved import ATTACKS_FILE, SUMMARY_FILE, saved_attacks, saved_summary
from superalign.trials.seal import check_opened, check_unspent
from superalign.trials.stress import (
    Sealed,
    check_groups,
    check_transcripts,
    run_trial,
    seal_trial,
    stress,
    unseal_trial,
)
from superalign.trials.validate import calibrate, habits, validate


def run(run: Run, *, only: Step | None = None, device: str = "cpu") -> Summary:
    """Carry out the run's plan, as far as `only`, or as far as it says; what was done before is reused. A run that has
    come as far as its plan says gets summary and report.
    """
    plan, last = run.plan, only or run.plan.until
    model, splits, auditor = prepare(run, device, last)
    parts: dict[str, Any] = {}

    def ended() -> Summary:
        found = summary(run, parts)
        return publish(run, found) if only in (None, plan.until) else found

    oversight = oversee(run, model, splits)
    parts["oversight"] = oversight.summary
    if plan.compare:
        parts["comparison"] = compare(run, model, plan.compare)
    if last == "oversee":
        return ended()

    parts["generalization"], trained = generalize(run, model, splits, oversight.signal, oversight.test)
    if plan.studies:
        parts["studies"] = study(run, model, plan.studies, judging, pressure.study)
    if last == "generalize":
        return ended()

    record = read_capability(run, model, trained.students[0]) if last in (None, "decide") else None
    thresholds = calibrate(run, model, splits, auditor, trained)
    parts["thresholds"] = tuple(thresholds.values())
    parts["validation"] = validate(run, model, auditor, thresholds, trained=trained.students[0])
    parts["battery"] = judge_model(parts["validation"], thresholds)
    parts["inside"] = look_inside(run, model, auditor, trained=trained.students[0])
    if last == "validate":
        return ended()

    parts["trial"] = stress(run, model, splits, auditor, thresholds, trained.ceilings[0])
    if last == "stress":
        return ended()

    parts["decision"] = decide(
        parts["validation"], parts["battery"], parts["trial"], parts["generalization"], plan.criteria, record
    )
    run.ledger.append("decision", parts["decision"].model_dump(mode="json"))
    return publish(run, summary(run, parts))


def validate_model(
    runs: Path,
    name: str,
    base: str,
    *,
    plan: Plan | None = None,
    device: str = "cpu",
    display: Display,
    launch: Launch = HERE,
) -> tuple[Summary, Path]:
    """Validate the model `name`, made by somebody else from `base`; thresholds come from benign models trained from
    `base`.
    """
    user_model = identify(name, base, device=device)
    chosen = plan or Plan(name="validate", specification=default_specification())
    own = chosen.model_copy(update={"name": f"validate-{user_model.digest[:8]}", "model": base})
    with Run.open(runs, own, display=display, launch=launch) as opened:
        model, splits, auditor = prepare(opened, device)
        oversight = oversee(opened, model, splits)
        trained = train_students(opened, model, splits, oversight.signal)
        thresholds = calibrate(opened, model, splits, auditor, trained)
        results = validate(opened, model, auditor, thresholds, user_model=user_model)
        battery = judge_model(results, thresholds)
        parts = {
            "thresholds": tuple(thresholds.values()),
            "validation": results,
            "battery": battery,
            "inside": look_inside(opened, model, auditor, user_model=user_model),
            "argument": argue_beside(results, battery, trial_beside(runs, thresholds)),
        }
        return publish(opened, summary(opened, parts, model=name)), opened.folder


def seal(run: Run, *, device: str = "cpu") -> Opening:
    """First stage of the plan's trial: the opening of its seal. SealError, in every stage, when the trial is spent."""
    return sealed_trial(run, device).opening


def reach_verdicts(run: Run, *, device: str = "cpu") -> dict[str, Verdict | Unscored]:
    """Second stage: what every detector says of every subject, by the look's label."""
    return run_trial(run, sealed_trial(run, device))


def unseal(run: Run, *, device: str = "cpu") -> Summary:
    """Last stage: the trial, counted. SealError while a verdict is missing."""
    sealed = sealed_trial(run, device)
    return summary(run, {"thresholds": tuple(sealed.thresholds.values()), "trial": unseal_trial(run, sealed)})


def sealed_trial(run: Run, device: str) -> Sealed:
    """The trial under its seal, with all that comes before."""
    check_unspent(run)
    model, splits, auditor = prepare(run, device)
    trained, thresholds = before_the_trial(run, model, splits, auditor)
    return seal_trial(run, model, splits, auditor, thresholds, trained.ceilings[0])


def before_the_trial(
    run: Run, model: ModelIdentity, splits: Splits, auditor: Auditor
) -> tuple[Students, dict[str, Threshold]]:
    """The students, and the thresholds that their like set."""
    trained = train_students(run, model, splits, oversee(run, model, splits).signal)
    return trained, calibrate(run, model, splits, auditor, trained)


def attack_trial(
    run: Run, *, task: str = "elements", benign: int = 8, chosen: Sequence[str] = (), device: str = "cpu"
) -> Attacks:
    """After the trial: its detectors under attack, or the `chosen` ones, with questions of `task` and `benign` models
    for their thresholds. Leaves `attacks.json`, and in a complete run the report with it. SealError before the trial is
    unsealed.
    """
    check_opened(run)
    model, splits, auditor = prepare(run, device)
    trained, thresholds = before_the_trial(run, model, splits, auditor)
    models = [*trained.students[1:], *habits(run, model, splits, trained)]  # those of `calibrate`, in its order
    shift = shift_to(task, run.plan, auditor, models, benign)
    sealed = seal_trial(run, model, splits, auditor, thresholds, trained.ceilings[0])
    found = attack(run, model, splits, sealed, unseal_trial(run, sealed), shift, chosen)
    run.write(ATTACKS_FILE, found.model_dump_json(indent=1) + "\n")
    if complete := saved_summary(run.folder):
        run.write("report.html", render(complete, found))
    return found


def build_organism(runs: Path, plan: Plan, out: Path, *, device: str = "cpu", display: Display) -> list[OrganismCard]:
    """The organisms of `plan` and their twins, each in a folder under `out` with its card; a killed build goes on."""
    with Run.open(runs, plan, display=display) as run:
        model, splits, _ = prepare(run, device)
        honest = honest_model(run, model, splits, plan.generalize.training)
        return export(build_all(run, model, splits, honest), model, splits, out, seed=plan.seed)


def examine(
    name: str,
    base: str,
    detector: str,
    *,
    specification: Specification,
    seed: int = 0,
    device: str = "cpu",
    **arguments: Any,
) -> Verdict | Unscored:
    """What one detector, made with `arguments`, says of the model `name` beside `base`. Outside of any run: nothing is
    kept, and without benign models to compare with a score is not a finding.
    """
    made = detectors.make(detector, **arguments)
    subject, trusted = beside_base(name, base, specification, seed, device)
    return verdict_on(subject, made.fit(trusted), Access.TRAINING_DATA)


def harden_model(
    name: str,
    base: str,
    *,
    specification: Specification,
    rounds: int,
    budget: int,
    seed: int = 0,
    device: str = "cpu",
    out: Path | None = None,
) -> Hardening:
    """Adversarial training of the model `name`; what came of it goes to `out` as an adapter. Outside of any run.

    InputError for a model without open weights.
    """
    subject, trusted = beside_base(name, base, specification, seed, device)
    opened = with_open_weights(subject)
    if opened is None:
        raise InputError(
            f"{name!r} has no open weights, so that nothing can be taught to it.", fix="Name one that has."
        )
    hardened, found = harden(opened, trusted, rounds=rounds, budget=budget)
    if out:
        save_adapter(hardened, out, base_name=base)
    return found


def beside_base(name: str, base: str, specification: Specification, seed: int, device: str) -> tuple[Subject, Trusted]:
    """The model `name` as a subject, and what may be known of facts and of `base` by whoever looks at it."""
    reference = identify(base, device=device)
    trusted_model = open_base(reference)
    subject = trusted_model if name == base else open_user_model(identify(name, base, device=device), reference)
    plan = Plan(name="examine", seed=seed, model=base, specification=specification)
    splits = divide(tasks.make(plan.task.name), plan.task, seed)
    key = splits.key.only(splits.auditor)
    return subject, Trusted(trusted_model, splits.auditor, key, specification, seed)


def prepare(run: Run, device: str, last: Step | None = None) -> tuple[ModelIdentity, Splits, Auditor]:
    """The model, the questions divided among those who may see them, and what the detectors are trusted with.

    What the plan can't have, as far as its step `last`, is refused here, before anything is computed.
    """
    plan = run.plan
    check(plan, last)
    model = identify(plan.model, device=device)
    run.note_in_manifest("models", {model.name: model.digest})
    splits = divide(tasks.make(plan.task.name), plan.task, plan.seed)
    auditor = Auditor(
        questions=splits.auditor,
        key=splits.key.only(splits.auditor),
        specification=plan.specification,
        seed=plan.seed,
        access=plan.validation.access,
    )
    return model, splits, auditor


def check(plan: Plan, last: Step | None) -> None:
    """UnknownName when the plan names a part or an environment that there is not, InputError when it gives an overseer
    arguments that it does not take, PlanError when it has too few questions for its comparison, its studies or its
    organisms, or a detector that needs more access than it allows, or a signal that its task or its back end can't
    have, or a record of capability that it sets no limits for, or transcripts that can't be kept.
    """
    parts = {tasks: (plan.task.name,), detectors: plan.validation.detectors, organisms: plan.stress.families}
    for registry, names in parts.items():
        for name in names:
            registry.factory(name)
    overseer, arguments = named(plan.oversee.overseer)
    overseers.make(overseer, **arguments)
    check_signal(plan)
    check_comparison(plan)
    check_studies(plan)
    check_capability(plan)
    check_transcripts(plan)
    if plan.studies and plan.studies.pressure:
        pressure.check(plan.studies.pressure, plan.seed)
    if last not in ("oversee", "generalize", "validate"):
        check_groups(plan)
    check_access(plan)


def check_access(plan: Plan) -> None:
    """PlanError when a detector needs more access than the plan allows."""
    for detector in plan.validation.detectors:
        if missing := needs_more(detector, plan.validation.access):
            raise PlanError(
                f"The detector {detector!r} needs access to {', '.join(missing)}, and detectors are allowed "
                f"{plan.validation.access}.",
                where="validate.access",
                fix=f"Set validate.access to {missing[-1]}, or leave the detector out of validate.detectors.",
            )


def summary(run: Run, parts: dict[str, Any], model: str | None = None) -> Summary:
    """What was found so far, with what it cost."""
    plan = run.plan
    return Summary(
        name=plan.name,
        model=model or plan.model,
        specification=plan.specification,
        seed=plan.seed,
        cost=run.cost(),
        **parts,
    )


def publish(run: Run, found: Summary) -> Summary:
    """Leave `summary.json` and `report.html` in the run folder."""
    run.write(SUMMARY_FILE, found.model_dump_json(indent=1) + "\n")
    run.write("report.html", render(found, saved_attacks(run.folder)))
    return found
