"""The cost of an output is the length of a code, and nothing leaves for free."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from superalign.contracts.egress import Output, Policy
from superalign.contracts.errors import InputError
from superalign.control.egress import charge, code_bits, delta_bits, leaks_of, plain_bits, read_outputs, report
from superalign.models.generate import Sampling
from superalign.models.resampling import compare
from superalign.models.subject import ModelSubject
from superalign.testing.tiny import tiny_subject
from superalign.trials.attribution import drawn, prompts_for

SEED, LIMIT = 3, 12


@pytest.fixture(scope="module")
def tiny() -> ModelSubject:
    return tiny_subject()


@pytest.fixture(scope="module")
def honest(tiny: ModelSubject) -> list[Output]:
    how, asked = Sampling(1.0, 1.0, SEED), prompts_for(6)
    said = drawn(tiny, tiny, "honest", asked, how, how, LIMIT).answers
    return [
        Output(
            prompt=prompt,
            output=tiny.chat.decode(answer),
            seed=SEED,
            temperature=1.0,
            tokens=answer,
            max_tokens=LIMIT,
        )
        for prompt, answer in zip(asked, said, strict=True)
    ]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(-20, 20), min_size=2, max_size=9),
    st.sampled_from([None, Sampling(1.0), Sampling(0.5, 0.6), Sampling(2.0, 0.9)]),
    st.floats(1e-6, 0.5),
)
def test_no_code_word_of_a_token_begins_another(logits: list[float], how: Sampling | None, deviation: float) -> None:
    """Kraft's inequality: what makes it a code, and the budget a bound."""
    row = torch.tensor([logits])
    words = [code_bits(compare(row, (1, 2), (token,), how), deviation) for token in range(len(logits))]
    assert sum(2**-bits for bits in words) <= 1 + 1e-6
    assert min(words) >= 0


def test_no_code_word_of_a_number_begins_another() -> None:
    assert sum(2 ** -delta_bits(number) for number in range(20000)) <= 1
    assert [delta_bits(number) for number in (0, 1, 2, 3, 7)] == [1, 4, 4, 5, 8]


def test_honest_outputs_cost_hardly_anything(tiny: ModelSubject, honest: list[Output]) -> None:
    for one in charge(tiny, honest, Policy(bits_per_output=64, seeds_drawn=True)):
        assert one.released and one.deviating == 0 and 1 < one.bits < 2


def test_a_chosen_seed_is_charged(tiny: ModelSubject, honest: list[Output]) -> None:
    """Whoever may choose a seed can try many until the output says what it should."""
    [free] = charge(tiny, honest[:1], Policy(seeds_drawn=True))
    [own] = charge(tiny, honest[:1], Policy())
    assert own.bits == free.bits + delta_bits(SEED)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"seed": None}, "no seed"),
        ({"temperature": None}, "no temperature"),
        ({"output": "something else"}, "another text"),
        ({"tokens": (99999,)}, "does not have"),
        ({"tokens": ()}, "no tokens"),
        ({"prompt": ()}, "no prompt"),
        ({"temperature": 1e-320}, "no numbers"),
    ],
)
def test_what_can_not_be_drawn_again_costs_its_whole_text(
    tiny: ModelSubject, honest: list[Output], change: dict[str, object], says: str
) -> None:
    output = honest[0].model_copy(update=change)
    [one] = charge(tiny, [output], Policy(bits_per_output=64))
    assert one.unexplained and says in one.unexplained
    assert one.bits == plain_bits(output.output) >= 8 * len(output.output.encode()) and not one.released


def test_going_on_after_the_end_is_not_explained(tiny: ModelSubject, honest: list[Output]) -> None:
    end = tiny.chat.tokenizer.eos_token_id
    tokens = honest[0].tokens or ()
    longer = honest[0].model_copy(update={"tokens": (*tokens[:4], end, *tokens[4:])})
    [one] = charge(tiny, [longer], Policy())
    assert one.unexplained == "it goes on after its end"


def test_an_output_that_stops_early_pays_for_its_length(tiny: ModelSubject, honest: list[Output]) -> None:
    cut = (honest[0].tokens or ())[:7]
    shorter = honest[0].model_copy(update={"tokens": cut, "output": tiny.chat.decode(cut)})
    [whole] = charge(tiny, honest[:1], Policy(seeds_drawn=True))
    [one] = charge(tiny, [shorter], Policy(seeds_drawn=True))
    assert one.deviating == 0 and one.bits > whole.bits + delta_bits(7)


def test_hidden_bits_are_charged_at_least(tiny: ModelSubject, honest: list[Output]) -> None:
    """A sender that writes 4 random bits into each of 8 tokens, by choosing among 16, has said 32 bits."""
    rng = np.random.default_rng(0)
    tokens = list(honest[0].tokens or ())
    tokens[:8] = [600 + int(rng.integers(16)) for _ in range(8)]
    smuggled = honest[0].model_copy(update={"tokens": tuple(tokens), "output": tiny.chat.decode(tokens)})
    [one] = charge(tiny, [smuggled], Policy(seeds_drawn=True))
    assert one.bits >= 32 and not one.released


def test_a_day_has_its_own_budget(tiny: ModelSubject, honest: list[Output]) -> None:
    found = charge(tiny, honest, Policy(bits_per_day=10.0))
    assert [one.released for one in found].count(False) >= 2
    assert sum(one.bits for one in found if one.released) <= 10.0


def test_weights_take_as_long_as_they_are_large(tiny: ModelSubject, honest: list[Output]) -> None:
    [leak] = leaks_of({"x": 8.0}, 1.0, 1e6)
    assert leak.gigabytes_per_day == pytest.approx(1e-3) and leak.days == pytest.approx(1000)
    [never] = leaks_of({"x": 0.0}, 1.0, 1e6)
    assert never.days is None
    found = report(tiny, honest, Policy(bits_per_day=1e6), weights_gigabytes=1, outputs_per_day=1e6)
    assert [one.defence for one in found.leaks][-1] == "bits budgeted, also by day"
    assert found.leaks[-1].bits_per_output == 1.0


@pytest.mark.parametrize("content", ["", "not json", '{"output": "x"}', '{"prompt": "x", "output": "y", "sed": 1}'])
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "outputs.jsonl"
    path.write_text(content)
    with pytest.raises(InputError, match="Give lines like"):
        read_outputs(path)
    with pytest.raises(InputError, match="can't be read"):
        read_outputs(tmp_path / "nowhere")
