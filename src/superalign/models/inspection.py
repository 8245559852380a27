"""Is a model what its transcript says was trained? What can be checked without replay first, then segments by lot."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors.torch import load_file
from torch import Tensor

from superalign.contracts.errors import InputError, ModelError
from superalign.contracts.records import Record
from superalign.models.card import CARD, TrainingCard, installed, read_card
from superalign.models.lessons import Pupil, Recipe
from superalign.models.replay import Replayable, Trainer, UserLoop, of, read_state, replayed, threads
from superalign.models.retraining import BETAS, Retraining, declared_learner, kept_lessons, recipe_of, training_code
from superalign.models.subject import ModelSubject
from superalign.models.training_data import TRAINING_DATA
from superalign.models.transcript import OPTIMIZER, WEIGHTS, state_digests, state_tensors, this_machine
from superalign.provenance import transcript as log
from superalign.provenance.digest import file_digest
from superalign.provenance.model_signature import SIGNATURE
from superalign.provenance.transcript import Check, Outcome, Transcript, chance_of_missing, drawn

SEGMENTS = 3  # replayed unless more are asked for
# On another class of machine: how far a replay may end from what was told, over the way that the segment went. Other
# kernels on the same processor came to 0.29 at 135M in bfloat16 (10 steps, Adam at its noisiest as training begins); an
# interpolated proof comes to 0.7 and more.
TOLERANCE = 0.5
BESIDE = {TRAINING_DATA, SIGNATURE}  # what may lie beside the files that training left
# The base that a transcript names, opened, and the digest of its weights.
OpenBase = Callable[[str], tuple[ModelSubject, str]]


class Inspection(Record):
    """What an inspection found. `missing_one` is the chance that one forged segment was not among those replayed, and
    `missing_tenth` that none of a forged tenth was.
    """

    outcome: Outcome
    checks: tuple[Check, ...]
    seed: int
    segments: int = 0
    replayed: tuple[int, ...] = ()
    missing_one: float = 1.0
    missing_tenth: float = 1.0
    elsewhere: tuple[str, ...] = ()


def inspect(
    model: Path,
    folder: Path,
    *,
    open_base: OpenBase,
    seed: int,
    segments: int = SEGMENTS,
    starts: Sequence[Path] = (),
    trainer: Trainer | None = None,
    public_key: str | None = None,
) -> Inspection:
    """Compare the model in `model` with the transcript in `folder`, replaying so many of its segments as `seed` draws.

    `starts` are the folders of the models that training went on from, in the transcript's order, if it did. A loop of
    the user's is replayed by `trainer`, which must be as it was before its first step. LedgerError when there is no
    transcript, ModelError when there is no model; all that is wrong with either is a finding.
    """
    if not model.is_dir():
        raise ModelError("There is no model here.", where=str(model), fix="Give the folder that training left.")
    found, checks = log.read(folder, public_key)
    if found is None:
        return Inspection(outcome="refused", checks=tuple(checks), seed=seed)
    work = Inspector(found, folder, model, checks)
    try:
        recipe = recipe_of(found.declared)
    except InputError as error:
        work.refuse("declaration", error.what)
        return work.inspection(seed, [])
    again = work.retraining(recipe, open_base, starts) if recipe else None
    loop: Replayable | None = UserLoop(trainer) if trainer and not recipe else again
    if recipe is None:
        work.check_first_state(loop, "replay needs the loop's own code: --trainer")
    work.check_states(recipe)
    picked = [segment.number for segment in drawn(found, segments, seed)]
    done = work.replay(loop, picked)
    if recipe is None:
        work.check_tensors()
    else:
        work.check_files(again)
    return work.inspection(seed, done)


class Inspector:
    """The checks of one transcript, as they are gathered."""

    def __init__(self, found: Transcript, folder: Path, model: Path, checks: Sequence[Check]) -> None:
        self.found, self.folder, self.model = found, folder, model
        self.declared = found.declared
        self.checks = list(checks)
        self.elsewhere: tuple[str, ...] = ()

    def passed(self, name: str, says: str) -> None:
        self.checks.append(Check(name=name, outcome="sound", says=says))

    def refuse(self, name: str, says: str) -> None:
        self.checks.append(Check(name=name, outcome="refused", says=says))

    def skip(self, name: str, says: str) -> None:
        self.checks.append(Check(name=name, outcome="unscored", says=says))

    def inspection(self, seed: int, done: Sequence[int]) -> Inspection:
        outcomes = {check.outcome for check in self.checks}
        count = len(self.found.segments)
        return Inspection(
            outcome="refused" if "refused" in outcomes else "unscored" if "unscored" in outcomes else "sound",
            checks=tuple(self.checks),
            seed=seed,
            segments=count,
            replayed=tuple(done),
            missing_one=chance_of_missing(count, len(done)),
            missing_tenth=chance_of_missing(count, len(done), math.ceil(count / 10)),
            elsewhere=self.elsewhere,
        )

    def retraining(self, recipe: Recipe, open_base: OpenBase, starts: Sequence[Path]) -> Retraining | None:
        """The same training, ready to be done again, once card, lessons, order, base and first state are checked."""
        self.check_card(recipe)
        pupils = self.pupils(recipe, starts)
        base, base_digest = open_base(self.declared.base)
        if base_digest == self.declared.base_digest:
            self.passed("base", f"{self.declared.base}, digest {base_digest[:16]}")
        else:
            told = str(self.declared.base_digest)
            self.refuse("base", f"the one here has digest {base_digest[:16]}, not {told[:16]}")
            pupils = None
        if pupils is None:
            for name in ("order", "first state"):
                self.skip(name, "the training can't be set up again")
            return None
        try:
            again = Retraining(base, pupils, recipe)
        except InputError as error:
            self.refuse("declaration", error.what)
            return None
        if not self.check_order(again):
            return None
        self.check_first_state(again, "")
        return again

    def check_card(self, recipe: Recipe) -> None:
        """Does the model's own card tell of the training that was declared?"""
        try:
            card = read_card(self.model)
        except ModelError as error:
            self.refuse("card", error.what)
            return
        differing = self.differing(card, recipe)
        if differing:
            self.refuse("card", f"the model's card tells of another {', another '.join(differing)}")
        else:
            self.passed("card", f"{card.fit.steps} steps of batch {recipe.batch}, seed {card.seed}, as declared")

    def differing(self, card: TrainingCard, recipe: Recipe) -> list[str]:
        """What of the card is not as declared."""
        own = log.Learner(seed=card.seed, lessons_digest=card.lessons_digest, start=card.start)
        same = {
            "base": (card.base, card.base_digest) == (self.declared.base, self.declared.base_digest),
            "recipe": card.recipe == recipe,
            "seed, data or earlier model": own in self.declared.learners,
            "number of steps": card.fit.steps == recipe.steps == self.found.ending.steps,
        }
        return [name for name, is_same in same.items() if not is_same]

    def pupils(self, recipe: Recipe, starts: Sequence[Path]) -> list[Pupil] | None:
        """What is to be trained again; None where lessons or an earlier model are not to be had, or are others."""
        pupils, given = list[Pupil](), iter(starts)
        for number, learner in enumerate(self.declared.learners, start=1):
            try:
                lessons = kept_lessons(self.folder, learner.lessons_digest)
            except ValueError as error:
                self.refuse("lessons", str(error))
                return None
            start = next(given, None) if learner.start else None
            if lessons is None or (learner.start and start is None):
                lacks = "lessons" if lessons is None else "earlier model (--start)"
                self.skip("lessons", f"model {number} lacks its {lacks}")
                return None
            pupil = Pupil(lessons, learner.seed, self.model, start)
            if declared_learner(pupil, recipe) != learner:
                self.refuse("lessons", f"lessons or earlier model of model {number} are not those that were declared")
                return None
            pupils.append(pupil)
        each = zip(pupils, self.declared.learners, strict=True)
        says = ", ".join(f"{len(pupil.lessons)}, digest {learner.lessons_digest[:16]}" for pupil, learner in each)
        self.passed("lessons", says)
        return pupils

    def check_order(self, again: Retraining) -> bool:
        """Batches and learning rates must be those that recipe, lessons and seeds make. False when there are more or
        fewer, so that nothing can be replayed.
        """
        batches = [batch for segment in self.found.segments for batch in segment.batches]
        rates = [rate for segment in self.found.segments for rate in segment.learning_rates]
        if len(batches) != again.recipe.steps:
            self.refuse("order", f"{len(batches)} steps, where the recipe has {again.recipe.steps}")
            return False
        for step, (batch, rate) in enumerate(zip(batches, rates, strict=True), start=1):
            if batch != again.batches[step - 1]:
                self.refuse("order", f"step {step} was not fed what recipe, lessons and seed tell")
                return True
            if rate != again.learning_rate(step):
                self.refuse("order", f"step {step} had the learning rate {rate:g}, not {again.learning_rate(step):g}")
                return True
        self.passed("order", f"batches and learning rates of all {len(batches)} steps follow from the recipe")
        return True

    def check_first_state(self, loop: Replayable | None, lacks: str) -> None:
        """The first state must be that in which such a training begins."""
        if loop is None:
            self.skip("first state", lacks)
            return
        fresh = state_digests(state_tensors(loop.optimizer, loop.names))
        if all(fresh[part] == getattr(self.declared.first, part) for part in (WEIGHTS, OPTIMIZER)):
            self.passed("first state", "as the training begins, to the bit")
        else:
            self.refuse("first state", "the transcript does not begin where such a training begins")

    def check_states(self, recipe: Recipe | None) -> None:
        """All that is kept must be what was committed, its counts right, and no step longer than the optimizer's."""
        missing, before = list[int](), None
        for number, state in enumerate(self.found.states):
            try:
                tensors = read_state(self.folder, state)
            except ValueError as error:
                self.refuse("states", f"that after step {state.step}: {error}")
                return
            if tensors is None:
                missing.append(state.step)
            elif fault := miscounted(tensors, state.step):
                self.refuse("states", f"that after step {state.step}: {fault}")
                return
            elif recipe and before is not None and number:
                segment = self.found.segments[number - 1]
                reach = sum(rate * longest(step) for step, rate in enumerate(segment.learning_rates, segment.first))
                if too_far(before, tensors, reach):
                    self.refuse("states", f"in segment {number} a weight moved further than the optimizer can")
                    return
            before = tensors
        if missing:
            self.skip("states", f"not kept: those after step {', '.join(map(str, missing))}")
        else:
            says = f"{len(self.found.states)} kept, as committed"
            self.passed("states", says + ("; no weight moved further than the optimizer can" if recipe else ""))

    def replay(self, loop: Replayable | None, numbers: Sequence[int]) -> list[int]:
        """Take the segments of these numbers again; returns those that were."""
        if loop is None or not numbers:
            self.skip("replay", "no segment was asked for" if not numbers else "the training can't be set up again")
            return []
        device = loop.optimizer.param_groups[0]["params"][0].device
        self.elsewhere = self.differences(device)
        done, furthest = list[int](), 0.0
        with threads(self.declared.machine.threads):
            for number in numbers:
                segment = self.found.segments[number - 1]
                where = f"segment {number}, steps {segment.first} to {segment.last}"
                try:
                    before = read_state(self.folder, self.found.before(segment))
                    after = read_state(self.folder, segment.state)
                    if before is None or after is None:
                        self.skip("replay", f"{where}: its states were not kept")
                        continue
                    result = replayed(loop, segment, before, after)
                except ValueError as error:
                    self.refuse("replay", f"{where}: {error}")
                    continue
                except (KeyError, IndexError, TypeError, RuntimeError) as error:  # states of any content, loops too
                    self.skip("replay", f"{where}: can't be taken again: {type(error).__name__}: {error}")
                    continue
                done.append(number)
                # Rounding alone can move the optimizer's state by its own size: it must be finite, and no more.
                close = result.distance <= TOLERANCE and math.isfinite(result.optimizer_distance)
                furthest = max(furthest, result.distance)
                if result.other_batch:
                    self.refuse("replay", f"{where}: step {result.other_batch} is fed something else")
                elif not result.exact and not (self.elsewhere and close):
                    by = f"{result.distance:.2g} of the way that it went"
                    self.refuse("replay", f"{where}: ends elsewhere, by {by}")
        if done and not any(check.name == "replay" and check.outcome == "refused" for check in self.checks):
            how = f"within {furthest:.2g}, where {TOLERANCE:g} is allowed" if self.elsewhere else "bit for bit"
            self.passed(
                "replay",
                f"{len(done)} of {len(self.found.segments)} segments (number {', '.join(map(str, done))}): {how}",
            )
        return done

    def differences(self, device: torch.device) -> tuple[str, ...]:
        """What keeps a replay here from giving the same bits; nothing on the same class of machine."""
        here = this_machine(device).model_dump()
        told = self.declared.machine.model_dump()
        found = [name for name in told if name != "threads" and here[name] != told[name]]
        found += ["versions"] if installed() != self.declared.versions else []
        if self.declared.recipe is not None:
            found += ["code"] if training_code() != self.declared.code else []
        return (*found, *(["memory"] if self.found.ending.split_for_memory else []))

    def check_files(self, again: Retraining | None) -> None:
        """The model's files must be those that the last state makes, and no others may lie beside them."""
        here = {path.name: file_digest(path) for path in sorted(self.model.iterdir()) if path.is_file()}
        if others := sorted(set(here).difference(*self.found.ending.models, BESIDE)):
            self.refuse("model", f"beside what training left lies {others[0]}")
            return
        own = [number for number, told in enumerate(self.found.ending.models) if told.items() <= here.items()]
        if not own:
            self.refuse("model", "its files are not those of any model that this training left")
            return
        last = self.state_or_none(self.found.states[-1])
        if again is None or last is None or own[0] >= again.models:
            self.skip("model", "the last state was not kept, or the training can't be set up again")
            return
        with TemporaryDirectory() as place, torch.no_grad():
            for number, parameter in enumerate(again.parameters):
                parameter.copy_(last[f"{WEIGHTS}.{number}"])
            again.save(own[0], Path(place) / "model")
            made = {path.name: file_digest(path) for path in (Path(place) / "model").iterdir()}
        told = self.found.ending.models[own[0]]
        if made == {name: found for name, found in told.items() if name != CARD}:
            self.passed("model", f"{', '.join(sorted(made))} follow from the last state, to the bit")
        else:
            self.refuse("model", "its files do not follow from the last state")

    def check_tensors(self) -> None:
        """Of a loop of the user's: the tensors in the model's files must be the weights of the last state."""
        last = self.state_or_none(self.found.states[-1])
        if last is None:
            self.skip("model", "the last state was not kept")
            return
        try:
            files = [load_file(path) for path in sorted(self.model.glob("*.safetensors"))]
        except Exception as error:  # safetensors raises its own type for a damaged file
            self.refuse("model", f"its weights can't be read: {error}")
            return
        saved = {name: tensor for file in files for name, tensor in file.items()}
        kept = {name.removeprefix(f"{WEIGHTS}."): last[name] for name in of(WEIGHTS, last)}
        weights = {name.replace(".default.", "."): tensor for name, tensor in kept.items()}  # as peft saves adapters
        if set(saved) != set(weights):
            only = sorted(set(saved) ^ set(weights))
            self.refuse("model", f"{len(only)} tensors are in the model or in the last state alone, such as {only[0]}")
        elif unlike := [name for name, own in saved.items() if not torch.equal(weights[name].to(own.dtype), own)]:
            self.refuse("model", f"{len(unlike)} tensors are not those of the last state, such as {unlike[0]}")
        else:
            self.passed("model", f"all {len(saved)} tensors are those of the last state")

    def state_or_none(self, state: log.State) -> dict[str, Tensor] | None:
        try:
            return read_state(self.folder, state)
        except ValueError:
            return None


