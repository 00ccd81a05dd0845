"""Residual networks as in the paper, read from one depth table.

He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, CVPR 2016, arXiv:1512.03385.
Names follow the paper's Table 1 (``conv1``, ``conv2_x`` … ``conv5_x``) and the usual course
notation for the blocks (``conv_block1``, ``shortcut``, ``res_out``).
"""

import math
from collections.abc import Callable
from typing import Annotated, Literal

import torch.nn.functional as F
from pydantic import Field, validate_call
from torch import Tensor, nn

StrideIn = Literal["1x1", "3x3"]
Norm = Literal["batch", "group"]
Stem = Literal["paper", "small"]
MakeNorm = Callable[[int], nn.Module]

NORMS: dict[str, MakeNorm] = {
    "batch": nn.BatchNorm2d,
    # 32 groups (Wu and He 2018, arXiv:1803.08494), or as many as divide the channels alike.
    "group": lambda channels: nn.GroupNorm(math.gcd(32, channels), channels),
}


def conv_norm(
    make_norm: MakeNorm, inputs: int, outputs: int, kernel: int, stride: int = 1
) -> list[nn.Module]:
    """Return a convolution that keeps the size (up to its stride), and its norm."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    return [conv, make_norm(outputs)]


class ResidualBlock(nn.Module):
    """What both blocks share: ``relu(branch(x) + shortcut(x))``, or ``relu(branch(x))`` if plain.

    The shortcut is the identity, an empty ``Sequential()``, where input and output have the same
    shape, and a strided 1×1 convolution otherwise (option B of the paper).
    """

    expansion: int

    def add_shortcut(
        self, make_norm: MakeNorm, inputs: int, outputs: int, stride: int, residual: bool
    ) -> None:
        """Register ``shortcut`` (unless the block is plain) and the closing ``res_out``."""
        self.residual = residual
        if residual:
            same = stride == 1 and inputs == outputs
            layers = [] if same else conv_norm(make_norm, inputs, outputs, 1, stride)
            self.shortcut = nn.Sequential(*layers)
        self.res_out = nn.ReLU(inplace=True)

    @property
    def last_norm(self) -> nn.Module:
        """The norm that closes the branch."""
        raise NotImplementedError

    def branch(self, x: Tensor) -> Tensor:
        """Return the residual function F(x)."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, channels * expansion, H / stride, W / stride)."""
        out = self.branch(x)
        if self.residual:
            out = out + self.shortcut(x)
        return self.res_out(out)  # type: ignore[no-any-return]


def silence_branches(model: nn.Module) -> None:
    """Let each residual block of `model` begin as its shortcut: its branch's last norm at zero.

    Goyal et al. 2017, arXiv:1706.02677. A plain block is left as it is.
    """
    for block in model.modules():
        if isinstance(block, ResidualBlock) and block.residual:
            nn.init.zeros_(block.last_norm.weight)  # type: ignore[arg-type]


class ResNetBasicBlock(ResidualBlock):
    """Two 3×3 convolutions: the block of ResNet-18 and ResNet-34."""

    expansion = 1

    def __init__(
        self,
        inputs: int,
        channels: int,
        stride: int,
        make_norm: MakeNorm,
        stride_in: StrideIn,
        residual: bool,
    ) -> None:
        super().__init__()
        self.conv_block1 = nn.Sequential(
            *conv_norm(make_norm, inputs, channels, 3, stride), nn.ReLU(inplace=True)
        )
        self.conv_block2 = nn.Sequential(*conv_norm(make_norm, channels, channels, 3))
        self.add_shortcut(make_norm, inputs, channels, stride, residual)

    @property
    def last_norm(self) -> nn.Module:
        """The norm that closes the branch."""
        return self.conv_block2[-1]

    def branch(self, x: Tensor) -> Tensor:
        """Return F(x)."""
        return self.conv_block2(self.conv_block1(x))  # type: ignore[no-any-return]


