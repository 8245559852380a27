"""How much an output can smuggle out: the length of a code for it, given the prompt, the seed and the model.

An honest output follows from its prompt and seed, so that a short code tells it. For token t, drawn again as d, with a
deviation rate e that is fixed beforehand, P(t) among the model's tokens and V tokens in all,

    L(t) = -log2(1 - e)                          where t = d
    L(t) = -log2(e) - log2(P(t) / 2 + 1 / 2V)    elsewhere

An output costs the sum over its tokens, its seed unless that was drawn by whoever checks, and a bit. One that neither
ended by itself nor was cut at its limit costs a bit more, and its length; or it is its plain text, which has two bits
in front too. No code word begins another (Kraft), so at most 2^B different outputs cost B bits or less: an output that
is let through under a budget of B bits carries at most B. Nothing is assumed of how it was hidden. Numbers that are
told by themselves are in Elias's delta code (1975).

The setting is that of Rinberg et al. 2025, *Verifying LLM Inference to Detect Model Weight Exfiltration*
(arXiv 2511.02620); the code is ours.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from jinja2 import TemplateError
from pydantic import ValidationError

from superalign.contracts.egress import Charged, EgressReport, Leak, Output, Policy
from superalign.contracts.errors import InputError
from superalign.contracts.records import Unscored
from superalign.models.batches import TokenIds
from superalign.models.generate import Sampling, stop_tokens
from superalign.models.resampling import Redrawn, redraw
from superalign.models.subject import ModelSubject

BATCH = 16  # outputs that are drawn again at a time
GIGABYTE_BITS = 8e9


def read_outputs(path: Path) -> list[Output]:
    """Outputs from a file of JSON lines. InputError where it is missing, empty or not of outputs."""
    fix = 'Give lines like {"prompt": "...", "output": "...", "seed": 1, "temperature": 1.0}.'
    try:
        lines = [line for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The outputs can't be read: {error}.", where=str(path), fix=fix) from None
    found = []
    for number, line in enumerate(lines, 1):
        try:
            found.append(Output.model_validate_json(line))
        except ValidationError as error:
            first = error.errors()[0]
            what = f"Line {number} is no output: {'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}."
            raise InputError(what, where=str(path), fix=fix) from None
    if not found:
        raise InputError("There are no outputs in the file.", where=str(path), fix=fix)
    return found


def charge(subject: ModelSubject, outputs: Sequence[Output], policy: Policy) -> list[Charged]:
    """What each output costs, in order, and whether the budgets let it out: the day's goes to whoever comes first."""
    spent, found = 0.0, []
    for output, redrawn in zip(outputs, draw_again(subject, outputs), strict=True):
        plain = plain_bits(output.output)
        bits, tokens, deviating, reason = plain, None, None, None
        if isinstance(redrawn, Unscored):
            reason = redrawn.reason
        else:
            tokens, deviating = len(redrawn.tokens), int((~redrawn.same).sum())
            explained = code_bits(redrawn, policy.deviation) + end_bits(output, redrawn, subject)
            explained += 0.0 if policy.seeds_drawn else delta_bits(output.seed or 0)
            if explained < plain:
                bits = explained
            else:
                reason = "drawn again it costs more than its text"
        over = bits > policy.bits_per_output or (policy.bits_per_day is not None and spent + bits > policy.bits_per_day)
        spent += 0.0 if over else bits
        found.append(
            Charged(
                id=output.id,
                bytes=len(output.output.encode()),
                bits=bits,
                tokens=tokens,
                deviating=deviating,
                unexplained=reason,
                released=not over,
            )
        )
    return found


def draw_again(subject: ModelSubject, outputs: Sequence[Output]) -> list[Redrawn | Unscored]:
    """Each output's tokens beside those that its seed gives; `Unscored` where it has none, or its text is another."""
    found: list[Redrawn | Unscored] = []
    ready: list[tuple[int, TokenIds, TokenIds]] = []
    for place, output in enumerate(outputs):
        prompt, tokens = prompt_of(subject, output), tokens_of(subject, output)
        reason = next((one for one in (prompt, tokens) if isinstance(one, Unscored)), None)
        found.append(reason or Unscored(reason="the model computes no numbers for it"))
        if not isinstance(prompt, Unscored) and not isinstance(tokens, Unscored):
            ready.append((place, prompt, tokens))
    for start in range(0, len(ready), BATCH):
        places, prompts, answers = zip(*ready[start : start + BATCH], strict=True)
        how = [sampling(outputs[place]) for place in places]
        for place, own in zip(places, redraw(subject.decoder, prompts, answers, how), strict=True):
            if np.isfinite(own.logprobs).all():
                found[place] = own
    return found


