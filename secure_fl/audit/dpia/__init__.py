"""A draft of a data protection impact assessment (GDPR, Article 35) from what a run recorded.

    facts = read_facts(Path("runs/masked"))       # the record is verified first
    draft = draft_of(facts, "edpb")
    to_markdown(draft.document)

Rules:
- A sentence is in the draft because the run's files, or the protocol that they name, show it. What they do not show is
  a blank for people, or is said not to have been measured. Nothing is ranked: likelihood and severity are for people.
- Names of columns and banks are in it, as in metrics.json; values of rows never are, nor names of groups, which can
  be values.
- Statements on the law lie in `law.toml`, each with its source and the date of the text.
"""

from secure_fl.audit.dpia.drafting import Draft, draft_of
from secure_fl.audit.dpia.facts import Facts, read_facts
from secure_fl.audit.dpia.markdown import to_markdown

__all__ = ["Draft", "Facts", "draft_of", "read_facts", "to_markdown"]
