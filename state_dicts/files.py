"""Weight files of cards and addresses: found in the package, below $GRAPHNAS_HOME or fetched, and checked by hash."""

from __future__ import annotations

import hashlib
import re
from importlib.resources import as_file
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urlsplit
from urllib.request import url2pathname

from graphnas.checkpoint import read_model_file
from graphnas.download import fetch
from graphnas.errors import CorruptFile, InvalidValues, MissingData
from graphnas.paths import home
from graphnas.sources import Source
from graphnas.state_dicts import cards

SUFFIX = ".safetensors"
WAIT = 0.5
"""Seconds before a second attempt: weights are small, and who is offline wants to know it soon."""


def find(name: str) -> Path:
    """Path of the weights called `name`, whose bytes have the hash of their card.

    They lie beside the card, or in `state_dicts` below $GRAPHNAS_HOME, or are fetched there from the card's `url`.

    Raises:
        UnknownName: no card of that name; the text lists those there are.
        MissingData: there is a card but its weights are neither on disk nor to be fetched.
        CorruptFile: weights with another hash than their card says.
        DownloadFailed: the text says what to do by hand.
    """
    card = cards.read_card(name)
    weights, cached = cards.folder() / f"{name}{SUFFIX}", home() / "state_dicts" / f"{name}{SUFFIX}"
    if weights.is_file():
        with as_file(weights) as path:  # wheels are unpacked on installation, so the path outlives the block
            return check_hash(path, card["sha256"], "reinstall graphnas")
    if cached.is_file():
        return check_hash(cached, card["sha256"], "delete it")
    if card["url"] is None:
        raise MissingData(
            f"expected the weights {name}{SUFFIX} next to their card (got none in {cards.folder()}): reinstall graphnas"
        )
    return fetch(source_of(name, card), cached.parent, wait=WAIT)


def source_of(name: str, card: dict[str, Any]) -> Source:
    """Where the weights of a card are fetched from."""
    return Source(
        name="state_dicts", file=f"{name}{SUFFIX}", about=card["about"], licence=card["licence"], size=card["size"],
        page=card["url"], url=card["url"], sha256=card["sha256"], exact=True,
    )  # fmt: skip


def fetch_weights(address: str) -> Path:
    """Weights at an address: those of http(s) are kept below $GRAPHNAS_HOME and not fetched again.

    Args:
        address: `https://host/path/NAME.safetensors` or `file:///path/NAME.safetensors`, with `#sha256=HEX` at its end
            where the hash is known.

    Raises:
        InvalidValues: another kind of address, no .safetensors file, or a fragment that is no SHA-256.
        MissingData: no such local file.
        CorruptFile: a local file with another hash, or one that was fetched without a hash and is no model file.
        DownloadFailed: refused, cut, or another hash.
    """
    url, fragment = urldefrag(address)
    parts = urlsplit(url)
    file = unquote(parts.path).rpartition("/")[2]
    wanted = re.fullmatch(r"sha256=([0-9a-f]{64})", fragment.lower())
    if fragment and wanted is None:
        raise InvalidValues(f"expected #sha256= and 64 hexadecimal digits at the end of {url} (got #{fragment})")
    if not file.endswith(SUFFIX) or parts.scheme not in ("https", "http", "file"):
        raise InvalidValues(f"expected a https, http or file address of a {SUFFIX} file (got {address})")
    if parts.scheme == "file":
        path = Path(url2pathname(parts.path))
        if not path.is_file():
            raise MissingData(f"no model file at {address}")
        return path if wanted is None else check_hash(path, wanted[1], "get it again")
    source = Source(
        name="state_dicts", file=file, about="weights", licence="as its author says", size=0, page=url, url=url,
        sha256=wanted and wanted[1],
    )  # fmt: skip
    path = fetch(source, home() / "state_dicts" / hashlib.sha256(url.encode()).hexdigest()[:16], wait=WAIT)
    return path if wanted else keep_readable(path, url)


def keep_readable(path: Path, url: str) -> Path:
    """The same path, a model file: where no hash tells what is damaged, its own checksum does, and it is not kept.

    Raises:
        CorruptFile: it is none.
    """
    try:
        read_model_file(path)
    except CorruptFile as error:
        path.unlink()
        raise CorruptFile(f"what {url} sent is not kept: {error}") from error
    return path


def resolve(text: str | Path) -> Path:
    """The path of shipped weights by their name, of those at an address, or of a file or folder.

    A name goes before a file or folder of the same name, which `./NAME` means in any case.

    Raises:
        UnknownName: no file of that name in this folder, nor such weights.
        CorruptFile, MissingData, InvalidValues, DownloadFailed: see :func:`find` and :func:`fetch_weights`.
    """
    if isinstance(text, str) and "://" in text:
        return fetch_weights(text)
    if isinstance(text, str) and (is_shipped(text) or not is_place(text)):
        return find(text)
    return Path(text).expanduser()


def is_shipped(name: str) -> bool:
    """Whether there is a card of that name."""
    return name in cards.card_files()


def is_place(text: str | Path) -> bool:
    """Whether a text looks like a path or an address rather than like a name: it is there, or has a / or suffix."""
    path = Path(text).expanduser()
    return isinstance(text, Path) or len(path.parts) > 1 or "/" in text or path.suffix == SUFFIX or path.exists()


def check_hash(path: Path, wanted: str, advice: str) -> Path:
    """The same path, whose SHA-256 is the wanted one.

    Raises:
        CorruptFile: it is another.
    """
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != wanted:
        raise CorruptFile(
            f"{path} is damaged or not the published file: expected SHA-256 {wanted[:12]}… (got {found[:12]}…): "
            f"{advice}"
        )
    return path
