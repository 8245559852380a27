"""Adapters: what is saved is what is loaded, by us and by peft; damage is told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import GPT2Config, GPT2LMHeadModel

from superalign.contracts.errors import ModelError
from superalign.contracts.records import Conversation
from superalign.models.adapter import AdaptedDecoder
from superalign.models.decoder import Decoder
from superalign.models.handle import identify, open_base, open_user_model
from superalign.models.subject import ModelSubject, adapted_subject
from superalign.testing.tiny import build, tiny_model, tiny_relative, tiny_subject
from tests.models.conftest import plain_logits


@pytest.fixture(scope="module")
def relative(tiny: ModelSubject) -> ModelSubject:
    return tiny_relative("relative", tiny, first_layer=2)


@pytest.fixture
def saved(relative: ModelSubject, tmp_path: Path) -> Path:
    assert isinstance(relative.decoder, AdaptedDecoder)
    relative.decoder.save(tmp_path / "adapter", base_name="tiny")
    return tmp_path / "adapter"


def test_save_and_load_change_no_bit(
    tiny: ModelSubject, relative: ModelSubject, saved: Path, asked: list[Conversation]
) -> None:
    loaded = adapted_subject("loaded", tiny, AdaptedDecoder.load(tiny.decoder, saved))
    assert np.array_equal(loaded.yes_logits(asked), relative.yes_logits(asked))
    assert not any(parameter.requires_grad for parameter in loaded.decoder.model.parameters())


def test_peft_makes_the_same_of_it(relative: ModelSubject, saved: Path, asked: list[Conversation]) -> None:
    theirs = PeftModel.from_pretrained(build(0, 5, 64, torch.float32), saved).eval()
    prompts = [relative.chat.encode(conversation) for conversation in asked]
    ours = relative.decoder.final(prompts) @ relative.decoder.head.T
    for row, prompt in zip(ours, prompts, strict=True):
        assert torch.allclose(row, plain_logits(theirs, prompt), atol=1e-4)


def test_what_peft_makes_is_read_the_same(tiny: ModelSubject, tmp_path: Path, asked: list[Conversation]) -> None:
    """Other layers, other targets, another scale."""
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=3,
        lora_alpha=5,
        target_modules=["q_proj", "k_proj", "up_proj"],
        init_lora_weights=False,
        alora_invocation_tokens=list(tiny.chat.invocation),
    )
    theirs = get_peft_model(build(0, 5, 64, torch.float32), config).eval()
    theirs.save_pretrained(tmp_path)
    ours = AdaptedDecoder.load(tiny.decoder, tmp_path)
    prompts = [tiny.chat.encode(conversation) for conversation in asked]
    found = ours.final(prompts) @ ours.head.T
    plain = tiny.decoder.final(prompts) @ tiny.decoder.head.T
    assert (found - plain).abs().max() > 0.1
    for row, prompt in zip(found, prompts, strict=True):
        assert torch.allclose(row, plain_logits(theirs, prompt), atol=1e-4)


def test_a_folder_with_it_is_a_model_to_validate(tmp_path: Path, asked: list[Conversation]) -> None:
    """Through the same door as anybody's adapter."""
    folder = tiny_model(tmp_path / "base")
    base = identify(str(folder))
    relative = tiny_relative("relative", open_base(base), first_layer=3)
    assert isinstance(relative.decoder, AdaptedDecoder)
    relative.decoder.save(tmp_path / "adapter", base_name=str(folder))
    subject = open_user_model(identify(str(tmp_path / "adapter"), str(folder)), base)
    assert np.array_equal(subject.yes_logits(asked), relative.yes_logits(asked))


def test_untrained_adapters_change_nothing(tiny: ModelSubject, asked: list[Conversation]) -> None:
    fresh = AdaptedDecoder(tiny.decoder, first_layer=2, rank=4, invocation=tiny.chat.invocation)
    assert np.allclose(adapted_subject("fresh", tiny, fresh).yes_logits(asked), tiny.yes_logits(asked), atol=1e-5)


def test_a_model_without_the_layers_that_adapters_go_on() -> None:
    model = GPT2LMHeadModel(GPT2Config(vocab_size=50, n_embd=16, n_layer=2, n_head=2, bos_token_id=1, eos_token_id=2))
    with pytest.raises(ModelError, match=r"no linear layers named q_proj.*Llama"):
        AdaptedDecoder(Decoder(model), first_layer=1, rank=2, invocation=(1,))


class TestDamage:
    def test_cut_short(self, tiny: ModelSubject, saved: Path) -> None:
        weights = saved / "adapter_model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-7])
        with pytest.raises(ModelError, match="can't be read"):
            AdaptedDecoder.load(tiny.decoder, saved)

    @pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapter_config.json"])
    def test_missing(self, tiny: ModelSubject, saved: Path, name: str) -> None:
        (saved / name).unlink()
        with pytest.raises(ModelError, match=rf"can't be read.*{name}"):
            AdaptedDecoder.load(tiny.decoder, saved)

    @pytest.mark.parametrize(
        "change",
        [
            {"r": 3},
            {"r": "two"},
            {"r": 0},
            {"layers_to_transform": []},
            {"layers_to_transform": [1, 2, 3, 4]},
            {"layers_to_transform": [2, 4]},
            {"use_dora": True},
            {"bias": "all"},
            {"alora_invocation_tokens": None},
        ],
    )
    def test_a_configuration_of_something_else(
        self, tiny: ModelSubject, saved: Path, change: dict[str, object]
    ) -> None:
        config = json.loads((saved / "adapter_config.json").read_text())
        (saved / "adapter_config.json").write_text(json.dumps(config | change))
        with pytest.raises(ModelError):
            AdaptedDecoder.load(tiny.decoder, saved)

    def test_garbage_for_a_configuration(self, tiny: ModelSubject, saved: Path) -> None:
        (saved / "adapter_config.json").write_text("[]")
        with pytest.raises(ModelError):
            AdaptedDecoder.load(tiny.decoder, saved)

    def test_another_base(self, saved: Path) -> None:
        for size in ({"width": 32}, {"layers": 4}):
            with pytest.raises(ModelError, match=r"not those of its configuration|layers_to_transform"):
                AdaptedDecoder.load(tiny_subject(**size).decoder, saved)

    def test_a_copy_of_it_is_as_good(self, tiny: ModelSubject, saved: Path, tmp_path: Path) -> None:
        shutil.copytree(saved, tmp_path / "elsewhere")
        loaded = AdaptedDecoder.load(tiny.decoder, tmp_path / "elsewhere")
        assert loaded.adapters().keys() == AdaptedDecoder.load(tiny.decoder, saved).adapters().keys()
