"""The doors for whoever has updates of his own: their encrypted mean, and exact sums of integers.

    from secure_fl import secure_mean
    mean = secure_mean([model_a.state_dict(), model_b.state_dict(), model_c.state_dict()], scheme="ckks")
    model.load_state_dict(mean.value)

Read `doors` first; `updates`, `structures` and `arrays` turn what banks hold into numbers and back, `encoding` numbers
into what a secure sum adds; `outcomes` are what one gets.
"""

from secure_fl.averaging.doors import secure_mean, secure_sum
from secure_fl.averaging.outcomes import SecureMean, SecureTotal

__all__ = ["SecureMean", "SecureTotal", "secure_mean", "secure_sum"]
