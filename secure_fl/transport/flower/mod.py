"""What stands between Flower and the functions of a ClientApp.

    app = ClientApp(mods=[secure_mod])                                   # no metric leaves a node
    app = ClientApp(mods=[SecureMod(metrics=["train-loss", "auprc"])])   # these do, in the clear

It goes first among the mods, so that all others act on what the app returns. It fails closed: training and evaluation
that no `SecureStrategy` asked for are not done, and what an app returns is forwarded in no other form. A node whose
configuration says that it holds a key answers as such and calls none of the app's functions but those for queries.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection

from flwr.app import Context, Error, Message, MetricRecord, RecordDict

from secure_fl.errors import ConfigurationError, MessageError, ProtocolError, SecureFLError
from secure_fl.secagg.hazmat.agreement import AgreementKey
from secure_fl.secagg.protocol import Answer
from secure_fl.transport import orders
from secure_fl.transport.flower.bank import FlowerBank
from secure_fl.transport.flower.node import Node
from secure_fl.transport.flower.records import RECORD, answer_message, order_in
from secure_fl.transport.flower.terms import Terms
from secure_fl.transport.flower.trustee import FlowerTrustee, answer_of_hello
from secure_fl.transport.orders import Order

LOG = logging.getLogger("flwr.secure_fl")
PROTECTED = ("additive", "masked", "ckks", "bfv", "rlwe")
_APP_FAILED = 2
"""Flower's code for a ClientApp that raised."""

CallNext = Callable[[Message, Context], Message]


class SecureMod:
    """A mod of Flower."""

    def __init__(
        self,
        metrics: Collection[str] = (),
        schemes: Collection[str] = PROTECTED,
        weighted_by: str = "num-examples",
    ) -> None:
        """`metrics`: names of the app's metrics that may be seen of each single bank. `schemes`: those that the app
        takes part in; a server that asks for another one is refused, so that it cannot choose `plaintext`.
        `weighted_by`: the one metric that may be in the sum, as the number of examples.
        """
        self._metrics, self._schemes, self._weighted_by = frozenset(metrics), frozenset(schemes), weighted_by

    def __call__(self, message: Message, context: Context, call_next: CallNext) -> Message:
        if message.metadata.message_type.partition(".")[0] == "query" and RECORD not in message.content:
            return call_next(message, context)
        try:
            return self._reply(message, context, call_next)
        except Exception as error:  # Flower would send its text to the server
            LOG.exception("this node failed")
            return Message(Error(_APP_FAILED, f"secure_mod raised {type(error).__name__}"), reply_to=message)

    def _reply(self, message: Message, context: Context, call_next: CallNext) -> Message:
        metrics = MetricRecord()
        try:
            found = order_in(message)
            if found is None:
                raise MessageError("this node trains and evaluates for a SecureStrategy alone; use one on the server")
            order, keys = found
            if order.kind == orders.EVALUATE:
                return self._evaluated(order, message, context, call_next)
            answer: Answer
            answer, metrics = self._answer(order, keys, message, context, call_next)
        except ProtocolError as error:
            answer = error
        except (SecureFLError, OSError) as error:
            LOG.exception("this node does not take part")
            answer = ProtocolError(str(error))
        return answer_message(answer, message, RecordDict({"metrics": self._safe(metrics)}))

    def _answer(
        self, order: Order, keys: bytes, message: Message, context: Context, call_next: CallNext
    ) -> tuple[bytes, MetricRecord]:
        terms = Terms.of(order.facts)
        node = self._node(context, terms)
        if node.is_trustee:
            trustee = FlowerTrustee(node)
            match order.kind:
                case orders.HELLO:
                    return answer_of_hello(node.name, trustee.public), MetricRecord()
                case orders.PUBLIC_KEY:
                    return trustee.public_key(order), MetricRecord()
                case orders.ASK:
                    return trustee.ask(order, keys), MetricRecord()
        else:
            bank = FlowerBank(node)
            match order.kind:
                case orders.HELLO:
                    return answer_of_hello(node.name, bank.public), MetricRecord()
                case orders.MODEL:
                    sent = _without_ours(message)
                    return bank.train(order, keys, sent, lambda: _called(call_next, sent, context))
                case orders.ASK:
                    return bank.ask(order, keys), MetricRecord()
        raise MessageError(f"{node.name} knows no order {order.kind[:20]!r}; look whether both have one version")

    def _node(self, context: Context, terms: Terms) -> Node:
        """Who the node is, if it takes part under these terms. Raises `SecureFLError`."""
        if terms.scheme not in self._schemes:
            raise ConfigurationError(
                f"the server asks for {terms.scheme} and this app takes part in {', '.join(sorted(self._schemes))}; "
                "give SecureMod the schemes that it may use"
            )
        if terms.weighted_by != self._weighted_by:
            raise ConfigurationError(
                f"the server weighs banks by {terms.weighted_by!r} and this app by {self._weighted_by!r}; give both "
                "one name (SecureMod(weighted_by=...))"
            )
        node = Node.of(context, terms.kind.trustees)
        if node.roster is not None:
            terms.require_those_of(node.roster.settings)
        return node if node.own_key else node.with_key(AgreementKey().secret())

    def _evaluated(self, order: Order, message: Message, context: Context, call_next: CallNext) -> Message:
        """The app's evaluation in a bank's node, but for what it did not declare safe. All banks count the same, unless
        they may say how many examples they have.
        """
        try:
            terms = Terms.of(order.facts)
            node = self._node(context, terms)
            if node.is_trustee:
                raise MessageError(f"{node.name} holds a key and evaluates nothing; ask the banks")
            returned = _called(call_next, _without_ours(message), context)
        except (SecureFLError, OSError) as error:
            return Message(Error(_APP_FAILED, str(error)), reply_to=message)
        safe = self._safe(*returned.metric_records.values())
        return Message(RecordDict({"metrics": MetricRecord({terms.weighted_by: 1, **safe})}), reply_to=message)

    def _safe(self, *records: MetricRecord) -> MetricRecord:
        return MetricRecord(
            {name: value for record in records for name, value in record.items() if name in self._metrics}
        )


def _without_ours(message: Message) -> Message:
    """As the app would get it from Flower's own strategy."""
    message.content = RecordDict({name: record for name, record in message.content.items() if name != RECORD})
    return message


def _called(call_next: CallNext, message: Message, context: Context) -> RecordDict:
    """What the app returns. Its errors stay in the node: their texts could hold anything. Raises `ProtocolError`."""
    try:
        reply = call_next(message, context)
        return reply.content
    except Exception as error:
        LOG.exception("the app's function raised")
        raise ProtocolError(f"the app's function raised {type(error).__name__}; look at the node's log") from None


secure_mod = SecureMod()
"""Forwards no metric."""
