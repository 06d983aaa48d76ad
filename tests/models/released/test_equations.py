"""Imported checkpoints compute what the released code does, in double precision to 1e-9."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from graphnas import create_model, get_space
from graphnas.models import DGMG, DVAE, SVGE, Arch2Vec, GraphVAE, import_released, load_model, save_model
from graphnas.models.released import RELEASES
from graphnas.testing import codes, mixed_batch
from tests.models.released.files import VOCABULARIES, arch2vec_state, dvae_state, generator_state, save
from tests.models.released.plain import gaussian_kl, graphs_of
from tests.models.released.plain_arch2vec import PlainArch2Vec
from tests.models.released.plain_dvae import PlainDVAE
from tests.models.released.plain_generator import PlainGenerator


def close(got: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(got, wanted, atol=1e-9, rtol=1e-9)


def imported(state: Any, system: str, space: str, folder: Path, old: bool = True) -> GraphVAE:
    """Through all files: torch's, then ours; in double precision."""
    path = save_model(
        import_released(save(state, folder / "theirs.obj", old), system, space), folder / "ours.safetensors"
    )
    model = load_model(path)
    assert isinstance(model, GraphVAE) and not model.training and model.config.to_dict()["faithful"]
    return model.double()


def assert_same_graphs(got: Any, wanted: Any) -> None:
    """Types and edges of all rows; several different ones, so that this says something."""
    assert got == wanted and len({str(graph) for graph in got}) > 3


GENERATORS = [(system, space) for system in ("svge", "dgmg") for space in ("nb101", "nb201", "enas6")]


@pytest.mark.parametrize(("system", "space_name"), GENERATORS)
@torch.no_grad()
def test_svge_and_dgmg(system: str, space_name: str, tmp_path: Path) -> None:
    space, vocabulary = get_space(space_name), VOCABULARIES[system, space_name]
    state = generator_state(system, space.num_ops, head=True)
    model, plain = imported(state, system, space_name, tmp_path), PlainGenerator(state, two_way=system == "svge")
    archs = mixed_batch(space, 6)
    graphs = graphs_of(archs, space, vocabulary)
    mu, logvar = (torch.stack(part) for part in zip(*map(plain.encode, graphs), strict=True))
    close(model.encode(archs)[0], mu)
    close(model.encode(archs)[1], logvar)
    close(model.predict(archs), torch.stack([plain.accuracy(code) for code in mu]))
    for row, graph in enumerate(graphs):
        one = archs[row : row + 1]
        close(model.log_prob(one, mu[row : row + 1])[0], -plain.nll(graph, mu[row], space.max_nodes))
        losses = model.loss(one)
        reconstruction = plain.reconstruction([graph], mu[row : row + 1])
        close(losses["reconstruction"], reconstruction)
        close(losses["total"], reconstruction + 0.005 * gaussian_kl(mu[row], logvar[row]))


@pytest.mark.parametrize(("system", "space_name"), GENERATORS)
@torch.no_grad()
def test_svge_and_dgmg_mix_the_rows_of_a_batch(system: str, space_name: str, tmp_path: Path) -> None:
    space, vocabulary = get_space(space_name), VOCABULARIES[system, space_name]
    state = generator_state(system, space.num_ops, rounds=1)
    model, plain = imported(state, system, space_name, tmp_path), PlainGenerator(state, two_way=system == "svge")
    archs = mixed_batch(space, 40)
    archs = archs[archs.num_nodes == space.max_nodes][:5]
    assert len(archs) == 5
    graphs = graphs_of(archs, space, vocabulary)
    mu, logvar = (torch.stack(part) for part in zip(*map(plain.encode, graphs), strict=True))
    mixed = plain.reconstruction(graphs, mu)
    alone = torch.stack([plain.reconstruction([graph], [code]) for graph, code in zip(graphs, mu, strict=True)])
    assert abs(mixed - alone.mean()) > 1e-3
    close(model.loss(archs)["reconstruction"], mixed)
    close(model.loss(archs)["total"], mixed + 0.005 * gaussian_kl(mu, logvar))


