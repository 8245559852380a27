"""A solver of formulas in conjunctive normal form, in parts: DPLL or conflict-driven clause learning (CDCL).

It answers each formula with a model, with a refutation, or with nothing once its budget of steps is spent. A step is
one look at a clause. A refutation is the list of clauses learnt, each of which follows from those before by unit
propagation (RUP), up to the empty one.

Sources: DPLL (Davis, Logemann and Loveland, 1962); first UIP and activities (GRASP, 1996; Chaff, 2001); minimization
and saved phases (MiniSat, 2005; Pipatsrisawat and Darwiche, 2007); LBD and its restarts (Glucose, 2009); WalkSAT
(Selman, Kautz and Cohen, 1994); Jeroslow and Wang (1990).
"""

from itertools import chain

import numpy as np


class Spent(Exception):
    """The budget is."""


class Search:
    """A formula, an assignment, and what was learnt. Tables are indexed by literals, negative ones too."""

    def __init__(self, variables, clauses, budget, draw):
        self.variables, self.clauses, self.budget, self.draw = variables, clauses, budget, draw
        self.steps, self.contradictory = 0, False
        self.value = [0] * (2 * variables + 1)  # 1 true, -1 false, 0 open
        self.watchers = [[] for _ in self.value]
        self.level, self.reason = [0] * (variables + 1), [None] * (variables + 1)
        self.trail, self.ends, self.done = [], [], 0  # `ends`: the trail's length before each decision
        self.lemmas = []
        for clause in clauses:
            literals = list(dict.fromkeys(clause))
            if not any(-literal in literals for literal in literals):
                self.add(literals)

    def add(self, clause):
        """Watch a clause before anything is decided, or have it propagate."""
        if len(clause) > 1:
            self.watch(clause)
        elif not clause or self.value[clause[0]] < 0:
            self.contradictory = True
        elif not self.value[clause[0]]:
            self.assign(clause[0], clause)

    def watch(self, clause):
        self.watchers[clause[0]].append(clause)
        self.watchers[clause[1]].append(clause)

    def assign(self, literal, reason):
        self.value[literal], self.value[-literal] = 1, -1
        self.level[abs(literal)], self.reason[abs(literal)] = len(self.ends), reason
        self.trail.append(literal)

    def decide(self, literal):
        self.ends.append(len(self.trail))
        self.assign(literal, None)

    def back(self, level):
        """Undo all decisions above `level`."""
        if len(self.ends) > level:
            for literal in self.trail[self.ends[level] :]:
                self.value[literal] = self.value[-literal] = 0
            del self.trail[self.ends[level] :], self.ends[level:]
            self.done = len(self.trail)

    def spend(self, steps):
        self.steps += steps
        if self.steps > self.budget:
            raise Spent

    def propagate(self):
        """Assign what follows. The clause that became false, or None."""
        value, watchers = self.value, self.watchers
        while self.done < len(self.trail):
            false = -self.trail[self.done]
            self.done += 1
            watching = watchers[false]
            self.spend(len(watching) + 1)
            watchers[false] = staying = []
            for position, clause in enumerate(watching):
                if clause[0] == false:
                    clause[0], clause[1] = clause[1], false
                first = clause[0]
                if value[first] > 0:
                    staying.append(clause)
                    continue
                for index in range(2, len(clause)):
                    if value[clause[index]] >= 0:
                        clause[1], clause[index] = clause[index], false
                        watchers[clause[1]].append(clause)
                        break
                else:
                    staying.append(clause)
                    if value[first] < 0:
                        staying.extend(watching[position + 1 :])
                        return clause
                    self.assign(first, clause)
        return None

    def open(self):
        return [variable for variable in range(1, self.variables + 1) if not self.value[variable]]

    def weights(self, base):
        """For each literal, the sum over its clauses of base to the power of minus their length."""
        weights = [0.0] * len(self.value)
        for clause in self.clauses:
            for literal in clause:
                weights[literal] += base ** -len(clause)
        return weights


# Orders: `begin(search)`, `bump(variables)` after each conflict, `pick(search, open)` gives a variable.


class Order:
    def begin(self, search):
        pass

    def bump(self, variables):
        pass


class WeightOrder(Order):
    """Variables of the heaviest clauses first, fixed from the beginning."""

    def __init__(self, base):
        self.base = base

    def begin(self, search):
        weights = search.weights(self.base)
        self.weight = [weights[v] + weights[-v] + 0.001 * weights[v] * weights[-v] for v in range(search.variables + 1)]

    def pick(self, search, open_):
        return max(open_, key=self.weight.__getitem__)


class ActivityOrder(Order):
    """Variables of recent conflicts first (VSIDS); before any, those in most clauses."""

    def __init__(self, decay):
        self.decay = decay

    def begin(self, search):
        weights, self.amount = search.weights(2.0), 1.0
        most = max(weights) or 1.0
        self.activity = [0.01 * (weights[v] + weights[-v]) / most for v in range(search.variables + 1)]

    def bump(self, variables):
        for variable in variables:
            self.activity[variable] += self.amount
        self.amount /= self.decay
        if self.amount > 1e100:
            self.activity, self.amount = [each * 1e-100 for each in self.activity], self.amount * 1e-100

    def pick(self, search, open_):
        return max(open_, key=self.activity.__getitem__)


