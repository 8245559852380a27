"""Adversarial training: search, teach the right answers where the search found wrong ones, and search again.

Each round's search begins anew with a seed of its own. What it takes to find something, by round, says how much harder
the model has become to break; questions that are never taught say whether it stayed as good. It is taught nothing that
it does not know: facts learnt by heart would cost it others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool

from superalign.contracts.errors import InputError
from superalign.contracts.protocols import Taught, Trusted
from superalign.contracts.records import Interval, Record, Unscored
from superalign.models.subject import ModelSubject
from superalign.robustness.context_search import ContextSearch, Search
from superalign.robustness.effort import Effort, budgeted
from superalign.robustness.references import ANSWERS, beside_honest, taught
from superalign.robustness.rungs import ask_all
from superalign.robustness.settings import Setting
from superalign.robustness.violation import Cases, divided, required_cases, violations
from superalign.tasks.metrics import group_weights, percentile_interval
from superalign.tasks.splits import by_group

SHARES = (0.4, 0.4, 0.2)  # of the groups: taught, searched, and kept to see what came of it
STEPS = 60  # of training in each round
MAX_TOKENS = 4
RESAMPLES = 2000


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
    that are answered as required; `quality_change` what all rounds together made of it, resampled by group (None: it
    was taught nothing). `unscored` says why it ended early, if not for want of finds.
    """

    quality_before: float
    quality_change: Interval | None = None
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
    every = required_cases(trusted, subject)
    trusted = beside_honest(trusted)
    # A search of questions that were taught would find less for that, not for the setting.
    lessons_from, searched, _ = divided(required_cases(trusted, subject), SHARES, trusted.seed)
    kept = without(every, lessons_from, searched)
    plain = right_answers(subject, Setting(), kept)
    known = lessons_from.only(np.flatnonzero(right_answers(subject, Setting(), lessons_from)).tolist())
    found: list[Setting] = []
    done: list[Round] = []

    def ended(unscored: Unscored | None = None) -> tuple[ModelSubject, Hardening]:
        change = changed(plain, right_answers(subject, Setting(), kept), kept, trusted.seed) if found else None
        quality = float(plain.mean())
        return subject, Hardening(quality_before=quality, quality_change=change, rounds=tuple(done), unscored=unscored)

    for number in range(rounds):
        seed = trusted.seed + number
        search = ContextSearch(budget).fit(replace(trusted, questions=searched.questions, seed=seed))
        with budgeted(budget) as spent:
            best = Search(search, subject, spent).run()
        if isinstance(best, Unscored):
            return ended(best)
        rate = violated_in(subject, best.setting, kept)
        if best.confirmed:
            if not len(known):
                return ended(Unscored(reason="it answers no question as required that it could be taught with"))
            found.append(best.setting)
            subject = taught(subject, lessons_in([Setting(), *found], known), STEPS, seed)
        done.append(
            Round(
                effort=spent.effort,
                setting=str(best.setting),
                rate=rate,
                rate_after=violated_in(subject, best.setting, kept),
                quality=float(right_answers(subject, Setting(), kept).mean()),
            )
        )
        if not best.confirmed:
            break
    return ended()


def lessons_in(settings: Sequence[Setting], cases: Cases) -> list[Taught]:
    """The required answer to every question in every setting."""
    return [
        Taught(conversation=setting.ask(question, bool(required)), answer=ANSWERS[bool(required)], group=question.group)
        for question, required in zip(cases.questions, cases.required, strict=True)
        for setting in settings
    ]


def without(cases: Cases, *taken: Cases) -> Cases:
    """Those of no group that was taken."""
    gone = {group for part in taken for group in by_group(part.questions)}
    return cases.only([place for place, question in enumerate(cases.questions) if question.group not in gone])


def right_answers(subject: ModelSubject, setting: Setting, cases: Cases) -> Bool[np.ndarray, "questions"]:
    """Which questions, asked in `setting`, are answered as required."""
    answers = subject.respond(ask_all([setting] * len(cases), cases), MAX_TOKENS) if len(cases) else []
    return np.asarray(violations(answers, cases.required) == 0)


def violated_in(subject: ModelSubject, setting: Setting, cases: Cases) -> float:
    """Share of questions, asked in `setting`, that are answered against what is required."""
    return 1 - float(right_answers(subject, setting, cases).mean())


def changed(
    before: Bool[np.ndarray, "questions"], after: Bool[np.ndarray, "questions"], cases: Cases, seed: int
) -> Interval:
    """By how much the share of right answers grew on the same questions."""
    grown = after.astype(float) - before
    weights = group_weights(by_group(cases.questions), RESAMPLES, np.random.default_rng(seed))
    return percentile_interval(float(grown.mean()), weights @ grown / weights.sum(axis=1))
