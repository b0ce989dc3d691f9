"""What the daemon answers on its socket: routes, the stream of events, and the client of both."""
