"""Training a graph VAE from a config."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from graphnas.checkpoint import remove_partial
from graphnas.device import check_device, seed_everything
from graphnas.errors import GraphnasError, MissingData
from graphnas.models import GraphVAE, create_model, load_model
from graphnas.models.base import load_weights
from graphnas.run_folder import RunFolder, is_main_process
from graphnas.spaces import get_space
from graphnas.state_dicts import resolve
from graphnas.tables import default_table
from graphnas.train.config import VAEConfig
from graphnas.train.data import Prepared, prepare, random_rows
from graphnas.train.loop import FitResult, fit
from graphnas.train.objectives import VAEObjective
from graphnas.train.trainer import Labelled

VALIDATION_GRAPHS = 2000
"""Held-out graphs looked at in each validation; the rest of the part is left alone."""


def train_vae(config: VAEConfig, out: Path, resume: bool = False, progress: bool = True) -> FitResult:
    """Train the VAE that `config` describes into the run folder `out`.

    Raises:
        GraphnasError: the folder holds another run, bad config, bad data.
    """
    if config.model_args.get("accuracy_head") and config.data.labels is None:
        config = replace(config, data=replace(config.data, labels=default_table(config.data.space)))
    check_device(config.fit.device)
    run = RunFolder(out)
    if resume:
        run.check_same(config)
        if run.last.exists() and not run.state_file.exists():
            raise MissingData(f"{run.state_file} is missing: the finished run in {out} cannot be continued without it")
    else:
        run.check_new()
    seed_everything(config.fit.seed)
    data = prepare(config.data)
    model = build(config, data)
    if len(data.split.train) < config.fit.batch_size:
        raise GraphnasError(
            f"{len(data.split.train)} training graphs do not fill one batch of {config.fit.batch_size}: "
            "choose a smaller fit.batch_size"
        )
    if is_main_process():
        remove_partial(out)
        if not resume:
            run.write_config(config)
    return fit(VAEObjective(model), part(data, "train"), part(data, "validation"), config.fit, run, resume, progress)


def train_or_continue(config: VAEConfig, out: Path) -> list[dict[str, Any]]:
    """Records of the training `config` in the run folder `out`: begun, continued, or left alone where it has its end.

    A finished folder needs weights and records alone, so that it may come from another machine.

    Raises:
        CheckpointMismatch: the folder has another training; see also :func:`train_vae`.
    """
    run = RunFolder(out)
    if not run.state_file.exists() and run.best.is_file():
        records = run.read_records()
        if records and records[-1]["step"] >= config.fit.max_steps:
            run.check_same(config)
            return records
    return train_vae(config, out, resume=run.config_file.exists(), progress=False).records


def build(config: VAEConfig, data: Prepared) -> GraphVAE:
    """The model at the start of the run.

    Raises:
        GraphnasError: no VAE, or one that cannot be made with these `model_args`.
        CheckpointMismatch: weights to start from that are of another model, space or size.
    """
    try:
        model = create_model(config.model, data.space, **config.model_args)
    except (TypeError, RuntimeError) as error:  # values of the wrong type, sizes beyond the memory
        raise GraphnasError(f"model {config.model!r} cannot be made with {config.model_args}: {error}") from error
    if not isinstance(model, GraphVAE):
        raise GraphnasError(f"{config.model!r} is no VAE: see `graphnas models list --kind vae`")
    if getattr(model.config, "accuracy_head", False) and data.y is None:
        raise GraphnasError("an accuracy head learns from labels: pass --data.labels")
    if config.start_from is not None:
        load_weights(
            model, load_model(resolve(config.start_from), (config.model, data.space)).state_dict(), config.start_from
        )
    return model


def part(data: Prepared, name: str) -> Labelled:
    """One side of the split; of the validation part, as many random rows as a validation looks at."""
    rows = getattr(data.split, name)
    if name == "validation":
        rows = random_rows(rows, VALIDATION_GRAPHS, data.split.seed)
    return Labelled(data.archs[rows], None if data.y is None else data.y[rows])


def read_vae_config(path: Path) -> VAEConfig:
    """The config of a run folder.

    Raises:
        MissingData: no run folder.
        CorruptFile: a damaged config, or one with entries this graphnas does not know.
    """
    return RunFolder(path).read_config_as(VAEConfig)


def load_vae(path: Path) -> GraphVAE:
    """The best weights of a run folder, or a model file.

    Raises:
        GraphnasError: the file holds no VAE.
        CheckpointMismatch: weights in a run folder that are of another model or space than its config says.
    """
    expect = None
    if path.is_dir():
        config = read_vae_config(path)
        expect = config.model, get_space(config.data.space)
    model = load_model(path, expect)
    if not isinstance(model, GraphVAE):
        raise GraphnasError(f"{path} holds a {type(model).__name__}, which is no VAE")
    return model
