"""Training the network of one architecture on real images."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch.utils.tensorboard import SummaryWriter
from tqdm.auto import tqdm

from graphnas.checkpoint import remove_partial
from graphnas.device import make_fabric, num_processes
from graphnas.errors import GraphnasError, InvalidArchitecture, InvalidValues
from graphnas.networks.base import Images, build_network
from graphnas.networks.config import NetworkConfig
from graphnas.networks.evaluation import count_flops
from graphnas.networks.images import ImageData, ImageSplit, load_images
from graphnas.networks.result import EpochRecord, NetworkResult, best_by_validation, read_result, write_result
from graphnas.networks.trainer import NetworkTrainer, fork_generators, seed_generators
from graphnas.networks.weights import save_network
from graphnas.run_folder import RunFolder
from graphnas.spaces import get_space

log = logging.getLogger(__name__)


@dataclass
class Prepared:
    """What a run works on: text of the architecture as its space writes it, data, and their form."""

    arch: str
    data: ImageData
    images: Images


def train_network(
    config: NetworkConfig, out: str | Path | None = None, resume: bool = False, progress: bool = True
) -> NetworkResult:
    """Train the network that `config` describes and evaluate it after every epoch.

    The result is the network after the last epoch. A run depends on its config alone: torch's global generator is used
    and left as it was found, and a run that was interrupted goes on from its last epoch, bit for bit on the CPU.

    Args:
        config: architecture, images, recipe and seed.
        out: run folder; nothing is written without one.
        resume: go on with the run in `out`; a finished run is left alone.
        progress: show a bar on a terminal.

    Raises:
        GraphnasError: the folder holds another run, bad config, missing images, loss not finite, disk full.
    """
    run = None if out is None else RunFolder(out)
    state = _open(run, config, resume)
    if run and state is not None and run.result_file.is_file():
        log.info("%s is finished, nothing to do", run.path)
        return read_result(run)
    if num_processes() > 1:
        raise GraphnasError("the network of an architecture is trained by one process: start it without torchrun")
    prepared, fabric = prepare(config), make_fabric(config.device, _precision(config))
    if run:
        remove_partial(run.path)
        if not resume:
            run.write_config(config)
    with fork_generators(fabric.device):
        seed_generators(config.seed, fabric.device)
        network = build_network(config.space, prepared.arch, prepared.images, **config.recipe.network)
        network.to(getattr(torch, config.recipe.dtype))
        trainer = NetworkTrainer(network, prepared.data, config, fabric)
        if state is not None:
            trainer.restore(state)
            log.info("%s goes on from epoch %d", out, trainer.epoch)
        _run(trainer, run, progress)
    result = summarise(trainer, prepared)
    if run:
        run.write_records([asdict(record) for record in trainer.records])
        save_network(network, run.last, config.space, prepared.arch, prepared.images, config.recipe.network)
        write_result(run, result)
    return result


def _open(run: RunFolder | None, config: NetworkConfig, resume: bool) -> dict[str, Any] | None:
    """The state to go on from, None for a new run."""
    if run is None:
        if resume:
            raise InvalidValues("a run can be resumed in its folder only: pass out")
        return None
    if not resume:
        run.check_new()
        return None
    run.check_same(config)
    return run.read_state()


def _precision(config: NetworkConfig) -> str:
    """As Fabric names it; "32-true" leaves a float64 network as it is, "64-true" would round its output."""
    return "bf16-mixed" if config.mixed_precision else "32-true"


def prepare(config: NetworkConfig) -> Prepared:
    """Read the architecture and load the images.

    Raises:
        UnknownName: no such space or data set.
        InvalidArchitecture: not one architecture of the space.
        MissingData: the images are not there.
        InvalidValues: options the data set does not have.
    """
    space = get_space(config.space)
    archs = space.parse(config.arch)
    if len(archs) != 1:
        raise InvalidArchitecture(f"a network is built from one architecture (got {len(archs)})")
    data = load_images(config.dataset, config.data_root, **config.recipe.data)
    if config.max_images is not None:
        data = _shorten(data, config.max_images)
    channels, size, _ = data.shape
    return Prepared(space.format(archs)[0], data, Images(channels, size, data.num_classes))


def _shorten(data: ImageData, number: int) -> ImageData:
    train, validation, test = (
        ImageSplit(part.images[:number], part.labels[:number]) for part in (data.train, data.validation, data.test)
    )
    return replace(data, train=train, validation=validation, test=test)


def _run(trainer: NetworkTrainer, run: RunFolder | None, progress: bool) -> None:
    """Epochs to the end, each with its record and checkpoint."""
    writer = None
    if run:
        writer = SummaryWriter(str(run.path / "tensorboard"), purge_step=trainer.epoch + 1, flush_secs=10)
    steps, epochs = trainer.steps, trainer.recipe.epochs
    bar = tqdm(total=epochs * steps, initial=trainer.epoch * steps, disable=None if progress else True, unit="step")
    try:
        while trainer.epoch < epochs:
            record = trainer.train_epoch(bar.update)
            _report(trainer, record, writer, bar)
            if run:
                run.write_records([asdict(record) for record in trainer.records])
                run.write_state(trainer.state())
    finally:
        bar.close()
        if writer:
            writer.close()


def _report(trainer: NetworkTrainer, record: EpochRecord, writer: SummaryWriter | None, bar: Any) -> None:
    """A record to TensorBoard, the bar and the log."""
    scores = record.scores()
    shown = {name: f"{value:.4g}" for name, value in scores.items() if name.endswith("accuracy")}
    bar.set_postfix(shown)
    if bar.disable:
        text = ", ".join(f"{name} {value}" for name, value in shown.items())
        log.info("epoch %d of %d: %s", record.epoch, trainer.recipe.epochs, text)
    if writer:
        for name, value in {**scores, "rate": record.rate}.items():
            writer.add_scalar(name, value, record.epoch)


def summarise(trainer: NetworkTrainer, prepared: Prepared) -> NetworkResult:
    """The result of a trainer that has done all its epochs."""
    config, data = trainer.config, prepared.data
    example = data.normalise(data.train.images[:1], getattr(torch, config.recipe.dtype))
    return NetworkResult(
        space=config.space,
        arch=prepared.arch,
        dataset=config.dataset,
        seed=config.seed,
        epochs=trainer.epoch,
        steps=trainer.epoch * trainer.steps,
        image_shape=list(data.shape),
        num_classes=data.num_classes,
        num_train=len(data.train),
        num_validation=len(data.validation),
        num_test=len(data.test),
        parameters=trainer.raw.num_parameters,
        flops=count_flops(trainer.raw, example.to(trainer.fabric.device)),
        final=trainer.records[-1],
        best_validation=best_by_validation(trainer.records),
        records=trainer.records,
    )
