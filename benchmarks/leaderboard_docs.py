"""Put the tables of the leaderboards into docs/leaderboard.md, between their marks.

    python benchmarks/leaderboard_docs.py [--vae FOLDER] [--predictors FOLDER]

The folders are those of `graphnas leaderboard vae` and `graphnas leaderboard predictor`; what they wrote there lies in
docs/leaderboard afterwards.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE, FOLDER = DOCS / "leaderboard.md", DOCS / "leaderboard"


def insert(page: str, mark: str, text: str) -> str:
    """The page with what stands between `<!-- mark -->` and `<!-- /mark -->` replaced."""
    begin, end = f"<!-- {mark} -->\n", f"<!-- /{mark} -->"
    head, found, rest = page.partition(begin)
    _, closed, tail = rest.partition(end)
    if not found or not closed:
        raise SystemExit(f"{PAGE} has no {begin.strip()} ... {end}")
    return head + begin + "\n" + text.strip() + "\n\n" + end + tail


def copy(source: Path, patterns: tuple[str, ...], folder: Path = FOLDER) -> None:
    """Files of a leaderboard's folder into one of the docs."""
    for pattern in patterns:
        for path in sorted(source.glob(pattern)):
            target = folder / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.resolve() != path.resolve():
                shutil.copyfile(path, target)


def main() -> None:
    """Copy what is given, then fill the page from what lies in the docs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vae", type=Path)
    parser.add_argument("--predictors", type=Path)
    options = parser.parse_args()
    if options.vae:
        copy(options.vae, ("results/*.json", "leaderboard.md", "leaderboard.csv", "leaderboard_*.png"))
    if options.predictors:
        copy(options.predictors, ("predictors.md", "predictors.csv", "predictors_*.png"))
        copy(options.predictors, ("results/*.json",), FOLDER / "predictors")
    page = PAGE.read_text()
    for mark, name in (("vae", "leaderboard.md"), ("predictors", "predictors.md")):
        if (FOLDER / name).exists():
            page = insert(page, mark, (FOLDER / name).read_text())
    PAGE.write_text(page)


if __name__ == "__main__":
    main()
