import pytest

from audiosearch.engine.indexes.exact import ExactIndex
from tests.index_contract import IndexContract


class TestExactIndex(IndexContract):
    @pytest.fixture
    def index(self) -> ExactIndex:
        return ExactIndex()
