"""Faults of the released SVGe code, one test each, beside those of the model itself in tests/models/test_svge.py.

Numbers follow the engineering notes on the released code: F2 union, F4 edge scores, F5 decoding that raises, F7 mirror
centre, F8 KL weight are tested with the model; F3 the mode of decodes in tests/bo/test_decoding.py.
"""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest
import torch

from graphnas import get_space, load_dataset, load_table
from graphnas.models import GraphVAE, ModelConfig
from graphnas.spaces import Architectures
from graphnas.testing import codes, mixed_batch, seeded
from graphnas.train.config import DataConfig
from graphnas.train.data import prepare
from graphnas.train.evaluate import EvaluationConfig, encode_all, prior, reconstruction


class Oracle(GraphVAE):
    """A VAE that remembers graphs: code i decodes to graph i, or to a fixed wrong graph in every `wrong`-th draw."""

    def __init__(self, graphs: Architectures, space: str, wrong: int = 0) -> None:
        super().__init__(ModelConfig(), space)
        self.graphs, self.wrong, self.latent_dim, self.draws = graphs, wrong, 1, 0
        self.anchor = torch.nn.Parameter(torch.zeros(()))

    def encode(self, archs: Architectures) -> tuple[torch.Tensor, torch.Tensor]:
        keys = {key: row for row, key in enumerate(self.graphs.index_keys())}
        rows = torch.tensor([keys[key] for key in archs.index_keys()])
        return rows[:, None].float(), torch.zeros(len(rows), 1)

    def decode(self, z, sample=True, generator=None, mask=True, repeats=1):  # type: ignore[no-untyped-def]
        rows = z[:, 0].round().long().clamp(0, len(self.graphs) - 1).repeat_interleave(repeats)
        if sample and self.wrong:
            self.draws += len(rows)
            rows[:: self.wrong] = (rows[:: self.wrong] + 1) % len(self.graphs)
        return self.graphs[rows]

    def loss(self, archs, y=None):  # type: ignore[no-untyped-def]
        return {"total": self.anchor}

    def log_prob(self, archs, z):  # type: ignore[no-untyped-def]
        return torch.zeros(len(archs))


@pytest.mark.parametrize("count", [7, 512, 513])
def test_f9_every_decode_counts_once(count: int) -> None:
    """Released: 11 of 111 decodes wasted, a short last batch counted as full."""
    graphs = get_space("nb201").enumerate()[:count]
    model = Oracle(graphs, "nb201", wrong=4)
    values = reconstruction(model, graphs, EvaluationConfig(num_graphs=count, encodings=2, decodings=2))
    assert values["reconstruction"] == pytest.approx(0.75) and model.draws == 4 * count
    assert reconstruction(Oracle(graphs, "nb201"), graphs, EvaluationConfig())["reconstruction"] == 1.0


def test_f6_enas_text_keeps_every_layer_type() -> None:
    """Released: the first layer's type was written for all layers."""
    space = get_space("enas6")
    text = "[[0], [1, 0], [2, 0, 1], [3, 1, 0, 0], [4, 0, 0, 1, 1], [5, 0, 0, 0, 0, 1]]"
    assert space.format(space.parse(text)) == [text]


def test_f10_validity_checks_the_topology_and_is_a_boolean() -> None:
    """Released: a three-vertex graph was a valid NAS-Bench-201 cell; ENAS allowed extra edges into the output."""
    short = Architectures(torch.tensor([[0, 2, 1]], dtype=torch.uint8), torch.zeros(1, 3, 3).bool(), torch.tensor([3]))
    short.adj[0, 0, 1] = short.adj[0, 1, 2] = True
    assert get_space("nb201").is_valid(short).tolist() == [False]
    enas = get_space("enas6").sample(5, seeded(0))
    enas.adj[:, 2, 7] = True
    verdict = get_space("enas6").is_valid(enas)
    assert verdict.dtype == torch.bool and not bool(verdict.any())


def isomorphic_pair() -> Architectures:
    """Two different numberings of one NAS-Bench-101 cell with two parallel branches."""
    space = get_space("nb101")
    ops = ("conv3x3-bn-relu", "maxpool3x3")
    matrix = [[0, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 0]]
    orders = [["input", *order, "output"] for order in permutations(ops)]
    return Architectures.concat([space.build(matrix, order) for order in orders])  # type: ignore[attr-defined]


