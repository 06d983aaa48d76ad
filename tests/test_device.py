"""Device and processes of a run."""

from __future__ import annotations

import pytest
import torch

from graphnas.device import make_fabric, num_processes
from graphnas.errors import GraphnasError


def test_the_cpu() -> None:
    fabric = make_fabric("cpu")
    assert fabric.device == torch.device("cpu") and fabric.world_size == 1
    network, _ = fabric.setup(torch.nn.Linear(2, 1), torch.optim.SGD([torch.zeros(1, requires_grad=True)]))
    assert network(torch.zeros(1, 2)).dtype == torch.float32


def test_a_device_that_does_not_exist() -> None:
    with pytest.raises(GraphnasError, match="device must be auto, cpu, cuda, mps \\(got 'gpu0'\\)"):
        make_fabric("gpu0")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there() -> None:
    with pytest.raises(GraphnasError, match="cannot run on device 'cuda'"):
        make_fabric("cuda")


def test_processes_of_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert num_processes() == 1
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert num_processes() == 4
