"""What banks spend of their privacy over all runs: kept on their own disk, for as long as they live.

rows       which rows were trained on, as keyed tags
log        every release, in a log that is only ever appended to
spending   what the releases cost together, for the rows that they share
store      all of it in one folder
"""

from secure_fl.privacy.lifetime.log import Note
from secure_fl.privacy.lifetime.spending import Unit, cost
from secure_fl.privacy.lifetime.store import Account, LedgerStore

__all__ = ["Account", "LedgerStore", "Note", "Unit", "cost"]
