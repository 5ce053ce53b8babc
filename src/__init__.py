"""Caricature models with StyleGAN2: fine-tune, snapshot, blend, choose, render.

Importing this package builds nothing and reads nothing; each folder is one room (see README, "Where things are").
"""
