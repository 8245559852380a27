"""The steps, each a verb: it runs its step with what that needs, reusing what is done, and shows that step alone."""

from __future__ import annotations

from collections.abc import Callable

import typer

from superalign.cli.options import AsJson, Device, Displayed, Jobs, On, PlanOrRun, Runs, Seed, Settings, Step
from superalign.cli.run import carry_out, show

SAYS = {
    Step.OVERSEE: "Get a training signal from a weaker overseer, and measure how right it is.",
    Step.GENERALIZE: "Train on that signal, and measure how far it carries beyond what the overseer can judge.",
    Step.STRESS: "Show planted misalignment and benign twins, sealed and blinded, to the detectors.",
    Step.DECIDE: 'Decide by the criteria written down before. Exit code 3 when the decision is not "proceed".',
}
NOT_PROCEED = 3


def verb(step: Step) -> Callable[..., None]:
    """The command that carries out `step`."""

    def command(
        plan: PlanOrRun,
        settings: Settings = None,
        seed: Seed = None,
        device: Device = "cpu",
        runs: Runs = "runs",
        jobs: Jobs = 1,
        on: On = "local",
        as_json: AsJson = False,
        display: Displayed = None,
    ) -> None:
        summary, folder = carry_out(plan, settings, seed, device, runs, display, step, jobs, on)
        show(summary, step, folder, as_json=as_json)
        if step is Step.DECIDE and not (summary.decision and summary.decision.verdict == "proceed"):
            raise typer.Exit(NOT_PROCEED)

    return command
