"""One process of a training of rewards: `python -m superalign.models.reward_worker JOB`, alone or under torchrun."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PrinterCallback
from trl.trainer.reward_config import RewardConfig
from trl.trainer.reward_trainer import RewardTrainer

from superalign.models.batches import TokenIds
from superalign.models.train_peft import lora_config, save_lora
from superalign.models.train_reward import HEAD, RewardJob
from superalign.models.trl_worker import Watch, arguments, run


def main(path: Path) -> None:
    """Train as the job says, and leave adapters and head in its folder `out`."""
    job = RewardJob.model_validate_json(path.read_bytes())
    base = AutoModelForSequenceClassification.from_pretrained(job.folder / "base", num_labels=1, dtype="auto")
    half = base.dtype == torch.bfloat16
    model = with_adapters(base, job)
    head = base.score.weight
    trainer = RewardTrainer(
        model=model,
        args=RewardConfig(**arguments(job, half=half)),
        train_dataset=dataset(job.pairs),
        processing_class=AutoTokenizer.from_pretrained(job.folder / "base"),
    )
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Watch([], None))
    trainer.train()
    if trainer.is_world_process_zero():
        save_lora(model, job.folder / "out", base_name=job.base_name)
        save_file({"head": head.detach().cpu().contiguous()}, job.folder / "out" / HEAD)


def with_adapters(base: Any, job: RewardJob) -> Any:
    """peft's model around `base`, which it changes: adapters drawn by the seed and a head of zeros, to be trained."""
    config = lora_config(base, job.recipe)
    config.task_type = None  # what writes text would have to, and a head of peft's own would not be found again
    with torch.random.fork_rng():
        torch.manual_seed(job.seed)
        model = get_peft_model(base, config)
    base.score.weight.data = torch.zeros_like(base.score.weight, dtype=torch.float32)
    base.score.requires_grad_(True)
    return model


def dataset(pairs: Sequence[tuple[TokenIds, TokenIds]]) -> Dataset:
    """Pairs as the trainer names them."""
    better, worse = zip(*pairs, strict=True)
    return Dataset.from_dict({"chosen_ids": list(better), "rejected_ids": list(worse)})


if __name__ == "__main__":
    run(main)
