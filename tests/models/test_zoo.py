"""Every VAE of the zoo on every search space keeps the contract."""

from __future__ import annotations

import pytest
import torch

from graphnas import create_model, get_space, list_models, list_spaces, model_info
from graphnas.errors import InvalidValues, UnknownName
from graphnas.models import GraphVAE
from graphnas.spaces import Architectures
from graphnas.testing import VAEContract, mixed_batch, seeded, tiny_options


class TestEveryVAE(VAEContract):
    @pytest.fixture(params=list_models(kind="vae"))
    def name(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture(params=list_spaces())
    def model(self, name: str, request: pytest.FixtureRequest) -> GraphVAE:
        torch.manual_seed(0)
        model = create_model(name, request.param, **tiny_options(name))
        assert isinstance(model, GraphVAE)
        return model

    @pytest.fixture
    def archs(self, model: GraphVAE) -> Architectures:
        return mixed_batch(model.space)

    @pytest.mark.parametrize("odd", [float("nan"), float("inf")])
    def test_codes_that_are_none_are_refused(self, odd: float, model: GraphVAE, archs: Architectures) -> None:
        z = torch.randn(3, model.eval().latent_dim, generator=seeded())
        z[1, -1] = odd
        with pytest.raises(InvalidValues, match=r"codes must be finite \(row 1 is not\)"):
            model.decode(z)
        with pytest.raises(InvalidValues, match="one code per architecture \\(got 3 codes for 2 architectures\\)"):
            model.log_prob(archs[:2], z)
        with pytest.raises(InvalidValues, match="expected codes as a tensor \\(got ndarray\\)"):
            model.decode(z.numpy())  # type: ignore[arg-type]
        assert model.decode(z[:1].double(), sample=False) == model.decode(z[:1], sample=False)


@pytest.mark.parametrize("name", list_models(kind="vae"))
def test_targets_of_another_shape_are_refused(name: str) -> None:
    model = create_model(name, "toy", **tiny_options(name), accuracy_head=True)
    assert isinstance(model, GraphVAE)
    archs = mixed_batch(model.space)
    for y in (torch.zeros(len(archs), 1), torch.zeros(len(archs) - 1), torch.tensor(1.0)):
        with pytest.raises(InvalidValues, match=rf"expected targets of shape \[{len(archs)}\] \(got \["):
            model.loss(archs, y)


def test_listing() -> None:
    assert "svge" in list_models() == list_models("*")
    assert list_models("no*") == [] and list_models("svge", kind="vae") == ["svge"]
    assert list_models(pretrained=True) == [name for name in list_models() if name in list_models(pretrained=True)]
    info = model_info("svge")
    assert info["config"]["node_dim"] == 250 and info["kind"] == "vae" and info["summary"]
    assert "arXiv 2010.04683" in info["paper"] and "loss = sum" in info["text"] and ">>>" not in info["text"]


def test_unknown_names_say_what_there_is() -> None:
    with pytest.raises(UnknownName, match="did you mean 'svge'"):
        create_model("svgee", "toy")
    with pytest.raises(UnknownName, match="node_dim"):
        create_model("svge", "toy", nodedim=3)
    with pytest.raises(UnknownName, match="nb101"):
        create_model("svge", "nb102")


def test_space_object_passes_through() -> None:
    toy = get_space("toy")
    assert create_model("svge", toy, node_dim=4, latent_dim=2).space is toy
