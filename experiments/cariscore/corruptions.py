"""Forty-one ways to spoil a set of blends, at any size: none of them may score above the blends themselves.

Damage to the pictures (blur, noise, casts, droplets, ghosts, swirls), composites of person and cartoon, sets that are
no longer of their codes (permuted, collapsed, memorised), and un-blended cartoons, plain and damaged.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

DRAWN_PX = 64  # lengths below are in pixels of this side


def corruptions(blends: Tensor, base: Tensor, cartoons: Tensor, training: Tensor) -> dict[str, Tensor]:
    """Spoil a set.

    Args:
        blends: uint8 `[N, 3, H, W]`.
        base: the same codes by the base network.
        cartoons: the same codes by the un-blended fine-tuned network.
        training: training cartoons `[M, 3, H, W]`.

    Returns:
        Sets of N pictures by what was done; those that start with `cartoon ` are of un-blended cartoons.
    """
    generator = torch.Generator().manual_seed(0)
    spoiled = {name: change(blends.float()) for name, change in _PIXELS.items()}
    spoiled |= _noisy(blends.float(), generator)
    spoiled |= _composites(blends.float(), base.float(), cartoons.float())
    spoiled |= _reshuffled(blends.float(), training.float(), base.float(), generator)
    spoiled |= _unblended(cartoons.float(), base.float(), generator)
    return {name: pictures.clamp(0, 255).round().to(torch.uint8) for name, pictures in spoiled.items()}


def blurred(x: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of `[N, 3, H, W]`."""
    radius = int(3 * sigma + 1)
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / sigma).square())
    kernel = (kernel / kernel.sum()).view(1, 1, 1, -1).expand(3, 1, 1, -1)
    x = F.pad(x, (radius,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(x, kernel, groups=3), kernel.transpose(2, 3), groups=3)


def _px(x: Tensor, length: float) -> int:
    return round(length * x.shape[-1] / DRAWN_PX)


def _grid(x: Tensor) -> tuple[Tensor, Tensor]:
    """Pixel coordinates (x, y) `[H, W]` in units of the drawn 64 px."""
    axis = torch.arange(x.shape[-1]) * DRAWN_PX / x.shape[-1]
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return x, y


def _checkerboard(x: Tensor) -> Tensor:
    sign = torch.arange(x.shape[-1]) % 2 * 2 - 1
    return x - 8 * sign[:, None] * sign


def _pixelated(x: Tensor) -> Tensor:
    return F.interpolate(F.avg_pool2d(x, 2), x.shape[2:])


def _doubled_eyes(x: Tensor) -> Tensor:
    y, height, result = _px(x, 32), _px(x, 12), x.clone()
    source, columns = _px(x, 21), slice(_px(x, 8), _px(x, 56))
    result[:, :, y : y + height, columns] = x[:, :, source : source + height, columns]
    return result


def _no_mouth(x: Tensor) -> Tensor:
    rows, columns, skin, result = slice(_px(x, 40), _px(x, 58)), slice(_px(x, 16), _px(x, 48)), _px(x, 36), x.clone()
    result[:, :, rows, columns] = x[:, :, skin : skin + 1, columns].mean(dim=3, keepdim=True)
    return result


def _swirled(x: Tensor) -> Tensor:
    across, down = _grid(x)
    middle = (DRAWN_PX - 1) / 2
    u, v = across - middle, down - middle
    angle = torch.deg2rad(30 * torch.exp(-(u.square() + (v - 2.5).square()) / 300))
    turned = torch.stack([u * angle.cos() - v * angle.sin(), u * angle.sin() + v * angle.cos()], dim=-1) / middle
    return F.grid_sample(x, turned.expand(len(x), -1, -1, -1), align_corners=True, padding_mode="border")


_PIXELS: dict[str, Callable[[Tensor], Tensor]] = {
    "blur 0.7": lambda x: blurred(x, 0.7),
    "blur 1.5": lambda x: blurred(x, 1.5),
    "sharpened once": lambda x: x + (x - blurred(x, 1.0)),
    "sharpened twice": lambda x: x + 2 * (x - blurred(x, 1.0)),
    "checkerboard": _checkerboard,
    "pixelated": _pixelated,
    "contrast 0.3": lambda x: 128 + 0.3 * (x - 128),
    "contrast 0.7": lambda x: 128 + 0.7 * (x - 128),
    "dark": lambda x: 0.4 * x,
    "green cast": lambda x: x * torch.tensor([0.6, 1.2, 0.6]).view(3, 1, 1),
    "hues turned": lambda x: x[:, [2, 0, 1]],
    "grey": lambda x: x.mean(dim=1, keepdim=True).expand(-1, 3, -1, -1),
    "inverted": lambda x: 255 - x,
    "ghost shifted": lambda x: 0.6 * x + 0.4 * torch.roll(x, _px(x, 4), 3),
    "eyes doubled": _doubled_eyes,
    "mouth erased": _no_mouth,
    "upside down": lambda x: x.flip(2),
    "mirrored": lambda x: x.flip(3),
    "shifted": lambda x: torch.roll(x, _px(x, 3), 2),
    "swirled": _swirled,
}


def _noisy(blends: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
    result = {f"noise {s}": blends + s * torch.randn(blends.shape, generator=generator) for s in (10, 25)}
    x, y = _grid(blends)
    droplet = blends.clone()
    for picture in droplet:
        cx, cy = torch.randint(18, 46, (2,), generator=generator).tolist()
        picture += 120 * torch.exp(-((x - cx).square() + (y - cy).square()) / 8)
    return result | {"droplet": droplet}


def _composites(blends: Tensor, base: Tensor, cartoons: Tensor) -> dict[str, Tensor]:
    half, eyes = blends.shape[-1] // 2, _px(blends, 34)
    return {
        "ghost of person and cartoon": 0.5 * (base + cartoons),
        "ghost of person and blend": 0.5 * (base + blends),
        "left person, right cartoon": torch.cat([base[..., :half], cartoons[..., half:]], dim=3),
        "top cartoon, bottom person": torch.cat([cartoons[:, :, :eyes], base[:, :, eyes:]], dim=2),
    }


def _reshuffled(blends: Tensor, training: Tensor, base: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
    count, fine = len(blends), 2 * blends.shape[-1] / DRAWN_PX
    index = torch.arange(count)
    copies = training[torch.randperm(len(training), generator=generator)][index % len(training)]
    result = {"permuted": blends[torch.randperm(count, generator=generator)]}
    result |= {f"collapsed to {k}": blends[index % min(k, count)] for k in (1, 6, 20)}
    return result | {
        "memorised": copies,
        "memorised, blurred": blurred(copies, 0.7),
        "memorised, person's detail": blurred(copies, fine) + base - blurred(base, fine),
    }


def _unblended(cartoons: Tensor, base: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
    fine = 2 * cartoons.shape[-1] / DRAWN_PX
    result = {f"cartoon blur {s}": blurred(cartoons, s) for s in (0.7, 1.5)}
    result |= {
        f"cartoon noise {s}": cartoons + s * torch.randn(cartoons.shape, generator=generator) for s in (4, 8, 16)
    }
    return result | {
        "cartoon contrast 0.7": 128 + 0.7 * (cartoons - 128),
        "cartoon, person's detail": blurred(cartoons, fine) + base - blurred(base, fine),
    }
