"""Maps the top-level folders into the one installed package, graphnas; all metadata is in pyproject.toml."""

from setuptools import find_packages, setup

FOLDERS = ("models", "datasets", "state_dicts", "train", "bo")

# The links graphnas/models -> ../models ... serve editors and bare checkouts; a build never reads them.
own = [name for name in find_packages("graphnas") if name.split(".")[0] not in FOLDERS]
mapped = [name for folder in FOLDERS for name in (folder, *(f"{folder}.{sub}" for sub in find_packages(folder)))]

setup(
    packages=["graphnas", *(f"graphnas.{name}" for name in own + mapped)],
    package_dir={f"graphnas.{folder}": folder for folder in FOLDERS},
    package_data={
        "graphnas": ["py.typed"],
        "graphnas.tables": ["*.csv", "*.csv.gz", "*.json", "*.npz", "*.safetensors", "data/*"],
        "graphnas.networks": ["**/*.yaml"],
        "graphnas.train": ["**/*.yaml"],
        "graphnas.bo": ["**/*.yaml"],
        "graphnas.state_dicts": ["*.json", "*.md", "*.yaml", "*.safetensors", "plots/*.png"],
    },
)
