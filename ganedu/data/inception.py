"""The weights of Inception v3 in which FID and Inception Score are defined (96 MB)."""

from pathlib import Path

from ganedu.data import files

# TensorFlow's network of 2015-12-05 as converted by torch-fidelity; its name carries its hash.
NAME = "weights-inception-2015-12-05-6726825d.pth"
URL = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{NAME}"
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
FOLDER = "inception"


def locate() -> Path | None:
    """The folder that holds the weights, or None."""
    return files.find(FOLDER, [NAME])


def get() -> Path:
    """Download and check; returns the folder. Does nothing where it is here."""
    return locate() or files.download([URL], SHA256, files.cache_dir() / "data" / FOLDER / NAME).parent
