"""A run on disk: its config, metrics, TensorBoard events, checkpoints and the versions it was made with."""

from __future__ import annotations

import io
import json
import os
import platform
from argparse import ArgumentError
from dataclasses import asdict, is_dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol, TypeVar
from zipfile import BadZipFile, ZipFile

import torch
import yaml

from graphnas import __version__
from graphnas.checkpoint import write_bytes, write_text
from graphnas.errors import CheckpointMismatch, CorruptFile, GraphnasError, InvalidValues, MissingData

VERSIONED = ("torch", "torch_geometric", "numpy", "lightning-fabric")


class RunConfig(Protocol):
    """A dataclass that describes a run."""

    @classmethod
    def from_plain(cls, content: dict[str, Any]) -> Any:
        """The config that nested mappings describe.

        Raises:
            InvalidValues: entries or values it cannot have.
        """


Config = TypeVar("Config", bound=RunConfig)


def is_main_process() -> bool:
    """Whether this process is the one that writes: the only one, or the first of those torchrun started."""
    return int(os.environ.get("RANK", 0)) == 0


class RunFolder:
    """Names and formats of the files in a run folder.

    Args:
        path: the folder; made when the first file is written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config_file = self.path / "config.yaml"
        self.metrics_file = self.path / "metrics.jsonl"
        self.state_file = self.path / "last.ckpt"
        self.result_file = self.path / "result.json"
        self.last, self.best = self.path / "last.safetensors", self.path / "best.safetensors"

    def check_new(self) -> None:
        """A run is never overwritten.

        Raises:
            GraphnasError: the folder has a checkpoint or weights.
        """
        if self.state_file.exists() or self.last.exists():
            raise GraphnasError(
                f"{self.path} already holds a run: pass --resume {self.path} to go on with it, or another --out"
            )

    def check_same(self, config: RunConfig) -> None:
        """A resume continues the run that is there, with the same config.

        Raises:
            CheckpointMismatch: naming the first difference.
        """
        before, now = (flat(plain(part)) for part in (self.read_config_as(type(config)), config))
        for key in sorted(before.keys() | now.keys()):
            if before.get(key) != now.get(key):
                raise CheckpointMismatch(
                    f"cannot resume {self.path}: {key} was {before.get(key)!r} and is now {now.get(key)!r}"
                )

    def write_config(self, config: Any) -> None:
        """The full configuration, so that the run can be repeated and resumed."""
        write_text(self.config_file, yaml.safe_dump(plain(config), sort_keys=False))
        versions = {"graphnas": __version__, "python": platform.python_version()}
        versions |= {name: version(name) for name in VERSIONED}
        write_text(self.path / "versions.json", json.dumps(versions, indent=1) + "\n")

    def read_config(self) -> dict[str, Any]:
        """The configuration as plain data.

        Raises:
            MissingData: not a run folder.
            CorruptFile: unreadable YAML.
        """
        if not self.config_file.is_file():
            raise MissingData(f"{self.path} is not a run folder: it has no config.yaml")
        try:
            content = yaml.safe_load(self.config_file.read_text())
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise CorruptFile(f"{self.config_file} is damaged: {str(error).splitlines()[0]}") from error
        if not isinstance(content, dict):
            raise CorruptFile(f"{self.config_file} is damaged: expected a mapping, got {type(content).__name__}")
        return content

    def read_config_as(self, config_class: type[Config]) -> Config:
        """The configuration as the dataclass it was written from.

        Raises:
            MissingData: not a run folder.
            CorruptFile: a damaged config, or one with entries this graphnas does not know.
        """
        from jsonargparse import ArgumentParser

        parser = ArgumentParser(exit_on_error=False)
        parser.add_class_arguments(config_class)
        content = self.read_config()
        try:
            config: Config = config_class.from_plain(parser.parse_object(content).as_dict())
        except (ArgumentError, InvalidValues) as error:
            reason = " ".join(str(error).split())
            raise CorruptFile(f"{self.config_file} is damaged or of another version of graphnas: {reason}") from error
        return config

    def write_records(self, records: list[dict[str, Any]]) -> None:
        """All records of the run so far, one JSON object a line."""
        write_text(self.metrics_file, "".join(json.dumps(record) + "\n" for record in records))

    def read_records(self) -> list[dict[str, Any]]:
        """Records written so far.

        Raises:
            CorruptFile: a line that is not JSON.
        """
        if not self.metrics_file.is_file():
            return []
        try:
            return [json.loads(line) for line in self.metrics_file.read_text().splitlines() if line]
        except ValueError as error:
            raise CorruptFile(f"{self.metrics_file} is damaged: {error}") from error

    def write_state(self, state: dict[str, Any]) -> None:
        """Everything a resume needs (tensors and plain types only)."""
        buffer = io.BytesIO()
        torch.save(state, buffer)
        write_bytes(self.state_file, buffer.getvalue())

    def read_state(self) -> dict[str, Any] | None:
        """The state to resume from, None where no checkpoint was written yet.

        Raises:
            CorruptFile: truncated or damaged, or more than plain data.
        """
        if not self.state_file.is_file():
            return None
        try:
            with ZipFile(self.state_file) as archive:  # torch itself reads flipped bits without complaint
                if (damaged := archive.testzip()) is not None:
                    raise BadZipFile(f"checksum of {damaged}")
            state = torch.load(self.state_file, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises a different type for every kind of damage
            raise CorruptFile(
                f"{self.state_file} is truncated, damaged or not ours ({type(error).__name__}): "
                "delete it to start the run again"
            ) from error
        if not isinstance(state, dict) or "step" not in state:
            raise CorruptFile(f"{self.state_file} is no training state of graphnas")
        return state


def plain(config: Any) -> Any:
    """A dataclass as nested mappings; anything else as it is."""
    return asdict(config) if is_dataclass(config) and not isinstance(config, type) else config


def flat(content: Any, prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one with dotted keys."""
    if not isinstance(content, dict):
        return {prefix: content}
    return {
        key: value
        for name, inner in content.items()
        for key, value in flat(inner, f"{prefix}.{name}".lstrip(".")).items()
    }
