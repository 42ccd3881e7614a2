"""The run of a test in Allure's report: its steps, charts and records. Does nothing without `--alluredir`."""
