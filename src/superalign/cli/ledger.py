"""`superalign ledger verify`: has anybody touched what a run wrote down?"""

from __future__ import annotations

from pathlib import Path

import typer

from superalign.cli.options import AsJson, RunFolder
from superalign.cli.output import print_json

app = typer.Typer(no_args_is_help=True, help="Check the tamper-evident ledger of a run.")


@app.command(epilog="Example: superalign ledger verify runs/2026-11-22-quickstart-1f0c2a")
def verify(folder: RunFolder, as_json: AsJson = False) -> None:
    """Check every entry, the Merkle root and the signatures; name the first bad entry."""
    from superalign.runs.run import verify_run

    report = verify_run(Path(folder))
    if as_json:
        print_json(report.model_dump(mode="json"))
        return
    print(
        f"The ledger is intact: {report.entries} entries.\nroot        {report.root}\npublic key  {report.public_key}"
    )
    print("Compare these two with a copy kept elsewhere: whoever can write a run folder can write a new ledger.")
