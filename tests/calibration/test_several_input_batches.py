"""Calibration, agreement, accuracy and recovery of networks with several inputs, from Python."""

import network_inputs as nets
import numpy as np
import paddle
import pytest

from spconvify import ArgumentError, compare, convert, cost, recover, slim
from spconvify.calibration.images import CalibrationImages
from spconvify.network.inputs import Inputs
from spconvify.zoo.custom import build_custom

COUNT = 12


def pictures(seed=0, shape=(3, 16, 16)):
    return nets.picture((COUNT, *shape), seed)


class Items(paddle.io.Dataset):
    """Dictionaries, as people's datasets give them: with a label, a name and a number beside."""

    def __init__(self, **arrays):
        super().__init__()
        self.arrays = arrays

    def __len__(self):
        return COUNT

    def __getitem__(self, row):
        return {**{key: array[row] for key, array in self.arrays.items()}, "label": np.int64(row % 8)}


def dictionaries(**arrays):
    return paddle.io.DataLoader(Items(**arrays), batch_size=4, num_workers=0)


DETECTOR = {
    "image": pictures(),
    "im_shape": np.full((COUNT, 2), 16, "float32"),
    "scale_factor": np.linspace(1, 2, 2 * COUNT, dtype="float32").reshape(COUNT, 2),
}
SCALES = nets.scale(COUNT)
IDS = np.arange(3 * COUNT).reshape(COUNT, 3) % 9


def build(name):
    return build_custom(f"network_inputs:{name}")


