"""The language of problems in which a student learns from labels that may be wrong; see `workbench/weak_labels.py`."""

from __future__ import annotations

from superalign.contracts.research import LanguagePart, OneOf, Within

SHARE = Within(low=0, high=1)
STRENGTHS = Within(low=1e-6, high=1e2, log=True)


def layer(count: int) -> LanguagePart:
    """The part that reads one of so many layers."""
    return LanguagePart(
        name="layer",
        says="Standardized activations of one of the layers that were given.",
        gives="features",
        parameters={"number": OneOf(options=tuple(range(count)))},
    )


def labels(*names: str) -> LanguagePart:
    """The part that takes the labels of one of these names among what is given."""
    return LanguagePart(
        name="labels",
        says="Labels that were given, all of the same weight.",
        gives="labels",
        parameters={"of": OneOf(options=names)},
    )


LEARNING = (
    LanguagePart(
        name="beside",
        says="Both features, side by side.",
        gives="features",
        takes=("features", "features"),
    ),
    LanguagePart(
        name="principal",
        says="The first principal components of training and test questions, each perhaps brought to spread 1.",
        gives="features",
        takes=("features",),
        parameters={
            "components": Within(low=1, high=100, whole=True),
            "whitened": OneOf(options=(False, True)),
        },
    ),
    LanguagePart(
        name="hardened", says="Labels of 0 and 1, by whether they are above 0.5.", gives="labels", takes=("labels",)
    ),
    LanguagePart(
        name="centred",
        says="Labels shifted, as log odds, so that as many are above 0.5 as below.",
        gives="labels",
        takes=("labels",),
    ),
    LanguagePart(
        name="sharpened",
        says="Labels with their log odds multiplied.",
        gives="labels",
        takes=("labels",),
        parameters={"by": Within(low=0.1, high=10, log=True)},
    ),
    LanguagePart(
        name="confident",
        says="The surest share of the labels of either side; the others weigh nothing.",
        gives="labels",
        takes=("labels",),
        parameters={"share": Within(low=0.05, high=1)},
    ),
    LanguagePart(
        name="weighted",
        says="Labels weighted by a power of how far they are from 0.5.",
        gives="labels",
        takes=("labels",),
        parameters={"power": Within(low=0, high=4)},
    ),
    LanguagePart(
        name="consistent",
        says="Of two questions about the same thing one is true: each label is blended with that of its opposite.",
        gives="labels",
        takes=("labels",),
        parameters={"weight": Within(low=0, high=0.5)},
    ),
    LanguagePart(
        name="smoothed",
        says="Labels blended with the mean of those of the nearest questions by cosine.",
        gives="labels",
        takes=("features", "labels"),
        parameters={"count": Within(low=1, high=50, whole=True), "weight": SHARE},
    ),
    LanguagePart(
        name="relabelled",
        says="Labels blended with what a logistic probe on the other folds' labels says, in so many rounds.",
        gives="labels",
        takes=("features", "labels"),
        parameters={
            "strength": STRENGTHS,
            "weight": SHARE,
            "rounds": Within(low=1, high=4, whole=True),
        },
    ),
    LanguagePart(
        name="cleaned",
        says="Confident learning: labels that a logistic probe on the other folds contradicts, surer of the other "
        "answer than it is on average where that is the label, weigh nothing.",
        gives="labels",
        takes=("features", "labels"),
        parameters={"strength": STRENGTHS},
    ),
    LanguagePart(
        name="mixed",
        says="The weighted mean of two labels; the weight is the first one's.",
        gives="labels",
        takes=("labels", "labels"),
        parameters={"weight": SHARE},
    ),
    LanguagePart(
        name="product",
        says="Both labels' log odds added up, as of two independent judges; weights are multiplied.",
        gives="labels",
        takes=("labels", "labels"),
    ),
    LanguagePart(
        name="logistic",
        says="Cross-entropy on the labels as they are, with a penalty; strength is scikit-learn's C.",
        gives="prediction",
        takes=("features", "labels"),
        parameters={"strength": STRENGTHS},
    ),
    LanguagePart(
        name="ridge",
        says="Least squares on the labels as they are; strength is 1 / (2 penalty).",
        gives="prediction",
        takes=("features", "labels"),
        parameters={"strength": STRENGTHS},
    ),
    LanguagePart(
        name="mean_difference",
        says="Along the labels' mean of yes less that of no; halfway is 0.5.",
        gives="prediction",
        takes=("features", "labels"),
    ),
    LanguagePart(
        name="blend",
        says="The weighted mean of log odds, each brought to spread 1; the weight is the first one's.",
        gives="prediction",
        takes=("prediction", "prediction"),
        parameters={"weight": SHARE},
    ),
    LanguagePart(
        name="half_yes",
        says="Shifted, as log odds, so that half of the test questions are above 0.5.",
        gives="prediction",
        takes=("prediction",),
    ),
)
