"""Operators of detectors: boxes from maps, and the best of them."""

from __future__ import annotations

import importlib
from typing import Any

import paddle

from spconvify.source.programs.arguments import Arguments
from spconvify.source.programs.entries import Call, Entry

_NMS = (
    "score_threshold", "nms_top_k", "keep_top_k", "nms_threshold", "normalized", "nms_eta",
    "background_label",
)  # fmt: skip
_YOLO = (
    "anchors", "class_num", "conf_thresh", "downsample_ratio", "clip_bbox", "scale_x_y", "iou_aware",
    "iou_aware_factor",
)  # fmt: skip


def _yolo_box(n: Arguments) -> Call:
    return paddle.vision.ops.yolo_box, [n.x(), n.x(1)], {name: n[name] for name in _YOLO}


def _multiclass_nms(n: Arguments) -> Call:
    return multiclass_nms, [n.x(), n.x(1), n.x(2), {name: n[name] for name in _NMS}], {}


def multiclass_nms(boxes: Any, scores: Any, number: Any, settings: dict[str, Any]) -> Any:
    """Boxes that are kept, their indices, their numbers: the one operator without a public function."""
    if paddle.in_dynamic_mode() or not paddle.__version__.startswith("2."):
        return paddle._C_ops.multiclass_nms3(boxes, scores, number, *(settings[name] for name in _NMS))
    helper = importlib.import_module("paddle.base.layer_helper").LayerHelper("multiclass_nms3")
    kept = helper.create_variable_for_type_inference(boxes.dtype)
    index, count = (helper.create_variable_for_type_inference("int32") for _ in range(2))
    inputs = {"BBoxes": boxes, "Scores": scores, **({} if number is None else {"RoisNum": number})}
    outputs = {"Out": kept, "Index": index, "NmsRoisNum": count}
    helper.append_op(type="multiclass_nms3", inputs=inputs, attrs=settings, outputs=outputs)
    return kept, index, count


FUNCTIONS: dict[str, Entry] = {"yolo_box": _yolo_box, "multiclass_nms3": _multiclass_nms}
