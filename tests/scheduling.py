"""Which tests go to one worker together: those of a module, as they share what it sets up."""

from xdist.scheduler import LoadScopeScheduling

EACH_ALONE = ("tests/fuzz/test_schema.py", "tests/tools/test_tools.py")
"""Long tests that share nothing."""


class ByModule(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return nodeid if nodeid.startswith(EACH_ALONE) else super()._split_scope(nodeid)
