"""`superalign robustness`: automated search for problematic behaviour, outside of any run."""

from __future__ import annotations

import typer

from superalign.cli import abrupt, harden, judges, search

app = typer.Typer(no_args_is_help=True, help="Search for problematic behaviour outside of a run.")
app.command(epilog=search.EXAMPLES)(search.search)
app.command(epilog=abrupt.EXAMPLES)(abrupt.abrupt)
app.command(epilog=harden.EXAMPLE)(harden.harden)
app.command("judge-agreement", epilog=judges.EXAMPLES)(judges.judge_agreement)
app.command("audit-count", epilog=judges.EXAMPLE)(judges.audit_count)
