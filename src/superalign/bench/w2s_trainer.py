"""The peer of the bench of weak-to-strong: students by the `Trainer` of transformers, as one writes it.

A student is the model with peft's activated adapters on the same layers as ours, asked for its states where the answer
begins, and nowhere else for logits. Off is what only costs time: logs, checkpoints, activation checkpointing.
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
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from superalign.bench.training import attend_as_is_fastest
from superalign.contracts.protocols import Taught
from superalign.contracts.records import Conversation
from superalign.models.adapter import AdaptedDecoder
from superalign.models.learning import VOCABULARY_SHARE, warm_up_and_decay
from superalign.models.lessons import Recipe, batch_order
from superalign.models.subject import Chat

ANSWERS = ("No", "Yes")  # in the order of their labels

# Teaches lessons by a seed, from the adapters of an untrained student, and says what it answers to conversations.
Teach = Callable[[Sequence[Taught], AdaptedDecoder, int, Sequence[Conversation]], Bool[np.ndarray, "questions"]]


def teach_by_trainer(model: Any, chat: Chat, recipe: Recipe) -> Teach:
    """What trains one student after another from a copy of `model`, of transformers."""
    from transformers import PrinterCallback

    base, loss = without_head(copy.deepcopy(model)), AnswerLoss(model, chat)

    def teach(
        taught: Sequence[Taught], start: AdaptedDecoder, seed: int, asked: Sequence[Conversation]
    ) -> Bool[np.ndarray, "questions"]:
        student = with_adapters(base, start)
        # In the order of ours, which Trainer is then told to keep.
        batches = chain.from_iterable(batch_order(len(taught), recipe, seed=seed))
        rows = islice(batches, recipe.steps * recipe.batch)
        with TemporaryDirectory() as folder:
            trainer = answer_trainer()(
                loss=loss,
                model=student,
                args=settings(recipe, seed, folder, model),
                train_dataset=[encoded(chat, taught[row].conversation, taught[row].answer) for row in rows],
                data_collator=lambda batch: padded(batch, chat.tokenizer.pad_token_id),
            )
            trainer.remove_callback(PrinterCallback)
            trainer.train()
            found = trainer.predict([encoded(chat, conversation, ANSWERS[0]) for conversation in asked]).predictions
        student.unload()  # the base is as before
        return np.asarray(found[:, 1] > found[:, 0])

    return teach


def without_head(model: Any) -> Any:
    """`model` with its last states in place of logits, frozen."""
    model.set_output_embeddings(nn.Identity())
    attend_as_is_fastest(model)
    return model.requires_grad_(False)


class AnswerLoss:
    """Logits of no and yes, and the loss of ours: cross-entropy of the two, and a share of that over all words."""

    def __init__(self, model: Any, chat: Chat) -> None:
        self.head: Float[Tensor, "vocabulary width"] = model.get_output_embeddings().weight.detach()
        self.words = torch.tensor([chat.answer(answer, end=False)[0] for answer in ANSWERS], device=self.head.device)

    def __call__(
        self, states: Float[Tensor, "rows width"], labels: Int[Tensor, " rows"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, "rows answers"]]:
        # Two-dimensional states: of three-dimensional ones, the head would be copied for each example.
        logits = (states.to(self.head.dtype) @ self.head.T).float()
        answers = logits[:, self.words]
        words = F.cross_entropy(logits, self.words[labels])
        return F.cross_entropy(answers, labels) + VOCABULARY_SHARE * words, answers


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
def answer_trainer() -> type[Any]:
    """`Trainer` with that loss and the schedule of ours. Made when asked for: to import it takes seconds."""
    from transformers import Trainer

    class AnswerTrainer(Trainer):
        def __init__(self, *, loss: AnswerLoss, **given: Any) -> None:
            super().__init__(**given)
            self.answer_loss = loss

        def compute_loss(
            self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            labels = inputs.pop("labels")
            states = model(**inputs, use_cache=False, logits_to_keep=1).logits[:, -1]
            loss, logits = self.answer_loss(states, labels)
            return (loss, {"logits": logits}) if return_outputs else loss

        def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
            # As `linear` of transformers, which begins at zero and so wastes a step.
            trained: Any = optimizer or self.optimizer
            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
                trained, lambda step: warm_up_and_decay(step, num_training_steps)
            )
            return self.lr_scheduler

    return AnswerTrainer


def settings(recipe: Recipe, seed: int, folder: str, model: Any) -> Any:
    """The recipe of ours as Trainer takes it."""
    from transformers import TrainingArguments

    on_cpu = model.device.type == "cpu"

    return TrainingArguments(
        output_dir=folder,
        max_steps=recipe.steps,
        per_device_train_batch_size=recipe.batch,
        per_device_eval_batch_size=2 * recipe.batch,
        learning_rate=recipe.learning_rate,
        adam_beta2=0.95,
        weight_decay=0.0,
        max_grad_norm=1.0,
        bf16=model.dtype == torch.bfloat16,
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
    """A row of a data set of transformers; the label is the place of the answer in ANSWERS."""
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
