"""VAEs of the zoo trained on the small members of a space, to be asked about larger ones."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import yaml

from graphnas.models import GraphVAE
from graphnas.models.zoo import MODELS
from graphnas.spaces import SearchSpace, get_space
from graphnas.train import vae
from graphnas.train.config import VAEConfig

RECIPES = Path(vae.__file__).resolve().parent / "recipes"
WITH_PLACES = "+places"
"""Behind the name of a model: its encoder is told which vertex is which, as its recipe has it."""


def small_config(name: str, space: SearchSpace | str, base: str, seed: int, steps: int) -> VAEConfig:
    """The run of one VAE on `space` by the recipe it has for the space called `base`, shortened to `steps`.

    Encoders that can do without the index of a vertex do: weights for the indices of larger graphs would never have
    been trained. With :data:`WITH_PLACES` behind the name they keep it.

    Raises:
        UnknownName: no such model or space.
    """
    model = name.removesuffix(WITH_PLACES)
    own = {entry.name for entry in fields(MODELS[model].config_class)}
    path = RECIPES / f"{model}_{base}.yaml"
    config = VAEConfig.from_plain(yaml.safe_load(path.read_text())) if path.exists() else VAEConfig(model)
    args = dict(config.model_args)
    if "vertex_ids" in own and name == model:
        args["vertex_ids"] = False
    space = get_space(space)
    fit = replace(
        config.fit,
        batch_size=min(config.fit.batch_size, space.size // 2),
        max_steps=steps,
        validate_every=max(1, steps // 4),
        warmup_steps=min(200, steps // 10),
        seed=seed,
        device="cpu",
    )
    return replace(config, model_args=args, data=replace(config.data, space=space.name), fit=fit)


def small_vae(config: VAEConfig, folder: Path) -> GraphVAE:
    """The trained model of a run folder; trains it first, or goes on where it was interrupted.

    Raises:
        CheckpointMismatch: the folder holds a run with other settings.
    """
    if not (folder / "last.safetensors").exists():
        vae.train_vae(config, folder, resume=(folder / "config.yaml").exists(), progress=False)
    return vae.load_vae(folder).eval()
