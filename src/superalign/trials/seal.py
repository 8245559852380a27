"""Seal before looking: labels, thresholds, metric and criteria go to the ledger by hash, before any verdict exists.

The opening, with its salt, stays in `seal.json` beside the ledger, so that a killed run goes on with the same seal. A
value that no longer matches is refused: after sealing, nothing can be edited. Unsealing enters the opening, once.
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from superalign.contracts.errors import SealError
from superalign.provenance.commit import Opening, commit
from superalign.provenance.digest import digest
from superalign.runs.run import Run

SEAL_FILE = "seal.json"


def seal(run: Run, value: Any, *, known: int) -> Opening:
    """Commit to `value` in the run's ledger, or find that it was committed before. SealError when that was another
    value.

    `known` is the number of verdicts that exist already, from an earlier run on the same models; it stands beside the
    commitment, since whoever chose this value may have seen them.
    """
    path = run.folder / SEAL_FILE
    committed = [entry.body["commitment"] for entry in run.ledger.entries("seal")]
    if not path.exists():
        if committed:
            raise SealError(
                "The trial was sealed, and its seal is gone.",
                where=str(path),
                fix="Restore seal.json, or run the plan again in another runs folder.",
            )
        opening = commit(value)
        run.write(SEAL_FILE, opening.model_dump_json(indent=1))
    else:
        opening = read_seal(run)
        opening.verify()
        if digest(opening.value) != digest(value):
            raise SealError(
                "The trial was sealed with other labels, thresholds or criteria than it would have now.",
                where=str(path),
                fix="Undo the change, or run the plan again in another runs folder.",
            )
        if committed and opening.commitment not in committed:
            raise SealError(
                "The trial was sealed, and this is another seal.",
                where=str(path),
                fix="Restore seal.json, or run the plan again in another runs folder.",
            )
    if not committed:
        run.ledger.append("seal", {"commitment": opening.commitment, "verdicts_known": known})
    return opening


def verdicts_known(run: Run) -> int:
    """How many verdicts there were when the run's trial was sealed."""
    return int(run.ledger.entries("seal")[0].body["verdicts_known"])


def unseal(run: Run, opening: Opening) -> None:
    """Enter the opening into the ledger, once: from then on the trial is spent."""
    opening.verify()
    if not run.ledger.entries("unseal"):
        run.ledger.append("unseal", {"commitment": opening.commitment, "salt": opening.salt, "value": opening.value})


def check_unspent(run: Run) -> None:
    """SealError when the run's trial was opened: whoever saw its labels can't be blind to them again."""
    if run.ledger.entries("unseal"):
        raise SealError(
            "The trial was unsealed, and is spent.",
            where=str(run.folder),
            fix=f"To see it: superalign report {run.folder}. For another, run the plan with another --seed.",
        )


def check_opened(run: Run) -> None:
    """SealError as long as the run's trial was not opened: who attacks its detectors goes by its labels."""
    if not run.ledger.entries("unseal"):
        raise SealError(
            "The trial has not been unsealed, and attacks are chosen by its labels.",
            where=str(run.folder),
            fix=f"Open it first: superalign trial unseal {run.folder}",
        )


def read_seal(run: Run) -> Opening:
    """The opening that was written before. SealError when the file was damaged."""
    path = run.folder / SEAL_FILE
    try:
        return Opening.model_validate_json(path.read_bytes())
    except ValidationError:
        raise SealError(
            "The seal was damaged.", where=str(path), fix="Restore seal.json, or run again in another runs folder."
        ) from None
