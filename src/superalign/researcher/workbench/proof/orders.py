"""Which variable is decided next: `begin(search)`, `bump(variables)` after each conflict, `pick(search, open)`.

VSIDS: Chaff, 2001.
"""


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
            known = [search.known(literal) for literal in (variable, -variable)]
            if None in known:  # one of the values fails: decide it, and learn from that
                return variable
            if (known[0] + 1) * (known[1] + 1) > most:
                best, most = variable, (known[0] + 1) * (known[1] + 1)
        return best


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
