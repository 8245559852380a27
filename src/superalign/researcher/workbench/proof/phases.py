"""For which value a variable is decided: a function of search, variable and the value it last had (0 for none) gives a
literal.

Saved phases: Pipatsrisawat and Darwiche, 2007; weights: Jeroslow and Wang, 1990.
"""


def fixed_phase(given, positive):
    return lambda search, variable, last: variable if positive else -variable


def random_phase(given):
    return lambda search, variable, last: variable if search.draw.random() < 0.5 else -variable


def weight_phase(given, base):
    """The literal of the heavier clauses."""

    def choose(search, variable, last):
        if not hasattr(search, "literal_weights"):
            search.literal_weights = search.weights(base)
        return max(variable, -variable, key=search.literal_weights.__getitem__)

    return choose


def saved_phase(given, first):
    return lambda search, variable, last: last * variable if last else first(search, variable, 0)
