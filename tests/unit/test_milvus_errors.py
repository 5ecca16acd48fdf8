"""What Milvus says, as we tell it."""

from pymilvus import MilvusException

from audiosearch.engine.errors import SpaceMissing
from audiosearch.engine.indexes.milvus_connection import _translate


def test_a_collection_that_was_just_replaced_is_missing_so_that_it_is_asked_again() -> None:
    """As Milvus 2.3.5 says it under load, in the moment in which an alias gets another one."""
    said = "can't find collection name default:audiosearch_space"
    found = _translate(MilvusException(65535, said), "http://milvus:19530", lite=False)
    assert isinstance(found, SpaceMissing)
