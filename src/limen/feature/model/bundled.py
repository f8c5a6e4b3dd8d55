"""The small nets that ship with limen, each a folder that transformers loads: for trying things without a download."""

from pathlib import Path

_FOLDER = Path(__file__).parents[2] / "data" / "feature"
NETS = ("resnet", "vit", "detector", "segmenter")


def shipped() -> dict[str, Path]:
    """Return the folders of the nets that are there, by name; what they are is in MODEL_CARD.md beside them."""
    folders = {name: _FOLDER / name for name in NETS}
    return {name: folder for name, folder in folders.items() if (folder / "config.json").is_file()}
