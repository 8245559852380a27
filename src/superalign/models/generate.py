"""Answers, greedy or sampled, and how likely given ones are; many conversations at once.

What conversations share is read once (`Decoder.read`), and every further token costs one position: its keys and values
are written into room set aside for them. Conversations stand right-aligned in a batch, so that distances, and with them
sliding windows, are right for each; one whose answer has ended leaves it.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from superalign.contracts.errors import InputError
from superalign.models.attention import KeyValueCache, Past
from superalign.models.batches import TokenIds, batches_by_length, last_tokens
from superalign.models.decoder import Decoder
from superalign.models.likeliest import Screen
from superalign.models.memory import Halving
from superalign.models.products import by_onednn, can_pack
from superalign.models.reading import Remembered, run_own

ROOM = 32  # positions that a cache grows by
FIRST_LIKELIEST = 256  # tokens among which the likeliest are looked for first: sorting all takes longer than a step
# Packing takes as long as about ten steps save by it.
WORTH_PACKING = 16


@dataclass(frozen=True)
class Sampling:
    """How to draw a token: from the softmax of logits / `temperature`, among the likeliest that make up `top_p`.

    What a conversation is answered follows from `seed`, its own tokens, and how many of the same were asked before it
    in the same call; not from the others. InputError when a value makes no sense.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise InputError(f"A temperature of {self.temperature} draws nothing.", fix="Give one above 0.")
        if not 0 < self.top_p <= 1:
            raise InputError(f"There is no top_p of {self.top_p}.", fix="Give one above 0 and at most 1.")
        if self.seed < 0:
            raise InputError(f"{self.seed} is no seed.", fix="Give a whole number from 0 up.")


