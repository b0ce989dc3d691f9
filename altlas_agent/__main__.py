"""`python -m altlas_agent` is the altlas command."""

from altlas_agent.cli.main import main

if __name__ == "__main__":
    main()
