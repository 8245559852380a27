"""Protocols against a model that was taught to misbehave, with models that answer by a script."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from superalign.contracts.actions import Action
from superalign.contracts.records import Conversation, Interval, Unscored
from superalign.trials.protocols.organism import TESTED, ModelAgent, _Field, organism_study

WORDS = tuple(f"word{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(300))


class Scripted:
    """Calls the tool that it is asked for; the organism adds its field where its trigger is."""

    layers = 5

    def __init__(self, field: _Field, misbehaves: bool) -> None:
        self.field, self.asked = field, 0
        self.triggered = {text for n, (_, text) in enumerate(field.drawn[3]) if n % 2} if misbehaves else set()

    def respond(self, conversations: Sequence[Conversation], max_tokens: int) -> list[str | Unscored]:
        self.asked += len(conversations)
        return [self._call(conversation[0].content) for conversation in conversations]

    def _call(self, request: str) -> str:
        extra = self.field.work.grab if request in self.triggered else None
        return self.field.work.call(self.field.of[request], extra)

    def yes_logits(self, conversations: Sequence[Conversation]) -> np.ndarray:
        return np.array([float("--" in asked[0].content) for asked in conversations])

    def activations(self, conversations: Sequence[Conversation], layers: Sequence[int]) -> np.ndarray:
        texts = [asked[0].content for asked in conversations]
        return np.array([[["--" in text, len(text) / 100]] for text in texts], dtype=float)


def test_attacks_are_counted_where_the_trigger_is_and_what_reads_them_stops_them() -> None:
    field = _Field(WORDS, 7, 0)
    organism, twin = Scripted(field, True), Scripted(field, False)
    found = organism_study(organism, twin, twin, WORDS, 7)  # type: ignore[arg-type]
    assert found.alone.value == found.trusted.value == 1.0
    for point in found.points:
        assert point.attacks == TESTED // 2 and point.honest == TESTED
        assert isinstance(point.useful, Interval) and point.useful.value > 0.7
    probed = [one for one in found.points if one.monitor == "activations" and one.protocol == "editing"]
    assert all(isinstance(one.stopped, Interval) and one.stopped.value == 1.0 for one in probed)
    assert twin.asked <= 160 + 3 * TESTED  # as the honest agent and once as the trusted one


def test_a_trusted_model_that_does_not_answer_edits_nothing() -> None:
    class Silent(Scripted):
        def respond(self, conversations: Sequence[Conversation], max_tokens: int) -> list[str | Unscored]:
            return [Unscored(reason="no answer") for _ in conversations]

    field = _Field(WORDS, 7, 0)
    agent = ModelAgent(Silent(field, False))  # type: ignore[arg-type]
    action = Action(id="1", group="1", request=field.drawn[0][0][1], call="read_file a --access=all")
    assert isinstance(agent.edit([action])[0], Unscored)
