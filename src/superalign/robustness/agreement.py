"""How well a judge agrees with people, and rates freed of the errors that it is known to make."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from pydantic import Field
from scipy.stats import binomtest, fisher_exact, norm

from superalign.contracts.errors import InputError
from superalign.contracts.records import Interval, Record, Unscored

LEVEL = 0.95
DRAWS = 2000


class Confusion(Record):
    """What the judge said of answers that people labelled, as counts."""

    true_yes: int = Field(ge=0, description="Both say yes.")
    false_no: int = Field(ge=0, description="People say yes, the judge no.")
    false_yes: int = Field(ge=0, description="People say no, the judge yes.")
    true_no: int = Field(ge=0, description="Both say no.")

    @property
    def table(self) -> Int[np.ndarray, "people judge"]:
        """Rows: what people say, yes first; columns: what the judge says."""
        return np.array([[self.true_yes, self.false_no], [self.false_yes, self.true_no]])


class Agreement(Record):
    """A judge beside people, on answers that both have judged. `unscored` answers are those that the judge left out."""

    confusion: Confusion
    unscored: int
    accuracy: Interval
    kappa: Interval | Unscored
    sensitivity: Interval | Unscored = Field(description="Of what people call yes, so much the judge does too.")
    specificity: Interval | Unscored = Field(description="Of what people call no, so much the judge does too.")
    alpha_of_people: float | Unscored = Field(description="Krippendorff's, among the people who labelled.")
    alpha_with_judge: float | Unscored = Field(description="The same with the judge as one more of them.")


def agreement(judged: Sequence[bool | Unscored], labels: Float[np.ndarray, "answers people"]) -> Agreement:
    """`labels` are 1, 0 or NaN where somebody gave none. People's word is that of most of them; answers on which they
    are divided in half count for the alphas only. InputError where nothing is left to compare.
    """
    said = np.array([np.nan if isinstance(one, Unscored) else float(one) for one in judged])
    yes, no = (labels == 1).sum(axis=1), (labels == 0).sum(axis=1)
    counted = (yes != no) & np.isfinite(said)
    if not counted.any():
        raise InputError(
            "There is no answer of which both the judge and most of the people say yes or no.",
            fix="Give more labelled answers, or a judge whose answers can be read.",
        )
    people, judge = (yes > no)[counted], said[counted] == 1
    confusion = Confusion(
        true_yes=int((people & judge).sum()),
        false_no=int((people & ~judge).sum()),
        false_yes=int((~people & judge).sum()),
        true_no=int((~people & ~judge).sum()),
    )
    table = confusion.table
    return Agreement(
        confusion=confusion,
        unscored=int(np.isnan(said).sum()),
        accuracy=_proportion(int(np.trace(table)), int(table.sum())),
        kappa=kappa(confusion),
        sensitivity=_share(table[0], 0, "yes"),
        specificity=_share(table[1], 1, "no"),
        alpha_of_people=krippendorff_alpha(labels),
        alpha_with_judge=krippendorff_alpha(np.column_stack([labels, said])),
    )


def kappa(confusion: Confusion, seed: int = 0) -> Interval | Unscored:
    """Cohen's kappa (1960); Unscored where judge and people both say the same of all.

    The interval is of draws from the counts' posterior under Jeffreys' prior: resampled answers of a judge that never
    erred would never err either, however few they are.
    """
    table = confusion.table
    value = float(_kappas(table[None])[0])
    if not np.isfinite(value):
        return Unscored(reason="judge and people say the same of every answer: chance would agree as well")
    draws = np.random.default_rng(seed).dirichlet(table.ravel() + 0.5, DRAWS).reshape(-1, 2, 2)
    low, high = np.quantile(_kappas(draws), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value=value, low=min(float(low), value), high=max(float(high), value), level=LEVEL)


def _kappas(tables: Float[np.ndarray, "tables 2 2"] | Int[np.ndarray, "tables 2 2"]) -> Float[np.ndarray, "tables"]:
    shares = tables / tables.sum(axis=(1, 2), keepdims=True)
    observed = shares[:, 0, 0] + shares[:, 1, 1]
    by_chance = (shares.sum(axis=1) * shares.sum(axis=2)).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((observed - by_chance) / (1 - by_chance))


def krippendorff_alpha(labels: Float[np.ndarray, "answers people"]) -> float | Unscored:
    """Krippendorff's alpha for two nominal values, 1 and 0, NaN where there is no label (Krippendorff 2011)."""
    values = np.stack([(labels == 0).sum(axis=1), (labels == 1).sum(axis=1)], axis=1)
    given = values.sum(axis=1)
    values, given = values[given > 1], given[given > 1]
    total, by_value = given.sum(), values.sum(axis=0)
    if (by_value == 0).any():
        return Unscored(reason="alpha needs answers with two labels or more, and both values among these")
    observed = ((given**2 - (values**2).sum(axis=1)) / (given - 1)).sum() / total
    expected = (total**2 - (by_value**2).sum()) / (total * (total - 1))
    return float(1 - observed / expected)


def corrected_rate(yes: int, judged: int, confusion: Confusion, level: float = LEVEL) -> Interval | Unscored:
    """The true rate behind a judge that says yes to `yes` of `judged`: Rogan and Gladen 1978, with the interval of Lang
    and Reiczigel 2014, which carries the uncertainty of sensitivity and specificity too.

    Unscored where nothing was judged, or where people's labels do not show the judge to be better than chance (Fisher's
    exact test, one-sided at 5 %): then any rate fits.
    """
    table = confusion.table
    if not judged:
        return Unscored(reason="nothing was judged")
    if float(fisher_exact(table, alternative="greater").pvalue) > 1 - level:
        return Unscored(reason="the judge was not shown to be better than chance: no rate can be told from its word")
    raw = _rogan_gladen(yes / judged, table[0, 0] / table[0].sum(), table[1, 1] / table[1].sum())
    z = float(norm.ppf((1 + level) / 2))
    apparent, n = (yes + z**2 / 2) / (judged + z**2), judged + z**2
    positives, negatives = table[0].sum() + 2, table[1].sum() + 2
    sensitivity, specificity = (table[0, 0] + 1) / positives, (table[1, 1] + 1) / negatives
    rate = _rogan_gladen(apparent, sensitivity, specificity)
    of_sensitivity = sensitivity * (1 - sensitivity) / positives
    of_specificity = specificity * (1 - specificity) / negatives
    shift = 2 * z**2 * (rate * of_sensitivity - (1 - rate) * of_specificity)
    variance = apparent * (1 - apparent) / n + rate**2 * of_sensitivity + (1 - rate) ** 2 * of_specificity
    reach = z * np.sqrt(variance) / (sensitivity + specificity - 1)
    low, high = np.clip([rate + shift - reach, rate + shift + reach], 0, 1)
    return Interval(value=float(np.clip(raw, 0, 1)), low=float(low), high=float(high), level=level)


def _rogan_gladen(apparent: float, sensitivity: float, specificity: float) -> float:
    return float((apparent + specificity - 1) / (sensitivity + specificity - 1))


def _share(row: Int[np.ndarray, "judge"], right: int, what: str) -> Interval | Unscored:
    if not row.sum():
        return Unscored(reason=f"people call no answer {what}")
    return _proportion(int(row[right]), int(row.sum()))


def _proportion(successes: int, trials: int) -> Interval:
    """With the exact interval of Clopper and Pearson."""
    found = binomtest(successes, trials).proportion_ci(LEVEL, method="exact")
    return Interval(value=successes / trials, low=float(found.low), high=float(found.high), level=LEVEL)
