"""The parts of a draft that assess: principles and rights, measures, keys, risks, people's views, the decision."""

from __future__ import annotations

from collections.abc import Mapping

from secure_fl.audit.dpia import evidence, keys, measures, risks
from secure_fl.audit.dpia.describing import UNEQUAL
from secure_fl.audit.dpia.facts import METRICS, Facts
from secure_fl.audit.dpia.law import law
from secure_fl.audit.dpia.tree import Blank, Block, Listing, Part, Table, Text
from secure_fl.report.wording import plural, retrained, score_text


def assessed(facts: Facts) -> Mapping[str, Part]:
    """By name."""
    return {**_FIXED, "rights": _rights(facts), **_measured(facts), **_risky(facts)}


_RIGHTS = (
    "Information (Articles 12 to 14 GDPR)",
    "Access and portability (Articles 15 and 20)",
    "Rectification and erasure (Articles 16, 17 and 19)",
    "Restriction and objection (Articles 18, 19 and 21)",
    "No decision based solely on automated processing (Article 22)",
)
_FIXED: Mapping[str, Part] = {
    "basis": Part("Legal basis", (Blank("On which legal basis does each controller rely, for each purpose?"),)),
    "special": Part(
        "Special categories", (Blank("If there are special categories: which exception of Article 9(2)?"),)
    ),
    "retention": Part(
        "Minimisation and retention",
        (
            law("gdpr-5"),
            Text("The run sets no period for rows, models, records or ledgers, and deletes none of them."),
            Blank("Why is each column needed?"),
            Blank("How long are rows, models, scores, records and ledgers kept, and why?"),
        ),
    ),
    "other": Part(
        "Measures for other requirements",
        (
            Text("The run recorded nothing of consent, contracts with processors, or transfers to third countries."),
            Blank("How are consent (if relied on), processors (Article 28) and transfers (Chapter V) dealt with?"),
        ),
    ),
    "proportionality": Part(
        "Proportionality",
        (Blank("Are the benefits, to whom, in proportion to what the risks of this draft mean for people?"),),
    ),
    "method": Part(
        "Method",
        (
            Text("This draft lists risks and evidence. It ranks nothing, and gives no likelihood and no severity."),
            Blank("Which method, levels and limits of acceptance are used?"),
        ),
    ),
    "inherent": Part(
        "Inherent risk", (Blank("How likely and how severe is each risk that is listed, and is it acceptable?"),)
    ),
    "residual": Part(
        "Residual risk", (Blank("After further measures: how likely and severe is each risk, and is it accepted?"),)
    ),
    "plan": Part("Plan", (law("gdpr-35-11"), Blank("Who does what by when, and when is the assessment reviewed?"))),
    "officer": Part(
        "Advice of the data protection officers",
        (law("gdpr-35-2"), Blank("What did each data protection officer advise, and what was done about it?")),
    ),
    "views": Part(
        "Views of data subjects",
        (law("gdpr-35-9"), Blank("What did data subjects or their representatives say; or why were they not asked?")),
    ),
    "decision": Part(
        "Decision",
        (
            law("gdpr-36-1"),
            Blank(
                "Is the processing rejected, approved, approved under conditions, or put to the supervisory authority?"
            ),
        ),
    ),
}


def _rights(facts: Facts) -> Part:
    left = retrained(facts.metrics["experiment"])
    recorded = (
        "The run recorded no measure for any of these rights."
        if left is None
        else (f"Of measures for these rights the run recorded this alone: {left}.")
    )
    return Part(
        "Measures for people's rights",
        (
            Text(recorded),
            Listing(_RIGHTS),
            Text(
                "Erasure: a row that was trained on cannot be cut out of the weights. A model that was trained again "
                "without it has nothing of it; differential privacy limits what a model tells of a row, and erases "
                "nothing."
            ),
            law("gdpr-22"),
            Blank("How is each of these rights met, by which controller?"),
            Blank("Who looks at an alert before a payment is refused, and how can people contest it?"),
        ),
    )


def _measured(facts: Facts) -> Mapping[str, Part]:
    found = measures.measures(facts)

    def table(label: str, kind: evidence.Kind) -> Table:
        return Table(label, evidence.HEAD, tuple(measure.cells for measure in found if measure.kind == kind))

    open_ = further(facts)
    return {
        "principles": Part(
            "Measures for the principles of Article 5", (law("gdpr-35-7-d"), table("Principles", "principles"))
        ),
        "by-design": Part("Data protection by design and by default", (table("By design", "design"),)),
        "security": Part(
            "Security of processing", (law("gdpr-32"), law("dora-6"), *_in_use(facts), table("Security", "security"))
        ),
        "keys": Part(
            "Keys and their life cycle",
            (
                law("dora-7"),
                Table("Keys of this run", keys.HEAD, tuple(key.cells for key in keys.keys(facts))),
                Text(
                    "Keys come from the operating system's randomness, but for what follows from a seed. The run "
                    f"archived, revoked and backed up none. {_lost_key(facts)}"
                ),
                Blank("Which policy governs these keys, and who replaces a key of a real party that is lost or known?"),
            ),
        ),
        "further": Part(
            "Further measures",
            (
                Text("What the software has and this run did not use:")
                if open_
                else Text("The run leaves out no measure here."),
                *((Listing(open_),) if open_ else ()),
                Blank("Which of these, and which others, are taken?"),
            ),
        ),
    }


