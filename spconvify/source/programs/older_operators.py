"""Paddle 2's operators in Paddle 3's words: name, inputs, attributes and outputs of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

# "operator, operator=newer name | inputs | attributes | outputs".
# An input is a slot, "*" behind it if it holds several; "#a" is the attribute a as a constant; of
# "A/B/#c" the first that is there counts, and "-" is none. "new=old" renames an attribute. An output is
# a slot ("Out" if there is nothing).
_TABLE = """
conv2d, depthwise_conv2d | Input Filter | strides paddings padding_algorithm dilations groups data_format | Output
conv2d_transpose, depthwise_conv2d_transpose | Input Filter OutputSize/#output_size | strides paddings output_padding padding_algorithm dilations groups data_format | Output
deformable_conv, deformable_conv_v1=deformable_conv | Input Offset Filter Mask | strides paddings dilations deformable_groups groups | Output
batch_norm, sync_batch_norm=batch_norm | X Mean Variance Scale Bias | momentum epsilon data_format=data_layout is_test trainable_statistics | Y
layer_norm | X Scale Bias | epsilon begin_norm_axis | Y
group_norm | X Scale Bias | epsilon groups data_format=data_layout | Y
instance_norm | X Scale Bias | epsilon | Y
matmul_v2=matmul | X Y | transpose_x=trans_x transpose_y=trans_y
bmm, logical_and, logical_or, equal, not_equal, greater_than, less_than, greater_equal, less_equal | X Y
relu, sigmoid, tanh, exp, sqrt, rsqrt, abs, floor, ceil, log, square, erf, sin, cos, round, silu, swish, mish, hard_swish=hardswish, assign, logical_not, share_data, reciprocal, sign, isnan_v2=isnan | X
relu6 | X | threshold
hard_sigmoid=hardsigmoid | X | slope offset
leaky_relu | X | negative_slope=alpha
elu | X | alpha
gelu | X | approximate
pow | X | y=factor
softplus | X | beta threshold
softmax, log_softmax | X | axis
prelu | X Alpha | mode data_format
pool2d | X #ksize | strides paddings ceil_mode exclusive data_format pooling_type global_pooling adaptive padding_algorithm
max_pool2d_with_index | X | kernel_size=ksize strides paddings global_pooling adaptive | Out Mask
pixel_shuffle | X | upscale_factor data_format
concat | X* AxisTensor/#axis
stack | X* | axis | Y
split | X SectionsTensorList*/#sections AxisTensor/#axis | num | Out*
unbind, unstack=unbind | X | axis | Out*/Y*
slice | Input StartsTensorList*/StartsTensor/#starts EndsTensorList*/EndsTensor/#ends | axes decrease_axis
strided_slice | Input StartsTensorList*/#starts EndsTensorList*/#ends StridesTensorList*/#strides | axes
transpose2=transpose | X | perm=axis
reshape2=reshape | X ShapeTensor*/Shape/#shape
squeeze2=squeeze, unsqueeze2=unsqueeze | X AxesTensorList*/AxesTensor/#axes
flatten_contiguous_range=flatten | X | start_axis stop_axis
expand_v2=expand | X expand_shapes_tensor*/Shape/#shape
tile | X repeat_times_tensor*/RepeatTimes/#repeat_times
scale | X ScaleTensor/#scale | bias bias_after_scale
clip | X Min/#min Max/#max
cast | X | dtype=out_dtype
dropout | X - #dropout_prob | mode=dropout_implementation
reduce_mean=mean | X | axis=dim keepdim=keep_dim reduce_all
reduce_sum=sum | X #dim | keepdim=keep_dim reduce_all dtype=out_dtype
reduce_max=max, reduce_min=min | X #dim | keepdim=keep_dim reduce_all
arg_max=argmax | X #axis | flatten keepdims dtype
top_k_v2=topk | X K/#k | axis largest sorted | Out Indices
gather | X Index Axis/#axis
gather_nd | X Index
index_select | X Index | axis=dim
where | Condition X Y
nearest_interp_v2=nearest_interp, bilinear_interp_v2=bilinear_interp, bicubic_interp_v2=bicubic_interp | X OutSize SizeTensor* Scale | data_format=data_layout out_h out_w scale align_corners align_mode
shape | Input
range=arange | Start End Step | dtype
lookup_table_v2=embedding | Ids W | padding_idx
p_norm | X | porder axis keepdim
meshgrid | X* | | Out*
pad3d | X Paddings/#paddings | mode pad_value=value data_format
yolo_box | X ImgSize | anchors class_num conf_thresh downsample_ratio clip_bbox scale_x_y iou_aware iou_aware_factor | Boxes Scores
multiclass_nms3 | BBoxes Scores RoisNum | score_threshold nms_top_k keep_top_k nms_threshold normalized nms_eta background_label | Out Index NmsRoisNum
"""  # noqa: E501

# Of two tensors, with Paddle 2's way of aligning the second one's axes.
BINARY = {
    "elementwise_add": "add", "elementwise_sub": "subtract", "elementwise_mul": "multiply",
    "elementwise_div": "divide", "elementwise_max": "maximum", "elementwise_min": "minimum",
    "elementwise_pow": "elementwise_pow", "elementwise_floordiv": "floor_divide",
    "elementwise_mod": "remainder",
}  # fmt: skip


@dataclass(frozen=True)
class OlderOperator:
    """How one of Paddle 2's operators is written in Paddle 3.

    Attributes:
        name: in Paddle 3.
        inputs: what stands in each place; see the table.
        attrs: (name in Paddle 3, name in Paddle 2).
        outputs: slots; a "*" behind one that holds several.
    """

    name: str
    inputs: tuple[str, ...]
    attrs: tuple[tuple[str, str], ...]
    outputs: tuple[str, ...]


def _operators() -> Iterator[tuple[str, OlderOperator]]:
    for line in _TABLE.strip().splitlines():
        names, *columns = (part.strip() for part in line.split("|"))
        inputs, attrs, outputs = [*columns, "", "", ""][:3]
        for pair in names.split(","):
            old, _, new = pair.strip().partition("=")
            renamed = (item.partition("=") for item in attrs.split())
            yield (
                old,
                OlderOperator(
                    new or old,
                    tuple(inputs.split()),
                    tuple((name, older or name) for name, _, older in renamed),
                    tuple((outputs or "Out").split()),
                ),
            )


OPERATORS = dict(_operators())
