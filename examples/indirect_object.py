"""Indirect objects: which heads find out to whom something is given.

Found before, by Wang et al. 2022, *Interpretability in the Wild: a Circuit for Indirect Object Identification in GPT-2
small* (arXiv 2211.00593): "When Mary and John went to the store, John gave a drink to" is completed by "Mary". Heads in
the middle notice at the second "John" that this name stood before, and heads further up, at the last word, take the
other name from there.

Shown here, in SmolLM2-135M-Instruct, by activation patching: a prompt is run with parts of its activations put in from
the prompt in which the other one gives. First, how well the model does the task at all. Then, from which layer on the
answer hangs on the last word and no longer on the second name; and which heads move it. Heads are chosen on some
prompts and tested on others, all at once, beside as many others of the same layers, and beside the same heads taken
from a prompt in which only the thing that is given is another one.

This is plain patching of what heads read, not the paper's path patching: it does not tell through what heads work.

    python examples/indirect_object.py [FOLDER FOR THE FIGURE]

Takes about half a minute on one core. Needs the embedded model: superalign models pull smollm2-135m
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from superalign.models.batches import TokenIds
from superalign.models.decoder import Decoder, States
from superalign.models.handle import open_alone
from superalign.models.heads import Head, others_of_the_same_layers, part_of_head
from superalign.models.intervene import Intervention, Patch, intervene
from superalign.models.sites import Kind, Site
from superalign.models.subject import Chat
from superalign.report.charts import Curve, curves, heatmap, write

NAMES = (
    "Mary",
    "John",
    "Tom",
    "Anna",
    "James",
    "Sarah",
    "David",
    "Emma",
    "Paul",
    "Jane",
    "Mark",
    "Lucy",
    "Jack",
    "Kate",
)
PLACES = ("store", "park", "school", "office", "garden", "station")
THINGS = ("drink", "book", "ball", "ring", "bag", "letter")


@dataclass(frozen=True)
class Prompt:
    """`clean` asks for `right`, `other_giver` for `wrong`; `other_thing` asks as `clean` does. All are as long.

    `second` is where the giver's name stands again.
    """

    clean: TokenIds
    other_giver: TokenIds
    other_thing: TokenIds
    right: int
    wrong: int
    second: int


def draw_prompts(chat: Chat, number: int, seed: int) -> list[Prompt]:
    """Prompts about names and things that are one token each; who gives is named first in every other one."""
    rng = random.Random(seed)
    names = [name for name in NAMES if chat.first_tokens([f" {name}"])]
    things = [thing for thing in THINGS if chat.first_tokens([f" {thing}"])]
    found = []
    for place in range(number):
        (giver, taker), (thing, other) = rng.sample(names, 2), rng.sample(things, 2)
        pair = (giver, taker) if place % 2 else (taker, giver)
        opening = f"When {pair[0]} and {pair[1]} went to the {rng.choice(PLACES)},"
        texts = [
            f"{opening} {gives} gave a {what} to" for gives, what in ((giver, thing), (taker, thing), (giver, other))
        ]
        clean, other_giver, other_thing = (chat.answer(said, end=False) for said in texts)
        right, wrong = chat.first_tokens([f" {taker}", f" {giver}"])
        [second] = [i for i, (a, b) in enumerate(zip(clean, other_giver, strict=True)) if a != b]
        found.append(Prompt(clean, other_giver, other_thing, right, wrong, second))
    return found


@dataclass(frozen=True)
class Run:
    """Prompts that a decoder has run through: what is in each layer before, and what heads read in other prompts."""

    decoder: Decoder
    prompts: Sequence[Prompt]
    before: Sequence[States]  # before each layer, and after the last
    residual: dict[int, list[Tensor]]  # of the prompts with the other giver, by layer
    heads: dict[int, list[Tensor]]
    heads_other_thing: dict[int, list[Tensor]]
    clean: Float[np.ndarray, "prompts"]  # logit of the right name less that of the wrong one
    other_giver: Float[np.ndarray, "prompts"]

    @classmethod
    def of(cls, decoder: Decoder, prompts: Sequence[Prompt]) -> Run:
        clean, other_giver, other_thing = zip(*((p.clean, p.other_giver, p.other_thing) for p in prompts), strict=True)
        longest = max(map(len, clean))  # nothing is shared: each prompt is patched in its own way
        states = [decoder.start(clean, longest)]
        for layer in range(1, decoder.depth + 1):
            states.append(decoder.advance(states[-1], layer))
        return cls(
            decoder,
            prompts,
            states,
            read(decoder, other_giver, "residual"),
            read(decoder, other_giver, "heads"),
            read(decoder, other_thing, "heads"),
            differences(decoder, states[-1], prompts),
            differences(decoder, decoder.start(other_giver, longest), prompts),
        )

    def effect(self, patches: Sequence[Sequence[Intervention]], layer: int) -> float:
        """How far patches for each prompt, none of them below `layer`, go from the clean difference to the other."""
        changes = {prompt.clean: list(of) for prompt, of in zip(self.prompts, patches, strict=True)}
        found = differences(intervene(self.decoder, changes), self.before[layer - 1], self.prompts)
        return float((self.clean - found).mean() / (self.clean - self.other_giver).mean())

    def with_heads(self, heads: Sequence[Head], source: dict[int, list[Tensor]]) -> float:
        """Effect of what these heads read in `source`, at every position."""
        patches = [
            [
                Patch(
                    Site("heads", head.layer),
                    source[head.layer][i],
                    at=range(len(prompt.clean)),
                    part=part_of_head(self.decoder, head),
                )
                for head in heads
            ]
            for i, prompt in enumerate(self.prompts)
        ]
        return self.effect(patches, min(head.layer for head in heads))

    def with_residual(self, layer: int, *, last: bool) -> float:
        """Effect of the other prompt's stream after `layer`, at the last position or at the second name."""
        patches = []
        for prompt, values in zip(self.prompts, self.residual[layer], strict=True):
            at = len(prompt.clean) - 1 if last else prompt.second
            patches.append([Patch(Site("residual", layer), values[at], at=[at])])
        return self.effect(patches, layer)


