"""docs/round.svg: one round of the default run, with the bytes that its plan gives.

    .venv/bin/python -m benchmarks.round_picture

Every bank does every step, so the drawing shows the same box for each. Sizes are those of messages, to a kilobyte.
"""

from __future__ import annotations

from pathlib import Path

from secure_fl import Experiment
from secure_fl.codec.quantization import make_codec
from secure_fl.federation.global_model import GlobalModel
from secure_fl.report.wording import plural
from secure_fl.secagg import plan
from secure_fl.secagg.budget.he import SealPlan
from secure_fl.secagg.budget.plans import ENVELOPE_BYTES
from secure_fl.training import initial_weights

PICTURE = Path(__file__).parents[1] / "docs" / "round.svg"

_STYLE = """
    .box { fill: #f6f8fa; stroke: #57606a; } .text { fill: #1f2328; } .small { fill: #57606a; font-size: 13px; }
    .line { stroke: #0969da; stroke-width: 2; fill: none; }
    .back { stroke: #57606a; stroke-width: 1.5; stroke-dasharray: 5 4; fill: none; }
    .tip { fill: #0969da; } .tipb { fill: #57606a; }
    @media (prefers-color-scheme: dark) {
      .box { fill: #161b22; stroke: #8b949e; } .text { fill: #e6edf3; } .small { fill: #9da7b1; }
      .line { stroke: #58a6ff; } .back { stroke: #8b949e; } .tip { fill: #58a6ff; } .tipb { fill: #8b949e; }
    }
"""
_TIP = (
    '<marker id="{0}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
    '<path class="{1}" d="M0 0L10 5L0 10z"/></marker>'
)
_LINE, _STEP, _HEIGHT = 22, 116, 100


def draw(experiment: Experiment) -> str:
    """The drawing of a homomorphic run with three banks, as the text of an SVG file."""
    weights = initial_weights(experiment.seed)
    length = make_codec(len(weights), int(experiment.bits), clip=1.0, mean_examples=1.0).length
    planned = plan(experiment.scheme, experiment.banks, length, experiment.bits, experiment.threshold)
    assert isinstance(planned, SealPlan), "the drawing has a key authority"
    upload = f"{planned.upload_bytes / 1000:.0f} kB"
    opened = _kilobytes(length * planned.field_bits / 8)
    model = _kilobytes(len(GlobalModel(weights, 1.0, 1.0).to_bytes()))
    ciphertexts = plural(planned.ciphertexts, "ciphertext")
    banks = [
        _box(10, 20 + place * _STEP, 236, name, "trains on its own rows",
             f"quantizes its update to {planned.bits} bits", "encrypts and sends it")
        for place, name in enumerate(experiment.bank_names)
    ]  # fmt: skip
    middle = 20 + _STEP + _HEIGHT // 2
    sends = [
        f'<path class="line" marker-end="url(#a)" d="M246 {y} C330 {y} 360 {end} 446 {end}"/>'
        for y, end in ((48 + place * _STEP, middle + 16 * (place - 1)) for place in range(experiment.banks))
    ]
    bottom = 20 + _STEP * experiment.banks + 18
    gets = [
        f'<path class="back" marker-end="url(#b)" d="M282 {y} L250 {y}"/>'
        for y in (20 + place * _STEP + 82 for place in range(experiment.banks))
    ]
    parts = [
        *banks,
        _box(450, middle - 50, 206, "aggregator", "adds what the banks sent", "reads nothing but the sum",
             "holds no secret key"),
        _box(770, middle - 50, 200, "key authority", "has the secret key", "opens only the sum",
             "sees no single update"),
        *sends,
        f'<text class="small" x="330" y="44">{ciphertexts} from each bank, about {upload}</text>',
        f'<path class="line" marker-end="url(#a)" d="M656 {middle - 16} L766 {middle - 16}"/>',
        f'<text class="small" x="662" y="{middle - 24}">sum, {upload}</text>',
        f'<path class="back" marker-end="url(#b)" d="M770 {middle + 16} L660 {middle + 16}"/>',
        f'<text class="small" x="662" y="{middle + 34}">opened, {opened}</text>',
        f'<path class="back" d="M552 {middle + 50} L552 {bottom} L282 {bottom} L282 102"/>',
        *gets,
        f'<text class="small" x="296" y="{bottom - 8}">next model, {model}, to every bank</text>',
    ]  # fmt: skip
    title = (
        f"One round of the default run: each of {experiment.banks} banks trains, quantizes, encrypts and sends "
        f"{ciphertexts}; the aggregator adds them; the key authority opens only the sum."
    )
    body = "\n  ".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 980 {bottom + 14}" role="img" aria-labelledby="t" '
        f'font-family="system-ui, sans-serif" font-size="15">\n  <title id="t">{title}</title>\n  <style>{_STYLE}  '
        f"</style>\n  <defs>{_TIP.format('a', 'tip')}{_TIP.format('b', 'tipb')}</defs>\n  {body}\n</svg>\n"
    )


def _kilobytes(payload: float) -> str:
    return f"{(payload + ENVELOPE_BYTES) / 1000:.0f} kB"


def _box(x: int, y: int, width: int, name: str, *steps: str) -> str:
    lines = "".join(
        f'<text class="small" x="{x + 12}" y="{y + 24 + _LINE * place}">{step}</text>'
        for place, step in enumerate(steps, start=1)
    )
    return (
        f'<rect class="box" x="{x}" y="{y}" width="{width}" height="{_HEIGHT}" rx="8"/>'
        f'<text class="text" x="{x + 12}" y="{y + 24}">{name}</text>{lines}'
    )


def main() -> None:
    PICTURE.write_text(draw(Experiment()), encoding="utf-8")


if __name__ == "__main__":
    main()
