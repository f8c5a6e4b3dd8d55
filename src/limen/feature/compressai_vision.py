"""The quantiser of features as a codec of CompressAI-Vision, whose pipelines call it in place of one of their own.

CompressAI-Vision (InterDigital; github.com/InterDigitalInc/CompressAI-Vision) runs a network up to a split, hands its
features by tag to a codec, and the decoded ones to the rest of the network. limen does not depend on it: `register`
alone imports it.

Its bytes are those of the coded features. What else is in the input, such as the sizes of the picture, is handed over
beside them and counted as nothing, as its own codecs do.
"""

import importlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from limen import files
from limen.errors import InputError
from limen.feature.model.split import Features
from limen.feature.quantisation.codec import Quantiser
from limen.feature.tolerance import Tolerance

NAME = "limen"

Times = dict[str, float]
"""Seconds by the name that CompressAI-Vision lists a codec's own work under."""
Operations = tuple[int, int]
"""Thousands of multiply-accumulates of a network, and the pixels that they are of."""


@dataclass(frozen=True, slots=True)
class CodedFeatures:
    """What a bitstream holds in place of the tensors.

    Attributes:
        tags: of the tensors, in the order of the split.
        content: the bytes, or the file that they are in.
    """

    tags: tuple[str, ...]
    content: bytes | Path


class FeatureCodec:
    """Encodes and decodes features by tag.

    Args:
        folder: that `limen feature export` wrote, or `Quantiser.save`.
        tolerance: the fitted map, where features are to be encoded with steps that come from one.
        tags: of the tensors, in the order of the split that the quantiser was fitted on; the order of `data` if not
            given.
        eval_encode: what CompressAI-Vision works out of the bytes, "bpp" or "bitrate".

    Raises:
        InputError: the folder holds no quantiser, or there are not as many tags as the quantiser has tensors.
    """

    def __init__(
        self, folder: Path | str, tolerance: Tolerance | None = None, tags: Sequence[str] = (), eval_encode: str = "bpp"
    ) -> None:
        self.quantiser = Quantiser.load(Path(folder), tolerance)
        self.tags = tuple(tags)
        self.eval_encode_type = eval_encode
        if self.tags and len(self.tags) != len(self.quantiser.shapes):
            raise InputError(
                f"{len(self.tags)} tags ({', '.join(self.tags)}) for a quantiser of {len(self.quantiser.shapes)} "
                f"tensors {self.quantiser.shapes}. Give a tag for each, in the order of the split."
            )

    @property
    def qp_value(self) -> float:
        """What stands for the rate in tables: the quantiser's budget, a nominal NRMSE."""
        return self.quantiser.budget

    def encode(
        self,
        input: Mapping[str, Any],
        codec_output_dir: Path | str = "",
        bitstream_name: str = "",
        file_prefix: str = "",
        remote_inference: bool = False,
    ) -> tuple[dict[str, Any], Times, Operations | None]:
        """Encode the features of one image, or of the frames of a video.

        Where both a folder and a name are given, the bytes are written to FOLDER/NAME-PREFIX.bin, or FOLDER/NAME.bin
        without a prefix.

        Args:
            input: `data`, the tensors by tag, samples first; all else comes back from `decode`.
            codec_output_dir: the folder; it is made where it is missing.
            bitstream_name: of the file.
            file_prefix: which image it is. Steps and maps that belong to names have it for the image's name.
            remote_inference: not supported: that is for pictures.

        Returns:
            `bytes`, for each sample (of several, their mean), with `bitstream`, for `decode`; seconds; operations of a
            network: none, (0, 0), or None where they are not known, as the steps come from a map.

        Raises:
            InputError: other tags or shapes than the quantiser's, numbers that are not finite, steps that come from a
                map and none was given, or a file that cannot be written.
        """
        _refuse_pictures(remote_inference)
        start = time.perf_counter()
        tags, features = self._features(input)
        count = len(features)
        names = [file_prefix] if count == 1 else [f"{file_prefix} {frame}" for frame in range(count)]
        coded = self.quantiser.encode(features, names)
        content: bytes | Path = coded
        if codec_output_dir and bitstream_name:
            stem = f"{bitstream_name}-{file_prefix}" if file_prefix else bitstream_name
            content = _written(Path(codec_output_dir) / f"{stem}.bin", coded)
        bitstream = dict(input) | {"data": CodedFeatures(tags, content)}
        steps = self.quantiser.steps
        operations = None if steps.dynamic and steps.tolerance else (0, 0)
        told = {"bytes": [len(coded) / count] * count, "bitstream": bitstream}
        return told, {"inner_codec": time.perf_counter() - start}, operations

    def decode(
        self,
        input: Mapping[str, Any] | Path | str,
        codec_output_dir: Path | str = "",
        file_prefix: str = "",
        org_img_size: Mapping[str, int] | None = None,
        remote_inference: bool = False,
        vcm_mode: bool = False,
        output10b: bool = False,
    ) -> tuple[dict[str, Any], Times, Operations]:
        """Decode what `encode` returned as the bitstream, or the file that it wrote.

        Args:
            input: the bitstream, or the path of the file; a file has no tags, so those of the codec are taken, or the
                tensors' places.
            codec_output_dir: not used, as nothing is written.
            file_prefix: not used.
            org_img_size: not used.
            remote_inference: not supported: that is for pictures.
            vcm_mode: not used: it is for pictures.
            output10b: not used: it is for pictures.

        Returns:
            `data`, float32 on the CPU, by tag, with all else that `encode` was given; seconds; operations of a
            network: none.

        Raises:
            InputError: the file is not there, or the bytes are damaged or another quantiser's.
        """
        _refuse_pictures(remote_inference)
        start = time.perf_counter()
        others, sent = (dict(input), input.get("data")) if isinstance(input, Mapping) else ({}, self._of_file(input))
        if not isinstance(sent, CodedFeatures):
            raise InputError(
                f"A bitstream with {', '.join(map(str, others)) or 'nothing'} holds no coded features. Give what "
                "`encode` returned as `bitstream`, or the path of the file."
            )
        coded = sent.content if isinstance(sent.content, bytes) else _read(sent.content)
        decoded = dict(zip(sent.tags, self.quantiser.decode(coded).tensors, strict=True))
        return others | {"data": decoded}, {"inner_codec": time.perf_counter() - start}, (0, 0)

    def _of_file(self, file: Path | str) -> CodedFeatures:
        places = (str(place) for place in range(len(self.quantiser.shapes)))
        return CodedFeatures(self.tags or tuple(places), Path(file))

    def _features(self, input: Mapping[str, Any]) -> tuple[tuple[str, ...], Features]:
        data = input.get("data")
        if not isinstance(data, Mapping) or not data:
            raise InputError(f"An input with {', '.join(map(str, input)) or 'nothing'} has no features. Give `data`.")
        tags = self.tags or tuple(data)
        if set(tags) != set(data):
            raise InputError(
                f"The features have the tags {', '.join(map(str, data))}, not {', '.join(tags)}. Take the split that "
                "the quantiser was fitted on, or give the codec its tags."
            )
        tensors = tuple(data[tag] for tag in tags)
        for tag, tensor in zip(tags, tensors, strict=True):
            if not isinstance(tensor, Tensor) or tensor.ndim < 2 or len(tensor) != len(tensors[0]):
                held = f"the shape {tuple(tensor.shape)}" if isinstance(tensor, Tensor) else type(tensor).__name__
                raise InputError(f"The features of {tag} have {held}. Give a tensor of as many samples for each tag.")
        return tags, Features(tensors, self.quantiser.size)


