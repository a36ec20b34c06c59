"""Answers to questions: why is this person here, what stands where, what would happen. They change nothing."""
