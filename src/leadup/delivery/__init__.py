"""What leaves the house: the book of what should stand where, the courier, and the ledger of what was said."""
