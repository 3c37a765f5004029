"""What ``ganedu.gans`` offers by name is there, and nothing is loaded that was not asked for."""

import subprocess
import sys
from pathlib import Path

import pytest

import ganedu.gans

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ganedu.gans.__all__)
def test_a_name_is_that_of_its_module(name):
    value = getattr(ganedu.gans, name)
    home = getattr(value, "__module__", "ganedu.gans.")
    assert home.startswith("ganedu.gans.") and name in dir(ganedu.gans)


def test_an_unknown_name_is_an_import_error():
    with pytest.raises(ImportError, match="cannot import name 'NoGAN'"):
        from ganedu.gans import NoGAN  # noqa: F401
    with pytest.raises(AttributeError, match="module 'ganedu.gans' has no attribute 'NoGAN'"):
        ganedu.gans.NoGAN  # noqa: B018


def test_a_game_is_loaded_when_it_is_asked_for():
    program = (
        "import sys, ganedu.gans\n"
        "from ganedu.gans import GAN\n"
        "before = {'ganedu.gans.info_gan', 'ganedu.training', 'ganedu.divergences'} & set(sys.modules)\n"
        "from ganedu.gans import InfoGAN, TwoPlayer, non_saturating\n"
        "print(sorted(before), 'ganedu.gans.info_gan' in sys.modules, non_saturating.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == ["[]", "True", "ganedu.gans.non_saturating"], done.stderr
