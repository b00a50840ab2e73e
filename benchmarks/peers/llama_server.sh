#!/bin/sh
# llama_server.sh PYTHON FOLDER: builds llama.cpp's own server into FOLDER/bin, from the source
# package of the very llama-cpp-python that PYTHON has.
set -eu
python=$1
folder=$2
version=$("$python" -c 'import llama_cpp; print(llama_cpp.__version__)')
mkdir -p "$folder/bin"
"$python" -m pip download --quiet --no-deps --no-binary llama-cpp-python \
  --dest "$folder" "llama-cpp-python==$version"
tar -xzf "$folder/llama_cpp_python-$version.tar.gz" -C "$folder"
cmake -S "$folder/llama_cpp_python-$version/vendor/llama.cpp" -B "$folder/build" \
  -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON -DBUILD_SHARED_LIBS=OFF -DLLAMA_OPENSSL=OFF \
  -DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF \
  -DLLAMA_BUILD_APP=OFF >"$folder/configure.log"
cmake --build "$folder/build" --target llama-server --parallel 2 >"$folder/build.log"
cp "$folder/build/bin/llama-server" "$folder/bin/"
