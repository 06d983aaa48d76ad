"""The dataset class: PyG behaviour, labels, stored files."""

from __future__ import annotations

import logging
import pickle
import warnings
from pathlib import Path

import pytest
import torch
from torch_geometric.data import Batch, Data, InMemoryDataset
from torch_geometric.loader import DataLoader
from torch_geometric.transforms import AddRandomWalkPE

import graphnas
from graphnas.datasets import ArchitectureDataset, NASBench201, Toy
from graphnas.datasets.toy import score_table
from graphnas.errors import MissingData, OutsideSpace, SpaceMismatch, UnknownName
from graphnas.spaces import Architectures, get_space
from graphnas.tables import Table


def stored(root: Path) -> list[Path]:
    return sorted((root / "processed").iterdir())


def half_labelled(seed: int = 0) -> Table:
    """Two metrics at two budgets for half of the toy space, with a NaN among them."""
    space = get_space("toy")
    archs = space.enumerate()[torch.randperm(787, generator=torch.Generator().manual_seed(seed))[:393]]
    values = torch.rand(393, 2, 1, 2, generator=torch.Generator().manual_seed(seed + 1))
    values[5, 1, 0, 0] = torch.nan
    return Table(space, archs, values, measured=("valid", "test"), budgets=(4, 12), units={"valid": "fraction"})


# -- PyG ------------------------------------------------------------------------------------------------------------
def test_items_are_the_architectures(tmp_path: Path) -> None:
    dataset, space = Toy(tmp_path), get_space("toy")
    assert isinstance(dataset, InMemoryDataset)
    assert len(dataset) == 787
    assert dataset.architectures == space.enumerate()
    assert dataset.space is space
    wanted = space.enumerate().to_data(space.num_ops, space.score(space.enumerate()))
    for row in (0, 1, 400, 786, -1):
        item = dataset[row]
        assert type(item) is Data
        assert sorted(item.keys()) == ["edge_index", "x", "y"]
        assert all(torch.equal(item[key], wanted[row][key]) for key in wanted[row].keys())  # noqa: SIM118
    assert Architectures.from_data(list(dataset)) == dataset.architectures
    assert (dataset.num_node_features, dataset.num_features, dataset.num_edge_features) == (4, 4, 0)
    assert repr(dataset) == "Toy(787)"


def test_storage_is_what_pyg_would_collate(tmp_path: Path) -> None:
    dataset = Toy(tmp_path)
    data, slices = InMemoryDataset.collate(list(dataset))
    assert slices is not None
    for key in ("x", "edge_index", "y"):
        assert torch.equal(dataset._data[key], data[key])
        assert torch.equal(dataset.slices[key], slices[key])
    assert dataset._data.edge_index.dtype == torch.int64


def test_slices_carry_their_architectures_and_labels(tmp_path: Path) -> None:
    dataset = Toy(tmp_path)
    assert dataset.y is not None
    mask = dataset.y > 0.5
    for index in (slice(10, 30), [5, 3, 3], torch.tensor([7, 1]), mask, slice(0.5, None)):
        part = dataset[index]
        rows = torch.arange(787)[index] if not isinstance(index, slice) or index.stop else torch.arange(394, 787)
        assert isinstance(part, Toy)
        assert torch.equal(part.rows, rows)
        assert part.architectures == dataset.architectures[rows] == Architectures.from_data(list(part))
        assert torch.equal(part.y, dataset.y[rows])
    nested = dataset[100:200][::10]
    assert nested.architectures == dataset.architectures[100:200:10]
    shuffled, order = dataset.shuffle(return_perm=True)
    assert torch.equal(shuffled.y, dataset.y[order])
    copied = dataset.copy([4, 2])
    assert (len(copied), len(copied.architectures)) == (2, 2)
    assert copied.architectures == dataset.architectures[[4, 2]] == Architectures.from_data(list(copied))
    assert dataset[[4, 2]].copy().architectures == copied.architectures
    assert torch.equal(dataset.copy().y, dataset.y)


def test_data_loader_of_pyg(tmp_path: Path) -> None:
    dataset = Toy(tmp_path)
    batches = list(DataLoader(dataset, batch_size=100))
    whole = dataset.architectures.to_batch(4, dataset.y)
    assert [batch.num_graphs for batch in batches] == [100] * 7 + [87]
    assert torch.equal(torch.cat([batch.x for batch in batches]), whole.x)
    assert torch.equal(torch.cat([batch.y for batch in batches]), whole.y)
    assert Architectures.concat([Architectures.from_data(batch) for batch in batches]) == dataset.architectures
    assert sum(batch.num_graphs for batch in DataLoader(dataset[:50], batch_size=7, shuffle=True, num_workers=1)) == 50


