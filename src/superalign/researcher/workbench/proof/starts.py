"""What is done before the search; gives a model, or None.

WalkSAT: Selman, Kautz and Cohen, 1994.
"""

from itertools import chain


def straight(given):
    return lambda search: None


def probe(given, share):
    """Assume each literal; where that fails, the contrary is learnt."""

    def start(search):
        until = search.steps + share * search.budget
        for literal in chain.from_iterable((variable, -variable) for variable in search.open()):
            if search.steps > until or search.contradictory:
                break
            if not search.value[literal] and search.known(literal) is None:
                search.lemmas.append([-literal])
                search.add([-literal])
                search.contradictory = search.contradictory or search.propagate() is not None

    return start


def walk(given, share, noise):
    """WalkSAT, for a share of the budget: turn a variable of a false clause, mostly the one that breaks fewest."""

    def start(search):
        draw, until = search.draw, search.steps + share * search.budget
        true = [bool(draw.random() < 0.5) for _ in range(search.variables + 1)]
        for literal in search.trail:
            true[abs(literal)] = literal > 0
        where = [[] for _ in search.value]
        for number, clause in enumerate(search.clauses):
            for literal in set(clause):
                where[literal].append(number)
        count = [sum(true[abs(lit)] == (lit > 0) for lit in set(clause)) for clause in search.clauses]
        false = {number for number, trues in enumerate(count) if not trues}
        while false and search.steps < until:
            clause = search.clauses[sorted(false)[int(draw.integers(len(false)))]]
            breaks = {lit: sum(count[number] == 1 for number in where[-lit]) for lit in clause}
            search.spend(sum(len(where[-lit]) for lit in clause) + 1)
            best = min(breaks, key=breaks.get)
            if breaks[best] and draw.random() < noise:
                best = clause[int(draw.integers(len(clause)))]
            true[abs(best)] = best > 0
            for number in where[best]:
                count[number] += 1
                false.discard(number)
            for number in where[-best]:
                count[number] -= 1
                if not count[number]:
                    false.add(number)
        if false:
            return None
        return [variable if true[variable] else -variable for variable in range(1, search.variables + 1)]

    return start


def both(given, first, second):
    return lambda search: first(search) or second(search)