def prompt_of(subject: ModelSubject, output: Output) -> TokenIds | Unscored:
    """The prompt as the model's template lays it out."""
    if not output.asked:
        return Unscored(reason="it has no prompt")
    try:
        return subject.chat.encode(output.asked)
    except TemplateError as error:
        return Unscored(reason=f"the model's chat template refuses its prompt: {error}")


def sampling(output: Output) -> Sampling | None:
    """How it says it was drawn; None is greedy."""
    return Sampling(output.temperature, output.top_p, output.seed or 0) if output.temperature else None


def tokens_of(subject: ModelSubject, output: Output) -> TokenIds | Unscored:
    """The tokens that must be explained: those given, if they spell the text, else those the tokenizer makes of it."""
    if output.temperature is None or (output.temperature > 0 and output.seed is None):
        return Unscored(reason="it claims no seed or no temperature")
    tokens = output.tokens if output.tokens is not None else subject.chat.answer(output.output)
    if not tokens or not 0 <= min(tokens) <= max(tokens) < len(subject.decoder.head):
        return Unscored(reason="it has no tokens, or tokens that the model does not have")
    if ends_of(subject) & set(tokens[:-1]):
        return Unscored(reason="it goes on after its end")
    if subject.chat.decode(tokens) != output.output:
        return Unscored(reason="its tokens spell another text")
    return tuple(tokens)


def code_bits(redrawn: Redrawn, deviation: float) -> float:
    """The sum of L(t) over an output's tokens."""
    other = -np.log2(deviation) - np.log2(np.exp2(redrawn.logprobs) / 2 + 1 / (2 * redrawn.vocabulary))
    return float(np.where(redrawn.same, -math.log2(1 - deviation), other).sum())


def end_bits(output: Output, redrawn: Redrawn, subject: ModelSubject) -> float:
    """What says how it ended: by a token of its own or at its limit, or at a length that must be told."""
    size = len(redrawn.tokens)
    ended = int(redrawn.tokens[-1]) in ends_of(subject) or size == output.max_tokens
    return 1.0 if ended else 2 + delta_bits(size)


def ends_of(subject: ModelSubject) -> set[int]:
    return {subject.chat.tokenizer.eos_token_id, *stop_tokens(subject.decoder)}


def plain_bits(text: str) -> float:
    """The text itself, byte by byte, with how many there are, and two bits that say so."""
    size = len(text.encode())
    return 2 + delta_bits(size) + 8 * size


def delta_bits(number: int) -> float:
    """Length of Elias's delta code of a whole number from 0 up."""
    size = (number + 1).bit_length()
    return float(size - 1 + 2 * size.bit_length() - 1)


def report(
    subject: ModelSubject,
    outputs: Sequence[Output],
    policy: Policy,
    *,
    weights_gigabytes: float,
    outputs_per_day: float,
) -> EgressReport:
    """What the outputs cost, and what leaks at most at a traffic of outputs like these."""
    charged = charge(subject, outputs, policy)
    passed = [one for one in charged if one.released]
    size = float(np.mean([8 * one.bytes for one in charged]))
    seen = float(np.mean([one.bits for one in charged]))
    limits = {
        "bytes counted": size,
        "bits budgeted": policy.bits_per_output,
        "what these outputs cost (no bound)": seen,
    }
    leaks = list(leaks_of(limits, weights_gigabytes, outputs_per_day))
    if policy.bits_per_day is not None:
        each = min(policy.bits_per_output, policy.bits_per_day / outputs_per_day)
        leaks += leaks_of({"bits budgeted, also by day": each}, weights_gigabytes, outputs_per_day)
    return EgressReport(
        model=subject.name,
        policy=policy,
        outputs=tuple(charged),
        bits=sum(one.bits for one in passed),
        bytes=sum(one.bytes for one in passed),
        held=len(charged) - len(passed),
        weights_gigabytes=weights_gigabytes,
        outputs_per_day=outputs_per_day,
        leaks=tuple(leaks),
    )


def leaks_of(limits: dict[str, float], weights_gigabytes: float, outputs_per_day: float) -> Iterable[Leak]:
    """For each defence, by its bits per output: bytes a day, and days for the weights."""
    for defence, bits in limits.items():
        daily = bits * outputs_per_day / GIGABYTE_BITS
        days = weights_gigabytes / daily if daily > 0 else None
        yield Leak(defence=defence, bits_per_output=bits, gigabytes_per_day=daily, days=days)
