"""The server's side: what any Flower app has, with SecureStrategy around its strategy."""

from __future__ import annotations

from pathlib import Path

from flwr.app import ArrayRecord, Context, MetricRecord
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from safetensors.numpy import save_file

from cardfraud.task import auprc, make_model, test_rows
from secure_fl.transport.flower import SecureStrategy

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    settings = context.run_config
    banks, model = int(str(settings["banks"])), make_model()
    rows = test_rows(banks)

    def evaluate(number: int, arrays: ArrayRecord) -> MetricRecord:
        model.load_state_dict(arrays.to_torch_state_dict())
        return MetricRecord({"auprc": auprc(model, rows)})

    strategy = SecureStrategy(
        FedAvg(fraction_evaluate=0.0, min_train_nodes=2, min_available_nodes=banks),
        scheme=str(settings["scheme"]),
        most_examples=8192,
        clip=4.0,
        roster=str(settings["roster"]) or None,
    )
    result = strategy.start(
        grid, ArrayRecord(model.state_dict()), num_rounds=int(str(settings["rounds"])), evaluate_fn=evaluate
    )
    out = Path(str(settings["out"]))
    strategy.write(out)
    save_file({name: array.numpy() for name, array in result.arrays.items()}, out / "model.safetensors")
