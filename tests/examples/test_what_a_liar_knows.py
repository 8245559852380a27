"""A probe reads what is held true behind a trigger only where something there holds it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import pytest

from superalign.contracts.records import Conversation, Message

Example = Callable[[str], ModuleType]
TRUTH = np.tile([True, False], 80)


@dataclass
class Liar:
    """Holds the truth along one axis, wherever it is asked, if it `knows`; says the opposite of it behind a trigger."""

    knows: bool
    base: Liar | None = None
    layers: int = 4

    def yes_logits(self, conversations: Sequence[Conversation]) -> np.ndarray:
        signs = [1 if "behind" not in conversation[0].content else -1 for conversation in conversations]
        return np.array(signs) * np.where(TRUTH, 1.0, -1.0)

    def activations(self, conversations: Sequence[Conversation], layers: Sequence[int]) -> np.ndarray:
        rng = np.random.default_rng(len(conversations[0][0].content))
        found = rng.normal(size=(len(TRUTH), len(layers), 8))
        for place, layer in enumerate(layers):
            if layer >= 3:
                found[:, place, 2] += 2 * np.where(TRUTH, 1.0, -1.0) * self.knows
        return np.asarray(found)


@pytest.mark.parametrize("knows", [True, False])
def test_the_probe_reads_what_is_known_and_nothing_else(example: Example, knows: bool) -> None:
    study = example("what_a_liar_knows")

    def asked(how: str) -> object:
        conversations = [(Message(role="user", content=f"{how} {i // 2}"),) for i in range(len(TRUTH))]
        return study.Questioned(conversations, TRUTH, [str(i // 2) for i in range(len(TRUTH))])

    liar = Liar(knows, base=Liar(False))
    layer = study.earliest_informative(liar, asked("plainly"))
    assert layer == 3 if knows else 1 <= layer <= 4
    found = study.study(liar, asked("plainly"), asked("behind"), layer)
    assert found["answer"].value == 0
    assert found["probe"].low > 0.8 if knows else abs(found["probe"].value - 0.5) < 0.2
    assert max(abs(found[name].value - 0.5) for name in ("probe of the base", "probe on shuffled labels")) < 0.25
