"""The planner decides before anything runs: what a sum costs, and what cannot be exact.

.venv/bin/python examples/03_what_the_planner_refuses.py
"""

from secure_fl.errors import PlanError
from secure_fl.secagg import plan

for banks, bits in [(3, 8), (4, 8), (10, 8), (16, 8), (100, 8), (3, 16), (1_000, 24), (10_000, 24)]:
    try:
        planned = plan("ckks", banks, 1_000_000, bits)
    except PlanError as refusal:
        print(f"{banks:>6} banks x {bits:>2} bits: refused. {refusal}")
    else:
        figures = planned.derived()
        print(
            f"{banks:>6} banks x {bits:>2} bits: {figures['bytes_per_parameter']:>5} bytes per parameter, "
            f"{figures['fields_per_slot']} sums of {figures['field_bits']} bits in a slot, "
            f"fails with probability {figures['failure_probability']}"
        )
