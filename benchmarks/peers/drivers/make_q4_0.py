"""make_q4_0.py GGUF OUT: llama.cpp's own quantisation to the format it has its best kernels for."""

import ctypes
import sys

import llama_cpp as llama

SILENCE = llama.llama_log_callback(lambda *_: None)
llama.llama_log_set(SILENCE, None)
source, target = (argument.encode() for argument in sys.argv[1:3])
options = llama.llama_model_quantize_default_params()
options.ftype = llama.LLAMA_FTYPE_MOSTLY_Q4_0
options.allow_requantize = True
if llama.llama_model_quantize(source, target, ctypes.byref(options)) != 0:
    sys.exit("llama_model_quantize failed")
