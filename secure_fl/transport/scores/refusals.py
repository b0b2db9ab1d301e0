"""Why a request for scores is not answered. The customer knows these words; no other text of a service is shown."""

from __future__ import annotations

from secure_fl.transport.rates import TOO_MANY

UNKNOWN = "not a customer of the roster"
BUSY = "too many at once"
GONE = "no such session"
ANSWERED = "a batch that was answered before"
ANOTHER = "another message in the place of one that came"
UNREADABLE = "a message that cannot be read"
SPENT = "no answer is left"
FAILED = "an error of the service"

STATUS = {
    UNKNOWN: 403,
    BUSY: 429,
    TOO_MANY: 429,
    GONE: 410,
    ANSWERED: 409,
    ANOTHER: 409,
    UNREADABLE: 400,
    SPENT: 403,
    FAILED: 500,
}
