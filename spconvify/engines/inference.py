"""Engine "inference": Paddle Inference with its defaults, or as near to them as it runs the network."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spconvify.engines.base import Engine
from spconvify.engines.feeds import Shapes, Values
from spconvify.engines.program_files import OLDER, config_call, program_files
from spconvify.errors import EngineError

if TYPE_CHECKING:
    from paddle import nn

    from spconvify.engines.predictor import Loaded


class Inference(Engine):
    """Paddle's own predictor; the files are ``model.json`` or .pdmodel, and ``model.pdiparams``."""

    name, label = "inference", "Paddle Inference"
    exports = True

    def preferred_forms(self, spatial_scattered: bool, pointwise_scattered: bool) -> Sequence[str]:
        """Paddle 2.6 runs a group convolution in blocks, whatever its neighbours have; in Paddle 3 a
        gather leaves oneDNN's layout."""
        import paddle

        if paddle.__version__.startswith("2."):
            return ("pointwise-last+split", "two-parts+split")
        return ("pointwise-last+select", "two-parts+select") if spatial_scattered else ()

    def write(self, network: nn.Layer, folder: Path, input_shape: Shapes) -> None:
        """Trace it. Where `load` may need the older representation, that is written too, into a folder
        of its own; see `keep`."""
        from spconvify.engines import older_program, tracing
        from spconvify.engines.remedies import may_be_refused

        tracing.write(network, folder, input_shape)
        program, _ = program_files(folder)
        if program.suffix == ".json" and may_be_refused(program.read_bytes()):
            older = folder / OLDER
            older.mkdir()
            try:
                older_program.write(network, older, input_shape)
            except EngineError:  # it hasn't every operator: there is one remedy less
                shutil.rmtree(older)

    def load(self, folder: Path, values: Values, threads: int = 1, device: str = "cpu") -> Loaded:
        """A predictor on the exported files, run in the fastest way that works and is right."""
        from spconvify.engines.predictor import Way, load_way, passes_left_out
        from spconvify.engines.remedies import load_fastest

        program, _ = program_files(folder)
        if device != "cpu":
            return load_way(Way(folder), values, threads, device)
        usual = Way(folder, tuple(passes_left_out(program)))
        if program.suffix != ".json":
            return load_way(usual, values, threads, device)
        return load_fastest(usual, values, threads)

    def keep(self, folder: Path, how: Mapping[str, Any]) -> None:
        """Leave only the files of the program that was run."""
        older = folder / OLDER
        if how["older"]:
            for file in program_files(folder):
                file.unlink()
            for file in older.iterdir():
                file.rename(folder / file.name)
        shutil.rmtree(older, ignore_errors=True)

    def load_kept(
        self, folder: Path, how: Mapping[str, Any], values: Values, threads: int, device: str
    ) -> Loaded:
        """A predictor as a server makes it, whatever would be faster on these values."""
        from spconvify.engines.predictor import Way, load_way

        return load_way(Way(folder, tuple(how["deleted_passes"])), values, threads, device)

    def load_hint(self, folder: Path, files: Sequence[str], how: Mapping[str, Any]) -> Sequence[str]:
        """A predictor's configuration, and the passes that it goes without."""
        lines = [config_call(folder, files)]
        if how.get("deleted_passes"):
            lines.append("after config.delete_pass() for each of the deleted_passes in manifest.json")
        return lines


ENGINE = Inference()
