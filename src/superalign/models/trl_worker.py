"""One process of a training with TRL: `python -m superalign.models.trl_worker JOB`, alone or under torchrun."""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, NoReturn

import torch
from datasets import Dataset
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, TrainerCallback
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from superalign.models.delta import load_delta, save_delta
from superalign.models.learning import CHECK_EVERY, CURVE_POINTS, Best, CurvePoint, Fit
from superalign.models.lessons import Lesson, batch_order, split
from superalign.models.train_peft import save_lora, with_lora
from superalign.models.train_trl import FAILURE, OUTCOME, STEP, Job, load_lessons


def main(path: Path) -> None:
    """Train as the job says, and leave the result in its folder `out`."""
    job = Job.model_validate_json(path.read_bytes())
    recipe = job.recipe
    lessons = load_lessons(job.folder / "lessons.safetensors")
    taught, held_out = split(lessons, recipe, seed=job.seed)
    # In the order of the other back ends' batches, which TRL is then told to keep.
    batches = batch_order(len(taught), recipe, seed=job.seed)
    rows = islice(chain.from_iterable(batches), recipe.steps * recipe.batch)
    model, half = to_be_trained(job)
    trainer = SFTTrainer(
        model=model,
        args=settings(job, half=half, look=bool(held_out)),
        train_dataset=dataset([lessons[taught[row]] for row in rows]),
        eval_dataset=dataset([lessons[row] for row in held_out]) if held_out else None,
        processing_class=AutoTokenizer.from_pretrained(job.folder / "base"),
    )
    watch = Watch([p for p in model.parameters() if p.requires_grad], recipe.patience)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(watch)
    trainer.train()
    if watch.best:
        watch.best.restore()
    if trainer.is_world_process_zero():
        save(job, model)
        steps = trainer.state.global_step
        done = Fit(
            steps=steps,
            kept_step=watch.best.step if watch.best else steps,
            stopped_by="budget" if steps == recipe.steps else "held-out loss",
            curve=tuple(points(trainer.state.log_history)),
            held_out=len(held_out),
            split_for_memory=False,
        )
        (job.folder / OUTCOME).write_text(done.model_dump_json())


def to_be_trained(job: Job) -> tuple[Any, bool]:
    """The model with what is to be trained of it in float32, and whether the base computes in bfloat16."""
    base = AutoModelForCausalLM.from_pretrained(job.folder / "base", dtype="auto")
    half = base.dtype == torch.bfloat16
    if job.recipe.trained == "adapters":
        return with_lora(base, job.recipe, seed=job.seed, start=job.start), half
    model = base.float()
    if job.start:
        with torch.no_grad():
            own = dict(model.named_parameters())
            for name, tensor in load_delta(model, job.start).items():
                own[name].copy_(tensor)
    return model, half


def save(job: Job, model: Any) -> None:
    """Adapters, or the tensors that differ from the base's."""
    if job.recipe.trained == "adapters":
        save_lora(model, job.folder / "out", base_name=job.base_name)
    else:
        base = AutoModelForCausalLM.from_pretrained(job.folder / "base", dtype="auto")
        save_delta(base, dict(model.named_parameters()), job.folder / "out")


def dataset(lessons: Sequence[Lesson]) -> Dataset:
    """Tokens, and which of them are the answer: the loss is taken on these only."""
    return Dataset.from_dict(
        {
            "input_ids": [[*lesson.prompt, *lesson.answer] for lesson in lessons],
            "completion_mask": [[0] * len(lesson.prompt) + [1] * len(lesson.answer) for lesson in lessons],
        }
    )


def settings(job: Job, *, half: bool, look: bool) -> SFTConfig:
    """The recipe as TRL's SFTTrainer takes it."""
    return SFTConfig(
        **arguments(job, half=half),
        train_sampling_strategy="sequential",
        completion_only_loss=True,
        eval_strategy="steps" if look else "no",
        eval_steps=CHECK_EVERY,
        eval_on_start=look,
    )


def arguments(job: Job, *, half: bool) -> dict[str, Any]:
    """What every trainer of TRL takes. Nothing is reported anywhere, and nothing saved but by us."""
    recipe = job.recipe
    rows = recipe.batch // recipe.processes
    return {
        "output_dir": str(job.folder / "trainer"),
        "seed": job.seed,
        "max_steps": recipe.steps,
        "per_device_train_batch_size": rows,
        "per_device_eval_batch_size": rows,
        "learning_rate": recipe.learning_rate,
        "lr_scheduler_type": "linear",
        "warmup_steps": max(1, recipe.steps // 10),
        "adam_beta2": 0.95,
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "bf16": half,
        "max_length": None,
        "gradient_checkpointing": not job.cpu,
        "use_cpu": job.cpu,
        "ddp_backend": "gloo" if job.cpu and recipe.processes > 1 else None,
        "dataloader_pin_memory": not job.cpu,
        "logging_steps": -(-recipe.steps // CURVE_POINTS),
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }


class Watch(TrainerCallback):
    """Tells the launcher how far the training is, and stops it as the recipe says."""

    def __init__(self, parameters: Sequence[nn.Parameter], patience: int | None) -> None:
        self.best = Best(parameters, patience) if patience is not None else None

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.is_world_process_zero:
            sys.stdout.write(f"{STEP}{state.global_step}\n")  # at once: other processes write to the same pipe

    def on_evaluate(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        if self.best:
            self.best.look(state.global_step, given["metrics"]["eval_loss"])
            control.should_training_stop = self.best.exhausted(state.global_step)


def points(history: Sequence[dict[str, float]]) -> list[CurvePoint]:
    """The curve, from what the trainer logged."""
    found: dict[int, dict[str, float | None]] = {}
    for entry in history:
        point = found.setdefault(int(entry["step"]), {"loss": None, "held_out": None})
        point["loss"] = entry.get("loss", point["loss"])
        point["held_out"] = entry.get("eval_loss", point["held_out"])
    return [
        CurvePoint(step=step, loss=point["loss"], held_out=point["held_out"])
        for step, point in sorted(found.items())
        if point["loss"] is not None or point["held_out"] is not None
    ]


def end_with_launcher() -> None:
    """End this process when the one that launched the training is gone, however it went."""

    def wait() -> None:
        while os.read(0, 1):  # never anything, until it is closed
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def run(work: Callable[[Path], None]) -> NoReturn:
    """Do the job that this process was started with, and end it."""
    end_with_launcher()
    path, code = Path(sys.argv[1]), 1
    try:
        work(path)
        code = 0
    except Exception:
        # In a file, since torchrun fills the log with what it thinks of this.
        (path.parent / FAILURE).write_text(traceback.format_exc())
    sys.stdout.flush()
    sys.stderr.flush()
    # Not by way of the interpreter's end, nor of `destroy_process_group`: torch's gloo waits there for a thread of its
    # own while it holds the interpreter's lock, which that thread may be waiting for.
    os._exit(code)


if __name__ == "__main__":
    run(main)