def test_loader_and_split(tmp_path: Path) -> None:
    dataset = Toy(tmp_path)
    made = dataset.split((0.8, 0.1, 0.1), seed=1)
    assert made == dataset.split((0.8, 0.1, 0.1), seed=1)
    train = dataset[made.train]
    seen = [(batch.archs, batch.y) for batch in train.loader(batch_size=64, seed=3)]
    assert sum(len(archs) for archs, _ in seen) == len(made.train)
    assert all(torch.equal(dataset.space.score(archs), y) for archs, y in seen)
    assert dataset[100:120].split(counts=(10, 5, 5)).train.max() < 20


def test_transform_and_counts_of_classes(tmp_path: Path) -> None:
    def mark(data: Data) -> Data:
        data.x = torch.cat([data.x, torch.ones(data.num_nodes, 1)], 1)
        return data

    dataset = Toy(tmp_path, transform=mark)
    assert dataset.num_node_features == 5
    assert dataset[3].x.shape[1] == 5
    assert dataset[3].x.shape[1] == 5  # the stored item is not touched
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert dataset.num_classes == 1
        assert NASBench201(tmp_path).num_classes == 0


def test_pickled_datasets_come_back(tmp_path: Path) -> None:
    dataset = Toy(tmp_path, num_samples=20)[5:]
    back = pickle.loads(pickle.dumps(dataset))
    assert back.architectures == dataset.architectures
    assert torch.equal(back.y, dataset.y)


# -- which graphs ---------------------------------------------------------------------------------------------------
def test_samples_are_distinct_and_seeded(tmp_path: Path) -> None:
    one, same, other = (Toy(tmp_path, num_samples=300, seed=seed) for seed in (1, 1, 2))
    assert one.architectures == same.architectures
    assert one.architectures != other.architectures
    assert len(set(one.space.canonical_keys(one.architectures))) == 300
    assert len(stored(tmp_path)) == 2
    everything = Toy(tmp_path, num_samples=787)
    assert len(set(everything.space.canonical_keys(everything.architectures))) == 787
    with pytest.raises(OutsideSpace, match="787 architectures: 788 different ones do not exist"):
        Toy(tmp_path, num_samples=788)
    with pytest.raises(ValueError, match=r"at least 1 \(got 0\)"):
        Toy(tmp_path, num_samples=0)


@pytest.mark.parametrize(("name", "width"), [("enas6", 8), ("enas12", 14), ("darts", 22)])
def test_spaces_that_cannot_be_enumerated(tmp_path: Path, name: str, width: int) -> None:
    dataset = graphnas.load_dataset(name, root=tmp_path, num_samples=200, seed=3)
    archs = dataset.architectures
    assert len({bytes(key) for key in archs.index_keys()}) == len(dataset) == 200
    assert archs.max_nodes == width
    assert bool(dataset.space.is_valid(archs).all())
    assert dataset.y is None
    assert sorted(dataset[0].keys()) == ["edge_index", "x"]
    assert Architectures.from_data(list(dataset)) == archs
    with pytest.raises(MissingData, match="num_samples="):
        graphnas.load_dataset(name, root=tmp_path / "empty")


def test_duplicate_rows_of_a_label_table_are_dropped_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    space = get_space("enas6")
    archs = space.sample(50, torch.Generator().manual_seed(0))
    repeated = Architectures.concat([archs, archs[[3, 3, 17]]])
    table = Table(space, repeated, torch.rand(53, 1, 1, 1), measured=("accuracy",))
    with caplog.at_level(logging.INFO):
        dataset = ArchitectureDataset("enas6", tmp_path, labels=table)
    assert "dropped 3 duplicates of 53 rows" in caplog.text
    assert dataset.architectures == archs
    assert torch.equal(dataset.y, table.query(archs, "accuracy"))


