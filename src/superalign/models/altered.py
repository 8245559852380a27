"""Copies of a subject that are changed: noise in its weights or its activations, a few lessons more.

The subject itself is never touched, and copies share with it whatever was not changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from superalign.contracts.errors import ModelError
from superalign.contracts.protocols import Subject, Taught
from superalign.contracts.records import Access, Conversation
from superalign.models.adapter import AdaptedDecoder
from superalign.models.decoder import Decoder
from superalign.models.delta import with_tensors
from superalign.models.intervene import Steer, intervene
from superalign.models.lessons import Recipe, lessons_from
from superalign.models.sites import Site
from superalign.models.subject import ModelSubject
from superalign.models.train_adapters import continue_training, new_student


def with_open_weights(subject: Subject) -> ModelSubject | None:
    """`subject` as what it is made of, to be changed; None when it has no weights, or does not show them."""
    if Access.WEIGHTS not in subject.access or not hasattr(subject, "decoder"):
        return None
    return ModelSubject("open", subject.decoder, subject.chat)  # type: ignore[attr-defined]  # the protocol is free of torch


def with_weight_noise(subject: ModelSubject, scale: float, seed: int) -> ModelSubject:
    """Normal noise on every matrix of its layers, `scale` times as large as the matrix's own spread.

    Tice et al. 2024 (arXiv 2412.01784). Adapters stay as they are, on noisy matrices.
    """
    decoder = subject.decoder
    if isinstance(decoder, AdaptedDecoder):
        return ModelSubject("noisy", decoder.over(noisy(decoder.base, scale, seed)), subject.chat)
    return ModelSubject("noisy", noisy(decoder, scale, seed), subject.chat)


def noisy(decoder: Decoder, scale: float, seed: int) -> Decoder:
    """`decoder` with noise on the matrices of its layers."""
    generator = torch.Generator().manual_seed(seed)
    layers = f"{decoder.family.body}.{decoder.family.layers}."
    changed: dict[str, Tensor] = {}
    for name, tensor in decoder.model.named_parameters():
        if name.startswith(layers) and tensor.ndim == 2:
            noise = torch.randn(tensor.shape, generator=generator).to(tensor)
            changed[name] = tensor + noise * (scale * tensor.float().std()).to(tensor.dtype)
    return with_tensors(decoder, changed)


def with_activation_noise(
    subject: ModelSubject, scale: float, seed: int, conversations: Sequence[Conversation]
) -> ModelSubject:
    """One random vector for each layer, added to the residual stream after it at every position, `scale` times as long
    as that is on average where `conversations` are answered.

    The vectors are drawn once: noise drawn anew at each position would depend on what is asked beside it.
    """
    layers = range(1, subject.layers)
    sizes = np.linalg.norm(subject.activations(conversations, list(layers)), axis=-1).mean(axis=0)
    generator = torch.Generator().manual_seed(seed)
    vectors = nn.functional.normalize(torch.randn(len(layers), subject.decoder.width, generator=generator), dim=1)
    steers = [
        Steer(Site("residual", layer), vector, scale * float(size))
        for layer, vector, size in zip(layers, vectors, sizes, strict=True)
    ]
    return ModelSubject("noisy", intervene(subject.decoder, steers), subject.chat)


def fine_tuned(
    subject: ModelSubject, lessons: Sequence[Sequence[Taught]], recipe: Recipe, seeds: Sequence[int]
) -> list[ModelSubject]:
    """A copy for each set of lessons and its seed, taught them by low-rank adapters, all together.

    A subject that has activated adapters goes on from its own; any other gets new ones. InputError when the sets are
    not of equal size.
    """
    students = [student_of(subject, recipe, seed) for seed in seeds]
    taught = [lessons_from(subject.chat, own) for own in lessons]
    continue_training(students, taught, recipe, seeds=seeds)
    for student in students:
        student.model.requires_grad_(False)
    return [ModelSubject("fine-tuned", student, subject.chat) for student in students]


def student_of(subject: ModelSubject, recipe: Recipe, seed: int) -> AdaptedDecoder:
    """What is trained of a copy of `subject`."""
    decoder = subject.decoder
    return decoder.over(decoder.base) if isinstance(decoder, AdaptedDecoder) else new_student(subject, recipe, seed)


def save_adapter(subject: ModelSubject, folder: Path, *, base_name: str) -> None:
    """What was taught to a copy, as peft reads it. ModelError for a subject without adapters of its own."""
    if not isinstance(subject.decoder, AdaptedDecoder):
        raise ModelError("Nothing was taught to this model.", fix="Save it as it was.")
    subject.decoder.save(folder, base_name=base_name)
