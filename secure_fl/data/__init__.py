"""Transactions and what becomes of them before training.

    transactions   a table in memory, and the cut in time between training and testing
    simulator      simulated transactions (Fraud Detection Handbook); export writes them to a file
    ulb            real transactions, fetched and verified
    sources, columns, tables  any CSV or Parquet file with declared columns; plausibility warns of odd ones
    given, handed  rows that Python hands over: data frames, arrays, tensors
    split          dealing one table to several banks
    pseudonyms     the federation key, and keyed pseudonyms of identifiers
    behaviour, features, standardization   128 features per row, the same in every bank
    histogram      standardization under differential privacy

Raw rows stay inside this folder's objects: they are never printed, logged, or put into an error.
"""

from secure_fl.data.behaviour import DELAY_DAYS, WINDOWS_DAYS
from secure_fl.data.export import write_simulated
from secure_fl.data.features import (
    DIMENSION,
    Examples,
    FeatureSchema,
    RawFeatures,
    describe,
    dimension,
    encode,
    extract,
    numeric_features,
    transform,
)
from secure_fl.data.histogram import BINS, from_histogram, magnitudes
from secure_fl.data.pseudonyms import FederationKey, default_key_path, pseudonymize
from secure_fl.data.simulator import PATTERNS, Simulation, simulate
from secure_fl.data.split import Split, bank_name, banks_of_rows, require_fraud, require_trainable, split_among_banks
from secure_fl.data.standardization import Moments, Standardization, moments, standardize
from secure_fl.data.tables import (
    PATTERN_COLUMN,
    Declaration,
    ReadTable,
    load_table_as,
    read_table,
    stream_table_as,
    uses,
)
from secure_fl.data.transactions import Schema, TimeUnit, Transactions, concatenate, time_cut

__all__ = [
    "BINS",
    "DELAY_DAYS",
    "DIMENSION",
    "PATTERNS",
    "PATTERN_COLUMN",
    "WINDOWS_DAYS",
    "Declaration",
    "Examples",
    "FeatureSchema",
    "FederationKey",
    "Moments",
    "RawFeatures",
    "ReadTable",
    "Schema",
    "Simulation",
    "Split",
    "Standardization",
    "TimeUnit",
    "Transactions",
    "bank_name",
    "banks_of_rows",
    "concatenate",
    "default_key_path",
    "describe",
    "dimension",
    "encode",
    "extract",
    "from_histogram",
    "load_table_as",
    "magnitudes",
    "moments",
    "numeric_features",
    "pseudonymize",
    "read_table",
    "require_fraud",
    "require_trainable",
    "simulate",
    "split_among_banks",
    "standardize",
    "stream_table_as",
    "time_cut",
    "transform",
    "uses",
    "write_simulated",
]