def read(decoder: Decoder, sequences: Sequence[TokenIds], kind: Kind) -> dict[int, list[Tensor]]:
    """What is at the sites of one kind, by layer, at every position of each sequence."""
    sites = [Site(kind, layer) for layer in range(1, decoder.depth + 1)]
    found: dict[int, list[Tensor]] = {site.layer: [torch.empty(0)] * len(sequences) for site in sites}
    for batch, rows in decoder.visit(sequences, sites, [np.arange(len(sequence)) for sequence in sequences]):
        for site in sites:
            for i, own in zip(batch, rows[site].split([len(sequences[i]) for i in batch]), strict=True):
                found[site.layer][i] = own.clone()
    return found


@torch.no_grad()
def differences(decoder: Decoder, states: States, prompts: Sequence[Prompt]) -> Float[np.ndarray, "prompts"]:
    """Logit of the right name less that of the wrong one, at the last position."""
    found = np.empty(len(prompts))
    for group in decoder.advance(states, decoder.depth).groups:
        last = torch.stack([hidden[-1] for hidden in group.hidden])
        normed = getattr(decoder.body, decoder.family.norm)(last).float()
        for i, state in zip(group.index, normed, strict=True):
            names = decoder.head[[prompts[i].right, prompts[i].wrong]].float()
            found[i] = float((names[0] - names[1]) @ state)
    return found


@dataclass(frozen=True)
class Finding:
    """Differences are mean logits of the right name over the wrong one. Effects are shares of the way from the clean
    difference to the one of the other prompt: 0 changes nothing, 1 is as if the other one gave.
    """

    solved: float  # share of prompts with the right name ahead
    clean: float
    other_giver: float
    effects: Float[np.ndarray, "layers heads"]
    at_second: tuple[float, ...]  # effect of the whole stream after each layer
    at_last: tuple[float, ...]
    heads: tuple[Head, ...]
    together: float  # effect of these heads at once, on prompts that they were not chosen on
    others: tuple[float, ...]  # of as many others of the same layers
    other_thing: float  # of these heads, from prompts in which the same one gives something else


def study(
    decoder: Decoder,
    scored: Sequence[Prompt],
    tested: Sequence[Prompt],
    *,
    layers: Sequence[int],
    chosen: int,
    draws: int,
    seed: int = 0,
) -> Finding:
    """Patch each head of `layers` and the stream after each; then the `chosen` best heads at once."""
    run, test = Run.of(decoder, scored), Run.of(decoder, tested)
    clean = np.concatenate([run.clean, test.clean])
    effects = np.zeros((decoder.depth, decoder.heads))
    for layer in layers:
        for head in range(decoder.heads):
            effects[layer - 1, head] = run.with_heads([Head(layer, head)], run.heads)
    order = np.argsort(-effects, axis=None)[:chosen]
    heads = tuple(Head(int(place) // decoder.heads + 1, int(place) % decoder.heads) for place in order)
    rng = np.random.default_rng(seed)
    controls = [others_of_the_same_layers(decoder, heads, rng) for _ in range(draws)]
    return Finding(
        solved=float((clean > 0).mean()),
        clean=float(clean.mean()),
        other_giver=float(np.concatenate([run.other_giver, test.other_giver]).mean()),
        effects=effects,
        at_second=tuple(run.with_residual(layer, last=False) for layer in layers),
        at_last=tuple(run.with_residual(layer, last=True) for layer in layers),
        heads=heads,
        together=test.with_heads(heads, test.heads),
        others=tuple(test.with_heads(control, test.heads) for control in controls),
        other_thing=test.with_heads(heads, test.heads_other_thing),
    )


def on_the_embedded_model(
    *, prompts: int = 8, layers: Sequence[int] = range(1, 31), chosen: int = 8, draws: int = 5
) -> Finding:
    subject, _ = open_alone("smollm2-135m")
    drawn = draw_prompts(subject.chat, 2 * prompts, seed=0)
    return study(subject.decoder, drawn[:prompts], drawn[prompts:], layers=layers, chosen=chosen, draws=draws)


def main(folder: Path) -> None:
    layers = range(1, 31)
    found = on_the_embedded_model(layers=layers)
    print(f"The right name is ahead in {found.solved:.0%} of the prompts, by {found.clean:.2f} in the mean.")
    print(f"With the other giver the same name is ahead by {found.other_giver:.2f}.")
    print("Heads:", ", ".join(f"{head} {found.effects[head.layer - 1, head.head]:+.2f}" for head in found.heads))
    print(f"All of them at once, on other prompts: {found.together:.2f}")
    print("As many others of the same layers:", ", ".join(f"{effect:.2f}" for effect in found.others))
    print(f"The same heads, from prompts with another thing: {found.other_thing:.2f}")
    where = curves(
        "where",
        "The answer moves from the second name to the last word",
        [Curve("second name", layers, found.at_second), Curve("last word", layers, found.at_last)],
        x="layer after which the stream is patched",
        y="effect",
    )
    which = heatmap(
        "which",
        "Effect of each head",
        found.effects.T.tolist(),
        rows=[str(head) for head in range(found.effects.shape[1])],
        columns=[str(layer + 1) for layer in range(len(found.effects))],
        x="layer",
        y="head",
    )
    write(folder / "indirect_object.svg", where, which)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
