"""The root: each formula is settled, or not, within its budget of steps. DPLL: Davis, Logemann and Loveland, 1962."""

from itertools import chain

import numpy as np

from .state import Search, Spent


def settle(search, start, order, phase, restarts, learn, most):
    """1 and a model, or -1 and a refutation. Spent when the budget is."""
    if search.contradictory or search.propagate() is not None:
        return -1, [[]]
    if model := start(search):
        return 1, [model]
    order.begin(search)
    restart, last, kept = restarts(), [0] * (search.variables + 1), []
    while not search.contradictory:
        conflict = search.propagate()
        if conflict is None:
            open_ = search.open()
            if not open_:
                return 1, [list(search.trail)]
            variable = order.pick(search, open_)
            search.decide(phase(search, variable, last[variable]))
            continue
        if not search.ends:
            break
        clause, level, keep, met = learn(search, conflict)
        search.spend(len(met))
        search.lemmas.append(list(clause))
        lbd = len({search.level[abs(literal)] for literal in clause})
        for literal in search.trail[search.ends[level] :]:
            last[abs(literal)] = 1 if literal > 0 else -1
        search.back(level)
        if keep and len(clause) > 1:
            search.watch(clause)
            kept.append((lbd, clause))
        search.assign(clause[0], clause)
        order.bump(met)
        if restart(lbd):
            search.back(0)
        if len(kept) > most:
            kept = reduced(search, kept)
    return -1, [*search.lemmas, []]


def reduced(search, kept):
    """Without the half of higher LBD, but for what the assignment rests on."""
    used = {id(search.reason[abs(literal)]) for literal in search.trail}
    ranked = sorted(kept, key=lambda item: item[0])
    half = len(ranked) // 2
    going = [clause for _, clause in ranked[half:] if id(clause) not in used]
    gone = {id(clause) for clause in going}
    search.watchers = [[each for each in watching if id(each) not in gone] for watching in search.watchers]
    return [item for item in ranked if id(item[1]) not in gone]


def formulas(given):
    """Variables and clauses of each formula."""
    ends = np.cumsum(given["clause_lengths"])
    clauses = [part.tolist() for part in np.split(given["literals"], ends[:-1])]
    first = 0
    for variables, count in zip(given["variables"].tolist(), given["clause_counts"].tolist(), strict=True):
        yield variables, clauses[first : first + count]
        first += count


def search(given, start, order, phase, restarts, learning, most_kept):
    """The answer: each formula within its budget."""
    verdicts, counts, rows = [], [], []
    for number, (variables, clauses) in enumerate(formulas(given)):
        state = Search(variables, clauses, int(given["budget"]), np.random.default_rng(number))
        try:
            verdict, found = settle(state, start, order, phase, restarts, learning, most_kept)
        except Spent:
            verdict, found = 0, []
        verdicts.append(verdict)
        counts.append(len(found))
        rows += found
    return {
        "verdicts": np.array(verdicts, dtype=np.int64),
        "row_counts": np.array(counts, dtype=np.int64),
        "row_lengths": np.array([len(row) for row in rows], dtype=np.int64),
        "row_literals": np.array(list(chain.from_iterable(rows)), dtype=np.int64),
    }
