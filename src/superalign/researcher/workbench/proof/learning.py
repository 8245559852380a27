"""What is learnt from a conflict: the clause, its asserting literal first; the level to go back to; whether to keep it;
and the variables met.

First unique implication points: GRASP, 1996; Chaff, 2001. Minimization: MiniSat, 2005.
"""


def no_learning(given):
    """DPLL: the last decision is turned round, and the clause serves only as the proof of that."""

    def learn(search, conflict):
        decisions = [-search.trail[end] for end in reversed(search.ends)]
        return decisions, len(search.ends) - 1, False, {abs(literal) for literal in conflict}

    return learn


def decision_learning(given):
    """The decisions that the conflict comes from."""
    return _decisions_of


def uip_learning(given, minimize):
    """The first unique implication point's clause; `minimize` drops literals that others imply."""

    def learn(search, conflict):
        clause, level, keep, met = _first_uip(search, conflict)
        if minimize != "none" and len(clause) > 2:
            clause, level = _minimized(search, clause, deep=minimize == "recursive")
        return clause, level, keep, met

    return learn


def _decisions_of(search, conflict):
    met, clause = set(), []
    waiting = [abs(literal) for literal in conflict]
    while waiting:
        variable = waiting.pop()
        if variable in met or not search.level[variable]:
            continue
        met.add(variable)
        why = search.reason[variable]
        if why is None:
            clause.append(-variable * search.value[variable])
        else:
            waiting += [abs(literal) for literal in why]
    return *_asserting(search, clause), True, met


def _first_uip(search, conflict):
    now, met, below, left, why = len(search.ends), set(), [], 0, conflict
    position = len(search.trail)
    while True:
        for literal in why:
            variable = abs(literal)
            if variable not in met and search.level[variable]:
                met.add(variable)
                if search.level[variable] == now:
                    left += 1
                else:
                    below.append(literal)
        position -= 1
        while abs(search.trail[position]) not in met:
            position -= 1
        literal, left = search.trail[position], left - 1
        if not left:
            return *_asserting(search, [-literal, *below]), True, met
        why = search.reason[abs(literal)]


def _minimized(search, clause, deep):
    inside = {abs(literal) for literal in clause}
    implied = {}

    def follows(variable, depth):
        why = search.reason[variable]
        if why is None or depth > 50:
            return False
        others = (abs(literal) for literal in why if abs(literal) != variable)
        return all(
            not search.level[other] or other in inside or (deep and remembered(other, depth + 1)) for other in others
        )

    def remembered(variable, depth):
        if variable not in implied:
            implied[variable] = False
            implied[variable] = follows(variable, depth)
        return implied[variable]

    return _asserting(search, [clause[0], *(each for each in clause[1:] if not follows(abs(each), 0))])


def _asserting(search, clause):
    """The clause with its literals from the highest level down, and the second highest level."""
    ordered = sorted(clause, key=lambda literal: -search.level[abs(literal)])
    return ordered, search.level[abs(ordered[1])] if len(ordered) > 1 else 0