def register(name: str = NAME, tolerance: Tolerance | None = None) -> None:
    """Make the codec known to CompressAI-Vision, so that `codec.type=NAME` is this one.

    Its settings are `codec.encoder_config.quantiser`, the folder, and `codec.encoder_config.tags`, the tags in the
    order of the split; without them those of the vision model (`split_layer_list`).

    Args:
        name: of the codec.
        tolerance: the fitted map, where features are to be encoded with steps that come from one.

    Raises:
        InputError: CompressAI-Vision cannot be imported.
    """
    try:
        theirs: Any = importlib.import_module("compressai_vision.registry")
    except ImportError as error:
        raise InputError(
            f"CompressAI-Vision cannot be imported here ({error}). Put its source "
            "(https://github.com/InterDigitalInc/CompressAI-Vision) on PYTHONPATH, and install what it imports."
        ) from None

    def made(
        encoder_config: Mapping[str, Any], vision_model: Any = None, eval_encode: str = "bpp", **_others: Any
    ) -> FeatureCodec:  # they call it with every setting of the codec that there is
        if not encoder_config.get("quantiser"):
            raise InputError(
                f"The codec {name!r} needs the folder of a quantiser, and none was given. Add "
                "++codec.encoder_config.quantiser=FOLDER, as `limen feature export` wrote it."
            )
        tags: Sequence[str] = encoder_config.get("tags", ()) or getattr(vision_model, "split_layer_list", ())
        return FeatureCodec(encoder_config["quantiser"], tolerance, tags, eval_encode)

    theirs.register_codec(name)(made)


def _refuse_pictures(remote_inference: bool) -> None:
    if remote_inference:
        raise InputError("limen's codec sends features, not pictures as remote inference does. Use split inference.")


def _written(file: Path, coded: bytes) -> Path:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        files.write(file, coded)
    except OSError as error:
        raise InputError(f"{file} cannot be written ({error.strerror or error}). Give another folder.") from None
    return file


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(
            f"{file} cannot be read ({error.strerror or error}). Give the file that `encode` wrote."
        ) from None
