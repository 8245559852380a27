"""When to start again: a function that makes one, which is told each conflict's LBD and says whether to.

By LBD: Glucose, 2009.
"""


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
