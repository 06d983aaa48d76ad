"""Files of trained networks: one .safetensors that says which architecture its weights are of."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from graphnas.checkpoint import read_model_file, write_model_file
from graphnas.errors import CheckpointMismatch, CorruptFile, GraphnasError
from graphnas.networks.base import Images, Network, build_network
from graphnas.spaces import get_space

KIND = "network"


def save_network(network: Network, path: Path, space: str, arch: str, images: Images, options: dict[str, Any]) -> Path:
    """Weights, and all that :func:`load_network` needs to build the network they are of.

    Args:
        network: built from the other arguments by `build_network`.
        path: of the file.
        space: name of the search space.
        arch: text of the architecture.
        images: what the network sees.
        options: sizes of the network.
    """
    config = {"arch": arch, "images": asdict(images), "options": options}
    vocabulary = ",".join(get_space(space).vocabulary)
    header = {"model": KIND, "space": space, "vocabulary": vocabulary, "config": config}
    return write_model_file(path, header, network.state_dict())


def load_network(path: str | Path) -> Network:
    """The network of a file, or of `last.safetensors` in a run folder, in evaluation mode on the CPU.

    Raises:
        MissingData: no such file.
        CorruptFile: truncated, damaged, or not written by graphnas.
        CheckpointMismatch: something else than a network, or one that this version of graphnas builds differently.
    """
    path = Path(path)
    file = path / "last.safetensors" if path.is_dir() else path
    header, weights = read_model_file(file)
    if header["model"] != KIND:
        raise CheckpointMismatch(f"{file} holds a model {header['model']!r}, expected the network of an architecture")
    config = header["config"]
    try:
        with torch.random.fork_rng([]):
            network = build_network(header["space"], config["arch"], Images(**config["images"]), **config["options"])
        network.to(next(tensor.dtype for tensor in weights.values() if tensor.is_floating_point()))
        network.load_state_dict(weights)
    except (GraphnasError, RuntimeError) as error:  # first: an unknown name is a KeyError too
        reason = " ".join(str(error).split())
        raise CheckpointMismatch(f"{file} is of another version of graphnas: {reason}") from error
    except (KeyError, TypeError, StopIteration) as error:
        raise CorruptFile(f"{file} does not say which network its weights are of: {error!r}") from error
    return network.eval()
