"""Widths and resolutions of StyleGAN2 networks, the numbers that generator and discriminator share."""

from collections.abc import Mapping

MIN_RESOLUTION = 4
ARCHITECTURES = ("resnet", "skip", "orig")  # of blocks, arXiv 1912.04958, Fig. 7


def resolutions_of(resolution: int) -> list[int]:
    """List the block resolutions 4, 8, … up to `resolution`.

    Raises:
        ValueError: unless `resolution` is a power of two of at least 8.
    """
    if resolution < 8 or resolution & (resolution - 1):
        raise ValueError(f"resolution must be a power of two, at least 8, not {resolution}")
    return [2**k for k in range(2, resolution.bit_length())]


def channels_per_resolution(
    resolution: int,
    channel_base: int = 16384,
    channel_max: int = 512,
    channels: Mapping[int, int] | None = None,
) -> dict[int, int]:
    """Number of feature maps of each block.

    Args:
        resolution: of the network's images, a power of two.
        channel_base: width · resolution of the wide blocks; 16384 is config-e, 32768 config-f.
        channel_max: the most feature maps of any block.
        channels: an explicit table (read from a file, say) that is used instead.

    Returns:
        `{4: …, 8: …, …, resolution: …}`.

    Raises:
        ValueError: if an explicit table does not name each resolution.
    """
    resolutions = resolutions_of(resolution)
    if channels is None:
        return {r: min(channel_base // r, channel_max) for r in resolutions}
    table = {int(r): int(c) for r, c in channels.items()}
    if sorted(table) != resolutions:
        raise ValueError(f"channels must name the resolutions {resolutions}, not {sorted(table)}")
    return table
