"""A world model: a transformer that has seen nothing but moves keeps the board, and moves by it.

Found before, by Li et al. 2022, *Emergent World Representations* (arXiv 2210.13382), on Othello: from the activations
of a model that was trained on transcripts of random legal games, a probe reads the board, and changing what it reads
changes which moves the model holds to be legal. Nanda et al. 2023, *Emergent Linear Representations in World Models of
Self-Supervised Sequence Models* (arXiv 2309.00941): the probe can be linear, if squares are coded as mine and theirs,
of whoever is to move, instead of black and white.

Shown here, on a board of 4 by 4, since a model learns that one in minutes on one core: in games whose openings were
held out of training, a linear probe reads mine, theirs or empty of each square better than from an untrained model of
the same make, and better than it reads black, white or empty. Turning one disc in the residual stream, along the
direction that such a disc has there, moves the predictions from what is legal on the board towards what would be legal
on the changed one; a random direction as long does not.

    python examples/board_game.py [FOLDER FOR THE FIGURE]

Takes about two minutes on one core.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from transformers import LlamaConfig, LlamaForCausalLM

from superalign.models.batches import TokenIds
from superalign.models.decoder import Decoder
from superalign.models.intervene import Steer, intervene
from superalign.models.sites import Site
from superalign.report.charts import Curve, curves, write

SIDE = 4
SQUARES = SIDE * SIDE
START = SQUARES  # the token before the first move
FIRST_MOVE = 1  # the other three there are, are its mirror images
OPENING = 5  # moves that two games share if they are on the same side of the split
STATES = (-1, 0, 1)  # theirs, empty, mine


def rays() -> list[list[list[int]]]:
    """From each square, the squares in each direction, nearest first; those with room for a disc between two others."""
    steps = [(down, across) for down in (-1, 0, 1) for across in (-1, 0, 1) if down or across]
    found = []
    for square in range(SQUARES):
        own = []
        for down, across in steps:
            row, column = square // SIDE + down, square % SIDE + across
            ray = []
            while 0 <= row < SIDE and 0 <= column < SIDE:
                ray.append(row * SIDE + column)
                row, column = row + down, column + across
            if len(ray) > 1:
                own.append(ray)
        found.append(own)
    return found


RAYS = rays()
Boards = Int[np.ndarray, "boards squares"]  # 1 is a disc of whoever is to move, -1 the other's


def turned(boards: Boards, square: int) -> Bool[np.ndarray, "boards squares"]:
    """The discs that a move to `square` turns: runs of theirs with one of mine behind."""
    found = np.zeros(boards.shape, bool)
    for ray in RAYS[square]:
        theirs = np.logical_and.accumulate(boards[:, ray] == -1, axis=1)
        run = theirs.sum(1)
        closed = boards[np.arange(len(boards)), np.take(ray, np.minimum(run, len(ray) - 1))] == 1
        found[:, ray] |= theirs & (closed & (run > 0) & (run < len(ray)))[:, None]
    return found


def legal_moves(boards: Boards) -> Bool[np.ndarray, "boards squares"]:
    """Where whoever is to move may move: empty squares from which something is turned."""
    found = np.stack([turned(boards, square).any(1) for square in range(SQUARES)], 1)
    return np.asarray(found & (boards == 0))


@dataclass(frozen=True)
class Games:
    """Random legal games. Before each move: the board as its player sees it, whether that is black, what is legal."""

    moves: Int[np.ndarray, "games moves"]  # -1 behind the end
    boards: Int[np.ndarray, "games moves squares"]
    black: Bool[np.ndarray, "games moves"]
    legal: Bool[np.ndarray, "games moves squares"]

    def of(self, chosen: Bool[np.ndarray, "games"]) -> Games:
        return Games(self.moves[chosen], self.boards[chosen], self.black[chosen], self.legal[chosen])

    def prefix(self, game: int, move: int) -> TokenIds:
        """What has been seen when that move is to come."""
        return (START, *self.moves[game, :move].tolist())


def play(games: int, rng: np.random.Generator) -> Games:
    """Every move is drawn from the legal ones; who has none passes, which no token tells."""
    boards = np.zeros((games, SQUARES), int)
    middle = SIDE // 2 * (SIDE + 1)
    boards[:, [middle - SIDE, middle - 1]], boards[:, [middle, middle - SIDE - 1]] = 1, -1
    black = np.ones(games, bool)
    rows: list[tuple[np.ndarray, ...]] = []
    for place in range(SQUARES - 4):
        legal = legal_moves(boards)
        stuck = ~legal.any(1)
        boards[stuck] *= -1
        black[stuck] ^= True
        legal[stuck] = legal_moves(boards[stuck])
        over = ~legal.any(1)
        move = np.where(legal, rng.random(legal.shape), -1.0).argmax(1) if place else np.full(games, FIRST_MOVE)
        rows.append((np.where(over, -1, move), boards.copy(), black.copy(), legal))
        for square in range(SQUARES):
            here = (move == square) & ~over
            boards[here] = np.where(turned(boards[here], square), 1, boards[here])
            boards[here, square] = 1
        boards[~over] *= -1
        black[~over] ^= True
    return Games(*(np.stack(kept, 1) for kept in zip(*rows, strict=True)))


def split(games: Games, share: float, rng: np.random.Generator) -> tuple[Games, Games]:
    """To train on and held out: a `share` of the openings, with all games that begin so."""
    _, opening = np.unique(games.moves[:, :OPENING], axis=0, return_inverse=True)
    openings = rng.permutation(opening.max() + 1)
    held = np.isin(opening.ravel(), openings[: round(share * len(openings))])
    return games.of(~held), games.of(held)


@dataclass(frozen=True)
class Setup:
    """How many games are drawn, and how the model is made and trained."""

    games: int = 30000
    held_out: float = 0.2
    width: int = 64
    layers: int = 3
    steps: int = 900
    batch: int = 128
    learning_rate: float = 3e-3
    probed: int = 2500  # positions that probes learn from
    tested: int = 800  # held-out positions
    seed: int = 0


def make(setup: Setup) -> LlamaForCausalLM:
    torch.manual_seed(setup.seed)
    config = LlamaConfig(
        vocab_size=SQUARES + 1,
        hidden_size=setup.width,
        intermediate_size=3 * setup.width,
        num_hidden_layers=setup.layers,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=SQUARES,
        initializer_range=setup.width**-0.5,
        bos_token_id=START,
        eos_token_id=None,
    )
    return LlamaForCausalLM(config)


def train(model: LlamaForCausalLM, games: Games, setup: Setup) -> None:
    """Next-move prediction, with a rate that falls to 0."""
    moves = torch.from_numpy(games.moves)
    tokens = torch.cat([torch.full((len(moves), 1), START), moves[:, :-1].clamp(min=0)], 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=setup.learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, setup.learning_rate, total_steps=setup.steps)
    generator = torch.Generator().manual_seed(setup.seed)
    for _ in range(setup.steps):
        chosen = torch.randint(len(moves), (setup.batch,), generator=generator)
        logits = model(input_ids=tokens[chosen], use_cache=False).logits
        loss = F.cross_entropy(logits.flatten(0, 1), moves[chosen].flatten(), ignore_index=-1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


@dataclass(frozen=True)
class Positions:
    """Some positions of games, no two with the same moves before."""

    prefixes: list[TokenIds]
    boards: Boards
    black: Bool[np.ndarray, "positions"]
    legal: Bool[np.ndarray, "positions squares"]

    @classmethod
    def draw(cls, games: Games, number: int, rng: np.random.Generator) -> Positions:
        places = rng.permutation(np.argwhere(games.moves >= 0))
        places = places[places[:, 1] >= OPENING]
        distinct = {games.prefix(game, move): (game, move) for game, move in places[: 4 * number]}
        game, move = np.array(list(distinct.values())[:number]).T
        at = game, move
        return cls(list(distinct)[:number], games.boards[at], games.black[at], games.legal[at])

    def coded(self, *, mine: bool) -> Boards:
        """Squares as mine and theirs, or as black and white."""
        return self.boards if mine else self.boards * np.where(self.black, 1, -1)[:, None]


def read_off(train: np.ndarray, train_boards: Boards, test: np.ndarray, test_boards: Boards) -> float:
    """Share of squares, of three states each, that linear discriminants read right on held-out positions."""
    right = []
    for square in range(SQUARES):
        probe = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=1e-3).fit(train, train_boards[:, square])
        right.append(probe.score(test, test_boards[:, square]))
    return float(np.mean(right))


def predicted(decoder: Decoder, prefixes: list[TokenIds]) -> Float[np.ndarray, "positions squares"]:
    """Probability of each square to be the next move."""
    logits = decoder.final(prefixes) @ decoder.head.float().T
    return logits.softmax(-1)[:, :SQUARES].cpu().numpy()


def wrong_moves(probabilities: np.ndarray, legal: Bool[np.ndarray, "positions squares"]) -> float:
    """The paper's number of errors: of the n likeliest moves, n being how many are legal, those that are not, twice."""
    rank = (-probabilities).argsort(1).argsort(1)
    chosen = rank < legal.sum(1, keepdims=True)
    return float((chosen ^ legal).sum(1).mean())


