"""`graphnas models import`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from graphnas.commands.parsing import UsageError, make_parser, parse, print_values

DESCRIPTION = """Turn a checkpoint that the authors of a model released into a file that every command and
create_model(..., pretrained=OUT) takes. The model computes what the released code does (faithful=True). Sizes are read
off the tensors, and nothing in the file is executed. If it is refused, an earlier OUT stays as it was.
Systems: svge and dgmg (github.com/automl/SVGe, also their _acc models), dvae (github.com/muhanzhang/D-VAE) and arch2vec
(github.com/MSU-MLSys-Lab/arch2vec).
Example: graphnas models import model_checkpoint300.obj --from svge --space nb101 svge_nb101.safetensors"""
SUFFIX = ".safetensors"


def run(command: str, arguments: Sequence[str]) -> None:
    """Import one checkpoint and say what it is."""
    parser = make_parser(command, DESCRIPTION)
    parser.add_argument("file", metavar="FILE", help="state dict written by torch.save")
    parser.add_argument("out", metavar="OUT", help=f"file to write, NAME{SUFFIX}")
    parser.add_argument("--from", dest="system", required=True, type=str, help="svge, dgmg, dvae or arch2vec")
    parser.add_argument("--space", required=True, type=str, help="what it was trained on, such as nb101")
    options = parse(parser, arguments)
    source, out = Path(options.file), Path(options.out)
    if out.suffix != SUFFIX or out.is_dir():
        raise UsageError(f"OUT must be a file named NAME{SUFFIX} (got {out})")
    if out.exists() and source.exists() and out.samefile(source):
        raise UsageError(f"OUT must be another file than FILE (got {out} for both)")
    from graphnas.models import import_released, save_model

    model = import_released(source, options.system, options.space)
    with source.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    save_model(model, out, {"imported": {"system": options.system, "file": source.name, "sha256": digest}})
    print_values(
        {"model": options.system, "space": model.space.name, "parameters": f"{model.num_parameters:,}", "file": out}
        | {f"  {name}": value for name, value in model.config.to_dict().items()}
    )
