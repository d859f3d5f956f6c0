"""ProgramArchitecture: a network that is built from an exported program."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from spconvify.source.programs.files import ProgramFiles
from spconvify.source.programs.reading import naming, read_program

if TYPE_CHECKING:
    from spconvify.source.programs.network import ProgramNetwork


@dataclass(frozen=True)
class ProgramArchitecture:
    """A network that lies in files as an exported program."""

    files: ProgramFiles

    @property
    def name(self) -> str:
        """For tables."""
        return self.files.said

    @cached_property
    def _content(self) -> Any:
        return read_program(self.files)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """That of the first picture among the inputs, (1, C, H, W); any size is 224."""
        from spconvify.source.programs.feeds import usual_shape

        shapes = [usual_shape(feed) for feed in self._content[0].feeds]
        return next((shape for shape in shapes if len(shape) == 4), shapes[0])

    def build(self, lazy: bool = False) -> ProgramNetwork:
        """The network with the program's weights, compared with Paddle's predictor; for any batch.

        There is no lazy one: then it isn't compared.

        Raises:
            CheckpointError: if the files are damaged, or can't become a network.

        Warns:
            NotCheckedWarning: if nothing could be compared.
        """
        from spconvify.source.programs.builder import build
        from spconvify.source.programs.check import check_network
        from spconvify.source.programs.free_batch import free_batch
        from spconvify.source.programs.names import structured_names

        program, state = self._content
        with naming(self.files):
            network = build(program, state, structured_names(self.files.names))
        if not lazy:
            check_network(network, self.files)
        free_batch(network)
        return network
