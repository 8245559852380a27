"""`superalign prove`: an answer that a kernel has checked, or none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from superalign.cli.options import AsJson
from superalign.cli.output import print_json, say

if TYPE_CHECKING:
    from superalign.proof.records import Answer

EXAMPLES = """Examples:

superalign prove problem.cnf --seconds 30

superalign prove problem.cnf --proof proof.drat --json
"""
UNKNOWN = 3
MIB = 2**20


def prove(
    problem: Annotated[
        str, typer.Argument(metavar="FILE", help="What is to be proved: a .cnf, .smt2, .v or .lean file.")
    ],
    seconds: Annotated[float, typer.Option(min=0.1, help="For everything together.")] = 60,
    memory: Annotated[int, typer.Option(min=256, metavar="MIB", help="For each process.")] = 2048,
    proof: Annotated[
        str | None, typer.Option(metavar="FILE", help="Check this proof or model, and ask no solver.")
    ] = None,
    solver: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Who may propose; once for each. Default: all there are.")
    ] = None,
    certificate: Annotated[
        str | None, typer.Option(metavar="DIR", help="Where it is kept. Default: FILE.certificate.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Prove FILE or refute it, and believe only what a kernel has checked.

    Clauses (.cnf) and assertions (.smt2) are proved to be contradictory, or refuted by a model; theorems in Rocq (.v)
    and Lean (.lean) can be proved.
    Exit code 0 for an answer that was verified, 3 for none.
    """
    from superalign.proof.engine import prove
    from superalign.proof.question import Asked

    asked = Asked(Path(problem), Path(proof) if proof else None, tuple(solver or ()))
    keep = Path(certificate or f"{problem}.certificate")
    answer = prove(asked, seconds=seconds, memory=memory * MIB, keep=keep)
    if as_json:
        print_json(answer.model_dump(mode="json"))
    else:
        show(answer, keep)
    if answer.status == "unknown":
        if as_json:
            say(answer.says)
        raise typer.Exit(UNKNOWN)


def show(answer: Answer, keep: Path) -> None:
    """The answer, and where its certificate is."""
    from superalign.report.terminal import plain
    from superalign.report.wording import duration

    print(f"{answer.status.capitalize()} in {duration(answer.seconds)}. {plain(answer.says)}")
    if answer.certificate:
        print(f"The certificate is {plain(str(keep / answer.certificate.file))}, sha256 {answer.certificate.sha256}.")
