"""The peer of the bench of weak-to-strong: students by the `Trainer` of transformers, as one writes it.

A student is a yes/no classifier: the model with two rows of its output matrix for a head, and peft's activated adapters
on the same layers as ours. Off is what only costs time: logs, checkpoints, activation checkpointing.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import cache
from itertools import chain, islice
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool
from torch import Tensor, nn

from superalign.bench.training import attend_as_is_fastest, warm_up
from superalign.contracts.protocols import Taught
from superalign.contracts.records import Conversation
from superalign.models.adapter import AdaptedDecoder
from superalign.models.lessons import Recipe, batch_order
from superalign.models.subject import Chat

ANSWERS = ("No", "Yes")  # in the order of the head's rows

# Teaches lessons by a seed, from the adapters of an untrained student, and says what it answers to conversations.
Teach = Callable[[Sequence[Taught], AdaptedDecoder, int, Sequence[Conversation]], Bool[np.ndarray, "questions"]]


def teach_by_trainer(model: Any, chat: Chat, recipe: Recipe) -> Teach:
    """What trains one student after another from a copy of `model`, of transformers."""
    from transformers import PrinterCallback

    base = as_classifier(copy.deepcopy(model), chat)

    def teach(
        taught: Sequence[Taught], start: AdaptedDecoder, seed: int, asked: Sequence[Conversation]
    ) -> Bool[np.ndarray, "questions"]:
        student = with_adapters(base, start)
        # In the order of ours, which Trainer is then told to keep.
        batches = chain.from_iterable(batch_order(len(taught), recipe, seed=seed))
        rows = islice(batches, recipe.steps * recipe.batch)
        with TemporaryDirectory() as folder:
            trainer = classifier_trainer()(
                model=student,
                args=settings(recipe, seed, folder, on_cpu=model.device.type == "cpu"),
                train_dataset=[encoded(chat, taught[row].conversation, taught[row].answer) for row in rows],
                data_collator=lambda batch: padded(batch, chat.tokenizer.pad_token_id),
            )
            trainer.remove_callback(PrinterCallback)
            trainer.train()
            found = trainer.predict([encoded(chat, conversation, ANSWERS[0]) for conversation in asked]).predictions
        student.unload()  # the base is as before
        return np.asarray(found[:, 1] > found[:, 0])

    return teach


@torch.no_grad()
def as_classifier(model: Any, chat: Chat) -> Any:
    """`model` with a frozen head of two rows, for no and yes: no logits of other words are computed."""
    rows = model.get_output_embeddings().weight[[chat.answer(answer, end=False)[0] for answer in ANSWERS]]
    head = nn.Linear(rows.shape[1], len(rows), bias=False, device=rows.device, dtype=rows.dtype)
    head.weight.copy_(rows)
    model.set_output_embeddings(head)
    attend_as_is_fastest(model)
    return model.requires_grad_(False)


def with_adapters(base: Any, start: AdaptedDecoder) -> Any:
    """`base` with the adapters of `start`, where that has them, as peft trains them: in float32."""
    from peft import LoraConfig, get_peft_model, set_peft_model_state_dict

    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=start.rank,
        lora_alpha=int(start.alpha),
        lora_dropout=0.0,
        target_modules=list(start.targets),
        layers_to_transform=list(range(start.first_layer, start.depth)),
        alora_invocation_tokens=list(start.invocation),
    )
    adapted = get_peft_model(base, config)
    set_peft_model_state_dict(adapted, {name: tensor.detach() for name, tensor in start.adapters().items()})
    return adapted


@cache
def classifier_trainer() -> type[Any]:
    """`Trainer` with the loss of a classifier. Made when asked for: transformers takes seconds to import it."""
    from transformers import Trainer

    class ClassifierTrainer(Trainer):  # type: ignore[misc]
        def compute_loss(self, model: Any, inputs: dict[str, Tensor], return_outputs: bool = False, **_: Any) -> Any:
            labels = inputs.pop("labels")
            # The last position alone, and not kept three-dimensional: a head of many rows would be copied per example.
            logits = model(**inputs, use_cache=False, logits_to_keep=1).logits[:, -1].float()
            loss = F.cross_entropy(logits, labels)
            return (loss, {"logits": logits}) if return_outputs else loss

    return ClassifierTrainer


def settings(recipe: Recipe, seed: int, folder: str, *, on_cpu: bool) -> Any:
    """The recipe of ours as Trainer takes it."""
    from transformers import TrainingArguments

    return TrainingArguments(
        output_dir=folder,
        max_steps=recipe.steps,
        per_device_train_batch_size=recipe.batch,
        per_device_eval_batch_size=2 * recipe.batch,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=warm_up(recipe.steps),
        adam_beta2=0.95,
        weight_decay=0.0,
        max_grad_norm=1.0,
        bf16=True,
        use_cpu=on_cpu,
        dataloader_pin_memory=not on_cpu,
        train_sampling_strategy="sequential",
        remove_unused_columns=False,
        label_names=["labels"],
        logging_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=seed,
    )


def encoded(chat: Chat, conversation: Conversation, answer: str) -> dict[str, Any]:
    """A row of a data set of transformers; the label is the place of the answer in the head."""
    return {"input_ids": list(chat.encode(conversation)), "labels": ANSWERS.index(answer)}


def padded(batch: Sequence[dict[str, Any]], pad: int) -> dict[str, Tensor]:
    """A batch whose rows all end where the answer begins."""
    width = max(len(row["input_ids"]) for row in batch)
    missing = [width - len(row["input_ids"]) for row in batch]
    return {
        "input_ids": torch.tensor([[pad] * left + row["input_ids"] for left, row in zip(missing, batch, strict=True)]),
        "attention_mask": torch.tensor([[0] * left + [1] * (width - left) for left in missing]),
        "labels": torch.tensor([row["labels"] for row in batch]),
    }
