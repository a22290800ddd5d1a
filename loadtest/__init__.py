"""Load tests: people simulated with Locust, saturation by a native driver, peers beside pychat, and the pictures."""
