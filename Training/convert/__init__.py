"""From the official downloads of the paper's datasets to dataset folders: ``python -m Training.convert --help``."""