@pytest.mark.parametrize(("system", "space_name"), GENERATORS)
@torch.no_grad()
def test_svge_and_dgmg_draw_the_same_graphs(system: str, space_name: str, tmp_path: Path) -> None:
    space, vocabulary = get_space(space_name), VOCABULARIES[system, space_name]
    state = generator_state(system, space.num_ops, seed=3)
    model, plain = imported(state, system, space_name, tmp_path), PlainGenerator(state, two_way=system == "svge")
    z = 3 * codes(model, 12).double()
    wanted = [plain.greedy(code, space.max_nodes) for code in z]
    if isinstance(model, DGMG):
        assert_same_graphs(graphs_of(model.decode(z, sample=False, mask=False), space, vocabulary), wanted)
        return
    assert isinstance(model, SVGE)
    forward, mirrored = model.decode_directions(z, sample=False, mask=False)
    assert_same_graphs(graphs_of(forward, space, vocabulary), wanted)
    wanted = [plain.greedy(code, space.max_nodes, backward=True) for code in z]
    assert_same_graphs(graphs_of(mirrored, space, vocabulary), wanted)


DVAES: list[tuple[str, dict[str, Any]]] = [
    ("enas6", {"head": True}),
    ("enas6", {"both": False}),
    ("enas6", {"ids": False}),
    ("enas12", {"vertices": 14}),
    ("bn8", {"types": 10, "vertices": 10, "network": True}),
    ("bn8", {"types": 10, "vertices": 10, "network": True, "both": False}),
]


@pytest.mark.parametrize(("space_name", "options"), DVAES, ids=str)
@torch.no_grad()
def test_dvae(space_name: str, options: dict[str, Any], tmp_path: Path) -> None:
    space, vocabulary = get_space(space_name), VOCABULARIES["dvae", space_name]
    state = dvae_state(**options, seed=3)
    model, plain = imported(state, "dvae", space_name, tmp_path), None
    assert isinstance(model, DVAE)
    plain = PlainDVAE(state, space.max_nodes, options.get("network", False))
    archs = mixed_batch(space, 4)
    graphs = graphs_of(archs, space, vocabulary)
    mu, logvar = (torch.stack(part) for part in zip(*map(plain.encode, graphs), strict=True))
    close(model.encode(archs)[0], mu)
    close(model.encode(archs)[1], logvar)
    losses, nlls = (torch.stack(part) for part in zip(*map(plain.losses, graphs, mu), strict=True))
    close(model.log_prob(archs, mu), -nlls)
    close(model.loss(archs)["reconstruction"], losses.mean())
    close(model.loss(archs)["total"], losses.mean() + 0.005 * gaussian_kl(mu, logvar) / len(archs))
    if model.predicts:
        close(model.predict(archs), torch.stack([plain.accuracy(code) for code in mu]))
    z = 4 * codes(model, 30).double()
    drawn = graphs_of(model.decode(z, sample=False, mask=False), space, vocabulary)
    assert_same_graphs(drawn, [plain.greedy(code) for code in z])


@pytest.mark.parametrize("space_name", ["nb101", "nb201"])
@pytest.mark.parametrize("wrapped", [False, True])
@torch.no_grad()
def test_arch2vec(space_name: str, wrapped: bool, tmp_path: Path) -> None:
    space, vocabulary = get_space(space_name), VOCABULARIES["arch2vec", space_name]
    state = arch2vec_state(space.num_ops)
    content = {"epoch": 7, "loss": 0.1, "model_state": state, "optimizer_state": {"state": {}, "param_groups": []}}
    model = imported(content if wrapped else state, "arch2vec", space_name, tmp_path)
    assert isinstance(model, Arch2Vec)
    plain, archs = PlainArch2Vec(state, space.max_nodes), mixed_batch(space, 6)
    graphs = graphs_of(archs, space, vocabulary)
    mu, log_sd = (torch.stack(part) for part in zip(*map(plain.encode, graphs), strict=True))
    got_mu, got_logvar = model.encode(archs)
    close(got_mu, mu.flatten(1))
    close(got_logvar, 2 * log_sd.flatten(1))
    close(model.embed(archs), mu.mean(1))
    types, edges = model.scores(got_mu)
    order = [vocabulary.index(entry) for entry in space.vocabulary]
    for row in range(len(archs)):
        wanted_types, wanted_edges = plain.decode(mu[row])
        close(types[row], wanted_types[:, order])
        close(edges[row], wanted_edges)
    close(model.loss(archs)["total"], plain.loss(graphs))


