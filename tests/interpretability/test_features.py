"""Sparse features: gradients against autograd, planted directions found again, and what is written to disk."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from superalign.contracts.errors import InputError
from superalign.interpretability import feature_training
from superalign.interpretability.feature_training import Learner, Training, batches, moments, started, train
from superalign.interpretability.features import Active, SparseAutoencoder, Uses, largest

WIDTH, PLANTED = 24, 32
SMALL = Training(features=48, active=4, rows=2**16, batch=128, learning_rate=1e-2)


def planted(rows: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Directions, and rows that are sums of three of them about a far-off mean."""
    directions = nn.functional.normalize(torch.randn(PLANTED, WIDTH, generator=torch.Generator().manual_seed(9)), dim=1)
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.rand(rows, PLANTED, generator=generator).topk(3, dim=1).indices
    strength = torch.zeros(rows, PLANTED).scatter_(1, chosen, 1 + torch.rand(rows, 3, generator=generator))
    return directions, strength @ directions + 30


@pytest.fixture(scope="module")
def trained() -> SparseAutoencoder:
    return train([planted(4096)[1]], SMALL)


def test_planted_directions_are_found_again(trained: SparseAutoencoder) -> None:
    directions, held_out = planted(1024, seed=1)
    assert trained.explained_variance([held_out]) > 0.9
    assert float(((directions @ trained.decoder.T).amax(1) > 0.9).float().mean()) > 0.8
    torch.testing.assert_close(trained.decoder.norm(dim=1), torch.ones(len(trained)))


def test_what_the_mean_explains_does_not_count(trained: SparseAutoencoder) -> None:
    """About zero, a mean of 30 in every direction would explain nearly all."""
    rows = planted(512)[1]
    says_the_mean = SparseAutoencoder(
        rows.mean(0), trained.scale, 0 * trained.encoder, trained.bias * 0 - 1, trained.decoder, trained.active
    )
    assert abs(says_the_mean.explained_variance([rows[:100], rows[100:]])) < 1e-4
    with pytest.raises(InputError, match="do not vary"):
        trained.explained_variance([torch.ones(5, WIDTH)])


def test_a_row_has_the_same_features_in_any_company(trained: SparseAutoencoder) -> None:
    rows = planted(64, seed=2)[1]
    together, alone = trained.encode(rows), [trained.encode(row[None]) for row in rows]
    dense = torch.zeros(64, len(trained)).scatter_(1, together.index, together.value)
    for row, one in zip(dense, alone, strict=True):
        torch.testing.assert_close(torch.zeros(len(trained)).scatter_(0, one.index[0], one.value[0]), row)
    assert len(trained.encode(rows[:0]).index) == 0
    assert trained.decode(Active(together.index[:0], together.value[:0])).shape == (0, WIDTH)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**31), st.integers(1, 6), st.integers(1, 240), st.integers(1, 20))
