"""A world model: a transformer that has seen nothing but moves keeps the board, and moves by it.

Found before, by Li et al. 2022, *Emergent World Representations* (arXiv 2210.13382), on Othello: from the activations
of a model that was trained on transcripts of random legal games, a probe reads the board, and changing what it reads
changes which moves the model holds to be legal. Nanda et al. 2023, *Emergent Linear Representations in World Models of
Self-Supervised Sequence Models* (arXiv 2309.00941): the probe can be linear, if squares are coded as mine and theirs,
of whoever is to move, instead of by colour.

Shown here, on tic-tac-toe: in games whose openings were held out of training, a linear probe reads mine, theirs or
empty of each square better than from an untrained model of the same make. Taking a disc away in the residual stream,
along the direction that it has there, halves the errors of the moves on the board without it; a random direction as
long takes none away. Turning a disc, which matters only where three in a row end the game, is measured beside it; so
trained, the model does not move by that.

Othello asks for more than a minute on one core: after 40 s, on a board of 4 by 4, the likeliest move was legal in 87 %
of held-out positions, and turning discs in the stream did nothing.

    python examples/board_game.py [FOLDER FOR THE FIGURE]

Takes about half a minute on one core.
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

SQUARES = 9
END, START = SQUARES, SQUARES + 1  # the tokens beside the squares: the game is over; it begins
LINES = np.array([[0, 1, 2], [3, 4, 5], [6, 7, 8], [0, 3, 6], [1, 4, 7], [2, 5, 8], [0, 4, 8], [2, 4, 6]])
OPENING = 3  # moves that two games share if they are on the same side of the split
STATES = (-1, 0, 1)  # theirs, empty, mine
Boards = Int[np.ndarray, "boards squares"]  # as whoever is to move sees them


def legal_moves(boards: Boards) -> Bool[np.ndarray, "boards moves"]:
    """Empty squares; nothing but END behind three in a row of theirs, and on a full board."""
    over = (boards[:, LINES] == -1).all(-1).any(-1) | (boards != 0).all(-1)
    return np.concatenate([(boards == 0) & ~over[:, None], over[:, None]], 1)


@dataclass(frozen=True)
class Games:
    """Random legal games. Before each move, END among them: the board, and what is legal."""

    moves: Int[np.ndarray, "games moves"]  # -1 behind the end
    boards: Int[np.ndarray, "games moves squares"]
    legal: Bool[np.ndarray, "games moves squares+1"]

    def of(self, chosen: Bool[np.ndarray, "games"]) -> Games:
        return Games(self.moves[chosen], self.boards[chosen], self.legal[chosen])

    def prefix(self, game: int, move: int) -> TokenIds:
        """What has been seen when that move is to come."""
        return (START, *self.moves[game, :move].tolist())


def play(games: int, rng: np.random.Generator) -> Games:
    """Every move is drawn from the legal ones."""
    boards = np.zeros((games, SQUARES), int)
    ended = np.zeros(games, bool)
    rows: list[tuple[np.ndarray, ...]] = []
    for _ in range(SQUARES + 1):
        legal = legal_moves(boards)
        move = np.where(legal, rng.random(legal.shape), -1.0).argmax(1)
        rows.append((np.where(ended, -1, move), boards.copy(), legal))
        ended |= move == END
        moved = np.flatnonzero(~ended)
        boards[moved, move[moved]] = 1
        boards[moved] *= -1
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

    games: int = 20000
    held_out: float = 0.2
    width: int = 48
    layers: int = 2
    steps: int = 700
    batch: int = 128
    learning_rate: float = 4e-3
    probed: int = 2000  # positions that probes learn from
    tested: int = 600  # held-out positions
    seed: int = 0


def make(setup: Setup) -> LlamaForCausalLM:
    torch.manual_seed(setup.seed)
    config = LlamaConfig(
        vocab_size=SQUARES + 2,
        hidden_size=setup.width,
        intermediate_size=3 * setup.width,
        num_hidden_layers=setup.layers,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=SQUARES + 1,
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
    legal: Bool[np.ndarray, "positions squares+1"]

    @classmethod
    def draw(cls, games: Games, number: int, rng: np.random.Generator) -> Positions:
        places = rng.permutation(np.argwhere(games.moves >= 0))
        places = places[places[:, 1] >= OPENING]
        distinct = {games.prefix(game, move): (game, move) for game, move in places[: 4 * number]}
        game, move = np.array(list(distinct.values())[:number]).T
        at = game, move
        return cls(list(distinct)[:number], games.boards[at], games.legal[at])

    def coded(self, *, mine: bool) -> Boards:
        """Squares as mine and theirs, or as those of who began and who did not."""
        began = (self.boards != 0).sum(1, keepdims=True) % 2 == 0
        return self.boards if mine else self.boards * np.where(began, 1, -1)


def read_off(train: np.ndarray, train_boards: Boards, test: np.ndarray, test_boards: Boards) -> float:
    """Share of squares, of three states each, that linear discriminants read right on held-out positions."""
    right = []
    for square in range(SQUARES):
        probe = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=1e-3).fit(train, train_boards[:, square])
        right.append(probe.score(test, test_boards[:, square]))
    return float(np.mean(right))


def predicted(decoder: Decoder, prefixes: list[TokenIds]) -> Float[np.ndarray, "positions squares+1"]:
    """Probability of each square, and of END, to come next."""
    logits = decoder.final(prefixes) @ decoder.head.float().T
    return np.asarray(logits.softmax(-1)[:, : SQUARES + 1])


def wrong_moves(probabilities: np.ndarray, legal: Bool[np.ndarray, "positions squares"]) -> float:
    """The paper's number of errors: of the n likeliest moves, n being how many are legal, those that are not, twice."""
    rank = (-probabilities).argsort(1).argsort(1)
    chosen = rank < legal.sum(1, keepdims=True)
    return float((chosen ^ legal).sum(1).mean())


