"""Training on labels that may be wrong, and on preferences between answers.

For labels it is cross-entropy with a target between the label, the labeller's belief in it, and the model's own answer.
For preferences it is how much further the preferred answer has come ahead of the other than it was before training.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from superalign.contracts.errors import InputError
from superalign.contracts.records import Record

LabelLossName = Literal["soft", "confidence", "product", "bootstrap-soft", "bootstrap-hard", "preference"]

CONFIDENCE = 0.5  # Burns et al. 2023, appendix A.4: the weight of the model's own answers, after a linear warm-up
WARM_UP = 0.2  # over this share of the steps
SOFT_BOOTSTRAP, HARD_BOOTSTRAP = 0.95, 0.8  # Reed et al. 2014: the weight of the label
LARGEST = 1 - 1e-6  # belief that counts in a product: certainty would leave nothing to the model
BETA = 0.1  # Rafailov et al. 2023, appendix B: how strongly preferences hold a model to where it began

Rows = Float[Tensor, "models rows"]


class LabelLoss(Record):
    """The loss of one model, and for each of its lessons how sure whoever labelled it was of its answer, 0 to 1."""

    name: LabelLossName
    beliefs: tuple[float, ...]


class LabelLosses:
    """What models that are trained together are trained towards; a model without a loss of its own, to its labels.

    `lessons` is how many each model has. `fraction` of the training that is done is set by who trains.
    """

    def __init__(self, losses: Sequence[LabelLoss | None], lessons: Sequence[int], device: torch.device) -> None:
        beliefs = [own.beliefs if own else (1.0,) * count for own, count in zip(losses, lessons, strict=True)]
        self.beliefs = torch.tensor([belief for own in beliefs for belief in own], device=device)
        self.models = len(losses)
        self.fraction = 0.0
        self._models_of = defaultdict[LabelLossName, list[int]](list)
        for model, own in enumerate(losses):
            if own:
                self._models_of[own.name].append(model)
        self._before = torch.zeros_like(self.beliefs)
        # Which models learn the words of their answers, too: a preference says nothing of other words.
        preferring = [bool(own and own.name == "preference") for own in losses]
        self.vocabulary = 1 - torch.tensor(preferring, dtype=torch.float32, device=device)

    @property
    def compares(self) -> bool:
        """Whether any model is compared with how it was before its training, and `remember` must have been told."""
        return "preference" in self._models_of

    def remember(self, logits: Float[Tensor, "lessons answers"], row: Int[Tensor, " lessons"]) -> None:
        """How models lean before they are trained, which is their reference."""
        self._before[row] = leaning(logits)

    def beyond_labels(
        self, logits: Float[Tensor, "lessons answers"], label: Int[Tensor, " lessons"], row: Int[Tensor, " lessons"]
    ) -> Float[Tensor, " lessons"]:
        """By how much the cross-entropy with each lesson's target is larger than that with its label, one of two
        answers; the same among these two answers and in the whole vocabulary. Lessons are those of one model after
        another, equally many; `row` is the place of each among all lessons of all models.

        Which answers the model's own ones are is decided over all that is handed in here, which is a batch as long as
        that fits into memory. InputError unless there are two answers.
        """
        second = (label == 1).view(self.models, -1)
        gap, before = leaning(logits).view(self.models, -1), self._before[row].view(self.models, -1)
        margin = torch.where(second, gap, -gap)  # of the label over the other answer
        belief = self.beliefs[row].view(self.models, -1)
        added = torch.zeros_like(margin)
        for name, models in self._models_of.items():
            own, sure = margin[models], belief[models]
            if name == "preference":
                gained = own - torch.where(second[models], before[models], -before[models])
                added[models] = preferred(gained, sure) - F.softplus(-own)
            else:
                added[models] = (1 - TARGETS[name](own, sure, second[models], self.fraction)) * own
        return added.flatten()


def leaning(logits: Float[Tensor, "lessons answers"]) -> Float[Tensor, " lessons"]:
    """By how much the second of two answers is ahead, in log-probability. InputError for other than two."""
    if logits.shape[1] != 2:
        raise InputError(
            f"Labels of {logits.shape[1]} different answers can't be softened.",
            fix="Teach questions with two answers, or leave the loss as it is.",
        )
    return logits[:, 1] - logits[:, 0]


def preferred(gained: Rows, belief: Rows) -> Rows:
    """Rafailov et al. 2023 (arXiv 2305.18290), equation 7: from by how much more the preferred answer is ahead of the
    other than in the reference; in expectation over which one would be preferred, where the belief is not 1.
    """
    return F.softplus(-BETA * gained) + (1 - belief) * BETA * gained


def confident(margin: Rows, belief: Rows, second: Bool[Tensor, "models rows"], fraction: float) -> Rows:
    """Burns et al. 2023 (arXiv 2312.09390), equation 1: drawn to the model's own answers, hardened such that in each
    batch as many are yes as labels are. The weight of these grows smoothly from 0.
    """
    weight = CONFIDENCE * min(1.0, fraction / WARM_UP)
    leaning = torch.where(second, margin, -margin).detach()
    place = leaning.argsort(dim=1, descending=True).argsort(dim=1)
    own = place < second.sum(dim=1, keepdim=True)
    return 1 - weight + weight * (own == second).to(margin)


def product(margin: Rows, belief: Rows, second: Bool[Tensor, "models rows"], fraction: float) -> Rows:
    """The normalised product of the model's probability and the labeller's."""
    return torch.sigmoid(margin.detach() + torch.logit(belief.clamp(1 - LARGEST, LARGEST)))


def bootstrapped_softly(margin: Rows, belief: Rows, second: Bool[Tensor, "models rows"], fraction: float) -> Rows:
    """Reed et al. 2014 (arXiv 1412.6596), soft: drawn to what the model predicts, gradients and all."""
    return SOFT_BOOTSTRAP + (1 - SOFT_BOOTSTRAP) * torch.sigmoid(margin)


def bootstrapped_hard(margin: Rows, belief: Rows, second: Bool[Tensor, "models rows"], fraction: float) -> Rows:
    """The same, hard: drawn to the answer that the model takes to be likelier."""
    return HARD_BOOTSTRAP + (1 - HARD_BOOTSTRAP) * (margin.detach() > 0).to(margin)


# How much of each lesson's target is its label: from the margins of the label, the beliefs in it, which labels are the
# second answer, and the share of the training that is done.
TARGETS: dict[LabelLossName, Callable[[Rows, Rows, Bool[Tensor, "models rows"], float], Rows]] = {
    "soft": lambda margin, belief, second, fraction: belief,
    "confidence": confident,
    "product": product,
    "bootstrap-soft": bootstrapped_softly,
    "bootstrap-hard": bootstrapped_hard,
}
