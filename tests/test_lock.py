"""One at a time, whatever the others do."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from graphnas import lock
from graphnas.lock import alone


def test_one_at_a_time(tmp_path: Path) -> None:
    path, inside, most = tmp_path / "lock", [0], [0]

    def work() -> None:
        for _ in range(5):
            with alone(path):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                time.sleep(0.002)
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] and not path.exists()


def test_a_holder_that_dies_lets_go(tmp_path: Path) -> None:
    code = "import os, sys; from pathlib import Path; from graphnas.lock import alone\n"
    code += "with alone(Path('lock')): os._exit(1)"
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path).returncode == 1
    assert (tmp_path / "lock").exists()
    with alone(tmp_path / "lock"):
        pass
    assert not (tmp_path / "lock").exists()


def test_an_error_inside_lets_go(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(KeyError), alone(tmp_path / "lock"):
            raise KeyError
    with pytest.raises(OSError), alone(tmp_path / "none" / "lock"):
        pass


def test_without_locks_nobody_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "fcntl", None)
    with alone(tmp_path / "lock"):
        assert (tmp_path / "lock").exists()
