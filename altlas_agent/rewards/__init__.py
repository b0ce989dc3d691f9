"""How an attempt is run and scored in a worker process."""
