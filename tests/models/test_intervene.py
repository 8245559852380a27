"""What is written into a decoder comes out as in a plain pass over each whole conversation with hooks by hand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from superalign.contracts.errors import InputError
from superalign.models import batches
from superalign.models import generate as generate_module
from superalign.models.adapter import AdaptedDecoder
from superalign.models.batches import TokenIds
from superalign.models.decoder import Decoder
from superalign.models.generate import choice_logprobs, generate
from superalign.models.harvest import harvest
from superalign.models.intervene import EVERYWHERE, Ablate, At, Intervention, Patch, ProjectOut, Steer, intervene
from superalign.models.sites import Site
from superalign.testing.tiny import tiny_relative, tiny_subject
from tests.models.test_decoder import DEPTH, SUPPORTED, close, conversations, copied, make

WIDTH = 32
PROMPTS = conversations().map(lambda sequences: [(3, *sequence) for sequence in sequences])
VECTOR = torch.linspace(-3, 3, WIDTH)
SQUARE = VECTOR.square()
"""Projected out: parallel to nothing written, or rounding alone would be left, and the last norm would blow it up."""
SITES = st.one_of(
    st.builds(Site, st.just("residual"), st.integers(0, DEPTH)),
    st.builds(Site, st.sampled_from(["attention", "mlp"]), st.integers(1, DEPTH)),
)
PLACES: st.SearchStrategy[At] = st.one_of(
    st.just(EVERYWHERE),
    st.builds(slice, st.sampled_from([None, -3, -1, 2]), st.sampled_from([None, -2, 5])),
    st.lists(st.integers(-4, 8), min_size=1, max_size=3, unique=True),
)


@st.composite
def interventions(draw: st.DrawFn) -> list[Intervention]:
    found: list[Intervention] = []
    for _ in range(draw(st.integers(1, 3))):
        site, at, vector = draw(SITES), draw(PLACES), VECTOR.roll(draw(st.integers(0, 5)))
        rows = vector if isinstance(at, slice) else torch.stack([vector * (i + 1) for i in range(len(at))])
        kinds: list[Intervention] = [
            Patch(site, rows, at),
            Steer(site, vector, 0.5, at),
            ProjectOut(site, SQUARE, at),
            Ablate(site, at=at),
        ]
        found.append(draw(st.sampled_from([*kinds, Ablate(site, vector, at)])))
    return found


def places(at: At, prompt: int, tokens: int) -> list[int]:
    """By hand: the positions, among so many tokens, that `at` means for a prompt of this length."""
    if isinstance(at, slice):
        start, stop = (edge + prompt if edge is not None and edge < 0 else edge for edge in (at.start, at.stop))
        return list(range(max(0, start or 0), tokens if stop is None else max(0, min(stop, tokens))))
    return sorted({p for p in (p if p >= 0 else prompt + p for p in at) if 0 <= p < tokens})


def by_hand(change: Intervention, states: Tensor, prompt: int) -> None:
    """Change the states of one conversation in place."""
    for p in places(change.at, prompt, states.shape[1]):
        match change:
            case Patch():
                listed = [] if isinstance(change.at, slice) else [q if q >= 0 else prompt + q for q in change.at]
                states[0, p] = change.values if change.values.ndim == 1 else change.values[listed.index(p)]
            case Steer():
                states[0, p] += change.strength * change.direction
            case Ablate():
                states[0, p] = 0 if change.mean is None else change.mean
            case ProjectOut():
                unit = change.direction / change.direction.norm()
                states[0, p] -= (states[0, p] @ unit) * unit


@contextmanager
def hooks(model: Any, changes: Sequence[Intervention], prompt: int) -> Iterator[dict[Site, Tensor]]:
    """A plain model with hooks on its own modules; collects what is at each site."""
    found: dict[Site, Tensor] = {}
    body = next(getattr(model, name) for name in ("model", "gpt_neox", "transformer") if hasattr(model, name))
    layers = body.h if hasattr(body, "h") else body.layers

    def changed(site: Site, out: Tensor) -> Tensor:
        out = out.clone()
        for change in changes:
            if change.site == site:
                by_hand(change, out, prompt)
        found[site] = out[0]
        return out

    def after(site: Site) -> Callable[..., Any]:
        def hook(_: Any, __: Any, out: Any) -> Any:
            return (changed(site, out[0]), *out[1:]) if isinstance(out, tuple) else changed(site, out)

        return hook

    handles = [layers[0].register_forward_pre_hook(lambda _, a: (changed(Site("residual", 0), a[0]), *a[1:]))]
    for k, layer in enumerate(layers, start=1):
        gemma = hasattr(layer, "post_feedforward_layernorm")
        attention = next(getattr(layer, name) for name in ("self_attn", "attention", "attn") if hasattr(layer, name))
        handles.append(layer.register_forward_hook(after(Site("residual", k))))
        blocks = (layer.post_attention_layernorm, layer.post_feedforward_layernorm) if gemma else (attention, layer.mlp)
        for kind, block in zip(("attention", "mlp"), blocks, strict=True):
            handles.append(block.register_forward_hook(after(Site(kind, k))))  # type: ignore[arg-type]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def plain(
    model: Any, changes: Sequence[Intervention], sequence: TokenIds, prompt: int | None = None
) -> tuple[Tensor, dict[Site, Tensor]]:
    """Logits at each position, and what is at each site."""
    with hooks(model, changes, len(sequence) if prompt is None else prompt) as found:
        return model(torch.tensor([sequence])).logits[0], found


def greedy(logits: Tensor, answer: Sequence[int]) -> bool:
    """Whether each token is the likeliest, or as good as it."""
    rows = logits[: len(answer)]
    chosen = rows[range(len(answer)), list(answer)]
    return bool((chosen >= rows.amax(-1) - 1e-3 * rows.abs().amax(-1)).all())


@pytest.mark.parametrize("family", SUPPORTED)
@settings(max_examples=12, deadline=None)
@given(sequences=conversations(), changes=interventions(), pass_tokens=st.sampled_from([8, 4096]), data=st.data())
def test_reading_a_changed_decoder_equals_hooks_on_a_plain_pass(
    family: str, sequences: list[TokenIds], changes: list[Intervention], pass_tokens: int, data: st.DataObject
) -> None:
    decoder = Decoder(copied(family))
    before = decoder.last_states(sequences, [DEPTH])
    changed = intervene(decoder, changes)
    layers = sorted(data.draw(st.sets(st.integers(0, DEPTH), min_size=1)))
    with patch.object(batches, "PASS_TOKENS", pass_tokens):
        found = changed.last_states(sequences, layers)
        logits = changed.final(sequences) @ changed.head.float().T
    expected = [plain(make(family), changes, sequence) for sequence in sequences]
    for place, layer in enumerate(layers):
        assert close(found[:, place], torch.stack([sites[Site("residual", layer)][-1] for _, sites in expected]))
    assert close(logits, torch.stack([rows[-1] for rows, _ in expected]))
    assert torch.equal(Decoder(copied(family)).last_states(sequences, [DEPTH]), before)


@pytest.mark.parametrize("family", SUPPORTED)
@settings(max_examples=6, deadline=None)
@given(prompts=PROMPTS, changes=interventions(), packed=st.booleans())
def test_a_changed_decoder_answers_as_with_hooks(
    family: str, prompts: list[TokenIds], changes: list[Intervention], packed: bool
) -> None:
    """Greedy tokens, and log-probabilities of choices of several tokens."""
    changed, model, tokens = intervene(Decoder(copied(family)), changes), make(family), 4
    with patch.object(generate_module, "WORTH_PACKING", 0 if packed else tokens + 1):
        answers = generate(changed, prompts, tokens, stops=range(0, 150, 4))
    choices = [(5,), (7, 8), (7, 9, 10)]
    scores = choice_logprobs(changed, prompts, choices)
    for prompt, answer, score in zip(prompts, answers, scores, strict=True):
        logits, _ = plain(model, changes, (*prompt, *answer), len(prompt))
        assert greedy(logits[len(prompt) - 1 :], answer)
        for choice, found in zip(choices, score, strict=True):
            logprobs = plain(model, changes, prompt + choice, len(prompt))[0][len(prompt) - 1 : -1].log_softmax(-1)
            assert torch.allclose(found, logprobs[range(len(choice)), list(choice)].sum(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("family", ["llama", "gemma3", "gpt2"])
@settings(max_examples=15, deadline=None)
@given(prompts=PROMPTS, data=st.data())
def test_each_conversation_can_be_changed_in_its_own_way(
    family: str, prompts: list[TokenIds], data: st.DataObject
) -> None:
    """Also where they open alike, and at the last position, which generation runs on its own."""
    by_prompt: dict[TokenIds, list[Intervention]] = {}
    for i, prompt in enumerate(prompts):
        at = data.draw(st.sets(st.integers(0, len(prompt) - 1), max_size=2))
        at = {p - len(prompt) if data.draw(st.booleans()) else p for p in at}
        by_prompt[prompt] = [Patch(data.draw(SITES), VECTOR.roll(i), [p]) for p in at]
    changed, model = intervene(Decoder(copied(family)), by_prompt), make(family)
    final = changed.final(prompts) @ changed.head.float().T
    scores = choice_logprobs(changed, prompts, [(5, 6)])
    answers = generate(changed, prompts, 3, stops=range(0, 150, 4))
    for prompt, row, score, answer in zip(prompts, final, scores, answers, strict=True):
        assert close(row, plain(model, by_prompt[prompt], prompt)[0][-1])
        logits, _ = plain(model, by_prompt[prompt], (*prompt, 5, 6), len(prompt))
        logprobs = logits[len(prompt) - 1 : -1].log_softmax(-1)
        assert torch.allclose(score[0], logprobs[0, 5] + logprobs[1, 6], rtol=1e-3, atol=1e-3)
        logits, _ = plain(model, by_prompt[prompt], (*prompt, *answer), len(prompt))
        assert greedy(logits[len(prompt) - 1 :], answer)


def test_harvesting_sees_what_was_written(tmp_path: Path) -> None:
    sequences: list[TokenIds] = [(*range(3, 25), i) for i in range(30, 42)]
    sites = [Site("residual", 0), Site("attention", 2), Site("mlp", 2), Site("residual", 2), Site("residual", 3)]
    changes: list[Intervention] = [
        Steer(Site("residual", 0), VECTOR, 1.0, [4]),
        Patch(Site("attention", 2), VECTOR, [-1]),
    ]
    found = harvest(intervene(Decoder(copied("gemma3")), changes), sequences, sites, "all", folder=tmp_path)
    for i, sequence in enumerate(sequences):
        expected = plain(make("gemma3"), changes, sequence)[1]
        assert all(close(found.of(i, site), expected[site]) for site in sites)
    with pytest.raises(InputError, match="other model"):
        harvest(intervene(Decoder(copied("gemma3")), changes[:1]), sequences, sites, "all", folder=tmp_path)


def test_adapters_are_changed_too() -> None:
    """What the base reads for them as well as their own positions; with nothing changed, nothing is."""
    relative = tiny_relative("relative", tiny_subject())
    assert isinstance(relative.decoder, AdaptedDecoder)
    prompts = [(*range(3, 24), 40 + i, *relative.decoder.invocation) for i in range(9)]
    same = intervene(relative.decoder, [])
    assert torch.allclose(same.final(prompts), relative.decoder.final(prompts), atol=1e-5)
    assert generate(same, prompts, 5) == generate(relative.decoder, prompts, 5)
    vector, length = torch.linspace(-2, 2, 64), len(prompts[0])
    everywhere = intervene(relative.decoder, [Steer(Site("residual", 2), vector, 1.0)])
    listed = intervene(relative.decoder, [Steer(Site("residual", 2), vector, 1.0, range(length))])
    assert not torch.allclose(everywhere.final(prompts), relative.decoder.final(prompts), atol=0.1)
    assert torch.allclose(everywhere.final(prompts), listed.final(prompts), atol=1e-5)
    # Adapters that are zero are the base, which hooks can be put on.
    for tensor in relative.decoder.adapters().values():
        tensor.zero_()
    unadapted = intervene(relative.decoder, [Steer(Site("residual", 2), vector, 1.0)])
    base = intervene(relative.decoder.reader, [Steer(Site("residual", 2), vector, 1.0)])
    assert torch.allclose(unadapted.final(prompts), base.final(prompts), atol=1e-4)
    assert torch.allclose(
        choice_logprobs(unadapted, prompts, [(5, 6)]), choice_logprobs(base, prompts, [(5, 6)]), atol=1e-3
    )


def test_a_changed_decoder_remembers_for_itself() -> None:
    decoder, sequences = Decoder(copied("llama")), [tuple(range(3, 20)), tuple(range(3, 30))]
    before = decoder.last_states(sequences, [DEPTH]).clone()
    changed = [intervene(decoder, [Steer(Site("residual", 1), VECTOR, strength)]) for strength in (1.0, 2.0)]
    states = [each.last_states(sequences, [DEPTH]) for each in changed]
    assert changed[0].last_states(sequences, [DEPTH]) is states[0]
    assert not torch.allclose(states[0], states[1]) and not torch.allclose(states[0], before)
    assert torch.equal(decoder.last_states(sequences, [DEPTH]), before)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in decoder.model.modules())


@pytest.mark.parametrize(
    ("make_changes", "message"),
    [
        (lambda: [Steer(Site("residual", 9), VECTOR, 1.0)], "no residual-9.*from 0 to 4"),
        (lambda: [Steer(Site("mlp", 0), VECTOR, 1.0)], "no mlp-0.*from 1 to 4"),
        (lambda: [Steer(Site("mlp", 1), VECTOR[:5], 1.0)], "5 numbers does not fit a model of width 32"),
        (lambda: [Patch(Site("mlp", 1), VECTOR[None].repeat(2, 1), [1, 2, 3])], "does not fit its positions"),
        (lambda: [ProjectOut(Site("mlp", 1), 0 * VECTOR)], "length 0"),
        (lambda: [Ablate(Site("mlp", 1), at=slice(0, 9, 2))], "no step"),
        (lambda: {(3, 4): [Ablate(Site("mlp", 1), at=[2])]}, "listed positions of it; this one has 2"),
        (lambda: {(3, 4): [Ablate(Site("mlp", 1))]}, "listed positions of it"),
        (lambda: [Ablate(Site("head", 1))], "no site 'head'"),  # type: ignore[arg-type]
    ],
)
def test_what_makes_no_sense_is_told(make_changes: Callable[[], Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        intervene(Decoder(copied("llama")), make_changes())


def test_a_conversation_without_changes_of_its_own_is_told() -> None:
    changed = intervene(Decoder(copied("llama")), {(3, 4): []})
    with pytest.raises(InputError, match="No changes are given for a conversation of 3 tokens"):
        changed.final([(3, 4, 5)])


def test_the_example_of_the_docs_runs() -> None:
    page = Path(__file__).parents[2] / "docs" / "concepts" / "activations.md"
    source = re.search(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert source
    environment = os.environ | {"PYTHONPATH": "src"}
    command = [sys.executable, "-W", "error::UserWarning", "-c", source[1]]
    out = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert out.startswith("torch.Size([3, 64]) torch.Size([1, 64])\n")
