"""What leaves with a model's outputs, in bits: outputs with the seed they claim, what they cost, what that leaks."""

from __future__ import annotations

from pydantic import Field

from superalign.contracts.records import Conversation, Message, Record


class Output(Record):
    """One output, with what it takes to draw it again. Without a seed or a temperature nothing of it is explained."""

    id: str = ""
    prompt: str | Conversation
    output: str
    seed: int | None = Field(None, ge=0)
    temperature: float | None = Field(None, ge=0, description="0 is greedy.")
    top_p: float = Field(1.0, gt=0, le=1)
    tokens: tuple[int, ...] | None = Field(None, description="The output's own tokens, its end among them.")
    max_tokens: int | None = Field(None, gt=0, description="How many it might have had.")

    @property
    def asked(self) -> Conversation:
        return (Message(role="user", content=self.prompt),) if isinstance(self.prompt, str) else self.prompt


class Policy(Record):
    """What may leave. `deviation` is said before any output is seen: how often an honest token is not the one drawn."""

    bits_per_output: float = Field(64.0, ge=0)
    bits_per_day: float | None = Field(None, ge=0, description="Of the outputs together; None is no limit.")
    deviation: float = Field(2.0**-10, gt=0, lt=1)
    seeds_drawn: bool = Field(
        False, description="Whether seeds were drawn by whoever checks; else they may say something and are charged."
    )


class Charged(Record):
    """What one output costs: an upper bound of the bits that whoever wrote it may have hidden in it."""

    id: str
    bytes: int
    bits: float
    tokens: int | None = Field(description="None where it could not be drawn again.")
    deviating: int | None = Field(description="Tokens that are not the ones drawn again.")
    unexplained: str | None = Field(description="Why the whole text is charged, where it is.")
    released: bool


class Leak(Record):
    """What one defence lets out at a given traffic, at most."""

    defence: str
    bits_per_output: float
    gigabytes_per_day: float
    days: float | None = Field(description="Until all weights are out; None is never.")


class EgressReport(Record):
    """A day's outputs, and how long weights of a given size would take."""

    model: str
    policy: Policy
    outputs: tuple[Charged, ...]
    bits: float = Field(description="Of what was released.")
    bytes: int = Field(description="Of what was released.")
    held: int
    weights_gigabytes: float
    outputs_per_day: float
    leaks: tuple[Leak, ...]
