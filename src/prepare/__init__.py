"""Making data sets: `python prepare.py`. From files of any kind to one clean zip, with its manifest and report."""
