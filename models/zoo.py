"""The registry of models and the functions that list and build them."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch

from graphnas.checkpoint import read_model_file, write_model_file
from graphnas.errors import CheckpointMismatch, GraphnasError, InvalidValues, UnknownName
from graphnas.models.base import GraphModel, GraphVAE, check_shapes, load_weights, vocabulary_hash
from graphnas.models.predictor import Predictor
from graphnas.registry import Registry
from graphnas.spaces import SearchSpace, get_space

MODELS: Registry[type[GraphModel]] = Registry("model")

M = TypeVar("M", bound=type[GraphModel])


def register_model(name: str) -> Callable[[M], M]:
    """Class decorator that enters a model under its snake_case name."""

    def enter(model: M) -> M:
        model.registered_name = name
        MODELS.register(name)(model)
        return model

    return enter


def kind_of(model: type[GraphModel]) -> str:
    """`vae`, `predictor`, or `model` for what promises no more than :class:`GraphModel`."""
    kinds = {"vae": GraphVAE, "predictor": Predictor}
    return next((kind for kind, base in kinds.items() if issubclass(model, base)), "model")


def list_models(
    pattern: str = "*", kind: str | None = None, space: str | SearchSpace | None = None, pretrained: bool | None = None
) -> list[str]:
    """Names of models.

    Args:
        pattern: shell pattern.
        kind: only models of that kind (`vae`, `predictor`).
        space: with `pretrained`, only weights for that space.
        pretrained: True for models with shipped weights, False for those without.

    Raises:
        UnknownName: no such space.
    """
    wanted = get_space(space).name if space is not None else None
    names = [name for name in MODELS.names(pattern) if kind is None or kind_of(MODELS[name]) == kind]
    if pretrained is None:
        return names
    from graphnas.state_dicts import list_pretrained

    shipped = {card["model"] for card in list_pretrained() if wanted in (None, card["space"])}
    return [name for name in names if (name in shipped) == pretrained]


def model_info(name: str) -> dict[str, Any]:
    """What a model is: kind, paper, one-line summary, text, paper-default config, where it is defined, shipped weights.

    `paper` is the first line of its module, `text` the rest of its docstring without examples.

    Raises:
        UnknownName: with close matches.
    """
    model = MODELS[name]
    summary, _, text = (inspect.getdoc(model) or "").partition("\n")
    module = inspect.getmodule(model)
    from graphnas.state_dicts import list_pretrained

    return {
        "name": name,
        "kind": kind_of(model),
        "paper": ((module.__doc__ if module else None) or "").partition("\n")[0],
        "summary": summary,
        "text": text.partition(">>>")[0].strip(),
        "config": model.config_class().to_dict(),
        "module": model.__module__,
        "pretrained": [card["name"] for card in list_pretrained() if card["model"] == name],
    }


def create_model(
    name: str, space: str | SearchSpace, pretrained: bool | str | Path = False, **overrides: Any
) -> GraphModel:
    """A model of the zoo for a search space.

    Args:
        name: as listed by :func:`list_models`.
        space: name or object.
        pretrained: True or a tag for shipped weights, the path of a run folder or .safetensors file (`./NAME` where a
            tag has that name), or the http, https or file address of one, which may end on `#sha256=HEX`.
        overrides: fields of the model's config; with weights, those that change no shape.

    Raises:
        UnknownName: model, space, config field or weights that do not exist.
        InvalidValues: `pretrained` of another type, or an address of something else.
        MissingData, DownloadFailed: no such file, or one that cannot be fetched.
        CheckpointMismatch: weights of another model, space, vocabulary or config.
        CorruptFile: weights that are damaged, or not those their card was written for.

    >>> create_model("svge", "nb101").num_parameters
    2245121
    """
    model_class = MODELS[name]
    fields = [field.name for field in dataclasses.fields(model_class.config_class)]
    for key in overrides:
        if key not in fields:
            raise UnknownName(f"option of model {name!r}", key, fields)
    if pretrained is not False:
        return load_pretrained(name, get_space(space), pretrained, **overrides)
    try:
        model_class.config_class.check_types(overrides)
        config = model_class.config_class(**overrides)
        return model_class(config, space)
    except GraphnasError:
        raise
    except (TypeError, ValueError) as error:
        raise GraphnasError(f"model {name!r} cannot be made with {overrides}: {error}") from error


def save_model(model: GraphModel, path: Path, extra: dict[str, Any] | None = None, half: bool = False) -> Path:
    """Weights and everything that rebuilds the model, as one .safetensors file.

    Args:
        model: its `description()` becomes the header.
        path: where to.
        extra: further JSON for the header (metrics, versions).
        half: store single-precision tensors in half precision; :func:`load_model` makes them single again.

    Raises:
        GraphnasError: the file could not be written; an earlier one is unchanged.
    """
    state = model.state_dict()
    if half:
        state = {name: value.half() if value.dtype == torch.float32 else value for name, value in state.items()}
    return write_model_file(path, {**model.description(), "extra": extra or {}}, state)


def load_model(path: Path, expect: tuple[str, SearchSpace] | None = None, **overrides: Any) -> GraphModel:
    """The model saved at `path`, in eval mode.

    Args:
        path: a .safetensors file, or a run folder (its best weights).
        expect: model name and space it must have.
        overrides: config fields to change that do not change shapes.

    Raises:
        MissingData, CorruptFile: see :func:`read_model_file`.
        CheckpointMismatch: another model, space, vocabulary or shape.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "best.safetensors"
    header, tensors = read_model_file(path)
    if expect is not None and (header["model"], header["space"]) != (expect[0], expect[1].name):
        raise CheckpointMismatch(
            f"{path} holds {header['model']!r} for {header['space']!r}, expected {expect[0]!r} for {expect[1].name!r}"
        )
    try:
        space = get_space(header["space"]) if expect is None else expect[1]
    except UnknownName as error:
        raise CheckpointMismatch(f"{path}: {error}") from error
    if vocabulary_hash(space) != header["vocabulary"]:
        raise CheckpointMismatch(f"{path} was trained on another vocabulary of {space.name!r} than this graphnas has")
    name, config = header["model"], {**header["config"], **overrides}
    try:
        refuse_depth(config, tensors)
        if is_larger(config, tensors) and (shapes := shapes_of(name, space, config)) is not None:
            check_shapes(shapes, tensors, str(path), repr(name))
        model = create_model(name, space, **config)
    except CheckpointMismatch:
        raise
    except (GraphnasError, TypeError, ValueError, RuntimeError) as error:  # a config that builds no model
        raise CheckpointMismatch(f"{path}: {error}") from error
    load_weights(model, tensors, str(path))
    return model.eval()