@dataclass(frozen=True)
class Turn:
    """For each position a square with a disc which, if it were the other side's, other moves would be legal."""

    positions: Positions
    squares: Int[np.ndarray, "positions"]
    legal: Bool[np.ndarray, "positions squares"]

    @classmethod
    def draw(cls, positions: Positions, rng: np.random.Generator) -> Turn:
        squares = np.where(positions.boards != 0, rng.random(positions.boards.shape), -1.0).argmax(1)
        boards = positions.boards.copy()
        boards[np.arange(len(boards)), squares] *= -1
        legal = legal_moves(boards)
        kept = (legal != positions.legal).any(1) & legal.any(1)
        prefixes = [prefix for prefix, keep in zip(positions.prefixes, kept, strict=True) if keep]
        of = Positions(prefixes, positions.boards[kept], positions.black[kept], positions.legal[kept])
        return cls(of, squares[kept], legal[kept])


def disc_directions(states: np.ndarray, boards: Boards) -> Float[np.ndarray, "squares width"]:
    """What a disc of mine adds to the stream, other squares as they are (least squares); one of theirs, the reverse."""
    described = np.concatenate([boards, boards == 0, np.ones((len(boards), 1))], 1).astype(float)
    fitted, *_ = np.linalg.lstsq(described, states, rcond=None)
    return np.asarray(fitted[:SQUARES])


