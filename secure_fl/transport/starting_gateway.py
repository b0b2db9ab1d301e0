"""From a gateway's file to the gateway at work."""

from __future__ import annotations

import logging
from contextlib import ExitStack

from secure_fl.errors import SecureFLError
from secure_fl.files import alone_in
from secure_fl.transport.agreement import Agreement
from secure_fl.transport.configuration import GatewayFile
from secure_fl.transport.coordinator import Coordinator
from secure_fl.transport.credentials import Credentials
from secure_fl.transport.patience import Patience
from secure_fl.transport.post import Post
from secure_fl.transport.rates import Buckets
from secure_fl.transport.service import Service
from secure_fl.transport.serving import Server
from secure_fl.transport.state import State, StateStore
from secure_fl.transport.status.chronicle import Chronicle
from secure_fl.transport.status.local import HOST, local_app

LOG = logging.getLogger("secure_fl.gateway")


def run_gateway(file: GatewayFile) -> State:
    """Serve until the federation is over; the last state."""
    credentials = Credentials.read(file.certificates, "gateway")
    roster = credentials.roster
    patience = Patience(
        stage=file.stage_seconds, train=file.train_seconds, absent=file.absent_seconds, linger=file.linger_seconds
    )
    post = Post(member.name for member in roster.in_sums)
    chronicle = Chronicle(roster, post, patience)
    agreed = Agreement(roster.settings)
    agreed.warn(LOG)
    service = Service(roster, post, chronicle, agreed.largest_answer, buckets=Buckets(file.requests_per_second))
    coordinator = Coordinator(roster, post, StateStore(file.state), patience, chronicle)
    with ExitStack() as stack:
        stack.enter_context(alone_in(file.state))
        server = stack.enter_context(Server(service.app, credentials.server_context(), file.host, file.port))
        LOG.info("listening", extra={"host": file.host, "port": server.port})
        if file.status_port is not None:
            status = stack.enter_context(Server(local_app(chronicle), None, HOST, file.status_port))
            LOG.info("status page", extra={"url": f"http://localhost:{status.port}/status"})
        stack.callback(post.end)
        stack.callback(chronicle.ended)
        try:
            return coordinator.run()
        except SecureFLError as error:
            chronicle.gave_up(str(error))
            raise
