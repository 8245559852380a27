"""Families of formulas in conjunctive normal form. Each takes a size, and draws the rest; none is easy for its size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations, permutations, product

import numpy as np

Clauses = list[list[int]]
Draw = np.random.Generator


def _at_most_one(literals: Iterable[int]) -> Clauses:
    return [[-one, -other] for one, other in combinations(literals, 2)]


def _exactly_one(literals: Sequence[int]) -> Clauses:
    return [list(literals), *_at_most_one(literals)]


def _sum_is(literals: Sequence[int], odd: bool) -> Clauses:
    """Clauses for the parity of how many literals are true."""
    signs = product((1, -1), repeat=len(literals))
    return [
        [sign * literal for sign, literal in zip(each, literals, strict=True)]
        for each in signs
        if (sum(sign < 0 for sign in each) % 2 == 1) != odd
    ]


def _edges(nodes: int, count: int, draw: Draw) -> list[tuple[int, int]]:
    pairs = list(combinations(range(nodes), 2))
    return [pairs[i] for i in draw.choice(len(pairs), min(count, len(pairs)), replace=False)]


def _random(size: int, count: int, lengths: Sequence[int], draw: Draw) -> Clauses:
    return [
        [int(v) * int(draw.choice((1, -1))) for v in draw.choice(size, draw.choice(lengths), replace=False) + 1]
        for _ in range(count)
    ]


def random_3_sat(size: int, draw: Draw) -> Clauses:
    """At 4.26 clauses a variable, where half can be satisfied."""
    return _random(size, round(4.26 * size), (3,), draw)


def planted_3_sat(size: int, draw: Draw) -> Clauses:
    """Satisfiable: a hidden model makes one, two or three literals of each clause true."""
    hidden, clauses = draw.choice((1, -1), size + 1), Clauses()
    while len(clauses) < 4.2 * size:
        (clause,) = _random(size, 1, (3,), draw)
        if any(hidden[abs(literal)] * literal > 0 for literal in clause):
            clauses.append(clause)
    return clauses


def random_4_sat(size: int, draw: Draw) -> Clauses:
    return _random(size, round(9.93 * size), (4,), draw)


def random_mixed(size: int, draw: Draw) -> Clauses:
    """Clauses of 3 and 4 literals, as many of each."""
    return _random(size, round(5.9 * size), (3, 4), draw)


def pigeonhole(size: int, draw: Draw) -> Clauses:
    """size + 1 pigeons in `size` holes."""
    at = np.arange(1, size * (size + 1) + 1).reshape(size + 1, size).tolist()
    return [*at, *(pair for hole in zip(*at, strict=True) for pair in _at_most_one(hole))]


def perfect_matching(size: int, draw: Draw) -> Clauses:
    """A perfect matching of a complete graph with size nodes: there is none where size is odd."""
    number = {edge: i for i, edge in enumerate(combinations(range(size), 2), 1)}
    return [c for node in range(size) for c in _exactly_one([i for edge, i in number.items() if node in edge])]


def mutilated_board(size: int, draw: Draw) -> Clauses:
    """Dominoes on a board of size x size without two cells: opposite corners or, as often, any others."""
    cells = list(product(range(size), repeat=2))
    corners = draw.random() < 0.5
    gone = [cells[0], cells[-1]] if corners else [cells[i] for i in draw.choice(len(cells), 2, replace=False)]
    left = [cell for cell in cells if cell not in gone]
    pairs = [(a, b) for a, b in combinations(left, 2) if abs(a[0] - b[0]) + abs(a[1] - b[1]) == 1]
    return [c for cell in left for c in _exactly_one([i for i, pair in enumerate(pairs, 1) if cell in pair])]


def parity(size: int, draw: Draw) -> Clauses:
    """Parities of three variables each: as many as there are variables, each of which is in about three."""
    spread = draw.permuted(np.tile(np.arange(1, size + 1), (3, 1)), axis=1).T.tolist()
    more = (draw.choice(size, (size // 10, 3)) + 1).tolist()
    rows = [row for row in spread + more if len(set(row)) == 3]
    return [clause for row in rows for clause in _sum_is(row, bool(draw.integers(2)))]


def tseitin(size: int, draw: Draw) -> Clauses:
    """Each of 2 x size nodes of a random graph of degree 3 wants a parity of its edges; half are contradictory."""
    ends = draw.permutation(np.repeat(np.arange(2 * size), 3)).reshape(-1, 2)
    odd = draw.integers(2, size=2 * size).astype(bool)
    edges = [[i for i, pair in enumerate(ends.tolist(), 1) if pair.count(node) == 1] for node in range(2 * size)]
    return [clause for mine, is_odd in zip(edges, odd, strict=True) for clause in _sum_is(mine, bool(is_odd))]


def one_in_three(size: int, draw: Draw) -> Clauses:
    """Of each of some threes, exactly one is true."""
    threes = _random(size, round(0.62 * size), (3,), draw)
    return [clause for three in threes for clause in _exactly_one([abs(literal) for literal in three])]


def _order(size: int) -> tuple[Callable[[int, int], int], Clauses]:
    """The literal of `first < second`, and that this is transitive."""
    number = {pair: i for i, pair in enumerate(combinations(range(size), 2), 1)}

    def less(first: int, second: int) -> int:
        return number[first, second] if first < second else -number[second, first]

    return less, [[-less(a, b), -less(b, c), less(a, c)] for a, b, c in permutations(range(size), 3)]


def ordering(size: int, draw: Draw) -> Clauses:
    """A linear order without a least element."""
    less, clauses = _order(size)
    return clauses + [[less(other, each) for other in range(size) if other != each] for each in range(size)]


def betweenness(size: int, draw: Draw) -> Clauses:
    """A linear order in which the second of some threes lies between the others."""
    less, clauses = _order(size)
    for _ in range(size):
        a, b, c = draw.choice(size, 3, replace=False).tolist()
        clauses += [[less(a, b), less(c, b)], [less(b, a), less(b, c)]]
    return clauses


def van_der_waerden(size: int, draw: Draw) -> Clauses:
    """Two colours for 1 to size, such that no 4 evenly spaced are of one colour; impossible from 35."""
    spaced = [
        [start + step * i for i in range(4)] for step in range(1, size) for start in range(1, size + 1 - step * 3)
    ]
    return spaced + [[-number for number in four] for four in spaced]


def _colouring(nodes: int, edges: Sequence[tuple[int, int]], colours: int) -> Clauses:
    at = np.arange(1, nodes * colours + 1).reshape(nodes, colours).tolist()
    differ = [[-x, -y] for a, b in edges for x, y in zip(at[a], at[b], strict=True)]
    return [clause for node in at for clause in _exactly_one(node)] + differ


def colouring_3(size: int, draw: Draw) -> Clauses:
    return _colouring(size, _edges(size, round(2.3 * size), draw), 3)


def colouring_4(size: int, draw: Draw) -> Clauses:
    return _colouring(size, _edges(size, round(4.25 * size), draw), 4)


def clique(size: int, draw: Draw) -> Clauses:
    """A clique of 5 nodes in a random graph of `size` nodes."""
    joined = set(_edges(size, round(0.45 * size * (size - 1) / 2), draw))
    at = np.arange(1, 5 * size + 1).reshape(5, size).tolist()
    apart = [pair for pair in product(range(size), repeat=2) if tuple(sorted(pair)) not in joined]
    clauses = [clause for place in at for clause in _exactly_one(place)]
    return clauses + [[-one[a], -other[b]] for one, other in combinations(at, 2) for a, b in apart]


def latin_square(size: int, draw: Draw) -> Clauses:
    """A Latin square of which some two fifths of the cells are given, two of them changed."""
    rows, columns, symbols = (draw.permutation(size) for _ in range(3))
    at = np.arange(1, size**3 + 1).reshape(size, size, size)
    lines = [at[i, j] for i, j in product(range(size), repeat=2)]
    lines += [at[i, :, k] for i, k in product(range(size), repeat=2)]
    lines += [at[:, j, k] for j, k in product(range(size), repeat=2)]
    given = draw.choice(size * size, round(0.4 * size * size), replace=False)
    symbol = {cell: int(symbols[(rows[cell // size] + columns[cell % size]) % size]) for cell in given.tolist()}
    for wrong in given[:2].tolist():  # another symbol, which its row and its column do not show
        near = {symbol[cell] for cell in symbol if cell // size == wrong // size or cell % size == wrong % size}
        symbol[wrong] = next((each for each in symbols.tolist() if each not in near), symbol[wrong])
    fixed = [[int(at[cell // size, cell % size, k])] for cell, k in symbol.items()]
    return [clause for line in lines for clause in _exactly_one(line.tolist())] + fixed


def queens(size: int, draw: Draw) -> Clauses:
    """As many queens as rows, on a board of which half of the cells are blocked."""
    at = np.arange(1, size * size + 1).reshape(size, size)
    diagonals = [board.diagonal(k) for board in (at, at[:, ::-1]) for k in range(-size + 1, size)]
    clauses = [c for line in (*at, *at.T) for c in _exactly_one(line.tolist())]
    clauses += [pair for line in diagonals for pair in _at_most_one(line.tolist())]
    return clauses + [[-int(cell)] for cell in draw.choice(at.ravel(), size * size // 2, replace=False)]


def disguised(clauses: Clauses, draw: Draw) -> tuple[int, Clauses]:
    """Variables and clauses, with variables renamed, signs turned and clauses in another order: nothing tells of the
    family but its structure, and no certificate fits another formula.
    """
    used = sorted({abs(literal) for clause in clauses for literal in clause})
    names = dict(zip(used, (draw.permutation(len(used)) + 1).tolist(), strict=True))
    sign = dict(zip(used, draw.choice((1, -1), len(used)).tolist(), strict=True))
    renamed = [[names[abs(each)] * sign[abs(each)] * (1 if each > 0 else -1) for each in clause] for clause in clauses]
    return len(used), [renamed[i] for i in draw.permutation(len(renamed))]


Family = tuple[Callable[[int, Draw], Clauses], Sequence[int]]
# Of each part: families of their own, and the sizes of what is drawn: from one at which the baseline settles nearly all
# formulas within its budget to one at which it settles nearly none, so that there is room on both sides.
FAMILIES: dict[str, dict[str, Family]] = {
    "development": {
        "random-3-sat": (random_3_sat, (70, 80, 90, 100, 110, 120, 130, 140)),
        "planted-3-sat": (planted_3_sat, (140, 170, 200, 230, 260, 290, 320, 350)),
        "pigeonhole": (pigeonhole, (5, 6, 7, 8)),
        "parity": (parity, (54, 60, 66, 72, 78, 84, 90, 96)),
        "ordering": (ordering, (6, 7, 8, 9, 10, 11, 12, 13)),
        "colouring-3": (colouring_3, (80, 100, 120, 140, 160, 180, 200, 220)),
    },
    "sealed": {
        "random-4-sat": (random_4_sat, (30, 35, 40, 45, 50, 55, 60, 65)),
        "perfect-matching": (perfect_matching, (8, 9, 10, 11, 12, 13, 15, 17)),
        "tseitin": (tseitin, (8, 10, 12, 14, 16, 18, 20, 22)),
        "van-der-waerden": (van_der_waerden, (37, 39, 41, 43, 45, 47, 49, 52)),
        "colouring-4": (colouring_4, (30, 34, 38, 42, 46, 50, 54, 58)),
        "latin-square": (latin_square, (11, 12, 13, 14)),
    },
    "final": {
        "random-mixed": (random_mixed, (48, 56, 64, 72, 80, 88, 96, 104)),
        "mutilated-board": (mutilated_board, (5, 5, 6, 6, 7, 7, 8, 8)),
        "one-in-three": (one_in_three, (400, 500, 600, 700, 800, 900, 1000, 1100)),
        "betweenness": (betweenness, (22, 24, 26, 28, 30, 32, 34, 36)),
        "clique": (clique, (10, 12, 14, 16, 20, 25, 30, 35)),
        "queens": (queens, (11, 12, 13, 14, 15, 16, 17, 18)),
    },
}
