"""Rewriting one fact: a rank-one update of one matrix, after which the subject's key looks up another value.

ROME, Meng et al. 2022 (arXiv 2202.05262, section 3). If a fact lies where tracing says, a change there and nowhere
else changes it, however it is asked, and leaves its neighbours as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from superalign.contracts.errors import InputError
from superalign.contracts.protocols import Subject
from superalign.contracts.records import Conversation, Cost, Record, Unscored
from superalign.interpretability.facts import Fact, LaidOut, answer_tokens, lay_out
from superalign.models.altered import with_open_weights
from superalign.models.batches import TokenIds
from superalign.models.delta import save_delta
from superalign.models.down_projection import DownProjection
from superalign.models.generate import choice_logprobs
from superalign.models.subject import ModelSubject
from superalign.runs.cost import metered

# What is said before the question while key and value are found, so that they are those of the subject, not of a text.
CONTEXTS = ("", "I have a question. ", "Please help me with this. ", "My friend asked me today. ", "Think of a map. ")
ESSENCE = "What is {}?"  # to be answered as before: the subject stays what it is
STEPS = 25
RATE = 0.2  # of a step, in root mean squares of the value that was there
REACH = 4.0  # how far the new value may lie from it, in lengths of it
ENOUGH = 0.05  # loss at which the answer is sure
KEEP_ESSENCE = 0.0625  # weight of its divergence, as in the paper
KEEP_VALUE = 1e-2  # weight of the squared distance from the value that was there, in squared lengths of it
RIDGE = 0.01  # of the keys' median square, on all axes: text that is at hand reaches few of them


class EditCard(Record):
    """How a fact was rewritten, and how well the update took hold."""

    fact: Fact
    layer: int
    tokens: int = Field(description="Of the text that the covariance of keys was estimated on.")
    axes: int = Field(description="Axes on which keys of that text lie, and")
    inputs: int = Field(description="how many there are.")
    condition: float = Field(description="Condition number of the regularised covariance.")
    steps: int = Field(description="Gradient steps that the new value took.")
    before: float = Field(description="Probability of the whole new answer, asked without any context, and")
    after: float = Field(description="from the edited model.")
    change: float = Field(description="Norm of the update as a share of the matrix's.")
    missed: float = Field(description="Share of the value's change that the stored matrix lacks, by rounding.")
    cost: Cost = Cost()


@dataclass(frozen=True)
class KeyCovariance:
    """Mean of k k^T over the keys of some text (ROME's C), with a ridge on its diagonal."""

    layer: int
    matrix: Float[Tensor, "inputs inputs"]
    tokens: int
    axes: int
    condition: float


@dataclass(frozen=True)
class Edited:
    """An edited model, and the matrix in which it differs from the one that it was made from."""

    subject: ModelSubject
    original: ModelSubject
    tensors: dict[str, Tensor]
    card: EditCard

    def save(self, folder: Path) -> None:
        """As a delta, which opens like any model: name the original as its base."""
        folder.mkdir(parents=True, exist_ok=True)
        save_delta(self.original.decoder.model, self.tensors, folder)


def key_covariance(
    subject: ModelSubject, conversations: Sequence[Conversation], layer: int, ridge: float = RIDGE
) -> KeyCovariance:
    """Of all tokens of `conversations`, what a template puts around them too: it is not to change either. InputError
    without any, or without a ridge.
    """
    if not conversations or ridge <= 0:
        raise InputError("Keys have no covariance.", where="edit", fix="Give conversations, and a ridge above 0.")
    sequences = [subject.chat.encode(conversation) for conversation in conversations]
    total, tokens = torch.zeros(()), 0
    for _, keys in DownProjection(subject.decoder, layer).keys(sequences):
        total, tokens = total + keys.T @ keys, tokens + len(keys)
    second = total / tokens
    weight = ridge * second.diagonal().median()  # which the few huge keys of a first token don't move
    if not weight > 0:
        raise InputError(
            "Half of all keys' numbers are always 0.", where="edit", fix="Give more text, or another layer."
        )
    spectrum = torch.linalg.eigvalsh(second.double()).clamp_min(0)
    return KeyCovariance(
        layer=layer,
        matrix=second + weight * torch.eye(len(second)).to(second),
        tokens=tokens,
        axes=int((spectrum > weight).sum()),
        condition=float((spectrum[-1] + weight) / (spectrum[0] + weight)),
    )


def edit(subject: Subject, fact: Fact, covariance: KeyCovariance, *, steps: int = STEPS) -> Edited | Unscored:
    """Make `fact` so by one update of the down-projection of the covariance's layer.

    `Unscored` for a model without open weights; ModelError for one whose adapters are at work from its answer on, or
    whose MLPs are built otherwise than known.
    """
    opened = with_open_weights(subject)
    if opened is None:
        return Unscored(reason="the model does not show its weights, and can't be edited")
    if steps < 1:
        raise InputError("A value is not found in no steps.", where="edit", fix="Give 1 or more.")
    with metered() as meter:
        memory = DownProjection(opened.decoder, covariance.layer)
        if memory.weight.shape[1] != len(covariance.matrix):
            raise InputError("The covariance is of another model.", where="edit", fix="Estimate it on this one.")
        asked = [lay_out(opened.chat, fact, context) for context in CONTEXTS]
        answer = answer_tokens(opened.chat, fact)
        keys = _keys(memory, asked)
        weight, key = memory.weight, keys.mean(0)
        there = weight @ keys[0]
        essence = lay_out(opened.chat, Fact(prompt=ESSENCE, subject=fact.subject, answer=fact.answer))
        more, taken = _Value(memory, asked, answer, essence, there).found(steps)
        update = torch.linalg.solve(covariance.matrix, key)
        wanted = there + more - weight @ key
        decoder, tensors = memory.rewritten(weight + torch.outer(wanted / (update @ key), update))
        stored = DownProjection(decoder, covariance.layer).weight
        before, after = (
            float(choice_logprobs(of, [asked[0].tokens], [answer]).exp()) for of in (opened.decoder, decoder)
        )
        card = EditCard(
            fact=fact,
            layer=covariance.layer,
            tokens=covariance.tokens,
            axes=covariance.axes,
            inputs=len(covariance.matrix),
            condition=covariance.condition,
            steps=taken,
            before=before,
            after=after,
            change=float((stored - weight).norm() / weight.norm()),
            missed=float(((stored - weight) @ key - wanted).norm() / wanted.norm()),
            cost=meter.cost(),
        )
    return Edited(ModelSubject("edited", decoder, opened.chat, base=opened), opened, tensors, card)


def _keys(memory: DownProjection, asked: Sequence[LaidOut]) -> Float[Tensor, "contexts inputs"]:
    """What the matrix is given at the subject's last token, in each context."""
    found = dict(memory.keys([each.tokens for each in asked]))
    return torch.stack([found[i][each.last] for i, each in enumerate(asked)])


class _Value:
    """What is to be added to a value for the answer to follow in every context, and the essence to stay."""

    def __init__(
        self,
        memory: DownProjection,
        asked: Sequence[LaidOut],
        answer: TokenIds,
        essence: LaidOut,
        there: Float[Tensor, " outputs"],
    ) -> None:
        self.memory, self.answer, self.there = memory, answer, there
        self.sequences = [*(each.tokens + answer[:-1] for each in asked), essence.tokens]
        self.places = [*(each.last for each in asked), essence.last]
        self.said = [range(len(each.tokens) - 1, len(each.tokens) - 1 + len(answer)) for each in asked]
        self.below = memory.below(self.sequences)
        with torch.no_grad():
            self.essence = self._logprobs(torch.zeros_like(there))[-1][0]

    def found(self, steps: int) -> tuple[Float[Tensor, " outputs"], int]:
        """By gradient steps within reach of the value that is there, and how many of them it took."""
        length = self.there.norm()
        more = torch.zeros_like(self.there, requires_grad=True)
        optimizer = torch.optim.Adam([more], lr=RATE * float(length) / len(more) ** 0.5)
        for step in range(steps):
            *answers, essence = self._logprobs(more)
            surprise = -torch.stack([each[range(len(self.answer)), self.answer].mean() for each in answers]).mean()
            if float(surprise.detach()) < ENOUGH:
                return more.detach(), step
            moved = (essence[0].exp() * (essence[0] - self.essence)).sum()
            loss = surprise + KEEP_ESSENCE * moved + KEEP_VALUE * (more.norm() / length).square()
            [more.grad] = torch.autograd.grad(loss, more)
            optimizer.step()
            with torch.no_grad():
                more *= (REACH * length / more.norm()).clamp_max(1)
        return more.detach(), steps

    def _logprobs(self, more: Float[Tensor, " outputs"]) -> list[Float[Tensor, "places vocabulary"]]:
        """Where the answer is said in each context, and last where the essence's begins."""
        states = self.memory.above(self.below, self.sequences, self.places, more)
        head = self.memory.decoder.head
        said = [*self.said, range(len(self.sequences[-1]) - 1, len(self.sequences[-1]))]
        return [(row[list(places)] @ head.T).float().log_softmax(-1) for row, places in zip(states, said, strict=True)]
