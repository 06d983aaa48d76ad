"""Cells of NAS-Bench-201 as cells of NAS-Bench-101, and predictors that go from one to the other."""

from __future__ import annotations

import pytest
import torch

from graphnas.bo.transfer import Transferred, TransferSizes, map_operations, read_transfer, run_transfer, transfer_table
from graphnas.bo.transfer import transferred as join
from graphnas.errors import InvalidValues
from graphnas.spaces import get_space
from graphnas.train.predictor_evaluation import Labels, Task, read_labels

NB201, TARGET = get_space("nb201"), get_space("nb101_8e28")
C3, C1, MP = "conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3"


def mapped(text: str) -> str:
    archs, rows = map_operations(NB201.parse(text), NB201, TARGET)
    assert rows.tolist() == [0]
    return TARGET.format(archs)[0]


def test_operations_are_mapped_by_meaning() -> None:
    none = "none~0|none~1"
    chain = f"|nor_conv_3x3~0|+|{none}|+|{none}|none~2|"
    assert len(map_operations(NB201.parse(chain), NB201, TARGET)[1]) == 0  # nothing reaches the output
    one = "|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|"
    assert mapped(one) == f"010/001/000:{C3}"
    skips = "|nor_conv_1x1~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|avg_pool_3x3~2|"
    assert mapped(skips) == f"0101/0010/0001/0000:{C1},{MP}"


def test_everything_mapped_is_a_member_and_most_equal_functions_stay_one_cell() -> None:
    archs = NB201.enumerate()
    members, rows = map_operations(archs, NB201, TARGET)
    assert bool(TARGET.is_valid(members).all()) and len(archs) - len(rows) == 341  # the disconnected ones
    assert int(members.num_nodes.max()) == 8 and int(members.num_nodes.min()) == 2
    keys = TARGET.fingerprints(members)
    ids = NB201.class_ids(archs[rows])
    order = ids.argsort()
    same = ids[order][1:] == ids[order][:-1]
    parted = same & (keys[order][1:] != keys[order][:-1])
    assert float(parted.double().sum() / same.sum()) < 0.1  # equal functions may be different graphs


def test_an_operation_without_a_meaning_is_refused() -> None:
    with pytest.raises(InvalidValues, match="avg_pool_3x3"):
        map_operations(NB201.enumerate()[:3], NB201, TARGET, {"nor_conv_1x1": C1, "nor_conv_3x3": C3})


def test_a_mapped_cell_has_one_label_the_mean() -> None:
    archs = NB201.enumerate()[:200]
    y = torch.arange(200, dtype=torch.float64)
    small = get_space("nb101_4").enumerate()
    target = Labels(get_space("nb101"), small, torch.arange(len(small)).double())
    data = join(Labels(NB201, archs, y), target, TARGET)
    keys = TARGET.fingerprints(data.source)
    assert len(keys.unique()) == len(keys) == len(data.source_y)
    members, rows = map_operations(archs, NB201, TARGET)
    same = rows[TARGET.fingerprints(members) == keys[0]]
    assert float(data.source_y[0]) == pytest.approx(float(y[same].mean()))


def test_a_predictor_goes_over(tmp_path) -> None:  # type: ignore[no-untyped-def]
    toy = read_labels(Task("toy", "toy"))
    half = torch.arange(len(toy.y)) % 2 == 0
    data = Transferred(toy.space, toy.archs[half], toy.y[half], toy.archs[~half], toy.y[~half])
    sizes = TransferSizes(source_labels=100, few=(20,), test=200)
    run_transfer("ridge", data, 0, sizes, tmp_path, finetunes=False)
    run_transfer("gates", data, 0, sizes, tmp_path, finetunes=True)
    results = read_transfer(tmp_path)
    gates, ridge = results
    assert set(gates["values"]) == {"0", "source", "20", "+20"} and set(ridge["values"]) == {"0", "source", "20"}
    assert ridge["values"]["0"]["kendall"] > ridge["values"]["20"]["kendall"] > 0.2  # the same space: more labels
    table = transfer_table(results)
    assert len(table) == 5 and "source, then target" in table[3]