CASES = {
    "dictionaries for a network of one dictionary": ("detector", lambda: dictionaries(**DETECTOR), {}),
    "pictures, and the example that came with the network": (
        "detector_with_example",
        lambda: [DETECTOR["image"]],
        {},
    ),
    "pictures with labels": ("classes", lambda: [(pictures(), np.arange(COUNT))], {}),
    "pictures, and an example": (
        "detector",
        lambda: [DETECTOR["image"]],
        {"example": {name: array[:1] for name, array in DETECTOR.items()}},
    ),
    "two pictures in a tuple": ("stereo", lambda: [(pictures(), pictures(1))], {}),
    "dictionaries for keywords, with more in them": (
        "only_keywords",
        lambda: dictionaries(image=pictures(), scale=SCALES),
        {},
    ),
    "dictionaries for positional arguments": (
        "stereo",
        lambda: dictionaries(left=pictures(), right=pictures(1)),
        {},
    ),
    "integers first": ("with_words", lambda: [(IDS, pictures(), np.arange(COUNT))], {}),
    "a dictionary in a dictionary": (
        "nested",
        lambda: [{"image": pictures(), "meta": {"scale": SCALES}, "name": ["a"] * COUNT}],
        {},
    ),
    "channels last": ("last_and_scaled", lambda: [pictures(shape=(16, 12, 3))], {}),
    "clips": ("clip", lambda: [nets.picture((COUNT, 2, 3, 8, 8))], {"input_shape": (1, 2, 3, 8, 8)}),
    "a dictionary for a network of pictures": ("one_tensor", lambda: dictionaries(image=pictures()), {}),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("ignore::spconvify.InputWarning", "ignore::UserWarning")
def test_slim(case):
    name, batches, more = CASES[case]
    model = build(name)
    done = slim(model, calibration=batches(), include=["conv"], progress=False, **more)
    assert done.comparison.agreement.images == COUNT // 4
    assert not done.comparison.agreement.unknown
    assert next(site.error for site in done.comparison.sites if site.eligible) is not None


def test_rows_stay_together():
    images = CalibrationImages(dictionaries(**DETECTOR), nets.Detector())
    to_fit, left_out = images.split()
    found = {float(b.feeds()["image"].sum()): b.feeds()["scale_factor"][0] for b in _single(left_out)}
    assert len(found) == left_out.count == 3
    for total, factor in found.items():
        (row,) = np.flatnonzero(np.isclose(DETECTOR["image"].sum((1, 2, 3)), total))
        np.testing.assert_array_equal(DETECTOR["scale_factor"][row], factor)
    assert to_fit.count == 9


def _single(images):
    from spconvify.network.batches import size_of, taken

    return [taken(batch, slice(i, i + 1)) for batch in images for i in range(size_of(batch))]


@pytest.mark.parametrize(
    ("name", "batch", "message"),
    [
        ("stereo", pictures(), "pictures could go to 'left' and 'right' alike"),
        (
            "classes",
            {"image": pictures()},
            "batch 0 has no 'scale', which the network takes; it has",
        ),
        ("classes", {"image": pictures(), "scale": SCALES[:5]}, "'scale' has 5 rows for 12 images"),
        ("classes", {"image": pictures() * np.nan, "scale": SCALES}, "'image' holds NaN or infinity"),
        ("classes", {"image": pictures()[0], "scale": SCALES}, r"'image' has the shape \[3, 16, 16\]"),
        ("one_tensor", {"ids": IDS}, "batch 0: no input of the network takes pictures"),
    ],
)
def test_batches_that_do_not_fit(name, batch, message):
    with pytest.raises(ArgumentError, match=message):
        convert(build(name), init="lstsq", calibration=[batch], include=["conv"])


def test_an_example_is_what_a_network_is_run_on():
    model, example = nets.with_words()
    assert cost(model, example=example).macs == cost(build("with_words")).macs
    with pytest.raises(ArgumentError, match="give input_shape="):
        cost(model)
    after = convert(model, include=["conv"], example=example)
    comparison = compare(model, after, example=example, engine=None, images=[(IDS, pictures())])
    assert comparison.inputs == {"ids": (1, 3), "image": (1, 3, 16, 16)}
    assert comparison.input_shape == (1, 3, 16, 16)
    assert "inputs ids 1x3, image 1x3x16x16" in str(comparison)
    assert comparison.agreement.images == COUNT
    with pytest.raises(ArgumentError, match="the example has the shape"):
        compare(model, after, [(1, 5), (1, 3, 16, 16)], example=example, engine=None)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_accuracy_of_several_inputs():
    model = build("classes")
    labels = np.arange(COUNT) % 8
    alone = slim(model, include=["conv"], eval_data=(pictures(), labels))
    batch = {"image": pictures(), "scale": np.repeat(nets.scale(), COUNT, 0)}
    assert slim(model, include=["conv"], eval_data=([batch], labels)).comparison.before.top1 == (
        alone.comparison.before.top1
    )


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("detector", lambda: dictionaries(**DETECTOR)),
        ("detector", lambda: Items(**DETECTOR)),
        ("detector_with_example", pictures),
        ("stereo", lambda: [(pictures(), pictures(1))]),
        ("with_words", lambda: [(IDS, pictures())]),
        ("nested", lambda: [{"image": pictures(), "meta": {"scale": SCALES}}]),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_recover(name, data):
    teacher = build(name)
    example = None if name != "detector" else {key: array[:1] for key, array in DETECTOR.items()}
    student = convert(teacher, include=["conv"], example=example)
    before = [p.numpy() for p in student.parameters()]
    recover(student, teacher, data(), steps=2, batch_size=4, progress=False)
    assert any((old != new.numpy()).any() for old, new in zip(before, student.parameters()))


def test_an_augmentation_changes_the_pictures_alone():
    from spconvify.recovery.batches import Batches, Form

    model = build("detector")
    batches = Batches(dictionaries(**DETECTOR), 4, 0, lambda x, _: x + 1, Form(model))
    first = batches.first().images
    assert isinstance(first, Inputs)
    np.testing.assert_allclose(first.feeds()["image"], DETECTOR["image"][:4] + 1)
    np.testing.assert_array_equal(first.feeds()["scale_factor"], DETECTOR["scale_factor"][:4])


@pytest.mark.parametrize("is_known", [False, True])
def test_one_row_that_a_batch_has_in_common_goes_with_its_pictures(is_known):
    """Of `eval_data` all batches become one."""
    network, images = build("with_a_head"), pictures()
    batches = [
        {"image": images[4 * i : 4 * i + 4], "scale": np.float32([[scale]])}
        for i, scale in enumerate((1, -1, 2))
    ]
    labels = [network(*map(paddle.to_tensor, batch.values())).numpy().argmax(1) for batch in batches]
    found = slim(
        network,
        fusion="sum",
        eval_data=(batches, np.concatenate(labels)),
        example=batches[0] if is_known else None,
    )
    assert found.comparison.before.top1 == 100


def test_as_many_anchors_as_pictures_are_not_divided_among_them():
    anchors = nets.picture((COUNT, 8), 1)
    network, example = build("anchored"), {"image": pictures()[:1], "anchors": anchors}
    batches = [pictures(seed) for seed in range(4)]
    given = CalibrationImages(batches, network, Inputs.holding(example, network))
    parts = [*given, *given.split()[0], *given.split()[1]]
    assert all(np.array_equal(part.tensors["anchors"].array(), anchors) for part in parts)
    named = [{"image": images, "anchors": anchors} for images in batches]
    given = CalibrationImages(named, network, Inputs.holding(example, network))
    assert all(np.array_equal(part.tensors["anchors"].array(), anchors) for part in given.split()[1])
    student = convert(network, fusion="sum", example=example)
    recover(student, network, batches[0], steps=1, batch_size=COUNT, example=example)
