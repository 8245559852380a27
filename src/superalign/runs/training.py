"""The section of a plan that says how models are trained."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from superalign.contracts.records import Record

Implant = Literal["adapters", "layers", "model"]


class TrainingPlan(Record):
    """One recipe for student, ceiling, controls and organisms alike."""

    first_layer: float = Field(0.6, gt=0, lt=1, description="Layers below this fraction of the depth stay frozen.")
    rank: int = Field(16, ge=1, description="Rank of the adapters.")
    steps: int = Field(60, ge=1, description="Optimizer steps: a fixed budget, never chosen by looking at truth.")
    batch: int = Field(32, ge=1, description="Conversations per step.")
    learning_rate: float = Field(3e-3, gt=0, description="Peak of the linear warm-up and decay.")
    bundle: int = Field(1, ge=1, description="Consecutive lessons that stay in one batch.")
    backend: Literal["fast", "peft", "trl"] = Field("fast", description="What trains: see docs/concepts/training.md.")
    trained: Implant = Field(
        "adapters", description="What is trained: adapters, whole layers (`fast`), or the whole model (`trl`)."
    )
    targets: tuple[str, ...] = Field((), description="Linear layers that get adapters; none: the back end's choice.")
    patience: int | None = Field(
        None,
        ge=1,
        description="Steps without a lower `watched` on held-out lessons, after which it stops; null: never.",
    )
    watched: Literal["loss", "disagreement"] = Field(
        "loss", description="What `patience` looks at: the loss, or how often the model's answer is not the label."
    )
    processes: int = Field(1, ge=1, description="Processes that train together, one per device (`trl`).")
    transcript: bool = Field(
        False,
        exclude_if=lambda kept: not kept,
        description="Whether each training leaves a transcript, which `superalign inspect` replays. It holds weights "
        "and optimizer of every tenth step.",
    )

    @model_validator(mode="after")
    def _can_be_replayed(self) -> Self:
        if self.transcript and (self.backend == "trl" or self.patience is not None):
            cause = "`backend: trl`" if self.backend == "trl" else "`patience`"
            raise ValueError(f"no transcript is kept of a training with {cause}; leave one of the two out")
        return self