class ResNetBottleneck(ResidualBlock):
    """1×1 down, 3×3, 1×1 up by four: the block of ResNet-50, -101 and -152.

    `stride_in` says which convolution of a stage's first block halves the picture: ``"1x1"`` as in
    the paper (v1), ``"3x3"`` as in most later code (v1.5), which loses no pixels.
    """

    expansion = 4

    def __init__(
        self,
        inputs: int,
        channels: int,
        stride: int,
        make_norm: MakeNorm,
        stride_in: StrideIn,
        residual: bool,
    ) -> None:
        super().__init__()
        first, second = (stride, 1) if stride_in == "1x1" else (1, stride)
        outputs = channels * self.expansion
        self.conv_block1 = nn.Sequential(
            *conv_norm(make_norm, inputs, channels, 1, first), nn.ReLU(inplace=True)
        )
        self.conv_block2 = nn.Sequential(
            *conv_norm(make_norm, channels, channels, 3, second), nn.ReLU(inplace=True)
        )
        self.conv_block3 = nn.Sequential(*conv_norm(make_norm, channels, outputs, 1))
        self.add_shortcut(make_norm, inputs, outputs, stride, residual)

    @property
    def last_norm(self) -> nn.Module:
        """The norm that closes the branch."""
        return self.conv_block3[-1]

    def branch(self, x: Tensor) -> Tensor:
        """Return F(x)."""
        return self.conv_block3(self.conv_block2(self.conv_block1(x)))  # type: ignore[no-any-return]


class ResNet(nn.Module):
    """A residual network: (N, 3, H, W) float, H and W multiples of 32, → (N, classes) logits.

    Keyword Args:
        stride_in: ``"1x1"`` (the paper) or ``"3x3"`` (v1.5); only bottlenecks differ.
        zero_init_residual: start as `silence_branches` leaves it.
        residual: False builds the plain network of the same depth, without any shortcut.
        norm: ``"batch"`` or ``"group"``.
        stem: ``"paper"``: a 7×7 convolution that halves, then a pool that halves; ``"small"``, for
            small pictures: a 3×3 convolution that does not, and no pool.
        dropout: share of the features that the classifier does not see, in training.
        width: channels of the stem and of the first stage's 3×3 convolutions, the paper's 64; all
            others follow.
    """

    @validate_call
    def __init__(
        self,
        block: type[ResNetBasicBlock] | type[ResNetBottleneck],
        blocks: tuple[int, int, int, int],
        num_classes: int = 2,
        *,
        stride_in: StrideIn = "1x1",
        zero_init_residual: bool = False,
        residual: bool = True,
        norm: Norm = "batch",
        stem: Stem = "paper",
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        width: Annotated[int, Field(gt=0)] = 64,
    ) -> None:
        super().__init__()
        make_norm = NORMS[norm]
        kernel, stride = (7, 2) if stem == "paper" else (3, 1)
        first = conv_norm(make_norm, 3, width, kernel, stride)
        self.conv1 = nn.Sequential(*first, nn.ReLU(inplace=True))
        self.pool1 = nn.MaxPool2d(3, stride=2, padding=1) if stem == "paper" else nn.Identity()

        inputs = width

        def stage(channels: int, count: int, stride: int) -> nn.Sequential:
            nonlocal inputs
            layers = []
            for index in range(count):
                step = stride if index == 0 else 1
                layers.append(block(inputs, channels, step, make_norm, stride_in, residual))
                inputs = channels * block.expansion
            return nn.Sequential(*layers)

        self.conv2_x = stage(width, blocks[0], stride=1)
        self.conv3_x = stage(2 * width, blocks[1], stride=2)
        self.conv4_x = stage(4 * width, blocks[2], stride=2)
        self.conv5_x = stage(8 * width, blocks[3], stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = dropout
        self.fc = nn.Linear(inputs, num_classes)
        # He et al. 2015 (arXiv:1502.01852); norms start as the identity.
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if zero_init_residual:
            silence_branches(self)

    def features(self, x: Tensor) -> Tensor:
        """Return what the classifier sees, (N, 8 * width * expansion)."""
        x = self.pool1(self.conv1(x))
        x = self.conv5_x(self.conv4_x(self.conv3_x(self.conv2_x(x))))
        return self.avgpool(x).flatten(1)  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits, (N, classes)."""
        return self.fc(F.dropout(self.features(x), self.dropout, self.training))  # type: ignore[no-any-return]
