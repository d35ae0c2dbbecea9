"""Settings that hold for every test."""

from hypothesis import HealthCheck, settings

# The machine is shared and noisy: how long an example takes says nothing about the code.
settings.register_profile(
    "triplane", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("triplane")