def refuse_depth(config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    """Refuse a config of more layers or rounds than there are tensors, which might take for ever to build or run.

    Raises:
        ValueError: naming the field.
    """
    for name, value in config.items():
        if name.endswith(("layers", "rounds")) and isinstance(value, int) and value > len(tensors):
            raise ValueError(f"{name} of its header cannot be {value}, there are {len(tensors)} tensors")


def is_larger(config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> bool:
    """Whether a config has a number beyond the longest axis of the tensors, and so might ask for far more memory.

    What is not is made at once: the meta device, on its first use, takes seconds to import what it needs.
    """
    longest = max((max(tensor.shape, default=0) for tensor in tensors.values()), default=0)
    values = [value for entry in config.values() for value in (entry.values() if isinstance(entry, dict) else [entry])]
    return any(isinstance(value, int) and value > longest for value in values)


def shapes_of(name: str, space: SearchSpace, config: dict[str, Any]) -> dict[str, torch.Tensor] | None:
    """The state dict of a model on the meta device, where even a config of absurd sizes takes no memory.

    None for a model that computes with its tensors while it is made, which that device cannot.
    """
    try:
        with torch.device("meta"):
            return create_model(name, space, **config).state_dict()
    except RuntimeError:
        return None


def load_pretrained(
    name: str, space: SearchSpace, pretrained: Literal[True] | str | Path, **overrides: Any
) -> GraphModel:
    """The model that `pretrained` means: shipped weights for True or a tag, else those at a path or an address.

    A tag goes before the whole name of shipped weights, and that before a file or folder of the same name, which
    `./NAME` means in any case.

    Raises:
        InvalidValues: anything else.
        UnknownName: no such weights.
        CheckpointMismatch: of another model, space, vocabulary or config than asked for, or than their card says.
        CorruptFile: damaged.
    """
    from graphnas.state_dicts import find, is_place, is_shipped, read_card, resolve

    if pretrained is not True and (not isinstance(pretrained, str | Path) or not str(pretrained)):
        raise InvalidValues(f"pretrained should be True, a tag, a path or an address (got {pretrained!r})")
    shipped = f"{name}_{space.name}" + ("" if pretrained is True else f"-{pretrained}")
    if isinstance(pretrained, str) and is_shipped(pretrained) and not is_shipped(shipped):
        shipped = pretrained
    is_name = isinstance(pretrained, str) and (is_shipped(shipped) or not is_place(pretrained))
    if pretrained is not True and not is_name:
        return load_model(resolve(pretrained), (name, space), **overrides)
    card = read_card(shipped)
    for field, wanted in (("model", name), ("space", space.name), ("vocabulary_hash", vocabulary_hash(space))):
        if card[field] != wanted:
            raise CheckpointMismatch(f"the card {shipped} is about {field} {card[field]!r}, expected {wanted!r}")
    path = find(shipped)
    if read_model_file(path)[0]["config"] != card["config"]:
        raise CheckpointMismatch(f"{path} has another config than its card says: reinstall graphnas")
    return load_model(path, (name, space), **overrides)
