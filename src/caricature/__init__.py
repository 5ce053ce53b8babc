"""Photographs to caricatures: the whole way, from a folder of pictures to a page with sliders."""
