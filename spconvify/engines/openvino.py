"""Engine "openvino": Paddle Inference through the OpenVINO that Paddle 3's wheel for the CPU brings.

OpenVINO compiles the whole network at once: it has no operator to start one by one, and a split of
channels costs no copy there. It reads programs of Paddle's older representation (.pdmodel) only.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

from spconvify.engines.base import Engine
from spconvify.engines.feeds import Shapes, Values
from spconvify.engines.program_files import config_call, program_files
from spconvify.errors import EngineError, Option
from spconvify.settings import DEFAULT_ENGINE

if TYPE_CHECKING:
    import numpy as np
    from paddle import nn


class OpenVINO(Engine):
    """OpenVINO inside Paddle's predictor; the files are ``model.pdmodel`` and ``model.pdiparams``."""

    name, label = "openvino", "Paddle Inference with OpenVINO"
    devices = ("cpu",)
    exports = True

    def check_installed(self) -> None:
        """Paddle 3 for the CPU has it."""
        if not _has_openvino():
            raise EngineError(
                "engine openvino needs Paddle 3 for the CPU, which brings OpenVINO with it: "
                "pip install 'spconvify[cpu]'; or use ",
                Option("engine", DEFAULT_ENGINE),
            )

    def preferred_forms(self, spatial_scattered: bool, pointwise_scattered: bool) -> Sequence[str]:
        """Parts of one split, unless each would need a gather: then a form with one gather, not two."""
        scattered = spatial_scattered or pointwise_scattered
        return ("pointwise-last" if scattered else "three-parts", "two-means")

    def runs_form(self, form: str) -> bool:
        """It joins the groups' convolutions again, and then refuses some."""
        return not form.endswith("+split")

    def write(self, network: nn.Layer, folder: Path, input_shape: Shapes) -> None:
        """Trace it into the older representation."""
        from spconvify.engines import older_program

        older_program.write(network, folder, input_shape)

    def load(
        self, folder: Path, values: Values, threads: int = 1, device: str = "cpu"
    ) -> Callable[[], list[np.ndarray]]:
        """A predictor on the exported files."""
        from paddle.inference import Config, create_predictor

        from spconvify.engines.predictor import runner

        program, parameters = program_files(folder)
        config = Config(str(program), str(parameters))
        config.disable_glog_info()
        config.disable_gpu()
        config.enable_openvino_engine()
        config.set_cpu_math_library_num_threads(threads)
        # Otherwise Paddle makes one where the process runs; here it goes with the folder if that is
        # swept.
        with tempfile.TemporaryDirectory(dir=folder) as cache:
            config.set_optim_cache_dir(cache)
            predictor = create_predictor(config)
        return runner(predictor, values)

    def load_hint(self, folder: Path, files: Sequence[str], how: Mapping[str, Any]) -> Sequence[str]:
        """A predictor's configuration."""
        return [f"{config_call(folder, files)}, with enable_openvino_engine()"]


def _has_openvino() -> bool:
    """Whether the installed Paddle has OpenVINO's plugin for the CPU beside it. Doesn't load Paddle."""
    spec = importlib.util.find_spec("paddle")
    folders = spec.submodule_search_locations or [] if spec else []
    return any(any(Path(folder, "libs").glob("*openvino_intel_cpu_plugin*")) for folder in folders)


ENGINE = OpenVINO()
