"""IBM's HElayers over SEAL: a network from ONNX, compiled for one row or for a batch, layout and parameters its own.

Its community edition is for non-commercial use. Weights are encoded, not encrypted, as ours; ONNX carries them as
float32. `save_to_buffer` of a context leaves the secret key out. One thread: more of them wait for each other, and
their waiting would count.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx
import pyhelayers
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from secure_fl.bench.measured import Clock
from secure_fl.bench.scoring.measured import MeasuredBatch, Steps
from secure_fl.scoring.network import SquareNetwork

OPSET, IR_VERSION = 13, 8


class HELayersSubject:
    """Both parties over one context, since a model is bound to it; rows, keys and answers are serialized."""

    def __init__(self, network: SquareNetwork, clock: Clock, rows: int) -> None:
        self._clock, self.rows_per_batch = clock, rows
        with threadpool_limits(1):
            self._compile(network)

    def _compile(self, network: SquareNetwork) -> None:
        plain = _plain(network)
        wanted = pyhelayers.HeRunRequirements()
        wanted.set_he_context_options([pyhelayers.HeContext.create(["SEAL_CKKS"])])
        wanted.set_model_encrypted(False)
        wanted.optimize_for_batch_size(self.rows_per_batch)
        profile = pyhelayers.HeModel.compile(plain, wanted)
        if profile is None:
            raise RuntimeError("HElayers found no parameters for this network")
        self._context = pyhelayers.HeModel.create_context(profile)
        self.key_bytes = len(self._context.save_to_buffer())
        self.degree = 2 * self._context.slot_count()
        self.coeff_mod_bit_sizes = tuple(int(prime).bit_length() for prime in self._context.get_modulus_chain())
        self._model = pyhelayers.NeuralNet(self._context)
        self._model.encode(plain, profile)
        self._encoder = self._model.create_model_io_encoder()

    def score(self, rows: NDArray[np.float64]) -> MeasuredBatch:
        with threadpool_limits(1):
            return self._score(rows)

    def _score(self, rows: NDArray[np.float64]) -> MeasuredBatch:
        steps = Steps(self._clock)
        with steps("encrypt"):
            encrypted = pyhelayers.EncryptedData(self._context)
            self._encoder.encode_encrypt(encrypted, [rows])
            request = encrypted.save_to_buffer()
        with steps("score"):
            answer = pyhelayers.EncryptedData(self._context)
            self._model.predict(answer, pyhelayers.load_encrypted_data(self._context, request))
            reply = answer.save_to_buffer()
        with steps("open"):
            logits = self._encoder.decrypt_decode_output(pyhelayers.load_encrypted_data(self._context, reply))
        return steps.measured(np.asarray(logits).reshape(-1)[: len(rows)], len(request), len(reply))


def make_single(network: SquareNetwork, clock: Clock) -> HELayersSubject:
    return HELayersSubject(network, clock, rows=1)


def make_batched(network: SquareNetwork, clock: Clock) -> HELayersSubject:
    return HELayersSubject(network, clock, rows=8192 if network.depth else 4096)


def _plain(network: SquareNetwork) -> pyhelayers.NeuralNetPlain:
    """HElayers' own form of the network; it reads files only."""
    plain = pyhelayers.NeuralNetPlain()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        path.write_bytes(onnx_model(network).SerializeToString())
        plain.init_from_files(pyhelayers.PlainModelHyperParams(), [str(path)])
    return plain


def onnx_model(network: SquareNetwork) -> onnx.ModelProto:
    """Gemm for each layer, and a product with itself for each square."""
    nodes, weights, values = [], [], "rows"
    for place, layer in enumerate(network.linears):
        names = (f"weights_{place}", f"bias_{place}")
        for name, array in zip(names, (layer.weights, layer.bias), strict=True):
            weights.append(numpy_helper.from_array(array.astype(np.float32), name))
        nodes.append(helper.make_node("Gemm", [values, *names], [f"z_{place}"], transB=1))
        values = f"z_{place}"
        if place < network.depth:
            nodes.append(helper.make_node("Mul", [values, values], [f"h_{place}"]))
            values = f"h_{place}"
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", width])
        for name, width in (("rows", network.widths[0]), (values, 1))
    ]
    graph = helper.make_graph(nodes, "network", ends[:1], ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = IR_VERSION
    return model