# -- labels ---------------------------------------------------------------------------------------------------------
def test_labels_are_aligned_and_nan_where_absent(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = half_labelled()
    dataset = ArchitectureDataset("toy", tmp_path, labels=table, metric="valid")
    assert "395 of 787 graphs have no 'valid'" in caplog.text
    assert len(dataset) == 787
    assert (dataset.metric, dataset.budget, dataset.unit) == ("valid", 12, "fraction")
    assert int(dataset.y.isnan().sum()) == 395
    assert torch.equal(dataset.y.nan_to_num(-1), table.query(dataset.architectures, "valid", 12).nan_to_num(-1))
    assert Batch.from_data_list(list(dataset)).y.isnan().sum() == 395
    again = ArchitectureDataset("toy", tmp_path, labels=table, metric="valid")
    assert torch.equal(again.y.nan_to_num(-1), dataset.y.nan_to_num(-1))
    assert (again.metric, again.budget, again.unit) == ("valid", 12, "fraction")


def test_unlabelled_graphs_can_be_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = half_labelled()
    dataset = ArchitectureDataset("toy", tmp_path, labels=table, metric="valid", budget=12, drop_unlabelled=True)
    assert "395 of 787 graphs have no 'valid' (left out)" in caplog.text
    assert len(dataset) == 392
    assert not bool(dataset.y.isnan().any())
    assert torch.equal(dataset.y, table.query(dataset.architectures, "valid", 12))


def test_metric_and_budget_select(tmp_path: Path) -> None:
    table = half_labelled()
    seen = {
        (metric, budget): ArchitectureDataset(
            "toy", tmp_path, labels=table, metric=metric, budget=budget, drop_unlabelled=True
        )
        for metric in ("valid", "test")
        for budget in (4, 12)
    }
    assert len(stored(tmp_path)) == 4
    for (metric, budget), dataset in seen.items():
        assert torch.equal(dataset.y, table.query(dataset.architectures, metric, budget))
    with pytest.raises(UnknownName, match="known are test, valid"):
        ArchitectureDataset("toy", tmp_path, labels=table, metric="accuracy")
    with pytest.raises(UnknownName, match="known are test, valid"):
        ArchitectureDataset("toy", tmp_path, labels=table)
    with pytest.raises(UnknownName, match="budget 108"):
        ArchitectureDataset("toy", tmp_path, labels=table, metric="test", budget=108)


def test_tables_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SpaceMismatch, match="table of toy, asked for was nb201"):
        NASBench201(tmp_path, labels=half_labelled(), metric="test")
    table = half_labelled()
    elsewhere = Table(table.space, table.architectures[:0], torch.zeros(0, 1, 1, 1), measured=("valid",))
    with pytest.raises(MissingData, match="none of the 787 graphs"):
        ArchitectureDataset("toy", tmp_path, labels=elsewhere)


def test_labels_can_be_subsampled(tmp_path: Path) -> None:
    dataset = Toy(tmp_path, num_samples=100, seed=4)
    assert torch.equal(dataset.y, dataset.space.score(dataset.architectures))


# -- stored files ---------------------------------------------------------------------------------------------------
def test_the_stored_file_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = NASBench201(tmp_path)
    (path,) = stored(tmp_path)
    assert path.name.startswith("nb201-")
    assert path.stat().st_size < 400_000
    monkeypatch.setattr(type(first.space), "enumerate", None)  # must not be needed
    assert NASBench201(tmp_path).architectures == first.architectures


def test_force_reload_builds_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    process = Toy.process
    monkeypatch.setattr(Toy, "process", lambda self: (calls.append(1), process(self)))
    Toy(tmp_path)
    Toy(tmp_path)
    assert len(calls) == 1
    Toy(tmp_path, force_reload=True)
    assert len(calls) == 2