@dataclass(frozen=True)
class Edits:
    """For each position a disc which, were it not there or the other side's, would make other moves legal."""

    positions: Positions
    squares: Int[np.ndarray, "positions"]
    boards: Boards
    legal: Bool[np.ndarray, "positions squares+1"]

    @classmethod
    def draw(cls, positions: Positions, rng: np.random.Generator, *, emptied: bool) -> Edits:
        """A disc taken away, or turned; positions without any such disc are left out."""
        edited = np.repeat(positions.boards[:, None], SQUARES, 1)  # a board for each square of each position
        own = np.arange(SQUARES)
        edited[:, own, own] *= 0 if emptied else -1
        legal = legal_moves(edited.reshape(-1, SQUARES)).reshape(*edited.shape[:2], -1)
        counts = (positions.boards != 0) & (legal != positions.legal[:, None]).any(-1)
        squares = np.where(counts, rng.random(counts.shape), -1.0).argmax(1)
        kept = np.flatnonzero(counts.any(1))
        at = kept, squares[kept]
        of = Positions([positions.prefixes[i] for i in kept], positions.boards[kept], positions.legal[kept])
        return cls(of, squares[kept], edited[at], legal[at])


def described(boards: Boards) -> Float[np.ndarray, "boards features"]:
    """Mine or theirs, and empty, for each square; and a constant."""
    return np.concatenate([boards, boards == 0, np.ones((len(boards), 1))], 1).astype(float)


def edited(decoder: Decoder, edits: Edits, layer: int, changes: np.ndarray) -> Float[np.ndarray, "edits squares+1"]:
    """What is predicted with `changes` added to the stream after `layer`, where the next move is read from."""
    site = Site("residual", layer)
    steered = {
        prefix: [Steer(site, torch.from_numpy(change).float(), 1.0, at=[-1])]
        for prefix, change in zip(edits.positions.prefixes, changes, strict=True)
    }
    return predicted(intervene(decoder, steered), edits.positions.prefixes)


@dataclass(frozen=True)
class Effect:
    """Errors on edited boards, per position: of the model left alone, and with its stream changed after each layer."""

    unedited: float
    edited: tuple[float, ...]
    at_random: tuple[float, ...]


def effect(decoder: Decoder, edits: Edits, fitted: np.ndarray, rng: np.random.Generator) -> Effect:
    """Change the stream by what the edited squares are worth in it, and by random directions as long.

    `fitted` has, for each layer, what each part of a board's description adds to the stream.
    """
    difference = described(edits.boards) - described(edits.positions.boards)
    found, at_random = [], []
    for layer, worth in enumerate(fitted):
        changes = difference @ worth
        other = rng.normal(size=changes.shape)
        other *= np.linalg.norm(changes, axis=1, keepdims=True) / np.linalg.norm(other, axis=1, keepdims=True)
        found.append(wrong_moves(edited(decoder, edits, layer, changes), edits.legal))
        at_random.append(wrong_moves(edited(decoder, edits, layer, other), edits.legal))
    alone = predicted(decoder, edits.positions.prefixes)
    return Effect(wrong_moves(alone, edits.legal), tuple(found), tuple(at_random))


@dataclass(frozen=True)
class Reading:
    """How well probes read held-out boards after each layer, as a share of squares."""

    mine: tuple[float, ...]
    began: tuple[float, ...]


