"""Hidden operations as a task, and what it does to a predictor."""

from __future__ import annotations

from typing import cast

import pytest
import torch

from graphnas import create_model, get_space
from graphnas.errors import InvalidValues
from graphnas.models import GIN, Predictor
from graphnas.spaces import OUTPUT
from graphnas.testing import mixed_batch, seeded
from graphnas.train.predictor import fit_predictor
from graphnas.train.pretrain import MaskedOps, pretrain


def model_of(name: str, space: str, **options: object) -> Predictor:
    torch.manual_seed(0)
    return cast(Predictor, create_model(name, space, **options))


def test_a_fifth_is_hidden_and_one_at_least() -> None:
    objective = MaskedOps(model_of("gin", "nb201")).train()
    space = objective.model.space
    archs = space.sample(2000, seeded(0))
    hidden = objective.hide(archs)
    inner = archs.node_mask.clone()
    inner[:, 0] = inner[:, -1] = False
    assert not bool((hidden & ~inner).any()) and int(hidden.sum(1).min()) == 1
    # 6 vertices each: a fifth, and one where none would be
    assert float(hidden.sum(1).float().mean()) == pytest.approx(6 * 0.2 + 0.8**6, abs=0.08)
    assert objective.hide(archs).ne(hidden).any()
    objective.eval()
    assert torch.equal(objective.hide(archs), objective.hide(archs))


def test_loss_equals_one_vertex_at_a_time() -> None:
    objective = MaskedOps(model_of("gin", "toy")).eval()
    archs = mixed_batch(objective.model.space)
    hidden = objective.hide(archs)
    states = objective.model.vertex_states(objective.model.prepare(archs), hidden)
    assert not bool(hidden[archs.num_nodes == 2].any())
    found, right = [], []
    for row, vertex in hidden.nonzero().tolist():
        logits = objective.head(states[row, vertex])[OUTPUT + 1 :]
        place = int(archs.ops[row, vertex]) - OUTPUT - 1
        found.append(-logits.log_softmax(0)[place])
        right.append(float(logits.argmax() == place))
    losses = objective(archs)
    assert torch.allclose(losses["total"], torch.stack(found).mean(), atol=1e-5)
    assert float(losses["accuracy"]) == pytest.approx(sum(right) / len(right))


def test_graphs_without_operations_teach_nothing() -> None:
    objective = MaskedOps(model_of("gin", "toy"))
    smallest = objective.model.space.enumerate()
    smallest = smallest[smallest.num_nodes == 2]
    losses = objective.eval()(smallest)
    losses["total"].backward()
    assert losses["total"].tolist() == 0


def test_pretraining_changes_states_and_repeats() -> None:
    model = model_of("transformer", "toy", hidden_dim=32, layers=2, heads=2)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    guessed = pretrain(model, model.space, 30, seed=0, device="cpu", batch_size=64)
    moved = [name for name, tensor in model.state_dict().items() if not torch.equal(before[name], tensor)]
    assert 0.4 < guessed <= 1 and moved and not any(name.startswith("head.") for name in moved)
    again = model_of("transformer", "toy", hidden_dim=32, layers=2, heads=2)
    assert pretrain(again, again.space, 30, seed=0, device="cpu", batch_size=64) == guessed
    assert all(torch.equal(again.state_dict()[name], tensor) for name, tensor in model.state_dict().items())


def test_structure_gives_types_away() -> None:
    """In DARTS the vertices that end or feed a cell have places that no operation has."""
    space = get_space("darts")
    torch.manual_seed(0)
    model = cast(GIN, create_model("gin", "darts", undirected=True))
    archs = space.sample(150, seeded(0))
    objective = MaskedOps(model)
    optimizer = torch.optim.Adam(objective.parameters(), 0.01)
    first = float(objective.train()(archs)["total"].detach())
    for _ in range(20):
        optimizer.zero_grad()
        total = objective(archs)["total"]
        total.backward()
        optimizer.step()
    assert float(total.detach()) < first - 0.4


def test_fit_predictor_learns_without_labels_first() -> None:
    space = get_space("toy")
    archs = space.enumerate()[::20]
    y = space.score(archs)  # type: ignore[attr-defined]
    options = {"hidden_dim": 16, "epochs": 2, "device": "cpu"}
    plain, early = (fit_predictor("gin", archs, y, space, pretrain_steps=steps, **options) for steps in (0, 5))
    assert not torch.equal(plain.predict(archs), early.predict(archs))
    again = fit_predictor("gin", archs, y, space, pretrain_steps=5, **options)
    assert torch.equal(again.predict(archs), early.predict(archs))
    with pytest.raises(InvalidValues, match="'mlp' cannot be pre-trained: MLP has no state per vertex"):
        fit_predictor("mlp", archs, y, space, pretrain_steps=5, device="cpu")
    with pytest.raises(InvalidValues, match="pretrain_steps must be at least 0"):
        fit_predictor("gin", archs, y, space, pretrain_steps=-1)
