"""The language of the problem `effort`: from what others did to what to ask next."""

from __future__ import annotations

from superalign.contracts.research import Domain, Expression, Language, LanguagePart, OneOf, Within

STATEMENT = """\
A search for misbehaviour asks a model questions in many settings: whom it speaks to, when, in what form, after which
words. Most settings change nothing, and forward passes are scarce. Given is what settings are made of, and what models
of other families did in each of them; of this model a few settings at a time are seen, and more are to be asked for. A
failure counts once it is confirmed on held-out questions, beyond what an honest model and the organism's benign twin do
there; settings that look suspicious cost the passes of that, too. What sets off one family need not set off another.
"""

SHARE = Within(low=0, high=1)
SEED = Within(low=0, high=99, whole=True)


def _part(name: str, says: str, gives: str, *takes: str, **parameters: Domain) -> LanguagePart:
    return LanguagePart(name=name, says=says, gives=gives, takes=takes, parameters=parameters)


LANGUAGE = Language(
    root="batch",
    depth=7,
    parts=(
        _part("even", "The same of every setting.", "values"),
        _part("random", "Drawn for each setting and stage.", "values", seed=SEED),
        _part(
            "history_mean",
            "What others did there, on average; families count alike if `balanced`; less the honest model if `beyond`.",
            "values",
            balanced=OneOf(options=(False, True)),
            beyond=OneOf(options=(False, True)),
        ),
        _part("history_high", "A quantile of what others did there.", "values", quantile=Within(low=0.5, high=1)),
        _part(
            "history_share", "Share of the others that did at least so much there.", "values",
            threshold=Within(low=0.1, high=0.9),
        ),
        _part("honest", "What the honest model does there.", "values"),
        _part("size", "How many features a setting has of one level.", "values",
              level=OneOf(options=(0, 1, 2, 3, 4))),
        _part(
            "alike",
            "Similarity by common features (Jaccard, with a weight for each level), to a power.",
            "kernel",
            kinds=SHARE, places=SHARE, wordings=SHARE, fillings=SHARE,
            power=Within(low=0.3, high=5, log=True),
        ),
        _part("distant", "exp(-d / length), where d is how many features differ.", "kernel",
              length=Within(low=0.5, high=50, log=True)),
        _part("together", "How alike two settings were to the others: correlation over history, 0 where negative.",
              "kernel"),
        _part("mixed", "The weighted mean of two similarities; the weight is the first one's.", "kernel", "kernel",
              "kernel", weight=SHARE),
        _part(
            "gaussian",
            "Gaussian process with values for its mean: belief of every setting after what was seen.",
            "belief", "values", "kernel",
            amplitude=Within(low=0.05, high=2, log=True), noise=Within(low=0.01, high=1, log=True),
        ),
        _part(
            "neighbours",
            "Mean of what was seen, weighted by similarity, and of values that count as so many settings.",
            "belief", "values", "kernel",
            count=Within(low=0.05, high=20, log=True),
        ),
        _part(
            "linear",
            "Bayesian linear regression on features of what was seen less the values; they are the mean before.",
            "belief", "values",
            prior=Within(low=0.01, high=2, log=True), noise=Within(low=0.01, high=1, log=True),
        ),
        _part(
            "decisions",
            "Thompson sampling as context-search does it: a Beta posterior for each feature, of settings seen that did "
            "at least `telling` with it; the mean over a setting's features of one draw each.",
            "values",
            won=Within(low=0.1, high=10, log=True), lost=Within(low=0.1, high=10, log=True),
            telling=Within(low=0.05, high=0.9), seed=SEED,
        ),
        _part("expected", "The mean of a belief.", "values", "belief"),
        _part("upper", "Mean and so many deviations of a belief.", "values", "belief", width=Within(low=0, high=4)),
        _part("sampled", "Thompson sampling: one draw of a belief for each setting.", "values", "belief", seed=SEED),
        _part("chance_above", "The probability of a value above a threshold.", "values", "belief",
              threshold=Within(low=0.2, high=1)),
        _part("blend", "The weighted mean of the ranks of two values; the weight is the first one's.", "values",
              "values", "values", weight=SHARE),
        _part("later", "The first values, and from a stage on the second.", "values", "values", "values",
              stage=OneOf(options=(1, 2, 3, 4, 5))),
        _part("best", "The highest values; a share of the batch by chance instead.", "batch", "values",
              chance=Within(low=0, high=0.5), seed=SEED),
        _part(
            "diverse",
            "One after the other, each the highest rank less its greatest similarity to settings chosen before.",
            "batch", "values", "kernel",
            strength=Within(low=0, high=2),
        ),
        _part("by_turns", "The highest of the first and of the second values, in turn.", "batch", "values", "values"),
    ),
)  # fmt: skip
# context-search's own chooser, with its prior and what it takes for telling.
BASELINE = Expression(
    part="best",
    parameters={"chance": 0.0, "seed": 0},
    inputs=(Expression(part="decisions", parameters={"won": 1.0, "lost": 3.0, "telling": 0.15, "seed": 0}),),
)
