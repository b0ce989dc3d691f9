"""Checks that a sandbox holds on this machine, made from outside it."""
