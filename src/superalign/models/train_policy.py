"""A policy that writes its own text, trained against a learned reward by TRL's GRPOTrainer, in a process of its own.

Group relative policy optimization: Shao et al. 2024 (arXiv 2402.03300). What goes to the process is the prompts and the
learned reward: it has no way to what an answer is really worth.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field
from safetensors.torch import load_file

from superalign.contracts.errors import InputError, ModelError
from superalign.contracts.records import Conversation, Record
from superalign.models.batches import TokenIds
from superalign.models.decoder import Decoder
from superalign.models.generate import Sampling, generate, stop_tokens
from superalign.models.lessons import Recipe
from superalign.models.subject import Chat, ModelSubject
from superalign.models.train_peft import load_lora
from superalign.models.train_trl import Job, check_ready, launch, lay_out
from superalign.models.written_reward import WrittenReward

if TYPE_CHECKING:  # never imported here, but its source counts with the code that a step ran
    from superalign.models import policy_worker  # noqa: F401

WORKER = "superalign.models.policy_worker"


class Reinforcement(Record):
    """What a policy is trained by beside its recipe, whose `batch` is of answers."""

    samples: int = Field(description="Answers to each prompt of a batch, whose rewards are compared with each other.")
    beta: float = Field(description="Weight of the KL divergence from the first policy, as TRL takes it.")
    temperature: float = Field(description="At which the policy writes, now and ever; so does the first policy.")
    tokens: int = Field(description="At most, of an answer.")
    looks: tuple[int, ...] = Field(description="Steps after which the policy is kept.")


class PolicyJob(Job):
    """What the worker reads."""

    prompts: tuple[Conversation, ...]
    reward: WrittenReward
    by: Reinforcement


def policies(
    base: ModelSubject,
    prompts: Sequence[Conversation],
    reward: WrittenReward,
    recipe: Recipe,
    by: Reinforcement,
    *,
    seed: int,
) -> Iterator[tuple[int, Decoder]]:
    """The policy after each number of steps that is to be looked at; each stays valid. RunError with the last lines of
    its log when the worker fails, InputError when TRL is missing or batches can't be made.
    """
    check_ready(recipe)
    if recipe.batch % by.samples:
        raise InputError(
            f"A batch of {recipe.batch} answers can't be made of {by.samples} to each prompt.",
            fix="Make the batch a multiple of the answers to each prompt.",
        )
    device = base.decoder.device
    with tempfile.TemporaryDirectory(prefix="superalign-policy-") as place:
        work = Path(place)
        lay_out(base, work)
        job = PolicyJob(
            folder=work,
            base_name=base.name,
            recipe=recipe,
            seed=seed,
            start=None,
            cpu=device.type == "cpu",
            prompts=tuple(prompts),
            reward=reward,
            by=by,
        )
        (work / "job.json").write_text(job.model_dump_json())
        launch(WORKER, work / "job.json", recipe, device)
        for step in by.looks:
            yield step, load_lora(base.decoder, whole(kept(work, step)))


def whole(folder: Path) -> Path:
    """The same folder. ModelError when its adapters are no numbers."""
    if all(tensor.isfinite().all() for tensor in load_file(folder / "adapter_model.safetensors").values()):
        return folder
    raise ModelError(
        f"The policy fell apart: its weights are no numbers at {folder.name}.",
        fix="Give `training` a smaller learning rate.",
    )


def written(
    policy: Decoder, chat: Chat, prompts: Sequence[TokenIds], by: Reinforcement, *, seed: int
) -> list[list[int]]:
    """An answer to each prompt, as tokens; other ones to prompts that are given again."""
    stops = {chat.tokenizer.eos_token_id, *stop_tokens(policy)}
    return generate(policy, prompts, by.tokens, stops=stops, sampling=Sampling(by.temperature, seed=seed))


def kept(work: Path, step: int) -> Path:
    """Where the worker leaves the adapters after so many steps."""
    return work / "out" / f"step-{step}"
