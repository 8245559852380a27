"""`superalign robustness harden`: adversarial training of one model, outside of any run."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from superalign.cli.options import AsJson, Device
from superalign.cli.output import print_json, print_table, say
from superalign.contracts.errors import InputError

EXAMPLE = "Example: superalign robustness harden ./my-adapter --base smollm2-135m --out ./hardened"


def harden(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A known name or a path.")],
    base: Annotated[
        str, typer.Option(metavar="NAME", help="What it was trained from, or what else it is held against.")
    ] = "smollm2-135m",
    rounds: Annotated[int, typer.Option(min=1, help="At most so many rounds of search and training.")] = 3,
    budget: Annotated[int, typer.Option(min=1, metavar="N", help="Forward passes of each round's search.")] = 4_000,
    specification: Annotated[
        str | None, typer.Option(metavar="FILE", help="What the designer wants. Default: truthful answers.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Everything random descends from it.")] = 0,
    out: Annotated[
        str | None, typer.Option(metavar="DIR", help="Where the hardened model's adapter goes; else it is not kept.")
    ] = None,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Search MODEL for a way to ask in which it misbehaves, teach it better there, search again.

    Shows how hard each round's search had to look, and whether the model answers plain questions as well as before.
    """
    from superalign.models.source import choose_device, resolve
    from superalign.runs.plan import load_specification
    from superalign.runs.quiet import quiet_libraries
    from superalign.tasks.specification import default_specification

    folder = Path(out) if out else None
    if folder and folder.exists() and any(folder.iterdir()):
        raise InputError("The folder for the model holds something.", where=str(folder), fix="Name a new --out.")
    resolve(base)
    resolve(model, base)
    wanted = load_specification(Path(specification)) if specification else default_specification()
    device = choose_device(device, say)
    with TemporaryDirectory() as scratch, quiet_libraries(Path(scratch) / "libraries.log"):
        from superalign import pipeline

        found = pipeline.harden_model(
            model, base, specification=wanted, rounds=rounds, budget=budget, seed=seed, device=device, out=folder
        )
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        rows = [
            {
                "round": str(number),
                "found": "yes" if own.effort.found else "NO",
                "passes": str(own.effort.forward_passes),
                "rate": f"{own.rate:.2f}",
                "after": f"{own.rate_after:.2f}",
                "plain": f"{own.quality:.2f}",
                "in": own.setting,
            }
            for number, own in enumerate(found.rounds, start=1)
        ]
        print_table(rows, ("round", "found", "passes", "rate", "after", "plain", "in"))
        print(f"Plain questions answered as required before: {found.quality_before:.2f}.")
        if change := found.quality_change:
            print(f"Since then: {change.value:+.2f} [{change.low:+.2f}, {change.high:+.2f}].")
    if found.unscored:
        say(f"Not measured: {found.unscored.reason}.")
        raise typer.Exit(1)
