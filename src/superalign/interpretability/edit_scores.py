"""Did an edit make its fact, however it is asked, and leave its neighbours alone?

The scores of Meng et al. 2022 (arXiv 2202.05262, section 3), each beside what the model scored before it was edited.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from pydantic import Field
from scipy.stats import beta

from superalign.contracts.errors import InputError
from superalign.contracts.records import Conversation, Interval, Message, Record
from superalign.interpretability.facts import Fact, answer_tokens, lay_out
from superalign.models.generate import choice_logprobs
from superalign.models.subject import ModelSubject
from superalign.tasks.cities import City, cities

LEVEL = 0.95
OPENING = "It is in"
CITY_PROMPTS = (
    "In which country is the city of {}?",
    "Where on earth is the city of {}?",
    "What country does the city of {} belong to?",
    "I am in {}. Which country am I in?",
)


class EditRequest(Record):
    """A fact to be made, by what it is to be judged."""

    fact: Fact = Field(description="With the new answer.")
    true_answer: str
    paraphrases: tuple[str, ...] = Field(min_length=1, description="Other prompts, each with {}.")
    neighbours: tuple[str, ...] = Field(min_length=1, description="Other subjects with the same true answer.")


class Share(Record):
    """How often an answer is likelier than the other, and by how much probability, before an edit and after."""

    before: float
    after: float
    gained: float = Field(description="Mean gain in probability over the other answer; in the paper, magnitude.")


class EditScore(Record):
    """One edit."""

    efficacy: Share = Field(description="The new answer over the true one, to the prompt that was edited.")
    paraphrase: Share = Field(description="The same to other prompts.")
    neighbourhood: Share = Field(description="The true answer over the new one, of other subjects.")


class EditScores(Record):
    """Many edits, each of the unedited model. The unit is the edit."""

    edits: int
    efficacy: Interval
    paraphrase: Interval
    neighbourhood: Interval
    neighbourhood_before: Interval
    score: float = Field(description="Harmonic mean of the three.")


def score_edit(original: ModelSubject, edited: ModelSubject, request: EditRequest) -> EditScore:
    """Of each kind of prompt, what both models say."""
    fact = request.fact
    asked = {
        "efficacy": [fact],
        "paraphrase": [fact.asked(prompt) for prompt in request.paraphrases],
        "neighbourhood": [fact.of(subject) for subject in request.neighbours],
    }
    shares = {}
    for kind, facts in asked.items():
        sign = -1 if kind == "neighbourhood" else 1
        before, after = (_answers(subject, facts, request.true_answer) for subject in (original, edited))
        shares[kind] = Share(
            before=_share(sign * before.ahead),
            after=_share(sign * after.ahead),
            gained=float(np.mean(sign * (after.margin - before.margin))),
        )
    return EditScore(**shares)


def together(scores: Sequence[EditScore]) -> EditScores:
    """The mean of each score. Intervals are exact (Clopper and Pearson) with an edit as one trial: the prompts of one
    stand or fall together, or do so less, which makes the interval wider than it need be. InputError without edits.
    """
    if not scores:
        raise InputError("There are no edits to count.", where="edit scores", fix="Give at least one.")
    kinds = ("efficacy", "paraphrase", "neighbourhood")
    found = {kind: _mean([getattr(score, kind).after for score in scores]) for kind in kinds}
    values = np.array([found[kind].value for kind in kinds])
    return EditScores(
        edits=len(scores),
        **found,
        neighbourhood_before=_mean([score.neighbourhood.before for score in scores]),
        score=float(len(values) / (1 / values).sum()) if values.all() else 0.0,
    )


def city_edits(count: int, seed: int = 0, neighbours: int = 10) -> list[EditRequest]:
    """Well-known cities to be moved to another country, each with others of its own. InputError for too many."""
    by_country: dict[str, list[City]] = defaultdict(list)
    for city in cities():
        by_country[city.country].append(city)
    fit = [city for city in cities() if city.level == 0 and len(by_country[city.country]) > neighbours]
    if count > len(fit):
        raise InputError(f"There are only {len(fit)} such cities.", where="edits", fix="Ask for fewer, or neighbours.")
    rng = random.Random(seed)
    requests = []
    for city in rng.sample(fit, count):
        country = rng.choice(sorted({other.country for other in fit} - {city.country}))
        beside = [other.name for other in by_country[city.country] if other != city][:neighbours]
        fact = Fact(prompt=CITY_PROMPTS[0], subject=city.name, answer=country, opening=OPENING)
        requests.append(
            EditRequest(fact=fact, true_answer=city.country, paraphrases=CITY_PROMPTS[1:], neighbours=tuple(beside))
        )
    return requests


def city_texts(count: int, seed: int = 0) -> list[Conversation]:
    """Some cities asked for in every wording, and answered: text to estimate the covariance of keys on. A key that it
    lacks is moved by an edit, so that it has those of the opening too.
    """
    chosen = random.Random(seed).sample(cities(), count)
    return [
        (
            Message(role="user", content=prompt.format(city.name)),
            Message(role="assistant", content=f"{OPENING} {city.country}."),
        )
        for city in chosen
        for prompt in CITY_PROMPTS
    ]


class _Answers(NamedTuple):
    """The new answer beside the true one, prompt by prompt."""

    ahead: Float[np.ndarray, " prompts"]  # in mean log probability of its tokens: a long name is no less likely
    margin: Float[np.ndarray, " prompts"]  # the same in probability


def _answers(subject: ModelSubject, facts: Sequence[Fact], true_answer: str) -> _Answers:
    prompts = [lay_out(subject.chat, fact).tokens for fact in facts]
    choices = [answer_tokens(subject.chat, facts[0]), answer_tokens(subject.chat, facts[0], true_answer)]
    summed = choice_logprobs(subject.decoder, prompts, choices).numpy()
    new, true = (summed / [len(choice) for choice in choices]).T
    return _Answers(new - true, np.exp(new) - np.exp(true))


def _share(ahead: Float[np.ndarray, " prompts"]) -> float:
    return float(np.mean(np.where(ahead == 0, 0.5, ahead > 0)))


def _mean(shares: Sequence[float]) -> Interval:
    """Exact where all are 0 or 1, too wide elsewhere."""
    count, tail = len(shares), (1 - LEVEL) / 2
    total = float(np.sum(shares))
    low = 0.0 if total == 0 else float(beta.ppf(tail, total, count - total + 1))
    high = 1.0 if total == count else float(beta.ppf(1 - tail, total + 1, count - total))
    return Interval(value=total / count, low=low, high=high, level=LEVEL)
