"""Cards and shipped weights: found, listed, loaded, and refused when damaged or of something else."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch

from graphnas import create_model, get_space, list_models, model_info, state_dicts
from graphnas.checkpoint import FORMAT_VERSION, read_model_file, write_model_file
from graphnas.errors import (
    CheckpointMismatch,
    CorruptFile,
    DownloadFailed,
    GraphnasError,
    InvalidArchitecture,
    InvalidValues,
    MissingData,
    UnknownName,
)
from graphnas.models import GraphModel, load_model, save_model
from graphnas.models.base import vocabulary_hash
from graphnas.models.zoo import is_larger, shapes_of
from graphnas.state_dicts import cards

SIZES = {"node_dim": 8, "latent_dim": 4}
NAME = "svge_toy"
NAMES = [card["name"] for card in state_dicts.list_pretrained()]


@pytest.fixture
def model() -> GraphModel:
    torch.manual_seed(0)
    return create_model("svge", "toy", **SIZES).eval()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package folder and a home of its own, both empty."""
    package = tmp_path / "package"
    package.mkdir()
    monkeypatch.setattr(cards, "folder", lambda: package)
    monkeypatch.setenv("GRAPHNAS_HOME", str(tmp_path / "home"))
    return package


def write_card(folder: Path, weights: Path, name: str = NAME, **changes: Any) -> Path:
    """A card that describes the weights, but for the changes; a field that is ... is left out."""
    card: dict[str, Any] = {field: kinds[0]() for field, kinds in state_dicts.CARD_FIELDS.items()} | {
        "format": state_dicts.CARD_FORMAT,
        "model": "svge",
        "space": "toy",
        "config": read_model_file(weights)[0]["config"],
        "vocabulary_hash": vocabulary_hash(get_space("toy")),
        "size": weights.stat().st_size,
        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "url": None,
    }
    card = {key: value for key, value in (card | changes).items() if value is not ...}
    path = folder / f"{name}.json"
    path.write_text(json.dumps(card))
    return path


@pytest.fixture
def shipped(folder: Path, model: GraphModel) -> Path:
    """Weights in the package folder, with their card."""
    weights = save_model(model, folder / f"{NAME}.safetensors", half=True)
    write_card(folder, weights)
    return weights


def one_line(error: pytest.ExceptionInfo[BaseException]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def test_shipped_weights_load_in_one_line(shipped: Path, model: GraphModel) -> None:
    loaded = create_model("svge", space="toy", pretrained=True)
    assert not loaded.training and loaded.config == model.config
    assert {value.dtype for value in loaded.state_dict().values()} == {torch.float32}
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value.half().float()), name
    assert state_dicts.find(NAME) == shipped
    assert [card["name"] for card in state_dicts.list_pretrained()] == [NAME]
    assert list_models(pretrained=True) == list_models(pretrained=True, space="toy") == ["svge"]
    assert list_models(pretrained=True, space="nb101") == [] and "svge" not in list_models(pretrained=False)
    assert model_info("svge")["pretrained"] == [NAME] and model_info("dvae")["pretrained"] == []


def test_the_whole_name_of_shipped_weights(folder: Path, model: GraphModel) -> None:
    """As the list prints it; of another model it is refused like any card."""
    write_card(folder, save_model(model, folder / f"{NAME}-other.safetensors"), f"{NAME}-other", tag="other")
    assert create_model("svge", "toy", pretrained=f"{NAME}-other").config == model.config
    with pytest.raises(CheckpointMismatch, match="the card svge_toy-other is about model 'svge', expected 'dvae'"):
        create_model("dvae", "toy", pretrained=f"{NAME}-other")


def test_networks_without_labels_say_where_labels_come_from() -> None:
    cells = get_space("nb201").sample(2)
    with pytest.raises(GraphnasError, match=r"fit_predictor\('gin', archs, y, space\), with start_from=NAME"):
        create_model("gin", "nb201", pretrained=True).predict(cells)


