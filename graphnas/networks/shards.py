"""Measuring many architectures in shards on disk: resumable at any moment, in parallel, the same bytes every time."""

from __future__ import annotations

import hashlib
import json
import logging
import time
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from graphnas.checkpoint import remove_partial, write_atomically
from graphnas.errors import CorruptFile, InvalidValues
from graphnas.networks.images.base import ImageData, load_images
from graphnas.networks.recipe import SEEDS, Recipe
from graphnas.networks.stacked import Counts, train_stacked
from graphnas.spaces import Architectures, get_space

log = logging.getLogger(__name__)

PARTS = ("train", "validation", "test")
DAMAGE = (LookupError, ValueError, TypeError, EOFError, OSError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""What reading a damaged file raises; a RuntimeError where its flags tell of encryption or an unknown compression."""
VERSION = 1
"""Of what is computed: raised whenever the same recipe gives other numbers."""


@dataclass(frozen=True)
class Plan:
    """What is to be measured.

    Attributes:
        space: name of the search space.
        texts: the architectures in its native text form.
        dataset: name of the image data set.
        recipe: how each is trained.
        seeds: one run each.
        group: architectures in a shard, which are trained as one computation.
    """

    space: str
    texts: tuple[str, ...]
    dataset: str
    recipe: Recipe
    seeds: tuple[int, ...]
    group: int = 8

    def __post_init__(self) -> None:
        if not all(0 <= seed < SEEDS for seed in self.seeds):
            raise InvalidValues(f"expected seeds from 0 to {SEEDS - 1} (got {self.seeds})")
        if len(set(self.seeds)) < len(self.seeds) or not self.seeds:
            raise InvalidValues(f"expected at least one seed and different seeds (got {self.seeds})")
        if self.group < 1 or not self.texts:
            raise InvalidValues(
                f"expected at least one architecture, and at least one a shard (got {len(self.texts)} and {self.group})"
            )

    def shards(self, folder: Path) -> list[Shard]:
        """All shards, one seed after the other."""
        data = load_images(self.dataset, **self.recipe.data)
        usual = asdict(Recipe())
        recipe = {name: value for name, value in asdict(self.recipe).items() if value != usual[name]}
        common = [VERSION, self.space, recipe, image_digest(data)]
        return [
            Shard(self, folder / f"seed{seed}" / f"{start // self.group:05d}.npz", seed, start, common)
            for seed in self.seeds
            for start in range(0, len(self.texts), self.group)
        ]


@dataclass(frozen=True)
class Shard:
    """A few architectures with one seed, and the file of their learning curves."""

    plan: Plan
    path: Path
    seed: int
    start: int
    common: list[Any]

    @property
    def texts(self) -> tuple[str, ...]:
        """Its architectures."""
        return self.plan.texts[self.start : self.start + self.plan.group]

    @property
    def digest(self) -> str:
        """Hash of everything its numbers follow from."""
        content = json.dumps([*self.common, self.seed, self.texts], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def write(self, counts: Counts, cpu_seconds: float) -> None:
        """Its file, whole or not at all."""
        arrays = {part: getattr(counts, part).numpy().astype(np.uint16) for part in PARTS}
        header = np.array(json.dumps({"digest": self.digest, "cpu_seconds": round(cpu_seconds, 4)}))

        def save(path: Path) -> None:
            with path.open("wb") as stream:
                np.savez(stream, header=header, **arrays)  # type: ignore[arg-type]

        write_atomically(self.path, save)

    def read(self) -> NDArray[np.uint16] | None:
        """Correct images [3, n, epochs] of `PARTS`; None where the file is not there.

        Raises:
            CorruptFile: damaged, or of another plan.
        """
        content = self._content()
        return None if content is None else content[0]

    def cpu_seconds(self) -> float:
        """CPU-seconds that training it took, NaN where it is not measured yet."""
        content = self._content()
        return float("nan") if content is None else content[1]

    def _content(self) -> tuple[NDArray[np.uint16], float] | None:
        if not self.path.exists():
            return None
        shape = (len(self.texts), self.plan.recipe.epochs)
        try:
            with np.load(self.path, allow_pickle=False) as archive:
                header = json.loads(str(archive["header"]))
                arrays = [archive[part] for part in PARTS]
        except DAMAGE as error:
            raise CorruptFile(f"{self.path} is damaged ({type(error).__name__}: {error})") from error
        if header.get("digest") != self.digest:
            raise CorruptFile(f"{self.path} is of another recipe, data set, seed or list of architectures")
        if any(array.shape != shape or array.dtype != np.uint16 for array in arrays):
            raise CorruptFile(f"{self.path} is damaged: expected uint16 {shape}")
        return np.stack(arrays), float(header["cpu_seconds"])

    def measured(self) -> bool:
        """Whether its file is there and good; one that is not is named in the log and removed."""
        try:
            return self.read() is not None
        except CorruptFile as error:
            log.warning("%s: it is measured again", error)
            self.path.unlink(missing_ok=True)
            return False

    def measure(self) -> None:
        """Trains its architectures, on one thread, and writes its file."""
        torch.set_num_threads(1)
        space, data = get_space(self.plan.space), load_images(self.plan.dataset, **self.plan.recipe.data)
        archs: Architectures = space.parse(self.texts)
        begin = time.process_time()
        counts = train_stacked(space, archs, data, self.plan.recipe, self.seed)
        self.write(counts, time.process_time() - begin)


def image_digest(data: ImageData) -> str:
    """Hash of all images and labels and of how they are cut."""
    total = hashlib.sha256()
    for part in (data.train, data.validation, data.test):
        total.update(part.images.numpy().tobytes() + part.labels.numpy().tobytes() + b"|")
    return total.hexdigest()


def measure_all(shards: Sequence[Shard], jobs: int) -> Iterator[int]:
    """Measures what is not on disk yet, in `jobs` processes; yields how many shards are done, as they get done.

    Interrupted at any moment, it goes on with the next call. A folder is for one call at a time: a second one removes
    what the first is just writing.
    """
    for folder in {shard.path.parent for shard in shards}:
        remove_partial(folder)
    missing = [shard for shard in shards if not shard.measured()]
    done = len(shards) - len(missing)
    yield done
    for _ in _run(missing, jobs):
        done += 1
        yield done


def _run(shards: Sequence[Shard], jobs: int) -> Iterator[None]:
    if jobs == 1:
        for shard in shards:
            shard.measure()
            yield
        return
    from joblib import Parallel, delayed

    parallel = Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1, pre_dispatch=2 * jobs)
    yield from parallel(delayed(shard.measure)() for shard in shards)


def collect(shards: Sequence[Shard]) -> NDArray[np.uint16]:
    """Correct images of all architectures and seeds: [3 parts, architectures, seeds, epochs].

    Raises:
        CorruptFile: a shard is damaged or missing.
    """
    plan = shards[0].plan
    counts = np.zeros((len(PARTS), len(plan.texts), len(plan.seeds), plan.recipe.epochs), dtype=np.uint16)
    for shard in shards:
        values = shard.read()
        if values is None:
            raise CorruptFile(f"{shard.path} is not there: measure it first")
        place = plan.seeds.index(shard.seed)
        counts[:, shard.start : shard.start + len(shard.texts), place] = values
    return counts
