"""From a gateway's file to the gateway at work."""

from __future__ import annotations

import logging

from secure_fl.files import make_folder
from secure_fl.transport.agreement import Agreement
from secure_fl.transport.configuration import GatewayFile
from secure_fl.transport.coordinator import Coordinator, Patience
from secure_fl.transport.credentials import Credentials
from secure_fl.transport.post import Post
from secure_fl.transport.service import Service
from secure_fl.transport.serving import Server
from secure_fl.transport.state import State, StateStore

LOG = logging.getLogger("secure_fl.gateway")


def run_gateway(file: GatewayFile) -> State:
    """Serve until the federation is over; the last state."""
    credentials = Credentials.read(file.certificates, "gateway")
    roster = credentials.roster
    patience = Patience(
        stage=file.stage_seconds, train=file.train_seconds, absent=file.absent_seconds, linger=file.linger_seconds
    )
    make_folder(file.state, 0o700)
    post = Post(member.name for role in ("bank", "holder") for member in roster.of(role))
    service = Service(roster, post, Agreement(roster.settings).largest_answer)
    coordinator = Coordinator(roster, post, StateStore(file.state), patience, service.meter.round.set)
    with Server(service.app, credentials.server_context(), file.host, file.port) as server:
        LOG.info("listening", extra={"host": file.host, "port": server.port})
        return coordinator.run()