def _lost_key(facts: Facts) -> str:
    if not facts.hides_updates:
        return "The sums had no keys."
    return "A key of the sums that is lost is replaced by a new run with new keys."


def _in_use(facts: Facts) -> tuple[Block, ...]:
    """On data in use: what of a bank was protected while it was added."""
    of_committees = (
        "Updates stayed encrypted while the aggregator added them; key holders applied parts of the key to sums only."
    )
    while_added = {
        "plaintext": "Updates were not encrypted while the aggregator added them.",
        "masked": "Updates stayed masked while the aggregator added them; masks are no encryption under a kept key.",
        "additive": "Updates were random shares while they were added; no party had one in the clear.",
        "additive-proofs": "Updates were random shares while they were added; no party had one in the clear.",
        "bfv-committee": of_committees,
        "ckks-committee": of_committees,
        "ckks-krum": "Updates stayed encrypted while the aggregator added them; the key authority opened their "
        "lengths, the distances between them, and sums.",
    }.get(facts.scheme, "Updates stayed encrypted while the aggregator added them; the key authority opened only sums.")
    return (Text(f"Data in use: {while_added} Each bank trained on its own rows in the clear."),)


def further(facts: Facts) -> tuple[str, ...]:
    """What could be done with this software that the run did not do."""
    experiment, possible = facts.experiment, []
    if not facts.hides_updates:
        possible.append(
            "A scheme that hides single updates from the aggregator: --scheme masked, additive, ckks or bfv."
        )
    if facts.privacy is None:
        possible.append("Differential privacy: --epsilon and --delta.")
    elif experiment.lifetime_epsilon is None:
        possible.append("A limit for all runs on the same rows: --lifetime-epsilon.")
    if facts.audit is None or not facts.audit.columns:
        possible.append("A comparison of groups: secure-fl audit RUN_DIR --group COLUMN.")
    if not facts.attacks:
        possible.append(
            "Attacks on the scheme: secure-fl attack NAME --scheme SCHEME --json RUN_DIR/attacks/NAME.json."
        )
    if experiment.robust == "none" and not experiment.proofs:
        possible.append("A rule or proofs against banks that poison: --robust, or --scheme additive --proofs.")
    possible.append("Parties as processes of their own, over TLS 1.3: secure-fl gateway, bank and key-authority.")
    return tuple(possible)


def _risky(facts: Facts) -> Mapping[str, Part]:
    found = risks.risks(facts)

    def table(label: str, kind: risks.Kind) -> Table:
        return Table(label, risks.HEAD, tuple(risk.cells for risk in found if risk.kind == kind))

    rests = Listing(tuple(facts.custody.assumptions))
    return {
        "by-use": Part(
            "Impacts of the processing as it was designed", (law("gdpr-35-7-c"), table("As designed", "design"))
        ),
        "access": Part(
            "Illegitimate access",
            (
                table("Illegitimate access", "access"),
                *_noise(facts),
                Text("What the scheme rests on, in its own words:"),
                rests,
            ),
        ),
        "modification": Part("Unwanted modification", (table("Unwanted modification", "modification"),)),
        "disappearance": Part("Disappearance", (table("Disappearance", "disappearance"),)),
        "necessity": _necessity(facts),
    }


def _noise(facts: Facts) -> tuple[Block, ...]:
    """What noise changes about an update that becomes known."""
    if facts.privacy is None:
        return ()
    if facts.privacy.mechanism == "dp-sgd":
        says = "Each update has its bank's own noise: also one that becomes known tells of a row only within epsilon."
    else:
        says = "Each update has a share of the noise only: one that becomes known is not protected by epsilon."
    return (Text(says),)


def _necessity(facts: Facts) -> Part:
    final, local = facts.metrics["final"]["auprc"], [bank["auprc"] for bank in facts.metrics["baselines"]["local"]]
    private = UNEQUAL if facts.privacy is not None else ""
    better = sum(final > alone for alone in local)
    text = (
        f"In this run the federated model ranked fraud better than {better} of {plural(len(local), 'model')} that "
        f"banks trained alone (AUPRC {score_text(final)}; {METRICS}: final, baselines). {private}One run does not "
        "show that it is needed."
    )
    return Part(
        "Necessity",
        (
            law("gdpr-35-7-b"),
            *((Text(text),) if local else ()),
            Blank("Is the processing needed for its purpose, and which less intrusive ways were considered?"),
        ),
    )
