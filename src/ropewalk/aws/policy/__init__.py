"""IAM policies: what a document says, and whether a set of them allows a request. Pure: no store, no clock.

    patterns     wildcards and policy variables
    conditions   the Condition block's operators
    document     a JSON document, validated and compiled once
    evaluate     many documents and one request: a decision with its reason

Source: "IAM JSON policy reference" and "Policy evaluation logic" in AWS's IAM user guide.
"""

from ropewalk.aws.policy.document import Document, Kind, compile_document
from ropewalk.aws.policy.evaluate import Decision, Permissions, Question, Subject, decide

__all__ = ["Decision", "Document", "Kind", "Permissions", "Question", "Subject", "compile_document", "decide"]