class FrontOrder(Order):
    """Variables of the last conflict first (VMTF)."""

    def begin(self, search):
        self.stamp, self.now = list(range(search.variables, -1, -1)), search.variables

    def bump(self, variables):
        for variable in sorted(variables, key=self.stamp.__getitem__):
            self.now += 1
            self.stamp[variable] = self.now

    def pick(self, search, open_):
        return max(open_, key=self.stamp.__getitem__)


class RandomOrder(Order):
    def pick(self, search, open_):
        return open_[int(search.draw.integers(len(open_)))]


class LookAheadOrder(Order):
    """Of the first few by another order, the one whose two values make most others known."""

    def __init__(self, order, candidates):
        self.order, self.candidates = order, candidates
        self.begin, self.bump = order.begin, order.bump

    def pick(self, search, open_):
        left, best, most = list(open_), None, -1
        for _ in range(min(self.candidates, len(left))):
            variable = self.order.pick(search, left)
            left.remove(variable)
            known = [_known(search, literal) for literal in (variable, -variable)]
            if None in known:  # one of the values fails: decide it, and learn from that
                return variable
            if (known[0] + 1) * (known[1] + 1) > most:
                best, most = variable, (known[0] + 1) * (known[1] + 1)
        return best


def _known(search, literal):
    """How many literals follow from this one; None where it fails."""
    level, before = len(search.ends), len(search.trail)
    search.decide(literal)
    failed = search.propagate() is not None
    known = len(search.trail) - before
    search.back(level)
    return None if failed else known


class MixedOrder(Order):
    """Now and then, by chance, the second order."""

    def __init__(self, first, second, share):
        self.orders, self.share = (first, second), share

    def begin(self, search):
        for order in self.orders:
            order.begin(search)

    def bump(self, variables):
        for order in self.orders:
            order.bump(variables)

    def pick(self, search, open_):
        return self.orders[search.draw.random() < self.share].pick(search, open_)


# Phases: a function of search, variable and the value it last had (0 for none) gives a literal.


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


# Restarts: a function that makes one, which is told each conflict's LBD and says whether to start again.


def no_restarts(given):
    return lambda: lambda lbd: False


def luby_restarts(given, unit):
    """After unit times 1, 1, 2, 1, 1, 2, 4, ... conflicts."""

    def terms():
        i = 1
        while True:
            k, n = 1, i
            while n != 2**k - 1:
                if n > 2**k - 1:
                    k += 1
                else:
                    n, k = n - 2 ** (k - 1) + 1, 1
            yield unit * 2 ** (k - 1)
            i += 1

    return lambda: _counted(terms())


def geometric_restarts(given, first, factor):
    def terms():
        length = float(first)
        while True:
            yield length
            length = min(length * factor, 1e9)

    return lambda: _counted(terms())


def _counted(lengths):
    left = next(lengths)

    def restart(lbd):
        nonlocal left
        left -= 1
        if left > 0:
            return False
        left = next(lengths)
        return True

    return restart


def lbd_restarts(given, window, margin):
    """When the mean LBD of the last conflicts is above that of all, times the margin."""

    def begin():
        recent, total, count = [], 0, 0

        def restart(lbd):
            nonlocal total, count
            total, count = total + lbd, count + 1
            recent.append(lbd)
            if len(recent) < window or sum(recent) / len(recent) * margin <= total / count:
                del recent[: max(0, len(recent) - window + 1)]
                return False
            recent.clear()
            return True

        return restart

    return begin


# Learning: gives the clause learnt from a conflict, its asserting literal first; the level to go back to; whether to
# keep it; and the variables met.


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


# Starts: what is done before the search. They give a model, or None.


def straight(given):
    return lambda search: None


def probe(given, share):
    """Assume each literal; where that fails, the contrary is learnt."""

    def start(search):
        until = search.steps + share * search.budget
        for literal in chain.from_iterable((variable, -variable) for variable in search.open()):
            if search.steps > until or search.contradictory:
                break
            if not search.value[literal] and _known(search, literal) is None:
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


# The root.


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


PARTS = {
    "search": search,
    "straight": straight,
    "probe": probe,
    "walk": walk,
    "both": both,
    "weight_order": lambda given, base: WeightOrder(base),
    "activity_order": lambda given, decay: ActivityOrder(decay),
    "front_order": lambda given: FrontOrder(),
    "random_order": lambda given: RandomOrder(),
    "look_ahead": lambda given, order, candidates: LookAheadOrder(order, candidates),
    "mixed_order": lambda given, first, second, share: MixedOrder(first, second, share),
    "fixed_phase": fixed_phase,
    "random_phase": random_phase,
    "weight_phase": weight_phase,
    "saved_phase": saved_phase,
    "no_restarts": no_restarts,
    "luby_restarts": luby_restarts,
    "geometric_restarts": geometric_restarts,
    "lbd_restarts": lbd_restarts,
    "no_learning": no_learning,
    "decision_learning": decision_learning,
    "uip_learning": uip_learning,
}
