"""Who reads what when encrypted rows are scored, and what scores themselves give away."""

from __future__ import annotations

from dataclasses import replace

from secure_fl.scoring.flooding import HIDING_BITS
from secure_fl.scoring.plans import ScoringPlan
from secure_fl.secagg.custody import Custody

DATA_OWNER, MODEL_OWNER = "data owner", "model owner"

CUSTODY = Custody(
    scheme="ckks scoring",
    summary=(
        "The data owner draws the only secret key and encrypts its rows; the model owner computes on ciphertexts with "
        "its weights in the clear and sends back encrypted logits, which the data owner alone can read."
    ),
    can_decrypt={
        DATA_OWNER: (
            "its own rows and the logit of each; of a logistic regression in batches a second linear function of each "
            "row, since two features share a slot",
            "of the model: which features it takes and which no training row had, how many squares it is deep, the "
            "largest logit and the error bounds of the plan; with single rows also the widths of its layers, up to "
            "powers of two",
        ),
        MODEL_OWNER: (),
        "observer": (),
    },
    broken_by=(
        "a data owner who solves for the weights: raw logits of a linear model at one row more than it has features "
        "give all of them (in batches, where two features share a slot, half as many do), and many logits of a network "
        "train a copy of it",
        "a data owner who looks into the noise of answers: there is no circuit privacy, so noise and unused slots "
        "depend on the weights",
        "a data owner who hands decrypted logits, unrounded, to somebody who saw the ciphertexts: their noise tells of "
        "the key (IND-CPA-D); rounding or fresh noise is due before scores are passed on",
        "a model owner who deviates: nothing proves that it used its model, and what it answers is believed; where it "
        "learns what came of the scores it reads rows, since it may answer with a row's own ciphertext",
    ),
    assumptions=(
        "Ring-LWE with ternary secrets is as hard as the guidelines of 2024 say: 128 bits against classical attacks.",
        "A plan comes from the model owner. The data owner's half refuses parameters that are not secure; whether it "
        "asks for the features that were agreed on is for people to look at.",
        "Number of rows, times and sizes of messages are not hidden.",
    ),
    papers=(
        "Cheon, Kim, Kim, Song, Homomorphic Encryption for Arithmetic of Approximate Numbers, ASIACRYPT 2017",
        "Li and Micciancio, On the Security of Homomorphic Encryption on Approximate Numbers, EUROCRYPT 2021",
        "Bossuat et al., Security Guidelines for Implementing Homomorphic Encryption, 2024",
        "Tramer, Zhang, Juels, Reiter, Ristenpart, Stealing Machine Learning Models via Prediction APIs, USENIX "
        "Security 2016",
    ),
)

HIDDEN_CUSTODY = replace(
    CUSTODY,
    scheme="ckks scoring, model hidden",
    summary=(
        "The data owner draws the only secret key and encrypts its rows; the model owner computes on ciphertexts, adds "
        "a fresh encryption of zero and noise that drowns all that is not a score, and sends back encrypted logits. "
        "From a data owner that follows the protocol it hides its weights beyond what logits and the plan tell."
    ),
    can_decrypt={
        DATA_OWNER: (
            "its own rows and the logit of each, and where a batch is not full the logit of a row of zeros: those of "
            "the model with its weights rounded to the plan's scales, on rows as they were encoded: encoding moves "
            "each number by up to 2^-40 of the clip range, also off the real line, in a way that rows alone decide",
            "of the model: which features it takes and which no training row had, how many squares it is deep, the "
            "scales of rows and of logits and the width of the noise in bits; up to powers of two the largest logit "
            "and the error bounds of the plan, one of which tells how far training rows take it",
        ),
        MODEL_OWNER: (),
        "observer": (),
    },
    broken_by=(
        "a data owner who solves for the weights: raw logits of a linear model at one row more than it has features "
        "give all of them, and many logits of a network train a copy of it",
        "a data owner who sends rows on which only rounding tells models apart: two that agree on every row that is "
        "sent, such as (3, 1) and (-3, 3) on (x, 3 x), differ on what float64 makes of it; the distance of their "
        "answers was 2^-7 a batch, so hundreds of batches tell which it is, and 2^-22 for a network with one square",
        "a data owner who deviates: nothing proves that its public key and ciphertexts were made as they should be and "
        "its rows are within the clip range, and with others answers can tell of the weights",
        "a data owner who hands decrypted logits, unrounded, to somebody who saw the ciphertexts: they tell of the key "
        "(IND-CPA-D), since the noise is part of the ciphertext; rounding or fresh noise is due before scores are "
        "passed on",
        CUSTODY.broken_by[3],
    ),
    assumptions=(
        *CUSTODY.assumptions[:2],
        f"An answer is within 2^-{HIDING_BITS} of one made from the plan and the logits of rows as they were encoded "
        "alone, in statistical distance, once its second polynomial is taken for random, which is Ring-LWE "
        "with a secret of the model owner's; the distances of several answers add up.",
        "Remainders modulo a prime that is divided away are taken for uniform: the bounds of what is drowned rest on "
        "it.",
        "Number of rows, times and sizes of messages are not hidden; times depend on the widths of layers and on how "
        "many weights round to zero.",
    ),
    papers=(
        *CUSTODY.papers,
        "Asharov, Jain, Lopez-Alt, Tromer, Vaikuntanathan, Wichs, Multiparty Computation with Low Communication, "
        "Computation and Interaction via Threshold FHE, EUROCRYPT 2012",
    ),
)


def custody_of(plan: ScoringPlan) -> Custody:
    """What holds under this plan."""
    return HIDDEN_CUSTODY if plan.hides_model else CUSTODY
