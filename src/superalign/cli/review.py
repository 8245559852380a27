"""`superalign research review`: what waits for a person, in the terminal."""

from __future__ import annotations

import getpass
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from superalign.cli.options import AsJson
from superalign.cli.output import print_json, print_table, say
from superalign.contracts.errors import InputError

if TYPE_CHECKING:
    from superalign.contracts.review import ReviewItem, VerdictOnItem
    from superalign.control.approval import ReviewQueue


def review(
    number: Annotated[
        int | None, typer.Argument(metavar="[NUMBER]", help="Of the item; without it, all are listed.")
    ] = None,
    approve: Annotated[bool, typer.Option("--approve", help="Let it happen.")] = False,
    reject: Annotated[bool, typer.Option("--reject", help="End it.")] = False,
    ask: Annotated[bool, typer.Option("--ask", help="Send it back with a question; that is no approval.")] = False,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, or what is asked. Every decision needs one.")] = "",
    reviewer: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who decides, for the ledger. Default: your user name.")
    ] = None,
    runs: Annotated[str, typer.Option(metavar="DIR", help="Where research runs are kept.")] = "runs",
    as_json: AsJson = False,
) -> None:
    """List what waits for a person; show item NUMBER; or decide on it.

    Showing an item starts its minutes. Whoever decides has to have been shown it. `superalign view` does the same in a
    browser.
    """
    from superalign.contracts.review import ReviewDecision
    from superalign.control.approval import QUEUE, ReviewQueue

    path = Path(runs) / QUEUE
    if not path.exists():
        raise InputError("There is no review queue.", where=str(path), fix="Name the folder of the runs: --runs DIR.")
    queue, who = ReviewQueue(path), reviewer or getpass.getuser()
    verdict = verdict_of(approve=approve, reject=reject, ask=ask)
    if number is None:
        if verdict:
            raise InputError("A verdict is on one item.", fix="Name its number.")
        listed(queue, as_json=as_json)
    elif verdict is None:
        shown(queue.open(number, who), as_json=as_json)
    else:
        if not reason.strip():
            raise InputError("A decision needs a reason.", fix='Add --reason "...".')
        item = queue.decide(ReviewDecision(number=number, verdict=verdict, reason=reason, reviewer=who))
        if as_json:
            print_json(item.model_dump(mode="json"))
        else:
            say(f"Item {number} is {item.state}; {item.minutes:.1f} minutes, {queue.minutes_left:.1f} left.")


def verdict_of(*, approve: bool, reject: bool, ask: bool) -> VerdictOnItem | None:
    """The one that was named. InputError for several."""
    verdicts: dict[VerdictOnItem, bool] = {"approve": approve, "reject": reject, "ask": ask}
    named = [verdict for verdict, said in verdicts.items() if said]
    if len(named) > 1:
        raise InputError(f"There are {len(named)} verdicts.", fix="Give one of --approve, --reject and --ask.")
    return named[0] if named else None


def listed(queue: ReviewQueue, *, as_json: bool) -> None:
    """What waits, the most suspicious first."""
    waiting = queue.pending()
    if as_json:
        print_json([item.model_dump(mode="json") for item in waiting])
        return
    rows = [
        {"item": item.number, "hours left": f"{(item.deadline - time.time()) / 3600:.1f}", "asks": item.title}
        for item in waiting
    ]
    print_table(rows, ("item", "hours left", "asks"))
    print(f"\n{queue.minutes_left:.1f} minutes of reviewers' time are left.")


def shown(item: ReviewItem, *, as_json: bool) -> None:
    """All of an item. Everything in it may be an agent's words; the queue has spelled out what can't be seen."""
    from superalign.contracts.records import Unscored

    if as_json:
        print_json(item.model_dump(mode="json"))
        return
    print(f"{item.number}  {item.title}  ({item.state})\n\n{item.body}")
    if item.diff:
        print(f"\n{item.diff}")
    for opinion in item.opinions:
        rated = opinion.suspicion
        says = f"not rated: {rated.reason}" if isinstance(rated, Unscored) else f"suspicion {rated:.2f}"
        print(f"\n{opinion.monitor}: {says}", *(f"\n  - {why}" for why in opinion.reasons))
    if item.reason:
        print(f"\n{item.reviewer}: {item.reason}")
