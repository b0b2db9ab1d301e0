"""Bank 2 agreed on its mask with me."""

from typing import Any

import numpy as np

from secure_fl.secagg.hazmat.agreement import AgreementKey
from secure_fl.secagg.hazmat.prg import subtract_mask


def recover(seen: dict[str, Any]) -> list[int]:
    mine = AgreementKey(bytes.fromhex(seen["my_secret"]))
    vector = np.array(seen["upload"], dtype=np.uint16)
    subtract_mask(vector, mine.agree(bytes.fromhex(seen["public_of_bank_2"]), b"mask"))
    return [int(number) for number in vector]
