"""A number that is sent off and read later is the number that it was."""

from __future__ import annotations

import torch

from train.transfer import Transfer


def test_what_is_read_is_what_was_sent() -> None:
    value = torch.tensor(1.5, requires_grad=True)
    sent = Transfer(value * 2)
    assert (sent.read(), sent.host.requires_grad) == (3.0, False)