def test_the_largest_are_those_of_topk(seed: int, rows: int, columns: int, count: int) -> None:
    count = min(count, columns)
    # Few different numbers: ties everywhere.
    values = torch.randint(-9, 9, (rows, columns), generator=torch.Generator().manual_seed(seed)).float()
    found, index = largest(values, count)
    assert torch.equal(found.sort(1).values, values.topk(count, dim=1).values.sort(1).values)
    assert torch.equal(values.gather(1, index), found)
    assert all(len(set(row)) == count for row in index.tolist())


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**31), st.integers(1, 9), st.integers(1, 5))
def test_sparse_products_are_the_dense_ones(seed: int, rows: int, active: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    index = torch.rand(rows, 7, generator=generator).topk(active, dim=1).indices
    value, given_rows, directions = (
        torch.randn(*shape, generator=generator) for shape in ((rows, active), (rows, 6), (7, 6))
    )
    uses, dense = Uses(index, 7), torch.zeros(rows, 7).scatter_(1, index, value)
    torch.testing.assert_close(uses.products(given_rows, directions), (given_rows @ directions.T).gather(1, index))
    torch.testing.assert_close(uses.mixed(value, directions), dense @ directions)
    torch.testing.assert_close(uses.gathered(value, given_rows), dense.T @ given_rows)
    torch.testing.assert_close(uses.totals(value), dense.sum(0))


def test_gradients_are_those_of_autograd() -> None:
    rows = torch.randn(40, WIDTH, generator=torch.Generator().manual_seed(3))
    learner = Learner(started(*moments([rows]), SMALL, torch.Generator().manual_seed(4)))
    learner.autoencoder.bias.normal_(std=0.1, generator=torch.Generator().manual_seed(5))
    learner.quick = torch.float32  # else rounding chooses other features than below
    parts = [part.clone().requires_grad_() for part in learner.trained]
    logits = rows @ parts[0].T + parts[1]
    index = logits.topk(SMALL.active, dim=1).indices
    kept = torch.zeros_like(logits).scatter(1, index, logits.gather(1, index).relu())
    (rows - kept @ parts[2]).square().sum(1).mean().backward()

    missed = learner.gradients(rows)
    torch.testing.assert_close(missed, (rows - kept @ parts[2]).detach())
    for part, expected in zip(learner.trained, parts, strict=True):
        assert part.grad is not None
        torch.testing.assert_close(part.grad, expected.grad, atol=1e-6, rtol=1e-4)


def test_choosing_in_bfloat16_costs_next_to_nothing(
    trained: SparseAutoencoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, held_out = planted(4096)[1], planted(1024, seed=1)[1]
    explained = []
    for quick in (torch.float32, torch.bfloat16):
        monkeypatch.setattr(feature_training, "quick_type", lambda _, quick=quick: quick)
        explained.append(train([rows], SMALL).explained_variance([held_out]))
    assert abs(explained[0] - explained[1]) < 0.02


def test_features_that_never_fire_are_revived() -> None:
    rows = planted(2048)[1]
    learner = Learner(started(*moments([rows]), SMALL, torch.Generator().manual_seed(4)))
    dead = slice(0, 30)
    learner.autoencoder.bias[dead] = -100
    standard = learner.autoencoder.standardized(rows)
    missed = learner.step(standard, 1e-3)
    assert not learner.fired[dead].any()
    assert learner.revive(missed, torch.Generator().manual_seed(0)) >= 30
    assert not learner.optimizer.state[learner.autoencoder.encoder]["exp_avg"][dead].any()
    learner.step(standard, 1e-3)
    assert learner.fired[dead].float().mean() > 0.9


def test_the_same_seed_finds_the_same_features() -> None:
    rows, short = planted(512)[1], Training(features=48, active=4, rows=2048, batch=64)
    first, again = (train([rows[:200], rows[200:]], short) for _ in range(2))
    other = train([rows[:200], rows[200:]], Training(features=48, active=4, rows=2048, batch=64, seed=1))
    assert torch.equal(first.encoder, again.encoder) and torch.equal(first.decoder, again.decoder)
    assert not torch.equal(first.decoder, other.decoder)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(1, 12), st.integers(0, 99))
def test_every_row_comes_once_each_time_round(sizes: list[int], size: int, seed: int) -> None:
    total = sum(sizes)
    shards = list(torch.arange(total).float()[:, None].split(sizes))
    rounds = size  # so that whole batches fill them
    found = list(islice(batches(shards, size, torch.Generator().manual_seed(seed)), total * rounds // size))
    assert all(len(batch) == size for batch in found)
    assert torch.bincount(torch.cat(found)[:, 0].long(), minlength=total).tolist() == [rounds] * total


def test_shards_are_read_a_pool_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_training, "POOL_BYTES", 2 * 10 * 4)
    shards = list(torch.arange(40).float()[:, None].split(10))
    found = torch.cat(list(islice(batches(shards, 5, torch.Generator().manual_seed(0)), 8)))[:, 0]
    assert sorted(found.tolist()) == list(range(40))
    assert len({int(row) // 10 for row in found[:20].tolist()}) == 2


def test_the_rate_rises_and_falls() -> None:
    rates = [SMALL.rate(step) for step in range(SMALL.steps)]
    assert 0 < rates[0] < 0.1 * SMALL.learning_rate
    assert max(rates) == rates[SMALL.steps // 2] == SMALL.learning_rate
    assert 0 < rates[-1] < 0.02 * SMALL.learning_rate


def test_what_is_saved_is_loaded(trained: SparseAutoencoder, tmp_path: Path) -> None:
    path = tmp_path / "features.safetensors"
    trained.save(path)
    loaded = SparseAutoencoder.load(path)
    rows = planted(16, seed=5)[1]
    assert torch.equal(loaded.decode(loaded.encode(rows)), trained.decode(trained.encode(rows)))


def test_a_file_that_is_no_features_is_refused(trained: SparseAutoencoder, tmp_path: Path) -> None:
    path = tmp_path / "features.safetensors"
    with pytest.raises(InputError, match="no such file"):
        SparseAutoencoder.load(path)
    trained.save(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="can't be read"):
        SparseAutoencoder.load(path)
    save_file({"mean": torch.zeros(3)}, path)
    with pytest.raises(InputError, match="lacks active, bias"):
        SparseAutoencoder.load(path)


@pytest.mark.parametrize(
    ("shards", "says"),
    [
        ([torch.empty(0, 4)], "no activations"),
        ([torch.ones(8, 4)], "do not vary"),
        ([torch.randn(8, 4), torch.full((1, 4), torch.nan)], "not finite"),
    ],
)
def test_activations_that_say_nothing_are_refused(shards: list[Tensor], says: str) -> None:
    with pytest.raises(InputError, match=says):
        train(shards, SMALL)


def test_arguments_that_make_no_sense_are_refused(trained: SparseAutoencoder) -> None:
    with pytest.raises(InputError, match="can't be active"):
        Training(features=8, active=9)
    with pytest.raises(InputError, match="make no batch"):
        Training(features=8, active=2, rows=10, batch=11)
    with pytest.raises(InputError, match="width 24"):
        trained.encode(torch.zeros(2, 5))
