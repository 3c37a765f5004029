"""What the tests of all loops share."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Networks this small spend their time on handing work to threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
