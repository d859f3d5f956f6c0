"""Detectors of PaddleDetection for tools/foreign.py: small ones, as its configuration files have them.

Most give the maps of their heads, as they are exported for engines that find the boxes themselves.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

CLASSES = 7


def _det() -> Any:
    return importlib.import_module("ppdet.modeling")


def detector_inputs(*names: str) -> Callable[[int], dict[str, Any]]:
    """What an architecture of PaddleDetection is given, by a picture's size: these of its inputs.

    Paddle exports no network that is given what it doesn't use.
    """

    def inputs(size: int) -> dict[str, Any]:
        whole = {
            "image": (1, 3, size, size),
            "im_shape": np.full((1, 2), size, "float32"),
            "scale_factor": np.ones((1, 2), "float32"),
        }
        return {name: whole[name] for name in names}

    return inputs


def _nms(det: Any) -> Any:
    return det.layers.MultiClassNMS(nms_top_k=100, keep_top_k=20, score_threshold=0.0)


def ppyoloe(nms: bool = False) -> Any:
    det = _det()
    backbone = det.CSPResNet(
        layers=[3, 6, 6, 3],
        return_idx=[1, 2, 3],
        use_large_stem=True,
        depth_mult=0.33,
        width_mult=0.5,
    )
    neck = det.CustomCSPPAN(
        in_channels=_channels(backbone),
        out_channels=[768, 384, 192],
        act="swish",
        spp=True,
        depth_mult=0.33,
        width_mult=0.5,
    )
    head = det.PPYOLOEHead(
        in_channels=_channels(neck),
        num_classes=CLASSES,
        nms=_nms(det),
        exclude_nms=not nms,
    )
    return det.YOLOv3(backbone, neck, head, post_process=None)


def picodet() -> Any:
    det = _det()
    losses = importlib.import_module("ppdet.modeling.losses")
    backbone = det.LCNet(scale=0.75, feature_maps=[3, 4, 5])
    neck = det.LCPAN(_channels(backbone), 96, num_features=4)
    features = det.PicoFeat(96, 96, num_fpn_stride=4, num_convs=2, share_cls_reg=True, use_se=True)
    head = det.PicoHeadV2(
        features,
        num_classes=CLASSES,
        fpn_stride=[8, 16, 32, 64],
        loss_class=losses.varifocal_loss.VarifocalLoss(),
        loss_dfl=losses.DistributionFocalLoss(),
        loss_bbox=losses.GIoULoss(),
        feat_in_chan=96,
        nms=_nms(det),
    )
    network = det.PicoDet(backbone, neck, head)
    network.export_nms = False
    return network


def yolov3(nms: bool = False) -> Any:
    det = _det()
    backbone = det.MobileNet(feature_maps=[4, 6, 13])
    neck = det.YOLOv3FPN(_channels(backbone))
    head = det.YOLOv3Head(_channels(neck), num_classes=CLASSES)
    post = det.BBoxPostProcess(CLASSES, det.layers.YOLOBox(CLASSES), _nms(det)) if nms else _maps
    return det.YOLOv3(backbone, neck, head, post_process=post)


def yolox() -> Any:
    det = _det()
    backbone = det.CSPDarkNet(arch="X", depth_mult=0.33, width_mult=0.375)
    neck = det.YOLOCSPPAN(0.33, _channels(backbone))
    head = det.YOLOXHead(CLASSES, width_mult=0.375, in_channels=_channels(neck), nms=_nms(det))
    head.post_process = _maps_alone
    return det.YOLOX(backbone, neck, head)


def fcos() -> Any:
    det = _det()
    backbone = det.ResNet(depth=18, variant="d", return_idx=[1, 2, 3], freeze_norm=False)
    scales = [1 / 8, 1 / 16, 1 / 32]
    neck = det.FPN(_channels(backbone), 256, scales, has_extra_convs=True, extra_stage=2, use_c5=False)
    head = det.FCOSHead(CLASSES, det.FCOSFeat(256, 256, 2, norm_type="gn"), nms=_nms(det))
    head.post_process = _maps_alone
    return det.FCOS(backbone, neck, head)


def ttfnet() -> Any:
    det = _det()
    backbone = det.DarkNet(depth=53, return_idx=[1, 2, 3, 4])
    neck = det.TTFFPN(_channels(backbone))
    head = det.TTFHead(neck.out_shape[0].channels, num_classes=CLASSES)
    return det.TTFNet(backbone, neck, head, _heat_map_and_sizes)


def keypoints() -> Any:
    det = _det()
    network = det.TopDownHRNet(18, 5, det.HRNet(18, freeze_norm=False), flip=False)
    network.deploy = True
    return network


def _channels(part: Any) -> list[int]:
    return [shape.channels for shape in part.out_shape]


def _maps(maps: Any, anchors: Any, *others: Any) -> Any:
    """In the place of YOLOv3's post-processing: the maps, and the inputs so that they are used."""
    return maps, list(others), None


def _maps_alone(maps: Any, *others: Any) -> Any:
    return maps, list(others)


def _heat_map_and_sizes(heat_map: Any, sizes: Any, *others: Any) -> Any:
    return [heat_map, sizes], list(others)
