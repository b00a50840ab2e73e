"""make_tokenizer.py GGUF FOLDER: the file's tokenizer as transformers saves it."""

import sys
from pathlib import Path

from transformers import AutoTokenizer

source, folder = Path(sys.argv[1]), sys.argv[2]
AutoTokenizer.from_pretrained(str(source.parent), gguf_file=source.name).save_pretrained(folder)
