"""Who a node is: by the folder of its certificate, by its own configuration, or by its number in a simulation.

flower-supernode --node-config 'secure-fl-folder="/etc/secure-fl/bank-1"'    a party of a signed roster
flower-supernode --node-config 'secure-fl-name="key-authority"'              a name, and keys by way of the SuperLink
(a simulation)                                                               the last nodes hold keys, others are banks
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flwr.app import Context

from secure_fl.errors import ConfigurationError
from secure_fl.secagg.schemes import SCHEMES
from secure_fl.secagg.turns import Turns
from secure_fl.transport.credentials import Credentials
from secure_fl.transport.flower.memory import NodeMemory
from secure_fl.transport.memory import kept_turns
from secure_fl.transport.roster import Roster

FOLDER, NAME = "secure-fl-folder", "secure-fl-name"
PARTITION, PARTITIONS = "partition-id", "num-partitions"
_OWN_KEY = "own key"


@dataclass(frozen=True)
class Node:
    """One party's node: what it is called, what it keeps, and which roster it believes, if any."""

    name: str
    memory: NodeMemory
    roster: Roster | None = None
    turns: Turns = field(default_factory=Turns, repr=False)
    own_key: bytes = field(default=b"", repr=False)
    """32 secret bytes: what it signs or unseals with. Empty: none were made yet."""

    @classmethod
    def of(cls, context: Context, trustees: tuple[str, ...]) -> Node:
        """`trustees`: who holds keys under the scheme. Raises `ConfigurationError` or `DataError`."""
        memory = NodeMemory(context)
        folder = context.node_config.get(FOLDER)
        if folder is None:
            return cls(_name(context, trustees), memory, None, memory.turns(), memory[_OWN_KEY])
        path = Path(str(folder))
        credentials = _credentials(path)
        passphrase = os.environ.get("SECURE_FL_PASSPHRASE")
        own_key = credentials.own_key(None if passphrase is None else passphrase.encode())
        return cls(credentials.member.name, memory, credentials.roster, kept_turns(path), own_key)

    @property
    def is_trustee(self) -> bool:
        return is_trustee(self.name)

    def with_key(self, secret: bytes) -> Node:
        """The same, with a key that it made itself; kept."""
        self.memory[_OWN_KEY] = secret
        return Node(self.name, self.memory, self.roster, self.turns, secret)


def is_trustee(name: str) -> bool:
    """Whether a name is a key holder's, under any scheme."""
    return any(name in scheme.trustees for scheme in SCHEMES.values())


def bank_number(node_config: Mapping[str, Any]) -> int:
    """Which bank a simulated node is, from 0 on; for apps that deal rows out by it. Raises `ConfigurationError`."""
    number = node_config.get(PARTITION)
    if not isinstance(number, int):
        raise ConfigurationError(f"the node's configuration has no {PARTITION}; start it with one")
    return number


def _name(context: Context, trustees: tuple[str, ...]) -> str:
    """By the node's own word."""
    named, partition = context.node_config.get(NAME), context.node_config.get(PARTITION)
    if named is not None:
        return str(named)
    if not isinstance(partition, int):
        return f"node-{context.node_id}"
    partitions = context.node_config.get(PARTITIONS)
    first = partitions - len(trustees) if isinstance(partitions, int) else partition + 1
    return f"bank-{partition + 1}" if partition < first else trustees[partition - first]


def _credentials(folder: Path) -> Credentials:
    """Of a bank or of a key holder: its certificate says which."""
    try:
        return Credentials.read(folder, "holder")
    except ConfigurationError:
        return Credentials.read(folder, "bank")
