"""The bus of a run: facts to whoever listens, in one order, bounded, and questions to named actors."""
