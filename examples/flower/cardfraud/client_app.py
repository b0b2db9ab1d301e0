"""A bank's side: what any Flower app has, and secure_mod."""

from __future__ import annotations

from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from secure_fl.transport.flower import secure_mod
from secure_fl.transport.flower.node import bank_number

app = ClientApp(mods=[secure_mod])


@app.train()
def train_here(message: Message, context: Context) -> Message:
    from cardfraud.task import make_model, rows_of_bank, train  # Flower starts a process for each stage of a sum too

    bank, banks = bank_number(context.node_config), int(str(context.run_config["banks"]))
    rows = rows_of_bank(bank, banks)
    model = make_model()
    model.load_state_dict(message.content.array_records["arrays"].to_torch_state_dict())
    number = int(str(message.content.config_records["config"]["server-round"]))
    loss = train(model, rows, seed=100 * number + bank)
    metrics = MetricRecord({"num-examples": len(rows[0]), "train-loss": loss})
    return Message(RecordDict({"arrays": ArrayRecord(model.state_dict()), "metrics": metrics}), reply_to=message)
