"""Who reads what when a model is trained on encrypted rows, and what the weights give away afterwards."""

from __future__ import annotations

from secure_fl.secagg.custody import Custody

ROW_OWNER, TRAINER = "row owner", "trainer"

CUSTODY = Custody(
    scheme="ckks training",
    summary=(
        "The owner of rows and labels draws the only secret key and encrypts both; the trainer computes each epoch's "
        "gradient on ciphertexts, at weights that are encrypted too, and the owner alone reads it and takes the step."
    ),
    can_decrypt={
        ROW_OWNER: ("its own rows and labels, every gradient, row by row, and the weights",),
        TRAINER: (),
        "observer": (),
    },
    broken_by=(
        "an owner who hands out weights, unrounded, to somebody who saw the ciphertexts: they carry noise that depends "
        "on the key and on the rows (IND-CPA-D); rounding to fewer digits than the error bound, or fresh noise, is due "
        "before weights are passed on",
        "whoever gets the weights, however rounded: they tell of rows what weights trained in the clear tell, such as "
        "whether somebody was among them; that is a matter for differential privacy, which is not here",
        "a trainer who deviates: nothing proves that an answer is the gradient, and any vector within the largest "
        "length of one is believed and stepped along",
        "a trainer who sends altered ciphertexts and watches whether the owner goes on: CKKS does not withstand chosen "
        "ciphertexts, and each refusal that it sees tells it one bit",
    ),
    assumptions=(
        "Ring-LWE with ternary secrets is as hard as the guidelines of 2024 say: 128 bits against classical attacks.",
        "Keys to switch keys with are encryptions under the key itself, and are assumed to tell nothing of it "
        "(circular security).",
        "The plan is public: number of rows, features and epochs, clip range, rate, decay and interval. Times and "
        "sizes of messages are not hidden, nor that an owner stopped because a logit left the interval.",
        "Rows and labels have one owner. Nobody else can add labels: encryption is with the secret key.",
    ),
    papers=(
        "Kim, Song, Wang, Xia, Jiang, Secure Logistic Regression Based on Homomorphic Encryption, JMIR Medical "
        "Informatics 2018",
        "Cheon, Kim, Kim, Song, Homomorphic Encryption for Arithmetic of Approximate Numbers, ASIACRYPT 2017",
        "Li and Micciancio, On the Security of Homomorphic Encryption on Approximate Numbers, EUROCRYPT 2021",
        "Bossuat et al., Security Guidelines for Implementing Homomorphic Encryption, 2024",
    ),
)