def test_a_head_refuses_architectures_of_another_space() -> None:
    """Operation indices of NAS-Bench-101 exist on NAS-Bench-201 too."""
    head = create_model("svge", "nb201", pretrained="digits")
    with pytest.raises(InvalidArchitecture, match="row 0 is not in nb201"):
        head.predict(get_space("nb101").sample(3))
    with pytest.raises(InvalidArchitecture, match=r"expected Architectures \(got list\): space.parse"):
        head.predict(["|none~0|"])


def test_tag_path_and_run_folder(folder: Path, model: GraphModel, tmp_path: Path) -> None:
    tagged = save_model(model, folder / f"{NAME}-other.safetensors")
    write_card(folder, tagged, f"{NAME}-other", tag="other")
    run = tmp_path / "run"
    save_model(model, run / "best.safetensors")
    for pretrained in ("other", tagged, str(tagged), run):
        loaded = create_model("svge", "toy", pretrained=pretrained)
        assert all(torch.equal(loaded.state_dict()[name], value) for name, value in model.state_dict().items())
    with pytest.raises(UnknownName, match="'svge_toy': did you mean 'svge_toy-other'"):
        create_model("svge", "toy", pretrained=True)
    with pytest.raises(UnknownName, match="'svge_toy-othr': did you mean 'svge_toy-other'"):
        create_model("svge", "toy", pretrained="othr")
    assert state_dicts.resolve(f"{NAME}-other") == tagged and state_dicts.resolve(run) == run


