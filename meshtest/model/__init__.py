"""What the framework talks about, as frozen values. No I/O, no clock, no third party."""
