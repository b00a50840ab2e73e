"""Files and batches, with what each path takes and gives."""

from __future__ import annotations

from collections.abc import Sequence

from stoker.api.batch.desk import BatchDesk
from stoker.api.front import Front
from stoker.api.openai.batches import (
    BatchList,
    BatchRequest,
    CancelBatch,
    CreateBatch,
    GetBatch,
    ListBatches,
)
from stoker.api.openai.files import (
    Deleted,
    DeleteFile,
    FileList,
    GetContent,
    GetFile,
    ListFiles,
    UploadFile,
    UploadForm,
)
from stoker.api.operation import Operation
from stoker.gateway.batches.records import Batch, File


def batch_operations(front: Front, desk: BatchDesk) -> Sequence[Operation]:
    file, batch = "/v1/files/{file_id}", "/v1/batches/{batch_id}"
    return [
        Operation(
            "POST", "/v1/files", "Keep a file of requests",
            UploadFile(desk), UploadForm, File, media="multipart/form-data",
        ),
        Operation("GET", "/v1/files", "List the files", ListFiles(desk), None, FileList),
        Operation("GET", file, "Describe a file", GetFile(desk), None, File),
        Operation("DELETE", file, "Delete a file", DeleteFile(desk), None, Deleted),
        Operation("GET", f"{file}/content", "What is in a file", GetContent(desk), None, None),
        Operation(
            "POST", "/v1/batches", "Do a file of requests",
            CreateBatch(front, desk), BatchRequest, Batch,
        ),
        Operation("GET", "/v1/batches", "List the batches", ListBatches(desk), None, BatchList),
        Operation("GET", batch, "How far a batch is", GetBatch(desk), None, Batch),
        Operation("POST", f"{batch}/cancel", "Stop a batch", CancelBatch(desk), None, Batch),
    ]  # fmt: skip
