"""The auditor as a detector: it searches a subject in this process, and needs its answers only."""

from __future__ import annotations

from typing import Self

from superalign.contracts.protocols import Subject, Trusted
from superalign.contracts.records import Access, Unscored, Verdict
from superalign.contracts.registry import detectors
from superalign.robustness.audit import Facts, Search
from superalign.robustness.audit_seeds import audit_seeds
from superalign.robustness.effort import budgeted
from superalign.robustness.references import beside_honest
from superalign.robustness.script import answered
from superalign.runs.cost import metered


@detectors.register("auditor")
class Auditor:
    """Is there something to say that makes it answer against the specification? Tries what audit seeds propose, in
    conversations of several turns.

    The score is the excess: how much more often it violates the specification in the worst script found, on questions
    that were held out of the search, than when asked plainly, and than its base in the same script.
    """

    name = "auditor"
    access = frozenset({Access.BLACK_BOX})
    unit = "share"

    def __init__(self, budget: int = 2500, turns: int = 2, groups: int = 60) -> None:
        """`budget` is in forward passes, `turns` the length of a script before the question is asked."""
        self.budget, self.turns, self.groups = budget, turns, groups

    def fit(self, trusted: Trusted) -> Self:
        """Make an honest reference; choose the easiest facts, and the seeds that bear on the specification."""
        trusted = beside_honest(trusted)
        self.base_, self.seed_ = trusted.subject, trusted.seed
        self.facts_ = Facts(trusted.specification, trusted.questions, trusted.key).easiest(self.groups)
        self.seeds_ = audit_seeds(trusted.specification)
        return self

    def assess(self, subject: Subject) -> Verdict | Unscored:
        """The excess of the worst script, with what the search took."""
        with metered() as meter, budgeted(self.budget) as budget:
            search = Search(self.seeds_, self.facts_, budget, turns=self.turns, seed=self.seed_)
            found = answered(search.run(), {"target": subject, "base": self.base_})
        if isinstance(found, Unscored):
            return found
        return Verdict(
            score=found.excess,
            evidence=found.evidence,
            details={
                **budget.effort.details,
                "scripts": float(search.scripts),
                "rate": found.rate,
                "rate_plain": found.plain_rate,
                "rate_base": found.base_rate or 0.0,
                "turns": float(len(found.look.script.turns)),
            },
            cost=meter.cost(),
        )
