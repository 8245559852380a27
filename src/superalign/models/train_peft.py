"""The peft back end: low-rank adapters at work on every position, trained by a plain loop on any device.

Nothing can be read beforehand, since adapters change what every layer makes of every token; of the logits only those of
the answer are computed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils.rnn import pad_sequence

from superalign.contracts.errors import ModelError
from superalign.models.batches import batches_by_length
from superalign.models.decoder import Decoder
from superalign.models.delta import with_tensors
from superalign.models.learning import Fit, Slot, States, fit
from superalign.models.lessons import Lesson, Pupil, Recipe
from superalign.models.subject import ModelSubject


def train_lora(base: ModelSubject, pupil: Pupil, recipe: Recipe) -> Fit:
    """Leave adapters in peft's format in the pupil's folder, trained from scratch or on from those in its start."""
    # A copy that shares every tensor: peft puts its layers into the model that it is given.
    shared = with_tensors(base.decoder, {})
    model = with_lora(shared.model, recipe, seed=pupil.seed, start=pupil.start)
    learner = LoraLearner(shared, model, pupil.lessons)
    [done] = fit(learner, [pupil.lessons], recipe, seeds=[pupil.seed])
    save_lora(model, pupil.folder, base_name=base.name)
    return done


class LoraLearner:
    """The adapters that peft put into `decoder`'s model."""

    def __init__(self, decoder: Decoder, model: nn.Module, lessons: Sequence[Lesson]) -> None:
        self.decoder, self.lessons, self.head = decoder, lessons, decoder.head
        self.parameters: Sequence[nn.Parameter] = [p for p in model.parameters() if p.requires_grad]

    def parts(self, slots: Sequence[Slot]) -> list[list[Slot]]:
        lengths = [len(self.lessons[row].prompt) + len(self.lessons[row].answer) for (row,) in slots]
        return [[slots[i] for i in batch] for batch in batches_by_length(lengths)]

    def states(self, slots: Sequence[Slot]) -> States:
        decoder, lessons = self.decoder, [self.lessons[row] for (row,) in slots]
        sequences = [torch.tensor(lesson.prompt + lesson.answer[:-1]) for lesson in lessons]
        padded = pad_sequence(sequences, batch_first=True).to(decoder.device)  # on the right: causally, nobody sees it
        half = self.head.dtype == torch.bfloat16
        with torch.autocast(decoder.device.type, dtype=torch.bfloat16, enabled=half):
            states = decoder.body(input_ids=padded, use_cache=False).last_hidden_state
        ends = [
            (len(sequence) - len(lesson.answer), len(sequence))
            for sequence, lesson in zip(sequences, lessons, strict=True)
        ]
        at_answers = torch.cat([row[start:end] for row, (start, end) in zip(states, ends, strict=True)])
        return States(at_answers.to(self.head.dtype))


def with_lora(model: Any, recipe: Recipe, *, seed: int, start: Path | None) -> Any:
    """peft's model around `model`, which it changes: adapters drawn by `seed`, or those in `start`, to be trained."""
    from peft import PeftModel, get_peft_model

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if not start:
            return get_peft_model(model, lora_config(model, recipe))
        try:
            return PeftModel.from_pretrained(model, start, is_trainable=True)
        except Exception as error:  # a damaged file, or another model's adapters
            raise ModelError(f"The adapter can't be trained further: {error}.", where=str(start)) from None


def lora_config(model: Any, recipe: Recipe) -> Any:
    """peft's configuration: the recipe's linear layers, else all, from its first layer up."""
    from peft import LoraConfig
    from transformers.pytorch_utils import Conv1D

    head = model.get_output_embeddings()
    linear = {
        name.rsplit(".", 1)[-1]: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | Conv1D) and module is not head
    }
    targets = sorted(recipe.targets or linear)
    if unknown := [name for name in targets if name not in linear]:
        raise ModelError(
            f"Models of type {model.config.model_type!r} have no linear layers named {', '.join(unknown)}.",
            fix=f"Choose `targets` among {', '.join(sorted(linear))}.",
        )
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=recipe.rank,
        lora_alpha=2 * recipe.rank,
        lora_dropout=0.0,
        target_modules=targets,
        layers_to_transform=list(range(recipe.first_layer, model.config.num_hidden_layers)),
        fan_in_fan_out=any(isinstance(linear[name], Conv1D) for name in targets),
    )


def save_lora(model: Any, folder: Path, *, base_name: str) -> None:
    """Write `adapter_model.safetensors` and `adapter_config.json` as peft does, but the same bytes every time: its own
    file lists the target modules in the order of a set.
    """
    from peft import get_peft_model_state_dict

    folder.mkdir(parents=True, exist_ok=True)
    state = get_peft_model_state_dict(model, save_embedding_layers=False)
    save_file({name: tensor.cpu().contiguous() for name, tensor in state.items()}, folder / "adapter_model.safetensors")
    config = model.peft_config["default"].to_dict()
    config |= {"base_model_name_or_path": base_name, "inference_mode": True}
    plain = json.dumps(config, indent=1, sort_keys=True, default=sorted)  # sets are all that JSON can't hold
    (folder / "adapter_config.json").write_text(plain)


def load_lora(base: Decoder, folder: Path) -> Decoder:
    """`base` with the adapters in `folder` merged in; only the weights that they change are its own. ModelError when
    they are damaged or do not fit.
    """
    from peft import PeftModel
    from peft.tuners.lora import LoraLayer

    try:
        with torch.random.fork_rng():  # peft draws adapters before it fills in what they are
            model = PeftModel.from_pretrained(with_tensors(base, {}).model, folder)
        merged: dict[str, Any] = {
            name.removeprefix("base_model.model."): module
            for name, module in model.named_modules()
            if isinstance(module, LoraLayer)
        }
        with torch.no_grad():
            tensors = {
                f"{name}.weight": module.get_base_layer().weight.float() + module.get_delta_weight("default").float()
                for name, module in merged.items()
            }
    except Exception as error:  # wrong shapes, unknown layers, a configuration of any content
        raise ModelError(f"The adapter can't be opened on this base: {error}.", where=str(folder)) from None
    return with_tensors(base, tensors)
