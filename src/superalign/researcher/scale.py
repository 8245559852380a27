"""A parameter on its own scale: every domain laid out on the unit interval, where it is drawn, stepped and compared."""

from __future__ import annotations

import math

import numpy as np

from superalign.contracts.research import OneOf, Value, Within

STEP = 0.15  # standard deviation of a step, as a share of the scale


def choices(domain: OneOf | Within) -> int | None:
    """How many values it allows; None for the real numbers between two bounds."""
    if isinstance(domain, OneOf):
        return len(domain.options)
    return _last(domain) - _first(domain) + 1 if domain.whole else None


def at(domain: OneOf | Within, place: float) -> Value:
    """The value at `place`, from 0 to 1. Values of a list have equal shares, and whole numbers those of their scale."""
    if isinstance(domain, OneOf):
        return domain.options[min(int(place * len(domain.options)), len(domain.options) - 1)]
    low, high = _ends(domain)
    if domain.log:
        number = math.exp(math.log(low) + place * (math.log(high) - math.log(low)))
    else:
        number = low + place * (high - low)
    if domain.whole:
        return min(max(math.floor(number + 0.5), _first(domain)), _last(domain))
    return min(max(number, domain.low), domain.high)


def place_of(domain: OneOf | Within, value: Value) -> float:
    """Where a value of the domain lies, from 0 to 1: `at` leads back to it."""
    if isinstance(domain, OneOf):
        same = [option == value and type(option) is type(value) for option in domain.options]
        return (same.index(True) + 0.5) / len(same)
    low, high = _ends(domain)
    number = float(value)
    if domain.log:
        place = (math.log(number) - math.log(low)) / (math.log(high) - math.log(low))
    else:
        place = (number - low) / (high - low)
    return min(max(place, 0.0), 1.0)


def drawn(domain: OneOf | Within, rng: np.random.Generator) -> Value:
    return at(domain, float(rng.random()))


def stepped(domain: OneOf | Within, value: Value, rng: np.random.Generator) -> Value:
    """Another value: of a list any other, of numbers one nearby. The same where there is no other."""
    if choices(domain) == 1:
        return value
    if isinstance(domain, OneOf):
        place = place_of(domain, value) + int(rng.integers(1, len(domain.options))) / len(domain.options)
        return at(domain, place % 1.0)
    while True:
        place = place_of(domain, value) + STEP * float(rng.standard_normal())
        other = at(domain, min(max(place, 0.0), 1.0))
        if other != value:
            return other


def grid(domain: OneOf | Within, points: int) -> list[Value]:
    """At most `points` values, evenly spread over the scale; of a list all. In their order, each once."""
    if isinstance(domain, OneOf):
        return list(domain.options)
    count = min(points, choices(domain) or points)
    return list(dict.fromkeys(at(domain, (i + 0.5) / count) for i in range(count)))


def _first(domain: Within) -> int:
    return math.ceil(domain.low)


def _last(domain: Within) -> int:
    return math.floor(domain.high)


def _ends(domain: Within) -> tuple[float, float]:
    """Of whole numbers, half a step further out, so that the first and the last have a share like others."""
    if domain.whole:
        return max(_first(domain) - 0.5, 0.5 if domain.log else -math.inf), _last(domain) + 0.5
    return domain.low, domain.high
