"""Canaries of Flagger, rehearsed: what each strategy does with a good version, and with a bad one."""
