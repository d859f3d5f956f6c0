"""What may become of a convolution can be loaded again, however narrow it is."""

import spconvify
from spconvify.network.inputs import Inputs
from spconvify.search.choice import Choice
from spconvify.search.options import DENSE, fits, options
from spconvify.search.plans import plan_for
from spconvify.search.structure import Structure, counts

FEW = 6


def test_every_option_with_few_inputs(tmp_path, model):
    name = "layer1.0.conv2"
    structure = Structure.of(model, Inputs.of((1, 3, 16, 16), model), prune=True, spconv=True)
    slot, producer = structure.slots[name], name.replace("conv2", "conv1")
    orders = {other: list(range(own.channels[0])) for other, own in structure.slots.items()}
    tried = 0
    for option in options(slot):
        for inputs in counts(slot.channels[0]):
            if inputs > FEW or not fits(option, inputs, slot.channels[1]):
                continue
            tried += 1
            outputs = {other: own.channels[1] for other, own in structure.slots.items()}
            chosen = {**dict.fromkeys(structure.slots, DENSE), name: option}
            choice = Choice(chosen, {**outputs, producer: inputs})
            slim = spconvify.convert(
                model, plan=plan_for(choice, structure, orders), input_shape=(1, 3, 16, 16)
            )
            path = spconvify.save(slim, tmp_path / f"{tried}.pdparams")
            loaded = spconvify.load(path, type(model)(8))
            before = {key: tuple(value.shape) for key, value in slim.state_dict().items()}
            assert {key: tuple(value.shape) for key, value in loaded.state_dict().items()} == before
    assert tried >= len(options(slot))
