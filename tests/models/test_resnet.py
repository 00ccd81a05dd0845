"""The networks: their sizes are published, so these tests have known answers."""

from typing import Any

import pytest
import torch
from torch import nn

from leukoscope import models
from leukoscope.errors import BadInputError

# Parameters with 1000 and with 2 classes; GMACs at 224 px with 1000 classes, v1.5 and v1:
# He et al. 2016 and torchvision's model cards.
SIZES = {
    "resnet18": (11_689_512, 11_177_538, 1.814, 1.814),
    "resnet34": (21_797_672, 21_285_698, 3.664, 3.664),
    "resnet50": (25_557_032, 23_512_130, 4.089, 3.858),
    "resnet101": (44_549_160, 42_504_258, 7.801, 7.570),
    "resnet152": (60_192_808, 58_147_906, 11.514, 11.282),
}

BASIC_CONV3 = """\
Sequential(
  (0): ResNetBasicBlock(
    (conv_block1): Sequential(
      (0): Conv2d(64, 128, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), bias=False)
      (1): BatchNorm2d(128, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
      (2): ReLU(inplace=True)
    )
    (conv_block2): Sequential(
      (0): Conv2d(128, 128, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False)
      (1): BatchNorm2d(128, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
    )
    (shortcut): Sequential(
      (0): Conv2d(64, 128, kernel_size=(1, 1), stride=(2, 2), bias=False)
      (1): BatchNorm2d(128, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
    )
    (res_out): ReLU(inplace=True)
  )
  (1): ResNetBasicBlock(
    (conv_block1): Sequential(
      (0): Conv2d(128, 128, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False)
      (1): BatchNorm2d(128, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
      (2): ReLU(inplace=True)
    )
    (conv_block2): Sequential(
      (0): Conv2d(128, 128, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False)
      (1): BatchNorm2d(128, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
    )
    (shortcut): Sequential()
    (res_out): ReLU(inplace=True)
  )
)"""

BOTTLENECK = """\
ResNetBottleneck(
  (conv_block1): Sequential(
    (0): Conv2d(256, 128, kernel_size=(1, 1), stride=(2, 2), bias=False)
    (1): BatchNorm2d(128, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
    (2): ReLU(inplace=True)
  )
  (conv_block2): Sequential(
    (0): Conv2d(128, 128, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False)
    (1): BatchNorm2d(128, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
    (2): ReLU(inplace=True)
  )
  (conv_block3): Sequential(
    (0): Conv2d(128, 512, kernel_size=(1, 1), stride=(1, 1), bias=False)
    (1): BatchNorm2d(512, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
  )
  (shortcut): Sequential(
    (0): Conv2d(256, 512, kernel_size=(1, 1), stride=(2, 2), bias=False)
    (1): BatchNorm2d(512, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
  )
  (res_out): ReLU(inplace=True)
)"""


@pytest.mark.parametrize("name", models.names())
def test_sizes_are_the_published_ones(name: str) -> None:
    thousand, two, v15, v1 = SIZES[name]
    assert models.parameters(name, num_classes=1000) == thousand
    assert models.parameters(name) == two
    assert models.gmacs(name, 224, num_classes=1000, stride_in="3x3") == pytest.approx(
        v15, abs=5e-4
    )
    assert models.gmacs(name, 224, num_classes=1000, stride_in="1x1") == pytest.approx(v1, abs=5e-4)


def printed(module: nn.Module) -> str:
    """Print `module` as every version of torch: newer ones add the norm's bias."""
    return str(module).replace("affine=True, bias=True", "affine=True")


def test_blocks_print_as_in_the_lab_report() -> None:
    assert printed(models.create("resnet18").conv3_x) == BASIC_CONV3
    first, second, *_ = models.create("resnet50").conv3_x
    assert printed(first) == BOTTLENECK
    assert "(shortcut): Sequential()" in str(second)


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
@pytest.mark.parametrize("size", [32, 64, 96])
def test_shapes(name: str, size: int) -> None:
    model = models.create(name, num_classes=5).eval()
    pictures = torch.zeros(2, 3, size, size)
    assert model(pictures).shape == (2, 5)
    assert model.features(pictures).shape == (2, model.fc.in_features)
    assert model.conv1(pictures).shape[-1] == size // 2


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_every_parameter_gets_a_gradient(name: str) -> None:
    torch.manual_seed(0)
    model = models.create(name)
    model(torch.randn(4, 3, 64, 64)).square().sum().backward()
    for key, weight in model.named_parameters():
        assert weight.grad is not None, key
        assert weight.grad.abs().sum() > 0, key