@dataclass(frozen=True)
class Finding:
    """Errors are the paper's, per position."""

    legal: float  # share of held-out positions in which what is likeliest is legal
    legal_untrained: float
    most_common: float  # share of squares that are what they mostly are
    trained: Reading
    untrained: Reading
    errors: float  # on the boards that there are
    emptied: Effect
    turned: Effect


def reading(
    decoder: Decoder, train: Positions, test: Positions
) -> tuple[Reading, Float[np.ndarray, "positions layers width"]]:
    """What probes read after each layer, and the states that they learnt from."""
    layers = range(decoder.depth + 1)
    learnt, held = (decoder.last_states(of.prefixes, layers).double().numpy() for of in (train, test))
    mine, began = (
        tuple(
            read_off(learnt[:, layer], train.coded(mine=coding), held[:, layer], test.coded(mine=coding))
            for layer in layers
        )
        for coding in (True, False)
    )
    return Reading(mine, began), learnt


def study(setup: Setup) -> Finding:
    """Play, train, probe and edit boards."""
    rng = np.random.default_rng(setup.seed)
    own, held = split(play(setup.games, rng), setup.held_out, rng)
    learnt, test = Positions.draw(own, setup.probed, rng), Positions.draw(held, setup.tested, rng)
    model, untrained = make(setup), Decoder(make(setup).eval())
    train(model, own, setup)
    decoder = Decoder(model.eval())
    everywhere = np.arange(len(test.prefixes))
    moves, moves_untrained = (predicted(of, test.prefixes) for of in (decoder, untrained))
    most_common = np.array([max(STATES, key=lambda state: int((of == state).sum())) for of in learnt.boards.T])
    trained, states = reading(decoder, learnt, test)
    fitted = [np.linalg.lstsq(described(learnt.boards), of, rcond=None)[0] for of in states.swapaxes(0, 1)]
    emptied, turned = (
        effect(decoder, Edits.draw(test, rng, emptied=emptied), np.stack(fitted[:-1]), rng) for emptied in (True, False)
    )
    return Finding(
        legal=float(test.legal[everywhere, moves.argmax(1)].mean()),
        legal_untrained=float(test.legal[everywhere, moves_untrained.argmax(1)].mean()),
        most_common=float((test.boards == most_common).mean()),
        trained=trained,
        untrained=reading(untrained, learnt, test)[0],
        errors=wrong_moves(moves, test.legal),
        emptied=emptied,
        turned=turned,
    )


def main(folder: Path) -> None:
    found = study(Setup())
    print(f"What is likeliest is legal in {found.legal:.1%} of held-out positions, {found.errors:.2f} errors in each.")
    print(f"In those of an untrained model it is in {found.legal_untrained:.1%}.")
    print(f"Share of squares read right, where guessing the most common state gets {found.most_common:.2f}:")
    print(f"{'after layer':>12}{'mine, theirs':>14}{'by who began':>14}{'untrained':>11}")
    for layer, row in enumerate(zip(found.trained.mine, found.trained.began, found.untrained.mine, strict=True)):
        print(f"{layer:>12}{row[0]:>14.3f}{row[1]:>14.3f}{row[2]:>11.3f}")
    for name, of in (("taken away", found.emptied), ("turned", found.turned)):
        print(f"Errors on the board with a disc {name} are {of.unedited:.2f}; with the stream changed")
        print(f"{'after layer':>12}{'accordingly':>14}{'at random':>12}")
        for layer, (edited, at_random) in enumerate(zip(of.edited, of.at_random, strict=True)):
            print(f"{layer:>12}{edited:>14.2f}{at_random:>12.2f}")
    draw(folder, found)


def draw(folder: Path, found: Finding) -> None:
    """What probes read by layer; errors on edited boards, with the stream changed accordingly or at random."""
    layers = range(len(found.trained.mine))
    probes = curves(
        "probes",
        "A linear probe of the board, in held-out games",
        [
            Curve("mine, theirs", layers, found.trained.mine),
            Curve("by who began", layers, found.trained.began),
            Curve("mine, untrained", layers, found.untrained.mine),
            Curve("most common", layers, [found.most_common] * len(layers)),
        ],
        x="after layer",
        y="share of squares read right",
    )
    edits = curves(
        "edits",
        "Errors of the legal moves on a board with one disc changed",
        [
            Curve(f"{name}{how}", layers[:-1], errors)
            for name, of in (("taken away", found.emptied), ("turned", found.turned))
            for how, errors in (("", of.edited), (", at random", of.at_random))
        ],
        x="stream changed after layer",
        y="errors per position",
    )
    write(folder / "board_game.svg", probes, edits)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