def test_other_options_and_versions_have_other_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Toy(tmp_path)
    Toy(tmp_path, num_samples=9)
    Toy(tmp_path, labels=half_labelled(), metric="test")
    Toy(tmp_path, labels=half_labelled(seed=5), metric="test")
    Toy(tmp_path, pre_filter=few_nodes)
    assert len(stored(tmp_path)) == 5
    Toy(tmp_path)
    assert len(stored(tmp_path)) == 5
    monkeypatch.setattr(graphnas, "__version__", "99.0")
    Toy(tmp_path)
    assert len(stored(tmp_path)) == 6


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "foreign"])
def test_a_damaged_file_is_built_again_with_a_warning(tmp_path: Path, damage: str) -> None:
    whole = Toy(tmp_path)
    (path,) = stored(tmp_path)
    content = bytearray(path.read_bytes())
    content[-20] ^= 4
    changed = {"flip": bytes(content), "cut": bytes(content[:500]), "empty": b"", "foreign": pickle.dumps(Bomb())}
    path.write_bytes(changed[damage])
    with pytest.warns(UserWarning, match="building it again"):
        again = Toy(tmp_path)
    assert again.architectures == whole.architectures
    assert torch.equal(again.y, whole.y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Toy(tmp_path)


class Bomb:
    """Explodes when unpickled."""

    def __reduce__(self) -> tuple:
        return (pytest.fail, ("a pickle was executed",))


def test_pickles_in_the_folder_are_not_executed(tmp_path: Path) -> None:
    Toy(tmp_path)
    for name in ("pre_transform.pt", "pre_filter.pt"):
        (tmp_path / "processed" / name).write_bytes(pickle.dumps(Bomb()))
    Toy(tmp_path)
    Toy(tmp_path, force_reload=True)


# -- pre_transform and pre_filter -----------------------------------------------------------------------------------
def few_nodes(data: Data) -> bool:
    return data.num_nodes < 5


def add_degree(data: Data) -> Data:
    data.degree = torch.bincount(data.edge_index[1], minlength=data.num_nodes)
    data.edge_attr = data.edge_index.float().T
    return data


def test_pre_filter_sees_labels_and_keeps_everything_aligned(tmp_path: Path) -> None:
    good = Toy(tmp_path, pre_filter=lambda data: data.y.item() > 0.61515)
    whole = Toy(tmp_path)
    assert len(good) == int((whole.y > 0.615).sum()) > 0
    assert good.architectures == whole.architectures[whole.y > 0.615] == Architectures.from_data(list(good))
    assert torch.equal(good.y, whole.y[whole.y > 0.615])
    with pytest.raises(MissingData, match="pre_filter left none of 787"):
        Toy(tmp_path / "none", pre_filter=lambda data: False)


def test_other_functions_have_other_files(tmp_path: Path) -> None:
    sizes = [len(Toy(tmp_path, pre_filter=lambda data, most=most: data.num_nodes <= most)) for most in (3, 4)]
    for bound in (3, 4):
        sizes.append(len(Toy(tmp_path, pre_filter=lambda data: data.num_nodes <= bound)))  # noqa: B023
    sizes.append(len(Toy(tmp_path, pre_filter=lambda data: data.num_nodes <= 3)))
    sizes.append(len(Toy(tmp_path, pre_filter=lambda data: data.num_nodes <= 4)))
    small, large = sizes[:2]
    assert small < large
    assert sizes == [small, large] * 3
    assert len(stored(tmp_path)) == 6
    for depth in (2, 3):
        Toy(tmp_path, num_samples=4, pre_transform=AddRandomWalkPE(depth, "walk"))
    assert len(stored(tmp_path)) == 8


def test_pre_transform_is_stored(tmp_path: Path) -> None:
    for dataset in (Toy(tmp_path, pre_transform=add_degree, pre_filter=few_nodes) for _ in range(2)):
        assert len(dataset) == dataset.architectures.num_nodes.lt(5).sum() == len(dataset.architectures)
        assert Architectures.from_data(list(dataset)) == dataset.architectures
        for row in (0, 5, -1):
            item = dataset[row]
            fresh = add_degree(dataset.architectures.to_data(4, dataset.y)[row])
            assert sorted(item.keys()) == ["degree", "edge_attr", "edge_index", "x", "y"]
            assert all(torch.equal(item[key], fresh[key]) for key in fresh.keys())  # noqa: SIM118
    assert len(stored(tmp_path)) == 1


def test_pre_transform_that_leaves_one_graph(tmp_path: Path) -> None:
    dataset = Toy(tmp_path, num_samples=1, pre_transform=add_degree)
    assert len(dataset) == 1
    assert dataset[0].degree.sum() == dataset.architectures.num_edges[0]


def test_pre_transform_may_leave_tensors_only(tmp_path: Path) -> None:
    def name(data: Data) -> Data:
        data.name = "cell"
        return data

    with pytest.raises(ValueError, match=r"tensor attributes only \(got 'name' of list\)"):
        Toy(tmp_path, pre_transform=name, num_samples=5)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_default_root_is_below_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GRAPHNAS_HOME", str(tmp_path))
    assert score_table().optimum("score")[1] == 1.0
    Toy(num_samples=3)
    assert [file.parent for file in tmp_path.rglob("*.safetensors")] == [tmp_path / "data" / "toy" / "processed"]
