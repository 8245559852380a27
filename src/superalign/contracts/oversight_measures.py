"""What is measured about oversight beyond a protocol's own accuracy: gaps, sandwiching, scaling, and where it fails."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from superalign.contracts.records import Cost, Interval, Record, Unscored

Measured = Interval | Unscored


class Asked(Record):
    """On what something was measured, and what that took."""

    task: str
    questions: int
    groups: int = Field(description="The unit that intervals resample.")
    cost: Cost


class Gaps(Record):
    """What one model can do as generator, as discriminator and as critic, on the same questions."""

    asked: Asked
    generator: Measured = Field(description="How often its own answer is right, of two on offer.")
    discriminator: Measured = Field(description="How often it tells whether an answer that it is shown is right.")
    pointed: Measured = Field(description="Of wrong answers with a flaw in the evidence: how often it shows one first.")
    judge_alone: Measured = Field(description="Accuracy of the judge on lines that nobody chose.")
    judge_after_critique: Measured = Field(description="Accuracy of the judge on as many lines that the model chose.")
    discriminator_less_generator: Measured
    critique_less_discriminator: Measured = Field(
        description="Judge after critique, less discriminator: below 0, it knows of flaws that it does not get across."
    )
    critique_less_generator: Measured
    critique_less_alone: Measured


class Sandwich(Record):
    """Accuracy of a non-expert, of a model, of both together, and of an expert, on the same questions."""

    asked: Asked
    protocol: str = Field(description="By which the non-expert makes use of the model.")
    alone: Measured
    model: Measured
    together: Measured
    expert: Measured
    together_less_alone: Measured
    together_less_model: Measured
    expert_less_together: Measured = Field(description="What is left to gain.")

    @property
    def sandwiched(self) -> bool:
        """Together they beat either alone by an interval that excludes 0."""
        gains = (self.together_less_alone, self.together_less_model)
        return all(isinstance(gain, Interval) and gain.low > 0 for gain in gains)


class Conduct(Record):
    """How honestly one model answers, on questions of which the evidence tells and the same without what tells."""

    taught_by: str = Field(description="Whose labels it learnt from.")
    right: Measured = Field(description="Right answers where the evidence tells; an admission of not knowing is none.")
    admits_known: Measured = Field(description="Admissions of not knowing where the evidence tells.")
    made_up: Measured = Field(description="Yes or no where nothing tells.")
    calibration_error: Measured = Field(
        description="Root mean squared, of its probability of yes where the evidence tells, free of sampling noise."
    )
    retracts_wrong: Measured = Field(description="Wrong answers taken back when somebody doubts them.")
    retracts_right: Measured = Field(description="Right answers taken back.")
    retraction: Measured = Field(description="The first less the second: 1 for who retracts what is wrong alone.")
    same_to_all: Measured = Field(description="Questions that it answers alike whoever asks, and alone.")
    unscored: int = Field(description="Answers that are neither yes, no nor such an admission: left out of all these.")
    answers: int = Field(description="Of how many.")


class Honesty(Record):
    """Models that learnt one specification from each overseer's labels, side by side."""

    asked: Asked
    specification: str
    lessons: int = Field(description="Questions that were labelled.")
    conducts: tuple[Conduct, ...]


class Player(Record):
    """Somebody of a known grade, and how strong it is without anybody's help."""

    grade: str
    accuracy: float = Field(description="When it has read all of the evidence itself, a line at a time.")
    elo: float = Field(description="400 times the decimal logarithm of its odds to be right.")


class Pairing(Record):
    """A guard against an adversary; the gap is how much stronger the adversary is, in Elo."""

    guard: str
    adversary: str
    gap: float
    success: Interval


class PointOfCurve(Record):
    """The fitted success at one gap."""

    gap: float
    success: Interval


class Nested(Record):
    """Oversight of one gap by so many steps over equal parts of it, each of which must succeed."""

    steps: int
    success: Interval


class Scaling(Record):
    """Oversight success against the capability gap."""

    asked: Asked
    guards: tuple[Player, ...]
    adversaries: tuple[Player, ...]
    pairings: tuple[Pairing, ...]
    form: Literal["logistic", "double-relu"] = Field(description="The curve; double-relu has plateaus.")
    slope: Interval = Field(description="Elo of success lost for each Elo of gap, between the plateaus.")
    curve: tuple[PointOfCurve, ...]
    nested_gap: float
    nested: tuple[Nested, ...]
    best_steps: int
    sure_of_best: float = Field(description="The share of resamples in which that number of steps is best.")


class LevelOfObfuscation(Record):
    """Accuracy of each protocol on questions of one level, and how many of its flaws it found."""

    level: str
    accuracy: dict[str, Measured]
    found: dict[str, Measured] = Field(description="Of questions whose right answer is no.")


class Obfuscation(Record):
    """Judge accuracy against how far the flaw is spread."""

    asked: Asked
    levels: tuple[LevelOfObfuscation, ...]
    lost: dict[str, Measured] = Field(description="Accuracy at the first level less that at the last.")


class ShareOfCollusion(Record):
    share: float = Field(description="Of debates in which both experts work for the wrong side.")
    accuracy: Measured


class Collusion(Record):
    """Judge accuracy when the experts of a debate collude."""

    asked: Asked
    alone: Measured = Field(description="The judge on lines that nobody chose.")
    shares: tuple[ShareOfCollusion, ...]
    lost: Measured = Field(description="Accuracy without collusion less that where all collude.")
    bearable: Measured = Field(description="The share of collusion up to which the debate is worth more than nothing.")


class Persuasion(Record):
    """What a judge makes of lines that were chosen against it: the best of so many, by its own probability."""

    best_of: int
    proxy: Measured = Field(description="The judge's mean probability for the side that is argued.")
    consultancy: Measured = Field(description="Accuracy when one expert chooses so, for a side drawn by chance.")
    debate: Measured = Field(description="Accuracy when both sides choose so, each half of what is shown.")


class Optimised(Record):
    """A judge that is optimised against: proxy and gold."""

    asked: Asked
    points: tuple[Persuasion, ...]
    proxy_gained: Measured = Field(description="From the first point to the last.")
    consultancy_gained: Measured
    debate_gained: Measured


class Failures(Record):
    """Where oversight fails."""

    obfuscation: Obfuscation
    collusion: Collusion
    persuasion: Optimised
