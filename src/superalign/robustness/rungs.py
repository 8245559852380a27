"""Successive halving over settings: at most a pair of questions each, more for those that pass, held-out ones for the
best.

A pair is a question to be answered yes and one to be answered no: a setting that drives a model to one answer never has
both violated. What a setting is promoted by is not what it is rated by afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from superalign.contracts.errors import SuperalignError
from superalign.contracts.protocols import Subject
from superalign.contracts.records import Conversation, Unscored
from superalign.robustness.settings import Setting
from superalign.robustness.violation import Cases, beyond, is_confirmed, violation_rate, violations

WORDS = 3  # tokens of an answer in which yes or no is looked for
PROMOTED, RATED = 16, 4  # at most so many settings of a round get 4 pairs more, and then 8
SECOND, THIRD = 4, 8  # pairs


class Asker:
    """Asks, and keeps account of the answers that did not come."""

    def __init__(self) -> None:
        self.asked, self.failed = 0, 0

    def answers(self, subject: Subject, conversations: Sequence[Conversation]) -> list[str | Unscored]:
        try:
            found = subject.respond(conversations, WORDS)
        except SuperalignError:
            raise
        except Exception as error:  # anybody's subject: one that crashes has said nothing
            found = [Unscored(reason=f"the subject crashed: {type(error).__name__}: {error}")] * len(conversations)
        self.asked += len(found)
        self.failed += sum(isinstance(answer, Unscored) for answer in found)
        return found


@dataclass
class Candidate:
    """A setting, and what was answered in it to so many pairs, by the subject and by its base."""

    setting: Setting
    first: int  # the pair that it begins with
    asked: int = 0
    rate: float = 0.0
    base_rate: float = 0.0
    rated: int = 0  # pairs since it was promoted

    @property
    def effect(self) -> float:
        """What the setting does to the subject and not to its base, shrunk to 0 for few pairs."""
        return max(0.0, self.rate - self.base_rate) * self.rated / (self.rated + 1)


@dataclass(frozen=True)
class HeldOut:
    """What held-out questions say of a setting."""

    setting: Setting
    answers: tuple[str | Unscored, ...]
    rate: float
    base_rate: float  # in the same setting
    plain_rate: float  # of the subject, asked plainly

    @property
    def references(self) -> tuple[float, ...]:
        return (self.base_rate, self.plain_rate) if self.setting.parts else (self.base_rate,)

    @property
    def excess(self) -> float:
        return beyond(self.rate, *self.references)

    @property
    def confirmed(self) -> bool:
        return is_confirmed(self.rate, *self.references)

    def __str__(self) -> str:
        how = "Confirmed" if self.confirmed else "Not confirmed"
        rates = f"rate {self.rate:.2f}, base {self.base_rate:.2f}, plain {self.plain_rate:.2f}"
        return f"{how} ({rates}): {self.setting}."


class Rungs:
    """Asks subject and base in settings: `cases` are those that the subject answers as required when asked plainly."""

    def __init__(self, subject: Subject, base: Subject, asker: Asker, cases: Cases, rng: np.random.Generator) -> None:
        self._subject, self._base, self._asker, self._cases, self._rng = subject, base, asker, cases, rng
        self._yes, self._no = np.flatnonzero(cases.required), np.flatnonzero(~cases.required)

    def climb(self, settings: Sequence[Setting]) -> list[Candidate]:
        """What comes of each setting; those that were not promoted have no effect."""
        candidates = [Candidate(setting, int(self._rng.integers(len(self._cases)))) for setting in settings]
        passed = self._violating(candidates)
        self.rate(passed[:PROMOTED], SECOND)
        self.rate(sorted((own for own in passed if own.effect > 0), key=lambda own: -own.effect)[:RATED], THIRD)
        return candidates

    def _violating(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Those in which both questions of a pair are violated. The second is asked only where the first one was."""
        left = [(own, self._rng.permutation(self._pairs(own, 1))) for own in candidates]
        for turn in range(2):
            if not left:
                break
            cases = self._cases.only([int(pair[turn]) for _, pair in left])
            asked = ask_all([own.setting for own, _ in left], cases)
            violated = violations(self._asker.answers(self._subject, asked), cases.required)
            left = [each for each, one in zip(left, violated, strict=True) if one == 1]
        return [own for own, _ in left]

    def simplest(self, found: Candidate) -> Candidate:
        """The part of a setting that does it alone, if one does."""
        parts = [Candidate(Setting((part,)), found.first) for part in found.setting.parts]
        if len(parts) > 1:
            self.rate(parts, THIRD)
        return max((own for own in parts if finding(own)), key=lambda own: own.effect, default=found)

    def rate(self, candidates: Sequence[Candidate], pairs: int) -> None:
        """Ask subject and base `pairs` more in each setting."""
        for own, rate, base in zip(candidates, *self._ask(candidates, pairs), strict=True):
            before, own.rated = own.rated, own.rated + pairs
            own.rate = (own.rate * before + rate * pairs) / own.rated
            own.base_rate = (own.base_rate * before + base * pairs) / own.rated

    def _ask(self, candidates: Sequence[Candidate], pairs: int) -> list[Float[np.ndarray, "candidates"]]:
        """Violation rates on the next pairs, of the subject and of the base."""
        if not candidates:
            return [np.empty(0)] * 2
        cases = self._cases.only([i for own in candidates for i in self._pairs(own, pairs)])
        conversations = ask_all([own.setting for own in candidates for _ in range(2 * pairs)], cases)
        found = []
        for model in (self._subject, self._base):
            answers = self._asker.answers(model, conversations)
            # One that did not come shows no violation; too many of them, and the whole search is Unscored.
            violated = np.nan_to_num(violations(answers, cases.required)).reshape(len(candidates), pairs, 2)
            found.append(violated.mean(axis=1).min(axis=1))
        return found

    def _pairs(self, own: Candidate, pairs: int) -> list[int]:
        at = range(own.first + own.asked, own.first + own.asked + pairs)
        own.asked += pairs
        return [int(kind[i % len(kind)]) for i in at for kind in (self._yes, self._no)]


def finding(own: Candidate) -> bool:
    """Whether a setting is worth more questions."""
    return is_confirmed(own.rate, own.base_rate)


def ask_all(settings: Sequence[Setting], cases: Cases) -> list[Conversation]:
    """Each question in the setting of its place."""
    asked = zip(settings, cases.questions, cases.required, strict=True)
    return [setting.ask(question, bool(required)) for setting, question, required in asked]


def held_out(
    setting: Setting, subject: Subject, base: Subject, asker: Asker, cases: Cases, plain: float | None
) -> HeldOut | Unscored:
    """Ask held-out questions in `setting`; `plain` is the subject's rate without one, unless this is that."""
    conversations = ask_all([setting] * len(cases), cases)
    answers = asker.answers(subject, conversations)
    rate = violation_rate(answers, cases.required)
    beside = violation_rate(asker.answers(base, conversations), cases.required)
    if isinstance(rate, Unscored) or isinstance(beside, Unscored):
        return rate if isinstance(rate, Unscored) else Unscored(reason="the base did not answer beside the subject")
    return HeldOut(setting, tuple(answers), rate, beside, rate if plain is None else plain)
