"""What needs a CUDA device: `pytest -m gpu tests/test_gpu.py`. Every model there says what it says on the CPU."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from graphnas import create_model, get_space, list_models
from graphnas.metrics import kendall_tau
from graphnas.models import FeaturePredictor, GraphVAE, load_model
from graphnas.models.zoo import MODELS
from graphnas.testing import mixed_batch, seeded, tiny_options
from graphnas.train import DataConfig, FitConfig, VAEConfig
from graphnas.train.evaluate import EvaluationConfig, evaluate_vae
from graphnas.train.predictor import fit_predictor
from graphnas.train.vae import train_vae

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]
VAES = list_models(kind="vae")
NETWORKS = [name for name in list_models(kind="predictor") if not issubclass(MODELS[name], FeaturePredictor)]
SPACES = ("nb201", "enas6")


@pytest.fixture(autouse=True)
def _exact_products() -> None:
    torch.backends.cuda.matmul.allow_tf32 = False


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("name", VAES)
def test_a_vae_says_the_same(name: str, space: str) -> None:
    torch.manual_seed(0)
    model = create_model(name, space, **tiny_options(name)).eval()  # type: ignore[arg-type]
    assert isinstance(model, GraphVAE)
    archs = mixed_batch(model.space)
    with torch.no_grad():
        codes, losses = model.encode(archs)[0], model.loss(archs)
        decoded = model.decode(codes, sample=False)
        model.cuda()
        near, found = model.encode(archs.to("cuda"))[0], model.loss(archs.to("cuda"))
        assert near.is_cuda and torch.allclose(near.cpu(), codes, atol=1e-4)
        assert all(torch.allclose(found[key].cpu(), value, rtol=1e-4, atol=1e-4) for key, value in losses.items())
        assert model.decode(codes.cuda(), sample=False).to("cpu") == decoded
        drawn = model.decode(codes.cuda(), generator=torch.Generator("cuda").manual_seed(0), repeats=3)
    assert bool(model.space.is_valid(drawn).all())


@pytest.mark.parametrize("name", VAES)
def test_a_vae_trains_and_its_weights_serve_the_cpu(name: str, tmp_path: Path) -> None:
    fit = FitConfig(max_steps=12, batch_size=32, validate_every=6, device="cuda")
    config = VAEConfig(name, dict(tiny_options(name)), DataConfig(space="nb201", num_graphs=200), fit)
    result = train_vae(config, tmp_path / "run", progress=False)
    assert result.steps == 12 and len(result.records) == 2
    assert load_model(tmp_path / "run" / "best.safetensors").registered_name == name


def test_a_vae_is_measured() -> None:
    model = create_model("svge", "nb201", **tiny_options("svge")).cuda().eval()  # type: ignore[arg-type]
    archs = model.space.sample(64, seeded())
    sizes = EvaluationConfig(num_graphs=32, encodings=2, decodings=2, prior_points=20, prior_codes=20)
    values = evaluate_vae(model, archs, archs, sizes)  # type: ignore[arg-type]
    assert values["validity_masked"] == 1.0


@pytest.mark.parametrize("name", NETWORKS)
def test_a_predictor_says_the_same(name: str) -> None:
    torch.manual_seed(0)
    options = tiny_options(name) | ({"vae": "svge"} if name == "encoder" else {})
    model = create_model(name, "nb201", **options).eval()
    archs = mixed_batch(model.space)
    with torch.no_grad():
        expected = model(archs)
        assert torch.allclose(model.cuda()(archs.to("cuda")).cpu(), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["gcn", "mlp", "svge", "nar"])
def test_a_predictor_fitted_there_ranks(name: str) -> None:
    space = get_space("nb201")
    archs = space.enumerate()[torch.randperm(15625, generator=seeded())[:160]]
    y = space.cost(archs)["params"].double().log1p()
    fitted = fit_predictor(name, archs[:100], y[:100], space, device="cuda")
    predicted = fitted.predict(archs[100:])
    assert predicted.device.type == "cpu" and kendall_tau(predicted, y[100:]) > 0.5
