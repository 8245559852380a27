"""What a search knows: the formula, the assignment, and what was learnt."""


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

    def known(self, literal):
        """How many literals follow from this one; None where it fails."""
        level, before = len(self.ends), len(self.trail)
        self.decide(literal)
        failed = self.propagate() is not None
        known = len(self.trail) - before
        self.back(level)
        return None if failed else known
