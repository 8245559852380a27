"""Puts a formula to several solvers at once, and believes the first whose model or proof holds."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from superalign.contracts.errors import InputError
from superalign.proof.formula import Formula, write_model
from superalign.proof.kernels import check_all
from superalign.proof.processes import SECONDS_BETWEEN_LOOKS, Limits, Process
from superalign.proof.records import Attempt, Check
from superalign.proof.solvers import Proposed, Solver, understood

MODEL_KERNEL = "evaluation"


@dataclass
class Settled:
    """What a formula came to: a certificate that was accepted, or none, and on what it rests."""

    certificate: Path | None = None
    attempts: list[Attempt] = field(default_factory=list)
    checks: tuple[Check, ...] = ()

    @property
    def refused(self) -> str:
        """Why not, in a sentence."""
        failed = [f"{check.kernel} did not accept it: {check.reason}" for check in self.checks if not check.accepted]
        silent = [f"{one.by}: {one.note or 'its time was up'}" for one in self.attempts if one.claims is None]
        return "; ".join(failed or silent) or "nobody proposed anything"


def settle(formula: Formula, solvers: Sequence[Solver], limits: Limits, folder: Path) -> Settled:
    """Ask `solvers` until one's certificate is accepted; files go into `folder`."""
    problem = folder / "formula.cnf"
    problem.write_text(formula.dimacs(), encoding="ascii")
    settled = Settled()
    for proposed in _proposals(problem, solvers, limits, folder):
        settled.attempts.append(proposed.attempt)
        if proposed.attempt.claims is None:
            continue
        if proposed.attempt.claims == "satisfiable":
            settled.certificate, settled.checks = folder / "model.txt", (evaluated(formula, proposed.model),)
            settled.certificate.write_text(write_model(proposed.model), encoding="ascii")
        else:
            settled.certificate, settled.checks = proposed.proof, check_all(problem, proposed.proof, limits)
        if all(check.accepted for check in settled.checks):
            return settled
    settled.certificate = None
    return settled


def evaluated(formula: Formula, model: Sequence[int]) -> Check:
    """Whether every clause is true under the model, by looking at each."""
    from superalign import __version__

    began = time.monotonic()
    try:
        false = formula.falsified(model)
        reason = "every clause is true" if false is None else f"clause {false} is false"
    except InputError as error:
        false, reason = (), str(error)
    return Check(
        kernel=MODEL_KERNEL,
        version=__version__,
        accepted=false is None,
        reason=reason,
        seconds=time.monotonic() - began,
    )


def _proposals(problem: Path, solvers: Sequence[Solver], limits: Limits, folder: Path) -> Iterator[Proposed]:
    """As they come; as many solvers run at once as there are processors. All are ended with the iterator."""
    waiting, running = list(solvers), dict[str, tuple[Process, Path, float]]()
    try:
        while (waiting or running) and limits.seconds > 0:
            while waiting and len(running) < (os.cpu_count() or 1):
                solver = waiting.pop(0)
                proof = folder / f"{solver.name}.drat"
                process = Process(solver.command(problem, proof), limits.memory, folder)
                running[solver.name] = process, proof, time.monotonic()
            for name, (process, proof, began) in list(running.items()):
                if ended := process.ended():
                    del running[name]
                    process.kill()
                    yield understood(name, ended, proof, time.monotonic() - began)
            time.sleep(SECONDS_BETWEEN_LOOKS)
        for name, (_, proof, began) in running.items():
            yield Proposed(Attempt(by=name, note="its time was up", seconds=time.monotonic() - began), [], proof)
    finally:
        for process, _, _ in running.values():
            process.kill()
