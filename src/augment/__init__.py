"""Adaptive discriminator augmentation (arXiv 2006.06676): what D sees of reals and fakes alike, and how often."""
