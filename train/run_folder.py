"""A run on disk: its config, metrics, TensorBoard events, checkpoints and the versions it was made with."""

from __future__ import annotations

import io
import json
import os
import platform
from dataclasses import asdict, is_dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import torch
import yaml

from graphnas import __version__
from graphnas.checkpoint import write_bytes, write_text
from graphnas.errors import CorruptFile, MissingData

VERSIONED = ("torch", "torch_geometric", "numpy", "lightning-fabric")


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
        self.last, self.best = self.path / "last.safetensors", self.path / "best.safetensors"

    def write_config(self, config: Any) -> None:
        """The full configuration, so that the run can be repeated and resumed."""
        content = asdict(config) if is_dataclass(config) and not isinstance(config, type) else config
        write_text(self.config_file, yaml.safe_dump(content, sort_keys=False))
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
