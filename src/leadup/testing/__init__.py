"""For authors of connectors: contract suites to subclass in a test module. Needs pytest."""

import pytest

pytest.register_assert_rewrite("leadup.testing.destinations", "leadup.testing.scene", "leadup.testing.sources")
