"""`superalign bench`: how much faster than its peer, on this machine, with results proven equal."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from superalign import bench as benches
from superalign.cli.options import AsJson
from superalign.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from superalign.bench.compare import Benchmark

EXAMPLES = "\n\n".join(
    [*(f"{name}: {says}" for name, says in benches.BENCHES.items()), "Example: superalign bench probes"]
)


def bench(
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"One of: {', '.join(benches.BENCHES)}.")],
    repeats: Annotated[int, typer.Option(min=5, help="How often each runs, after a warm-up.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Time a fast path of ours against its peer, in turn, and compare results. Exit code 1 when they differ."""
    from superalign.runs.quiet import quiet_libraries

    run = benches.find(name)
    say(f"Running ours and the peer {repeats + 1} times each. This takes minutes.")
    with TemporaryDirectory() as scratch, quiet_libraries(Path(scratch) / "libraries.log"):
        found = run(repeats)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        _show(found)
    if not found.equal.passed:
        say("The results differ by more than the bound, so the times mean nothing.")
        raise typer.Exit(1)


def _show(found: Benchmark) -> None:
    ratio, equal, machine = found.ratio, found.equal, found.machine
    goal = "met" if found.met else "NOT met"
    print(f"{found.name}: {ratio.median:.1f} times as fast as the peer ({ratio.min:.1f} to {ratio.max:.1f}).")
    print(f"The goal of {found.goal:g} is {goal}.\n")
    rows = [
        {"": who.name, "median s": f"{who.median:.3f}", "each s": " ".join(f"{each:.3f}" for each in who.seconds)}
        for who in (found.ours, found.peer)
    ]
    print_table(rows, ("", "median s", "each s"))
    passed = "passed" if equal.passed else "FAILED"
    accelerator = machine.accelerator or "no accelerator"
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items() if version)
    facts = [
        {"": "equal", " ": f"{passed}: {equal.what} {equal.measured:.3g} (bound {equal.bound:g})"},
        {"": "work", " ": "\n".join(found.notes)},
        {
            "": "machine",
            " ": f"{machine.processor}, {machine.cpus} CPUs, {machine.threads} threads, {accelerator}; {versions}",
        },
    ]
    print()
    print_table(facts, ("", " "))
