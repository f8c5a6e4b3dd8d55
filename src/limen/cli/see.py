"""What a model is and gets: see, backbones."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from limen.cli.console import print_json, print_table
from limen.cli.group import JSON, OPTIONS, PLUGIN, main, working
from limen.errors import InputError

if TYPE_CHECKING:
    from limen.preflight.model_input import InputObserver


@main.command()
@click.argument("model")
@click.argument("photo", type=click.Path(path_type=Path))
@OPTIONS
@click.option("--out", type=click.Path(path_type=Path), help="PNG of what the model gets; tiles apart, overview below.")
@JSON
@PLUGIN
def see(model: str, photo: Path, options: dict[str, str], out: Path | None, as_json: bool) -> None:
    """Show what arrives at a model of a photograph that is shown twice: size, tiles, tokens, and what is lost.

    MODEL is the folder or hub id of a checkpoint (only its processor is loaded), or an observer such as demo.
    """
    from limen import image
    from limen.image import Picture

    with working("preparing the photograph as the model does"):
        sent = image.load(photo)
        found = _observer(model, options).see([Picture.of(sent)] * 2)[0]
        about = _about(sent, found)
    if out is not None:
        try:
            out.write_bytes(image.png(found.sheet(sent)))
        except OSError as error:
            raise InputError(f"{out} cannot be written ({error.strerror}). Give another --out.") from None
    if as_json:
        print_json(about)
        return
    from limen.report.format import Table

    rows = [(name.replace("_", " "), _written(name, value)) for name, value in about.items()]
    print_table(Table(f"{photo.name} as {model} gets it", ("", ""), tuple(rows)))
    if out is not None:
        click.echo(str(out))


@main.command()
@click.argument("models", nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), help="CSV for limen report --backbones.")
@JSON
def backbones(models: tuple[str, ...], out: Path | None, as_json: bool) -> None:
    """Count the parameters of models' vision and language backbones from their configurations, without weights.

    MODELS are folders with a config.json, or hub ids.
    """
    with working("reading configurations"):
        from limen.analysis.model_size import count

        found = {model: count(model) for model in models}
    names = {model: f"local:{Path(model).resolve().name if Path(model).is_dir() else model}" for model in models}
    if out is not None:
        lines = ["model,vision_params_m,language_params_b,language_backbone"]
        for model, one in found.items():
            kind = "MoE" if one.parameters.mixture else "dense"
            lines.append(f"{names[model]},{one.vision / 1e6:.6g},{one.language / 1e9:.6g},{kind}")
        try:
            out.write_text("\n".join(lines) + "\n", encoding="utf-8")
        except OSError as error:
            raise InputError(f"{out} cannot be written ({error.strerror}). Give another --out.") from None
    if as_json:
        parts = ("vision", "connector", "language", "active")
        print_json(
            [{"model": names[model], **{part: getattr(found[model], part) for part in parts}} for model in models]
        )
        return
    from limen.report.format import Table

    columns = ("model", "vision (M)", "connector (M)", "language (B)", "active (B)", "Param_L/Param_V")
    rows = [
        (names[model], f"{one.vision / 1e6:.4g}", f"{one.connector / 1e6:.4g}", f"{one.language / 1e9:.4g}",
         f"{one.active / 1e9:.4g}", f"{one.parameters.ratio:.4g}")
        for model, one in found.items()
    ]  # fmt: skip
    print_table(Table("Backbones, counted from the configuration", columns, tuple(rows)))
    if out is not None:
        click.echo(str(out))


def _observer(model: str, options: dict[str, str]) -> "InputObserver":
    from limen import observer, registry
    from limen.preflight.model_input import InputObserver

    name = model if model.partition(":")[0] in registry.every("observer") else f"local:{model}"
    made = observer.make(name, options)
    if not isinstance(made, InputObserver):
        raise InputError(f"{made.name} cannot say what arrives at it. Give local:FOLDER, encoder:FOLDER or demo.")
    return made


def _about(sent: Any, found: Any) -> dict[str, Any]:
    """Return what there is to say, sizes as width and height in px, PSNR in dB (None: equal)."""
    import numpy as np
    from PIL import Image as Pillow

    from limen.preflight.model_input import psnr, scaling

    def scaled(picture: Any, size: tuple[int, int]) -> Any:
        same = (picture.shape[1], picture.shape[0]) == size
        return picture if same else np.asarray(Pillow.fromarray(picture).resize(size, Pillow.Resampling.BICUBIC))

    def decibels(one: Any, other: Any) -> float | None:
        value = psnr(one, other)
        return None if value == float("inf") else round(value, 2)

    arrived = found.picture(sent)
    rows, columns, _ = found.arrangement(sent)
    sizes = [(picture.shape[1], picture.shape[0]) for picture in (sent, arrived)]
    tile = found.values.shape[:1:-1]
    return {
        "sent": list(sizes[0]),
        "arrives": list(sizes[1]),
        "scaling": scaling(sent, arrived),
        "tiles": len(found.values),
        "tile": [int(side) for side in tile],
        "laid_out": {"rows": rows, "columns": columns, "overviews": len(found.values) - rows * columns},
        "patch": found.patch,
        "image_tokens": found.tokens,
        "against_the_photograph_scaled": decibels(arrived, scaled(sent, sizes[1])),
        "scaled_back_against_the_photograph": decibels(scaled(arrived, sizes[0]), sent),
    }


def _written(name: str, value: Any) -> str:
    """Return one entry as a person reads it."""
    if name.endswith(("scaled", "photograph")):
        return "equal" if value is None else f"{value:.1f} dB PSNR"
    if isinstance(value, list):
        return f"{value[0]} x {value[1]} px"
    if isinstance(value, dict):
        overview = f", and {value['overviews']} of all of it" if value["overviews"] else ""
        return f"{value['rows']} row(s) of {value['columns']}{overview}"
    if name == "patch" and value is not None:
        return f"{value} x {value} px"
    return str(value) if value not in (None, "") else "not by scaling alone" if name == "scaling" else "not known"
