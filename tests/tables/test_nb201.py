from __future__ import annotations

import bz2
import io
import pickle
import shutil
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from graphnas.errors import CorruptFile, UnsafeFile
from graphnas.tables import Table, load_table
from graphnas.tables.trials import Trials

Root = Callable[..., dict[str, Any]]
INDICES = torch.tensor([0.0, 11.0, 284.0])


def old_numpy_path(data: bytes) -> bytes:
    """A pickle of protocol 2 as NumPy before version 2 wrote it."""
    assert b"numpy._core.multiarray" in data
    return data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def save_pth(root: dict[str, Any], path: Path, zipped: bool, old: bool = True) -> Path:
    """What torch.save writes, before and since version 1.6."""
    torch.save(root, path, _use_new_zipfile_serialization=zipped)
    if old and zipped:
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in members.items():
                archive.writestr(name, old_numpy_path(data) if name.endswith("data.pkl") else data)
    elif old:
        path.write_bytes(old_numpy_path(path.read_bytes()))
    return path


def check(table: Table) -> None:
    """Everything the three architectures of the builders must give."""
    archs = table.architectures
    assert (len(table), table.space.name, table.budgets) == (3, "nb201", (12, 200))
    assert table.run_ids == (111, 777, 888, 999)
    assert table.runs == {12: (111, 777), 200: (777, 888, 999)}
    base = 50 + INDICES / 100

    def query(metric: str, budget: int | None = None, run: int | None = None) -> torch.Tensor:
        return table.query(archs, metric, budget, run)

    for run in (777, 888, 999):
        assert torch.allclose(query("cifar10-valid/x-valid/accuracy", 200, run), base + run / 1000 + 19.9 - 1)
    assert torch.allclose(query("cifar10-valid/x-valid/accuracy"), base + 0.888 + 19.9 - 1)  # mean over three seeds
    assert torch.allclose(query("cifar10/ori-test/accuracy", 200), base + (0.777 + 0.888) / 2 + 19.9 - 1)
    assert torch.allclose(query("cifar10-valid/x-valid/accuracy", 12), base + (0.111 + 0.777) / 2 + 1.1 - 1)
    assert torch.allclose(query("cifar100/x-test/accuracy", 12, 111), base + 0.111 + 1.1 - 2)
    assert torch.isnan(query("cifar100/x-test/accuracy", 12, 777)).all()
    assert torch.allclose(
        query("cifar100/x-valid/accuracy"), base + 0.777 + 19.9 - 1
    )  # stored after the last epoch only
    assert torch.allclose(query("cifar10-valid/ori-test/accuracy"), base + 0.888 + 19.9 - 2)
    assert torch.allclose(query("ImageNet16-120/train/loss"), torch.tensor(3 - 1.99))
    assert torch.allclose(query("cifar100/ori-test/loss", 12), torch.tensor(4 - 0.11))
    assert table.constants["cifar10/flop"].tolist() == [15.64737, 113.95137, 11.71521]
    assert table.constants["cifar10/params"].tolist() == [0.129306, 0.802426, 0.101306]
    assert torch.equal(query("index"), INDICES)


def check_times(table: Table) -> None:
    archs = table.architectures
    assert torch.allclose(table.query(archs, "cifar10/train/seconds"), 200 * (2.5 + INDICES))
    assert torch.allclose(table.query(archs, "cifar10/train/seconds", 12), 12 * (2.5 + INDICES))
    assert torch.allclose(table.query(archs, "cifar10/ori-test/seconds"), torch.tensor(0.5))
    assert torch.allclose(table.query(archs, "cifar10/latency"), torch.tensor(0.02))


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("old", [True, False])
def test_pth(tmp_path: Path, nb201_root: Root, zipped: bool, old: bool) -> None:
    path = save_pth(nb201_root(), tmp_path / "NAS-Bench-201-v1_1-096897.pth", zipped, old)
    table = load_table(path, partial=True)
    check(table)
    check_times(table)


def test_pth_says_the_same_as_the_restricted_reader_of_torch(tmp_path: Path, nb201_root: Root) -> None:
    path = save_pth(nb201_root(), tmp_path / "a.pth", zipped=False)
    scalar = np.float64(0).__reduce__()[0]
    names = [(scalar, "numpy.core.multiarray.scalar"), np.dtype, np.dtypes.Float64DType, set, OrderedDict]
    with torch.serialization.safe_globals(names):
        root = torch.load(path, weights_only=True)
    trials = Trials("torch")
    for groups in root["arch2infos"].values():
        for results in groups.values():
            trials.add(results)
    wanted, table = trials.table(root["meta_archs"], partial=True), load_table(path, partial=True)
    assert torch.equal(wanted.values.nan_to_num(-1), table.values.nan_to_num(-1))
    assert wanted.metrics == table.metrics and wanted.architectures == table.architectures


