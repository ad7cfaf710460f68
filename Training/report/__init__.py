"""The paper's tables and figures, measured again: one command each, and a report built from what was measured."""
