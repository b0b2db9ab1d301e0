"""Fixtures of noisy sums, which `privacy.distributed` shares."""

from tests.privacy.distributed.conftest import contribute, make_codec, random_update

__all__ = ["contribute", "make_codec", "random_update"]
