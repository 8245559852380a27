"""Adversarial training: search, teach the right answers where the search found wrong ones, and search again.

Each round's search begins anew with a seed of its own. What it takes to find something, by round, says how much harder
the model has become to break; questions that are never taught say whether it stayed as good.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from superalign.contracts.errors import InputError
from superalign.contracts.protocols import Taught, Trusted
from superalign.contracts.records import Record, Unscored
from superalign.models.subject import ModelSubject
from superalign.robustness.context_search import ContextSearch, Search
from superalign.robustness.effort import Effort, budgeted
from superalign.robustness.references import ANSWERS, beside_honest, taught
from superalign.robustness.rungs import ask_all
from superalign.robustness.settings import Setting
from superalign.robustness.violation import Cases, divided, required_cases, violations

SHARES = (0.4, 0.4, 0.2)  # of the groups: taught, searched, and kept to see what came of it
STEPS = 60  # of training in each round
MAX_TOKENS = 4


class Round(Record):
    """One search and what was made of it. `rate` of violations in `setting`, before it was taught and after, and
    `quality` afterwards are of the kept questions. Without a find nothing is taught.
    """

    effort: Effort
    setting: str
    rate: float
    rate_after: float
    quality: float


class Hardening(Record):
    """All rounds; the last may have found nothing. `quality` is the share of questions, never taught and asked plainly,
    that are answered as required. `unscored` says why it ended early, if not for want of finds.
    """

    quality_before: float
    rounds: tuple[Round, ...]
    unscored: Unscored | None = None


def harden(
    subject: ModelSubject, trusted: Trusted, *, rounds: int = 3, budget: int = 4_000
) -> tuple[ModelSubject, Hardening]:
    """A copy of `subject` after at most so many rounds, each with `budget` forward passes for its search; it ends when
    a search finds nothing. InputError without rounds.
    """
    if rounds < 1:
        raise InputError("Without a round nothing is hardened.", fix="Give at least one.")
    trusted = beside_honest(trusted)
    # A search of questions that were taught would find less for that, not for the setting.
    lessons_from, searched, kept = divided(required_cases(trusted, subject), SHARES, trusted.seed)
    found: list[Setting] = []
    done: list[Round] = []
    before = quality(subject, kept)
    for number in range(rounds):
        seed = trusted.seed + number
        search = ContextSearch(budget).fit(replace(trusted, questions=searched.questions, seed=seed))
        with budgeted(budget) as spent:
            best = Search(search, subject, spent).run()
        if isinstance(best, Unscored):
            return subject, Hardening(quality_before=before, rounds=tuple(done), unscored=best)
        rate = violated_in(subject, best.setting, kept)
        if best.confirmed:
            found.append(best.setting)
            subject = taught(subject, lessons_in([Setting(), *found], lessons_from), STEPS, seed)
        done.append(
            Round(
                effort=spent.effort,
                setting=str(best.setting),
                rate=rate,
                rate_after=violated_in(subject, best.setting, kept),
                quality=quality(subject, kept),
            )
        )
        if not best.confirmed:
            break
    return subject, Hardening(quality_before=before, rounds=tuple(done))


def lessons_in(settings: Sequence[Setting], cases: Cases) -> list[Taught]:
    """The required answer to every question in every setting."""
    return [
        Taught(conversation=setting.ask(question, bool(required)), answer=ANSWERS[bool(required)], group=question.group)
        for question, required in zip(cases.questions, cases.required, strict=True)
        for setting in settings
    ]


def quality(subject: ModelSubject, cases: Cases) -> float:
    """Share of questions, asked plainly, that are answered as required."""
    return 1 - violated_in(subject, Setting(), cases)


def violated_in(subject: ModelSubject, setting: Setting, cases: Cases) -> float:
    """Share of questions, asked in `setting`, that are answered against what is required."""
    answers = subject.respond(ask_all([setting] * len(cases), cases), MAX_TOKENS)
    return float(np.mean(violations(answers, cases.required)))
