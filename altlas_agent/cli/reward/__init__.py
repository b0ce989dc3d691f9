"""altlas reward: how attempts come by their scores."""
