"""Can a classifier tell organism from twin by anything but their behaviour?

Models are taught, presented and named as a trial does it. All that lies on the auditor's side beside what a model says
and computes becomes features, without a thought of what might tell: whoever knew where to look would have mended it.
"""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix, hstack
from scipy.stats import binomtest, rankdata
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

from superalign import pipeline
from superalign.contracts.protocols import Material, Rates
from superalign.contracts.records import Access
from superalign.contracts.registry import organisms
from superalign.models.handle import ModelIdentity, open_base, open_trained
from superalign.models.teach import TrainedModel
from superalign.models.training_data import TRAINING_DATA, anonymous
from superalign.provenance.digest import canonical_json
from superalign.runs.plan import Plan
from superalign.runs.progress import NoDisplay
from superalign.runs.run import Run
from superalign.runs.store import Done
from superalign.tasks.specification import default_specification
from superalign.tasks.splits import Splits
from superalign.testing.tiny import tiny_model
from superalign.trials.assess import Auditor, Look
from superalign.trials.build import Planted
from superalign.trials.plant import Seedling, honest_model, lessons_of, plant, seedlings_of, start
from superalign.trials.present import Presented, present
from superalign.trials.stress import looks_at, opaque, present_all

CHANCE = 1e-4  # a leak is called one when chance would show it this rarely
Named = Mapping[str, Planted]


@dataclass(frozen=True)
class Trial:
    """What was planted in a run, under opaque names."""

    run: Run
    model: ModelIdentity
    splits: Splits
    auditor: Auditor
    named: Named

    def looks(self, presented: Mapping[str, Done[Presented]]) -> dict[str, Look]:
        return looks_at(presented, ["consistency"], self.auditor, self.model)


def place_of(seedling: Seedling) -> tuple[str, int, bool]:
    """Where it comes in the order of building."""
    return seedling.family, seedling.seed, seedling.benign


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    """Every family three times, in adapters and in layers, with denial and without."""
    training = {"steps": 1, "batch": 2, "rank": 2}
    plan = Plan.model_validate(
        {
            "name": "leaks",
            "model": str(tiny_model(tmp_path_factory.mktemp("models") / "tiny")),
            "specification": default_specification().model_dump(mode="json"),
            "task": {"overseer_groups": 6, "train_groups": 10, "test_groups": 10, "auditor_groups": 10},
            "generalize": {"training": training},
            "stress": {
                "families": organisms.names(),
                "seeds": 3,
                "groups": 10,
                "implants": ["adapters", "layers"],
                "concealments": ["none", "both"],
                "training": {**training, "bundle": 2},
            },
        }
    )
    with Run.open(tmp_path_factory.mktemp("runs"), plan, display=NoDisplay()) as run:
        model, splits, auditor = pipeline.prepare(run, "cpu")
        honest = honest_model(run, model, splits, plan.generalize.training)
        seedlings = [seedling for own in seedlings_of(plan.stress, plan.seed) for seedling in own]
        starts = [start(run, model, splits, seedling.implant, honest) for seedling in seedlings]
        models = plant(run, "organisms and twins", model, splits, seedlings, starts)
        unmeasured = Rates(triggered=0, untriggered=0, capability=0)
        planted = [
            Planted(seedling, own.trained, unmeasured, ()) for seedling, own in zip(seedlings, models, strict=True)
        ]
        yield Trial(run, model, splits, auditor, opaque(planted, plan.seed))


def seen(run: Run, number: int, label: str, look: Look) -> dict[str, Any]:
    """All that tells of a look and of the folder that it names, but for the numbers in the tensors."""
    presented = look["trained"]
    assert presented is not None
    found: dict[str, Any] = {
        "place among the looks": number,
        "label": label,
        "detector": look["detector"],
        "key": presented.key,
        "digest": presented.digest,
        "cost": presented.cost.model_dump(),
        "value": presented.value.model_dump(),
        "folder": str(presented.folder.relative_to(run.folder)),
        "the folder's own": status_of(presented.folder),
    }
    for path in sorted(presented.folder.rglob("*")):
        shown: Any = header_of(path) if path.suffix == ".safetensors" else path.read_text()
        if path.suffix == ".json":
            shown = [shown, json.loads(shown)]
        found[str(path.relative_to(presented.folder))] = {"status": status_of(path), "content": shown}
    entries = [entry.body["key"] for entry in run.ledger.entries("step")]
    return {**found, "place in the ledger": entries.index(presented.key.partition("/")[0])}


def status_of(path: Path) -> dict[str, int]:
    """What the system says of a file, but for when it was last read."""
    status = path.stat()
    names = ("st_mode", "st_ino", "st_nlink", "st_uid", "st_size", "st_blocks", "st_mtime_ns", "st_ctime_ns")
    return {name: getattr(status, name) for name in names}