def test_f11_uniqueness_sees_isomorphism_and_no_edge_order() -> None:
    """Released: counted by printed text, in which appended edges change the order."""
    pair = isomorphic_pair()
    assert pair[0] != pair[1]
    model = Oracle(pair, "nb101")
    sizes = EvaluationConfig(prior_points=64, decodings=2)
    values = prior(model, torch.tensor([[-2.0], [3.0]]), pair[:1], sizes)
    assert values["uniqueness"] == pytest.approx(2 / 128) and values["uniqueness_isomorphic"] == pytest.approx(1 / 128)
    assert 0 < values["novelty"] < 1 and values["novelty_isomorphic"] == 0


def test_f12_edge_order_does_not_permute_the_matrix() -> None:
    """Released: adjacency came in insertion order of the edges while labels were read by index."""
    archs = mixed_batch(get_space("nb101"))
    for data, arch in zip(archs.to_data(5), archs, strict=True):
        order = torch.randperm(data.edge_index.shape[1], generator=seeded(1))
        data.edge_index = data.edge_index[:, order]
        assert Architectures.from_data(data) == arch


def test_f13_labels_reach_the_dataset_under_their_names(tmp_path: Path) -> None:
    """Released: one part stored `acc`, the other asked for `test_acc`."""
    space = get_space("nb201")
    archs = space.enumerate()[:50]
    rows = [f'"{text}",{0.5 + row / 100},{0.4}' for row, text in enumerate(space.format(archs))]
    (tmp_path / "labels.csv").write_text("\n".join(["arch,validation,test", *rows]))
    table = load_table(tmp_path / "labels.csv", space="nb201")
    assert set(table.metrics) == {"validation", "test"}
    dataset = load_dataset("nb201", root=tmp_path / "root", labels=table, metric="validation", drop_unlabelled=True)
    assert len(dataset) == 50 and float(dataset[7].y) == pytest.approx(0.57)


def test_f14_f15_nothing_is_cut_and_the_split_seed_counts() -> None:
    """Released: 10,000 of 381,261 training graphs; the seed argument of the split was ignored."""
    one, same, other = (prepare(DataConfig(space="nb201", split_seed=seed)) for seed in (3, 3, 4))
    assert sum(len(getattr(one.split, part)) for part in ("train", "validation", "test")) == 15_625
    assert one.split == same.split and not torch.equal(one.split.test, other.split.test)
    torch.manual_seed(99)  # the global state decides nothing
    assert prepare(DataConfig(space="nb201", split_seed=3)).split == one.split


def test_f16_queries_repeat(tmp_path: Path) -> None:
    """Released: a random one of the three runs at every query."""
    space = get_space("nb201")
    archs = space.enumerate()[:3]
    lines = ["arch,accuracy"] + [f'"{text}",{value}' for text in space.format(archs) for value in (0.1, 0.2, 0.6)]
    (tmp_path / "runs.csv").write_text("\n".join(lines))
    table = load_table(tmp_path / "runs.csv", space="nb201", repeats="runs")
    asked = torch.stack([table.query(archs, "accuracy") for _ in range(10)])
    assert torch.allclose(asked, torch.full((10, 3), 0.3))
    assert [float(table.query(archs, "accuracy", run=run)[0]) for run in (0, 1, 2)] == pytest.approx([0.1, 0.2, 0.6])


def test_f17_duplicates_never_lie_on_both_sides(tmp_path: Path) -> None:
    """Released: duplicated rows of the ENAS file were split at random."""
    space = get_space("enas6")
    texts = space.format(space.sample(60, seeded(0)))
    (tmp_path / "final.txt").write_text("\n".join(f"{text}, 0.7" for text in texts + texts[:20]) + "\n")
    data = prepare(DataConfig(space="enas6", labels=str(tmp_path / "final.txt"), held_out=0.4))
    parts = [
        set(space.canonical_keys(data.archs[getattr(data.split, part)])) for part in ("train", "validation", "test")
    ]
    assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])
    assert sum(map(len, parts)) == len(set(texts))


def test_codes_are_the_posterior_means() -> None:
    """Released: latent extraction ran the decoder; the ten encodings of the metric were identical and stay so."""
    graphs = get_space("nb201").enumerate()[:9]
    assert torch.equal(encode_all(Oracle(graphs, "nb201"), graphs)[:, 0], torch.arange(9.0))
    assert codes(Oracle(graphs, "nb201"), 2).shape == (2, 1)