def test_pth_without_times(tmp_path: Path, nb201_root: Root) -> None:
    table = load_table(
        save_pth(nb201_root(times=False), tmp_path / "NAS-Bench-201-v1_0-e61699.pth", False), partial=True
    )
    check(table)
    assert not [metric for metric in table.metrics if metric.endswith(("train/seconds", "latency"))]


@pytest.mark.parametrize("compress", [bz2.compress, bytes])
def test_single_nats_file(tmp_path: Path, nb201_root: Root, compress: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "NATS-tss-v1_0-3ffb9.pickle.pbz2"
    path.write_bytes(compress(pickle.dumps(nb201_root(("12", "200")), protocol=4)))
    seen: list[tuple[int, int]] = []
    table = load_table(path, partial=True, progress=lambda done, total: seen.append((done, total)))
    check(table)
    check_times(table)
    assert len(seen) == 6 and all(0 < done <= total == path.stat().st_size for done, total in seen)


def test_folder(nats_folder: Path) -> None:
    table = load_table(nats_folder, partial=True)
    check(table)
    check_times(table)


def test_folder_with_other_names(nats_folder: Path) -> None:
    (nats_folder / "000011.pickle.pbz2").rename(nats_folder / "11.pickle.pbz2")
    check(load_table(nats_folder, partial=True))


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tar(nats_folder: Path, tmp_path: Path, form: int) -> None:
    path = tmp_path / "NATS-tss-v1_0-3ffb9-simple.tar"
    with tarfile.open(path, "w", format=form) as archive:
        archive.add(nats_folder, arcname=nats_folder.name)
    check(load_table(path, partial=True))
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(CorruptFile):
        load_table(path, partial=True)


def test_archive_with_weights(tmp_path: Path, nb201_root: Root) -> None:
    for index, groups in nb201_root()["arch2infos"].items():
        groups["full"]["all_results"]["cifar10", 777]["net_state_dict"] = {"stem": torch.ones(2, 2)}
        torch.save(groups, tmp_path / f"{index:06d}-FULL.pth")
    check(load_table(tmp_path, partial=True))


def test_incomplete_files_are_refused(nats_folder: Path) -> None:
    with pytest.raises(CorruptFile, match="3 of 285 architectures are there.*partial=True"):
        load_table(nats_folder)


def test_strings_must_match_the_list(tmp_path: Path, nb201_root: Root) -> None:
    root = nb201_root()
    root["meta_archs"][0], root["meta_archs"][11] = root["meta_archs"][11], root["meta_archs"][0]
    with pytest.raises(CorruptFile, match="architecture 0 is .* in the list it is"):
        load_table(save_pth(root, tmp_path / "a.pth", False), partial=True)


def test_each_string_has_its_own_label(nats_folder: Path, official_strings: dict[int, str]) -> None:
    table = load_table(nats_folder, partial=True)
    same = "|avg_pool_3x3~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|skip_connect~2|"
    assert torch.isnan(table.query(table.space.parse(same), "cifar10/ori-test/accuracy")).all()
    assert table.rows(table.space.parse([official_strings[284], official_strings[0]])).tolist() == [2, 0]


def test_curves(nats_folder: Path) -> None:
    table = load_table(nats_folder, partial=True, curves=["cifar10*/x-valid/accuracy", "cifar100/x-valid/accuracy"])
    assert set(table.curves) == {
        (f"{name}/x-valid/accuracy", budget) for name in ("cifar10-valid", "cifar100") for budget in (12, 200)
    }
    archs = table.architectures
    curve = table.curve(archs, "cifar10-valid/x-valid/accuracy", 200, 777)
    wanted = (49.777 + INDICES[:, None] / 100) + torch.arange(200) / 10
    assert curve.shape == (3, 200) and torch.allclose(curve, wanted)
    mean = table.curve(archs, "cifar10-valid/x-valid/accuracy")
    assert torch.allclose(mean[:, -1], table.query(archs, "cifar10-valid/x-valid/accuracy"))
    late = table.curve(archs, "cifar100/x-valid/accuracy")
    assert torch.isnan(late[:, :-1]).all() and not torch.isnan(late[:, -1]).any()


def test_counts_that_disagree_follow_seed_888(trial_results: Callable[..., dict[str, Any]]) -> None:
    results = trial_results(11, 200)
    results["all_results"]["cifar10-valid", 777]["flop"] = 1.0
    results["all_results"]["cifar10-valid", 888]["flop"] = 2.0
    trials = Trials("a")
    trials.add(results)
    assert trials.table((), partial=True).constants["cifar10-valid/flop"].tolist() == [2.0]


@pytest.mark.parametrize("field", ["epochs", "train_acc1es", "eval_names", "flop"])
def test_missing_fields(trial_results: Callable[..., dict[str, Any]], field: str) -> None:
    results = trial_results(11, 12)
    del results["all_results"]["cifar100", 111][field]
    with pytest.raises(CorruptFile, match=f"a: results of architecture 11 .KeyError: '{field}'"):
        Trials("a").add(results)


@pytest.mark.parametrize("end", [10, 1000, -1])
def test_cut_files(tmp_path: Path, nats_folder: Path, nb201_root: Root, end: int) -> None:
    paths = [save_pth(nb201_root(), tmp_path / f"{zipped}.pth", zipped) for zipped in (True, False)]
    paths.append(Path(shutil.copy(nats_folder / "000000.pickle.pbz2", tmp_path / "a.pickle.pbz2")))
    for path in paths:
        if path.name == "False.pth" and end == -1:
            continue  # behind the object only the list of its storages follows
        path.write_bytes(path.read_bytes()[:end])
        with pytest.raises(CorruptFile):
            load_table(path, partial=True)


def test_files_of_other_content(tmp_path: Path) -> None:
    for name, data in {
        "list.pickle": pickle.dumps([1, 2], protocol=4),
        "dict.pbz2": bz2.compress(pickle.dumps({"a": 1}, protocol=4)),
        "text.pbz2": bz2.compress(b"no pickle"),
    }.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(CorruptFile):
            load_table(tmp_path / name)
    with zipfile.ZipFile(tmp_path / "a.pth", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(CorruptFile, match="without the data.pkl"):
        load_table(tmp_path / "a.pth")


def test_malicious_files_are_refused(tmp_path: Path, nats_folder: Path) -> None:
    bad = pickle.dumps({"arch2infos": print}, protocol=4)
    (tmp_path / "a.pbz2").write_bytes(bz2.compress(bad))
    (nats_folder / "000001.pickle.pbz2").write_bytes(bz2.compress(bad))
    torch.save({"arch2infos": print}, tmp_path / "a.pth")
    for path in (tmp_path / "a.pbz2", tmp_path / "a.pth", nats_folder):
        with pytest.raises(UnsafeFile, match="print"):
            load_table(path, partial=True)


def test_memory_is_freed_while_reading(nb201_root: Root) -> None:
    from graphnas.tables.nb201 import _absorb, _read_root

    trials = Trials("a")
    data = pickle.dumps(nb201_root(("12", "200")), protocol=4)

    def finished(entry: dict[Any, Any]) -> None:
        if "all_results" in entry:
            _absorb(trials, entry)

    root = _read_root(io.BytesIO(data), "a", finished)
    assert all(not results["all_results"] for groups in root["arch2infos"].values() for results in groups.values())
    check(trials.table(root["meta_archs"], partial=True))


# -- official packages ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("fast", [True, False])
def test_nats_bench_agrees(nats_folder: Path, tmp_path: Path, nb201_root: Root, fast: bool) -> None:
    nats_bench = pytest.importorskip("nats_bench")
    source = nats_folder
    if not fast:
        source = tmp_path / "NATS-tss-v1_0-3ffb9.pickle.pbz2"
        source.write_bytes(bz2.compress(pickle.dumps(nb201_root(("12", "200")), protocol=4)))
    api = nats_bench.create(str(source), "tss", fast_mode=fast, verbose=False)
    table = load_table(api, partial=True)
    check(table)
    for hp, budget in (("12", 12), ("200", 200)):
        for row, index in enumerate((0, 11, 284)):
            one = table.architectures[row]
            info = api.get_more_info(index, "cifar10-valid", hp=hp, is_random=False)
            assert table.query(one, "cifar10-valid/x-valid/accuracy", budget).item() == pytest.approx(
                info["valid-accuracy"]
            )
            assert table.query(one, "cifar10-valid/train/seconds", budget).item() == pytest.approx(
                info["train-all-time"]
            )
            info = api.get_more_info(index, "cifar100", hp=hp, is_random=777 if budget == 200 else 111)
            assert table.query(one, "cifar100/x-test/loss", budget).item() == pytest.approx(info["test-loss"])
            cost = api.get_cost_info(index, "cifar10", hp=hp)
            assert table.constants["cifar10/flop"][row].item() == pytest.approx(cost["flops"])
            assert table.query(one, "cifar10/latency", budget).item() == pytest.approx(cost["latency"])


def test_nas_201_api_agrees(nb201_root: Root) -> None:
    nas_201_api = pytest.importorskip("nas_201_api")
    api = nas_201_api.NASBench201API(nb201_root(), verbose=False)
    table = load_table(api, partial=True)
    check(table)
    info = api.get_more_info(11, "ImageNet16-120", hp="200", is_random=False)
    assert table.query(table.architectures[1], "ImageNet16-120/x-valid/accuracy").item() == pytest.approx(
        info["valid-accuracy"]
    )
