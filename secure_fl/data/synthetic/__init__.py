"""Synthetic fraud: patterns from a language model or from the built-in library, checked before they are trusted.

patterns says what a fraud pattern is, and a proposal (a pattern with its provenance). library holds built-in patterns
for work without a key; generator asks a language model for patterns, with prompts, endpoint, budget and cache around
it; sampler turns a pattern into any number of fraudulent rows.
"""