class GrowingCache(KeyValueCache):
    """Keys and values of conversations, right-aligned, with room for those of positions to come.

    Passes see all of it, room included, which the causal mask hides: what is one block of memory need not be copied to
    be multiplied.
    """

    def __init__(self, pasts: Sequence[Past]) -> None:
        longest = max(len(past) for past in pasts)
        _, layers, _, heads, width = pasts[0].shape
        # Zeros, not just any memory: what is masked is still multiplied by 0, and 0 times NaN is not 0.
        self.all = pasts[0].new_zeros(layers, 2, len(pasts), heads, longest + ROOM, width)
        for row, past in enumerate(pasts):
            self.all[:, :, row, :, longest - len(past) : longest] = past.permute(1, 2, 3, 0, 4)
        self.lengths = torch.tensor([len(past) for past in pasts], device=self.all.device)
        super().__init__(length=longest)

    @property
    def columns(self) -> int:
        return self.all.shape[4]

    def update(self, key: Tensor, value: Tensor, layer: int, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        keys, values = self.all[layer]
        keys[:, :, self.length : self.length + key.shape[2]] = key
        values[:, :, self.length : self.length + key.shape[2]] = value
        return keys, values

    def get_mask_sizes(self, queries: int, layer: int = 0) -> tuple[int, int]:
        return self.columns, 0

    def run(self, body: nn.Module, hidden: Float[Tensor, "rows new width"]) -> Float[Tensor, "rows new width"]:
        """Run the next positions of each conversation through `body`, and take in their keys and values."""
        new = hidden.shape[1]
        if self.length + new > self.columns:
            self.all = F.pad(self.all, (0, 0, 0, max(new, ROOM)))
        columns = torch.arange(self.columns, device=hidden.device)
        out: Tensor = body(
            inputs_embeds=hidden,
            past_key_values=self,
            use_cache=True,
            position_ids=self.lengths[:, None] + torch.arange(new, device=hidden.device),
            attention_mask=columns >= (self.length - self.lengths)[:, None],
        ).last_hidden_state
        self.length += new
        self.lengths += new
        return out

    def keep(self, rows: Sequence[int]) -> None:
        """Forget all conversations but these."""
        index = torch.tensor(rows, device=self.all.device)
        self.all, self.lengths = self.all[:, :, index], self.lengths[index]


class Together:
    """Conversations that are answered together, a token of each at a time; as many last positions of each are the
    decoder's own. Whoever uses it has gradients switched off.
    """

    def __init__(self, decoder: Decoder, prompts: Sequence[TokenIds]) -> None:
        own = decoder.own(prompts[0])
        reading = decoder.reader.read(prompts)
        self._decoder, self._body = decoder, decoder.upper(0)
        self._cache = GrowingCache([reading.past(row, own) for row in range(len(prompts))])
        self._hidden = torch.stack(decoder.embedded(last_tokens(prompts, [own] * len(prompts))))

    def states(self) -> Float[Tensor, "rows width"]:
        """What the next token of each follows from; asked for once between calls of `go_on`."""
        return self._cache.run(self._body, self._hidden)[:, -1]

    def go_on(self, rows: Sequence[int], tokens: Sequence[int]) -> None:
        """Keep these of the conversations, in this order, and take in the next token of each."""
        if len(rows) < len(self._hidden):
            self._cache.keep(rows)
        self._hidden = torch.stack(self._decoder.embedded([(token,) for token in tokens]))


@torch.no_grad()
def generate(
    decoder: Decoder,
    prompts: Sequence[TokenIds],
    max_tokens: int,
    *,
    stops: Collection[int] | None = None,
    sampling: Sampling | None = None,
) -> list[list[int]]:
    """The tokens that answer each prompt, at most `max_tokens`; greedy without `sampling`.

    An answer ends with the first of `stops` (the model's own unless given), which is its last token.
    """
    stops = stop_tokens(decoder) if stops is None else stops
    uniforms = streams(prompts, max_tokens, sampling.seed) if sampling else None
    long = max_tokens >= WORTH_PACKING and can_pack(decoder.model.parameters())
    screen = Screen(decoder.head) if long and decoder.head.dtype == torch.float32 and sampling is None else None
    if long:
        decoder = packed(decoder)
    head = decoder.model.get_output_embeddings()

    def choose(states: Float[Tensor, "rows width"], going: Sequence[int], step: int) -> Int[Tensor, "rows"]:
        if screen:
            return screen.likeliest(states)
        if sampling is None or uniforms is None:
            likeliest: Tensor = head(states).max(-1).indices  # `argmax` is five times slower in bfloat16
            return likeliest
        return draw(head(states), sampling, uniforms[going, step])

    answers: list[list[int]] = [[] for _ in prompts]
    lengths = [len(prompt) + max_tokens for prompt in prompts]
    run = partial(answer_batch, decoder, prompts, max_tokens, stops, choose)
    for batch, found in Halving().run(batches(decoder, prompts, max_tokens), run, lengths):
        for i, answer in zip(batch, found, strict=True):
            answers[i] = answer
    return answers


def answer_batch(
    decoder: Decoder,
    prompts: Sequence[TokenIds],
    max_tokens: int,
    stops: Collection[int],
    choose: Callable[[Float[Tensor, "rows width"], Sequence[int], int], Int[Tensor, "rows"]],
    batch: Sequence[int],
) -> list[list[int]]:
    """The answers to the prompts that `batch` names; `choose` makes a token of the last states of those that go on."""
    together, going = Together(decoder, [prompts[i] for i in batch]), list(batch)
    answers: dict[int, list[int]] = {i: [] for i in batch}
    for step in range(max_tokens):
        tokens = choose(together.states(), going, step).tolist()
        for i, token in zip(going, tokens, strict=True):
            answers[i].append(token)
        kept = [row for row, token in enumerate(tokens) if token not in stops]
        if not kept:
            break
        going = [going[row] for row in kept]
        together.go_on(kept, [tokens[row] for row in kept])
    return list(answers.values())


@torch.no_grad()
def choice_logprobs(
    decoder: Decoder, prompts: Sequence[TokenIds], choices: Sequence[TokenIds]
) -> Float[Tensor, "conversations choices"]:
    """log P(choice | prompt), summed over the choice's tokens, in float32. InputError for a choice without tokens."""
    if not all(choices):
        raise InputError("A choice has no tokens.", fix="Give at least one token for each.")
    by_stem: dict[TokenIds, list[int]] = {}  # choices that differ in nothing but their last token are one pass
    for choice, tokens in enumerate(choices):
        by_stem.setdefault(tuple(tokens[:-1]), []).append(choice)
    own = [decoder.own(prompt) for prompt in prompts]
    reading = decoder.reader.read(prompts)
    body, head = decoder.upper(0), decoder.head.float()
    found = torch.zeros(len(prompts), len(choices))
    pairs = [(i, stem) for i in range(len(prompts)) for stem in by_stem]

    def score(batch: Sequence[int]) -> None:
        asked = [pairs[row] for row in batch]
        hidden = decoder.embedded([prompts[i][len(prompts[i]) - own[i] :] + stem for i, stem in asked])
        rows = [i for i, _ in asked]
        states = run_own(body, reading, rows, hidden, [own[i] for i in rows]).float()
        logprobs = torch.zeros(len(asked), len(choices))
        for place in range(max(len(stem) for _, stem in asked) + 1):
            here = [(row, i, stem) for row, (i, stem) in enumerate(asked) if place <= len(stem)]
            last = torch.stack([states[row, own[i] - 1 + place] for row, i, _ in here])
            for each, (row, _, stem) in zip((last @ head.T).log_softmax(-1).cpu(), here, strict=True):
                logprobs[row, by_stem[stem]] += each[[choices[choice][place] for choice in by_stem[stem]]]
        for row, (i, stem) in enumerate(asked):
            found[i, by_stem[stem]] = logprobs[row, by_stem[stem]]

    lengths = [len(prompts[i]) + len(stem) for i, stem in pairs]
    for _ in Halving().run(batches_by_length(lengths), score, lengths):
        pass
    return found


def batches(decoder: Decoder, prompts: Sequence[TokenIds], room: int) -> Iterator[list[int]]:
    """Prompts of similar length that can be run together: as many positions of each are the decoder's own."""
    by_own: dict[int, list[int]] = {}
    for i, prompt in enumerate(prompts):
        by_own.setdefault(decoder.own(prompt), []).append(i)
    for index in by_own.values():
        for batch in batches_by_length([len(prompts[i]) + room for i in index]):
            yield [index[row] for row in batch]


def streams(prompts: Sequence[TokenIds], length: int, seed: int) -> Float[np.ndarray, "prompts length"]:
    """Uniform numbers for each prompt, which don't depend on the other prompts, nor their beginning on `length`."""
    seen: Counter[TokenIds] = Counter()
    found = np.empty((len(prompts), length))
    for row, prompt in zip(found, prompts, strict=True):
        row[:] = np.random.default_rng([seed, seen[prompt], *prompt]).random(length)
        seen[prompt] += 1
    return found


def draw(
    logits: Float[Tensor, "rows vocabulary"], sampling: Sampling, uniforms: Float[np.ndarray, "rows"]
) -> Int[Tensor, "rows"]:
    """The token that each row's uniform number falls on, where tokens lie side by side, as wide as they are likely."""
    probabilities = (logits.float() / sampling.temperature).softmax(-1)
    if sampling.top_p < 1:
        probabilities = probabilities.where(probabilities >= least_likely(probabilities, sampling.top_p), 0)
    edges = probabilities.cumsum(-1, dtype=torch.float64)
    at = torch.from_numpy(uniforms).to(edges.device)[:, None] * edges[:, -1:]
    return torch.searchsorted(edges, at, right=True)[:, 0]


def least_likely(probabilities: Float[Tensor, "rows vocabulary"], top_p: float) -> Float[Tensor, "rows 1"]:
    """The probability of the last token that it takes, the likeliest first, to make up `top_p`."""
    vocabulary = probabilities.shape[-1]
    size = min(FIRST_LIKELIEST, vocabulary)
    while True:
        likeliest = probabilities.topk(size).values
        before = likeliest.cumsum(-1) - likeliest
        if size == vocabulary or bool((before[:, -1] >= top_p).all()):
            return likeliest.where(before < top_p, 1).amin(-1, keepdim=True)
        size = min(8 * size, vocabulary)


def stop_tokens(decoder: Decoder) -> set[int]:
    """The tokens that end an answer by the model's own configuration."""
    ends = decoder.model.generation_config.eos_token_id
    return set() if ends is None else {ends} if isinstance(ends, int) else set(ends)


def packed(decoder: Decoder) -> Decoder:
    """A copy of `decoder` with its plain linear layers packed. Rounding differs, so that it remembers for itself:
    others' results must not hang on what was asked before.
    """
    copied = copy.copy(decoder)
    copied.model = by_onednn(decoder.model, packed=True)
    copied.body = getattr(copied.model, decoder.family.body)
    copied._slices, copied._remembered = {}, Remembered(0)
    return copied