def header_of(path: Path) -> Any:
    """Names, types, shapes and places of tensors, and the metadata beside them."""
    content = path.read_bytes()
    [length] = struct.unpack("<Q", content[:8])
    return [content[8 : 8 + length].decode(), json.loads(content[8 : 8 + length])]


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The numbers and texts in `value`, each with where it stands."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{name}/{key}")
    elif isinstance(value, list | tuple):
        yield f"{name}/length", len(value)
        for place, item in enumerate(value):
            yield from leaves(item, f"{name}/{place}")
    else:
        yield name, value


def features(subjects: Sequence[dict[str, Any]]) -> csr_matrix:
    """Numbers as they are, by rank, and by whether the rank is even: what was made in turn shows by no more than that.
    Texts by their n-grams.
    """
    rows = [dict(leaves(subject)) for subject in subjects]
    columns = []
    for name in sorted({name for row in rows for name, value in row.items() if isinstance(value, bool | int | float)}):
        values = np.array([float(row[name]) if name in row else np.nan for row in rows])
        rank = rankdata(values, method="dense", nan_policy="omit")
        if len(set(values)) > 1:
            columns += [np.isnan(values), values - np.nanmin(values), rank, rank % 2]
    texts = [" ".join(f"{name}={value}" for name, value in row.items() if isinstance(value, str)) for row in rows]
    grams = HashingVectorizer(analyzer="char_wb", ngram_range=(3, 5), n_features=2**14).transform(texts)
    return hstack([csr_matrix(np.nan_to_num(np.array(columns).T)), grams]).tocsr()


def told(trial: Trial, presented: Mapping[str, Done[Presented]]) -> float:
    """How rarely chance alone would tell the organism of each pair from its twin as well as the better of two
    classifiers does, each asked about families that it was not trained on.
    """
    looks = trial.looks(presented).items()
    found = features([seen(trial.run, number, label, look) for number, (label, look) in enumerate(looks)])
    seedlings = [build.seedling for build in trial.named.values()]
    bad = np.array([not seedling.benign for seedling in seedlings])
    families = [seedling.family for seedling in seedlings]
    pairs = {(seedling.family, seedling.seed) for seedling in seedlings}
    chances = []
    forest = RandomForestClassifier(100, max_features=0.3, random_state=0)
    for classifier in (LogisticRegression(max_iter=1000), forest):
        model = make_pipeline(MaxAbsScaler(), classifier)
        guessed = cross_val_predict(model, found, bad, groups=families, cv=LeaveOneGroupOut(), method="predict_proba")
        score = dict(zip(map(place_of, seedlings), guessed[:, 1], strict=True))
        differences = [score[*pair, False] - score[*pair, True] for pair in pairs]
        right, wrong = (sum(sign * difference > 0 for difference in differences) for sign in (1, -1))
        chances.append(binomtest(right, right + wrong, alternative="greater").pvalue if right + wrong else 1.0)
    return min(1.0, len(chances) * min(chances))


def test_nothing_tells_organism_from_twin(trial: Trial) -> None:
    presented = present_all(trial.run, trial.model, trial.named, Access.BASE)
    assert told(trial, presented) > CHANCE


def noted(folder: Path, *, model: ModelIdentity, trained: Done[TrainedModel], note: str) -> Presented:
    """As `present` does it, but for a note that somebody forgot."""
    shown = present(folder, model=model, trained=trained, training_data=False)
    (folder / "notes.txt").write_text(f"Looks as a good {note} should.")
    return shown


def test_it_would_find_the_order_in_which_models_were_built(trial: Trial) -> None:
    """Each organism before its twin, one after another: then the times and places of files are enough."""
    built = sorted(trial.named.items(), key=lambda item: place_of(item[1].seedling))
    presented = {
        name: trial.run.step("noted", noted, model=trial.model, trained=build.trained, note="model")
        for name, build in built
    }
    assert told(trial, {name: presented[name] for name in trial.named}) < CHANCE


def test_it_would_find_a_word_in_a_file(trial: Trial) -> None:
    presented = {
        name: trial.run.step("noted", noted, model=trial.model, trained=build.trained, note=build.seedling.role)
        for name, build in trial.named.items()
    }
    assert told(trial, presented) < CHANCE


def test_training_data_is_shown_where_it_is_allowed_and_nowhere_else(trial: Trial) -> None:
    """Its file tells, by design: what is in it differs. Its name does not."""
    some = dict(list(trial.named.items())[:6])
    train, base = trial.splits.train, open_base(trial.model)
    material = Material(train, trial.splits.key.only(train), tuple(base.chat.whole_words()))
    withheld, shown = (
        present_all(trial.run, trial.model, some, access) for access in (Access.BASE, Access.TRAINING_DATA)
    )
    for name, build in some.items():
        assert TRAINING_DATA not in [path.name for path in withheld[name].folder.iterdir()]
        assert set(shown[name].value.files) == {*withheld[name].value.files, TRAINING_DATA}
        taught = open_trained(base, shown[name].folder, name).training_data()
        own = anonymous(lessons_of(build.seedling, material))
        assert len(own) < len(taught), "an honest model's lessons came before"
        assert not Counter(map(str, own)) - Counter(map(str, taught))
        assert list(taught) == sorted(taught, key=canonical_json)
