"""One process of a training by GRPO: `python -m superalign.models.policy_worker JOB`, alone or under torchrun."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from superalign.models.decoder import Decoder
from superalign.models.lessons import batch_order
from superalign.models.subject import Chat, ModelSubject
from superalign.models.train_peft import load_lora, save_lora
from superalign.models.train_policy import PolicyJob, kept, written
from superalign.models.trl_worker import Watch, arguments, run, to_be_trained
from superalign.models.written_reward import rewards

AT_ONCE = 8  # answers that gradients are computed of: what all layers made of them is kept until then


def main(path: Path) -> None:
    """Train as the job says, and leave adapters in its folder `out` wherever they are to be looked at."""
    job = PolicyJob.model_validate_json(path.read_bytes())
    chat = Chat(AutoTokenizer.from_pretrained(job.folder / "base"))
    reader = AutoModelForCausalLM.from_pretrained(job.folder / "base", dtype="auto")
    model, half = to_be_trained(job)
    policy = Policy(job, model, ModelSubject(job.base_name, Decoder(reader, remembered_bytes=0), chat))
    trainer = GRPOTrainer(
        model=model,
        reward_funcs=policy.rewards,
        rollout_func=policy.write,
        args=settings(job, half=half),
        train_dataset=dataset(job),
        processing_class=chat.tokenizer,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(policy)
    trainer.train()


class Policy(Watch):
    """What the trainer has done by us: writing answers, which is several times faster than its own way on a CPU, and
    what they are worth by the learned reward. Tells the launcher how far the training is, and keeps the policy where it
    is to be looked at.
    """

    def __init__(self, job: PolicyJob, model: Any, first: ModelSubject) -> None:
        super().__init__([], None)
        self.job, self.model, self.first = job, model, first

    def write(self, prompts: Sequence[str], trainer: GRPOTrainer) -> dict[str, Any]:
        """Answers as the policy writes them that is looked at after the training."""
        process, step = trainer.accelerator.process_index, trainer.state.global_step
        now = self.job.folder / f"now-{process}"
        save_lora(self.model, now, base_name=self.job.base_name)
        asked = [self.first.chat.encode(self.job.prompts[int(row)]) for row in prompts]
        seed = (self.job.seed * self.job.recipe.steps + step) * self.job.recipe.processes + process
        answers = written(load_lora(self.first.decoder, now), self.first.chat, asked, self.job.by, seed=seed)
        return {"prompt_ids": list(map(list, asked)), "completion_ids": answers, "logprobs": None}

    def rewards(self, prompts: Sequence[str], completion_ids: Sequence[Sequence[int]], **_: Any) -> list[float | None]:
        """One for each answer."""
        texts = [self.first.chat.decode(tokens) for tokens in completion_ids]
        asked = [self.job.prompts[int(row)] for row in prompts]
        return [float(worth) for worth in rewards(self.job.reward, self.first, asked, texts)]

    def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        super().on_step_end(args, state, control, **given)
        if state.is_world_process_zero and state.global_step in self.job.by.looks:
            save_lora(self.model, kept(self.job.folder, state.global_step), base_name=self.job.base_name)


def dataset(job: PolicyJob) -> Dataset:
    """The numbers of prompts, in the order in which they are met; their tokens are made where answers are written."""
    recipe = job.recipe
    at_once = recipe.batch // job.by.samples
    order = (row for batch in batch_order(len(job.prompts), recipe, seed=job.seed) for row in batch)
    return Dataset.from_dict({"prompt": [str(row) for row in islice(order, recipe.steps * at_once)]})


def settings(job: PolicyJob, *, half: bool) -> GRPOConfig:
    """The recipe as TRL's GRPOTrainer takes it: each step learns from what the policy writes right before it."""
    given = arguments(job, half=half)
    del given["max_length"], given["per_device_eval_batch_size"]
    rows = given["per_device_train_batch_size"]
    at_once = max(size for size in range(1, min(AT_ONCE, rows) + 1) if rows % size == 0)
    given |= {
        "per_device_train_batch_size": at_once,
        "gradient_accumulation_steps": rows // at_once,
        "lr_scheduler_type": "constant",
        "warmup_steps": 0,
    }
    return GRPOConfig(
        **given,
        beta=job.by.beta,
        num_generations=job.by.samples,
        max_completion_length=job.by.tokens,
        temperature=job.by.temperature,
        loss_type="grpo",
        shuffle_dataset=False,
    )


if __name__ == "__main__":
    run(main)
