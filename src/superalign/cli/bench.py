"""`superalign bench`: how much faster than its peers, on this machine, with results proven equal."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from superalign import bench as benches
from superalign.cli.options import AsJson, Device
from superalign.cli.output import print_facts, print_json, print_table, say

if TYPE_CHECKING:
    from superalign.bench.records import Benchmark, Figure, Machine, PeerResult, Profile, Utilization

EXAMPLES = "\n\n".join(
    [*(f"{name}: {says}" for name, says in benches.BENCHES.items()), "Example: superalign bench probes"]
)


def bench(
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"One of: {', '.join(benches.BENCHES)}.")],
    repeats: Annotated[int, typer.Option(min=5, help="How often each runs, after a warm-up.")] = 5,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Time a fast path of ours against its peers, in turn, and compare results. Exit code 1 when they differ."""
    run = benches.find(name)
    from superalign.bench.compare import Settings
    from superalign.models.source import choose_device
    from superalign.runs.quiet import quiet_libraries

    real = sys.stderr  # libraries are kept quiet below; we are not

    def tell(line: str) -> None:
        print(line, file=real, flush=True)

    settings = Settings(repeats, choose_device(device, say), tell)
    tell(f"Each contestant runs {repeats + 1} times, which takes minutes.")
    with TemporaryDirectory() as scratch, quiet_libraries(Path(scratch) / "libraries.log"):
        found = run(settings)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        _show(found)
    differing = [peer.name for peer in getattr(found, "peers", ()) if not peer.equal.passed]
    if differing:
        say(f"The results of {', '.join(differing)} differ by more than the bound, so the times mean nothing.")
        raise typer.Exit(1)


def _show(found: Benchmark | Utilization) -> None:
    from superalign.bench.records import Benchmark

    if isinstance(found, Benchmark):
        _show_verdict(found)
        rows = [
            {"": who.name, "median s": f"{who.median:.3f}", "each s": " ".join(f"{each:.3f}" for each in who.seconds)}
            for who in (found.ours, *(peer.timing for peer in found.peers))
        ]
        print_table(rows, ("", "median s", "each s"))
        print()
        print_table([_peer_row(peer) for peer in found.peers], ("against", "ratio", "goal", "results"))
        print()
    facts = {
        **{figure.name: _figure_line(figure) for figure in found.figures},
        **(_profile_lines(found.profile) if isinstance(found, Benchmark) and found.profile else {}),
        "work": "\n".join(found.notes),
        "machine": _machine_line(found.machine),
    }
    print_facts(facts, as_json=False)


def _show_verdict(found: Benchmark) -> None:
    ratio = found.ratio
    met = {True: "is met", False: "is NOT met", None: "is not shown, since not all peers were run"}[found.met]
    print(f"{found.name}: {ratio.median:.1f} times as fast as {found.peer.name} ({ratio.min:.1f} to {ratio.max:.1f}).")
    print(f"The goal of {found.goal:g} {met}.")
    for missing in found.not_run:
        print(f"Not run: {missing.name} (goal {missing.goal:g}). {missing.reason}")
    print()


def _peer_row(peer: PeerResult) -> dict[str, str]:
    ratio, equal = peer.ratio, peer.equal
    passed = "equal" if equal.passed else "DIFFER"
    return {
        "against": peer.name,
        "ratio": f"{ratio.median:.1f} [{ratio.min:.1f}, {ratio.max:.1f}]",
        "goal": f"{peer.goal:g} {'met' if peer.met else 'NOT met'}",
        "results": f"{passed}: {equal.what} {equal.measured:.3g} (bound {equal.bound:g})",
    }


def _figure_line(figure: Figure) -> str:
    bounds = (("at least", figure.at_least), ("at most", figure.at_most))
    goals = ", ".join(f"{words} {bound:g}" for words, bound in bounds if bound is not None)
    unit = f"{figure.unit} " if figure.unit else ""
    goal = f"(goal: {goals}, {'met' if figure.met else 'NOT met'})" if goals else ""
    return f"{figure.value:.3g} {unit}{goal}".rstrip() + f". {figure.how}"


def _profile_lines(profile: Profile) -> dict[str, str]:
    return {
        "floor": f"{profile.floor_seconds_by_flops:.2f} s by FLOPs ({profile.flops / 1e9:,.0f} G at "
        f"{profile.flops_per_second / 1e9:,.0f} G/s), {profile.floor_seconds_by_bytes:.2f} s by bytes "
        f"({profile.bytes / 1e9:.2f} GB at {profile.bytes_per_second / 1e9:.1f} GB/s)",
        "ours is": profile.explained,
        "time goes into": ", ".join(f"{part} {share:.0%}" for part, share in profile.shares.items()),
    }


def _machine_line(machine: Machine) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items() if version)
    where = machine.accelerator or "no accelerator"
    return f"{machine.processor}, {machine.cpus} CPUs, threads used: {machine.threads}, {where}; {versions}"
