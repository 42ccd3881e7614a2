"""Ready scenarios: run them with `pytest --pyargs meshtest.suites`, read them, copy them."""
