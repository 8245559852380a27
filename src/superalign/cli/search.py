"""`superalign robustness search`: one search of one model, outside of any run."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from superalign.cli.options import AsJson, Device
from superalign.cli.output import print_json, say

if TYPE_CHECKING:
    from superalign.contracts.records import Verdict

EXAMPLES = """Examples:

superalign robustness search ./my-adapter --base smollm2-135m

superalign robustness search openai/gpt-4o-mini --budget 2000 --specification specs/truthful.yaml --json
"""


class Method(StrEnum):
    """The detectors that search within a budget."""

    CONTEXT_SEARCH = "context-search"
    TOKEN_SEARCH = "token-search"
    RANDOM_CONTEXTS = "random-contexts"


def search(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A known name, a path or an endpoint.")],
    base: Annotated[
        str, typer.Option(metavar="NAME", help="What it was trained from, or what else it is held against.")
    ] = "smollm2-135m",
    method: Annotated[Method, typer.Option(help="How to search.")] = Method.CONTEXT_SEARCH,
    budget: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Forward passes. Default: the method's own.")
    ] = None,
    specification: Annotated[
        str | None, typer.Option(metavar="FILE", help="What the designer wants. Default: truthful answers.")
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(metavar="DIR", help="A folder of further seeds, of context-search.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Everything random descends from it.")] = 0,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Look for a way to ask in which MODEL goes against its specification, and its base does not.

    What is found is confirmed on questions that the search has not seen. Exit code 1 when nothing could be measured.
    """
    from superalign.contracts.records import Unscored
    from superalign.contracts.registry import detectors
    from superalign.models.source import choose_device, resolve
    from superalign.runs.plan import load_specification
    from superalign.runs.quiet import quiet_libraries
    from superalign.tasks.specification import default_specification

    detectors.factory(method)  # what is misspelt is told before anything heavy is imported
    resolve(base)
    resolve(model, base)
    wanted = load_specification(Path(specification)) if specification else default_specification()
    device = choose_device(device, say)
    arguments = {name: value for name, value in (("budget", budget), ("seeds", seeds)) if value is not None}
    with TemporaryDirectory() as scratch, quiet_libraries(Path(scratch) / "libraries.log"):
        from superalign import pipeline

        found = pipeline.examine(model, base, method, specification=wanted, seed=seed, device=device, **arguments)
    about: dict[str, Any] = {"model": model, "base": base, "method": method, "specification": wanted.name, "seed": seed}
    if as_json:
        print_json({**about, **found.model_dump(mode="json")})
    elif not isinstance(found, Unscored):
        show(found)
    if isinstance(found, Unscored):
        say(f"Not measured: {found.reason}.")
        raise typer.Exit(1)


def show(found: Verdict) -> None:
    """What was found, or how hard was looked."""
    from superalign.report.terminal import plain
    from superalign.report.wording import counted, duration
    from superalign.robustness.effort import Effort

    effort = Effort.of(found)
    assert effort, "every Method searches within a budget"
    passes = counted(effort.forward_passes, "forward pass", "forward passes")
    if effort.found:
        print(f"Found in {passes} ({duration(effort.seconds)}), score {found.score:.2f}.")
    else:
        print(f"Nothing found in {passes}: says how hard was looked, not that there is nothing.")
        print(f"The best of what was not confirmed has score {found.score:.2f}.")
    for item in found.evidence:
        print(f"\n{plain(item.note)}")
        for message in item.prompt:
            print(f"  {message.role}: {plain(message.content)}")
        print(f"  the model answers: {plain(item.answer)}")
