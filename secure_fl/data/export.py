"""Writing simulated transactions to a file, for `secure-fl data simulate --out FILE`.

Rule: only simulated rows are ever written. A bank's own rows stay in the bank's own files; a table with another
schema than the simulator's is refused.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from secure_fl.data.simulator import SCHEMA
from secure_fl.data.tables import PATTERN_COLUMN
from secure_fl.data.transactions import Transactions
from secure_fl.errors import ConfigurationError
from secure_fl.files import output_file


def write_simulated(transactions: Transactions, path: Path, *, force: bool = False) -> None:
    """Write rows of the simulator to a .csv or .parquet file, with a column `fraud_pattern`; all of it or nothing.

    force: replace a file that exists. Raises ConfigurationError on another suffix, on rows that were not simulated, or
    if the file exists or cannot be written, and StorageError where the disk is full.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise ConfigurationError(f"{path} is neither .csv nor .parquet; choose one of these suffixes")
    if transactions.schema != SCHEMA:
        raise ConfigurationError("only simulated transactions are written to a file; keep real ones where they are")
    table = _table(transactions)
    with output_file(path, force=force) as staging:
        pacsv.write_csv(table, staging) if suffix == ".csv" else pq.write_table(table, staging)


def _table(transactions: Transactions) -> pa.Table:
    columns: dict[str, pa.Array] = {name: pa.array(values) for name, values in transactions.numeric.items()}
    columns |= {name: pa.array(values, pa.string()) for name, values in transactions.text.items()}
    columns[SCHEMA.label] = pa.array(transactions.fraud.astype("int8"))
    columns[PATTERN_COLUMN] = pa.array(transactions.pattern)
    return pa.table(columns)
