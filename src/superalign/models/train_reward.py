"""A reward model by TRL's RewardTrainer: low-rank adapters and a head on a base, trained in a process of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor

from superalign.contracts.records import Conversation
from superalign.models.batches import TokenIds
from superalign.models.decoder import Decoder
from superalign.models.lessons import Recipe
from superalign.models.subject import Chat, ModelSubject
from superalign.models.train_peft import load_lora
from superalign.models.train_trl import Job, check_ready, launch, lay_out
from superalign.runs.cost import count

if TYPE_CHECKING:  # never imported here, but its source counts with the code that a step ran
    from superalign.models import reward_worker  # noqa: F401

WORKER = "superalign.models.reward_worker"
HEAD = "head.safetensors"


class RewardJob(Job):
    """What the worker reads, with the pairs: the better conversation first."""

    pairs: tuple[tuple[TokenIds, TokenIds], ...]


@dataclass(frozen=True)
class TrainedReward:
    """The base with what was trained of it: the head reads the last token before an answer."""

    decoder: Decoder
    chat: Chat
    head: Float[Tensor, "1 width"]

    def rewards(self, conversations: Sequence[Conversation]) -> Float[np.ndarray, "conversations"]:
        sequences = [self.chat.encode(conversation) for conversation in conversations]
        count(tokens=sum(map(len, sequences)), forward_passes=len(sequences))
        states = self.decoder.final(sequences).cpu()
        return (states @ self.head.float().T)[:, 0].numpy().astype(np.float64)


def train_reward(
    base: ModelSubject, pairs: Sequence[tuple[Conversation, Conversation]], recipe: Recipe, *, seed: int
) -> TrainedReward:
    """Learn from pairs which of two conversations deserves more. RunError with the last lines of its log when a worker
    fails.
    """
    check_ready(recipe)
    device = base.decoder.device
    with tempfile.TemporaryDirectory(prefix="superalign-reward-") as place:
        work = Path(place)
        lay_out(base, work)
        job = RewardJob(
            folder=work,
            base_name=base.name,
            recipe=recipe,
            seed=seed,
            start=None,
            cpu=device.type == "cpu",
            pairs=tuple((base.chat.encode(better), base.chat.encode(worse)) for better, worse in pairs),
        )
        (work / "job.json").write_text(job.model_dump_json())
        launch(WORKER, work / "job.json", recipe, device)
        return TrainedReward(load_lora(base.decoder, work / "out"), base.chat, load_file(work / "out" / HEAD)["head"])
