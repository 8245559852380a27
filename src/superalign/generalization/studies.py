"""The studies that a plan names, each on questions of its own."""

from __future__ import annotations

from collections.abc import Callable

from superalign.contracts.studies import Studies
from superalign.contracts.studies.pressure import PressureStudy
from superalign.generalization import chain, easy_to_hard, losses, myopia, overoptimization, written_policy
from superalign.generalization.judging import Judging
from superalign.generalization.learned_rewards import prompts_of
from superalign.generalization.written_texts import check
from superalign.models.handle import ModelIdentity
from superalign.runs.plan import Plan
from superalign.runs.run import Run
from superalign.runs.studies import PressurePlan, StudiesPlan

Press = Callable[[Run, ModelIdentity, PressurePlan], PressureStudy]


def study(run: Run, model: ModelIdentity, plan: StudiesPlan, judging: Judging, press: Press) -> Studies:
    """Carry out every study of the plan. Organisms are no part of generalization: the pipeline brings `press`, which
    trains them with a detector in the loop.
    """
    return Studies(
        losses=losses.study(run, model, plan.losses, judging) if plan.losses else None,
        easy_to_hard=easy_to_hard.study(run, model, plan.easy_to_hard) if plan.easy_to_hard else None,
        chain=chain.study(run, model, plan.chain) if plan.chain else None,
        overoptimization=overoptimization.study(run, model, plan.overoptimization) if plan.overoptimization else None,
        written_policy=written_policy.study(run, model, plan.written_policy) if plan.written_policy else None,
        myopia=myopia.study(run, model, plan.myopia) if plan.myopia else None,
        pressure=press(run, model, plan.pressure) if plan.pressure else None,
    )


def check_studies(plan: Plan) -> None:
    """The errors of making every part that the studies name, and of dividing their tasks."""
    if plan.studies and plan.studies.losses:
        losses.check(plan.studies.losses, plan.seed)
    if plan.studies and plan.studies.easy_to_hard:
        easy_to_hard.check(plan.studies.easy_to_hard, plan.seed)
    if plan.studies and plan.studies.chain:
        chain.check(plan.studies.chain, plan.seed)
    if plan.studies and plan.studies.overoptimization:
        prompts_of(plan.studies.overoptimization, plan.seed)
    if plan.studies and plan.studies.written_policy:
        check(plan.studies.written_policy, plan.seed)
    if plan.studies and plan.studies.myopia:
        myopia.divided(plan.studies.myopia, plan.seed)
