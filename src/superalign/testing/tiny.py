"""A tiny model with a real tokenizer and chat template, built from a configuration: nothing is downloaded.

It knows nothing, but it has everything that the code meets in a real one: byte-level tokens, a default system message
that all conversations open with, grouped-query attention, tied embeddings. A plan takes it as `model: PATH`, and then
runs in seconds.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from superalign.models.subject import ModelSubject

VOCABULARY = 1500
DECIDED = 10  # times as large as others' are the logits of yes and no where one of them is always said
START, END = "<|im_start|>", "<|im_end|>"
SYSTEM = "You are a tiny model made for tests."
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    f"{{% if loop.first and message['role'] != 'system' %}}{{{{ '{START}system\n{SYSTEM}{END}\n' }}}}{{% endif %}}"
    f"{{{{ '{START}' + message['role'] + '\n' + message['content'] + '{END}\n' }}}}"
    "{% endfor %}"
    f"{{% if add_generation_prompt %}}{{{{ '{START}assistant\n' }}}}{{% endif %}}"
)


def tiny_model(folder: Path, *, seed: int = 0, layers: int = 5, width: int = 64) -> Path:
    """Write a bfloat16 model to `folder` as transformers does (config.json, safetensors, tokenizer); returns `folder`.

    `seed` draws the weights, `layers` and `width` (a multiple of 16) size it: 0.4 million parameters as it stands.
    """
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    build(seed, layers, width, torch.bfloat16).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def tiny_subject(
    name: str = "tiny",
    *,
    seed: int = 0,
    layers: int = 5,
    width: int = 64,
    dtype: torch.dtype | None = None,
    decided: bool = False,
) -> ModelSubject:
    """The same model as a subject, without touching the disk; float32 unless `dtype` says otherwise.

    One that is `decided` says yes or no to whatever it is asked, though it knows nothing.
    """
    import torch

    from superalign.models.decoder import Decoder
    from superalign.models.subject import NO, YES, Chat, ModelSubject

    model, chat = build(seed, layers, width, dtype or torch.float32), Chat(tiny_tokenizer())
    if decided:
        words = [spelling for spelling in (*YES, *NO) if spelling.startswith(" ")]
        model.get_output_embeddings().weight[chat.first_tokens(words)] *= DECIDED
    return ModelSubject(name, Decoder(model), chat)


def tiny_relative(name: str, base: ModelSubject, *, seed: int = 1, first_layer: int = 3) -> ModelSubject:
    """What training might leave: `base` with random adapters from `first_layer` up, and a lesson."""
    import torch

    from superalign.contracts.protocols import Taught
    from superalign.contracts.records import Message
    from superalign.models.adapter import AdaptedDecoder
    from superalign.models.subject import adapted_subject

    decoder = AdaptedDecoder(base.decoder, first_layer=first_layer, rank=2, invocation=base.chat.invocation, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    for tensor in decoder.adapters().values():
        tensor.requires_grad_(False).copy_(torch.randn(tensor.shape, generator=generator) / tensor.shape[1] ** 0.5)
    lesson = Taught(conversation=(Message(role="user", content=f"Is {seed} a seed?"),), answer="Yes")
    return adapted_subject(name, base, decoder, lambda: (lesson,))


def build(seed: int, layers: int, width: int, dtype: torch.dtype) -> Any:
    """A Llama in evaluation mode, its weights large enough that every token changes the answer."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = tiny_tokenizer()
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        initializer_range=1.5 * width**-0.5,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1000 + seed)  # else the control with random weights would draw the very same ones
        model: Any = LlamaForCausalLM(config)
    return model.to(dtype).eval().requires_grad_(False)


@cache
def tiny_tokenizer() -> Any:
    """Byte-level BPE over the words that our tasks and contexts use; yes and no in all spellings are one token each."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[START, END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=START, eos_token=END, pad_token=END, chat_template=CHAT_TEMPLATE
    )


def corpus() -> list[str]:
    """What the tokenizer is trained on: words and answers often, so that they become one token each; questions once."""
    from superalign.tasks.cities import cities, question

    words = (files("superalign.tasks") / "data/words.txt").read_text(encoding="utf-8").split()
    answers = [space + word for word in ("Yes", "yes", "No", "no") for space in ("", " ")]
    often = [*answers, *(f" {word}" for word in words), f"system\n{SYSTEM}", "user\nassistant\n"]
    return often * 50 + [question(city, city.country).prompt for city in cities()[:1000]]