def turn_discs(decoder: Decoder, turn: Turn, layer: int, changes: np.ndarray) -> Float[np.ndarray, "turns squares"]:
    """The model's moves with `changes` added to the stream after `layer`, where the next move is read from."""
    site = Site("residual", layer)
    steered = {
        prefix: [Steer(site, torch.from_numpy(change).float(), 1.0, at=[-1])]
        for prefix, change in zip(turn.positions.prefixes, changes, strict=True)
    }
    return predicted(intervene(decoder, steered), turn.positions.prefixes)


@dataclass(frozen=True)
class Reading:
    """How well probes read held-out boards after each layer, as a share of squares."""

    mine: tuple[float, ...]
    black: tuple[float, ...]


@dataclass(frozen=True)
class Finding:
    """Errors are the paper's, per position; those of turned discs are counted on the board that would be."""

    legal: float  # share of held-out positions in which the likeliest move is legal
    legal_untrained: float
    most_common: float  # share of squares that are what they mostly are
    trained: Reading
    untrained: Reading
    errors: float  # on the board that there is
    unturned: float
    turned: tuple[float, ...]  # by the layer after which the stream is changed
    at_random: tuple[float, ...]


def reading(
    decoder: Decoder, train: Positions, test: Positions
) -> tuple[Reading, Float[np.ndarray, "positions layers width"]]:
    """What probes read after each layer, and the states that they learnt from."""
    layers = range(decoder.depth + 1)
    learnt, held = (decoder.last_states(of.prefixes, layers).double().numpy() for of in (train, test))
    mine, black = (
        tuple(
            read_off(learnt[:, layer], train.coded(mine=coding), held[:, layer], test.coded(mine=coding))
            for layer in layers
        )
        for coding in (True, False)
    )
    return Reading(mine, black), learnt


