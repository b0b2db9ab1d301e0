"""From a file to a service of scores at work."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress

from secure_fl.files import make_folder, unwritten
from secure_fl.report.encrypted_model import EncryptedModel
from secure_fl.transport.configuration import ScoresFile
from secure_fl.transport.credentials import Credentials
from secure_fl.transport.scores.allowance import Allowance
from secure_fl.transport.scores.publishing import PublicModel
from secure_fl.transport.scores.service import ScoringService
from secure_fl.transport.scores.sessions import Sessions
from secure_fl.transport.serving import Server

LOG = logging.getLogger("secure_fl.scores")
HIDDEN_ANSWERS = 1 << 10
"""Of a hidden model for each customer, if nothing else is said: a distance of 2**-30."""


def serve_scores(file: ScoresFile) -> None:
    """Until the process is ended. Raises what a model, its plan, certificates and the address are refused by."""
    credentials = Credentials.read(file.certificates, "scorer")
    model = EncryptedModel.read(file.model, file.training, file.way)
    public = PublicModel(model.planned.plan, model.opened.intake)
    PublicModel.from_json(public.to_json())  # what customers would refuse is refused here
    try:
        make_folder(file.state, 0o700)
    except OSError as error:
        raise unwritten(file.state, error, "name another folder as state") from None
    most = file.answers or (HIDDEN_ANSWERS if public.plan.hides_model else None)
    sessions = Sessions(model.planned, file.sessions, None if most is None else Allowance(file.state, most))
    service = ScoringService(credentials.roster, public, sessions)
    with Server(service.app, credentials.server_context(), file.host, file.port) as server:
        LOG.info("listening", extra={"host": file.host, "port": server.port, "way": file.way, "answers": most})
        with suppress(KeyboardInterrupt):
            threading.Event().wait()
