"""Procedural portraits: people and their caricatures, drawn from the same parameters, with exact landmarks."""

from .draw import render_portrait, render_portraits

__all__ = ["render_portrait", "render_portraits"]