def study(setup: Setup) -> Finding:
    """Play, train, probe and turn discs."""
    rng = np.random.default_rng(setup.seed)
    own, held = split(play(setup.games, rng), setup.held_out, rng)
    train_on, test_on = Positions.draw(own, setup.probed, rng), Positions.draw(held, setup.tested, rng)
    model, untrained = make(setup), Decoder(make(setup).eval())
    train(model, own, setup)
    decoder = Decoder(model.eval())
    likeliest, likeliest_untrained = (predicted(of, test_on.prefixes).argmax(1) for of in (decoder, untrained))
    everywhere = np.arange(len(test_on.prefixes))
    boards = train_on.boards
    most_common = np.array([max(STATES, key=lambda state: int((of == state).sum())) for of in boards.T])
    read, states = reading(decoder, train_on, test_on)
    turn = Turn.draw(test_on, rng)
    turned, at_random = turning(decoder, turn, states, boards, rng)
    before = predicted(decoder, turn.positions.prefixes)
    return Finding(
        legal=float(test_on.legal[everywhere, likeliest].mean()),
        legal_untrained=float(test_on.legal[everywhere, likeliest_untrained].mean()),
        most_common=float((test_on.boards == most_common).mean()),
        trained=read,
        untrained=reading(untrained, train_on, test_on)[0],
        errors=wrong_moves(before, turn.positions.legal),
        unturned=wrong_moves(before, turn.legal),
        turned=turned,
        at_random=at_random,
    )


def turning(
    decoder: Decoder, turn: Turn, states: np.ndarray, boards: Boards, rng: np.random.Generator
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Errors on the turned boards, with discs turned after each layer but the last, and with random changes as long."""
    here = np.arange(len(turn.squares)), turn.squares
    side = turn.positions.boards[here][:, None]
    turned, at_random = [], []
    for layer in range(decoder.depth):
        # A disc of mine is worth one such direction, and one of theirs its reverse.
        changes = -2 * side * disc_directions(states[:, layer], boards)[turn.squares]
        other = rng.normal(size=changes.shape)
        other *= np.linalg.norm(changes, axis=1, keepdims=True) / np.linalg.norm(other, axis=1, keepdims=True)
        turned.append(wrong_moves(turn_discs(decoder, turn, layer, changes), turn.legal))
        at_random.append(wrong_moves(turn_discs(decoder, turn, layer, other), turn.legal))
    return tuple(turned), tuple(at_random)


def main(folder: Path) -> None:
    found = study(Setup())
    print(f"The likeliest move is legal in {found.legal:.1%} of held-out positions.")
    print(f"In those of an untrained model it is in {found.legal_untrained:.1%}.")
    print(f"Share of squares read right, where guessing the most common state gets {found.most_common:.2f}:")
    print(f"{'after layer':>12}{'mine, theirs':>14}{'black, white':>14}{'untrained':>11}")
    for layer, row in enumerate(zip(found.trained.mine, found.trained.black, found.untrained.mine, strict=True)):
        print(f"{layer:>12}{row[0]:>14.3f}{row[1]:>14.3f}{row[2]:>11.3f}")
    print(f"Errors on the board there is {found.errors:.2f}, on the one with a disc turned {found.unturned:.2f};")
    print(f"{'after layer':>12}{'disc turned':>14}{'at random':>12}")
    for layer, (turned, at_random) in enumerate(zip(found.turned, found.at_random, strict=True)):
        print(f"{layer:>12}{turned:>14.2f}{at_random:>12.2f}")
    layers = range(len(found.trained.mine))
    probes = curves(
        "probes",
        f"A linear probe of the board, {SIDE} by {SIDE}, in held-out games",
        [
            Curve("mine, theirs", layers, found.trained.mine),
            Curve("black, white", layers, found.trained.black),
            Curve("mine, untrained", layers, found.untrained.mine),
            Curve("most common", layers, [found.most_common] * len(layers)),
        ],
        x="after layer",
        y="share of squares read right",
    )
    changed = curves(
        "changed",
        "Errors of the legal moves on a board with one disc turned",
        [
            Curve("unchanged", layers[:-1], [found.unturned] * len(found.turned)),
            Curve("disc turned", layers[:-1], found.turned),
            Curve("random change", layers[:-1], found.at_random),
            Curve("board as it is", layers[:-1], [found.errors] * len(found.turned)),
        ],
        x="stream changed after layer",
        y="errors per position",
    )
    write(folder / "board_game.svg", probes, changed)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