def test_gradients_are_those_of_finite_differences() -> None:
    torch.manual_seed(0)
    model = models.create("resnet18").double().eval()
    picture = torch.randn(1, 3, 32, 32, dtype=torch.double, requires_grad=True)
    direction = torch.randn_like(picture)
    (slope,) = torch.autograd.grad(model(picture)[0, 1], picture)
    step = 1e-6
    with torch.no_grad():
        rise = model(picture + step * direction) - model(picture - step * direction)
    expected = rise[0, 1].item() / (2 * step)
    assert (slope * direction).sum().item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_zero_init_makes_every_identity_block_the_identity(name: str) -> None:
    model = models.create(name, zero_init_residual=True)
    block = model.conv3_x[1]
    activations = torch.rand(2, block.conv_block1[0].in_channels, 8, 8)
    assert torch.equal(block(activations), activations)
    assert not torch.equal(models.create(name).conv3_x[1](activations), activations)


def test_zero_init_does_not_silence_a_plain_network() -> None:
    plain = models.create("resnet18", residual=False, zero_init_residual=True).train()
    assert plain.features(torch.rand(2, 3, 64, 64)).std() > 0


def test_plain_network_has_no_shortcut_and_no_other_difference() -> None:
    plain, residual = models.create("resnet34", residual=False), models.create("resnet34")
    missing = set(residual.state_dict()) - set(plain.state_dict())
    assert set(plain.state_dict()) <= set(residual.state_dict())
    assert missing
    assert all(".shortcut." in key for key in missing)
    assert not any("shortcut" in key for key, _ in plain.named_modules())


def test_group_norm_does_not_mix_cells_of_a_batch() -> None:
    torch.manual_seed(0)
    model = models.create("resnet18", norm="group").train()
    assert not any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    pictures = torch.randn(3, 3, 64, 64)
    torch.testing.assert_close(model(pictures)[:1], model(pictures[:1]), rtol=1e-4, atol=1e-5)


def test_convolutions_start_with_he_variance() -> None:
    torch.manual_seed(0)
    conv = models.create("resnet18").conv5_x[1].conv_block2[0]
    assert conv.weight.std().item() == pytest.approx((2 / (512 * 9)) ** 0.5, rel=0.01)


def test_gmacs_are_counted_at_the_smallest_size() -> None:
    assert models.gmacs("resnet18", 32) == pytest.approx(models.gmacs("resnet18", 64) / 4, rel=0.01)


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(BadInputError, match="resnet152"):
        models.create("resnet20")


def test_the_small_stem_keeps_four_times_the_side() -> None:
    picture = torch.zeros(1, 3, 64, 64)
    for stem, side in (("paper", 2), ("small", 8)):
        model = models.create("resnet18", stem=stem).eval()
        early = model.conv2_x(model.pool1(model.conv1(picture)))
        assert model.conv5_x(model.conv4_x(model.conv3_x(early))).shape[-1] == side


def test_dropout_hides_features_in_training_alone() -> None:
    model = models.create("resnet18", dropout=0.5)
    picture = torch.rand(8, 3, 32, 32)
    torch.manual_seed(0)
    one, two = model(picture), model(picture)
    assert not torch.equal(one, two)
    model.eval()
    assert torch.equal(model(picture), model(picture))
    assert str(model) == str(models.create("resnet18"))


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_a_narrow_network_has_a_quarter_of_the_channels_everywhere(name: str) -> None:
    wide = models.create(name, norm="group").state_dict()
    narrow = models.create(name, norm="group", width=16)
    for key, weights in narrow.state_dict().items():
        channels = [side if side in (2, 3) else side // 4 for side in wide[key].shape[:2]]
        assert list(weights.shape) == [*channels, *wide[key].shape[2:]], key
    assert narrow(torch.zeros(1, 3, 32, 32)).shape == (1, 2)


@pytest.mark.parametrize(("width", "groups"), [(16, 16), (20, 4), (48, 16), (64, 32)])
def test_group_norm_takes_any_width(width: int, groups: int) -> None:
    model = models.create("resnet18", norm="group", width=width)
    norms = [module for module in model.modules() if isinstance(module, nn.GroupNorm)]
    assert norms[0].num_groups == groups
    assert model(torch.zeros(1, 3, 32, 32)).shape == (1, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stem": "tiny"}, "stem: Input should be 'paper' or 'small'"),
        ({"norm": "layer"}, "norm: Input should be 'batch' or 'group'"),
        ({"dropout": 1.0}, "dropout: Input should be less than 1"),
        ({"width": 0}, "width: Input should be greater than 0"),
        ({"depth": 18}, "depth: Unexpected keyword argument"),
    ],
)
def test_options_it_does_not_take_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError, match="resnet18 cannot be built so") as refused:
        models.create("resnet18", **options)
    assert message in str(refused.value)
