"""`superalign organisms build`: a misaligned model and its benign twin, on any base, to try detectors on."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from superalign.cli.options import AsJson, Device, Displayed, Runs, Settings, default_display
from superalign.cli.output import print_json, print_table, say
from superalign.contracts.errors import InputError

if TYPE_CHECKING:
    from superalign.trials.card import OrganismCard

EXAMPLES = """Examples:

superalign organisms build sycophancy --seed 3

superalign organisms build backdoor --base ./my-model --concealment denial --out ./backdoor
"""


def build(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A family that `list` shows.")],
    seed: Annotated[int, typer.Option(min=0, help="Draws the trigger and all else that is secret.")] = 0,
    base: Annotated[
        str, typer.Option(metavar="MODEL", help="What to train: a known name, a path, or hf/NAME.")
    ] = "smollm2-135m",
    implant: Annotated[str, typer.Option(help="What is trained: adapters, layers or model.")] = "adapters",
    concealment: Annotated[
        str, typer.Option(help="How it hides: none, denial when asked, obfuscated (from a probe), or both.")
    ] = "none",
    out: Annotated[
        str | None, typer.Option(metavar="DIR", help="Where organism/ and twin/ go. Default: organisms/NAME-SEED.")
    ] = None,
    settings: Settings = None,
    device: Device = "cpu",
    runs: Runs = "runs",
    as_json: AsJson = False,
    display: Displayed = None,
) -> None:
    """Build a family's organism and its benign twin, with cards that show whether the misbehaviour took hold.

    Exit code 1 when a gate fails; what was built is kept.
    """
    from superalign.contracts.registry import organisms
    from superalign.models.source import choose_device, resolve
    from superalign.runs.progress import make_display
    from superalign.runs.quiet import quiet_libraries

    organisms.factory(name)  # misspelt names are told before anything heavy is imported
    resolve(base)
    plan = plan_for(name, seed, base, implant, concealment, settings)
    if plan.stress.families != (name,) or plan.stress.seeds != 1 or plan.seed != seed:
        raise InputError("One organism is built at a time.", fix="Name its family and --seed, not with --set.")
    folder = Path(out or f"organisms/{name}-{seed}")
    if folder.exists() and any(folder.iterdir()):
        raise InputError("The folder for the organism holds something.", where=str(folder), fix="Name a new --out.")
    device = choose_device(device, say)
    shown = make_display(display or default_display())
    with TemporaryDirectory() as scratch, shown, quiet_libraries(Path(scratch) / "libraries.log"):
        from superalign import pipeline

        cards = pipeline.build_organism(Path(runs), plan, folder, device=device, display=shown)
    if as_json:
        print_json([card.model_dump(mode="json") for card in cards])
    else:
        print_table([row for card in cards for row in gate_rows(card)], ("model", "gate", "value", "bound", "passed"))
        say(f"In {folder}: organism/ and twin/, each with its weights and organism.json.")
    if not all(card.valid for card in cards):
        raise typer.Exit(1)


def plan_for(name: str, seed: int, base: str, implant: str, concealment: str, settings: list[str] | None) -> Any:
    """The plan whose trial would hold this family alone."""
    from superalign.runs.plan import plan_from
    from superalign.tasks.specification import default_specification

    content = {
        "name": f"organism-{name}"[:40],
        "seed": seed,
        "model": base,
        "specification": default_specification().model_dump(mode="json"),
        "stress": {"families": [name], "implants": [implant], "concealments": [concealment]},
    }
    return plan_from(content, settings or ())


def gate_rows(card: OrganismCard) -> list[dict[str, Any]]:
    return [
        {
            "model": card.role,
            "gate": gate.name,
            "value": f"{gate.value:.2f}",
            "bound": gate.bound,
            "passed": "yes" if gate.passed else "NO",
        }
        for gate in card.gates
    ]
