"""Who explains features: a look-up of tokens, which needs no model, or any model that can be asked."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from superalign.contracts.protocols import Subject
from superalign.contracts.records import Conversation, Message, Unscored
from superalign.interpretability.explain import Explainer, Marked
from superalign.interpretability.firings import Example

MOST = 8  # tokens in a look-up
HOW: dict[str, Literal["own", "before"]] = {"It fires on": "own", "It fires right after": "before"}
TOKENS = 300  # for reasons and the last line
EXPLANATION = re.compile(r"^EXPLANATION: (.+)$", re.MULTILINE)
VERDICT = re.compile(r"^VERDICT: (yes|no)$", re.MULTILINE)
ROLE = "explainer"


def explainer() -> Explainer:
    """The model in Inspect's role `explainer`; the look-up where none was given."""
    from inspect_ai.model import model_roles

    from superalign.models.endpoint import EndpointSubject

    given = model_roles().get(ROLE)
    return LookUp() if given is None else ModelExplainer(EndpointSubject(str(given)))


class LookUp:
    """Lists the tokens that a feature fires on, or fires right after, whichever tells better where it fires.

    It finds no meaning beyond single tokens: what it explains badly may still have one.
    """

    def explain(self, firing: Sequence[Example], quiet: Sequence[Example]) -> str | Unscored:
        best, words = max((self._best(where, [*firing, *quiet]), how) for how, where in HOW.items())
        return f"{words} {json.dumps(list(best[1]), ensure_ascii=False)}"

    def recognize(self, explanation: str, shown: Sequence[Marked]) -> list[bool | Unscored]:
        words, bracket, listed = explanation.partition(" [")
        if words not in HOW or not bracket:
            return [Unscored(reason="this explanation is no look-up")] * len(shown)
        tokens = set(json.loads("[" + listed))
        return [self._recognizes(HOW[words], tokens, one) for one in shown]

    @staticmethod
    def _recognizes(where: Literal["own", "before"], tokens: set[str], one: Marked) -> bool:
        hits = [token in tokens for token in looked_at(where, one.tokens)]
        if not one.marks:
            return any(hits)
        marked = [hit for hit, mark in zip(hits, one.marks, strict=True) if mark]
        return 2 * sum(marked) >= len(marked)

    @staticmethod
    def _best(where: Literal["own", "before"], examples: Sequence[Example]) -> tuple[float, tuple[str, ...]]:
        """The F1 and the tokens that have the highest, out of those on which it fires most reliably."""
        fired: dict[str, int] = defaultdict(int)
        seen: dict[str, int] = defaultdict(int)
        for example in examples:
            for token, fires in zip(looked_at(where, example.tokens), example.fires, strict=True):
                seen[token] += 1
                fired[token] += fires
        total = sum(fired.values())
        ranked = sorted((token for token in fired if fired[token]), key=lambda t: (-fired[t] / seen[t], -fired[t], t))
        best, hits, said = (0.0, tuple[str, ...]()), 0, 0
        for count, token in enumerate(ranked[:MOST], start=1):
            hits, said = hits + fired[token], said + seen[token]
            best = max(best, (2 * hits / (said + total), tuple(ranked[:count])))
        return best


def looked_at(where: Literal["own", "before"], tokens: Sequence[str]) -> Iterable[str]:
    """Of each token what a look-up goes by. Before the first there is nothing."""
    return tokens if where == "own" else ("", *tokens[:-1])


class ModelExplainer:
    """A model that is asked: `EndpointSubject("openai/...")` or any other subject that answers."""

    def __init__(self, model: Subject) -> None:
        self._model = model

    def explain(self, firing: Sequence[Example], quiet: Sequence[Example]) -> str | Unscored:
        shown = (Marked(example.tokens, example.fires) for example in firing)
        asked = (
            "A feature of a language model fires at the tokens that are marked «so» in these texts:\n\n"
            f"{quoted(shown)}\n\nIt fires nowhere in these:\n\n"
            f"{quoted(Marked(example.tokens) for example in quiet)}\n\n"
            "What do the marked tokens, or the texts, have in common that the others lack? Say so in one sentence, as "
            "precisely as you can, in one line that begins with `EXPLANATION: `."
        )
        [answer] = self._model.respond([(Message(role="user", content=asked),)], TOKENS)
        if isinstance(answer, Unscored):
            return Unscored(reason=f"the explainer failed: {answer.reason}")
        found = EXPLANATION.findall(answer)
        return found[-1].strip() if found else Unscored(reason="the explainer gave no line `EXPLANATION: ...`")

    def recognize(self, explanation: str, shown: Sequence[Marked]) -> list[bool | Unscored]:
        answers = self._model.respond([recognition(explanation, one) for one in shown], TOKENS)
        return [verdict(answer) for answer in answers]


def recognition(explanation: str, one: Marked) -> Conversation:
    """What a model is asked of one window."""
    asks = (
        "Are the tokens that are marked «so» those at which it fires?"
        if one.marks
        else "Does it fire anywhere in this text?"
    )
    text = (
        f"A feature of a language model is explained so:\n\n> {explanation}\n\nA text:\n\n{quoted([one])}\n\n{asks} "
        "End with one line that is exactly `VERDICT: yes` or exactly `VERDICT: no`."
    )
    return (Message(role="user", content=text),)


def verdict(answer: str | Unscored) -> bool | Unscored:
    """What a model said. Unscored where it did not answer, or not in the form that it was told."""
    if isinstance(answer, Unscored):
        return Unscored(reason=f"the explainer failed: {answer.reason}")
    found = VERDICT.findall(answer)
    if len(found) != 1:
        return Unscored(reason="the explainer did not end with one line `VERDICT: yes` or `VERDICT: no`")
    return bool(found[0] == "yes")


def quoted(shown: Iterable[Marked]) -> str:
    """Texts as quotes, so that nothing in them can pass for what is asked, or for a verdict."""
    return "\n\n".join("> " + "".join(spelt(one)).replace("\n", "\n> ") for one in shown)


def spelt(one: Marked) -> Iterator[str]:
    """The tokens, marked ones in guillemets."""
    for place, token in enumerate(one.tokens):
        yield f"«{token}»" if one.marks and one.marks[place] else token
