"""Networks for small inputs: those of the SPConv paper for CIFAR (section 4.1), and a ResNet-18."""

from __future__ import annotations

import paddle
from paddle import nn
from paddle.vision.models.resnet import BasicBlock

_VGG16_WIDTHS = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512)


class CifarResNet(nn.Layer):
    """ResNet with three stages of 16, 32 and 64 channels (He et al. 2016, section 4.2).

    Input (N, in_channels, H, W), output (N, num_classes). Where the width changes, the shortcut is
    a 1x1 convolution with BatchNorm (He's option B). Parameters are named like those of
    ``paddle.vision.models.resnet18``.

    Args:
        depth: number of layers, 6n + 2.
        num_classes: width of the last linear layer.
        in_channels: channels of the input image.

    Raises:
        ValueError: if `depth` isn't 6n + 2.
    """

    def __init__(self, depth: int, num_classes: int = 10, in_channels: int = 3):
        super().__init__()
        blocks, rest = divmod(depth - 2, 6)
        if rest or blocks < 1:
            raise ValueError(f"depth {depth} isn't 6n + 2; use 20, 32, 44, 56 or 110")
        self.conv1 = nn.Conv2D(in_channels, 16, 3, padding=1, bias_attr=False)
        self.bn1 = nn.BatchNorm2D(16)
        self.relu = nn.ReLU()
        self.layer1 = _stage(16, 16, blocks, stride=1)
        self.layer2 = _stage(16, 32, blocks, stride=2)
        self.layer3 = _stage(32, 64, blocks, stride=2)
        self.avgpool = nn.AdaptiveAvgPool2D(1)
        self.fc = nn.Linear(64, num_classes)

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(paddle.flatten(self.avgpool(x), 1))


def _stage(in_channels: int, out_channels: int, blocks: int, stride: int) -> nn.Sequential:
    shortcut = None
    if stride != 1 or in_channels != out_channels:
        shortcut = nn.Sequential(
            nn.Conv2D(in_channels, out_channels, 1, stride=stride, bias_attr=False),
            nn.BatchNorm2D(out_channels),
        )
    first = BasicBlock(in_channels, out_channels, stride, shortcut)
    return nn.Sequential(first, *(BasicBlock(out_channels, out_channels) for _ in range(blocks - 1)))


class SmallResNet18(nn.Layer):
    """ResNet-18 for small images: a 3x3 stem, no pooling behind it, four stages of `width` to 8 `width`.

    Input (N, in_channels, H, W), output (N, num_classes). Parameters are named like those of
    ``paddle.vision.models.resnet18``.

    Args:
        num_classes: width of the last linear layer.
        in_channels: channels of the input image.
        width: channels of the first stage.
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 3, width: int = 64):
        super().__init__()
        self.conv1 = nn.Conv2D(in_channels, width, 3, padding=1, bias_attr=False)
        self.bn1 = nn.BatchNorm2D(width)
        self.relu = nn.ReLU()
        self.layer1 = _stage(width, width, 2, stride=1)
        self.layer2 = _stage(width, 2 * width, 2, stride=2)
        self.layer3 = _stage(2 * width, 4 * width, 2, stride=2)
        self.layer4 = _stage(4 * width, 8 * width, 2, stride=2)
        self.avgpool = nn.AdaptiveAvgPool2D(1)
        self.fc = nn.Linear(8 * width, num_classes)

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(paddle.flatten(self.avgpool(x), 1))


class CifarVGG(nn.Layer):
    """VGG-16 with BatchNorm and one linear layer, for inputs of 32x32.

    Input (N, in_channels, H, W), output (N, num_classes).
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 3):
        super().__init__()
        layers: list[nn.Layer] = []
        for width in _VGG16_WIDTHS:
            if isinstance(width, str):
                layers.append(nn.MaxPool2D(2, 2))
                continue
            layers += [
                nn.Conv2D(in_channels, width, 3, padding=1, bias_attr=False),
                nn.BatchNorm2D(width),
                nn.ReLU(),
            ]
            in_channels = width
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2D(1)
        self.classifier = nn.Linear(in_channels, num_classes)

    def forward(self, x):
        return self.classifier(paddle.flatten(self.avgpool(self.features(x)), 1))


def resnet20(num_classes: int = 10, in_channels: int = 3) -> CifarResNet:
    """ResNet-20 for CIFAR-sized inputs: 0.27 M parameters."""
    return CifarResNet(20, num_classes, in_channels)


def resnet56(num_classes: int = 10, in_channels: int = 3) -> CifarResNet:
    """ResNet-56 for CIFAR-sized inputs: 0.86 M parameters."""
    return CifarResNet(56, num_classes, in_channels)


def resnet18_small(num_classes: int = 10, in_channels: int = 1, width: int = 32) -> SmallResNet18:
    """ResNet-18 for small images at half width: 2.8 M parameters, 115 M MACs at 28x28."""
    return SmallResNet18(num_classes, in_channels, width)


def vgg16_cifar(num_classes: int = 10, in_channels: int = 3) -> CifarVGG:
    """VGG-16 with BatchNorm for CIFAR-sized inputs: 14.7 M parameters."""
    return CifarVGG(num_classes, in_channels)
