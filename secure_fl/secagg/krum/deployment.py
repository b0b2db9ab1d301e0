"""Multi-Krum on ciphertexts set up for one federation in one process, and what it says about custody."""

from __future__ import annotations

from collections.abc import Mapping

from secure_fl.secagg.budget.krum import SCHEME_NAME, KrumPlan, plan_krum
from secure_fl.secagg.custody import ALL_BUT_ONE, REPEATED, Custody
from secure_fl.secagg.he.custody import CKKS_CUSTODY
from secure_fl.secagg.he.deployment import PublicKeyDeployment
from secure_fl.secagg.he.public_keys import SealPublicKey
from secure_fl.secagg.he.words import KEY_AUTHORITY, UPLOAD
from secure_fl.secagg.krum.authority import KrumAuthority, KrumDecryptor
from secure_fl.secagg.krum.selection import Select
from secure_fl.secagg.krum.server import krum_server
from secure_fl.secagg.messages import AGGREGATOR, Cohort
from secure_fl.secagg.protocol import Party, ServerHalf
from secure_fl.secagg.scheme import Scheme

CUSTODY = Custody(
    scheme=SCHEME_NAME,
    summary="Updates are encrypted at the bank; the key authority opens their distances, chooses banks, and opens the "
    "sum of the chosen ones; the aggregator computes on ciphertexts and learns who was chosen.",
    can_decrypt={
        "banks": ("their own update", "the sum of the chosen updates"),
        AGGREGATOR: (
            "which banks were chosen, and of a refused one whether it was too long or no update at all",
            "the sum of the chosen updates, once the key authority has opened it",
        ),
        KEY_AUTHORITY: (
            "the distance between any two updates, and how long each one is",
            "the sum of the chosen updates",
        ),
        "observer": (
            "which banks were chosen, and the sum of their updates, unless the transport encrypts the key authority's "
            "answers",
        ),
    },
    broken_by=(
        "aggregator and key authority together: one has the ciphertexts, the other the key",
        "a key authority, where updates are short: of a handful of numbers each, lengths, distances and the sum of the "
        "chosen leave one solution, which it finds by trying all",
        "a key authority that knows the updates of many banks, or works with them: each distance is an equation about "
        "the last one, and tells any guess of it from the truth",
        "an aggregator that makes up updates in the place of all banks but one, or derives them from its ciphertext, "
        "so that they are chosen with it, and subtracts them",
        "an aggregator that makes up totals out of a single upload, or such as decrypt to the key: whom the key "
        "authority refuses answers a question for each bank in each attempt, and some thousand attempts tell the key, "
        "which opens every upload, past and to come",
        "an aggregator that has two sums of the same uploads opened, in two rounds, and subtracts them",
        REPEATED,
        "a bank and a curious aggregator together, where the rule takes all banks: the bank uploads minus the sum of "
        "all others' ciphertexts but one, and that one's update is the sum",
        "a bank and the key authority together, if the bank also obtains another bank's upload",
        ALL_BUT_ONE + ", where all are chosen",
    ),
    assumptions=(
        "The key authority uses distances to choose banks, and for nothing else. It is one server of two, like the one "
        "to which checks against poisoning give gradients in the clear in other schemes (Wu et al., 2025; Schneider et "
        "al., 2024). What it gets here is one number for each pair and one for each bank, never a vector of "
        "differences, masked or not: turning all updates alike changes none of them. With updates that it knows they "
        "are equations.",
        "The key authority made its public key as it should: with one of another kind it might unmask totals.",
        "A total carries the noise of its ciphertexts, as one number more or less; nothing is added to drown it.",
        "Banks encrypt real numbers. An imaginary part, which no honest encoder makes, would shorten a bank's distance "
        "to all others; random weights show one of the length that the plan states in 99 of 100 rounds.",
        "Banks encrypt values in range. The square of one far beyond it, where all others have the same value, wraps "
        "around the modulus and can shorten a bank's distances. That shows in the sum, which is then not opened, and "
        "nobody knows whose it was: one such bank stops the run. Banks that cancel each other's can steer the choice "
        "unseen, unless the distance between them shows it: only a proof of range could tell.",
        "A bank that derives its upload from another's, or whose value wraps around the modulus at that one's only, "
        "can make the distance between them impossible. That costs both their place; two that do so cost that one its "
        "place and keep theirs. The rule takes off the byzantine banks that it expects only as many as are certain to "
        "be among the refused.",
        *CKKS_CUSTODY.assumptions,
    ),
    papers=(
        "Blanchard, El Mhamdi, Guerraoui, Stainer, Machine Learning with Adversaries: Byzantine Tolerant Gradient "
        "Descent, NeurIPS 2017",
        "Wu, Luo, Sun, Wang, Zhang, Privacy-Preserving Federated Learning Scheme with Mitigating Model Poisoning "
        "Attacks: Vulnerabilities and Countermeasures, arXiv 2506.23622, 2025",
        "Schneider, Suresh, Yalame, Comments on Privacy-Enhanced Federated Learning Against Poisoning Adversaries, "
        "arXiv 2409.19964, 2024",
        "Chillotti, Gama, Georgieva, Izabachene, TFHE: Fast Fully Homomorphic Encryption over the Torus, Journal of "
        "Cryptology 2020",
        *CKKS_CUSTODY.papers,
    ),
)


class KrumDeployment(PublicKeyDeployment):
    """The key authority with its key pair and its rule, and the public key as banks and aggregator accepted it."""

    def __init__(self, plan: KrumPlan, select: Select) -> None:
        self._authority = KrumAuthority(plan.parameters_of_context, select)
        super().__init__(self._authority.public_key(), plan)

    def authority(self, cohort: Cohort[KrumPlan]) -> KrumDecryptor:
        """The key authority in one attempt; afterwards it knows of ties."""
        return self._authority.decryptor(cohort)

    def trustees(self, cohort: Cohort[KrumPlan]) -> Mapping[str, Party]:
        return {KEY_AUTHORITY: self.authority(cohort)}

    def server(self, cohort: Cohort[KrumPlan]) -> ServerHalf:
        assert isinstance(self._public, SealPublicKey)
        return krum_server(cohort, self._public.context)


def krum_scheme(select: Select, norm_bound: float | None = None) -> Scheme:
    """The scheme under a rule. It is not in `SCHEMES`: those need no rule."""

    def planned(banks: int, parameters: int, bits: int | None, threshold: int) -> KrumPlan:
        return plan_krum(banks, parameters, bits, threshold, norm_bound)

    def deployed(plan: KrumPlan) -> KrumDeployment:
        return KrumDeployment(plan, select)

    return Scheme(
        name=SCHEME_NAME,
        title="Multi-Krum on CKKS",
        stages=(UPLOAD,),
        input_stage=UPLOAD,
        trustees=(KEY_AUTHORITY,),
        custody=CUSTODY,
        plan=planned,
        deploy=deployed,
    )
