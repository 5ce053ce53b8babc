"""Photographs for tests: portraits pasted, turned, into a larger picture, with their landmarks."""

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from src.faces import Face
from src.portraits import render_portrait


def similarity(scale, degrees, shift):
    """Affine map `[2, 3]` of (x, y)."""
    t = np.deg2rad(degrees)
    rotation = scale * np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]])
    return np.concatenate([rotation, np.array(shift, float)[:, None]], axis=1)


def moved(points, matrix):
    return np.asarray(points) @ matrix[:, :2].T + matrix[:, 2]


def in_crop(frame, points, side):
    """Points of the photograph as pixel indices in a crop of `side` px: the inverse of `to_photo`."""
    corners = frame.to_photo(np.array([[0, 0], [1, 0], [0, 1]]), side)
    return np.linalg.solve((corners[1:] - corners[0]).T, (np.asarray(points) - corners[0]).T).T


class Known:
    """A detector that knows the faces of some pictures: `[68, 2]` by name."""

    def __init__(self, table):
        self.table = table

    def find(self, image, name):
        return [Face(self.table[name])] if name in self.table else []

    def identity(self, name):
        return name


def photograph(seed, *, size=(200, 160), scale=1.0, degrees=0.0, shift=(50, 20), portrait_px=96):
    """A portrait in a smooth picture `[H, W, 3]`, and its landmarks there."""
    portrait = render_portrait("people", seed, portrait_px)
    noise = np.random.default_rng(seed).uniform(0, 255, [size[1], size[0], 3])
    wall = gaussian_filter(noise, [12, 12, 0])
    wall = ((wall - wall.min()) / (wall.max() - wall.min()) * 200 + 20).astype(np.uint8)
    matrix = similarity(scale, degrees, shift)
    inverse = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2]
    offset = inverse[:, :2] @ [-0.5, -0.5] + inverse[:, 2] + 0.5
    coefficients = (*inverse[0, :2], offset[0], *inverse[1, :2], offset[1])
    coefficients = tuple(float(v) for v in coefficients)
    layer = Image.fromarray(portrait.image).transform(size, Image.Transform.AFFINE, coefficients, 3)
    solid = Image.new("L", (portrait_px, portrait_px), 255).transform(size, Image.Transform.AFFINE, coefficients, 2)
    picture = Image.composite(layer, Image.fromarray(wall), solid)
    return np.asarray(picture), moved(portrait.landmarks, matrix)
