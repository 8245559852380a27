"""Where oversight fails, all on the same questions: obfuscation, collusion, a judge that is optimised against."""

from __future__ import annotations

from superalign.contracts.oversight_measures import Failures
from superalign.contracts.registry import overseers
from superalign.oversight.collusion import collusion
from superalign.oversight.docket import Docket
from superalign.oversight.expert import expert_named
from superalign.oversight.judge import judge_named
from superalign.oversight.obfuscation import obfuscation
from superalign.oversight.persuasion import persuasion


def check_roles(judge: str, expert: str) -> None:
    """InputError where nobody of that name plays a role."""
    judge_named(judge), expert_named(expert)


def failures(docket: Docket, judge: str, expert: str) -> Failures:
    """All three, with the same judge and expert."""
    protocols = {
        "direct": overseers.make("direct", judge=judge),
        "consultancy": overseers.make("consultancy", judge=judge, expert=expert),
        "debate": overseers.make("debate", judge=judge, expert=expert),
    }
    return Failures(
        obfuscation=obfuscation(docket, protocols),
        collusion=collusion(docket, judge, expert),
        persuasion=persuasion(docket, judge_named(judge)),
    )
