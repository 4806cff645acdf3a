"""gRPC by @grpc/grpc-js, and its server by grpc-python: `grpc_node_client.py PORT`."""

import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent

subprocess.run(["node", HERE.parent / "servers/grpc_node.cjs", "call", sys.argv[1]], check=True)
subprocess.run([sys.executable, HERE / "grpc_client.py", sys.argv[1]], check=True)