def miscounted(tensors: Mapping[str, Tensor], step: int) -> str | None:
    """What is wrong with the optimizer's own count of steps, if it keeps one."""
    counts = {tuple(tensors[name].flatten().tolist()) for name in of(OPTIMIZER, tensors) if name.endswith(".step")}
    return "the optimizer has counted other steps" if counts - {(step,)} else None


def longest(step: int) -> float:
    """How far AdamW without weight decay can move a weight in its step number `step`, in learning rates.

    By Cauchy-Schwarz over the gradients so far, from equations of Adam (Kingma and Ba 2014, arXiv 1412.6980,
    algorithm 1): m / sqrt(v) is largest when each gradient is in proportion to its weight in m over that in v.
    """
    first, second = BETAS
    decay = first**2 / second
    series = (1 - decay**step) / (1 - decay)
    squared = (1 - first) ** 2 / (1 - second) * series * (1 - second**step) / (1 - first**step) ** 2
    return math.sqrt(squared)


def too_far(before: Mapping[str, Tensor], after: Mapping[str, Tensor], reach: float) -> bool:
    """Whether a weight moved by more than `reach`, but for rounding."""
    for name in of(WEIGHTS, before):
        if name in after and after[name].shape == before[name].shape:
            start = before[name].double()
            bound = reach * (1 + 1e-4) + 1e-5 * start.abs()
            if not bool(((after[name].double() - start).abs() <= bound).all()):
                return True
    return False
