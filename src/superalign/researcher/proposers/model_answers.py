"""What a proposer asks a language model: one label of several, or a text. Keys stay out of what comes back."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from superalign.contracts.records import Message, Unscored
from superalign.models.endpoint import EndpointSubject, answer_text, without_keys

if TYPE_CHECKING:
    from inspect_ai.model import ModelOutput

LABELS = "ABCDEFGHIJKLMNOPQRST"  # one token each, and as many as providers show probabilities of
LABEL_TOKENS = 4  # a label, and a mark or two around it
LABEL = re.compile(r"\(?([A-T])[).:]{0,2}")
LONGEST_ANSWER = 20_000  # characters that are kept


class NoAnswer(Exception):
    """The model gave none that can be used; says why."""


class ModelAnswers:
    """A model by its Inspect name, such as `openai/NAME`, `openai-api/SERVICE/NAME` or our own `superalign/NAME`.

    It is opened when it is first asked. All that it answered for one proposal is in `answers`.
    """

    def __init__(self, model: str, **options: Any) -> None:
        self._model = model
        self._options = options  # of EndpointSubject
        self._subject: EndpointSubject | None = None
        self._shows_probabilities = True
        self.answers: list[str] = []

    def choose(self, question: str, options: Sequence[str], rng: np.random.Generator) -> int:
        """The number of the option that the model picks. NoAnswer where it picks none.

        Options stand in an order by chance under a letter each. Where the model shows probabilities, one is drawn by
        those of the letters; else its answer has to be a letter. Many options are asked for in two rounds.
        """
        if len(options) > len(LABELS):
            groups = np.array_split(np.arange(len(options)), math.ceil(len(options) / len(LABELS)))
            group = groups[self.choose(question, [f"one of: {'; '.join(options[i] for i in g)}" for g in groups], rng)]
            return int(group[self.choose(question, [options[i] for i in group], rng)])
        order = [int(i) for i in rng.permutation(len(options))]
        listed = "\n".join(f"{label}. {options[i]}" for label, i in zip(LABELS, order, strict=False))
        labels = LABELS[: len(options)]
        output = self._asked(f"{question}\n\n{listed}\n\nAnswer with one letter, {labels[0]} to {labels[-1]}.")
        shares = _shares(output, labels)
        if shares is None:
            number = self._read(output, labels)
        else:
            number = int(rng.choice(len(labels), p=shares))
            self.answers.append(f"{labels[number]}, at {shares[number]:.3f}: {options[order[number]]}"[:LONGEST_ANSWER])
        return order[number]

    def write(self, prompt: str, tokens: int, temperature: float, seed: int) -> str:
        """A text of at most so many tokens. NoAnswer where it failed or was cut."""
        output = self._output(prompt, max_tokens=tokens, temperature=temperature, seed=seed)
        text = self._text(output, tokens)
        if output.choices[0].stop_reason == "max_tokens":
            raise NoAnswer(f"its answer was cut after {tokens} tokens")
        return text

    def _asked(self, prompt: str) -> ModelOutput:
        """An answer with the probabilities of its tokens, or without for a model that shows none."""
        if self._shows_probabilities:
            try:
                return self._output(prompt, max_tokens=LABEL_TOKENS, logprobs=True, top_logprobs=len(LABELS))
            except NoAnswer as refusal:
                if "HTTP 4" not in str(refusal) or "HTTP 429" in str(refusal):
                    raise
                self._shows_probabilities = False
        return self._output(prompt, max_tokens=LABEL_TOKENS)

    def _output(self, prompt: str, **config: Any) -> ModelOutput:
        if self._subject is None:
            self._subject = EndpointSubject(self._model, **self._options)
        [output] = self._subject.outputs([(Message(role="user", content=prompt),)], **config)
        if isinstance(output, Unscored):
            raise NoAnswer(output.reason)
        return output

    def _read(self, output: ModelOutput, labels: str) -> int:
        text = self._text(output, LABEL_TOKENS)
        found = LABEL.fullmatch(text.strip())
        if found is None or found[1] not in labels:
            raise NoAnswer(f"its answer is no letter from {labels[0]} to {labels[-1]}: {text[:40]!r}")
        return labels.index(found[1])

    def _text(self, output: ModelOutput, tokens: int) -> str:
        text = answer_text(output, tokens)
        if isinstance(text, Unscored):
            raise NoAnswer(text.reason)
        readable = without_keys(text.encode("utf-8", "replace").decode())  # half a character can't be written down
        self.answers.append(readable[:LONGEST_ANSWER])
        return readable


def _shares(output: ModelOutput, labels: str) -> np.ndarray | None:
    """Of each label, its share of the probability that the first token is one; None where that is not known."""
    shown = output.choices[0].logprobs if output.choices else None
    if not shown or not shown.content or not shown.content[0].top_logprobs:
        return None
    weights = np.zeros(len(labels))
    for token in shown.content[0].top_logprobs:
        if len(label := token.token.strip()) == 1 and label in labels and math.isfinite(token.logprob):
            weights[labels.index(label)] += math.exp(min(token.logprob, 0.0))
    return weights / weights.sum() if weights.sum() > 0 else None