# -- whole files ------------------------------------------------------------------------------------------------------
PUBLISHED: list[tuple[str, str, dict[str, Any], int]] = [
    ("svge", "nb101", {"system": "svge", "types": 5, "node": 250, "graph": 56}, 2_245_121),
    ("svge", "enas6", {"system": "svge", "types": 8, "node": 250, "graph": 56}, 2_246_417),
    ("dgmg", "nb201", {"system": "dgmg", "types": 7, "node": 250, "graph": 56}, 4_873_860),
    ("dvae", "enas6", {"hidden": 501, "latent": 56}, 6_937_969),
    ("arch2vec", "nb201", {"types": 7, "hidden": 128, "latent": 16, "layers": 4}, 122_907),
]
MAKERS: dict[str, Any] = {
    "svge": generator_state,
    "dgmg": generator_state,
    "dvae": dvae_state,
    "arch2vec": arch2vec_state,
}


@pytest.mark.parametrize(("system", "space_name", "sizes", "count"), PUBLISHED, ids=lambda value: str(value)[:8])
@torch.no_grad()
def test_published_sizes_in_single_precision(
    system: str, space_name: str, sizes: dict[str, Any], count: int, tmp_path: Path
) -> None:
    space, state = get_space(space_name), MAKERS[system](**sizes)
    model = import_released(save(state, tmp_path / "theirs.pth", old=False), system, space)
    assert isinstance(model, GraphVAE) and model.num_parameters == count
    archs = mixed_batch(space, 2)
    graphs = graphs_of(archs, space, VOCABULARIES[system, space_name])
    plain = {
        "dvae": lambda: PlainDVAE(state, space.max_nodes),
        "arch2vec": lambda: PlainArch2Vec(state, space.max_nodes),
    }.get(system, lambda: PlainGenerator(state, system == "svge"))()
    mu = torch.stack([plain.encode(graph)[0].flatten() for graph in graphs])
    torch.testing.assert_close(model.encode(archs)[0], mu.float(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("old", [False, True])
def test_both_formats_and_the_prefix_of_data_parallel(old: bool, tmp_path: Path) -> None:
    state = generator_state("svge", 5)
    want = imported(state, "svge", "nb101", tmp_path).state_dict()
    wrapped = {f"module.{name}": torch.nn.Parameter(tensor) for name, tensor in state.items()}
    got = imported(wrapped, "svge", "nb101", tmp_path, old).state_dict()
    assert got.keys() == want.keys() and all(torch.equal(got[name], want[name]) for name in want)


def test_other_depths_are_read_off_the_file(tmp_path: Path) -> None:
    state = generator_state("svge", 5, rounds=3)
    for name in [name for name in state if name.startswith("Encoder.NodeEmb.GNNLayers_") and ".2." in name]:
        del state[name]
    config = imported(state, "svge", "nb101", tmp_path).config.to_dict()
    assert (config["rounds"], config["encoder_rounds"]) == (3, 2)
    halves = {name: tensor.half() for name, tensor in state.items()}
    assert next(imported(halves, "svge", "nb101", tmp_path).parameters()).dtype == torch.float64


def test_every_tensor_of_ours_has_a_source_and_every_space_its_published_order() -> None:
    found = {
        (system, name): order for system, release in RELEASES.items() for name, order in release.vocabularies.items()
    }
    assert found == VOCABULARIES
    for system, name in found:
        space, release = get_space(name), RELEASES[system]
        assert sorted(found[system, name]) == sorted(space.vocabulary)
        if system == "dvae":  # whose aggregators of types are taken as they are
            assert found[system, name] == space.vocabulary
        own = create_model(system, space, faithful=True).state_dict()
        assert all(release.parts(entry) for entry in own) and release.types.keys() <= own.keys()