@pytest.mark.parametrize("where", ["head", "middle", "last"])
def test_a_flipped_byte_is_refused(shipped: Path, where: str) -> None:
    content = bytearray(shipped.read_bytes())
    content[{"head": 9, "middle": len(content) // 2, "last": -1}[where]] ^= 1
    shipped.write_bytes(content)
    with pytest.raises(CorruptFile, match="damaged or not the published file: expected SHA-256") as error:
        create_model("svge", "toy", pretrained=True)
    assert one_line(error).endswith("reinstall graphnas")
    with pytest.raises(CorruptFile, match="damaged") as error:  # by path there is no card, but a checksum
        create_model("svge", "toy", pretrained=shipped)
    one_line(error)


@pytest.mark.parametrize("kept", [0, 7, 0.5, -1])
def test_a_truncated_file_is_refused(shipped: Path, kept: float) -> None:
    content = shipped.read_bytes()
    shipped.write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    for pretrained in (True, shipped):
        with pytest.raises(CorruptFile, match="damaged") as error:
            create_model("svge", "toy", pretrained=pretrained)
        one_line(error)


class Bomb:
    """Unpickling it makes a folder."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("with_torch", [False, True])
def test_a_pickle_bomb_is_refused_unread(shipped: Path, tmp_path: Path, with_torch: bool) -> None:
    crater = tmp_path / "crater"
    if with_torch:
        torch.save({"weights": Bomb(crater)}, shipped)
    else:
        shipped.write_bytes(pickle.dumps(Bomb(crater)))
    for pretrained in (True, shipped):
        with pytest.raises(CorruptFile) as error:
            create_model("svge", "toy", pretrained=pretrained)
        one_line(error)
    write_card(shipped.parent, save_model(create_model("svge", "toy", **SIZES), tmp_path / "x.safetensors"),
               sha256=hashlib.sha256(shipped.read_bytes()).hexdigest())  # fmt: skip
    with pytest.raises(CorruptFile, match="not a .safetensors file") as error:  # even with the hash of its card
        create_model("svge", "toy", pretrained=True)
    one_line(error)
    assert not crater.exists()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"space": "nb201"}, "is about space 'nb201', expected 'toy'"),
        ({"model": "dvae"}, "is about model 'dvae', expected 'svge'"),
        ({"vocabulary_hash": "0" * 16}, "vocabulary_hash '0000000000000000', expected"),
        ({"config": {"node_dim": 9}}, "another config than its card says"),
        ({"format": state_dicts.CARD_FORMAT + 1}, r"has format 2, this graphnas reads up to 1: update graphnas"),
        ({"sha256": "0" * 64}, "expected SHA-256 000000000000"),
    ],
)
def test_a_card_of_something_else_is_refused(shipped: Path, changes: dict[str, Any], text: str) -> None:
    write_card(shipped.parent, shipped, **changes)
    with pytest.raises((CheckpointMismatch, CorruptFile), match=text) as error:
        create_model("svge", "toy", pretrained=True)
    one_line(error)


def test_weights_of_a_later_format_or_another_space_are_refused(shipped: Path) -> None:
    header, tensors = read_model_file(shipped)
    for changes, text in (
        ({"format": FORMAT_VERSION + 1}, f"has format {FORMAT_VERSION + 1}, this graphnas reads up to"),
        ({"space": "nb201"}, "holds 'svge' for 'nb201', expected 'svge' for 'toy'"),
        ({"vocabulary": "0" * 16}, "trained on another vocabulary of 'toy'"),
    ):
        write_model_file(shipped, {**header, **changes}, tensors)
        write_card(shipped.parent, save_model(load(header), shipped.parent.parent / "x.safetensors"),
                   sha256=hashlib.sha256(shipped.read_bytes()).hexdigest())  # fmt: skip
        with pytest.raises(CheckpointMismatch, match=text) as error:
            create_model("svge", "toy", pretrained=True)
        one_line(error)


@pytest.mark.parametrize(
    ("changes", "kind", "text"),
    [
        ({"format": FORMAT_VERSION + 1, "config": None}, CheckpointMismatch, "update graphnas"),  # with other entries
        ({"space": "nb999"}, CheckpointMismatch, r"svge_toy\.safetensors: unknown search space 'nb999'"),
        ({"model": "svgf"}, CheckpointMismatch, r"svge_toy\.safetensors: unknown model 'svgf'"),
        ({"config": {"node_dim": 1_000_000}}, CheckpointMismatch, r"does not fit 'svge': .* should be \[4, 500000\]"),
        ({"config": {"rounds": 1_000_000}}, CheckpointMismatch, "rounds of its header cannot be 1000000, there are"),
        ({"config": {"colour": 1}}, CheckpointMismatch, "unknown option 'colour' of model 'svge'"),
        ({"model": ...}, CorruptFile, "no graphnas header"),
    ],
)
def test_headers_of_something_else_are_refused_before_memory_is_taken(
    shipped: Path, changes: dict[str, Any], kind: type[GraphnasError], text: str
) -> None:
    header, tensors = read_model_file(shipped)
    changed = {key: value for key, value in {**header, **changes}.items() if value is not ...}
    write_model_file(shipped, changed, tensors)
    with pytest.raises(kind, match=text) as error:
        load_model(shipped)
    one_line(error)


def test_a_header_nested_too_deep_is_refused(tmp_path: Path) -> None:
    content = json.dumps({"__metadata__": {"graphnas": "[" * 100_000}}).encode()
    path = tmp_path / "deep.safetensors"
    path.write_bytes(len(content).to_bytes(8, "little") + content)
    with pytest.raises(CorruptFile, match="damaged") as error:
        load_model(path)
    one_line(error)


def test_the_first_model_of_a_process_is_there_in_a_second() -> None:
    code = """
import sys, time, torch
from graphnas import create_model, models
begin, before = time.process_time(), set(sys.modules)
create_model("svge", "nb101", pretrained=True)
assert time.process_time() - begin < 1, time.process_time() - begin
assert "sympy" not in set(sys.modules) - before  # which the meta device loads for seconds
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_configs_of_shipped_weights_have_no_odd_sizes(name: str) -> None:
    header, tensors = read_model_file(state_dicts.find(name))
    assert not is_larger(header["config"], tensors)
    assert is_larger({**header["config"], "vae_args": {"width": 10**6}}, tensors)


@pytest.mark.parametrize("name", list_models())
def test_shapes_are_known_without_memory(name: str) -> None:
    """So the config of a file can be compared with its tensors first."""
    shapes, model = shapes_of(name, get_space("toy"), {}), create_model(name, "toy")
    assert shapes is not None
    assert {key: value.shape for key, value in shapes.items()} == {k: v.shape for k, v in model.state_dict().items()}
    assert all(value.device.type == "meta" for value in shapes.values())


def load(header: dict[str, Any]) -> GraphModel:
    return create_model(header["model"], "toy", **header["config"])


def test_what_is_no_place_nor_name_is_refused(shipped: Path, tmp_path: Path) -> None:
    for place in ("none.safetensors", "none/run", str(tmp_path / "none")):
        with pytest.raises(MissingData, match="no model file at .*none"):
            create_model("svge", "toy", pretrained=place)
    for thing in (None, 1, "", []):
        with pytest.raises(InvalidValues, match="should be True, a tag, a path or an address"):
            create_model("svge", "toy", pretrained=thing)  # type: ignore[arg-type]


def test_names_and_tags_go_before_folders_that_are_called_alike(
    shipped: Path, model: GraphModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else `pretrained="digits"` would depend on where it is called."""
    write_card(shipped.parent, save_model(model, shipped.parent / f"{NAME}-digits.safetensors"), f"{NAME}-digits")
    monkeypatch.chdir(tmp_path)
    for folder in ("digits", NAME):
        (tmp_path / folder).mkdir()
    assert create_model("svge", "toy", pretrained="digits").config == model.config
    assert state_dicts.resolve(NAME) == shipped
    for place in ("./digits", Path("digits")):
        with pytest.raises(MissingData, match="digits/best"):
            create_model("svge", "toy", pretrained=place)
    assert state_dicts.resolve(f"./{NAME}") == state_dicts.resolve(Path(NAME)) == Path(NAME)


def test_a_home_in_a_path(model: GraphModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    save_model(model, tmp_path / "mine.safetensors")
    assert create_model("svge", "toy", pretrained="~/mine.safetensors").config == model.config


def test_card_without_weights(shipped: Path) -> None:
    shipped.unlink()
    with pytest.raises(MissingData, match=r"svge_toy\.safetensors next to their card .*reinstall"):
        state_dicts.find(NAME)


def test_weights_below_home_are_found_and_checked(shipped: Path, tmp_path: Path) -> None:
    cached = tmp_path / "home" / "state_dicts" / shipped.name
    cached.parent.mkdir(parents=True)
    shipped.replace(cached)
    assert state_dicts.find(NAME) == cached
    cached.write_bytes(cached.read_bytes()[:-1])
    with pytest.raises(CorruptFile, match="delete it"):
        state_dicts.find(NAME)


@pytest.mark.parametrize("field", sorted(state_dicts.CARD_FIELDS))
def test_card_without_a_field(shipped: Path, field: str) -> None:
    for value in (..., [1]):
        write_card(shipped.parent, shipped, **{field: value})
        with pytest.raises(CorruptFile, match=f"none or a wrong one for {field}"):
            state_dicts.list_pretrained()


@pytest.mark.parametrize("text", ["{", "[]", "\x00"])
def test_damaged_card(folder: Path, text: str) -> None:
    (folder / "bad.json").write_text(text)
    with pytest.raises(CorruptFile, match=r"bad\.json"):
        state_dicts.list_pretrained()


# -- by address -----------------------------------------------------------------------------------------------------


@pytest.fixture
def host(shipped: Path) -> Iterator[str]:
    """A loopback host of the package folder."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(shipped.parent)))
    threading.Thread(target=partial(server.serve_forever, poll_interval=0.01), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_by_address(shipped: Path, host: str, model: GraphModel) -> None:
    right = hashlib.sha256(shipped.read_bytes()).hexdigest()
    address = f"{host}/{shipped.name}"
    with pytest.raises(DownloadFailed, match="not the published file"):
        create_model("svge", "toy", pretrained=f"{address}#sha256={'0' * 64}")
    assert create_model("svge", "toy", pretrained=f"{address}#sha256={right}").config == model.config
    shipped.unlink()  # what was fetched once is not fetched again
    assert create_model("svge", "toy", pretrained=address).config == model.config
    with pytest.raises(CheckpointMismatch, match="expected 'dvae' for 'toy'"):
        create_model("dvae", "toy", pretrained=address)
    with pytest.raises(DownloadFailed, match="404"):
        create_model("svge", "toy", pretrained=f"{host}/none.safetensors")


def test_by_address_of_a_local_file(shipped: Path, model: GraphModel) -> None:
    address, right = shipped.as_uri(), hashlib.sha256(shipped.read_bytes()).hexdigest()
    for whole in (address, f"{address}#sha256={right}"):
        assert create_model("svge", "toy", pretrained=whole).config == model.config
    with pytest.raises(CorruptFile, match="expected SHA-256 000000000000… .*get it again"):
        create_model("svge", "toy", pretrained=f"{address}#sha256={'0' * 64}")
    with pytest.raises(MissingData, match="no model file at file:"):
        create_model("svge", "toy", pretrained=address.replace(NAME, "none"))


def test_two_processes_fetch_the_same_weights(shipped: Path, host: str, tmp_path: Path) -> None:
    whole = f"{host}/{shipped.name}#sha256={hashlib.sha256(shipped.read_bytes()).hexdigest()}"
    code = f"from graphnas.state_dicts import fetch_weights; fetch_weights({whole!r})"
    workers = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [worker.wait(60) for worker in workers] == [0, 0, 0]
    (fetched,) = (path for path in (tmp_path / "home").rglob("*") if path.is_file())  # nor part nor lock is left
    assert fetched.read_bytes() == shipped.read_bytes()


def test_a_damaged_file_without_a_hash_is_not_kept(shipped: Path, host: str, tmp_path: Path) -> None:
    whole = shipped.read_bytes()
    shipped.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(CorruptFile, match="is not kept: .*checksum") as error:
        create_model("svge", "toy", pretrained=f"{host}/{shipped.name}")
    one_line(error)
    shipped.write_bytes(whole)  # mended by its author
    assert create_model("svge", "toy", pretrained=f"{host}/{shipped.name}").space.name == "toy"


def test_nowhere_to_keep_what_is_fetched(
    shipped: Path, host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GRAPHNAS_HOME", str(tmp_path / "file"))
    with pytest.raises(DownloadFailed, match="cannot save .*GRAPHNAS_HOME") as error:
        create_model("svge", "toy", pretrained=f"{host}/{shipped.name}")
    one_line(error)


def test_bad_addresses() -> None:
    with pytest.raises(InvalidValues, match="64 hexadecimal digits"):
        state_dicts.fetch_weights("https://example.org/a.safetensors#main")
    with pytest.raises(InvalidValues, match=r"address of a \.safetensors file"):
        state_dicts.fetch_weights("https://example.org/a.pt")
    with pytest.raises(InvalidValues, match=r"expected a https, http or file address of a \.safetensors file"):
        create_model("svge", "toy", pretrained="ftp://example.org/a.safetensors")


def test_weights_of_a_card_are_fetched_where_the_package_has_none(shipped: Path, host: str, tmp_path: Path) -> None:
    elsewhere = shipped.with_name("elsewhere.safetensors")
    write_card(shipped.parent, shipped, url=f"{host}/{elsewhere.name}")
    shipped.replace(elsewhere)
    create_model("svge", "toy", pretrained=True)
    assert (tmp_path / "home" / "state_dicts" / shipped.name).read_bytes() == elsewhere.read_bytes()
    elsewhere.unlink()
    create_model("svge", "toy", pretrained=True)  # offline, from below $GRAPHNAS_HOME
